"""How several looks at one plate become one text: a vote per character.

Owns the weighing, the alignment of texts of unequal length, and the confidence of the outcome. It
is pure: it knows no frame, no time and no vehicle; `firmware.passage` decides which looks belong
together.

Method: first the length is elected, by weight. Then, at each position, each look adds the logarithm of
how much likelier it makes a character than one that it did not see at all (a weighted log-linear pool:
Genest and Zidek, "Combining probability distributions", Statistical Science 1, 1986). A sum of logarithms
lets two fair looks outvote one poor one, and one clear look many poor ones, which a mean does not. A look
whose every candidate has another length still votes: its best text is aligned (Needleman-Wunsch with unit
costs) to the heaviest text of the elected length and the characters that find a place count.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from detector.types import ALPHABET, CANDIDATES, Candidate, Flag, PlateText

EDGE_WEIGHT = 0.2
"""A reading that touches the frame's edge may lack characters, so it says little about the length."""

ALIGNED_WEIGHT = 0.5
"""What a look of another length is worth at the positions where it could be aligned."""

ALIGNED_BELIEF = 0.5
"""How far such a look is believed at such a position: it has shown that it is wrong somewhere."""

POOL_POWER = 0.4
"""A look's weight in the pool is its confidence to this power: between 0 (errors are independent from
look to look) and 1 (a poor look's errors are shared by the others)."""

SUREST = 0.995
"""No look is believed further than this about one character: OCR is sure of some mistakes."""

AGREEMENT = 0.15
"""How far a further agreeing look counts as independent of the best: looks at one plate share its font, its
dirt, its frame and its light. On rendered streets of other seeds than the measuring street's, 0 fits the
confidence best and 0.5 clearly overstates it; a little must be left, for weak looks that agree are more
than one of them."""

AGREEING = 4
"""The most further looks that raise the confidence; more of the same is no new evidence."""

REGION_SURE = 0.8
"""The least probability (0..1) with which the looks name a state. Nobody sees that the looks differed, so
two that contradict each other name none unless one of them is far surer than the other."""

_OTHERS = len(ALPHABET) - 1
_Ballot = tuple[float, PlateText]


@dataclass(frozen=True, slots=True)
class Vote:
    """What the looks elected.

    Attributes:
        text: the elected text, "" where no look read anything.
        confidence: estimated probability (0..1) that all of it is right.
        char_confidence: for each character its share (0..1) of the pool at its position.
        candidates: at most CANDIDATES texts by their share of the pool, the elected first.
        agreeing: how many looks read exactly `text`.
        looks: how many looks read anything.
        region: the state that the looks name by the plate's design, "" where they contradict each other or
            none is sure.
        region_confidence: estimated probability (0..1) that it is that state; 0 where `region` is "".
    """

    text: str
    confidence: float
    char_confidence: tuple[float, ...]
    candidates: tuple[Candidate, ...]
    agreeing: int
    looks: int
    region: str = ""
    region_confidence: float = 0.0


NOTHING = Vote("", 0.0, (), (), 0, 0)


def weight(reading: PlateText) -> float:
    """How much a reading counts for the length: its confidence squared, so that one clear look outweighs
    several guesses from afar, and never nothing, so that guesses alone can still agree."""
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
    length = _heaviest_length(whole)
    reference = min((text for text in whole if len(text) == length), key=lambda text: (-whole[text], text))
    pools = [_shares(scores) for scores in _pool(cast, length, reference)]
    text = "".join(
        max(sorted(pool), key=lambda char: (round(pool[char], 9), char == likely))
        for pool, likely in zip(pools, reference, strict=True)
    )
    shares = tuple(pool[char] for pool, char in zip(pools, text, strict=True))
    return Vote(
        text,
        _confidence(cast, text, shares),
        shares,
        _candidates(whole, pools, text, sum(ballot for ballot, _ in cast)),
        sum(reading.text == text for _, reading in cast),
        len(cast),
        *_region(cast),
    )


def _beliefs(reading: PlateText) -> Iterable[tuple[str, float]]:
    """(text, share) of one reading, shares summing to one."""
    listed = [(one.text, one.probability) for one in reading.candidates if one.text and one.probability > 0]
    total = sum(probability for _, probability in listed)
    if not listed or total <= 0 or all(text != reading.text for text, _ in listed):
        return ((reading.text, 1.0),)
    return ((text, probability / total) for text, probability in listed)


def _whole_texts(cast: Sequence[_Ballot]) -> dict[str, float]:
    """The weight behind each text that any look held possible."""
    whole: dict[str, float] = defaultdict(float)
    for ballot, reading in cast:
        for text, share in _beliefs(reading):
            whole[text] += ballot * share
    return dict(whole)


def _heaviest_length(whole: dict[str, float]) -> int:
    """The length with most weight; of two alike the longer, since a look loses characters more
    easily than it invents them."""
    lengths: dict[int, float] = defaultdict(float)
    for text, share in whole.items():
        lengths[len(text)] += share
    return max(lengths, key=lambda length: (round(lengths[length], 9), length))


