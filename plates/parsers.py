"""Hot list files, line by line: CSV with a column mapping, California DOJ CLEW, and NCIC extracts.

Owns the layouts. A line that cannot be used becomes a BadLine with its reason and the rest goes on; a
file that is something else altogether is a HotListFormatError. Nothing is kept in memory, so a file of
millions of lines streams through. Reasons never repeat a plate, for they end up on screens and in logs.

CLEW and NCIC extracts have no expiry dates. Whoever reads them says how long an entry may match
(`Defaults.expiry`); such lists are refreshed daily, and a stale entry stops an innocent driver.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from io import BufferedIOBase
from types import MappingProxyType
from typing import Final

from plates.errors import HotListFormatError, PatternError, PlatesError
from plates.pattern import MAX_WIDTH, compile_pattern
from plates.text import normalise
from plates.words import AlarmClass, HotListEntry


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not loaded: the file's name, the line from 1, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a file does not say itself.

    Attributes:
        source: who keeps the list.
        expiry: "YYYY-MM-DD", for entries without one of their own.
        alarm_class: for entries without one; None where the file must say it.
        reason: for entries without one.
        case_number: for entries without one.
        priority: 0..100, for entries without one.
    """

    source: str
    expiry: str
    alarm_class: AlarmClass | None = None
    reason: str = ""
    case_number: str = ""
    priority: int = 50


Parsed = Iterator[HotListEntry | BadLine]

FIELDS: Final = ("plate", "state", "class", "reason", "source", "case_number", "expiry", "priority")
"""The fields of an entry that a CSV column can be mapped to."""

_LINE_LIMIT: Final = 4096
_PIECE: Final = _LINE_LIMIT + 8  # with room for a mark and a line's end
_BLANK: Final = " \t\x0c\x1a"  # the last ends a text file of DOS
_TOO_LONG: Final = f"is longer than {_LINE_LIMIT} bytes"
_CLASS_NAMES: Final = frozenset(c.value for c in AlarmClass)
_STATE: Final = re.compile(r"[A-Z]{2}|")
_PADDED: Final = re.compile(r"[A-Z0-9]+ *")
_CLEW_REST: Final = re.compile(r"[A-Z]{2}[0-9]{10}\s*")  # state, county, date of loss
_NCIC_HEAD: Final = re.compile(r"[A-Z0-9]{9}[A-Z]{2}[A-Z0-9]{7}")  # record number, agency
_NCIC_STATE: Final = re.compile(r"[A-Z0]{2}")

CLEW_FILES: Final = MappingProxyType(
    {
        "svs": AlarmClass.STOLEN_VEHICLE,
        "sfr": AlarmClass.FELONY_VEHICLE,
        "slr": AlarmClass.STOLEN_PLATE,
    }
)
"""CLEW's three files by the name before `.tbl`."""

NCIC_CODES: Final = MappingProxyType(
    {
        "A": AlarmClass.AMBER_ALERT,
        "F": AlarmClass.FELONY_VEHICLE,
        "W": AlarmClass.WANTED_PERSON_VEHICLE,
        "V": AlarmClass.STOLEN_VEHICLE,
        "R": AlarmClass.STOLEN_VEHICLE,
        "P": AlarmClass.STOLEN_PLATE,
        "M": AlarmClass.MISSING_PERSON,
        "C": AlarmClass.SUPERVISED_RELEASE,
        "H": AlarmClass.PROTECTION_ORDER,
        "K": AlarmClass.PROTECTIVE_INTEREST,
        "L": AlarmClass.VIOLENT_PERSON,
        "T": AlarmClass.HOMELAND_SECURITY,
        "X": AlarmClass.SEX_OFFENDER,
    }
)
"""The type code in an NCIC extract's first column."""


class Line(str):
    """A line of which the end was left out, for it was too long."""


