"""Addresses of the outbox and of the own choice."""

from django.urls import URLPattern, URLResolver, path

from hq.mail import views

app_name = "mail"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.outbox_page, name="outbox"),
    path("own/", views.own, name="own"),
    path("<int:pk>/discard/", views.discard, name="discard"),
]
