"""What a field of a record may hold, beyond its type: the limits that decoding and schema share.

Owns the limits' classes and the named field types of `mqtt.records`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text that matches a regular expression as a whole; `what` says it in words."""

    regex: str
    what: str

    def fault(self, value: str) -> str:
        """Why `value` is not allowed, "" if it is."""
        return "" if re.fullmatch(self.regex, value) else f"is not {self.what}"


@dataclass(frozen=True, slots=True)
class Range:
    """A number between two ends, both included; None leaves an end open."""

    low: float | None
    high: float | None

    def fault(self, value: float) -> str:
        """Why `value` is not allowed, "" if it is."""
        if self.low is not None and value < self.low:
            return f"is below {self.low:g}"
        if self.high is not None and value > self.high:
            return f"is above {self.high:g}"
        return ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed list of texts."""

    values: tuple[str, ...]

    def fault(self, value: str) -> str:
        """Why `value` is not allowed, "" if it is."""
        return "" if value in self.values else f"is none of {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Most:
    """At most so many items in a list, or characters in a text."""

    length: int

    def fault(self, value: str | tuple[object, ...]) -> str:
        """Why `value` is not allowed, "" if it is."""
        return "" if len(value) <= self.length else f"is longer than {self.length}"


Limit = Pattern | Range | Choice | Most

UNIT_REGEX: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

Time = Annotated[
    str,
    Pattern(
        r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)\.\d\d\+00:00",
        "a UTC time to 0.01 s such as 2026-01-31T23:59:59.07+00:00",
    ),
]
Date = Annotated[str, Pattern(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "a date YYYY-MM-DD")]
Sha256 = Annotated[str, Pattern("[0-9a-f]{64}", "a SHA-256 of 64 hexadecimal digits")]
Key = Annotated[str, Pattern("[0-9a-f]{64}", "a public key of 64 hexadecimal digits")]
Signature = Annotated[str, Pattern("([0-9a-f]{128})?", "an Ed25519 signature of 128 hexadecimal digits")]
Id = Annotated[str, Pattern("[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", "a UUID in lower case")]
OptionalId = Annotated[
    str, Pattern("([0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12})?", "a UUID in lower case or empty")
]
UnitId = Annotated[str, Pattern(UNIT_REGEX, "a unit id: 1 to 64 letters, digits, dots, - and _")]
Probability = Annotated[float, Range(0.0, 1.0)]
Count = Annotated[int, Range(0, 2**53)]
Sequence = Annotated[int, Range(1, 2**53)]
Seconds = Annotated[float, Range(0.0, None)]
Line = Annotated[str, Most(1000)]
PlateText = Annotated[str, Most(32)]
Region = Annotated[str, Pattern("([A-Z]{2})?", 'a code of two capital letters, or ""')]


def time_text(moment: datetime) -> str:
    """A timezone-aware moment as a Time: UTC, cut (not rounded) to 0.01 s (CJIS AU-8)."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 10000:02d}+00:00"


def time_value(text: str) -> datetime:
    """The moment that a Time names."""
    return datetime.fromisoformat(text)
