"""What stands on the live board, and by what mark a change of it is known.

Owns which hits are on the board and their order. How they are told is `hq.hits.wording`'s, who sees what
`hq.hits.sight`'s, how a change reaches a screen `hq.hits.live`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, Max, Q, Sum

from hq.hits import corrections, review, wording
from hq.hits.models import PERMANENT
from hq.hits.review import Review
from hq.hits.sight import Sight
from hq.records.models import Hit, Picture, Read
from hq.site import clock
from plates.words import MatchKind

WINDOW: Final = timedelta(hours=12)
"""Hits of a shift; older ones that nobody verified are in the report."""

MOST: Final = 40


@dataclass(frozen=True)
class Line:
    """One hit as a person may see it; of a masked one nothing says what is behind it."""

    id: UUID
    status: str
    claim: str
    advice: str
    match: str
    match_words: str
    text: str
    entry: str
    corrected: str
    unit: str
    place: str
    at: datetime
    ago: str
    late: str
    list_age: str
    masked: str
    exact: bool
    alarm: bool
    withdrawn: bool
    confirmed: bool
    verified: bool
    picture: bool
    acknowledged: str
    outcome: str
    step: str


def lines(sight: Sight) -> list[Line]:
    """The board's hits: first those that nobody has acknowledged, then open ones, then the rest."""
    hits = Hit.objects.filter(received_at__gte=clock.now() - WINDOW).order_by("-received_at", "-pk")
    reviews = sorted(review.of(hits.select_related("unit")[: MOST * 3]), key=_rank)
    return [line(one, sight) for one in reviews[:MOST]]


def line(one: Review, sight: Sight) -> Line:
    """A hit as the person may see it."""
    hit, read = one.hit, one.read
    masked = sight.masked(one)
    at = hit.hit_at or hit.received_at
    behind = (hit.received_at - at).total_seconds()
    seen, ended = one.acknowledged, one.outcome
    corrected = one.corrected
    return Line(
        id=hit.id,
        status=wording.status(one),
        claim=wording.MASKED if masked else wording.claim(one),
        advice=wording.advice(one),
        match="" if masked else wording.match_short(hit),
        match_words="" if masked else wording.match(hit),
        text="" if masked or read is None else read.text,
        entry="" if masked else hit.entry_plate,
        corrected="" if masked or corrected is None else corrected.corrected,
        unit=str(hit.unit),
        place=_place(read),
        at=at,
        ago=wording.span((clock.now() - at).total_seconds()),
        late=wording.span(behind) if behind > 60 else "",
        list_age=wording.span(hit.list_age_s),
        masked=masked,
        exact=hit.kind == MatchKind.EXACT,
        alarm=seen is None and one.open,
        withdrawn=hit.withdrawn,
        confirmed=one.confirmed,
        verified=one.answer is not None,
        picture=not masked and Picture.Kind.PLATE in one.pictures,
        acknowledged=str(seen.by.full_name) if seen else "",
        outcome=ended.get_kind_display() if ended else "",
        step=_step(one),
    )


def no_longer_fits(one: Review) -> bool:
    """Whether the read was corrected to a text that is not the entry's."""
    corrected = one.corrected
    return corrected is not None and not corrections.fits(one.hit.entry_plate, corrected.corrected)


def mark() -> str:
    """Changes whenever the board would look different: a hash of counts, which tells nothing of a plate."""
    since = clock.now() - WINDOW
    recent = Hit.objects.filter(received_at__gte=since)
    facts: list[object] = list(
        recent.aggregate(
            n=Count("pk"),
            last=Max("received_at"),
            r=Sum("read_revision"),
            w=Count("pk", filter=Q(withdrawn=True)),
        ).values()
    )
    # Only what came for hits of the window counts: a busy street must not redraw every board.
    facts.append(Read.objects.filter(hits__in=recent).aggregate(n=Count("pk"), r=Sum("revision")))
    facts.append(Picture.objects.filter(read__hits__in=recent, missing=False).count())
    facts += [model._default_manager.aggregate(last=Max("pk"))["last"] for model in PERMANENT]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def ids(shown: Iterable[Line]) -> list[UUID]:
    """For the access record."""
    return [one.id for one in shown]


def _rank(one: Review) -> tuple[int, float]:
    group = 0 if one.open and one.acknowledged is None else 1 if one.open else 2
    return group, -one.hit.received_at.timestamp()


def _place(read: Read | None) -> str:
    if read is None:
        return "place still to come"
    parts = [read.camera]
    if read.lat is not None and read.lon is not None:
        parts.append(f"{read.lat:.5f}, {read.lon:.5f}")
    if read.heading is not None:
        parts.append(f"looking {_compass(read.heading)}")
    if read.deployment:
        parts.append(f"deployment {read.deployment}")
    return " · ".join(parts)


def _compass(degrees: float) -> str:
    return ("N", "NE", "E", "SE", "S", "SW", "W", "NW")[round(degrees / 45) % 8]


def _step(one: Review) -> str:
    if one.answer is not None:
        return "step 2 of 2 done"
    return "step 1 of 2 done" if one.visual is not None else "no step done"
