"""The one form in which plate texts are compared: capital Latin letters and digits, nothing else.

Owns normalisation. It never guesses: O stays O and 0 stays 0 (`plates.lookalike` knows that they look
alike), and what a plate cannot hold is an error, not a character less.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from plates.errors import TextError

ALPHABET: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
MAX_LENGTH: Final = 10
"""NCIC's plate field has ten places, and no plate that the unit reads has more."""

_SEPARATORS: Final = frozenset(" \t-.·•∙_/'’:*")
_DASH: Final = "Pd"  # Unicode's category of dashes, of which files hold a dozen kinds


def normalise(raw: str, *, wildcards: str = "") -> str:
    """The comparable form of a plate as somebody wrote it.

    Full-width and other compatibility forms become plain, letters capital; spaces, dashes, dots and the
    like go. An asterisk is a separator unless it is among `wildcards`.

    Args:
        raw: as read from a file or typed by a person.
        wildcards: further characters to keep, such as "?*" in a pattern.

    Returns:
        1 to MAX_LENGTH characters of ALPHABET and `wildcards`.

    Raises:
        TextError: nothing is left, too much is, or a character stands there that no plate has. The text
            itself is not repeated in the message, for messages end up in logs.
    """
    kept = []
    for char in unicodedata.normalize("NFKC", raw).upper():
        if char in ALPHABET or char in wildcards:
            kept.append(char)
        elif char not in _SEPARATORS and not char.isspace() and unicodedata.category(char) != _DASH:
            raise TextError(f"a plate holds no {unicodedata.name(char, f'U+{ord(char):04X}')}")
    if not kept:
        raise TextError("the plate is empty")
    if len(kept) > MAX_LENGTH:
        raise TextError(f"the plate has {len(kept)} characters; {MAX_LENGTH} is the most")
    return "".join(kept)
