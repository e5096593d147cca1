"""Who left or changed duties: reported, told to those who run accounts, seen to (CJIS AC-2-h, AC-2(3)).

Owns the notices. That an account is shut a week after its person left, whoever sees to the notice, is in
`hq.people.accounts`; the alarms are those of the app and of `hq.audits`.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from hq.people import accounts
from hq.people.models import Appointment, Departure, Grant, Person
from hq.people.policy import Refused, check, said
from hq.site import clock

CLAUSE: Final = "CJIS AC-2"


def report(by: Person, notice: Departure) -> Departure:
    """Tell that somebody left or changed duties. Raises Refused."""
    check(by, "leaving.report")
    notice.reported_by = by
    notice.save()
    return notice


def noted(person: Person) -> Departure | None:
    """The open notice that the person left, if there is one."""
    return person.departures.filter(kind=Departure.Kind.LEFT, seen_to_at=None).first()


def left(by: Person, person: Person, on: date) -> None:
    """Note with the closing of an account since when its person needs it no more."""
    if noted(person) is None:
        Departure.objects.create(person=person, kind=Departure.Kind.LEFT, on=on, reported_by=by)


def end(by: Person, pk: int) -> Departure:
    """End the account of one who left: at once, or after the last day where that is not over.

    Raises Departure.DoesNotExist, Refused.
    """
    notice = _open(by, pk)
    person = notice.person
    if notice.kind != Departure.Kind.LEFT:
        raise Refused(CLAUSE, "this one stays and keeps an account", "nobody: end roles and grants")
    if notice.on < clock.today() or person.state != Person.State.ACTIVE:
        accounts.close(person, f"left on {notice.on}", by)
        notice.refresh_from_db()
        return notice
    person.ends_on = min(notice.on, person.ends_on or notice.on)
    person.save(update_fields=["ends_on"])
    return _seen_to(notice, by, f"the account closes after {person.ends_on}")


def answer(by: Person, pk: int, words: str, *, mistaken: bool) -> Departure:
    """Say what was done about a change of duties, or why a notice is a mistake.

    Raises Departure.DoesNotExist; Refused also for one who left and whose account stands.
    """
    notice = _open(by, pk)
    words = said(CLAUSE, "what was done", words)[:200]
    if notice.kind == Departure.Kind.LEFT and not mistaken:
        raise Refused(CLAUSE, "the account of one who left is ended", "nobody: end it on this page")
    return _seen_to(notice, by, words, mistaken=mistaken)


def ended(notice: Departure) -> list[str]:
    """The roles and grants of the person that were ended from the report on until it was seen to."""
    given: list[Appointment | Grant] = [*notice.person.appointments.all(), *notice.person.grants.all()]
    return [
        one.get_role_display() if isinstance(one, Appointment) else one.get_code_display()
        for one in given
        if one.ended_at is not None
        and notice.reported_at <= one.ended_at <= (notice.seen_to_at or clock.now())
    ]


def _open(by: Person, pk: int) -> Departure:
    # The account before its notice, in the order in which closing it locks them.
    found = Departure.objects.get(pk=pk)
    person = Person.objects.select_for_update().get(pk=found.person_id)
    notice = Departure.objects.select_for_update().get(pk=pk)
    notice.person = person
    check(by, "accounts.suspend", obj=notice.person)
    if notice.seen_to_at is not None:
        raise Refused(CLAUSE, "this notice is seen to", "nobody")
    return notice


def _seen_to(notice: Departure, by: Person, words: str, *, mistaken: bool = False) -> Departure:
    notice.seen_to_by, notice.seen_to_at = by, clock.now()
    notice.answer, notice.mistaken = words, mistaken
    notice.save(update_fields=["seen_to_by", "seen_to_at", "answer", "mistaken"])
    return notice
