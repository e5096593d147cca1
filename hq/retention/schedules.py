"""How long reads and other records are kept: versions proposed, approved by the Commander, co-signed.

Nothing is kept for less than a year but by a stored authority that says so (430.4-c, GC-34090.6).
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.core.files import File
from django.db import transaction
from django.db.models import Max

from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.records.keeping import FLOOR_DAYS
from hq.records.models import Read, Unit
from hq.retention.models import RECORD_CATEGORIES, Authority, Schedule
from hq.site import clock

RELEASES = "release_requests"
COMMANDER = "another Commander or a designee"


def store_authority(person: Person, authority: Authority, document: File[bytes]) -> Authority:
    """Store a signed authority with its document and the document's SHA-256.

    Raises Refused without the right; ValidationError for missing fields.
    """
    check(person, "retention.propose")
    document.seek(0)
    authority.sha256 = hashlib.sha256(document.read()).hexdigest()
    document.seek(0)
    authority.document = document
    authority.entered_by = person
    authority.full_clean()
    authority.save(force_insert=True)
    return authority


@transaction.atomic
def propose(
    person: Person,
    *,
    category: str,
    days: int,
    basis: str,
    reason: str,
    unit: Unit | None = None,
    authority: Authority | None = None,
    grace_days: int = 30,
) -> Schedule:
    """Propose a new version.

    Raises Refused without a basis or reason, and for too few days without a live authority that allows them.
    """
    check(person, "retention.propose")
    basis, reason = said("430.2-d", "the basis", basis), said("430.2-d", "the reason", reason)
    _check_floor(category, days, authority)
    # Of two that are proposed at once the second waits here: no constraint tells versions without a source.
    list(Schedule.objects.select_for_update().order_by("pk"))
    last = Schedule.objects.filter(category=category, unit=unit).aggregate(last=Max("version"))["last"]
    schedule = Schedule(
        category=category,
        unit=unit,
        version=(last or 0) + 1,
        days=days,
        grace_days=grace_days,
        basis=basis,
        reason=reason,
        authority=authority,
        proposed_by=person,
        proposed_at=clock.now(),
    )
    schedule.full_clean()
    schedule.save(force_insert=True)
    return schedule


@transaction.atomic
def approve(person: Person, pk: int) -> Schedule:
    """The Commander's signature. Raises Refused."""
    schedule = _proposed(pk)
    check(person, "retention.approve", obj=schedule)
    _unsigned(schedule, schedule.approved_by)
    if schedule.cosigned_by == person:
        raise Refused("430.2.1(f)", "it takes a second person: you have co-signed it", COMMANDER)
    schedule.approved_by, schedule.approved_at = person, clock.now()
    schedule.save(update_fields=["approved_by", "approved_at"])
    return _come_into_force(schedule)


@transaction.atomic
def cosign(person: Person, pk: int) -> Schedule:
    """The custodian's signature (430.2.1(f)). Raises Refused."""
    schedule = _proposed(pk)
    check(person, "retention.cosign", obj=schedule)
    _unsigned(schedule, schedule.cosigned_by)
    schedule.cosigned_by, schedule.cosigned_at = person, clock.now()
    schedule.save(update_fields=["cosigned_by", "cosigned_at"])
    return _come_into_force(schedule)


@transaction.atomic
def refuse(person: Person, pk: int, why: str) -> Schedule:
    """Either signer may refuse a proposed version. Raises Refused."""
    schedule = _proposed(pk)
    try:
        check(person, "retention.approve", obj=schedule)
    except Refused:
        check(person, "retention.cosign", obj=schedule)
    reason = said("430.2-d", "the reason of the refusal", why)
    schedule.state, schedule.ended_at, schedule.ended_why = Schedule.State.REFUSED, clock.now(), reason[:300]
    schedule.save(update_fields=["state", "ended_at", "ended_why"])
    return schedule


