"""Addresses of releases and partner agencies."""

from django.urls import URLPattern, URLResolver, path

from hq.releases import views

app_name = "releases"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.listing, name="requests"),
    path("register.csv", views.register_csv, name="register_csv"),
    path("new/", views.new, name="new"),
    path("<int:pk>/", views.detail, name="request"),
    path("<int:pk>/document/", views.document, name="document"),
    path("<int:pk>/review/", views.review, name="review"),
    path("<int:pk>/approve/", views.approve, name="approve"),
    path("<int:pk>/deny/", views.deny, name="deny"),
    path("<int:pk>/fulfil/", views.fulfil, name="fulfil"),
    path("<int:pk>/download/", views.download, name="download"),
    path("<int:pk>/close/", views.close, name="close"),
    path("partners/", views.partner_list, name="partners"),
    path("partners/new/", views.new_partner, name="new_partner"),
    path("partners/<int:pk>/approve/", views.approve_partner, name="approve_partner"),
    path("partners/<int:pk>/end/", views.end_partner, name="end_partner"),
    path("partners/<int:pk>/authority/", views.new_override, name="new_override"),
    path("authorities/<int:pk>/approve/", views.approve_override, name="approve_override"),
    path("authorities/<int:pk>/document/", views.override_document, name="override_document"),
]
