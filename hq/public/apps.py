from django.apps import AppConfig


class PublicConfig(AppConfig):
    name = "hq.public"
    label = "public"
