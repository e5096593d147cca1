from django.apps import AppConfig


class AuditsConfig(AppConfig):
    name = "hq.audits"
    label = "audits"
