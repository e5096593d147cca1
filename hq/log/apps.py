"""The app of the access log: puts the triggers of every app back after each migrate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing
    from hq.retention.alarms import Alarm


class LogConfig(AppConfig):
    name = "hq.log"
    label = "log"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Your access log", "log:own", "log.own"),
        ("Access log", "log:department", "log.department"),
        ("Log chain", "log:chain", "log.chain"),
        ("Old log rows", "log:removals", "destruction.view"),
    ]

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What waits for this person: label, address, count."""
        from hq.log.models import Removal
        from hq.people.policy import may

        def signs(row: Removal) -> bool:
            action = "destruction.approve" if row.approved_by_id is None else "destruction.cosign"
            return may(person, action, obj=row, standing=standing)

        proposed = Removal.objects.filter(state=Removal.State.PROPOSED)
        return [("removals of log rows to sign", reverse("log:removals"), sum(map(signs, proposed)))]

    def alarms(self) -> Iterator[Alarm]:
        """Co-signed removals that cannot be carried out, or were cut off."""
        from hq.log import removal
        from hq.log.models import Removal
        from hq.retention.alarms import Alarm

        for row in Removal.objects.filter(state=Removal.State.COSIGNED).select_related(
            "authority", "schedule"
        ):
            name = f"removal {row.pk} of log rows"
            if why := removal.hindrance(row):
                yield Alarm("430.2.1(f)", f"{name} cannot be carried out: {why}; withdraw it")
            elif row.anchors.exists():
                yield Alarm(
                    "430.2.1(f)", f"{name} was begun and is not finished; run platewarden-hq log remove"
                )

    def ready(self) -> None:
        from hq.log import floor, triggers

        floor.guard()
        post_migrate.connect(triggers.after_migrate, sender=self, dispatch_uid="hq.log.triggers")
