from django.apps import AppConfig


class HitsConfig(AppConfig):
    name = "hq.hits"
    label = "hits"
