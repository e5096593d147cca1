from typing import ClassVar

from django.apps import AppConfig


class ListsConfig(AppConfig):
    name = "hq.lists"
    label = "lists"
    menu: ClassVar = [
        ("Hot lists", "lists:index", "lists.view"),
        ("Hot plates", "lists:manual", "lists.manual"),
        ("Partial plates", "lists:partials", "lists.partial"),
        ("Limits of entries", "lists:rules", "settings.view"),
    ]
