"""Shares with their intervals, and two models compared in pairs. Owns the statistics and no more."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Share:
    """How many of how many, with Wilson's 95 percent interval."""

    right: int = 0
    of: int = 0

    def count(self, right: bool) -> None:
        self.right += right
        self.of += 1

    def __str__(self) -> str:
        if not self.of:
            return "-"
        low, high = wilson(self.right, self.of)
        share = 100 * self.right / self.of
        return f"{share:.1f} ({100 * low:.1f}-{100 * high:.1f}), {self.right} of {self.of}"


def share_of(outcomes: Iterable[bool]) -> Share:
    """The share of those that are True."""
    share = Share()
    for right in outcomes:
        share.count(right)
    return share


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson, JASA 1927): its ends, 0..1."""
    share, correction = right / of, z * z / of
    middle = (share + correction / 2) / (1 + correction)
    half = z / (1 + correction) * math.sqrt(share * (1 - share) / of + correction / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(only_one: int, only_other: int) -> float:
    """How likely, 0..1, pairs that differ would fall at least so unevenly if neither side were better.

    The exact test (McNemar, Psychometrika 1947): twice the binomial tail at one half.
    """
    differ = only_one + only_other
    tail = sum(math.comb(differ, k) for k in range(min(only_one, only_other) + 1))
    return min(1.0, 2 * tail / 2**differ)
