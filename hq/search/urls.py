"""Addresses of searching. None holds a plate."""

from django.urls import URLPattern, URLResolver, path

from hq.search import views

app_name = "search"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.form, name="form"),
    path("results/", views.results, name="results"),
    path("csv/", views.csv, name="csv"),
    path("reads/<uuid:pk>/", views.read, name="read"),
    path("reads/<uuid:pk>/timeline/", views.timeline, name="timeline"),
    path("reads/<uuid:pk>/pictures/<slug:kind>/", views.picture, name="picture"),
    path("canvass/", views.canvass_form, name="canvass"),
    path("canvass/report/", views.canvass_report, name="canvass_report"),
    path("outline/", views.outline, name="outline"),
    path("shifts/", views.shifts, name="shifts"),
    path("shifts/enter/", views.enter_shift, name="enter_shift"),
    path("shifts/<int:pk>/end/", views.end_shift, name="end_shift"),
]
