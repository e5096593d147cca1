from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "hq.api"
    label = "api"