def _pool(cast: Sequence[_Ballot], length: int, reference: str) -> list[dict[str, float]]:
    """For each position the summed logarithms, by character, of how much likelier the looks make it than a
    character that none of them saw."""
    pools: list[dict[str, float]] = [defaultdict(float) for _ in range(length)]
    for _, reading in cast:
        power = max(reading.confidence, 0.02) ** POOL_POWER
        power *= EDGE_WEIGHT if Flag.EDGE in reading.flags else 1.0
        fitting = [(text, share) for text, share in _beliefs(reading) if len(text) == length]
        if not fitting:
            lift = power * ALIGNED_WEIGHT * _lift(ALIGNED_BELIEF, ALIGNED_BELIEF)
            for pool, char in zip(pools, align(reading.text, reference), strict=True):
                if char is not None:
                    pool[char] += lift
            continue
        own = reading.text if len(reading.text) == length == len(reading.char_confidence) else ""
        for place, pool in enumerate(pools):
            believed: dict[str, float] = defaultdict(float)
            for text, share in fitting:
                believed[text[place]] += share
            if own:
                believed[own[place]] = min(believed[own[place]], reading.char_confidence[place])
            surest = min(max(believed.values()), SUREST)
            for char, share in believed.items():
                pool[char] += power * _lift(min(share, SUREST), surest)
    return pools


def _lift(share: float, surest: float) -> float:
    """Logarithm of `share` over what is left for each character that was not seen."""
    return math.log(max(share, 1e-3) * _OTHERS / (1.0 - surest))


def _shares(scores: dict[str, float]) -> dict[str, float]:
    """Scores as shares of all characters; one that nobody saw has score 0."""
    raised = {char: math.exp(min(score, 300.0)) for char, score in scores.items()}
    total = sum(raised.values()) + len(ALPHABET) - len(raised)
    return {char: one / total for char, one in raised.items()}


def _confidence(cast: Sequence[_Ballot], text: str, shares: Sequence[float]) -> float:
    """Estimated probability that `text` is right.

    The best agreeing look's calibrated confidence is the base. Further agreeing looks take away a
    part of the remaining doubt (see AGREEMENT); looks that read something else scale it by the
    agreeing looks' share of the weight, mildly, for far looks are often wrong and weigh little. A
    text that few or no looks read as a whole is believed as far as the pool is, and half at most.
    """
    agreeing = sorted((one.confidence for _, one in cast if one.text == text), reverse=True)
    everything = sum(ballot for ballot, _ in cast)
    pooled = 0.5 * math.prod(shares)
    if not agreeing:
        return pooled
    doubt = 1.0 - agreeing[0]
    for other in agreeing[1 : 1 + AGREEING]:
        doubt *= 1.0 - AGREEMENT * other
    support: float = sum(ballot for ballot, one in cast if one.text == text) / everything
    return float(min(max((1.0 - doubt) * support**0.5, pooled), 1.0))


def _region(cast: Sequence[_Ballot]) -> tuple[str, float]:
    """The state that the looks name and its estimated probability, ("", 0.0) where there is none.

    A state's best look counts with its log-odds, further ones with the share AGREEMENT of theirs, for looks
    at one plate share what misleads them; what speaks for the other states is taken off.
    """
    named: dict[str, list[float]] = defaultdict(list)
    for _, reading in cast:
        if reading.region and reading.region_confidence > 0.5:
            sure = min(reading.region_confidence, SUREST)
            named[reading.region].append(math.log(sure / (1.0 - sure)))
    odds = {}
    for region, looks in named.items():
        best, *further = sorted(looks, reverse=True)
        odds[region] = best + AGREEMENT * math.fsum(further[:AGREEING])
    if not odds:
        return "", 0.0
    region = min(odds, key=lambda one: (-odds[one], one))
    net = odds[region] - math.fsum(sorted(value for other, value in odds.items() if other != region))
    probability = 1.0 / (1.0 + math.exp(-net)) if net > 0 else 0.0
    return (region, probability) if probability >= REGION_SURE else ("", 0.0)


def _candidates(
    whole: dict[str, float], pools: Sequence[dict[str, float]], text: str, everything: float
) -> tuple[Candidate, ...]:
    """The elected text, those that looks held possible, and those with the runner-up at one position."""
    first = math.prod(pool[char] for pool, char in zip(pools, text, strict=True))
    others = {}
    for one, share in whole.items():
        if len(one) == len(text):
            others[one] = math.prod(pool.get(char, 0.0) for pool, char in zip(pools, one, strict=True))
        else:
            others[one] = (1.0 - first) * share / everything
    for place, pool in enumerate(pools):
        for char in sorted(pool, key=pool.__getitem__)[-2:]:
            changed = text[:place] + char + text[place + 1 :]
            others[changed] = first * pool[char] / pool[text[place]]
    ranked = sorted(
        ((one, min(share, first)) for one, share in others.items() if one != text and share > 0),
        key=lambda pair: (-pair[1], pair[0]),
    )
    return (Candidate(text, first), *(Candidate(*pair) for pair in ranked[: CANDIDATES - 1]))


@lru_cache(maxsize=4096)
def align(text: str, reference: str) -> tuple[str | None, ...]:
    """For each position of `reference` the character of `text` that stands there, None for a gap."""
    cost = _edit_table(text, reference)
    placed: list[str | None] = [None] * len(reference)
    row, column = len(text), len(reference)
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
