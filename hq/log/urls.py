"""Addresses of the access log."""

from django.urls import URLPattern, URLResolver, path

from hq.log import removal_pages, views

app_name = "log"
urlpatterns: list[URLPattern | URLResolver] = [
    path("own/", views.own, name="own"),
    path("", views.department, name="department"),
    path("chain/", views.state, name="chain"),
    path("chain/verify/", views.verify, name="verify"),
    path("removals/", removal_pages.listing, name="removals"),
    path("removals/propose/", removal_pages.propose, name="propose_removal"),
    path("removals/<int:pk>/", removal_pages.detail, name="removal"),
    path("removals/<int:pk>/approve/", removal_pages.approve, name="approve_removal"),
    path("removals/<int:pk>/cosign/", removal_pages.cosign, name="cosign_removal"),
    path("removals/<int:pk>/refuse/", removal_pages.refuse, name="refuse_removal"),
    path("removals/<int:pk>/withdraw/", removal_pages.withdraw, name="withdraw_removal"),
]
