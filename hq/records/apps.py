"""The app of what units sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class RecordsConfig(AppConfig):
    name = "hq.records"
    label = "records"
    menu: ClassVar[list[tuple[str, str, str]]] = [("Quarantine", "records:quarantine", "units.view")]

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What waits for this person: label, address, count."""
        from hq.people.policy import may
        from hq.records import admission
        from hq.records.models import Admission

        where = reverse("records:quarantine")
        lines = []
        if may(person, "units.approve", standing=standing):
            proposed = Admission.objects.filter(approved_at=None, declined_at=None).exclude(
                proposed_by=person
            )
            lines.append(("quarantined messages to admit", where, proposed.count()))
        if may(person, "units.register", standing=standing):
            enrolled = [one for one in admission.waiting() if one.enrolled]
            lines.append(("enrolled units with quarantined messages", where, len(enrolled)))
        return lines

    def demo(self) -> None:
        """Enrol the demonstration's unit."""
        from hq.records.models import Unit

        Unit.objects.get_or_create(
            unit_id="demo", defaults={"name": "Rendered street (demo)", "state": Unit.State.ENROLLED}
        )
