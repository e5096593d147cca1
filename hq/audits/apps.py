"""The app of audits and breaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class AuditsConfig(AppConfig):
    name = "hq.audits"
    label = "audits"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Audits", "audits:index", "audits.view"),
        ("Odd and old searches", "audits:reports", "audits.view"),
        ("Breaches", "audits:breaches", "breaches.view"),
    ]

    def ready(self) -> None:
        from hq.audits.models import Audit
        from hq.people import cases

        cases.identify("audit", cases.row_of(Audit))

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What waits for this person: label, address, count."""
        from hq.audits.alarms import alarms
        from hq.audits.models import Audit, Item, Plan
        from hq.people.policy import may

        lines = []
        if may(person, "audits.run", standing=standing):
            mine = Item.objects.filter(assigned_to=person, mark="", audit__signed_at=None)
            lines.append(("records of a sample to judge", reverse("audits:index"), mine.count()))
        if may(person, "audits.approve", standing=standing):
            signed = Audit.objects.filter(signed_at__isnull=False, approved_at=None)
            lines.append(("audits to sign off", reverse("audits:index"), signed.count()))
            plans = Plan.objects.filter(approved_at=None).exclude(proposed_by=person)
            newest = Plan.current()
            if newest is not None:
                plans = plans.filter(pk__gt=newest.pk)
            lines.append(("audit plans to approve", reverse("audits:index"), plans.count()))
        if may(person, "audits.view", standing=standing):
            lines.append(("alarms of audits and breaches", reverse("audits:index"), len(alarms())))
        return lines
