"""Addresses of log-in, accounts, roles, training."""

from django.urls import URLPattern, URLResolver, path

from hq.people import login
from hq.people.views import accounts, kiosks, leaving, own, roles, training

app_name = "people"
urlpatterns: list[URLPattern | URLResolver] = [
    path("login/", login.banner, name="login"),
    path("login/code/", login.second_factor, name="second_factor"),
    path("logout/", login.log_out, name="logout"),
    path("lock/", login.lock, name="lock"),
    path("unlock/", login.unlock, name="unlock"),
    path("password/", login.own_password, name="password"),
    path("purpose/", own.purpose, name="purpose"),
    path("unsent/", own.unsent_form, name="unsent"),
    path("me/", own.profile, name="profile"),
    path("", accounts.listing, name="accounts"),
    path("propose/", accounts.propose, name="propose"),
    path("<int:pk>/", accounts.detail, name="account"),
    path("<int:pk>/approve/", accounts.approve, name="approve"),
    path("<int:pk>/suspend/", accounts.suspend, name="suspend"),
    path("<int:pk>/reactivate/", accounts.reactivate, name="reactivate"),
    path("<int:pk>/close/", accounts.close, name="close"),
    path("<int:pk>/release/", accounts.release, name="release"),
    path("<int:pk>/new-start/", accounts.new_start, name="new_start"),
    path("<int:pk>/role/", roles.propose_role, name="propose_role"),
    path("<int:pk>/grant/", roles.propose_grant, name="propose_grant"),
    path("<int:pk>/last-day/", roles.propose_last_day, name="propose_last_day"),
    path("<int:pk>/appoint/", roles.appoint, name="appoint"),
    path("roles/<int:pk>/approve/", roles.approve_role, name="approve_role"),
    path("roles/<int:pk>/end/", roles.end_role, name="end_role"),
    path("appointments/<int:pk>/end/", roles.end_appointment, name="end_appointment"),
    path("grants/<int:pk>/approve/", roles.approve_grant, name="approve_grant"),
    path("grants/<int:pk>/end/", roles.end_grant, name="end_grant"),
    path("last-days/<int:pk>/approve/", roles.approve_last_day, name="approve_last_day"),
    path("last-days/<int:pk>/end/", roles.end_last_day, name="end_last_day"),
    path("kiosks/", kiosks.listing, name="kiosks"),
    path("kiosks/propose/", kiosks.propose, name="propose_kiosk"),
    path("kiosks/<int:pk>/approve/", kiosks.approve, name="approve_kiosk"),
    path("kiosks/<int:pk>/place/", kiosks.place, name="place_kiosk"),
    path("kiosks/<int:pk>/end/", kiosks.end, name="end_kiosk"),
    path("leaving/", leaving.listing, name="leaving"),
    path("leaving/report/", leaving.report, name="report_leaving"),
    path("leaving/<int:pk>/end/", leaving.end, name="end_leaving"),
    path("leaving/<int:pk>/answer/", leaving.answer, name="answer_leaving"),
    path("training/", training.matrix, name="training"),
    path("training/course/", training.add_course, name="add_course"),
    path("training/course/<int:pk>/retire/", training.retire_course, name="retire_course"),
    path("training/completion/", training.add_completion, name="add_completion"),
]
