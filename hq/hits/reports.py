"""Which hits nobody has verified, for how long, and what became of the others (430.3(f)).

Owns the two reports about verification; no plate is in them. That of misreads is `hq.hits.corrections`'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from hq.hits import review
from hq.hits.board import WINDOW
from hq.hits.models import Clets, Outcome
from hq.hits.review import Review
from hq.hits.wording import span
from hq.records.models import Hit
from hq.site import clock

MOST: Final = 500
"""Hits of the report, the oldest; its count is of all."""


def waiting() -> QuerySet[Hit]:
    """The open hits without an answer of CLETS."""
    own = {"hit": OuterRef("pk")}
    return Hit.objects.filter(
        ~Exists(Clets.objects.filter(**own)), ~Exists(Outcome.objects.filter(**own)), withdrawn=False
    )


def unverified() -> list[Review]:
    """Those hits with what was done so far, the oldest first."""
    return review.of(waiting().select_related("unit").order_by("received_at", "pk")[:MOST])


def older() -> int:
    """How many of them have left the live board."""
    return waiting().filter(received_at__lt=clock.now() - WINDOW).count()


def beyond(shown: Iterable[UUID]) -> int:
    """How many of them came within the board's hours and are not among those that it shows."""
    recent = waiting().filter(received_at__gte=clock.now() - WINDOW)
    return recent.exclude(pk__in=list(shown)).count()


def waited(one: Review) -> str:
    """For how long it has been here, in words."""
    return span((clock.now() - one.hit.received_at).total_seconds())


@dataclass(frozen=True)
class Figures:
    """Counts of the hits of a period; `minutes` is the median until the answer of CLETS was entered."""

    hits: int
    withdrawn: int
    answers: list[tuple[str, int]]
    outcomes: list[tuple[str, int]]
    unverified: int
    minutes: float | None


def figures(since: datetime) -> Figures:
    """What became of the hits that came since then."""
    hits = Hit.objects.filter(received_at__gte=since)
    # The last answer and outcome of a hit count, its first answer says how long it took.
    answers: dict[UUID, str] = {}
    took: dict[UUID, float] = {}
    rows = Clets.objects.filter(hit__in=hits).order_by("pk")
    for hit, result, at, received in rows.values_list("hit_id", "result", "at", "hit__received_at"):
        answers[hit] = result
        took.setdefault(hit, (at - received) / timedelta(minutes=1))
    ended = dict(Outcome.objects.filter(hit__in=hits).order_by("pk").values_list("hit_id", "kind"))
    answered, outcomes = Counter(answers.values()), Counter(ended.values())
    return Figures(
        hits=hits.count(),
        withdrawn=hits.filter(withdrawn=True).count(),
        answers=[(result.label, answered[result.value]) for result in Clets.Result],
        outcomes=[(kind.label, outcomes[kind.value]) for kind in Outcome.Kind],
        unverified=waiting().filter(received_at__gte=since).count(),
        minutes=median(took.values()) if took else None,
    )
