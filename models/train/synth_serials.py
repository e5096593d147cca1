"""What is written on synthetic plates: serials of many formats, and vanity words.

Owns only texts and how they are grouped. A serial is a list of Token; how a token looks is
`train.synth`'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np

from plates.formats import shape_of

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
AGAIN = 0.12
"""How often a character is that before it once more: chance alone shows too few runs as 000 to learn them."""


class Kind(Enum):
    """What a token of a serial is."""

    TEXT = "text"
    """Characters at full height; they belong to the plate's text."""
    STACK = "stack"
    """Two or three small letters above each other; they belong to the text, top first."""
    SMALL = "small"
    """One or two letters at about 70 percent of the height; they belong to the text."""
    SPACE = "space"
    """A gap."""
    SYMBOL = "symbol"
    """A state's shape, a dot, a dash, a seal: not part of the text."""


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a serial; `text` is empty for gaps and symbols."""

    kind: Kind
    text: str = ""


SPACE = Token(Kind.SPACE)
SYMBOL = Token(Kind.SYMBOL)

# A letter of a pattern is any letter, 9 any digit; '-' a separator that may be a gap, a dash or a
# symbol; [..] a stack; (..) small letters. US: standard, truck, dealer and exempt series.
_US = (
    *("9AAA999", "9AAA999", "AAA-9999", "AAA-9999", "AAA-999", "AAA-999", "999-AAA", "999AAA"),
    *("AAA9999", "AA-99999", "99-AAA9", "AAA-99A", "AA9-A999", "9A-99999", "A99-AAA", "A99AAA"),
    *("999-AA9", "999A999", "9AA-999", "AA-9999", "AA999AA", "999-999", "99A-999", "A999999"),
    *("A99-99A", "AAA-A99", "9A99999", "999-9999", "99999", "9999", "99999A", "A-99999", "999999"),
    *("AA-999", "99-9999", "[AA]9999", "9999[AA]", "[AA]99999", "999[AA]", "(A)99999", "99-A999"),
    *("AAA99", "999-99A", "9A9999", "AA9999A", "99999[AA]", "[AA]9999A", "[AA]AAAA", "[AA]A999"),
    *("[A9]9999", "(AA)9999", "9-99999", "999-999A", "AB9-9999", "A9A-9A9", "AA99AAA"),
)
_EU = (
    *("AA-AA-999", "A-AA-9999", "AAA-AA-99", "A-A-9999", "AA-A-999", "AAA-A-9", "AA-999-AA"),
    *("AA999AA", "9999-AAA", "AA-99999", "AAA-9999", "99-AA-99", "99-AAA-9", "AA-99-AAA", "9-AAA-999"),
    *("AAA-999", "9AA-9999", "AA-9999", "A-99-AAA", "AA-99-99", "AA-9999-AA", "9A9-9999", "99999-AA"),
)
_UK = ("AA99-AAA", "AA99-AAA", "AA99-AAA", "A999-AAA", "A99-AAA", "AAA-999A", "AAA-99A", "A9-AAA", "AAA-9A")
_BR = ("AAA-9999", "AAA-9999", "AAA9A99")
_WIDE = (
    *("AA99AA9999", "AA-99-AA-9999", "AA-99-A-9999", "99-999-99", "999-99-999", "A999AA99", "A999AA999"),
    *("AA999A", "AAA99A", "AAA-99A", "AA-99-AA", "AAA-999A", "99AAA9", "AA-999-A", "AAA-99-99", "9999-AA"),
)
# Two lines of one plate: motorcycles', square plates of cars.
_TWO_LINES = (
    *("AA99A/A9999", "AA99A/A9999", "AA-99/A9999", "AA-99/AA9999", "AA99/AA-9999", "AA99AA/9999"),
    *(
        "AA99/AAA",
        "AA99/AAA",
        "A999/AAA",
        "AAA/999A",
        "AAA/99A",
        "AAA/9999",
        "AAA/999",
        "AAA/9999A",
        "AA/9999",
    ),
    *(
        "AA-/A99A",
        "AA-/A9999",
        "A-/AA999",
        "AAA-/AA99",
        "AA-99/A-999",
        "99-A/99999",
        "9999/AAA",
        "9999/AA-99",
    ),
    *("A-9999/AA", "AA-999/AA", "99-AA/9999", "A-999/AA", "AAA/9A99", "AA999/99", "9999-A/99", "AAA/AAA"),
)
_SYLLABLE_ON = ("B", "BR", "C", "CH", "D", "DR", "F", "FL", "G", "GR", "H", "J", "K", "L", "M", "N", "P", "R")
_SYLLABLE_ON2 = ("S", "SH", "SK", "ST", "T", "TR", "V", "W", "Y", "Z", "")
_VOWELS = ("A", "E", "I", "O", "U", "EE", "OO", "AI", "Y", "")
_CODA = ("", "", "L", "N", "R", "S", "T", "X", "CK", "NG", "RD", "M", "Z", "P")
_LEET = {"A": "4", "E": "3", "I": "1", "O": "0", "S": "5", "B": "8", "T": "7", "G": "6", "Z": "2"}


def _fill(pattern: str, rng: np.random.Generator) -> list[Token]:
    tokens: list[Token] = []
    kind, run = Kind.TEXT, ""
    symbol = rng.random() < 0.45
    plain_gap = rng.random() < 0.1

    def flush() -> None:
        nonlocal run
        if run:
            tokens.append(Token(kind, run))
        run = ""

    for mark in pattern:
        if mark == "-":
            flush()
            if not plain_gap:
                tokens.append(SYMBOL if symbol else SPACE)
        elif mark in "[(":
            flush()
            kind = Kind.STACK if mark == "[" else Kind.SMALL
        elif mark in "])":
            flush()
            kind = Kind.TEXT
        else:
            kin = DIGITS if mark == "9" else LETTERS
            again = run and run[-1] in kin and rng.random() < AGAIN
            run += run[-1] if again else str(rng.choice(list(kin)))
    flush()
    return tokens


def _vanity(rng: np.random.Generator) -> list[Token]:
    length = int(rng.integers(3, 9)) if rng.random() < 0.5 else int(rng.integers(6, 8))
    if rng.random() < 0.12:
        word = "".join(rng.choice(list(LETTERS + LETTERS + DIGITS), length))
    else:
        word = ""
        while len(word) < length:
            onset = _SYLLABLE_ON if rng.random() < 0.65 else _SYLLABLE_ON2
            word += str(rng.choice(onset)) + str(rng.choice(_VOWELS)) + str(rng.choice(_CODA))
            if rng.random() < 0.12:
                word += str(rng.choice(list(DIGITS)))
    word = "".join(_LEET[c] if c in _LEET and rng.random() < 0.04 else c for c in word)[:length]
    if length > 3 and rng.random() < 0.35:
        cut = int(rng.integers(1, length))
        between = SYMBOL if rng.random() < 0.3 else SPACE
        return [Token(Kind.TEXT, word[:cut]), between, Token(Kind.TEXT, word[cut:])]
    return [Token(Kind.TEXT, word)]


_PATTERNS = {"us": _US, "eu": _EU, "uk": _UK, "br": _BR, "wide": _WIDE}


def serial(style: str, rng: np.random.Generator) -> list[Token]:
    """A random serial.

    Args:
        style: "us", "eu", "uk", "br" or "wide" (the rest of the world); a third of the US ones
            and a few of the others are vanity words.
    """
    if rng.random() < (0.38 if style == "us" else 0.06):
        return _vanity(rng)
    patterns = _PATTERNS[style]
    return _fill(patterns[int(rng.integers(len(patterns)))], rng)


def two_lines(rng: np.random.Generator) -> tuple[list[Token], list[Token]]:
    """A random serial that stands on two lines: the upper and the lower one's."""
    upper, lower = _TWO_LINES[int(rng.integers(len(_TWO_LINES)))].split("/")
    return _fill(upper, rng), _fill(lower, rng)


def text_of(tokens: list[Token]) -> str:
    """The plate's text: everything but gaps and symbols."""
    return "".join(token.text for token in tokens)


def shapes(*styles: str) -> frozenset[str]:
    """The shapes of the serials of these styles, A for a letter and 9 for a digit, without gaps: AAA9999."""
    return frozenset(shape_of(re.sub("[^A-Z0-9]", "", p)) for style in styles for p in _PATTERNS[style])
