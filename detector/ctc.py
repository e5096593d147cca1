"""From an OCR's columns to texts: decoding of connectionist temporal classification (CTC).

Owns the search. The network gives, for each of T columns of the picture, a probability for each
character and for the blank; a text's probability is the sum over all ways to spell it along the columns,
where a character may stretch over several columns and blanks separate doubles (Graves et al., ICML 2006).
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-3
"""A character less likely than this in a column does not start a new branch of the search."""


def decode(columns: NDArray[np.float32], alphabet: str, beam: int = 16) -> list[tuple[str, float]]:
    """The most likely texts, by prefix beam search.

    Args:
        columns: (T, len(alphabet) + 1) probabilities, each row summing to 1; the blank comes last.
        alphabet: the characters of the other classes, in order.
        beam: how many texts are followed.

    Returns:
        Up to `beam` (text, probability), best first. The probabilities are those of the network, so
        that they sum to at most 1; "" is among them where it is likely.
    """
    blank_at = len(alphabet)
    # Of each text so far: the probability of all spellings that end in a blank, and of those that do not.
    beams: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}
    for row in columns:
        blank = float(row[blank_at])
        likely = [(alphabet[k], float(row[k])) for k in np.nonzero(row[:blank_at] > LEAST)[0]]
        if not likely:  # as in most columns of a plate that is read clearly
            beams = {text: ((ended + open_) * blank, 0.0) for text, (ended, open_) in beams.items()}
            continue
        likely.sort(key=itemgetter(1), reverse=True)
        shares = dict(likely)
        after: dict[str, tuple[float, float]] = {}
        for text, (ended, open_) in beams.items():
            spelt = 0.0
            if share := shares.get(text[-1:]):
                # The last character stretches, or the text without it is followed too and gets it now; a
                # double needs a blank between.
                ended_without, open_without = beams.get(text[:-1], (0.0, 0.0))
                doubled = text[-2:-1] == text[-1:]
                spelt = (open_ + ended_without + (0.0 if doubled else open_without)) * share
            after[text] = (ended + open_) * blank, spelt
        # What is no likelier than `beam` others will not be followed: most new texts are never written down.
        least = min(map(sum, after.values())) if len(after) >= beam else 0.0
        for text, (ended, open_) in beams.items():
            both, last = ended + open_, text[-1:]
            for char, share in likely:
                if both * share <= least:
                    break
                starts = (ended if char == last else both) * share
                if starts > least:
                    after.setdefault(text + char, (0.0, starts))
        beams = dict(sorted(after.items(), key=_total, reverse=True)[:beam])
    ranked = [(text, min(1.0, ended + open_)) for text, (ended, open_) in beams.items()]
    return sorted(ranked, key=itemgetter(1), reverse=True)


def _total(item: tuple[str, tuple[float, float]]) -> float:
    return item[1][0] + item[1][1]


def char_confidence(texts: list[tuple[str, float]]) -> tuple[float, ...]:
    """How much of the belief agrees with each character of the best text.

    Args:
        texts: (text, probability), the first being the best, as `decode` gives them.

    Returns:
        One number (0..1) per character of the first text: the share of the probability of all `texts`
        whose beginning up to that character, or whose end from it on, is the best text's own. So a
        text with one character more still agrees on both sides of it.
    """
    if not texts or not texts[0][0]:
        return ()
    best = texts[0][0]
    total = sum(probability for _, probability in texts)
    agreed = np.zeros(len(best))
    for text, probability in texts:
        head = _common(text, best)
        tail = _common(text[::-1], best[::-1])
        agreed[:head] += probability
        agreed[max(head, len(best) - tail) :] += probability
    return tuple(float(min(1.0, share / total)) for share in agreed)


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common from the start."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
