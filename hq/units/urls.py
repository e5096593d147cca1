"""Addresses of units and deployments."""

from django.urls import URLPattern, URLResolver, path

from hq.units import views

app_name = "units"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.board, name="board"),
    path("register/", views.new, name="new"),
    path("deployments/", views.deployments, name="deployments"),
    path("deployments/open/", views.open_deployment, name="open"),
    path("deployments/<int:pk>/start/", views.start, name="start"),
    path("deployments/<int:pk>/stop/", views.stop, name="stop"),
    path("wipes/<int:pk>/witness/", views.witness, name="witness"),
    path("unit/<str:unit_id>/", views.detail, name="unit"),
    path("unit/<str:unit_id>/change/", views.change, name="change"),
    path("unit/<str:unit_id>/approve/", views.approve, name="approve"),
    path("unit/<str:unit_id>/accept/", views.accept, name="accept"),
    path("unit/<str:unit_id>/revoke/", views.revoke, name="revoke"),
    path("unit/<str:unit_id>/retire/", views.retire, name="retire"),
    path("unit/<str:unit_id>/maintenance/", views.work, name="work"),
    path("unit/<str:unit_id>/wipe/", views.wipe, name="wipe"),
]