def decode_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """Text of a file's lines: UTF-8, with or without a mark, else Latin-1 line by line; no line ends.

    Of a line longer than 4,096 bytes only a Line comes, its beginning, which no parser takes for an entry:
    no format has one. From a binary file such a line is read piece by piece, so that a file without line
    ends does not fill the memory.
    """
    pieces = _pieces(lines) if isinstance(lines, BufferedIOBase) else lines
    number, is_rest = 0, False
    for raw in pieces:
        if is_rest:
            is_rest = not raw.endswith(b"\n")
            continue
        is_rest = len(raw) == _PIECE and not raw.endswith(b"\n") and pieces is not lines
        raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 0 else raw
        number += 1
        whole = raw.rstrip(b"\r\n")
        if len(whole) > _LINE_LIMIT:
            yield Line(whole[:_LINE_LIMIT].decode("latin-1"))
            continue
        try:
            yield whole.decode("utf-8")
        except UnicodeDecodeError:
            yield whole.decode("latin-1")


def _pieces(file: BufferedIOBase) -> Iterator[bytes]:
    while piece := file.readline(_PIECE):
        yield piece


def _check_first(file: str, line: str) -> None:
    """Raise HotListFormatError for a first line that tells of a file that is no text in UTF-8 or Latin-1."""
    if line.startswith(("\xff\xfe", "\xfe\xff")):
        raise HotListFormatError(f"{file}: is UTF-16; save it as UTF-8")


def parse_csv(
    file: str, lines: Iterable[str], mapping: Mapping[str, str], defaults: Defaults, delimiter: str = ","
) -> Parsed:
    """A CSV file whose first line names its columns; one line is one entry, whatever its quotes say.

    Args:
        file: its name, for BadLine.
        lines: as `decode_lines` gives them.
        mapping: field of FIELDS to column; a field that is not mapped is looked for under its own name,
            whatever its case.
        defaults: for fields that have no column or an empty one.
        delimiter: one character.

    Raises:
        HotListFormatError: no header, a mapping to a column or field that does not exist, or no column
            for the plate.
    """
    rest = iter(lines)
    first = next(rest, "")
    _check_first(file, first)
    try:
        header = [name.strip().casefold() for name in _cells(first, delimiter)]
    except csv.Error as error:
        raise HotListFormatError(f"{file}: {error}") from error
    columns = _columns(file, header, mapping)
    opened = 0
    for number, line in enumerate(rest, 2):
        if isinstance(line, Line):
            yield BadLine(file, number, _TOO_LONG)
            continue
        try:
            row = _cells(line, delimiter)
        except csv.Error as error:
            yield BadLine(file, number, str(error))
            opened = opened or number
            continue
        if not any(cell.strip() for cell in row):
            continue
        if opened and len(row) < len(header):
            # A note of several lines: a word of it that stands alone would be watched for as a plate.
            yield BadLine(file, number, f"may be the rest of line {opened}, of which a quote is not closed")
            continue
        opened = 0
        if len(row) > len(header):
            yield BadLine(file, number, f"{len(row)} cells under {len(header)} columns")
            continue
        cells = {field: row[at].strip() if at < len(row) else "" for field, at in columns.items()}
        yield _entry_or_bad(file, number, cells, defaults)


def _cells(line: str, delimiter: str) -> list[str]:
    """One line's cells. No cell goes on in the next line: one stray quote would swallow all that follow."""
    # A character that ends lines for csv, but not for a file's reader, would break its counting.
    line = line.replace("\r", " ").replace("\0", " ")
    return next(csv.reader([line], delimiter=delimiter, strict=True), [])


def _columns(file: str, header: list[str], mapping: Mapping[str, str]) -> dict[str, int]:
    if not any(header):
        raise HotListFormatError(f"{file}: the first line names no columns")
    columns: dict[str, int] = {}
    for field, column in mapping.items():
        if field not in FIELDS:
            raise HotListFormatError(f"{file}: there is no field {field!r}; fields are {', '.join(FIELDS)}")
        if column.strip().casefold() not in header:
            named = ", ".join(_shown(name) for name in header)
            raise HotListFormatError(f"{file}: there is no column {column!r}; the file has {named}")
        columns[field] = header.index(column.strip().casefold())
    for field in FIELDS:
        if field in header:
            columns.setdefault(field, header.index(field))
    if "plate" not in columns:
        raise HotListFormatError(f"{file}: no column holds the plate; map one: plate=COLUMN")
    return columns


