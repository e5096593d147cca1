"""The yearly review of accounts (CJIS AC-2-j): who has one, with what rights, and what wants a look.

Owns what is looked at and what of it is kept. Accounts are changed by `hq.people.accounts`, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import Min

from hq.audits.models import AccountReview, LogReview
from hq.people.models import Departure, Person
from hq.people.policy import Refused, check, said
from hq.site import clock

CLAUSE: Final = "CJIS AC-2"
EVERY: Final = timedelta(days=365)
IDLE: Final = timedelta(days=60)
"""Unused for so long an account wants a look; after 90 days `upkeep` suspends it."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account that is not closed: its person, the roles and grants in force, what wants a look."""

    person: Person
    roles: list[str]
    grants: list[str]
    odd: list[str]


def held() -> list[Account]:
    """Every account that is not closed, by name."""
    people = Person.objects.exclude(state=Person.State.CLOSED)
    return [_account(person) for person in people.prefetch_related("appointments", "grants", "departures")]


def due() -> date | None:
    """By which day the accounts are to be reviewed; None while there is none."""
    last = AccountReview.objects.first()
    start = last.at if last else Person.objects.aggregate(first=Min("approved_at"))["first"]
    return None if start is None else clock.day_of(start + EVERY)


def late_notices() -> list[Departure]:
    """Notices of leaving that came later than a day after, of weeks whose log nobody has reviewed."""
    done = set(LogReview.objects.values_list("week", flat=True))
    return [one for one in Departure.objects.all() if one.late and _week(one) not in done]


def told(since: datetime, until: datetime) -> tuple[int, int]:
    """How many notices of leaving came in a time, and how many of them later than a day after."""
    came = Departure.objects.filter(reported_at__gte=since, reported_at__lt=until, mistaken=False)
    return len(came), sum(one.late for one in came)


def review(person: Person, conclusion: str) -> AccountReview:
    """Sign for having looked at every account but the own, which is kept as left out. Raises Refused."""
    check(person, "audits.run")
    conclusion = said(CLAUSE, "what was found and done about it", conclusion)
    others = [_kept(one) for one in held() if one.person != person]
    if not others:
        raise Refused(CLAUSE, "there is no account but your own", "another auditor")
    return AccountReview.objects.create(accounts=others, conclusion=conclusion, by=person)


def _account(person: Person) -> Account:
    roles = sorted(one.get_role_display() for one in person.appointments_now())
    grants = sorted(one.get_code_display() for one in person.grants.all() if one.live())
    return Account(person, roles, grants, _odd(person, roles))


def _odd(person: Person, roles: list[str]) -> list[str]:
    odd = []
    if person.state == Person.State.SUSPENDED:
        odd.append(f"suspended: {person.state_reason}" if person.state_reason else "suspended")
    elif person.state == Person.State.PROPOSED:
        odd.append(f"proposed on {clock.day_of(person.proposed_at)} and not approved")
    else:
        since = person.seen_at or person.approved_at
        if since is not None and clock.now() - since > IDLE:
            odd.append(f"not used since {clock.day_of(since)}" if person.seen_at else "never used")
        if not roles:
            odd.append("no role in force")
    if person.ends_on is not None and person.ends_on < clock.today():
        odd.append(f"last day was {person.ends_on}")
    for one in person.departures.all():
        if one.seen_to_at is None:
            odd.append(f"{one.get_kind_display()}, last day {one.on}: nobody has seen to it")
    return odd


def _week(notice: Departure) -> date:
    day = clock.day_of(notice.reported_at)
    return day - timedelta(days=day.weekday())


def _kept(account: Account) -> dict[str, Any]:
    person = account.person
    return {
        "username": person.username,
        "name": person.full_name,
        "title": person.title,
        "agency": person.agency,
        "kind": person.kind,
        "employer": person.employer,
        "ends_on": str(person.ends_on or ""),
        "state": person.state,
        "roles": account.roles,
        "grants": account.grants,
        "odd": account.odd,
    }
