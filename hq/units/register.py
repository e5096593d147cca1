"""What may be done with a unit: register, change, approve, accept, revoke, retire, and write down work.

Owns the order of these steps and who may take them. The unit's state that it sets is what `hq.records` admits
records by: without an approval they go into quarantine (430.2-c).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.records.models import Gap, Unit, UnitStatus
from hq.site import clock
from hq.units.models import Acceptance, Device, Reported, Wipe, Work

APPROVER = "another Commander or a designee"


def proposed(person: Person) -> QuerySet[Device]:
    """Devices that wait for somebody's approval, and this person may be that one."""
    waiting = Device.objects.filter(approved_at=None, ended_at=None)
    return waiting.exclude(registered_by=person).exclude(proposed_by=person)


@transaction.atomic
def register(person: Person, unit: Unit, device: Device) -> Device:
    """Enter a unit in the register; it waits for approval. Raises Refused, ValidationError."""
    check(person, "units.register")
    if Device.objects.filter(unit_id=unit.unit_id).exists():
        raise Refused("430.2-c", f"unit {unit.unit_id} is in the register", "nobody: change its entry")
    unit.state = Unit.State.PROPOSED
    unit.save()
    device.unit, device.registered_by, device.proposed_by = unit, person, person
    device.full_clean()
    device.save(force_insert=True)
    record(person, unit, Work.Kind.INSTALLATION, f"registered at {device.site}", done_by=device.installed_by,
           action="units.register", document=device.document)  # fmt: skip
    return device


@transaction.atomic
def change(person: Person, unit_id: str, values: dict[str, Any], why: str) -> Device:
    """Change what the register says of a unit; the change is drift until it is accepted."""
    check(person, "units.register")
    why = said("430.2-c", "the reason for the change", why)
    device = _locked(unit_id)
    if device.ended_at is not None:
        raise Refused("430.2-c", f"unit {unit_id} is {device.unit.state}", "nobody: register another unit")
    before = {name: getattr(device, name) for name in values}
    changes = [
        f"{name}: {before[name]} -> {value}" for name, value in values.items() if before[name] != value
    ]
    if not changes:
        return device
    for name, value in values.items():
        setattr(device, name, value)
    if device.approved_at is None:
        device.proposed_by, device.proposed_at = person, clock.now()
    device.full_clean()
    device.save()
    text = f"{why}: {'; '.join(changes)}"
    record(person, device.unit, Work.Kind.REGISTER, text[:1000], action="units.register")
    return device


@transaction.atomic
def approve(person: Person, unit_id: str, reason: str) -> Device:
    """Enrol a unit as it is registered and as it reports itself: from now on its records are taken.

    Raises Refused for one that registered or changed it.
    """
    device = _locked(unit_id)
    check(person, "units.approve", obj=device)
    _check_second(person, device)
    if device.approved_at is not None or device.ended_at is not None:
        raise Refused("430.2-c", f"unit {unit_id} does not wait for approval", "nobody")
    device.approved_by, device.approved_at = person, clock.now()
    device.save()
    _accept(person, device, reason)
    _set(device.unit, Unit.State.ENROLLED)
    return device


@transaction.atomic
def accept(person: Person, unit_id: str, reason: str) -> Acceptance:
    """Accept what changed on an enrolled unit. Raises Refused for one who changed it in the register."""
    device = _locked(unit_id)
    check(person, "units.approve")
    _check_second(person, device)
    if device.unit.state != Unit.State.ENROLLED:
        raise Refused("430.2-c", f"unit {unit_id} is not enrolled", APPROVER)
    return _accept(person, device, reason)


@transaction.atomic
def revoke(person: Person, unit_id: str, why: str) -> Device:
    """Stop taking a unit's records, at once. Raises Refused, also without a reason."""
    return _end(person, unit_id, why, Unit.State.REVOKED)


@transaction.atomic
def retire(person: Person, unit_id: str, why: str, lost: str = "") -> Device:
    """Take a unit out of service; what of its records never came must be said (430.4-b).

    Raises Refused without a reason, or while records are missing and `lost` is empty. Its media are to be
    wiped: see `unwiped`.
    """
    check(person, "units.revoke")
    missing = outstanding(unit_id)
    if missing and not lost.strip():
        raise Refused(
            "430.4-b",
            f"{missing} records of unit {unit_id} have not come; bring its card, or say what is lost",
            "nobody: state what is lost",
        )
    why = said("430.2-c", "the reason", why)
    note = f"{why}; lost: {lost.strip()}" if lost.strip() else why
    return _end(person, unit_id, note, Unit.State.RETIRED)


