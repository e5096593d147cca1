from django.apps import AppConfig


class RecordsConfig(AppConfig):
    name = "hq.records"
    label = "records"
