"""Addresses of evidence packages."""

from django.urls import URLPattern, URLResolver, path

from hq.evidence import views

app_name = "evidence"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.listing, name="packages"),
    path("new/", views.new, name="new"),
    path("key/", views.key, name="key"),
    path("<int:pk>/", views.detail, name="package"),
    path("<int:pk>/approve/", views.approve, name="approve"),
    path("<int:pk>/refuse/", views.refuse, name="refuse"),
    path("<int:pk>/prepare/", views.prepare, name="prepare"),
    path("<int:pk>/download/", views.download, name="download"),
    path("<int:pk>/book/", views.book, name="book"),
]