def in_force(category: str, unit: str = "") -> Schedule | None:
    """The schedule that counts for a unit's reads: its own, else its category's, else none."""
    held = Schedule.objects.filter(category=category, state=Schedule.State.IN_FORCE)
    own = held.filter(unit=unit).first() if unit else None
    return own or held.filter(unit__isnull=True).first()


def lawful(schedule: Schedule) -> bool:
    """Whether its days may still be applied: an authority for less than a year runs out."""
    if schedule.days >= FLOOR_DAYS:
        return True
    authority = schedule.authority
    return (
        authority is not None
        and authority.kind == Authority.Kind.SHORTER
        and authority.least_days <= schedule.days
        and authority.live()
    )


def days_of(schedule: Schedule) -> int:
    """The days that are applied under a schedule in force: a year where its authority ran out."""
    return schedule.days if lawful(schedule) else FLOOR_DAYS


def days_for(category: str, unit: str = "") -> int:
    """The days that the schedule in force says; a year where there is none or its authority ran out."""
    schedule = in_force(category, unit)
    return FLOOR_DAYS if schedule is None else days_of(schedule)


def purge_on(read: Read) -> datetime:
    """The first moment at which a read may be purged."""
    return read.purge_after + timedelta(days=days_for(read.category, read.unit_id) - FLOOR_DAYS)


def _check_floor(category: str, days: int, authority: Authority | None) -> None:
    least = RECORD_CATEGORIES.get(category, FLOOR_DAYS)
    if category == RELEASES:
        _check_releases(days)
    if days >= least:
        return
    if category in RECORD_CATEGORIES:
        raise Refused("CJIS AU-11", f"{category} is kept for {least} days at least", "nobody")
    if authority is None:
        raise Refused(
            "430.4-c",
            f"{days} days are fewer than {FLOOR_DAYS}; that takes a stored, signed authority",
            "the legislative body, with the agency attorney's written consent (Government Code 34090.6)",
        )
    allows = authority.kind == Authority.Kind.SHORTER and authority.least_days <= days
    if not allows or not authority.live():
        raise Refused(
            "GC-34090.6",
            f"the authority {authority.title!r} does not allow {days} days today",
            "the legislative body, with the agency attorney's written consent",
        )


def _check_releases(days: int) -> None:
    """A request is kept no shorter than the reads that went out and the log that tells of it (430.8(c))."""
    held = Schedule.objects.filter(state=Schedule.State.IN_FORCE).exclude(category=RELEASES)
    longest = held.order_by("-days").first()
    if longest is not None and days < longest.days:
        raise Refused(
            "430.8(c)",
            f"{days} days are fewer than the {longest.days} of {longest.category}, in force",
            "nobody: propose as many days as that",
        )


def _proposed(pk: int) -> Schedule:
    schedule = Schedule.objects.select_for_update().get(pk=pk)
    if schedule.state != Schedule.State.PROPOSED:
        raise Refused(
            "430.2-d", f"{schedule} is {schedule.get_state_display()}, no longer proposed", COMMANDER
        )
    return schedule


def _unsigned(schedule: Schedule, signer: Person | None) -> None:
    if signer is not None:
        raise Refused("430.2-d", f"{schedule} is signed already by {signer}", "nobody: it stays signed")


def _come_into_force(schedule: Schedule) -> Schedule:
    if schedule.approved_by is None or schedule.cosigned_by is None:
        return schedule
    _check_floor(schedule.category, schedule.days, schedule.authority)
    now = clock.now()
    Schedule.objects.filter(
        category=schedule.category, unit=schedule.unit, state=Schedule.State.IN_FORCE
    ).update(
        state=Schedule.State.SUPERSEDED, ended_at=now, ended_why=f"version {schedule.version} came into force"
    )
    schedule.state, schedule.in_force_from = Schedule.State.IN_FORCE, now
    schedule.save(update_fields=["state", "in_force_from"])
    return schedule
