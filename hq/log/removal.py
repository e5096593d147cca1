"""Removes old rows of the access log, as its schedule says, and keeps the chain provable.

Proposed by the administrator, approved by the Commander, co-signed by the custodian, under a live authority
to destroy (Government Code 34090), carried out by `platewarden-hq log remove`. Each range of rows leaves a
signed anchor: the hash before its first row and that of its last. What keeps a row is in `hq.log.floor`,
which the database asks too.

The authority must hold when the first rows go: what was begun in time is finished. All else is asked with
each batch. One that cannot go on is withdrawn, whatever has gone by then, for each batch has its own anchor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import Min

from hq.log import chain, heads
from hq.log.floor import FLOOR_DAYS, keeps
from hq.log.models import AccessRecord, Removal, Removed
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.retention import holds, purge, schedules
from hq.retention.models import Authority, Schedule
from hq.site import clock

CATEGORY = "access_log"
CLAUSE = "CJIS AU-11"
BATCH = 5000
STATEMENT = (
    "I have compared this removal with the records schedule, the holds and the breach register, and consent."
)

WITHDRAWS = "the administrator, the Commander or the custodian of records, who withdraws it"

Range = tuple[int, int]


class NotRemoved(Exception):
    """The database keeps a row that should go by what the program knows; nothing of the batch is gone."""


@transaction.atomic
def propose(person: Person, authority: Authority) -> Removal:
    """Propose to remove what the log's schedule makes due and nothing keeps. Raises Refused."""
    check(person, "destruction.propose")
    schedule = schedules.in_force(CATEGORY)
    if schedule is None:
        raise Refused(
            CLAUSE,
            "no retention schedule of the access log is in force",
            "the Commander and the custodian of records",
        )
    _check_authority(authority)
    if held := Removal.objects.filter(state__in=Removal.OPEN).first():
        raise Refused(
            "430.2.1(f)", f"removal {held.pk} is open already", "its signers, who decide or withdraw it"
        )
    holds.check_readable()
    before = _due_before(schedule)
    last = _last_before(before)
    ranges = list(_without(_here(1, last), _kept(1, last)))
    rows = sum(end - start + 1 for start, end in ranges)
    if not rows:
        raise Refused(CLAUSE, f"no row is older than {_days(schedule)} days and kept by nothing", "nobody")
    return Removal.objects.create(
        schedule=schedule,
        authority=authority,
        before=before,
        ranges=ranges,
        rows=rows,
        kept=AccessRecord.objects.filter(sequence__lte=last).count() - rows,
        proposed_by=person,
        proposed_at=clock.now(),
    )


@transaction.atomic
def approve(person: Person, pk: int) -> Removal:
    """The Commander's signature. Raises Refused."""
    removal = _proposed(pk)
    check(person, "destruction.approve", obj=removal)
    removal.approved_by, removal.approved_at = person, clock.now()
    removal.save(update_fields=["approved_by", "approved_at"])
    return removal


@transaction.atomic
def cosign(person: Person, pk: int) -> Removal:
    """The custodian's signature, after the Commander's; from then on it may be run. Raises Refused."""
    removal = _proposed(pk)
    if removal.approved_by is None:
        raise Refused("GC-34090.6", "the Commander has not approved this removal yet", "the Commander")
    check(person, "destruction.cosign", obj=removal)
    _check_true(removal)
    removal.cosigned_by, removal.cosigned_at = person, clock.now()
    removal.statement, removal.state = STATEMENT, Removal.State.COSIGNED
    removal.save(update_fields=["cosigned_by", "cosigned_at", "statement", "state"])
    return removal


@transaction.atomic
def refuse(person: Person, pk: int, why: str) -> Removal:
    """Either signer may refuse it. Raises Refused."""
    removal = _proposed(pk)
    try:
        check(person, "destruction.approve", obj=removal)
    except Refused:
        check(person, "destruction.cosign", obj=removal)
    reason = said("430.2.1(f)", "the reason of the refusal", why)
    removal.refused_by, removal.refused_at, removal.refused_why = person, clock.now(), reason[:300]
    removal.state = Removal.State.REFUSED
    removal.save(update_fields=["refused_by", "refused_at", "refused_why", "state"])
    return removal


