"""Addresses of the start page, the settings, the source."""

from django.urls import URLPattern, URLResolver, path

from hq.site import views

app_name = "site"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("settings/", views.settings, name="settings"),
    path("settings/propose/", views.propose, name="propose_settings"),
    path("settings/<int:pk>/approve/", views.approve, name="approve_settings"),
    path("source/", views.source, name="source"),
]
