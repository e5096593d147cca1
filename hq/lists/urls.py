"""Addresses of hot lists, hot plates and partial plates."""

from django.urls import URLPattern, URLResolver, path

from hq.lists import entry_views, standing_views, views

app_name = "lists"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.index, name="index"),
    path("new/", views.edit, name="new"),
    path("groups/new/", views.new_group, name="new_group"),
    path("groups/members/", standing_views.member, name="member"),
    path("standing/", standing_views.approvals, name="approvals"),
    path("standing/new/<int:pk>/", standing_views.propose, name="propose_standing"),
    path("standing/<int:pk>/approve/", standing_views.approve, name="approve_standing"),
    path("standing/<int:pk>/end/", standing_views.end, name="end_standing"),
    path("<int:pk>/", views.detail, name="list"),
    path("<int:pk>/edit/", views.edit, name="edit"),
    path("<int:pk>/sources/new/", views.source, name="new_source"),
    path("<int:pk>/sources/<int:source_pk>/", views.source, name="source"),
    path("<int:pk>/upload/", views.upload, name="upload"),
    path("<int:pk>/load/", views.load, name="load"),
    path("files/<uuid:pk>/", views.preview, name="preview"),
    path("files/<uuid:pk>/give-up/", views.give_up, name="give_up"),
    path("versions/<int:pk>/", views.version, name="version"),
    path("versions/<int:pk>/approve/", views.approve, name="approve"),
    path("versions/<int:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("versions/<int:pk>/discard/", views.discard, name="discard"),
    path("versions/<int:pk>/match/", views.match, name="match"),
    path("rules/", views.rules, name="rules"),
    path("rules/propose/", views.propose_rules, name="propose_rules"),
    path("rules/<int:pk>/approve/", views.approve_rules, name="approve_rules"),
    path("hot-plates/", entry_views.manual_list, name="manual"),
    path("hot-plates/new/", entry_views.enter_manual, name="enter_manual"),
    path("hot-plates/<int:pk>/withdraw/", entry_views.withdraw_manual, name="withdraw_manual"),
    path("partial-plates/", entry_views.partial_list, name="partials"),
    path("partial-plates/new/", entry_views.enter_partial, name="enter_partial"),
    path("partial-plates/<int:pk>/withdraw/", entry_views.withdraw_partial, name="withdraw_partial"),
    path("matches/<str:kind>/<int:pk>/", entry_views.match_again, name="match_again"),
    path("matches/<int:pk>/", entry_views.run, name="run"),
]
