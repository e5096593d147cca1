"""How several looks at one plate become one text: a vote per character.

Owns the weighing, the alignment of texts of unequal length, and the confidence of the outcome. It
is pure: it knows no frame, no time and no vehicle; `firmware.passage` decides which looks belong
together.

Method: every look spreads its weight over the texts that its OCR held possible. First the length is
elected, then each position. A look whose every candidate has another length still votes: its best
text is aligned (Needleman-Wunsch with unit costs) to the heaviest text of the elected length and
only the characters that find a place count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from detector.types import CANDIDATES, Candidate, Flag, PlateText

EDGE_WEIGHT = 0.2
"""A reading that touches the frame's edge may lack characters, so it says little about the length."""

ALIGNED_WEIGHT = 0.5
"""What a look of another length is worth at the positions where it could be aligned."""

AGREEMENT = 0.5
"""How far a further agreeing look counts as independent of the best: looks at one plate share its
dirt, its frame and its light, so a second look removes only this part of the doubt that an
independent one would."""

AGREEING = 4
"""The most further looks that raise the confidence; more of the same is no new evidence."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What the looks elected.

    Attributes:
        text: the elected text, "" where no look read anything.
        confidence: estimated probability (0..1) that all of it is right.
        char_confidence: for each character its share (0..1) of the votes at its position.
        candidates: at most CANDIDATES texts by their share of the votes, the elected first.
        agreeing: how many looks read exactly `text`.
        looks: how many looks read anything.
    """

    text: str
    confidence: float
    char_confidence: tuple[float, ...]
    candidates: tuple[Candidate, ...]
    agreeing: int
    looks: int


NOTHING = Vote("", 0.0, (), (), 0, 0)


def weight(reading: PlateText) -> float:
    """How much a reading counts: its confidence squared, so that one clear look outweighs several
    guesses from afar, and never nothing, so that guesses alone can still agree."""
    squared = max(reading.confidence, 0.05) ** 2
    return squared * EDGE_WEIGHT if Flag.EDGE in reading.flags else squared


def elect(readings: Sequence[PlateText]) -> Vote:
    """The text that the readings of one vehicle's plate elect; their order does not matter."""
    cast = sorted(
        ((weight(reading), reading) for reading in readings if reading.text),
        key=lambda ballot: (-ballot[0], ballot[1].text, ballot[1].confidence),
    )
    if not cast:
        return NOTHING
    whole = _whole_texts(cast)
    length = _longest_share(whole)
    reference = min((text for text in whole if len(text) == length), key=lambda text: (-whole[text], text))
    tables = _positions(cast, length, reference)
    text = "".join(
        max(sorted(table), key=lambda char: (round(table[char], 9), char == likely))
        for (table, _), likely in zip(tables, reference, strict=True)
    )
    shares = tuple(min(table[char] / total, 1.0) for (table, total), char in zip(tables, text, strict=True))
    return Vote(
        text,
        _confidence(cast, text, shares),
        shares,
        _candidates(whole, text, shares, sum(ballot for ballot, _ in cast)),
        sum(reading.text == text for _, reading in cast),
        len(cast),
    )


def _beliefs(reading: PlateText) -> Iterable[tuple[str, float]]:
    """(text, share) of one reading, shares summing to one."""
    listed = [(one.text, one.probability) for one in reading.candidates if one.text and one.probability > 0]
    total = sum(probability for _, probability in listed)
    if not listed or total <= 0 or all(text != reading.text for text, _ in listed):
        return ((reading.text, 1.0),)
    return ((text, probability / total) for text, probability in listed)


def _whole_texts(cast: Sequence[tuple[float, PlateText]]) -> dict[str, float]:
    """The weight behind each text that any look held possible."""
    whole: dict[str, float] = defaultdict(float)
    for ballot, reading in cast:
        for text, share in _beliefs(reading):
            whole[text] += ballot * share
    return dict(whole)


def _longest_share(whole: dict[str, float]) -> int:
    """The length with most weight; of two alike the longer, since a look loses characters more
    easily than it invents them."""
    lengths: dict[int, float] = defaultdict(float)
    for text, share in whole.items():
        lengths[len(text)] += share
    return max(lengths, key=lambda length: (round(lengths[length], 9), length))


