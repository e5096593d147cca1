"""What happens to an account: proposed, approved, suspended, taken back, closed, run out.

430.2.1(a), 430.2-d, State Auditor 2019-118 rec. 11, CJIS AC-2. The caller has asked `hq.people.policy` and
writes the access record, except for `expire`, which acts by the clock and writes its own.
"""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from typing import TYPE_CHECKING

from axes.utils import reset
from django.db import transaction

from hq.log import chain
from hq.people import sealing
from hq.people.models import Authenticator, Departure, LastDay, Person, Role
from hq.people.policy import Misfilled, Refused, may
from hq.site import clock

if TYPE_CHECKING:
    from axes.models import AccessAttempt

CLAUSE = "430.2.1(a)"
INACTIVE = timedelta(days=90)
LEFT = timedelta(days=7)
"""The account of one who left is shut by then, whoever has seen to the notice (AC-2(3))."""
NEW_START = "password and authenticator set back"
"""What the access log says of it; `hq.mail.alarms` tells the offices."""
# No letter or digit that is taken for another when read from paper.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def approve(person: Person, by: Person) -> str:
    """Make a proposed account active; the password for the first log-in, to hand over in person."""
    _set_state(person, Person.State.ACTIVE, "")
    person.approved_by, person.approved_at = by, clock.now()
    return once(person)


def suspend(person: Person, why: str) -> None:
    """Shut the account at once; its session ends with the next request."""
    _set_state(person, Person.State.SUSPENDED, why)
    person.save()


def reactivate(person: Person) -> str:
    """Open a suspended account again; training must be taken anew before it lets the person in."""
    person.retrain_from = person.state_at
    _set_state(person, Person.State.ACTIVE, "")
    person.seen_at = clock.now()
    return once(person)


def close(person: Person, why: str, by: Person | None = None) -> None:
    """Shut the account for good, on leaving; appointments, grants, what is proposed and open notices of
    leaving end with it.

    `by` is who closed it, None for the clock.
    """
    _set_state(person, Person.State.CLOSED, why)
    person.set_unusable_password()
    person.save()
    waiting = person.last_days.filter(approved_at=None)
    for given in [*person.appointments.all(), *person.grants.all(), *waiting]:
        if given.ended_at is None:
            given.ended_at, given.ended_why = clock.now(), f"account closed: {why}"[:200]
            given.save(update_fields=["ended_at", "ended_why"])
    person.departures.filter(seen_to_at=None).update(
        seen_to_by=by, seen_to_at=clock.now(), answer=f"account closed: {why}"[:200]
    )


def propose_last_day(person: Person, moved: LastDay, by: Person) -> LastDay:
    """Ask that the account end on another day than it does now; sent twice, it is asked once.

    Raises Refused.
    """
    moved.was = _last_day(person)
    if moved.ends_on == moved.was:
        raise Misfilled("ends_on", CLAUSE, "it is the account's last day already", "nobody: nothing changes")
    if moved.ends_on < clock.today():
        why = "this day has passed: close the account instead, which shuts it at once"
        raise Misfilled("ends_on", CLAUSE, why, "nobody: it is a rule of accounts")
    if waiting := person.last_days.filter(approved_at=None, ended_at=None).first():
        same = ("ends_on", "document", "note")
        if waiting.proposed_by == by and all(getattr(waiting, one) == getattr(moved, one) for one in same):
            return waiting
        why = f"{waiting.ends_on} is proposed already and waits for approval"
        raise Misfilled("ends_on", CLAUSE, why, "the Commander or a designee")
    moved.person, moved.proposed_by = person, by
    moved.save()
    return moved


def move_last_day(person: Person, moved: LastDay, by: Person) -> None:
    """Approve another last day, which counts at once: one that has passed meanwhile shuts the account.

    Raises Refused where the account is not as it was when this was proposed.
    """
    if _last_day(person) != moved.was:
        why = f"the last day is {person.ends_on} by now, not {moved.was} as when this was proposed"
        raise Refused(CLAUSE, why, "the ALPR administrator, who proposes it anew")
    moved.approved_by, moved.approved_at = by, clock.now()
    moved.save(update_fields=["approved_by", "approved_at"])
    person.ends_on = moved.ends_on
    person.save(update_fields=["ends_on"])
    expire(person)


