"""Keeps every plate of the database out of mails, even one that somebody wrote where no plate belongs.

A digest and an alarm hold no plate of themselves (430.7-b). But names and titles that people typed stand in
them, and so each text is compared with what was read and what is on the lists before it leaves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hq.hits.models import Correction
from hq.lists.models import HotListEntry, ManualEntry, PartialPlate
from hq.records.keys import search_key
from hq.records.models import Hit, Read

WITHHELD: Final = "[withheld]"
_WORD: Final = re.compile(r"(?:[^\W_]|[?*])+")
_WORDS: Final = 4
"""Words that one plate may be written as: `7 ABC 123`, and one to spare."""
_GAP: Final = 3
"""Signs between two of them: ` - `."""
_SHORTEST: Final = 2
_SHORTEST_INSIDE: Final = 5
"""A shorter plate inside a longer word is chance."""
_CHUNK: Final = 400
_Span = tuple[int, int, str]


def withhold(texts: Sequence[str]) -> list[str]:
    """The texts with every plate that the database holds replaced, however it is spaced."""
    spans = [list(_spans(text)) for text in texts]
    known = _known({key for found in spans for _, _, key in found})
    return [_without(text, found, known) for text, found in zip(texts, spans, strict=True)]


def _spans(text: str) -> Iterator[_Span]:
    """Every place where a plate may stand, with the plate that it would be."""
    words = [match.span() for match in _WORD.finditer(text)]
    for first, (start, end) in enumerate(words):
        for length in range(_SHORTEST_INSIDE, end - start):
            yield from _span(text, ((at, at + length) for at in range(start, end - length + 1)))
        for last in range(first, min(first + _WORDS, len(words))):
            if last > first and words[last][0] - words[last - 1][1] > _GAP:
                break
            yield from _span(text, [(start, words[last][1])])


def _span(text: str, places: Iterable[tuple[int, int]]) -> Iterator[_Span]:
    for start, end in places:
        key = _key(text[start:end])
        if len(key) >= _SHORTEST:
            yield start, end, key


def _key(text: str) -> str:
    """As plates are compared; the signs of a partial plate stay."""
    if "?" in text or "*" in text:
        return "".join(char for char in text.upper() if char.isalnum() or char in "?*")
    return search_key(text)


def _known(keys: set[str]) -> set[str]:
    """Those that are a plate of the database."""
    found: set[str] = set()
    held = sorted(keys)
    for chunk in (held[n : n + _CHUNK] for n in range(0, len(held), _CHUNK)):
        for model, field in (
            (Read, "key"),
            (Hit, "entry_plate"),
            (HotListEntry, "plate"),
            (ManualEntry, "plate"),
            (PartialPlate, "pattern"),
            (Correction, "key"),
        ):
            rows = model._default_manager.filter(**{f"{field}__in": chunk})
            found.update(rows.values_list(field, flat=True).distinct())
    return found


def _without(text: str, spans: Iterable[_Span], known: set[str]) -> str:
    end_of_last, parts = 0, []
    for start, end in _merged(sorted((start, end) for start, end, key in spans if key in known)):
        parts += [text[end_of_last:start], WITHHELD]
        end_of_last = end
    return "".join([*parts, text[end_of_last:]])


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
