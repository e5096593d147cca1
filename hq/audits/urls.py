"""Addresses of audits, reviews, reports and the breach register."""

from django.urls import URLPattern, URLResolver, path

from hq.audits import breach_views, views

app_name = "audits"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.index, name="index"),
    path("plan/", views.plan, name="plan"),
    path("plan/<int:pk>/approve/", views.approve_plan, name="approve_plan"),
    path("start/", views.start, name="start"),
    path("<int:pk>/", views.audit, name="audit"),
    path("<int:pk>/report/", views.report, name="report"),
    path("<int:pk>/finding/", views.finding, name="finding"),
    path("<int:pk>/sign/", views.sign, name="sign"),
    path("<int:pk>/approve/", views.approve, name="approve"),
    path("items/<int:pk>/mark/", views.mark, name="mark"),
    path("findings/<int:pk>/assign/", views.assign, name="assign"),
    path("findings/<int:pk>/resolve/", views.resolve, name="resolve"),
    path("reports/", views.reports, name="reports"),
    path("reports/retention/", views.reevaluate, name="reevaluate"),
    path("week/", views.week, name="week"),
    path("accounts/", views.accounts, name="accounts"),
    path("breaches/", breach_views.listing, name="breaches"),
    path("breaches/new/", breach_views.new, name="new_breach"),
    path("breaches/<int:pk>/", breach_views.detail, name="breach"),
    path("breaches/<int:pk>/step/", breach_views.step, name="step"),
    path("breaches/<int:pk>/affected/", breach_views.affected, name="affected"),
    path("breaches/<int:pk>/notice/", breach_views.notice, name="notice"),
    path("breaches/<int:pk>/freeze/", breach_views.freeze, name="freeze"),
    path("breaches/<int:pk>/close/", breach_views.close, name="close"),
    path("breaches/notices/<int:pk>/sent/", breach_views.sent, name="sent"),
    path("breaches/freezes/<int:pk>/export/", breach_views.export, name="export"),
]
