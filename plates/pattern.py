"""Partial plates: what a witness remembers, with `?` for one character and `*` for a run of any length.

Owns the syntax, the matching and the estimate of how much a pattern would match (430.3(c)). A witness takes
O for 0 as a camera does, so a known character may also be met by one of its look-alike class
(`plates.lookalike.CLASSES`): how many may is the caller's affair, and each halves the score.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from plates.errors import PatternError, TextError
from plates.lookalike import CLASSES, STRONG, fold
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
    _folded: re.Pattern[str]

    def matches(self, plate: str) -> bool:
        """Whether a normalised plate fits the pattern to the letter, from its first to its last character."""
        return self.matches_folded(fold(plate)) and self.replaced(plate) == 0

    def matches_folded(self, folded: str) -> bool:
        """Whether a plate, folded by `plates.lookalike.fold`, fits with any number of look-alikes. The fast
        question for thousands of patterns; `replaced` says how well the few fit that do."""
        return self._folded.fullmatch(folded) is not None

    def replaced(self, plate: str) -> int | None:
        """How many known characters a plate meets by a look-alike only, at the least; None where it does
        not fit even so."""
        # By how many for each number of characters of the plate that the pattern so far may have used up.
        used = {0: 0}
        for char in self.text:
            after: dict[int, int] = {}
            for at, count in used.items():
                if char == "*":
                    for end in range(at, len(plate) + 1):
                        after[end] = min(count, after.get(end, count))
                elif at < len(plate) and (char == "?" or fold(char) == fold(plate[at])):
                    more = count + (char not in ("?", plate[at]))
                    after[at + 1] = min(more, after.get(at + 1, more))
            used = after
        return used.get(len(plate))

    def score(self, plate: str, replaced: int = 0) -> float:
        """The share (0..1) of a matching plate's characters that the pattern knew, halved for each that the
        plate meets by a look-alike only."""
        return min(self.literals / len(plate), 1.0) * STRONG**replaced if plate else 0.0

    def width(self) -> float:
        """Estimated share (0..1) of all plates that the pattern matches by chance, with one look-alike.

        A model, not a count: plates of 5 to 8 characters, each known character right one time in
        twenty; a run multiplies by the places where its neighbours can stand, and every look-alike of a
        known character adds a pattern.
        """
        fixed = self.text.replace("*", "")
        runs = len(re.findall(r"\*+", self.text))
        alike = 1 + sum(len(group) - 1 for char in fixed for group in CLASSES if char in group)
        total = 0.0
        for length, share in _USUAL_LENGTHS.items():
            free = length - len(fixed)
            if free < 0 or (free > 0 and not runs):
                continue
            places = math.comb(free + runs - 1, runs - 1) if runs else 1
            total += share * min(1.0, alike * places * _CHOICES**-self.literals)
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
    places = {"?": "[0-9A-Z]", "*": f"[0-9A-Z]{{0,{MAX_LENGTH}}}"}
    folded = "".join(places.get(char, char) for char in fold(text))
    return Pattern(text, literals, re.compile(folded))
