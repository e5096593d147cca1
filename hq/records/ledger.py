"""The ledger of numbers: which of a unit's store have come, which are missing, what a receipt may say.

Owns the arithmetic of `Series` and `Gap` and writing both. A receipt is computed from what is committed here
and from nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from hq.records import bulk
from hq.records.models import Gap, Series

Key = tuple[str, str]
"""Unit and store id."""
_Gap = tuple[int, int, datetime]
"""First and last number that are missing, and when that was noticed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one store's numbers are: complete up to `contiguous`, with `missing` numbers above it."""

    unit: str
    store_id: str
    contiguous: int
    missing: int


class Numbers:
    """The numbers of one store: everything up to `highest` but the gaps, which are [first, last, noticed]."""

    def __init__(self, highest: int = 0, gaps: Iterable[_Gap] = ()) -> None:
        self.highest = highest
        self.gaps = sorted(gaps)

    @property
    def contiguous(self) -> int:
        """The number up to which nothing is missing."""
        return self.gaps[0][0] - 1 if self.gaps else self.highest

    @property
    def missing(self) -> int:
        """How many numbers below `highest` have not come."""
        return sum(last - first + 1 for first, last, _ in self.gaps)

    def add(self, number: int, at: datetime) -> None:
        """Note that a number came; one that had come before changes nothing."""
        if number > self.highest:
            if number > self.highest + 1:
                self.gaps.append((self.highest + 1, number - 1, at))
            self.highest = number
            return
        place = bisect_right(self.gaps, number, key=lambda gap: gap[0]) - 1
        if place < 0 or self.gaps[place][1] < number:
            return
        first, last, noticed = self.gaps[place]
        parts = [(first, number - 1, noticed), (number + 1, last, noticed)]
        self.gaps[place : place + 1] = [part for part in parts if part[0] <= part[1]]


def lock(keys: Iterable[Key], at: datetime) -> dict[Key, Series]:
    """Take the stores' rows for this transaction before anything of theirs is looked up; new ones are made.

    On PostgreSQL they stay locked until the transaction ends, so that two subscribers count one store's
    numbers one after the other; on SQLite there is one writer anyway.
    """
    return _lock(set(keys), at)


def note(rows: Mapping[Key, Series], numbers: Sequence[tuple[Key, int]], at: datetime) -> list[Standing]:
    """Write down that these numbers have come, and say how their stores stand.

    `rows` are what `lock` gave in this transaction for all of the stores, and for no other.
    """
    # One statement of a kind for all of the stores: two subscribers see gaps in every batch.
    gaps = _gaps(rows.values())
    after = {key: Numbers(row.highest, gaps.get(row.pk, ())) for key, row in rows.items()}
    for key, number in numbers:
        after[key].add(number, at)
    gone: list[int] = []
    new: list[Gap] = []
    for key, row in rows.items():
        old, now = gaps.get(row.pk, {}), set(after[key].gaps)
        gone += (pk for gap, pk in old.items() if gap not in now)
        new += (
            Gap(series=row, first=first, last=last, noticed_at=noticed)
            for first, last, noticed in sorted(now - old.keys())
        )
        row.contiguous, row.highest, row.last_at = after[key].contiguous, after[key].highest, at
    if gone:
        Gap.objects.filter(pk__in=gone).delete()
    bulk.insert(new)
    bulk.update(rows.values(), ("contiguous", "highest", "last_at"))
    return [Standing(*key, known.contiguous, known.missing) for key, known in after.items()]


def standings() -> list[Standing]:
    """How every store that ever sent stands."""
    return [
        Standing(row.unit_id, row.store_id, row.contiguous, 0)
        for row in Series.objects.order_by("unit", "store_id")
    ]


def _lock(keys: set[Key], at: datetime) -> dict[Key, Series]:
    stores = {store_id for _, store_id in keys}
    query = Series.objects.filter(store_id__in=stores, unit__in={unit for unit, _ in keys})
    if connection.features.has_select_for_update:
        query = query.select_for_update()
    rows = {(row.unit_id, row.store_id): row for row in query.order_by("unit", "store_id")}
    new = [
        Series(unit_id=unit, store_id=store_id, first_at=at, last_at=at)
        for unit, store_id in sorted(keys - rows.keys())
    ]
    if new:
        Series.objects.bulk_create(new, ignore_conflicts=True)
        return _lock(keys, at)
    return {key: row for key, row in rows.items() if key in keys}


def _gaps(rows: Iterable[Series]) -> dict[int, dict[_Gap, int]]:
    """The gaps of these stores with their keys, by the store's key."""
    behind = [row.pk for row in rows if row.contiguous != row.highest]
    found: dict[int, dict[_Gap, int]] = {}
    if behind:
        held = Gap.objects.filter(series__in=behind)
        for series, pk, first, last, noticed in held.values_list(
            "series", "pk", "first", "last", "noticed_at"
        ):
            found.setdefault(series, {})[first, last, noticed] = pk
    return found
