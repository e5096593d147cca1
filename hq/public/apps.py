"""The app of the posted policy and figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing
    from hq.site.doctor import Finding


class PublicConfig(AppConfig):
    name = "hq.public"
    label = "public"
    menu: ClassVar[list[tuple[str, str, str]]] = [("Posted policy", "public:policy", "policy.view")]

    def doctor(self) -> Iterator[Finding]:
        """What the policy page lacks."""
        from hq.public.alarms import alarms
        from hq.site.doctor import Finding

        for alarm in alarms():
            yield Finding(False, alarm.clause, alarm.text, "see Posted policy")

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What waits for this person: label, address, count."""
        from hq.people.policy import may
        from hq.public import slots, texts

        lines = []
        if may(person, "policy.approve", standing=standing):
            count = len([text for text in texts.waiting() if text.prepared_by_id != person.pk])
            lines.append(("policy texts to approve", reverse("public:policy"), count))
        if may(person, "policy.prepare", standing=standing):
            lines.append(("gaps of the policy", reverse("public:policy"), len(slots.gaps())))
        return lines
