from typing import ClassVar

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "hq.api"
    label = "api"
    menu: ClassVar = [
        ("API tokens", "api:tokens", "tokens.view"),
        ("Feeds", "api:feeds", "feeds.view"),
    ]
