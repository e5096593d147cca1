from django.apps import AppConfig


class UnitsConfig(AppConfig):
    name = "hq.units"
    label = "units"
