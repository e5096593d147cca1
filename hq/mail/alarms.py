"""Which alarms stand in all of HQ, who must act on each, and which of them are new.

Every app says its own; one that is not named here adds them by a method `alarms()` of its AppConfig, which
gives `hq.retention.alarms.Alarm` objects.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.apps import apps
from django.db import DatabaseError, transaction

from hq import APPS
from hq.audits.alarms import alarms as of_audits
from hq.hits import reports as hits
from hq.lists import ageing
from hq.log import chain
from hq.log.models import AccessRecord
from hq.mail.models import Raised
from hq.people.models import Person, Role, holders
from hq.people.sessions import ELSEWHERE
from hq.public.alarms import alarms as of_public
from hq.releases import requests as releases
from hq.retention.alarms import Alarm
from hq.retention.alarms import alarms as of_retention
from hq.site import clock
from hq.units.board import alarms as of_units

_OFFICE: Final = (Role.ADMINISTRATOR, Role.COMMANDER)
_BY_CLAUSE: Final[dict[str, tuple[Role, ...]]] = {
    "430.2-c": (Role.COMMANDER, Role.ADMINISTRATOR, Role.TECHNICIAN),
    "430.6": (Role.TRAINING_SERGEANT, Role.COMMANDER),
    "430.5-z": (Role.COMMANDER, Role.ADMINISTRATOR, Role.CUSTODIAN),
    "CJIS AU-5": (Role.AUDITOR, Role.ADMINISTRATOR, Role.COMMANDER),
    "CJIS IA-5": (Role.COMMANDER, Role.AUDITOR, Role.CUSTODIAN, Role.ADMINISTRATOR),
    "2019-118 rec. 19": (Role.COMMANDER, Role.CUSTODIAN),
}
_BY_SOURCE: Final[dict[str, tuple[Role, ...]]] = {
    "units": (Role.ADMINISTRATOR, Role.TECHNICIAN),
    "audits": (Role.AUDITOR, Role.COMMANDER),
    "retention": (Role.CUSTODIAN, Role.ADMINISTRATOR, Role.COMMANDER),
    "log": (Role.CUSTODIAN, Role.ADMINISTRATOR, Role.COMMANDER),
    "releases": (Role.CUSTODIAN, Role.RECORDS_CLERK),
}

LOG_DOWN: Final = Alarm("CJIS AU-5", "the access log cannot be written: HQ shows no records until it can")


@dataclass(frozen=True)
class Standing:
    """An alarm that stands now: `source` is the app that says so."""

    source: str
    alarm: Alarm

    @property
    def key(self) -> str:
        """The same while only a count, an age or a day in the text changes."""
        return hashlib.sha256(f"{self.alarm.clause} {_without_counts(self.alarm.text)}".encode()).hexdigest()

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who must act."""
        return _BY_CLAUSE.get(self.alarm.clause) or _BY_SOURCE.get(self.source, _OFFICE)

    def recipients(self) -> list[Person]:
        """The holders of those roles whom a mail reaches; the Commander where it reaches none of them."""
        return _reached(self.roles) or _reached((Role.COMMANDER,))


def _reached(roles: Iterable[Role]) -> list[Person]:
    found = {person.pk: person for role in roles for person in holders(role) if person.email}
    return list(found.values())


def standing() -> list[Standing]:
    """All that stand now, each once."""
    found: dict[str, Standing] = {}
    for source, ask in _sources():
        for alarm in ask():
            one = Standing(source, alarm)
            found.setdefault(one.key, one)
    return list(found.values())


def log_works() -> bool:
    """Whether the access log can be written; the row that tries it is taken back (AU-5)."""
    try:
        with transaction.atomic():
            chain.append(kind="mail", person=None, action="mail.probe")
            transaction.set_rollback(True)
    except (chain.LogUnavailable, DatabaseError):  # the latter where not even a transaction begins
        return False
    return True


def log_was_down(since: datetime) -> Alarm:
    """Of an outage that has passed."""
    text = f"the access log could not be written from {chain.stamp(since)} on; what was asked for was refused"
    return Alarm("CJIS AU-5", f"{text}; it can be written again")


def news(now_standing: Iterable[Standing]) -> list[Standing]:
    """Those of them that were not told yet; notes them, and that others have cleared."""
    current = {one.key: one for one in now_standing}
    told = {row.key: row for row in Raised.objects.filter(cleared_at=None)}
    for key, row in told.items():
        if key not in current:
            row.cleared_at = clock.now()
            row.save(update_fields=["cleared_at"])
    fresh = [one for key, one in current.items() if key not in told]
    for one in fresh:
        Raised.objects.create(
            source=one.source, clause=one.alarm.clause[:32], text=one.alarm.text[:400], key=one.key
        )
    return fresh


def _sources() -> Iterator[tuple[str, Callable[[], Iterable[Alarm]]]]:
    named: dict[str, Callable[[], Iterable[Alarm]]] = {
        "units": of_units,
        "audits": of_audits,
        "public": of_public,
        "retention": of_retention,
        "releases": _late_requests,
        "hits": _old_hits,
        "lists": _old_lists,
        "people": _taken_over,
    }
    yield from named.items()
    for name in APPS:
        if ask := getattr(apps.get_app_config(name), "alarms", None):
            yield name, ask


def _late_requests() -> Iterator[Alarm]:
    if late := releases.late().count():
        yield Alarm("430.8(b)", f"release requests past their day: {late}")


def _old_hits() -> Iterator[Alarm]:
    if older := hits.older():
        yield Alarm("430.3(f)", f"hits that left the board without being verified: {older}")


def _old_lists() -> Iterator[Alarm]:
    if stale := sum(age.stale for age in ageing.ages()):
        yield Alarm("2019-118 rec. 20", f"hot lists not loaded in time: {stale}")


def _taken_over() -> Iterator[Alarm]:
    """One account in two places on one day: what a shared account looks like (430.3-0)."""
    since = clock.now() - timedelta(days=1)
    rows = AccessRecord.objects.filter(action="session.end", note=ELSEWHERE, at__gte=since)
    for username in sorted(set(rows.values_list("username", flat=True))):
        yield Alarm("430.3-0", f"the account {username} was used to log in while it was in use elsewhere")


# A day, an hour, a count, an age; not the number of a thing named before it, and not the digits of a name.
_COUNT: Final = re.compile(
    r"\b\d{4}-\d\d-\d\d\b( \d\d:\d\d( [+-]\d\d:\d\d)?)?"
    r"|(?<!unit )(?<!breach )(?<!trailer )(?<!deployment )(?<!account )(?<!leaving )"
    r"(?<![\w-])\d+(\.\d+)?(?![\w-])"
)


def _without_counts(text: str) -> str:
    return _COUNT.sub("#", text)
