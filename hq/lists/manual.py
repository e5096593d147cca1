"""Hot plates: entries that a person puts on the list for a case, for 30 days at most by default.

Owns entering and taking back. Units are told by the next publication, which the publisher makes within
seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet

from hq.lists.classes import ALL, rule_of
from hq.lists.errors import ListRefused
from hq.lists.models import ListGroup, ManualEntry, PartialPlate, Rules
from hq.lists.versions import classes_on
from hq.log import chain
from hq.people import cases
from hq.people.models import Person
from hq.site import clock
from plates.errors import TextError
from plates.text import normalise

_Entry = TypeVar("_Entry", ManualEntry, PartialPlate)


@dataclass(frozen=True, slots=True, kw_only=True)
class HotPlate:
    """What a person enters; `state` is two letters or "", `expiry` the last day on which it matches."""

    group: ListGroup
    plate: str
    alarm_class: str
    reason: str
    case_number: str
    expiry: date
    state: str = ""
    priority: int = 50


def enter(hot_plate: HotPlate, *, by: Person, purpose: str) -> ManualEntry:
    """Put a plate on the list.

    Sent twice, it is there once. Raises ListRefused without a case or reason, with an expiry that has passed
    or is too far away, for a class that is off or none, and for a text that is no plate or a partial one.
    """
    check_class(hot_plate.alarm_class)
    check_entered(hot_plate.reason, hot_plate.case_number, hot_plate.expiry, Rules.current().manual_days)
    try:
        plate = normalise(hot_plate.plate, wildcards="?*")
    except TextError as error:
        raise ListRefused("430.2-a", str(error)) from None
    if "?" in plate or "*" in plate:
        # Taken for a separator the star would be left out, and the rest be watched for as a whole plate.
        raise ListRefused("430.3(c)-2", "with ? or * it is a partial plate", "nobody: enter it as one")
    values = {
        "group": hot_plate.group,
        "plate": plate,
        "state": hot_plate.state,
        "alarm_class": hot_plate.alarm_class,
        "reason": hot_plate.reason.strip(),
        "case_number": hot_plate.case_number.strip(),
        "expiry": hot_plate.expiry,
        "priority": hot_plate.priority,
        "entered_by": by,
    }
    with transaction.atomic():
        twin = sent_before(ManualEntry.objects.filter(**values), hot_plate.group)
        if twin is not None:
            return twin
        entry = ManualEntry.objects.create(**values, entered_at=clock.now())
        chain.append(
            kind="lists",
            person=by,
            action="lists.manual",
            purpose=purpose,
            case=entry.case_number,
            elements={
                "plate": plate,
                "state": entry.state,
                "class": entry.alarm_class,
                "until": entry.expiry,
            },
            ids=[entry.pk],
        )
    return entry


def sent_before(same: QuerySet[_Entry], group: ListGroup) -> _Entry | None:
    """The same entry of the same person that is on the list already, as after a second press of the button.

    Two of one would outlive each other: whoever takes one off believes that the units no longer look for it.
    """
    # Of two that come at once, the second waits here until the first is in.
    ListGroup.objects.select_for_update().get(pk=group.pk)
    return same.filter(withdrawn_at=None).first()


def withdraw(entry: ManualEntry | PartialPlate, *, by: Person, why: str) -> None:
    """Take an entry off the list before it expires; sent twice, it is taken off once.

    Raises ListRefused without a reason, or if somebody took it off already.
    """
    if not why.strip():
        raise ListRefused("430.2-d", "taking an entry off the list needs its reason")
    with transaction.atomic():
        held = type(entry).objects.select_for_update(of=("self",)).get(pk=entry.pk)
        if held.withdrawn_at is not None and (held.withdrawn_by, held.withdrawn_why) == (by, why.strip()):
            return
        if held.withdrawn_at is not None:
            raise ListRefused("430.2-d", f"{held} is off the list already")
        held.withdrawn_by, held.withdrawn_at, held.withdrawn_why = by, clock.now(), why.strip()
        held.save(update_fields=["withdrawn_by", "withdrawn_at", "withdrawn_why"])
        kind = "lists.manual" if isinstance(held, ManualEntry) else "lists.partial"
        elements = {"withdrawn": True, "why": held.withdrawn_why}
        chain.append(
            kind="lists", person=by, action=kind, case=held.case_number, elements=elements, ids=[held.pk]
        )


def check_class(name: str) -> None:
    """Raise ListRefused for an alarm class that no entry may have now (430.2-a, SB 54)."""
    if name not in ALL:
        clause = "SB 54" if name == "immigration_violator" else "430.2-a"
        raise ListRefused(clause, f"{name[:40]} is no class that an entry may have; nobody can grant it")
    if name not in classes_on():
        raise ListRefused(
            rule_of(name).clause, f"the class {name} is off", "the Commander, who switches classes"
        )


def check_entered(reason: str, case_number: str, expiry: date, most_days: int) -> None:
    """Raise ListRefused unless reason, case and an expiry within `most_days` are given (rec 20, 48)."""
    if why := cases.number_fault(case_number):
        raise ListRefused("430.5(b)", f"an entry needs the number of its case or incident: {why}")
    if not reason.strip():
        raise ListRefused("430.2-a", "an entry needs its reason, in words that an officer understands")
    today = clock.today()
    if expiry < today:
        raise ListRefused("rec 20/48", "the expiry has passed")
    if expiry > today + timedelta(days=most_days):
        raise ListRefused("rec 20/48", f"an entry lasts {most_days} days at most; enter it again then")
