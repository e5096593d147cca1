"""Stored reads that fit what was entered today: matched backwards, and logged as the search that it is.

Owns the matching and its record. A match is a lead: exact and look-alike as on the units, a partial plate's
never exact (430.3(c)-2). A misread is matched by what was read and by what a person corrected it to. Who may
search at all is the caller's question to `hq.people.policy`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from hq.hits.models import Correction
from hq.lists.models import (
    HotListVersion,
    ManualEntry,
    PartialPlate,
    RetroMatch,
    RetroRun,
    Rules,
)
from hq.lists.partials import replaced
from hq.log import chain
from hq.people.models import Person
from hq.records.models import Read
from hq.site import clock
from plates.lookalike import fold
from plates.match import lookalikes
from plates.pattern import Pattern, compile_pattern
from plates.words import MatchKind

LEAST_SCORE: Final = 0.05
"""The weakest look-alike that is told, as on the units."""

MOST: Final = 1000
"""Matches of one run that are kept, the strongest; the log says how many there were."""

_EARTH_M: Final = 6_371_000.0
_CHUNK: Final = 1000

T = TypeVar("T")
_Found = tuple[float, str, Read]


def run_manual(entry: ManualEntry, *, by: Person, purpose: str, case: str) -> RetroRun:
    """Match a hot plate against the reads of the last days."""
    reads = _recent()
    found: list[_Found] = [(1.0, MatchKind.EXACT.value, read) for read in reads.filter(key=entry.plate)]
    # A confusion goes both ways: what the entry may be read as are the reads that may be the entry.
    alike = lookalikes(entry.plate, [0.0] * len(entry.plate), {}, 1, LEAST_SCORE)
    for read in reads.filter(key__in=list(alike)).iterator(_CHUNK):
        candidates = dict(read.candidates)
        score = lookalikes(read.key, read.char_confidence, candidates, 1, LEAST_SCORE).get(entry.plate)
        if score is not None:
            found.append((score, MatchKind.LOOKALIKE.value, read))
    found += _corrected(reads, Q(key=entry.plate))
    run = RetroRun(kind="manual", manual=entry)
    return _keep(run, found, {"plate": entry.plate}, by, purpose, case)


def run_partial(entry: PartialPlate, *, by: Person, purpose: str, case: str) -> RetroRun:
    """Match a partial plate against the reads of the last days, within its own time and area."""
    reads = _recent()
    if entry.seen_from is not None:
        reads = reads.filter(at__gte=entry.seen_from)
    if entry.seen_until is not None:
        reads = reads.filter(at__lte=entry.seen_until)
    near = _near(entry)
    pattern = compile_pattern(entry.pattern)
    found = [one for one in _partial(reads, pattern) if near(one[2])]
    elements = {
        "pattern": entry.pattern,
        "from": entry.seen_from,
        "until": entry.seen_until,
        "area": [entry.latitude, entry.longitude, entry.radius_m] if entry.radius_m else None,
    }
    return _keep(RetroRun(kind="partial", partial=entry), found, elements, by, purpose, case)


def run_version(version: HotListVersion, *, by: Person, purpose: str, case: str) -> RetroRun:
    """Match the entries that a version added against the reads of the last days, exactly."""
    added = version.entries.filter(change="added") if version.former_id else version.entries.all()
    reads, found = _recent(), list[_Found]()
    plates = added.filter(partial=False).values_list("plate", flat=True).distinct()
    for some in _chunks(plates.iterator(_CHUNK)):
        found += [(1.0, MatchKind.EXACT.value, read) for read in reads.filter(key__in=some)]
        found += _corrected(reads, Q(key__in=some))
    for text in added.filter(partial=True).values_list("plate", flat=True).distinct():
        found += _partial(reads, compile_pattern(text))
    elements = {"list": version.hot_list.name, "version": version.number, "entries": added.count()}
    return _keep(RetroRun(kind="version", version=version), found, elements, by, purpose, case)


def _recent() -> QuerySet[Read]:
    return Read.objects.filter(at__gte=_since())


def _since() -> datetime:
    return clock.now() - timedelta(days=Rules.current().recent_days)


def _partial(reads: QuerySet[Read], pattern: Pattern) -> Iterator[_Found]:
    # The database leaves out most of the others by the longest run of known characters.
    run = max(re.split(r"[?*]+", pattern.text), key=len)
    for read in reads.filter(lookalike__contains=fold(run)).iterator(_CHUNK):
        count = replaced(pattern, read.key, read.lookalike)
        if count is not None:
            yield pattern.score(read.key, count), MatchKind.PARTIAL.value, read
    rows = Correction.objects.filter(read__in=reads, lookalike__contains=fold(run)).select_related("read")
    for row in rows.iterator(_CHUNK):
        count = replaced(pattern, row.key, row.lookalike)
        if count is not None:
            yield pattern.score(row.key, count), MatchKind.PARTIAL.value, row.read


def _corrected(reads: QuerySet[Read], fits: Q) -> list[_Found]:
    """Reads that a person corrected to a text that fits: what a person read is no look-alike (CC-51b2F)."""
    rows = Correction.objects.filter(fits, read__in=reads).select_related("read")
    return [(1.0, MatchKind.EXACT.value, row.read) for row in rows]


def _near(entry: PartialPlate) -> Callable[[Read], bool]:
    latitude, longitude, radius = entry.latitude, entry.longitude, entry.radius_m
    if latitude is None or longitude is None or radius is None:
        return lambda read: True

    def near(read: Read) -> bool:
        # A read whose place is not known may have been there.
        if read.lat is None or read.lon is None:
            return True
        return metres(latitude, longitude, read.lat, read.lon) <= radius

    return near


def metres(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """The distance between two places in metres, on a sphere."""
    a, b = math.radians(lat1), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(half)))


def _keep(
    run: RetroRun, found: list[_Found], elements: Mapping[str, object], by: Person, purpose: str, case: str
) -> RetroRun:
    best: dict[UUID, _Found] = {}
    for one in found:
        if one[2].pk not in best or one[0] > best[one[2].pk][0]:
            best[one[2].pk] = one
    found = sorted(best.values(), key=lambda one: (-one[0], one[2].at, str(one[2].pk)))
    run.since, run.at = _since(), clock.now()
    run.by, run.purpose, run.case_number = by, purpose, case
    run.searched, run.found = _recent().count(), len(found)
    kept = found[:MOST]
    with transaction.atomic():
        run.save()
        RetroMatch.objects.bulk_create(
            RetroMatch(run=run, read=read, kind=kind, score=score) for score, kind, read in kept
        )
        chain.append(
            kind="search",
            person=by,
            action="reads.search",
            purpose=purpose,
            case=case,
            elements={"retroactive": run.kind, "since": run.since, **elements},
            result_count=len(found),
            ids=[read.pk for _, _, read in kept],
        )
    return run


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