def _last_day(person: Person) -> date:
    """The last day of an account that has one and is not over: nothing revives one that is."""
    if person.ends_on is None:
        raise Refused(CLAUSE, "this account has no last day", "nobody: close it when it is needed no more")
    if person.state == Person.State.CLOSED or person.ends_on < clock.today():
        raise Refused(CLAUSE, f"the account ended on {person.ends_on}", "the administrator for a new account")
    return person.ends_on


def once(person: Person) -> str:
    """A new password that must be changed at the next log-in."""
    password = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
    person.set_password(password)
    person.password_once, person.password_at = True, clock.now()
    person.save()
    return password


def set_password(person: Person, password: str) -> None:
    """The person's own choice, already validated."""
    person.set_password(password)
    person.password_once, person.password_at = False, clock.now()
    person.save(update_fields=["password", "password_once", "password_at"])


def forget_typed(instance: AccessAttempt, **_: object) -> None:
    """Keep the count of failed attempts without what was typed; axes saves whole forms, but for `password`.

    The form that changes the own password holds the new one, which counts a moment later (CJIS IA-5), and the
    address that a form was sent to may hold anything.
    """
    instance.get_data = instance.post_data = ""


def forget_all_typed() -> None:
    """The same of attempts that an earlier version kept."""
    from axes.models import AccessAttempt

    AccessAttempt.objects.exclude(get_data="", post_data="").update(get_data="", post_data="")


def release(person: Person) -> None:
    """Lift the lock of five failed attempts (AC-7)."""
    reset(username=person.username)


def expire(person: Person) -> None:
    """Close the account past its last day; suspend it after 90 days without use, or a week after its person
    left and nobody has seen to the notice (AC-2(3)).

    Unused, the last one who may open accounts stays open: nobody could ever open it, or any other, again.
    """
    if person.state != Person.State.ACTIVE:
        return
    left = person.departures.filter(
        kind=Departure.Kind.LEFT, seen_to_at=None, on__lte=clock.today() - LEFT
    ).first()
    idle = is_idle(person) and not is_last_to_open(person)
    with transaction.atomic():
        if person.ends_on is not None and person.ends_on < clock.today():
            close(person, f"last day was {person.ends_on}")
            chain.append(kind="account", person=person, action="accounts.close", note=person.state_reason)
        elif left is not None or idle:
            suspend(person, f"left on {left.on}: {left}" if left else "90 days without use")
            chain.append(kind="account", person=person, action="accounts.suspend", note=person.state_reason)


def is_idle(person: Person) -> bool:
    """Whether nobody has used the account for 90 days."""
    last_used = person.seen_at or person.approved_at or person.state_at
    return clock.now() - last_used >= INACTIVE


def is_last_to_open(person: Person) -> bool:
    """Whether this person may open suspended accounts, and nobody else with an open one may open this."""
    held = person.appointments_now()
    if not any(one.role == Role.COMMANDER or "accounts.approve" in one.rights for one in held):
        return False
    others = Person.objects.filter(state=Person.State.ACTIVE).exclude(pk=person.pk)
    return not any(may(other, "accounts.approve", obj=person) for other in others)


def expire_all() -> int:
    """Do so for every account: daily. The number of accounts that changed."""
    before = Person.objects.filter(state=Person.State.ACTIVE)
    changed = 0
    for person in before:
        expire(person)
        changed += person.state != Person.State.ACTIVE
    return changed


def seal_all_anew() -> tuple[int, int]:
    """Seal every authenticator's secret under the present key: how many were, how many nothing opens.

    The rest, by far the most, are under it already.
    """
    done = lost = 0
    for held in Authenticator.objects.iterator():
        if held.sealed_now:
            continue
        try:
            held.seal_anew()
        except sealing.SealBroken:
            lost += 1
        else:
            done += 1
    return done, lost


def _set_state(person: Person, state: str, why: str) -> None:
    person.state, person.state_reason, person.state_at = state, why, clock.now()
    person.session_key = ""
