"""Takes in what a unit sent before its enrolment was approved, once two persons have said so (430.2-c).

Owns the proposal, the approval and the order in which messages are tried. What becomes of each is decided by
`hq.records.intake` as for a message that comes in now; the numbers were receipted when the messages went into
quarantine, so that no receipt changes. What cannot be decoded stays where it is, with its reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Count, Max, Min, QuerySet, Sum

from hq.log import chain
from hq.people.models import Person
from hq.people.policy import Refused, check
from hq.records.intake import Intake, Source, quarantine_digest
from hq.records.messages import Received, read_message
from hq.records.models import Admission, Quarantined, Transfer, Unit
from hq.site import clock
from mqtt import messages

BATCH: Final = 200

CLAUSE: Final = "430.2-c"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What lies in quarantine of one name that was no enrolled unit, and has not been tried."""

    unit_name: str
    unit: Unit | None
    messages: int
    octets: int
    first_at: datetime
    last_at: datetime

    @property
    def enrolled(self) -> bool:
        """Whether the unit is enrolled now, so that it can be admitted."""
        return self.unit is not None and self.unit.state == Unit.State.ENROLLED


def waiting() -> list[Waiting]:
    """What might be admitted, by the unit's name."""
    rows = (
        Quarantined.objects.filter(not_enrolled=True, admission=None)
        .values("unit_name")
        .annotate(n=Count("pk"), octets=Sum("size"), first=Min("received_at"), last=Max("received_at"))
        .order_by("unit_name")
    )
    units = Unit.objects.in_bulk([row["unit_name"] for row in rows])
    return [
        Waiting(
            row["unit_name"], units.get(row["unit_name"]), row["n"], row["octets"], row["first"], row["last"]
        )
        for row in rows
    ]


@transaction.atomic
def propose(person: Person, unit_id: str, reason: str) -> Admission:
    """Propose to admit what has come of a unit until now. Raises Refused."""
    check(person, "units.register")
    unit = Unit.objects.select_for_update().filter(pk=unit_id).first()
    if unit is None or unit.state != Unit.State.ENROLLED:
        raise Refused(CLAUSE, f"unit {unit_id} is not enrolled", "the Commander, who approves its enrolment")
    if not reason.strip():
        raise Refused(CLAUSE, "taking in what was quarantined needs its reason", "nobody: say why")
    if Admission.objects.filter(unit=unit, done_at=None, declined_at=None).exists():
        raise Refused(
            CLAUSE, f"an admission of unit {unit_id} is open already", "the Commander, who decides it"
        )
    at = clock.now()
    count, digest = _measure(_reached(unit_id, at))
    if not count:
        raise Refused(CLAUSE, f"nothing of unit {unit_id} waits in quarantine", "nobody")
    made = Admission.objects.create(
        unit=unit, reason=reason.strip(), messages=count, sha256=digest, proposed_by=person, proposed_at=at
    )
    _log(made, person, "quarantine.propose")
    return made


@transaction.atomic
def approve(person: Person, pk: int) -> Admission:
    """Give leave, as a second person. Raises Refused, also where it no longer reaches what was proposed."""
    held = _open(pk)
    check(person, "units.approve", obj=held)
    if _measure(_reached(held.unit_id, held.proposed_at)) != (held.messages, held.sha256):
        raise Refused(
            CLAUSE,
            "what was proposed is no longer what lies in quarantine",
            "nobody: decline it, propose anew",
        )
    held.approved_by, held.approved_at = person, clock.now()
    held.save(update_fields=["approved_by", "approved_at"])
    _log(held, person, "quarantine.approve")
    return held


@transaction.atomic
def decline(person: Person, pk: int, why: str) -> Admission:
    """Leave it in quarantine. Raises Refused."""
    check(person, "units.approve")
    held = _open(pk)
    if not why.strip():
        raise Refused(CLAUSE, "declining needs its reason", "nobody: say why")
    held.declined_by, held.declined_at, held.declined_why = person, clock.now(), why.strip()
    held.save(update_fields=["declined_by", "declined_at", "declined_why"])
    _log(held, person, "quarantine.decline")
    return held


def step(intake: Intake) -> Admission | None:
    """Try one batch of the oldest admission that is approved; None where nothing is to be done.

    Raises DatabaseError or OSError for what may pass; the batch then comes again with the next step.
    """
    approved = Admission.objects.filter(approved_at__isnull=False, done_at=None, unit__state="enrolled")
    held = approved.select_related("proposed_by", "approved_by").order_by("pk").first()
    if held is None:
        return None
    rows = list(_reached(held.unit_id, held.proposed_at)[:BATCH])
    if not rows:
        _finish(held)
        return held
    whose = f"proposed by {held.proposed_by.username}, approved by {_name(held.approved_by)}"
    source = Source(Transfer.Way.ADMISSION, str(held), whose[:200])
    good = [item for row in rows if (item := _again(row, held, intake)) is not None]
    if good:
        intake.admit(good, held, source)
    return held


def left(admission: Admission) -> QuerySet[Quarantined]:
    """What an admission could not take in."""
    return admission.tried.filter(admitted_at=None)


def _reached(unit_id: str, until: datetime) -> QuerySet[Quarantined]:
    rows = Quarantined.objects.filter(unit_name=unit_id, not_enrolled=True, admission=None)
    return rows.filter(received_at__lte=until).order_by("pk")


def _measure(rows: QuerySet[Quarantined]) -> tuple[int, str]:
    digests: Iterable[str] = rows.values_list("digest", flat=True).iterator(2000)
    count, total = 0, hashlib.sha256()
    for digest in digests:
        count += 1
        total.update(digest.encode())
    return count, total.hexdigest()


def _again(row: Quarantined, admission: Admission, intake: Intake) -> Received | None:
    """The message as it came; None, and marked as tried, where it still cannot be taken."""
    try:
        payload = intake.payload_of(row)
    except FileNotFoundError:
        _leave(row, admission, "its payload's file is gone")
        return None
    item = replace(read_message(row.topic, payload), came_at=row.received_at)
    if quarantine_digest(item) != row.digest:
        _leave(row, admission, "its payload is not the one that came")
    elif item.reason:
        _leave(row, admission, item.reason)
    elif item.name not in messages.NUMBERED:
        _leave(row, admission, f"{item.name}: a request of then needs no answer now")
    else:
        return item
    return None


def _leave(row: Quarantined, admission: Admission, reason: str) -> None:
    row.admission, row.reason = admission, reason[:1000]
    row.save(update_fields=["admission", "reason"])


def _finish(held: Admission) -> None:
    with transaction.atomic():
        held.done_at = clock.now()
        held.save(update_fields=["done_at"])
        kept = left(held).count()
        chain.append(
            kind="unit",
            person=None,
            action="quarantine.admit",
            elements={"unit": held.unit_id, "admission": held.pk, "sha256": held.sha256, "left": kept},
            result_count=held.tried.count() - kept,
            ids=[held.unit_id],
            note=f"approved by {_name(held.approved_by)}",
        )


def _open(pk: int) -> Admission:
    held = Admission.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if held is None or held.approved_at is not None or held.declined_at is not None:
        raise Refused(CLAUSE, "the admission does not wait for a decision", "nobody")
    return held


def _log(admission: Admission, person: Person, action: str) -> None:
    chain.append(
        kind="unit",
        person=person,
        action=action,
        elements={"unit": admission.unit_id, "admission": admission.pk, "sha256": admission.sha256},
        result_count=admission.messages,
        ids=[admission.unit_id],
        note=admission.declined_why or admission.reason,
    )


def _name(person: Person | None) -> str:
    return person.username if person is not None else ""
