"""The app of the access log: puts the triggers of every app back after each migrate."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LogConfig(AppConfig):
    name = "hq.log"
    label = "log"

    def ready(self) -> None:
        from hq.log import triggers

        post_migrate.connect(triggers.after_migrate, sender=self, dispatch_uid="hq.log.triggers")
