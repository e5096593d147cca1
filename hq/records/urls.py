"""Addresses of the quarantine."""

from django.urls import URLPattern, URLResolver, path

from hq.records import views

app_name = "records"
urlpatterns: list[URLPattern | URLResolver] = [
    path("quarantine/", views.quarantine, name="quarantine"),
    path("quarantine/propose/", views.propose, name="propose"),
    path("quarantine/<int:pk>/approve/", views.approve, name="approve"),
    path("quarantine/<int:pk>/decline/", views.decline, name="decline"),
]
