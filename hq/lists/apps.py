from django.apps import AppConfig


class ListsConfig(AppConfig):
    name = "hq.lists"
    label = "lists"
