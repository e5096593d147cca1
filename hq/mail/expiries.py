"""What ends soon: training, appointments, grants, accounts, entries of hot lists, reviews of holds.

430.2.1(b), 430.2-e, 430.3(c)-2, 430.4-d.

Owns which of these a person is told: their own, and those of others that they look after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from hq.lists.models import ManualEntry, PartialPlate
from hq.people.models import Appointment, Grant, Person
from hq.people.policy import Standing, courses_for, may
from hq.retention.models import Hold
from hq.site import clock

SOON: Final = timedelta(days=7)
LATER: Final = timedelta(days=30)
_PAST: Final = timedelta(days=7)
"""What ended within these is still told."""


@dataclass(frozen=True, order=True)
class Expiry:
    """One thing, its last day and the clause for which it matters."""

    on: date
    what: str
    clause: str


def told(person: Person, standing: Standing) -> list[Expiry]:
    """What a person is told, the earliest first."""
    found = set(_of(person, "your "))
    others = Person.objects.filter(state=Person.State.ACTIVE).exclude(pk=person.pk)
    if may(person, "training.complete", standing=standing):
        found.update(e for one in others for e in _training(one, f"{one.full_name}: "))
    if may(person, "roles.propose", standing=standing) or may(person, "appointments.make", standing=standing):
        found.update(e for one in others for e in _given(one, f"{one.full_name}: "))
    if may(person, "holds.release", standing=standing):
        found.update(_holds())
    return sorted(e for e in found if _near(e.on))


def _of(person: Person, whose: str) -> Iterator[Expiry]:
    yield from _training(person, whose)
    yield from _given(person, whose)
    yield from _entries(person, whose)


def _entries(person: Person, whose: str) -> Iterator[Expiry]:
    """By number: neither the plate nor the case goes into a mail (430.7-b)."""
    live = {"entered_by": person, "withdrawn_at": None}
    for partial in PartialPlate.objects.filter(**live):
        yield Expiry(partial.expiry, f"{whose}partial plate, entry {partial.pk}", "430.3(c)-2")
    for manual in ManualEntry.objects.filter(**live):
        yield Expiry(manual.expiry, f"{whose}hot plate, entry {manual.pk}", "2019-118 rec. 20")


def _training(person: Person, whose: str) -> Iterator[Expiry]:
    for course in courses_for(person.roles()):
        done = person.completions.filter(course=course).order_by("-completed_on", "-id").first()
        if done is not None:
            yield Expiry(done.expires_on, f"{whose}training {course}", "430.3(d)")


def _given(person: Person, whose: str) -> Iterator[Expiry]:
    if person.ends_on is not None:
        yield Expiry(person.ends_on, f"{whose}account", "430.2.1(a)")
    held: Iterable[Appointment | Grant] = [*person.appointments.all(), *person.grants.all()]
    for given in held:
        if given.ends_on is None or given.approved_at is None or given.ended_at is not None:
            continue
        what = given.get_role_display() if isinstance(given, Appointment) else given.get_code_display()
        kind, clause = ("appointment", "430.2-e") if isinstance(given, Appointment) else ("grant", "430.3(e)")
        yield Expiry(given.ends_on, f"{whose}{kind} {what}", clause)


def _holds() -> Iterator[Expiry]:
    for hold in Hold.objects.filter(released_at=None):
        yield Expiry(hold.review_on, f"review of hold {hold.pk}", "430.4-d")


def _near(day: date) -> bool:
    today = clock.today()
    return today - _PAST <= day <= today + LATER
