"""The app of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class PeopleConfig(AppConfig):
    name = "hq.people"
    label = "people"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Accounts", "people:accounts", "accounts.view"),
        ("Training", "people:training", "training.view"),
    ]

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What waits for this person: label, address, count."""
        from hq.people.models import Appointment, Grant, Person
        from hq.people.policy import may

        lines = []
        if may(person, "accounts.approve", standing=standing):
            proposed = Person.objects.filter(state=Person.State.PROPOSED).exclude(proposed_by=person)
            lines.append(
                ("accounts to approve", f"{reverse('people:accounts')}?state=proposed", proposed.count())
            )
        for model, action, label in (
            (Appointment, "roles.approve", "roles to approve"),
            (Grant, "grants.approve", "grants to approve"),
        ):
            if may(person, action, standing=standing):
                open_ones = model.objects.filter(approved_at=None, ended_at=None).exclude(person=person)
                first = open_ones.first()
                where = reverse("people:account", args=[first.person_id]) if first else ""
                lines.append((label, where, open_ones.count()))
        return lines
