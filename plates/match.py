"""How far a reading speaks for another text: the rule behind look-alike hits.

Owns the weighing. Where entries are kept and looked up is `firmware.hotlist` on the unit and HQ's
database at HQ.

A look-alike hit is worth an officer's attention only where the camera itself was in doubt. In a state
whose serials fill their space densely, nearly every plate has a listed neighbour one look-alike away;
so the text with the other character is scored by what the OCR believed:

- if it is among the OCR's candidates: its probability relative to the reading's own, or the bare
  probability where the reading itself is not among them;
- otherwise: the doubt that the OCR left at that character, times how strong the confusion is. Where both
  characters are one glyph in many states (O and 0, I and 1), the OCR's certainty says nothing, and the
  doubt counts as whole.

The score of a text with several substitutions is the product. What scores below the configured least
(`hotlist.lookalike_score`) is no match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from plates.lookalike import CONFUSIONS, ONE_GLYPH
from plates.words import HotListEntry, MatchKind

STATE_SURE: Final = 0.95
"""The least probability (0..1) of a read's state with which a hit says that the states agree or differ. Most
exact hits are of the listed state, so that with a lower bound most of the hits that say "another state" would
say so because the state was misread, and officers would learn to pass over the words; and "the same" must not
lull them more than once in twenty times. Below it the hit says what it says of an unknown state: look."""

_NCIC_STATES: Final = {"NB": "NE"}
"""NCIC's codes that are not the post's, which plate designs are named by."""


@dataclass(frozen=True, slots=True)
class Match:
    """An entry that a reading matches, and how.

    Attributes:
        entry: the entry.
        kind: exact, look-alike or partial.
        score: 0..1. 1.0 for exact; the OCR's relative belief for a look-alike; for a partial the share of
            known characters, halved for each that is met by a look-alike only.
        state_agrees: whether the reading's state is the entry's, None where either is unknown.
    """

    entry: HotListEntry
    kind: MatchKind
    score: float
    state_agrees: bool | None


def lookalikes(
    text: str,
    char_confidence: Sequence[float],
    candidates: Mapping[str, float],
    substitutions: int,
    least: float,
) -> dict[str, float]:
    """The texts that a reading may really be, with their scores.

    Args:
        text: the reading, normalised.
        char_confidence: one probability (0..1) per character; where it is shorter than `text`, the
            characters beyond count as certain.
        candidates: the OCR's candidates with their probabilities (0..1).
        substitutions: how many characters may differ, each by a confusion of `plates.lookalike`.
        least: scores below it are left out, 0 < least <= 1.

    Returns:
        Text to score, without `text` itself.
    """
    own = candidates.get(text, 0.0) or 1.0
    found: dict[str, float] = {}
    # What is left of the score after each substitution bounds the search, so that it ends early.
    frontier = {text: (1.0, 0)}
    for _ in range(substitutions):
        after: dict[str, tuple[float, int]] = {}
        for base, (score, start) in frontier.items():
            for place in range(start, len(base)):
                doubt = 1.0 - char_confidence[place] if place < len(char_confidence) else 0.0
                for other, strong in CONFUSIONS.get(base[place], {}).items():
                    changed = base[:place] + other + base[place + 1 :]
                    value = score * strong * (1.0 if base[place] + other in ONE_GLYPH else doubt)
                    if changed in candidates:
                        value = max(value, min(1.0, candidates[changed] / own))
                    if value >= least:
                        after[changed] = (value, place + 1)
                        found[changed] = max(value, found.get(changed, 0.0))
        frontier = after
    return found


def state_agrees(read_state: str, entry_state: str) -> bool | None:
    """Whether two state codes agree; None where either is unknown ("")."""
    if not read_state or not entry_state:
        return None
    return _NCIC_STATES.get(read_state, read_state) == _NCIC_STATES.get(entry_state, entry_state)


def sure_state(region: str, confidence: float) -> str:
    """A read's state where it is sure enough to be held against an entry's (STATE_SURE), "" otherwise."""
    return region if confidence >= STATE_SURE else ""
