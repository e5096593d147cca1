"""The app of evidence packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.apps import AppConfig
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class EvidenceConfig(AppConfig):
    name = "hq.evidence"
    label = "evidence"
    menu: ClassVar[list[tuple[str, str, str]]] = [("Evidence", "evidence:packages", "evidence.view")]

    def ready(self) -> None:
        from hq.evidence.models import Package
        from hq.people import cases

        cases.identify("package", cases.row_of(Package, "number"))

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What this person has to approve, to make or to book."""
        from hq.evidence.models import Package
        from hq.people.policy import may

        def count(state: str, action: str) -> int:
            rows = Package.objects.filter(state=state)
            return sum(may(person, action, obj=row, standing=standing) for row in rows)

        return [
            (
                "evidence packages to approve",
                reverse("evidence:packages"),
                count("requested", "evidence.approve"),
            ),
            (
                "evidence packages to make",
                reverse("evidence:packages"),
                count("approved", "evidence.prepare"),
            ),
            ("packages not booked", reverse("evidence:packages"), count("prepared", "evidence.book")),
        ]
