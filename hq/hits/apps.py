"""The app of hits."""

from __future__ import annotations

from typing import Any, ClassVar

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class HitsConfig(AppConfig):
    name = "hq.hits"
    label = "hits"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Hit board", "hits:board", "hits.board"),
        ("Unverified hits", "hits:unverified", "hits.view"),
        ("Misreads", "hits:misreads", "units.view"),
    ]

    def ready(self) -> None:
        from hq.hits import guard, review
        from hq.people import cases

        def before_migrate(using: str, **_: Any) -> None:
            guard.lift(connections[using])

        def after_migrate(using: str, **_: Any) -> None:
            guard.install(connections[using])

        pre_migrate.connect(before_migrate, sender=self, weak=False, dispatch_uid="hq.hits.lift")
        post_migrate.connect(after_migrate, sender=self, weak=False, dispatch_uid="hq.hits.guard")
        cases.identify("hit", review.is_live)
