"""Addresses of retention: calendar, schedules, holds, destruction."""

from django.urls import URLPattern, URLResolver, path

from hq.retention import views

app_name = "retention"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.calendar, name="calendar"),
    path("schedules/new/", views.new_schedule, name="new_schedule"),
    path("schedules/<int:pk>/approve/", views.approve_schedule, name="approve_schedule"),
    path("schedules/<int:pk>/cosign/", views.cosign_schedule, name="cosign_schedule"),
    path("schedules/<int:pk>/refuse/", views.refuse_schedule, name="refuse_schedule"),
    path("authorities/new/", views.new_authority, name="new_authority"),
    path("authorities/<int:pk>/document/", views.authority_document, name="authority_document"),
    path("holds/", views.hold_list, name="holds"),
    path("holds/new/", views.new_hold, name="new_hold"),
    path("holds/<int:pk>/", views.hold, name="hold"),
    path("holds/<int:pk>/review/", views.review_hold, name="review_hold"),
    path("holds/<int:pk>/ask-release/", views.ask_release, name="ask_release"),
    path("holds/<int:pk>/withdraw-release/", views.withdraw_release, name="withdraw_release"),
    path("holds/<int:pk>/release/", views.release_hold, name="release_hold"),
    path("destruction/", views.proposal_list, name="proposals"),
    path("destruction/propose/", views.propose_destruction, name="propose_destruction"),
    path("destruction/<int:pk>/", views.proposal, name="proposal"),
    path("destruction/<int:pk>/approve/", views.approve_destruction, name="approve_destruction"),
    path("destruction/<int:pk>/cosign/", views.cosign_destruction, name="cosign_destruction"),
    path("destruction/<int:pk>/refuse/", views.refuse_destruction, name="refuse_destruction"),
    path("destruction/<int:pk>/withdraw/", views.withdraw_destruction, name="withdraw_destruction"),
    path("certificates/<int:pk>/", views.certificate, name="certificate"),
]