def outstanding(unit_id: str) -> int:
    """Records that the unit has and HQ has not, as far as HQ knows."""
    status = UnitStatus.objects.filter(unit=unit_id).first()
    gaps = Gap.objects.filter(series__unit=unit_id).aggregate(n=Sum(F("last") - F("first") + 1))["n"]
    return (status.queue if status else 0) + (gaps or 0)


def record(
    person: Person,
    unit: Unit,
    kind: str,
    note: str,
    *,
    at: datetime | None = None,
    done_by: str = "",
    document: str = "",
    action: str = "maintenance.record",
) -> Work:
    """Write a line of the unit's installation and maintenance log. Raises Refused."""
    check(person, action)
    note = said("430.2-c", "what was done", note)
    when = at or clock.now()
    if when > clock.now():
        raise Refused("430.2-c", "work that is yet to be done cannot be recorded", "nobody: wait until it is")
    return Work.objects.create(
        unit=unit,
        kind=kind,
        at=when,
        done_by=done_by or person.full_name,
        note=note,
        document=document,
        recorded_by=person,
    )


def wipe(person: Person, unit: Unit, **fields: Any) -> Wipe:
    """Record that a medium was sanitised; a second person then bears witness. Raises Refused."""
    check(person, "maintenance.record")
    return Wipe.objects.create(unit=unit, recorded_by=person, **fields)


@transaction.atomic
def witness(person: Person, pk: int) -> Wipe:
    """Bear witness that a medium is wiped. Raises Refused for the one who recorded it, or after another."""
    check(person, "maintenance.record")
    held = Wipe.objects.select_for_update().get(pk=pk)
    if held.recorded_by_id == person.pk:
        raise Refused("CJIS MP", "it takes a second person: you recorded this wipe", "another technician")
    if held.witnessed_at is not None and held.witnessed_by_id != person.pk:
        raise Refused("CJIS MP", f"{held.witnessed_by} has witnessed this wipe already", "nobody")
    if held.witnessed_at is None:
        held.witnessed_by, held.witnessed_at = person, clock.now()
        held.save(update_fields=["witnessed_by", "witnessed_at"])
    return held


def unwiped() -> QuerySet[Device]:
    """Retired units with no witnessed wipe."""
    done = Wipe.objects.filter(witnessed_at__isnull=False).values("unit")
    return Device.objects.filter(unit__state=Unit.State.RETIRED).exclude(unit__in=done)


def unapproved() -> QuerySet[Unit]:
    """Enrolled units that nobody approved in the register: to be looked into at once."""
    return Unit.objects.filter(state=Unit.State.ENROLLED).exclude(device__approved_at__isnull=False)


def _changes(device: Device) -> QuerySet[Work]:
    """Entries in the register since the last acceptance, newest first."""
    made = Work.objects.filter(unit=device.unit, kind__in=(Work.Kind.REGISTER, Work.Kind.INSTALLATION))
    last = Acceptance.objects.filter(unit=device.unit).first()
    return made.filter(recorded_at__gte=last.accepted_at if last else device.registered_at).order_by("-pk")


def _check_second(person: Person, device: Device) -> None:
    """Whoever changed the register since the last acceptance does not accept the change."""
    if _changes(device).filter(recorded_by=person).exists():
        raise Refused("430.2-c", "it takes a second person: you changed this entry of the register", APPROVER)


def _accept(person: Person, device: Device, reason: str) -> Acceptance:
    reason = said("430.2-c", "the reason or order", reason)
    reported = Reported.objects.filter(unit=device.unit_id).first()
    last = _changes(device).first()
    return Acceptance.objects.create(
        unit=device.unit,
        place=device.place(),
        software=reported.software if reported else "",
        config_hash=reported.config_hash if reported else "",
        model_hashes=reported.model_hashes if reported else [],
        proposed_by=last.recorded_by if last else device.registered_by,
        accepted_by=person,
        reason=reason,
    )


def _end(person: Person, unit_id: str, why: str, state: Unit.State) -> Device:
    check(person, "units.revoke")
    why = said("430.2-c", "the reason", why)
    device = _locked(unit_id)
    if device.unit.state in (state, Unit.State.RETIRED):
        # Its reason stands, and a retired unit goes on asking for the wipe of its media.
        told = f"unit {unit_id} is {device.unit.get_state_display()} already: {device.ended_why}"
        raise Refused("430.2-c", told, "nobody: what it sends goes into quarantine")
    device.ended_by, device.ended_at, device.ended_why = person, clock.now(), why[:200]
    device.save()
    _set(device.unit, state)
    record(person, device.unit, Work.Kind.REMOVAL, f"{state.label}: {why}"[:1000], action="units.revoke")
    return device


def _set(unit: Unit, state: Unit.State) -> None:
    unit.state = state
    unit.save(update_fields=["state"])


def _locked(unit_id: str) -> Device:
    return Device.objects.select_for_update().select_related("unit").get(unit=unit_id)
