"""Addresses of the access log."""

from django.urls import URLPattern, URLResolver, path

from hq.log import views

app_name = "log"
urlpatterns: list[URLPattern | URLResolver] = [
    path("own/", views.own, name="own"),
    path("", views.department, name="department"),
    path("chain/", views.state, name="chain"),
    path("chain/verify/", views.verify, name="verify"),
]
