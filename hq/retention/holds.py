"""Holds: placed by one, reviewed on a date, released by two (430.4-d)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from hq.people import cases
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.records.models import Read
from hq.retention import asked
from hq.retention.models import HeldRead, Hold, HoldReview
from hq.retention.scope import Scope, ScopeError
from hq.site import clock

LONGEST: Final = timedelta(days=366)
"""How far ahead a hold's review may lie: one that nobody looks at again keeps reads silently (430.4-d)."""
_UNREADABLE = "pattern cannot be read: {}. It may mean any read: nothing is destroyed while it stands"
SECOND = "another Commander, administrator or the custodian of records"


@transaction.atomic
def place(
    person: Person,
    *,
    kind: str,
    case: str,
    requester: str,
    reason: str,
    review_on: date,
    scope: Scope,
    requested_by: Person | None = None,
    purpose: str = "",
) -> Hold:
    """Place a hold; it works at once. Raises Refused, ScopeError, ValidationError."""
    check(person, "holds.place", purpose=purpose, case=case)
    if why := cases.number_fault(case, own=False):
        raise Refused("430.4-d", f"a hold needs the number of its case: {why}", "nobody: enter it")
    requester = said("430.4-d", "who wants the hold", requester)
    reason = said("430.4-d", "the reason of the hold", reason)
    scope.check()
    _check_review(review_on)
    bounds = Scope(plate=scope.plate, unit=scope.unit, since=scope.since, until=scope.until, area=scope.area)
    south, west, north, east = scope.area or (None, None, None, None)
    hold = Hold(
        kind=kind,
        case=case,
        requester=requester,
        requested_by=requested_by,
        reason=reason,
        placed_by=person,
        placed_at=clock.now(),
        review_on=review_on,
        by_scope=not bounds.empty(),
        plate=scope.plate,
        unit_id=scope.unit or None,
        since=scope.since,
        until=scope.until,
        south=south,
        west=west,
        north=north,
        east=east,
    )
    hold.full_clean(exclude=["plate_like"])
    hold.save(force_insert=True)
    HeldRead.objects.bulk_create([HeldRead(hold=hold, read_id=read) for read in sorted(set(scope.reads))])
    return hold


@transaction.atomic
def review(person: Person, pk: int, finding: str, next_on: date) -> HoldReview:
    """Record that a hold is still needed, and when to look again. Raises Refused, ScopeError."""
    hold = _open(pk)
    check(person, "holds.place", purpose=None)
    finding = said("430.4-d", "what the review found", finding)
    _check_review(next_on)
    found = HoldReview.objects.create(hold=hold, by=person, at=clock.now(), finding=finding, next_on=next_on)
    hold.review_on = next_on
    hold.save(update_fields=["review_on"])
    return found


@transaction.atomic
def ask_release(person: Person, pk: int, reason: str) -> Hold:
    """The first of two: ask that a hold be released, and why. It goes on holding.

    Sent twice, it is asked once. Raises Refused, also while it is asked already: who asked first, and why,
    stays for the second of two.
    """
    hold = _open(pk)
    check(person, "holds.release", obj=hold)
    why = said("430.4-d", "the reason of the release", reason)[:500]
    if hold.release_by is not None and (hold.release_by, hold.release_reason) != (person, why):
        raise Refused(
            "430.4-d",
            f"its release is asked for already, by {hold.release_by}",
            "the custodian of records, who releases it, or who asked, to take that back",
        )
    if hold.release_by is None:
        hold.release_by, hold.release_asked_at, hold.release_reason = person, clock.now(), why
        hold.save(update_fields=["release_by", "release_asked_at", "release_reason"])
    return hold


