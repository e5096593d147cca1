from django.apps import AppConfig


class SearchConfig(AppConfig):
    name = "hq.search"
    label = "search"
