"""The app of releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class ReleasesConfig(AppConfig):
    name = "hq.releases"
    label = "releases"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Releases", "releases:requests", "releases.view"),
        ("Partner agencies", "releases:partners", "partners.view"),
    ]

    def ready(self) -> None:
        from hq.people import cases
        from hq.releases.models import ReleaseRequest

        cases.identify("request", cases.row_of(ReleaseRequest, "number"))

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What this person has to decide, to fulfil or to answer."""
        from hq.people.policy import may
        from hq.releases.models import Override, Partner, ReleaseRequest

        def count(states: tuple[str, ...], action: str) -> int:
            rows = ReleaseRequest.objects.filter(state__in=states)
            return sum(may(person, action, obj=row, standing=standing) for row in rows)

        partners = [*Partner.objects.filter(approved_at__isnull=True, ended_at__isnull=True)]
        overrides = [*Override.objects.filter(approved_at__isnull=True)]
        to_approve = sum(
            may(person, "partners.approve", obj=row, standing=standing) for row in (*partners, *overrides)
        )
        return [
            (
                "release requests to decide",
                reverse("releases:requests"),
                count(("received", "reviewed"), "releases.decide"),
            ),
            (
                "release requests to fulfil",
                reverse("releases:requests"),
                count(("approved",), "releases.fulfil"),
            ),
            (
                "requests to answer as custodian",
                reverse("releases:requests"),
                count(("routed",), "releases.register"),
            ),
            ("partner agencies to approve", reverse("releases:partners"), to_approve),
        ]
