"""What changes from one hot list to the next: added, changed and removed entries.

Owns the comparison. It takes sorted streams, so that lists of a million entries need no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from plates.words import HotListEntry

Key = tuple[str, str, str, str, str]


def key_of(entry: HotListEntry) -> Key:
    """What makes two entries the same one: plate, state, class, source and case number."""
    return (entry.plate, entry.state, entry.alarm_class.value, entry.source, entry.case_number)


@dataclass(slots=True)
class Diff:
    """How many entries were added, changed, removed and kept as they were."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0


def diff(old: Iterable[HotListEntry], new: Iterable[HotListEntry]) -> Diff:
    """Compare two lists, each sorted by `key_of` and without two entries of one key."""
    count = Diff()
    before, after = iter(old), iter(new)
    a, b = next(before, None), next(after, None)
    while a is not None or b is not None:
        if b is None or (a is not None and key_of(a) < key_of(b)):
            count.removed += 1
            a = _step(before, a)
        elif a is None or key_of(b) < key_of(a):
            count.added += 1
            b = _step(after, b)
        else:
            count.same += a == b
            count.changed += a != b
            a, b = _step(before, a), _step(after, b)
    return count


def _step(entries: Iterator[HotListEntry], last: HotListEntry | None) -> HotListEntry | None:
    following = next(entries, None)
    if following is not None and last is not None and key_of(following) <= key_of(last):
        raise ValueError("the lists must be sorted by key_of, without doubles")
    return following
