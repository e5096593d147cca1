"""`admit`: take in what two persons admitted out of quarantine, and say what else lies there."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from hq.records import admission
from hq.records.intake import Intake
from hq.records.models import Admission
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Take in what two persons admitted out of quarantine; count what else lies there."

    def handle(self, *args: Any, **options: Any) -> None:
        with closing(Intake()) as intake:
            try:
                while (held := admission.step(intake)) is not None:
                    if held.done_at is not None:
                        self._tell(held)
            except (DatabaseError, OSError) as error:
                raise CommandError(f"the rest waits in quarantine: {type(error).__name__}") from error
        for one in admission.waiting():
            state = one.unit.state if one.unit is not None else "not registered"
            self.stdout.write(f"{one.unit_name or '(no unit)'}, {state}: {one.messages} messages wait")

    def _tell(self, held: Admission) -> None:
        left = admission.left(held).count()
        self.stdout.write(f"{held.unit_id}: {held.messages - left} taken in, {left} left in quarantine")