@transaction.atomic
def withdraw(person: Person, pk: int, why: str) -> Removal:
    """Take back a removal that is not done, by a role that signs it: no more rows go. Raises Refused."""
    removal = Removal.objects.select_for_update().get(pk=pk)
    if removal.state not in Removal.OPEN:
        raise Refused("430.2.1(f)", f"removal {pk} is {removal.get_state_display()}", "nobody: it is closed")
    check(person, "destruction.withdraw", obj=removal)
    reason = said("430.2.1(f)", "the reason of the withdrawal", why)
    removal.refused_by, removal.refused_at, removal.refused_why = person, clock.now(), reason[:300]
    removal.state = Removal.State.WITHDRAWN
    removal.save(update_fields=["refused_by", "refused_at", "refused_why", "state"])
    return removal


def gone(removal: Removal) -> int:
    """How many rows went under it."""
    return sum(one.last - one.first + 1 for one in removal.anchors.all())


def hindrance(removal: Removal) -> str:
    """Why an open removal can be neither co-signed nor carried out as things are, "" if it can."""
    try:
        _check_true(removal)
    except Refused as refused:
        return refused.why
    return ""


def run(pk: int, *, run_by: str) -> int:
    """Carry out a co-signed removal; the number of rows that went. Cut off, another run goes on where it was.

    Raises Refused, NotRemoved, purge.Busy beside a purge or backup, KeyExposed, LogUnavailable, OSError.
    """
    with purge.alone():
        with transaction.atomic():
            removal = _cosigned(pk)
        try:
            for part in _batches(removal.ranges):
                _remove(pk, part)
            count = _close(pk, run_by)
        except (Refused, NotRemoved):
            # What went by now does not stay in the write-ahead log until somebody decides.
            purge.forget_log()
            raise
        purge.forget_log()
        return count


@transaction.atomic
def _remove(pk: int, part: Range) -> None:
    """Put the anchors of what may go in its place, then let the rows go. Raises Refused, NotRemoved."""
    # With each batch: it may have been withdrawn meanwhile, or another schedule have come into force.
    removal = _cosigned(pk)
    for first, last in _without(_here(*part), _kept(*part)):
        if fault := chain.verify_rows(first, last) or heads.verify_rows(first, last):
            raise Refused(
                "CJIS AU-9",
                f"row {fault.sequence}: {fault.what}; an anchor would hide it, so no row goes",
                f"the auditor, who looks into it with platewarden-hq log verify, then {WITHDRAWS}",
            )
        previous = AccessRecord.objects.get(sequence=first).previous
        total, at = AccessRecord.objects.get(sequence=last).hash, clock.now()
        text = heads.anchor_text(first, last, previous, total, chain.stamp(at))
        Removed.objects.create(
            removal=removal,
            first=first,
            last=last,
            previous=previous,
            hash=total,
            at=at,
            signature=heads.sign_text(text),
        )
        rows = AccessRecord.objects.filter(sequence__gte=first, sequence__lte=last)
        try:
            count = rows._raw_delete(rows.db)
        except IntegrityError as error:
            raise NotRemoved(
                f"rows {first} to {last}: the database keeps one of them, by its own clock or by what came "
                "in between; run platewarden-hq log remove again, and withdraw the removal if that stays"
            ) from error
        if count != last - first + 1:
            raise NotRemoved(f"rows {first} to {last}: {count} went; run platewarden-hq log verify")


