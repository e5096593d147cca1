"""Counts for the public by calendar quarter: reads, hits, outcomes, searches, releases. Never a plate.

Reads and hits count in the quarter in which HQ received them, those too that were destroyed since.
Quarters do not overlap, no sum over quarters is given, and a quarter's figures are made once and kept, two
weeks after it ended; so no two publications differ by a small number.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Min, Q

from hq.audits import reports
from hq.hits.models import Outcome
from hq.log.models import AccessRecord
from hq.people import purposes
from hq.public.models import Figures
from hq.public.suppress import suppress
from hq.records.models import Hit, Read
from hq.releases.models import Partner, ReleaseRequest
from hq.retention import destroyed
from hq.site import clock, quarters

SETTLE: Final = timedelta(days=14)
"""How long after its end a quarter waits for what units send late."""
SHOWN: Final = 8
_NONE: Final = "none recorded"
_OTHER: Final = "any other class"


@transaction.atomic
def publish() -> list[Figures]:
    """Make the figures of every quarter that is over and has none; give the newest, newest first."""
    destroyed.hold_still()
    start = _first()
    while start is not None and quarters.after(start) + SETTLE <= clock.today():
        if not Figures.objects.filter(starts_on=start).exists():
            last = quarters.after(start) - timedelta(days=1)
            Figures.objects.create(starts_on=start, ends_on=last, tables=tables(start))
        start = quarters.after(start)
    return list(Figures.objects.all()[:SHOWN])


def tables(start: date) -> list[dict[str, Any]]:
    """The tables of the quarter that begins on a day: title, rows [label, count or None], total or None."""
    found = []
    for title, counts in _counts(start).items():
        safe = suppress(counts, partial(_secret, start, title))
        found.append(
            {"title": title, "rows": [list(cell) for cell in safe.cells.items()], "total": safe.total}
        )
    return found


def _first() -> date | None:
    here = Read.objects.aggregate(first=Min("received_at"))["first"]
    gone = destroyed.first_quarter()
    starts = [gone] if gone is not None else []
    return min([*starts, quarters.start_of(clock.day_of(here))] if here is not None else starts, default=None)


def _counts(start: date) -> dict[str, dict[str, int]]:
    since, until = quarters.bounds(start)
    gone = destroyed.of_quarter(start)
    reads = Read.objects.filter(received_at__gte=since, received_at__lt=until).count()
    hits = Hit.objects.filter(received_at__gte=since, received_at__lt=until, withdrawn=False)
    # One line for all that is not in use: a line that comes and goes would tell of a single alarm, and a
    # unit's own word for a class may be anything.
    in_use = {one.value for one in purposes.alarm_classes()}
    classes: Counter[str] = Counter()
    here = hits.values_list("alarm_class").annotate(n=Count("pk")).order_by()
    for name, count in (*here, *gone.classes.items()):
        classes[name if name in in_use else _OTHER] += count
    # Neither the form that is opened to ask, nor further pages of an answer, nor one that a browser shows
    # again on its way back, are searches of their own.
    searches = AccessRecord.objects.filter(
        ~Q(elements__has_key="page") | Q(elements__page=1),
        ~Q(elements__has_key="again"),
        at__gte=since,
        at__lt=until,
        outcome="done",
        action__in=reports.LOOKED,
    ).exclude(kind="view")
    stated = dict(searches.exclude(purpose="").values_list("purpose").annotate(n=Count("pk")).order_by())
    released = dict(
        ReleaseRequest.objects.filter(
            state=ReleaseRequest.State.FULFILLED, fulfilled_at__gte=since, fulfilled_at__lt=until
        )
        .values_list("partner__kind").annotate(n=Count("pk")).order_by()
    )  # fmt: skip
    return {
        "Plates read": {"reads": reads + gone.reads},
        "Alarms by class": {name.replace("_", " "): classes[name] for name in (*sorted(in_use), _OTHER)},
        "Alarms by outcome": _outcomes(list(hits.values_list("pk", flat=True)), gone.outcomes),
        "Searches by purpose": {one.title: stated.get(code, 0) for code, one in purposes.ALL.items()},
        "Releases by kind of agency": {kind.label: released.get(kind.value, 0) for kind in Partner.Kind},
    }


def _outcomes(hits: list[Any], gone: Counter[str]) -> dict[str, int]:
    last: dict[Any, str] = {}
    for chunk in (hits[n : n + 500] for n in range(0, len(hits), 500)):
        last |= dict(Outcome.objects.filter(hit__in=chunk).order_by("pk").values_list("hit_id", "kind"))
    counts = Counter(last.get(hit, "") for hit in hits) + gone
    return {kind.label: counts[kind.value] for kind in Outcome.Kind} | {_NONE: counts[""]}


def _secret(start: date, title: str, label: str) -> bytes:
    text = f"{start} {title} {label}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).digest()
