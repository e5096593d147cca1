"""Serial formats of the current standard passenger series of the US states: which texts fit which.

Owns the table, a collection of public facts: A stands for a letter, 9 for a digit. The training of the
models draws serials by it. No reading is judged by it: one that fits no format stays what was read, for
vanity, older and foreign plates fit none either.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

_TABLE: Final = {
    "AL": "9A99999 99A9999 9AA9999",
    "AK": "AAA999",
    "AZ": "AAA9999 AAA9AA",
    "AR": "999AAA AAA99A",
    "CA": "9AAA999",
    "CO": "AAA999 AAAA99",
    "CT": "AA99999 999AAA",
    "DE": "999999 99999",
    "DC": "AA9999",
    "FL": "AAAA99 AAA9AA AA99AA",
    "GA": "AAA9999",
    "HI": "AAA999",
    "ID": "A999999 9A99999",
    "IL": "AA99999 A999999",
    "IN": "999AAA 999A 999AA",
    "IA": "AAA999",
    "KS": "999AAA 9999AAA",
    "KY": "AAA999 A9A999",
    "LA": "999AAA",
    "ME": "9999AA 999AAA",
    "MD": "9AA9999",
    "MA": "9AAA99 9AA999 999AA9",
    "MI": "AAA9999 9AAA99",
    "MN": "AAA999",
    "MS": "AAA9999 AA99999",
    "MO": "AA9A9A AA9A9",
    "MT": "999999A 9999999",
    "NE": "AAA999",
    "NV": "99A999 999A99",
    "NH": "9999999 999999",
    "NJ": "A99AAA AAA99A",
    "NM": "AAAA99 999AAA",
    "NY": "AAA9999",
    "NC": "AAA9999",
    "ND": "999AAA",
    "OH": "AAA9999",
    "OK": "AAA999",
    "OR": "999AAA",
    "PA": "AAA9999",
    "RI": "AA999 999999",
    "SC": "AAA999 9999AA",
    "SD": "9A9999 9AA999",
    "TN": "AAA9999 999AAAA",
    "TX": "AAA9999",
    "UT": "A999AA 9A9AA",
    "VT": "AAA999",
    "VA": "AAA9999",
    "WA": "AAA9999",
    "WV": "9AA999 9A9999",
    "WI": "AAA9999",
    "WY": "99999 9999",
}
STATE_FORMATS: Final = MappingProxyType({state: tuple(shapes.split()) for state, shapes in _TABLE.items()})
"""State code to the shapes of its standard passenger series."""


def shape_of(text: str) -> str:
    """A text's shape: A for each letter, 9 for each digit."""
    return re.sub(r"[A-Z]", "A", re.sub(r"[0-9]", "9", text))