@transaction.atomic
def _close(pk: int, run_by: str) -> int:
    removal = _cosigned(pk)
    count = gone(removal)
    removal.state, removal.done_at, removal.run_by = Removal.State.DONE, clock.now(), run_by
    removal.save(update_fields=["state", "done_at", "run_by"])
    chain.append(
        kind="retention",
        person=None,
        username=run_by,
        action="destruction.run",
        purpose="retention",
        case=str(pk),
        elements={"removal": pk, "schedule": str(removal.schedule), "before": removal.before},
        result_count=count,
        note="rows of the access log",
    )
    return count


def _cosigned(pk: int) -> Removal:
    """The removal, locked, if it may begin or go on now. In a transaction only. Raises Refused."""
    removal = Removal.objects.select_for_update().get(pk=pk)
    if removal.state != Removal.State.COSIGNED:
        state = removal.get_state_display()
        raise Refused("430.2.1(f)", f"removal {pk} is {state}, not co-signed", "the custodian of records")
    _check_true(removal)
    return removal


def _check_true(removal: Removal) -> None:
    """Whether what its signers were told still holds. Raises Refused."""
    if not removal.anchors.exists():
        _check_authority(removal.authority, WITHDRAWS)
    if removal.schedule.state != Schedule.State.IN_FORCE:
        raise Refused(CLAUSE, f"{removal.schedule} is no longer in force", WITHDRAWS)
    if removal.before > _due_before(removal.schedule):
        raise Refused(
            CLAUSE,
            f"removal {removal.pk} names rows that are not due by this machine's clock",
            f"whoever sets the clock right, or {WITHDRAWS}",
        )
    holds.check_readable()


def _due_before(schedule: Schedule) -> datetime:
    return clock.now() - timedelta(days=_days(schedule))


def _days(schedule: Schedule) -> int:
    return max(FLOOR_DAYS, schedule.days)


def _last_before(before: datetime) -> int:
    """The last row of the log's beginning that is old enough; never its very last row."""
    younger = AccessRecord.objects.filter(at__gte=before).aggregate(first=Min("sequence"))["first"]
    return int(younger or chain.head().sequence) - 1


def _kept(first: int, last: int) -> list[int]:
    """The rows from `first` to `last` that something keeps, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.sequence FROM log_accessrecord o WHERE o.sequence BETWEEN %s AND %s "
            f"AND {keeps(connection.vendor, 'o').replace('%', '%%')} ORDER BY o.sequence",
            [first, last],
        )
        return [int(row[0]) for row in cursor.fetchall()]


def _here(first: int, last: int) -> list[Range]:
    """The ranges of rows from `first` to `last` that were not removed before."""
    found, start = [], first
    for gap in Removed.objects.filter(last__gte=first, first__lte=last).order_by("first"):
        if gap.first > start:
            found.append((start, gap.first - 1))
        start = max(start, gap.last + 1)
    return [*found, (start, last)] if start <= last else found


def _without(ranges: Iterable[Range], kept: Iterable[int]) -> Iterator[Range]:
    """The ranges but for the rows in `kept`, which are in order, as the ranges are."""
    left = deque(kept)
    for first, last in ranges:
        start = first
        while left and left[0] <= last:
            row = left.popleft()
            if row > start:
                yield start, row - 1
            start = max(start, row + 1)
        if start <= last:
            yield start, last


def _batches(ranges: Iterable[Range]) -> Iterator[Range]:
    for first, last in ranges:
        for start in range(first, last + 1, BATCH):
            yield start, min(start + BATCH - 1, last)


def _check_authority(
    authority: Authority, who: str = "the legislative body, with the agency attorney's written consent"
) -> None:
    if authority.kind != Authority.Kind.DESTRUCTION or not authority.live():
        raise Refused(
            "GC-34090.6",
            f"the authority {authority.title!r} does not allow a destruction today",
            who,
        )


def _proposed(pk: int) -> Removal:
    removal = Removal.objects.select_for_update().get(pk=pk)
    if removal.state != Removal.State.PROPOSED:
        raise Refused(
            "430.2.1(f)", f"removal {pk} is {removal.get_state_display()}", "whoever makes a new one"
        )
    return removal
