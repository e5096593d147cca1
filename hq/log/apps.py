"""The app of the access log: puts the triggers of every app back after each migrate."""

from __future__ import annotations

from typing import ClassVar

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LogConfig(AppConfig):
    name = "hq.log"
    label = "log"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Your access log", "log:own", "log.own"),
        ("Access log", "log:department", "log.department"),
        ("Log chain", "log:chain", "log.chain"),
    ]

    def ready(self) -> None:
        from hq.log import triggers

        post_migrate.connect(triggers.after_migrate, sender=self, dispatch_uid="hq.log.triggers")
