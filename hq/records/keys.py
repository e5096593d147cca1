"""The forms of a plate text by which it is found.

Owns how a read's `key` and `lookalike` are made of its text, and the trigrams of a key. Comparing plates is
`plates`' business.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from plates.errors import TextError
from plates.lookalike import fold
from plates.text import ALPHABET, normalise

SHORTEST: Final = 3
"""Known characters side by side that a partial search needs to be answered from the index."""


def search_key(text: str) -> str:
    """The form in which a text that was read is compared with others; "" where nothing of it can be.

    What `plates.text.normalise` refuses was still read, so what can be compared of it is kept.
    """
    try:
        return normalise(text)
    except TextError:
        return "".join(char for char in unicodedata.normalize("NFKC", text).upper() if char in ALPHABET)[:32]


def lookalike_key(key: str) -> str:
    """The key with characters that look alike made one."""
    return fold(key)


def trigrams(key: str) -> set[str]:
    """Every SHORTEST characters of a key that stand side by side."""
    return {key[place : place + SHORTEST] for place in range(len(key) - SHORTEST + 1)}
