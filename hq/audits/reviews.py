"""The weekly review of the log (CJIS AU-6) and the two-yearly one of the retention (2019-118, rec. 19)."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Min

from hq.audits import accounts
from hq.audits.models import LogReview, Reevaluation
from hq.audits.reports import anomalies, search_ages
from hq.log import chain, heads
from hq.log.models import AccessRecord, SignedHead
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.site import clock

REEVALUATE: Final = timedelta(days=730)
WEEK: Final = timedelta(days=7)


def bounds(week: date) -> tuple[datetime, datetime]:
    """Start and end of the week that begins on that Monday, in the agency's time."""
    zone = ZoneInfo(settings.TIME_ZONE)
    return datetime.combine(week, time.min, zone), datetime.combine(week + WEEK, time.min, zone)


def last_week() -> date:
    """The Monday of the last week that is over."""
    today = clock.today()
    return today - timedelta(days=today.weekday() + 7)


def waiting() -> list[date]:
    """The weeks that are over and nobody reviewed, the oldest first; from the log's first week on."""
    first = AccessRecord.objects.aggregate(first=Min("at"))["first"]
    if first is None:
        return []
    start = clock.day_of(first)
    week = start - timedelta(days=start.weekday())
    done = set(LogReview.objects.values_list("week", flat=True))
    found = []
    while week <= last_week():
        if week not in done:
            found.append(week)
        week += WEEK
    return found


def figures(week: date) -> dict[str, Any]:
    """What a week of the log held: rows by action and outcome, failed log-ins, oddities by kind.

    Also the notices of leaving that came in it, and how many of them late.
    """
    since, until = bounds(week)
    notices, late = accounts.told(since, until)
    rows = AccessRecord.objects.filter(at__gte=since, at__lt=until)
    actions = rows.values_list("action", "outcome").annotate(n=Count("pk")).order_by("action", "outcome")
    return {
        "rows": rows.count(),
        "people": rows.values("username").distinct().count(),
        "actions": [[action, outcome, n] for action, outcome, n in actions],
        "failed_logins": rows.filter(action="session.login", outcome="failed").count(),
        "notices_of_leaving": notices,
        "late_notices_of_leaving": late,
        "odd": dict(Counter(one.kind for one in anomalies(since, until))),
    }


def review(person: Person, week: date, note: str) -> LogReview:
    """Sign for having looked at a week. Raises Refused for one that is not over or is reviewed already."""
    check(person, "audits.run")
    if week.weekday() != 0 or week > last_week():
        raise Refused("CJIS AU-6", "this week is not over", "nobody: wait until it is")
    if LogReview.objects.filter(week=week).exists():
        raise Refused("CJIS AU-6", "this week is reviewed", "nobody")
    note = said("CJIS AU-6", "what was seen", note)
    return LogReview.objects.create(
        week=week, figures=figures(week), chain=chain_state(), note=note, by=person
    )


def chain_state() -> str:
    """Whether the chain is whole since the newest signed head, in words."""
    newest = SignedHead.objects.first()
    first = max(1, newest.sequence) if newest else 1
    fault = heads.verify() or chain.verify(first)
    if fault is not None:
        return f"broken at row {fault.sequence}: {fault.what}"
    return f"whole from row {first} to {chain.head().sequence}"


def reevaluation_due() -> date | None:
    """By which day the retention is to be re-evaluated; None while the log is empty."""
    last = Reevaluation.objects.first()
    start = last.at if last else AccessRecord.objects.aggregate(first=Min("at"))["first"]
    return None if start is None else clock.day_of(start + REEVALUATE)


def reevaluate(person: Person, conclusion: str, document: str = "") -> Reevaluation:
    """Record that the retention was held against the age of what people look for. Raises Refused."""
    check(person, "audits.run")
    now = clock.now()
    conclusion = said("2019-118 rec. 19", "whether the retention is still needed", conclusion)
    ages = [asdict(bucket) for bucket in search_ages(now - REEVALUATE, now)]
    return Reevaluation.objects.create(ages=ages, conclusion=conclusion, document=document, by=person)
