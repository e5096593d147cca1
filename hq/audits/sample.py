"""Draws a random sample of the access log and of units' access records that anybody can draw again.

A row's rank is SHA-256 of "seed:sequence", a unit's record's of "seed:id"; in each risk area those with the
lowest ranks are taken, an equal share for each area, so that rare acts are looked at beside many searches.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hq.audits.acts import SHOWN
from hq.log.models import AccessRecord
from hq.records.models import AccessReceived


@dataclass(frozen=True)
class Area:
    """A risk area: what it is called and which actions fall into it, by the start of their names."""

    title: str
    prefixes: tuple[str, ...]


REFUSED: Final = "refused"
AREAS: Final = {
    "searches": Area("reads and pictures searched and seen, on units too", ("reads.", "deployments.canvass")),
    "hits": Area("hits seen and verified", ("hits.",)),
    "lists": Area("hot lists and hot plates: entered, changed, removed", ("lists.",)),
    "sharing": Area("releases, partners, evidence packages", ("releases.", "partners.", "evidence.")),
    "people": Area(
        "accounts, rights, training",
        ("accounts.", "roles.", "grants.", "appointments.", "training.", "settings."),
    ),
    "keeping": Area("retention, holds, destruction", ("retention.", "holds.", "destruction.")),
    "logins": Area("log-ins", ("session.",)),
    REFUSED: Area("refused and failed attempts of any kind", ()),
}


@dataclass(frozen=True)
class Drawn:
    """Sequence numbers, and ids of units' records, with the area that each was drawn for.

    `population` is how many records each area held.
    """

    rows: list[tuple[int, str]]
    units: list[tuple[UUID, str]]
    population: dict[str, int]


def draw(since: datetime, until: datetime, areas: Sequence[str], size: int, seed: str) -> Drawn:
    """Draw `size` records of a period, or all if there are fewer. The same arguments give the same ones.

    What was seen on a unit counts from when HQ received it, so that what comes late is in a period too.
    """
    ranked: dict[str, list[tuple[str, int | UUID]]] = {area: [] for area in areas}
    period = AccessRecord.objects.filter(at__gte=since, at__lt=until)
    for sequence, action, outcome in period.values_list("sequence", "action", "outcome").iterator(2000):
        for area in areas_of(action, outcome):
            if area in ranked:
                ranked[area].append((rank(seed, sequence), sequence))
    received = AccessReceived.objects.filter(received_at__gte=since, received_at__lt=until)
    for pk, outcome in received.values_list("pk", "outcome").iterator(2000):
        for area in areas_of_unit(outcome):
            if area in ranked:
                ranked[area].append((rank(seed, pk), pk))
    taken: dict[int | UUID, str] = {}
    open_areas = {area: iter(heapq.nsmallest(size, rows)) for area, rows in ranked.items()}
    while open_areas and len(taken) < size:
        for area, rows in list(open_areas.items()):
            found = next((sequence for _, sequence in rows if sequence not in taken), None)
            if found is None:
                del open_areas[area]
            elif len(taken) < size:
                taken[found] = area
    own = sorted((one, area) for one, area in taken.items() if isinstance(one, int))
    units = sorted((one, area) for one, area in taken.items() if isinstance(one, UUID))
    return Drawn(own, units, {area: len(rows) for area, rows in ranked.items()})


def rank(seed: str, record: int | UUID) -> str:
    """What decides whether a record is drawn."""
    return hashlib.sha256(f"{seed}:{record}".encode()).hexdigest()


def areas_of(action: str, outcome: str) -> Iterable[str]:
    """The areas that a row falls into."""
    for code, area in AREAS.items():
        if any(action.startswith(prefix) for prefix in area.prefixes):
            yield code
    if outcome != "done":
        yield REFUSED


def areas_of_unit(outcome: str) -> Iterable[str]:
    """The areas that a unit's record falls into: plates were seen on it, or were to be."""
    yield "searches"
    if outcome != SHOWN:
        yield REFUSED
