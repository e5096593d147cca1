from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "hq.site"
    label = "site"