def _positions(
    cast: Sequence[tuple[float, PlateText]], length: int, reference: str
) -> list[tuple[dict[str, float], float]]:
    """For each position of the elected length the weight behind each character, and all weight cast.

    A look's own character there gets no more than the OCR's confidence in it; what that leaves over
    is doubt and goes to nobody.
    """
    tables: list[dict[str, float]] = [defaultdict(float) for _ in range(length)]
    totals = [0.0] * length
    for ballot, reading in cast:
        fitting = [(text, share) for text, share in _beliefs(reading) if len(text) == length]
        if not fitting:
            for place, char in enumerate(align(reading.text, reference)):
                if char is not None:
                    tables[place][char] += ballot * ALIGNED_WEIGHT
                    totals[place] += ballot * ALIGNED_WEIGHT
            continue
        own = len(reading.text) == length == len(reading.char_confidence)
        for place, table in enumerate(tables):
            believed: dict[str, float] = defaultdict(float)
            for text, share in fitting:
                believed[text[place]] += share
            if own:
                char = reading.text[place]
                believed[char] = min(believed[char], reading.char_confidence[place])
            for char, share in believed.items():
                table[char] += ballot * share
            totals[place] += ballot
    return list(zip(tables, totals, strict=True))


def _confidence(cast: Sequence[tuple[float, PlateText]], text: str, shares: Sequence[float]) -> float:
    """Estimated probability that `text` is right.

    The best agreeing look's calibrated confidence is the base. Further agreeing looks take away a
    part of the remaining doubt (see AGREEMENT); looks that read something else scale it by the
    agreeing looks' share of the weight, mildly, for far looks are often wrong and weigh little. A
    text that no look read as a whole has the weakest character's share of the best look.
    """
    agreeing = sorted((one.confidence for _, one in cast if one.text == text), reverse=True)
    everything = sum(ballot for ballot, _ in cast)
    if not agreeing:
        return max(one.confidence for _, one in cast) * min(shares, default=0.0) * 0.5
    doubt = 1.0 - agreeing[0]
    for other in agreeing[1 : 1 + AGREEING]:
        doubt *= 1.0 - AGREEMENT * other
    support: float = sum(ballot for ballot, one in cast if one.text == text) / everything
    return float(min(max((1.0 - doubt) * support**0.5, 0.0), 1.0))


def _candidates(
    whole: dict[str, float], text: str, shares: Sequence[float], everything: float
) -> tuple[Candidate, ...]:
    together = 1.0
    for share in shares:
        together *= share
    first = min(max(whole.get(text, 0.0) / everything, together), 1.0)
    others = sorted(
        ((one, min(share / everything, first)) for one, share in whole.items() if one != text),
        key=lambda pair: (-pair[1], pair[0]),
    )
    return (Candidate(text, first), *(Candidate(*pair) for pair in others[: CANDIDATES - 1]))


@lru_cache(maxsize=4096)
def align(text: str, reference: str) -> tuple[str | None, ...]:
    """For each position of `reference` the character of `text` that stands there, None for a gap."""
    rows, columns = len(text) + 1, len(reference) + 1
    cost = _edit_table(text, reference)
    placed: list[str | None] = [None] * len(reference)
    row, column = rows - 1, columns - 1
    while row > 0 and column > 0:
        same = text[row - 1] == reference[column - 1]
        if cost[row][column] == cost[row - 1][column - 1] + (not same):
            placed[column - 1] = text[row - 1]
            row, column = row - 1, column - 1
        elif cost[row][column] == cost[row][column - 1] + 1:
            column -= 1
        else:
            row -= 1
    return tuple(placed)


@lru_cache(maxsize=4096)
def distance(one: str, other: str) -> int:
    """Edit distance (insertions, deletions, substitutions) of two texts."""
    return _edit_table(one, other)[-1][-1]


def _edit_table(one: str, other: str) -> list[list[int]]:
    table = [list(range(len(other) + 1))]
    for row, char in enumerate(one, 1):
        above = table[-1]
        line = [row]
        for column, opposite in enumerate(other, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (char != opposite)))
        table.append(line)
    return table
