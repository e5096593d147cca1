"""The app of retention, holds and destruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import pre_migrate
from django.urls import reverse

if TYPE_CHECKING:
    from hq.people.models import Person
    from hq.people.policy import Standing


class RetentionConfig(AppConfig):
    name = "hq.retention"
    label = "retention"
    menu: ClassVar[list[tuple[str, str, str]]] = [
        ("Retention", "retention:calendar", "retention.view"),
        ("Holds", "retention:holds", "holds.view"),
        ("Destruction", "retention:proposals", "destruction.view"),
    ]

    def waiting(self, person: Person, standing: Standing) -> list[tuple[str, str, int]]:
        """What this person has to sign or to look at."""
        from hq.people.policy import may
        from hq.retention import holds
        from hq.retention.models import Hold, Proposal, Schedule

        def signs(model: Any, approve: str, cosign: str) -> int:
            return sum(
                (row.approved_by_id is None and may(person, approve, obj=row, standing=standing))
                or (row.cosigned_by_id is None and may(person, cosign, obj=row, standing=standing))
                for row in model.objects.filter(state="proposed")
            )

        to_release = Hold.objects.filter(released_at__isnull=True, release_by__isnull=False)
        asks = may(person, "holds.release", standing=standing)
        releases = asks or may(person, "holds.approve_release", standing=standing)
        return [
            (
                "retention schedules to sign",
                reverse("retention:calendar"),
                signs(Schedule, "retention.approve", "retention.cosign"),
            ),
            (
                "destructions to sign",
                reverse("retention:proposals"),
                signs(Proposal, "destruction.approve", "destruction.cosign"),
            ),
            (
                "holds to release",
                reverse("retention:holds"),
                sum(may(person, "holds.approve_release", obj=row, standing=standing) for row in to_release),
            ),
            (
                "holds to review",
                reverse("retention:holds"),
                holds.to_review().count() if asks else 0,
            ),
            (
                "holds whose pattern cannot be read",
                reverse("retention:holds"),
                len(holds.unreadable()) if releases else 0,
            ),
        ]

    def ready(self) -> None:
        from hq.people import cases
        from hq.retention import checks, floor  # noqa: F401
        from hq.retention.models import Proposal

        floor.guard()
        cases.identify("proposal", cases.row_of(Proposal))

        def before_migrate(using: str, **_: Any) -> None:
            floor.lift(connections[using])

        pre_migrate.connect(before_migrate, sender=self, weak=False, dispatch_uid="hq.retention.floor")
