"""How many reads and hits were destroyed, by the quarter in which HQ received them: numbers, never a plate.

What the public is told of a quarter is counted after its end, when an agency that lawfully keeps reads for a
month has few of them left. Owns how a batch is counted while its rows are still there, and the sums.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.apps import apps
from django.db import connection
from django.db.models import Min

from hq.records.models import Hit, Read
from hq.retention.models import Batch, Destroyed
from hq.site import clock, quarters
from plates.words import AlarmClass

OTHER: Final = "other"
"""What a unit called a class that is on no list of ours: its own word might be anything, a plate too."""


@dataclass
class Counts:
    """Reads; hits that were not withdrawn, by alarm class and by their last outcome, "" for none."""

    reads: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)


def note(batch: Batch, ids: Sequence[UUID]) -> None:
    """Count the reads of a batch and their hits, in the transaction in which their rows go."""
    found: dict[date, Counts] = defaultdict(Counts)
    for at in Read.objects.filter(id__in=ids).values_list("received_at", flat=True):
        found[_quarter(at)].reads += 1
    # By name, for `hq.hits.models` asks this app for the floor under its rows.
    outcome: Any = apps.get_model("hits.Outcome")
    acts = outcome._default_manager.filter(read__in=ids).order_by("pk")
    last: dict[UUID, str] = dict(acts.values_list("hit_id", "kind"))
    hits = Hit.objects.filter(read__in=ids, withdrawn=False)
    for hit, at, alarm_class in hits.values_list("id", "received_at", "alarm_class"):
        counts = found[_quarter(at)]
        counts.classes[alarm_class if alarm_class in set(AlarmClass) else OTHER] += 1
        counts.outcomes[last.get(hit, "")] += 1
    Destroyed.objects.bulk_create(
        Destroyed(
            batch=batch,
            starts_on=start,
            reads=counts.reads,
            classes=dict(counts.classes),
            outcomes=dict(counts.outcomes),
        )
        for start, counts in sorted(found.items())
    )


def of_quarter(start: date) -> Counts:
    """What was destroyed of the quarter that begins on a day."""
    sums = Counts()
    for row in Destroyed.objects.filter(starts_on=start).iterator():
        sums.reads += row.reads
        sums.classes.update(row.classes)
        sums.outcomes.update(row.outcomes)
    return sums


def first_quarter() -> date | None:
    """The first day of the earliest quarter of which something was destroyed."""
    found: date | None = Destroyed.objects.aggregate(first=Min("starts_on"))["first"]
    return found


def hold_still() -> None:
    """Let nothing be destroyed until the caller's transaction ends, so that it counts each read once.

    On SQLite the transaction itself keeps other writers out (settings); elsewhere a batch waits here with its
    count, or this waits for the batch.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f'LOCK TABLE "{Destroyed._meta.db_table}" IN SHARE MODE')


def _quarter(at: datetime) -> date:
    return quarters.start_of(clock.day_of(at))
