"""What somebody did, as an auditor judges it: a row of the access log, or a unit's own access record.

Owns how the two are told alike. A unit records who saw plates on it by the name in its people file; a person
of HQ of that one name is taken to be the same (430.5(c): nobody audits their own).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.records.models import AccessReceived

SHOWN = "shown"
_PLATE = re.compile(r"\bplate[= ]([^ ,]+)")


@dataclass(frozen=True)
class Act:
    """One access.

    Attributes:
        number: of the log's row, or the unit and the id of its record.
        unit: id of the unit that it happened on; empty at HQ.
        who: the account at HQ; on a unit the name in its people file, with the unit.
        results: how many records were shown, None where none could be.
        done: whether it went through.
    """

    number: str
    unit: str
    at: datetime
    who: str
    name: str
    title: str
    on_behalf_of: str
    action: str
    outcome: str
    done: bool
    note: str
    purpose: str
    case: str
    elements: Mapping[str, Any]
    results: int | None

    @property
    def plate(self) -> str:
        """The plate or pattern that was asked for, empty where none was."""
        return str(self.elements.get("plate", ""))


def of_log(row: AccessRecord) -> Act:
    """A row of the access log."""
    return Act(
        number=str(row.sequence), unit="", at=row.at, who=row.username, name=row.name or row.username,
        title=row.title, on_behalf_of=row.on_behalf_of, action=row.action, outcome=row.outcome,
        done=row.outcome == "done", note=row.note, purpose=row.purpose, case=row.case, elements=row.elements,
        results=row.result_count,
    )  # fmt: skip


def of_unit(row: AccessReceived) -> Act:
    """A unit's own record; its time is that of receipt where the unit's clock was not set."""
    elements = {"asked": row.query} if row.query else {}
    if found := _PLATE.search(row.query):
        elements["plate"] = found[1]
    return Act(
        number=f"{row.unit_id} {row.pk}", unit=row.unit_id, at=row.accessed_at or row.received_at,
        who=f"{row.person} on unit {row.unit_id}", name=row.person, title=row.title, on_behalf_of="",
        action=row.action, outcome=row.outcome, done=row.outcome == SHOWN,
        note="" if row.accessed_at else "time of receipt: the unit's clock was not set",
        purpose=row.purpose, case=row.case_number, elements=elements, results=row.results,
    )  # fmt: skip


def person_of(row: AccessReceived) -> int | None:
    """The person of HQ whose name a unit's record holds, None where that is nobody or not one only."""
    found = list(Person.objects.filter(full_name__iexact=row.person.strip()).values_list("pk", flat=True)[:2])
    return found[0] if len(found) == 1 else None
