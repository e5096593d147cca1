"""Every page's address: one line an app, so that the tests can walk them all."""

from django.urls import include, path

from hq import APPS

PREFIXES = {"site": "", "records": "reads/", "api": "api/"}

urlpatterns = [path(PREFIXES.get(name, f"{name}/"), include(f"hq.{name}.urls")) for name in APPS]