def parse_clew(file: str, lines: Iterable[str], defaults: Defaults) -> Parsed:
    """One of CLEW's three fixed-width files.

    The first line is a header, unless it is an entry beyond doubt; then plate [0:8], state [8:10],
    county [10:12], date of loss [12:20] as YYYYMMDD; the last line starts with "TOTAL RECORD".
    `defaults.alarm_class` is the file's own class.

    Raises:
        HotListFormatError: `defaults` names no class, something follows the last line, or that line is
            missing: the entries of a file that was cut short must not look as if they had been taken off
            the list.
    """
    if defaults.alarm_class is None:
        names = ", ".join(f"{name}.tbl" for name in CLEW_FILES)
        raise HotListFormatError(f"{file}: is none of {names}; say which class it holds")
    ended = False
    for number, line in enumerate(lines, 1):
        if number == 1:
            _check_first(file, line)
        if not line.strip(_BLANK):
            continue
        if ended:
            # Two files in one: the second's class is not known, and its entries must not vanish unsaid.
            raise HotListFormatError(f"{file}:{number}: goes on after its TOTAL RECORD line")
        if line.upper().startswith("TOTAL RECORD"):
            ended = True
            continue
        if number == 1 and not _is_clew_entry(line):
            continue
        if isinstance(line, Line):
            yield BadLine(file, number, _TOO_LONG)
            continue
        loss = _compact_date(line[12:20])
        if loss is None:
            yield BadLine(file, number, "columns 13 to 20 are no date YYYYMMDD")
            continue
        what = defaults.alarm_class.value.replace("_", " ")
        cells = {
            "plate": line[0:8],
            "state": line[8:10],
            "reason": f"{what}, reported {loss.isoformat()}, county {line[10:12].strip() or 'unknown'}",
        }
        yield _entry_or_bad(file, number, cells, defaults)
    if not ended:
        raise HotListFormatError(f"{file}: ends without its TOTAL RECORD line, so it was cut short")


def parse_ncic(file: str, lines: Iterable[str], defaults: Defaults) -> Parsed:
    """An NCIC licence plate extract (VEHEXTRT.txt).

    The first line is a header, unless it is an entry beyond doubt; then type [0:1], record number [1:10],
    agency [10:19], date of the incident [19:27], plate [27:37], state [37:39] (with 0 for O), year [45:49],
    make [49:53], model [53:56], colour [58:].
    """
    for number, line in enumerate(lines, 1):
        if number == 1:
            _check_first(file, line)
        if not line.strip(_BLANK) or (number == 1 and not _is_ncic_entry(line)):
            continue
        if isinstance(line, Line):
            yield BadLine(file, number, _TOO_LONG)
            continue
        alarm_class = NCIC_CODES.get(line[0:1])
        if alarm_class is None:
            yield BadLine(file, number, f"column 1 is no type code; codes are {', '.join(NCIC_CODES)}")
            continue
        if len(line) < 39:
            yield BadLine(file, number, f"has {len(line)} columns; the plate and its state end in column 39")
            continue
        since = _compact_date(line[19:27])
        if since is None:
            yield BadLine(file, number, "columns 20 to 27 are no date YYYYMMDD")
            continue
        vehicle = " ".join(line[45:].split())
        cells = {
            "plate": line[27:37],
            "state": line[37:39].replace("0", "O"),
            "class": alarm_class.value,
            "reason": f"NCIC type {line[0:1]} of {since.isoformat()}"
            + (f", vehicle {vehicle}" if vehicle else ""),
            "case_number": line[1:10].strip(),
        }
        yield _entry_or_bad(file, number, cells, defaults)


