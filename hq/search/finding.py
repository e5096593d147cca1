"""Which reads answer a question, for a person whose right may be narrow.

Owns the query, which index answers it, and how many results are told. Writes nothing: the caller logs.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.db.models.lookups import LessThanOrEqual

from hq.people.policy import RIGHTS, Standing
from hq.records.keys import SHORTEST
from hq.records.models import Fragment, Read
from hq.retention.scope import like_of
from hq.search.asked import Asked, Box, Circle
from hq.search.models import Shift
from hq.site import clock
from hq.units import deployments
from plates.lookalike import CLASSES, fold

MOST: Final = 10_000
"""Results that are counted and can be paged to; beyond it a page says "more than"."""

RECENT: Final = timedelta(hours=24)
"""How far a narrow right looks back."""

_METRES_A_DEGREE: Final = 111_195.0  # of latitude on a sphere of 6,371 km
_ALIKE: Final = {char: group for group in CLASSES for char in group}
_LONGEST: Final = 32  # of Fragment.start


@dataclass(frozen=True)
class Reach:
    """Which reads a person may see at all: `units` None is all of them."""

    units: frozenset[str] | None = None

    @property
    def narrow(self) -> bool:
        return self.units is not None

    def q(self) -> Q:
        """The reads within reach."""
        if self.units is None:
            return Q()
        return Q(unit__in=sorted(self.units), at__gte=clock.now() - RECENT)


@dataclass(frozen=True)
class Found:
    """One page of an answer.

    Attributes:
        reads: newest first, with unit, current pictures and hits.
        count: how many there are in all, at most MOST + 1.
        unplaced: reads that fit but for an area, as their place is not known; at most MOST + 1.
    """

    reads: list[Read]
    count: int
    unplaced: int = 0

    @property
    def more(self) -> bool:
        """Whether there are more than are counted."""
        return self.count > MOST

    @property
    def told(self) -> str:
        """The count as a page may say it."""
        return f"more than {MOST:,}" if self.more else f"{self.count:,}"


def reach_of(standing: Standing, action: str = "reads.search") -> Reach:
    """How far a person's right to an action goes: with a narrow one, the units of the own shift."""
    if not standing.narrow(RIGHTS[action]):
        return Reach()
    now = clock.now()
    shifts = Shift.objects.filter(person=standing.person, starts_at__lte=now, ends_at__gt=now - RECENT)
    return Reach(frozenset(shifts.values_list("unit_id", flat=True)))


def query(asked: Asked, reach: Reach) -> QuerySet[Read]:
    """The reads that answer, in no order."""
    return Read.objects.filter(_plate(asked), _bounds(asked), _area(asked), reach.q())


def page(asked: Asked, reach: Reach, first: int, size: int, asof: datetime) -> Found:
    """`size` answers from the `first` on (0 is the newest), of those that had come by `asof`."""
    came = Q(received_at__lte=asof)
    answer = query(asked, reach).filter(came)
    unplaced = 0
    if asked.area is not None:
        without = Read.objects.filter(_plate(asked), _bounds(asked), reach.q(), came)
        unplaced = without.filter(Q(lat=None) | Q(lon=None))[: MOST + 1].count()
    return Found(newest(answer, first, size), answer[: MOST + 1].count(), unplaced)


def newest(answer: QuerySet[Read], first: int, size: int) -> list[Read]:
    """A slice of the reads, newest first, with what a page shows beside them."""
    rows = answer.order_by("-at", "-id").select_related("unit")
    return list(rows.prefetch_related("pictures", "hits")[first : first + size])


def _plate(asked: Asked) -> Q:
    if not asked.plate:
        return Q()
    if not asked.partial:
        return Q(lookalike=fold(asked.plate)) if asked.lookalikes else Q(key=asked.plate)
    like = like_of(asked.plate, asked.lookalikes)
    fits = Q(lookalike__like=like) if asked.lookalikes else Q(key__like=like)
    if not asked.runs:
        return fits
    known = Fragment.objects.filter(_starts(asked))
    if not asked.lookalikes:
        known = known.filter(key__like=like)
    return Q(key__in=known.values("key")) & fits


def _starts(asked: Asked) -> Q:
    """The fragments that begin with known characters; with look-alikes, with any of their readings."""
    if not asked.lookalikes:
        return _range(max(asked.runs, key=len))
    windows = [run[at : at + SHORTEST] for run in asked.runs for at in range(len(run) - SHORTEST + 1)]
    best = min(windows, key=lambda some: math.prod(len(_ALIKE.get(char, char)) for char in some))
    readings = ("".join(chars) for chars in itertools.product(*(_ALIKE.get(char, char) for char in best)))
    found = Q()
    for reading in readings:
        found |= _range(reading)
    return found


def _range(start: str) -> Q:
    # Z sorts last of what a key is made of, in every collation.
    return Q(start__gte=start, start__lte=start.ljust(_LONGEST, "Z"))


def _bounds(asked: Asked) -> Q:
    found = Q()
    if asked.since:
        found &= Q(at__gte=asked.since)
    if asked.until:
        found &= Q(at__lt=asked.until)
    if asked.unit:
        found &= Q(unit=asked.unit)
    if asked.deployment:
        found &= deployments.within(asked.deployment)
    return found


def _area(asked: Asked) -> Q:
    area = asked.area
    if isinstance(area, Box):
        return Q(lat__gte=area.south, lat__lte=area.north, lon__gte=area.west, lon__lte=area.east)
    if isinstance(area, Circle):
        return _within(area)
    return Q()


def _within(circle: Circle) -> Q:
    """On a plane that touches the sphere in the centre: good to a thousandth within MOST_METRES."""
    narrowing = math.cos(math.radians(circle.lat))
    up = circle.metres / _METRES_A_DEGREE
    aside = up / narrowing
    box = Q(
        lat__range=(circle.lat - up, circle.lat + up), lon__range=(circle.lon - aside, circle.lon + aside)
    )
    north, east = F("lat") - circle.lat, (F("lon") - circle.lon) * narrowing
    return box & Q(LessThanOrEqual(north * north + east * east, up * up))
