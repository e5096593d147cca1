"""Characters that a camera, or a person, takes for one another.

Owns the confusions and how strong they are. What a confusion is worth in one particular reading is
`plates.match`'s business, since only the OCR knows how sure it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STRONG: Final = 0.5
"""One glyph on many dies (O and 0), or one stroke's difference (8 and B)."""
WEAK: Final = 0.2
"""Alike only where characters are small, blurred or seen from the side."""

CLASSES: Final = ("0ODQ", "1I", "8B", "5S", "2Z", "6G")
"""Characters that look alike among themselves; the first stands for the class in `fold`.

HQ's tables hold folded texts and patterns: who changes a class brings a migration that folds them anew, or
searches and holds miss what was read before.
"""

_DIES: Final = ("0O", "1I")
ONE_GLYPH: Final = frozenset(pair for die in _DIES for pair in (die, die[::-1]))
"""Pairs that one and the same die stamps in many states: no camera can tell them apart there."""

_WEAK_PAIRS: Final = (
    "VU",
    "VY",
    "WM",
    "4A",
    "CG",
    "1L",
    "IL",
    "1T",
    "7Z",
    "7T",
    "EF",
    "PR",
    "HN",
    "3B",
    "38",
)


def _confusions() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    groups = [(group, STRONG) for group in CLASSES] + [(pair, WEAK) for pair in _WEAK_PAIRS]
    for group, strength in groups:
        for a in group:
            for b in group:
                if a != b:
                    found.setdefault(a, {})[b] = strength
    return found


CONFUSIONS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(_confusions())
"""For each character that has any: its look-alikes with their strength, 0..1. Symmetric."""

_STAMPED: Final = str.maketrans({die[1]: die[0] for die in _DIES})
_FOLD: Final = str.maketrans({char: group[0] for group in CLASSES for char in group})


def fold(text: str) -> str:
    """The text with every character of CLASSES replaced by its class's first; weak pairs stay apart.

    Two texts that differ only within the classes have one folded form.
    """
    return text.translate(_FOLD)


def one_glyph(text: str) -> str:
    """The text with O as 0 and I as 1: two texts that no camera can tell apart have one such form."""
    return text.translate(_STAMPED)


def strength(a: str, b: str) -> float:
    """How easily the characters `a` and `b` are taken for one another: 1.0 for the same, 0.0 for never."""
    return 1.0 if a == b else CONFUSIONS[a].get(b, 0.0) if a in CONFUSIONS else 0.0
