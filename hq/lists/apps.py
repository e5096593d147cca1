"""The app of hot lists, hot plates and partial plates."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class ListsConfig(AppConfig):
    name = "hq.lists"
    label = "lists"
    menu: ClassVar = [
        ("Hot lists", "lists:index", "lists.view"),
        ("Hot plates", "lists:manual", "lists.manual"),
        ("Partial plates", "lists:partials", "lists.partial"),
        ("Limits of entries", "lists:rules", "settings.view"),
    ]

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What this person has to approve or to put right."""
        from hq.lists import ageing, groups
        from hq.lists.models import HotListVersion, Rules, StandingApproval
        from hq.people.policy import may

        lines = []
        if may(person, "lists.approve", standing=standing):
            drafts = HotListVersion.objects.filter(state="draft").exclude(prepared_by=person)
            lines.append(("hot lists to approve", reverse("lists:index"), drafts.count()))
            given = StandingApproval.objects.filter(approved_at=None, ended_at=None)
            waiting = given.exclude(proposed_by=person).count()
            lines.append(("standing approvals to give", reverse("lists:approvals"), waiting))
        if may(person, "settings.approve", standing=standing):
            rules = Rules.objects.filter(approved_at=None).exclude(proposed_by=person)
            lines.append(("limits of entries to approve", reverse("lists:rules"), rules.count()))
        if may(person, "lists.import", standing=standing):
            lines.append(("stale hot lists", reverse("lists:index"), len(ageing.stale())))
            lines.append(("units in no group", reverse("lists:index"), groups.without().count()))
        return lines