def _is_clew_entry(line: str) -> bool:
    """Whether a first line is an entry and no header, whose words would be a plate: every column is filled,
    and the plate is one word."""
    filled = _PADDED.fullmatch(line[0:8]) and _CLEW_REST.fullmatch(line[8:])
    return filled is not None and _compact_date(line[12:20]) is not None


def _is_ncic_entry(line: str) -> bool:
    """As `_is_clew_entry`, of what stands up to the state."""
    filled = _NCIC_HEAD.fullmatch(line[1:19]) and _PADDED.fullmatch(line[27:37])
    named = line[0:1] in NCIC_CODES and _NCIC_STATE.fullmatch(line[37:39])
    return bool(filled and named) and _compact_date(line[19:27]) is not None


PARSERS: Final[Mapping[str, Callable[[str, Iterable[str], Defaults], Parsed]]] = MappingProxyType(
    {"clew": parse_clew, "ncic": parse_ncic}
)
"""The fixed-width formats by name."""


def clew_class(file_name: str) -> AlarmClass | None:
    """The class that a CLEW file holds, by its name (svs.tbl, sfr.tbl, slr.tbl); None for another."""
    return CLEW_FILES.get(file_name.casefold().removesuffix(".tbl"))


def _entry_or_bad(
    file: str, line: int, cells: Mapping[str, str], defaults: Defaults
) -> HotListEntry | BadLine:
    try:
        return _entry(cells, defaults)
    except (PlatesError, ValueError) as error:
        return BadLine(file, line, str(error))


def _shown(cell: str) -> str:
    """A cell for a message, which logs take; where columns slipped or have no names, it is a plate."""
    return "***" if any(char.isdigit() for char in cell) else cell[:40]


def _entry(cells: Mapping[str, str], defaults: Defaults) -> HotListEntry:
    raw = cells["plate"]
    partial = "?" in raw or "*" in raw
    plate = _narrow(raw) if partial else normalise(raw)
    state = cells.get("state", "").strip().upper().removeprefix("US-")
    if not _STATE.fullmatch(state):
        raise ValueError("the state is no code of two letters")
    name = cells.get("class", "").strip().casefold().replace(" ", "_")
    if name and name not in _CLASS_NAMES:
        raise ValueError(f"unknown class {_shown(name)!r}; classes are {', '.join(AlarmClass)}")
    alarm_class = AlarmClass(name) if name else defaults.alarm_class
    if alarm_class is None:
        raise ValueError("no class, and none was given for the whole file")
    case_number = _words(cells.get("case_number", "")) or defaults.case_number
    if partial and not case_number:
        raise PatternError("a partial plate needs the case number of its incident (430.3(c))")
    return HotListEntry(
        plate=plate,
        state=state,
        alarm_class=alarm_class,
        reason=_words(cells.get("reason", "")) or defaults.reason,
        source=_words(cells.get("source", "")) or defaults.source,
        case_number=case_number,
        expiry=_expiry(cells.get("expiry", "")) or defaults.expiry,
        priority=_priority(cells.get("priority", ""), defaults.priority),
        partial=partial,
    )


def _narrow(raw: str) -> str:
    pattern = compile_pattern(raw)
    if pattern.width() > MAX_WIDTH:
        share = f"{100 * pattern.width():.1f} of 100 plates; {100 * MAX_WIDTH:.1f} is the most"
        raise PatternError(f"the partial plate is too wide: it would match about {share} (430.3(c))")
    return pattern.text


def _words(raw: str) -> str:
    """What a person will read on a screen, so without the characters that steer one."""
    return " ".join("".join(char if char.isprintable() else " " for char in raw).split())[:1000]


def _expiry(raw: str) -> str:
    text = raw.strip()
    if not text:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("the expiry is no date YYYY-MM-DD") from None


def _priority(raw: str, default: int) -> int:
    text = raw.strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > 100:
        raise ValueError("the priority is no number from 0 to 100")
    return int(text)


def _compact_date(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