@transaction.atomic
def withdraw_release(person: Person, pk: int, reason: str) -> Hold:
    """Take the asking back, and why: who asked, or, of an account that is closed, who could ask anew.

    The log keeps both. Raises Refused.
    """
    hold = _open(pk)
    check(person, "holds.release", obj=hold)
    if hold.release_by is None:
        raise Refused("430.4-d", "nobody has asked for this hold's release", "nobody")
    if not may_withdraw(person, hold):
        raise Refused("430.4-d", f"its release is asked for by {hold.release_by}", "that person")
    said("430.4-d", "why it is needed after all", reason)
    hold.release_by, hold.release_asked_at, hold.release_reason = None, None, ""
    hold.save(update_fields=["release_by", "release_asked_at", "release_reason"])
    return hold


def may_withdraw(person: Person, hold: Hold) -> bool:
    """Whether the asking is the person's own, or of somebody who cannot take it back any more."""
    asker = hold.release_by
    return asker is not None and (asker == person or asker.state == Person.State.CLOSED)


@transaction.atomic
def release(person: Person, pk: int) -> Hold:
    """The second of two: release it. Raises Refused, also for who asked for, placed or wanted it."""
    hold = _open(pk)
    if hold.release_by is None:
        raise Refused("430.4-d", "nobody has asked for this hold's release yet", SECOND)
    check(person, "holds.approve_release", obj=hold)
    hold.released_by, hold.released_at = person, clock.now()
    hold.save(update_fields=["released_by", "released_at"])
    return hold


def reach(hold: Hold) -> Q:
    """The reads that a hold keeps, as a condition on `records.Read`; the database's guard says the same.

    One whose pattern cannot be read may mean any plate: it keeps all within its other bounds.
    """
    named = Q(id__in=HeldRead.objects.filter(hold=hold).values("read_id"))
    if not hold.by_scope:
        return named
    scope = replace(hold.scope, plate="") if hold.unreadable else hold.scope
    # An empty Q on one side of | is dropped, though it means every read.
    return Q(pk__isnull=False) if scope.empty() else named | scope.q()


def held(since: datetime | None = None) -> Q:
    """The reads that any open hold keeps, or what is asked for and not handed out yet (`asked`).

    With `since` also what one kept that was open then and ended later. They are all reads while an open hold
    has a pattern that cannot be read.
    """
    if unreadable():
        return Q(pk__isnull=False)
    holds = Q(released_at__isnull=True)
    if since is not None:
        holds |= Q(placed_at__lte=since, released_at__gt=since)
    found = asked.reach(since)
    for hold in Hold.objects.filter(holds):
        found |= reach(hold)
    return found


def unreadable() -> list[Hold]:
    """The open holds whose pattern cannot be read. While one stands nothing is destroyed."""
    return [hold for hold in Hold.objects.filter(released_at__isnull=True) if hold.unreadable]


def check_readable() -> None:
    """Raises Refused, with the holds' numbers, while a hold stands whose pattern cannot be read."""
    if found := unreadable():
        raise Refused("430.4-d", _UNREADABLE.format(numbers_of(found)), "two persons, who release it")


def numbers_of(found: Iterable[Hold]) -> str:
    """Holds by their numbers alone, for alarms are mailed."""
    return ", ".join(f"hold {hold.pk}" for hold in found)


def of_reads(reads: Iterable[UUID]) -> dict[UUID, list[Hold]]:
    """The open holds that keep each of these reads; reads that none keeps are left out."""
    ids = list(reads)
    found: dict[UUID, list[Hold]] = {}
    for hold in Hold.objects.filter(released_at__isnull=True):
        for read in Read.objects.filter(reach(hold), id__in=ids).values_list("id", flat=True):
            found.setdefault(read, []).append(hold)
    return found


def to_review(today: date | None = None) -> QuerySet[Hold]:
    """Open holds whose review is due, the longest overdue first."""
    return Hold.objects.filter(released_at__isnull=True, review_on__lte=today or clock.today())


def _check_review(on: date) -> None:
    if not clock.today() < on <= clock.today() + LONGEST:
        raise ScopeError(f"review date: must lie ahead, by {LONGEST.days} days at most")


def _open(pk: int) -> Hold:
    hold = Hold.objects.select_for_update().get(pk=pk)
    if hold.released_at is not None:
        raise Refused("430.4-d", "this hold was released already", "whoever places a new one")
    return hold
