"""Addresses of log-in, accounts, roles, training."""

from django.urls import URLPattern, URLResolver, path

from hq.people import login
from hq.people.views import own

app_name = "people"
urlpatterns: list[URLPattern | URLResolver] = [
    path("login/", login.banner, name="login"),
    path("login/code/", login.second_factor, name="second_factor"),
    path("logout/", login.log_out, name="logout"),
    path("lock/", login.lock, name="lock"),
    path("unlock/", login.unlock, name="unlock"),
    path("password/", login.own_password, name="password"),
    path("purpose/", own.purpose, name="purpose"),
    path("me/", own.profile, name="profile"),
]
