"""Addresses of the API (v1/) and of the pages of its tokens and of the feeds."""

from django.urls import URLPattern, URLResolver, path

from hq.api import pages, views

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/reads", views.reads, name="reads"),
    path("v1/reads/<uuid:pk>", views.read, name="read"),
    path("v1/hits", views.hits, name="hits"),
    path("v1/openapi.json", views.openapi, name="openapi"),
    path("v1/", views.nothing, name="nothing"),
    path("v1/<path:rest>", views.nothing, name="nothing_below"),
    path("tokens/", pages.token_list, name="tokens"),
    path("tokens/propose/", pages.propose_token, name="propose_token"),
    path("tokens/<int:pk>/approve/", pages.approve_token, name="approve_token"),
    path("tokens/<int:pk>/revoke/", pages.revoke_token, name="revoke_token"),
    path("own/", pages.own_tokens, name="own"),
    path("own/<int:pk>/collect/", pages.collect_token, name="collect_token"),
    path("own/<int:pk>/revoke/", pages.give_up_token, name="give_up_token"),
    path("feeds/", pages.feed_list, name="feeds"),
    path("feeds/propose/", pages.propose_feed, name="propose_feed"),
    path("feeds/<int:pk>/approve/", pages.approve_feed, name="approve_feed"),
    path("feeds/<int:pk>/stop/", pages.stop_feed, name="stop_feed"),
]
