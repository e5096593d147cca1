from django.apps import AppConfig


class ReleasesConfig(AppConfig):
    name = "hq.releases"
    label = "releases"
