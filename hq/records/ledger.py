"""The ledger of numbers: which of a unit's store have come, which are missing, what a receipt may say.

Owns the arithmetic of `Series` and `Gap` and writing both. A receipt is computed from what is committed here
and from nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from hq.records.models import Gap, Series

Key = tuple[str, str]
"""Unit and store id."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one store's numbers are: complete up to `contiguous`, with `missing` numbers above it."""

    unit: str
    store_id: str
    contiguous: int
    missing: int


class Numbers:
    """The numbers of one store: everything up to `highest` but the gaps, which are [first, last, noticed]."""

    def __init__(self, highest: int = 0, gaps: Iterable[tuple[int, int, datetime]] = ()) -> None:
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


def note(numbers: Sequence[tuple[Key, int]], at: datetime) -> list[Standing]:
    """Write down that these numbers have come, in the caller's transaction, and say how their stores stand.

    On PostgreSQL the stores' rows stay locked until the transaction ends, so that two subscribers count one
    store's numbers one after the other; on SQLite there is one writer anyway.
    """
    rows = _lock({key for key, _ in numbers}, at)
    before = {key: _load(row) for key, row in rows.items()}
    after = {key: Numbers(known.highest, known.gaps) for key, known in before.items()}
    for key, number in numbers:
        after[key].add(number, at)
    for key, row in rows.items():
        _save(row, before[key], after[key], at)
    return [Standing(*key, known.contiguous, known.missing) for key, known in after.items()]


def lock(keys: Iterable[Key], at: datetime) -> None:
    """Take the stores' rows for this transaction before anything of theirs is looked up."""
    _lock(set(keys), at)


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


def _load(row: Series) -> Numbers:
    if row.contiguous == row.highest:
        return Numbers(row.highest)
    return Numbers(row.highest, row.gaps.values_list("first", "last", "noticed_at"))


def _save(row: Series, before: Numbers, after: Numbers, at: datetime) -> None:
    old, new = set(before.gaps), set(after.gaps)
    if gone := old - new:
        row.gaps.filter(first__in=[first for first, _, _ in gone]).delete()
    if new - old:
        Gap.objects.bulk_create(
            Gap(series=row, first=first, last=last, noticed_at=noticed)
            for first, last, noticed in sorted(new - old)
        )
    row.contiguous, row.highest, row.last_at = after.contiguous, after.highest, at
    row.save(update_fields=("contiguous", "highest", "last_at"))
