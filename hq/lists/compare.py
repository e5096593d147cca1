"""What changes from one version of a list to the next, entry by entry, and what in it deserves a warning.

Owns the walk over both versions and the warnings; what makes two entries the same one is
`plates.diff.key_of`. Both are streams, so that a list of a million entries needs no memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from plates.diff import key_of
from plates.words import HotListEntry

ADDED: Final = "added"
CHANGED: Final = "changed"
REMOVED: Final = "removed"
SAME: Final = "same"

SHRUNK: Final = 0.2
"""Share of the former entries whose removal is warned of: a file that was cut short looks like this."""
GROWN: Final = 0.5
"""Growth over the former number of entries that is warned of."""
BAD: Final = 0.01
"""Share of bad lines that is warned of."""
_FEW: Final = 20  # below this many entries a share says nothing


@dataclass(slots=True)
class Comparison:
    """Counts of one comparison: in all, and by alarm class."""

    counts: Counter[str] = field(default_factory=Counter)
    by_class: dict[str, Counter[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The counts as they are kept with a version."""
        return {
            **{kind: self.counts[kind] for kind in (ADDED, CHANGED, REMOVED, SAME)},
            "by_class": {name: dict(counts) for name, counts in sorted(self.by_class.items())},
        }


def compare(
    old: Iterable[HotListEntry],
    new: Iterable[HotListEntry],
    tell: Callable[[str, HotListEntry], None] = lambda kind, entry: None,
) -> Comparison:
    """Compare two versions, each sorted by `key_of` and without two entries of one key.

    `tell` is called with each change and the entry as it is now, or was where it is gone. An expiry that
    is later than before is no change: lists without expiry dates of their own get a new one at each load.
    """
    found = Comparison()
    for kind, entry in _walk(iter(old), iter(new)):
        found.counts[kind] += 1
        found.by_class.setdefault(entry.alarm_class.value, Counter())[kind] += 1
        if kind != SAME:
            tell(kind, entry)
    return found


def warnings(
    found: Comparison, *, lines: int, bad: int, expected: Iterable[str], present: Mapping[str, int]
) -> list[str]:
    """What a person should look at before approving a version.

    Args:
        found: the comparison against the version in force.
        lines: how many lines the files held.
        bad: how many of them could not be used.
        expected: the classes that the list is for.
        present: entries of the new version by class.
    """
    counts = found.counts
    former = counts[REMOVED] + counts[CHANGED] + counts[SAME]
    now = counts[ADDED] + counts[CHANGED] + counts[SAME]
    said = []
    if former >= _FEW and counts[REMOVED] > SHRUNK * former:
        said.append(f"{counts[REMOVED]} of {former} entries would go: was the file cut short?")
    if former >= _FEW and now > (1 + GROWN) * former:
        said.append(f"the list would grow from {former} to {now} entries")
    if lines >= _FEW and bad > BAD * lines:
        said.append(f"{bad} of {lines} lines could not be used: does the mapping fit the file?")
    for name in expected:
        if name in found.by_class and not present.get(name):
            said.append(f"no entry of the class {name.replace('_', ' ')} would be left")
    return said


def _walk(old: Iterator[HotListEntry], new: Iterator[HotListEntry]) -> Iterator[tuple[str, HotListEntry]]:
    a, b = next(old, None), next(new, None)
    while a is not None or b is not None:
        if b is None or (a is not None and key_of(a) < key_of(b)):
            assert a is not None
            yield REMOVED, a
            a = next(old, None)
        elif a is None or key_of(b) < key_of(a):
            yield ADDED, b
            b = next(new, None)
        else:
            yield (SAME if _alike(a, b) else CHANGED), b
            a, b = next(old, None), next(new, None)


def _alike(a: HotListEntry, b: HotListEntry) -> bool:
    same = (a.reason, a.priority, a.partial) == (b.reason, b.priority, b.partial)
    return same and a.expiry <= b.expiry
