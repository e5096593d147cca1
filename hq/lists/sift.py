"""A hot list file, read line by line: what goes on the list, what is left out, and why.

Owns the rules between a file and a list: allowed classes, expiry within the list's time to live, no expired
entry, a hash of the bytes. The files' layouts are `plates.parsers`. Nothing here keeps a plate: reasons
never repeat one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from plates.parsers import FIELDS, PARSERS, BadLine, Defaults, Parsed, clew_class, decode_lines, parse_csv
from plates.words import AlarmClass, HotListEntry

FORMATS: Final = ("csv", "clew", "ncic")
MAPPED: Final = tuple(name for name in FIELDS if name != "source")
"""The fields that a CSV file's columns give; the source is the one that the file was loaded for."""

MOST_TOLD: Final = 100
"""Bad lines that are kept with their reasons; the rest is counted."""

_LONGEST: Final = 1000
"""Characters of a reason, as messages to units hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How to read one source's file.

    Attributes:
        source: the source's name, as it stands in each entry, whatever its line says.
        format: one of FORMATS.
        mapping: of a CSV file: field to column (`MAPPED`).
        delimiter: of a CSV file: one character.
        alarm_class: for entries whose file does not say theirs; "" where it does, or where the name of a
            CLEW file does.
        reason: for entries without one.
    """

    source: str
    format: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    alarm_class: str = ""
    reason: str = ""


@dataclass(slots=True)
class Tally:
    """What became of a file's lines.

    Attributes:
        lines: how many there were, header and trailer among them.
        size: bytes.
        bad: lines that could not be used.
        told: "file:line: reason" of the first of them.
        left_out: entries of classes that the list does not hold, by class.
        expired: entries whose own expiry had passed.
        taken: entries that were handed on.
    """

    lines: int = 0
    size: int = 0
    bad: int = 0
    told: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    expired: int = 0
    taken: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """Of the file's bytes, once all were read."""
        return self._hash.hexdigest()

    def counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The same lines, counted and hashed."""
        for line in lines:
            self.lines += 1
            self.size += len(line)
            self._hash.update(line)
            yield line


def sift(
    file: str,
    lines: Iterable[bytes],
    layout: Layout,
    *,
    classes: Collection[str],
    today: date,
    last_day: date,
    tally: Tally,
) -> Iterator[HotListEntry]:
    """The entries of a file that belong on a list; `tally` says what became of the others.

    Args:
        file: its name, for reasons; a CLEW file's class follows from it.
        lines: with their line ends.
        layout: of the source.
        classes: that the list holds.
        today: entries that expired before it are left out.
        last_day: no entry matches longer (the list's time to live).
        tally: is filled in as the entries are taken.

    Raises:
        HotListFormatError: the file as a whole is something else, or was cut short.
    """
    for parsed in _parse(file, tally.counted(lines), layout, last_day):
        if isinstance(parsed, BadLine):
            tally.bad += 1
            if len(tally.told) < MOST_TOLD:
                tally.told.append(str(parsed))
        elif parsed.alarm_class.value not in classes:
            tally.left_out[parsed.alarm_class.value] += 1
        elif parsed.expiry < today.isoformat():
            tally.expired += 1
        else:
            tally.taken += 1
            expiry = min(parsed.expiry, last_day.isoformat())
            # Whose data a hit is, and so who may see it, is told by the source's name: a column of the file's
            # own with another would open it to everybody (430.3(e)). What it says is told in the reason.
            reason = parsed.reason
            if parsed.source != layout.source:
                reason = "; ".join(filter(None, (reason, f"source {parsed.source}")))[:_LONGEST]
            yield dataclasses.replace(parsed, expiry=expiry, source=layout.source, reason=reason)


def _parse(file: str, lines: Iterable[bytes], layout: Layout, last_day: date) -> Parsed:
    alarm_class = AlarmClass(layout.alarm_class) if layout.alarm_class else None
    if layout.format == "clew" and alarm_class is None:
        alarm_class = clew_class(file)
    defaults = Defaults(
        source=layout.source, expiry=last_day.isoformat(), alarm_class=alarm_class, reason=layout.reason
    )
    text = decode_lines(lines)
    if layout.format == "csv":
        return parse_csv(file, text, layout.mapping, defaults, layout.delimiter)
    return PARSERS[layout.format](file, text, defaults)
