"""The app of units."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class UnitsConfig(AppConfig):
    name = "hq.units"
    label = "units"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Units", "units:board", "units.view"),
        ("Deployments", "units:deployments", "deployments.view"),
    ]

    def ready(self) -> None:
        from django.db.models.signals import post_save

        from hq.people import cases
        from hq.records.models import Unit, UnitStatus
        from hq.units.reported import heard

        post_save.connect(heard, sender=UnitStatus, dispatch_uid="hq.units.reported")
        cases.identify("unit", cases.row_of(Unit))

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What waits for this person: label, address, count."""
        from hq.people.policy import may
        from hq.units import board, register

        lines = []
        if may(person, "units.approve", standing=standing):
            lines.append(("units to approve", reverse("units:board"), register.proposed(person).count()))
        if may(person, "units.view", standing=standing):
            lines.append(("alarms of units", reverse("units:board"), len(board.alarms())))
        return lines
