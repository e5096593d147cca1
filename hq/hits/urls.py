"""Addresses of the live board, of hits and of the reports about them."""

from django.urls import URLPattern, URLResolver, path

from hq.hits import views

app_name = "hits"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.show_board, name="board"),
    path("rows/", views.rows, name="rows"),
    path("stream/", views.stream, name="stream"),
    path("unverified/", views.unverified, name="unverified"),
    path("misreads/", views.misreads, name="misreads"),
    path("reads/<uuid:pk>/correct/", views.correct, name="correct"),
    path("<uuid:pk>/", views.detail, name="hit"),
    path("<uuid:pk>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("<uuid:pk>/visual/", views.compare, name="visual"),
    path("<uuid:pk>/clets/", views.ask, name="clets"),
    path("<uuid:pk>/outcome/", views.close, name="outcome"),
    path("<uuid:pk>/pictures/<str:kind>/", views.picture, name="picture"),
]
