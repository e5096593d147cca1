from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "hq.people"
    label = "people"
