"""Draws a random sample of the access log that anybody can draw again from its seed.

A row's rank is SHA-256 of "seed:sequence"; in each risk area the rows with the lowest ranks are taken, an
equal share for each area, so that rare acts are looked at beside the many searches.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hq.log.models import AccessRecord


@dataclass(frozen=True)
class Area:
    """A risk area: what it is called and which actions fall into it, by the start of their names."""

    title: str
    prefixes: tuple[str, ...]


REFUSED: Final = "refused"
AREAS: Final = {
    "searches": Area("searches, reads and pictures seen", ("reads.", "deployments.canvass")),
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
    """Sequence numbers with the area that each was drawn for, and the rows that each area held."""

    rows: list[tuple[int, str]]
    population: dict[str, int]


def draw(since: datetime, until: datetime, areas: Sequence[str], size: int, seed: str) -> Drawn:
    """Draw `size` rows of a period, or all if there are fewer. The same arguments give the same rows."""
    ranked: dict[str, list[tuple[str, int]]] = {area: [] for area in areas}
    period = AccessRecord.objects.filter(at__gte=since, at__lt=until)
    for sequence, action, outcome in period.values_list("sequence", "action", "outcome").iterator(2000):
        for area in areas_of(action, outcome):
            if area in ranked:
                ranked[area].append((rank(seed, sequence), sequence))
    taken: dict[int, str] = {}
    open_areas = {area: iter(heapq.nsmallest(size, rows)) for area, rows in ranked.items()}
    while open_areas and len(taken) < size:
        for area, rows in list(open_areas.items()):
            found = next((sequence for _, sequence in rows if sequence not in taken), None)
            if found is None:
                del open_areas[area]
            elif len(taken) < size:
                taken[found] = area
    return Drawn(sorted(taken.items()), {area: len(rows) for area, rows in ranked.items()})


def rank(seed: str, sequence: int) -> str:
    """What decides whether a row is drawn."""
    return hashlib.sha256(f"{seed}:{sequence}".encode()).hexdigest()


def areas_of(action: str, outcome: str) -> Iterable[str]:
    """The areas that a row falls into."""
    for code, area in AREAS.items():
        if any(action.startswith(prefix) for prefix in area.prefixes):
            yield code
    if outcome != "done":
        yield REFUSED
