from __future__ import annotations

from typing import Any, ClassVar

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import pre_migrate


class RetentionConfig(AppConfig):
    name = "hq.retention"
    label = "retention"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Retention", "retention:calendar", "retention.view"),
        ("Holds", "retention:holds", "holds.view"),
        ("Destruction", "retention:proposals", "destruction.view"),
    ]

    def ready(self) -> None:
        from hq.retention import checks, floor  # noqa: F401

        floor.guard()

        def before_migrate(using: str, **_: Any) -> None:
            floor.lift(connections[using])

        pre_migrate.connect(before_migrate, sender=self, weak=False, dispatch_uid="hq.retention.floor")
