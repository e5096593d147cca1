"""Addresses of the policy, the matrix and the figures."""

from django.urls import URLPattern, URLResolver, path

from hq.public import views

app_name = "public"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.policy, name="policy"),
    path("matrix/", views.matrix, name="matrix"),
    path("figures/", views.figures, name="figures"),
    path("texts/<slug:slot>/", views.text, name="text"),
    path("texts/<int:pk>/approve/", views.approve, name="approve"),
]
