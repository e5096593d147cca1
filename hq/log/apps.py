from django.apps import AppConfig


class LogConfig(AppConfig):
    name = "hq.log"
    label = "log"
