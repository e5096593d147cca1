"""Partial plates: what a witness remembers, with `?` for one character and `*` for a run of any length.

Owns the syntax, the matching and the estimate of how much a pattern would match (430.3(c)).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from plates.errors import PatternError, TextError
from plates.text import MAX_LENGTH, normalise

MIN_LITERALS: Final = 2
"""A pattern with fewer known characters would match a good part of all traffic."""
MAX_WIDTH: Final = 0.02
"""The widest estimate (`Pattern.width`) with which a partial plate goes on a list: two alarms in a hundred
passing cars are as many as an officer can look at."""

_USUAL_LENGTHS: Final = {5: 0.05, 6: 0.25, 7: 0.6, 8: 0.1}  # of US plates, for the estimate alone
_CHOICES: Final = 20.0  # effective number of characters in a place: serials use letters or digits there


@dataclass(frozen=True, slots=True)
class Pattern:
    """One compiled partial plate.

    Attributes:
        text: normalised: characters 0-9A-Z, `?` and `*`.
        literals: how many characters are known.
    """

    text: str
    literals: int
    _regex: re.Pattern[str]

    def matches(self, plate: str) -> bool:
        """Whether a normalised plate fits the pattern from its first to its last character."""
        return self._regex.fullmatch(plate) is not None

    def score(self, plate: str) -> float:
        """The share (0..1) of a matching plate's characters that the pattern knew."""
        return min(self.literals / len(plate), 1.0) if plate else 0.0

    def width(self) -> float:
        """Estimated share (0..1) of all plates that the pattern matches by chance.

        A model, not a count: plates of 5 to 8 characters, each known character right one time in
        twenty; a run multiplies by the places where its neighbours can stand.
        """
        fixed = self.text.replace("*", "")
        runs = len(re.findall(r"\*+", self.text))
        total = 0.0
        for length, share in _USUAL_LENGTHS.items():
            free = length - len(fixed)
            if free < 0 or (free > 0 and not runs):
                continue
            places = math.comb(free + runs - 1, runs - 1) if runs else 1
            total += share * min(1.0, places * _CHOICES**-self.literals)
        return total


def compile_pattern(raw: str) -> Pattern:
    """Compile what a person typed.

    Raises:
        PatternError: a strange character, no wildcard at all, more than MAX_LENGTH places, or fewer than
            MIN_LITERALS known characters.
    """
    try:
        text = normalise(raw, wildcards="?*")
    except TextError as error:
        raise PatternError(f"partial plate: {error}") from error
    text = re.sub(r"\*+", "*", text)
    literals = sum(char not in "?*" for char in text)
    if literals == len(text):
        raise PatternError("a partial plate needs a ? or a *; a whole plate is an entry of its own")
    if literals < MIN_LITERALS:
        raise PatternError(f"a partial plate needs at least {MIN_LITERALS} known characters")
    places = "".join({"?": "[0-9A-Z]", "*": f"[0-9A-Z]{{0,{MAX_LENGTH}}}"}.get(c, c) for c in text)
    return Pattern(text, literals, re.compile(places))


def matching(patterns: Iterable[Pattern], plate: str) -> list[Pattern]:
    """Those of `patterns` that fit a normalised plate, in their order."""
    return [pattern for pattern in patterns if pattern.matches(plate)]
