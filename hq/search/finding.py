"""Which reads answer a question, for a person whose right may be narrow.

Owns the query, which index answers it, and how many results are told. A read is found by the text that was
read and by each that a person corrected it to (CC-51b2F). Writes nothing: the caller logs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.lookups import LessThanOrEqual

from hq.hits.models import Correction
from hq.people.policy import RIGHTS, Standing
from hq.records.keys import SHORTEST
from hq.records.models import Read, Trigram
from hq.retention.scope import like_of
from hq.search.asked import Asked, Box, Circle
from hq.search.models import Shift
from hq.site import clock
from hq.units import deployments
from plates.lookalike import fold

MOST: Final = 10_000
"""Results that are counted and can be paged to; beyond it a page says "more than"."""

RECENT: Final = timedelta(hours=24)
"""How far a narrow right looks back."""

_METRES_A_DEGREE: Final = 111_195.0  # of latitude on a sphere of 6,371 km


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
    if asked.runs:
        return Read.objects.filter(pk__in=_by_trigram(asked, reach, Q()).values("read"))
    return Read.objects.filter(_plate(asked), _window(asked), _bounds(asked), _area(asked), reach.q())


def page(asked: Asked, reach: Reach, first: int, size: int, asof: datetime) -> Found:
    """`size` answers from the `first` on (0 is the newest), of those that had come by `asof`."""
    unplaced = 0
    if asked.area is not None:
        anywhere = query(replace(asked, area=None), reach).filter(received_at__lte=asof)
        unplaced = anywhere.filter(Q(lat=None) | Q(lon=None))[: MOST + 1].count()
    return Found(newest(asked, reach, first, size, asof), count(asked, reach, MOST, asof), unplaced)


def count(asked: Asked, reach: Reach, most: int, asof: datetime | None = None) -> int:
    """How many reads answer, counted up to one more than `most`."""
    return _places(asked, reach, asof)[: most + 1].count()


def newest(asked: Asked, reach: Reach, first: int, size: int, asof: datetime | None = None) -> list[Read]:
    """A slice of the reads that answer, newest first, with what a page shows beside them."""
    found = _places(asked, reach, asof)
    # Which they are comes first: sorted with all their columns, thousands of reads take their time.
    ids = [pk for _, pk in found.order_by(*(f"-{name}" for name in _names(asked)))[first : first + size]]
    rows = Read.objects.select_related("unit").prefetch_related("pictures", "hits", "corrections")
    held = rows.in_bulk(ids)
    return [held[pk] for pk in ids if pk in held]


def _places(asked: Asked, reach: Reach, asof: datetime | None) -> QuerySet[Any, tuple[datetime, UUID]]:
    """Time and id of each read that answers, once."""
    came = Q() if asof is None else Q(received_at__lte=asof)
    if asked.runs:
        # A read has two rows where the text that was read and the right one both fit.
        return _by_trigram(asked, reach, came).values_list(*_names(asked)).distinct()
    return query(asked, reach).filter(came).values_list(*_names(asked))


def _names(asked: Asked) -> tuple[str, str]:
    return ("at", "read") if asked.runs else ("at", "id")


def _by_trigram(asked: Asked, reach: Reach, came: Q) -> QuerySet[Trigram]:
    """The rows of the rarest three known characters whose whole text fits the pattern."""
    like = like_of(asked.plate, asked.lookalikes)
    fits = Q(lookalike__like=like) if asked.lookalikes else Q(key__like=like)
    rows = Trigram.objects.filter(fits, _window(asked), came, gram=_rarest(asked))
    rest = _bounds(asked) & _area(asked) & reach.q()
    return rows.filter(Exists(Read.objects.filter(rest, pk=OuterRef("read")))) if rest else rows


def _rarest(asked: Asked) -> str:
    """Of the known characters side by side the three with the fewest digits, of which plates have more."""
    folded = [fold(run) for run in asked.runs]
    grams = [run[at : at + SHORTEST] for run in folded for at in range(len(run) - SHORTEST + 1)]
    return min(grams, key=lambda gram: sum(char.isdigit() for char in gram))


def _plate(asked: Asked) -> Q:
    if not asked.plate:
        return Q()
    if asked.partial:
        like = like_of(asked.plate, asked.lookalikes)
        fits = Q(lookalike__like=like) if asked.lookalikes else Q(key__like=like)
        return fits | Q(pk__in=Correction.objects.filter(fits).order_by().values("read"))
    fits = Q(lookalike=fold(asked.plate)) if asked.lookalikes else Q(key=asked.plate)
    # Named by id, as PostgreSQL uses no index for "or in a subquery"; of one plate there are few.
    corrected = list(Correction.objects.filter(fits).order_by().values_list("read", flat=True).distinct())
    return fits | Q(pk__in=corrected) if corrected else fits


def _window(asked: Asked) -> Q:
    found = Q()
    if asked.since:
        found &= Q(at__gte=asked.since)
    if asked.until:
        found &= Q(at__lt=asked.until)
    return found


def _bounds(asked: Asked) -> Q:
    found = Q()
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
    # PostgreSQL takes the square of next to nothing for an error, and no place is known to a millimetre.
    lat, lon = round(circle.lat, 8), round(circle.lon, 8)
    narrowing = math.cos(math.radians(lat))
    up = circle.metres / _METRES_A_DEGREE
    aside = up / narrowing
    box = Q(lat__range=(lat - up, lat + up), lon__range=(lon - aside, lon + aside))
    north, east = F("lat") - lat, (F("lon") - lon) * narrowing
    return box & Q(LessThanOrEqual(north * north + east * east, up * up))
