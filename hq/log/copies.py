"""A copy of the access log in a folder that goes to a second machine: what the database's owner cannot reach.

    access-log-000000000001-000000000120.jsonl                   rows 1 to 120, one JSON object a line
    access-log-000000000001-000000000120.jsonl.head.txt          the last row's hash
    access-log-000000000001-000000000120.jsonl.head.txt.minisig  its signature by HQ's log key

A line without its "hash", as canonical JSON, is what the hash is the SHA-256 of. Rows that were removed
before they were copied are one line that holds their signed anchor. A file is whole once it has its name;
each run adds files and changes none, so that rsync or a mount carries them on and a cut-off run is taken up
again.
Carrying the folder away is not done here, nor is the verification of the database alone (`hq.log.chain`).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import minisign
from django.conf import settings

from hq.log import chain, heads
from hq.log.chain import Fault
from hq.log.models import AccessRecord, Removed

ROWS = 50_000
"""Rows in one file at most."""
_NAME = re.compile(r"access-log-(\d{12,})-(\d{12,})\.jsonl")
_AT_ONCE = 1000


class CopyBroken(Exception):
    """A copy that does not verify or does not fit the database; one line that names file and row."""


class Busy(Exception):
    """Another copy is being made."""


@dataclass(frozen=True)
class Copied:
    """What a folder holds: its first and last row, its number of files."""

    first: int
    last: int
    files: int


@dataclass(frozen=True)
class _File:
    path: Path
    first: int
    last: int


def add(folder: Path) -> Copied:
    """Write the rows that the folder lacks; what was added (last 0: nothing).

    Raises CopyBroken if the folder's last row is not the database's, Busy, KeyExposed, OSError.
    """
    with _alone():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob("*.part"):
            left.unlink()
        held = _files(folder)
        after = held[-1].last if held else 0
        if held:
            _check_end(held[-1])
        first, files = after + 1, 0
        end = chain.head().sequence
        while after < end:
            after = _write(folder, after + 1, end)
            files += 1
        return Copied(first, after if files else 0, files)


def verify(folder: Path, known: Sequence[minisign.PublicKey]) -> Copied:
    """Verify the folder standing alone: every hash, the chain through all files, every signed head.

    Raises CopyBroken, OSError. Asks no database.
    """
    files = _files(folder)
    if not files:
        raise CopyBroken(f"{folder}: holds no copy of the log")
    _follow(files, known)
    return Copied(files[0].first, files[-1].last, len(files))


def compare(folder: Path) -> Fault | None:
    """The first row that the copy tells otherwise than the database, or None. `verify` comes before it.

    Raises CopyBroken, OSError.
    """
    files = _files(folder)
    head = chain.head()
    gaps = list(Removed.objects.all())
    for file in files:
        told = (line for line in _lines(file) if "removed" not in line)
        while lines := list(islice(told, _AT_ONCE)):
            rows = AccessRecord.objects.in_bulk([line["sequence"] for line in lines])
            for line in lines:
                fault = _difference(line, rows.get(line["sequence"]), gaps, head.sequence)
                if fault is not None:
                    return fault
    return None


def _difference(
    line: dict[str, Any], row: AccessRecord | None, gaps: Sequence[Removed], end: int
) -> Fault | None:
    sequence = int(line["sequence"])
    if row is not None:
        same = {**chain.plain(row), "hash": row.hash} == line
        return None if same else Fault(sequence, "the database tells it otherwise than the copy")
    gap = next((gap for gap in gaps if gap.first <= sequence <= gap.last), None)
    if gap is None:
        where = f": it ends at row {end}" if sequence > end else ""
        return Fault(sequence, f"the copy has it, the database has not{where}")
    fits = (sequence != gap.last or line["hash"] == gap.hash) and (
        sequence != gap.first or line["previous"] == gap.previous
    )
    return None if fits else Fault(sequence, "the anchor of its removal does not fit the copy")


def _write(folder: Path, first: int, end: int) -> int:
    """Write one file from row `first` on, its head before it has its name; the last row in it."""
    draft = folder / f"access-log-{first:012d}.part"
    last, total = first - 1, ""
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        for line, last, total in _rows(first, min(end, first + ROWS - 1)):  # noqa: B007
            out.write(f"{line}\n")
        out.flush()
        os.fsync(out.fileno())
    name = f"access-log-{first:012d}-{last:012d}.jsonl"
    heads.sign_row(folder, last, total, f"{name}.head.txt")
    draft.rename(folder / name)
    return last


def _rows(first: int, end: int) -> Iterator[tuple[str, int, str]]:
    """A line for each row and each removed range, with the last row that it stands for and its hash."""
    gaps = iter(Removed.objects.filter(last__gte=first, first__lte=end).order_by("first"))
    gap = next(gaps, None)
    rows = AccessRecord.objects.filter(sequence__gte=first, sequence__lte=end).order_by("sequence")
    for row in rows.iterator(_AT_ONCE):
        while gap is not None and gap.first < row.sequence:
            yield _anchor(gap), gap.last, gap.hash
            gap = next(gaps, None)
        yield chain.canonical({**chain.plain(row), "hash": row.hash}), row.sequence, row.hash
    while gap is not None:
        yield _anchor(gap), gap.last, gap.hash
        gap = next(gaps, None)


def _anchor(gap: Removed) -> str:
    told = {name: getattr(gap, name) for name in ("first", "last", "previous", "hash", "signature")}
    return chain.canonical({"removed": {**told, "at": chain.stamp(gap.at)}})


def _files(folder: Path) -> list[_File]:
    """The folder's files in their order."""
    found = []
    for path in folder.iterdir():
        if match := _NAME.fullmatch(path.name):
            found.append(_File(path, int(match[1]), int(match[2])))
    return sorted(found, key=lambda file: file.first)


def _lines(file: _File) -> Iterator[dict[str, Any]]:
    with file.path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                told = json.loads(line)
                if not isinstance(told, dict) or not ("removed" in told or "sequence" in told):
                    raise ValueError("neither a row nor an anchor")
            except ValueError as error:
                raise CopyBroken(f"{file.path.name}: line {number}: {error}") from error
            yield told


def _follow(files: Sequence[_File], known: Sequence[minisign.PublicKey]) -> None:
    """Follow the chain through every line of every file."""
    expected, previous = files[0].first, ""
    for file in files:
        if file.first != expected:
            raise CopyBroken(f"{file.path.name}: begins at row {file.first}, row {expected} is missing")
        for line in _lines(file):
            expected, previous = _next(file, line, expected, previous, known)
        if expected != file.last + 1:
            raise CopyBroken(f"{file.path.name}: ends at row {expected - 1}, its name says {file.last}")
        _check_head(file, previous, known)


def _next(
    file: _File, line: dict[str, Any], expected: int, previous: str, known: Sequence[minisign.PublicKey]
) -> tuple[int, str]:
    """The row that must come after this line and the hash that it must follow."""
    name = file.path.name
    if "removed" in line:
        return _after_anchor(file, line["removed"], expected, previous, known)
    body = {key: value for key, value in line.items() if key != "hash"}
    if body["sequence"] != expected:
        raise CopyBroken(f"{name}: row {expected} is missing")
    # Before the first file may lie ones that are no longer kept; in its place the row's own word counts.
    if body.get("previous") != (previous or (chain.FIRST if expected == 1 else body.get("previous"))):
        raise CopyBroken(f"{name}: row {expected} does not follow the one before it")
    if chain.digest_of(body) != line.get("hash"):
        raise CopyBroken(f"{name}: row {expected} was changed")
    return expected + 1, str(line["hash"])


def _after_anchor(
    file: _File, told: dict[str, Any], expected: int, previous: str, known: Sequence[minisign.PublicKey]
) -> tuple[int, str]:
    name = file.path.name
    try:
        first, last = int(told["first"]), int(told["last"])
        text = heads.anchor_text(first, last, told["previous"], told["hash"], told["at"])
        signed = heads.signed_by(text, told["signature"], known)
    except (KeyError, TypeError, ValueError) as error:
        raise CopyBroken(f"{name}: the anchor at row {expected} is damaged: {error}") from error
    if not signed:
        raise CopyBroken(f"{name}: rows from {expected} on were removed without a signed anchor")
    # A range whose beginning was copied before it was removed is followed from its end on.
    if not first <= expected <= last:
        raise CopyBroken(f"{name}: row {expected} is missing")
    if first == expected and previous and told["previous"] != previous:
        raise CopyBroken(f"{name}: the removed rows from {first} on do not follow the one before them")
    return last + 1, str(told["hash"])


def _check_head(file: _File, total: str, known: Sequence[minisign.PublicKey]) -> None:
    """The file's last hash is the one that was signed."""
    path = file.path.with_name(f"{file.path.name}.head.txt")
    try:
        body, signature = path.read_text(), path.with_name(f"{path.name}.minisig").read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CopyBroken(f"{path.name}: {error}") from error
    if not heads.signed_by(body, signature, known):
        raise CopyBroken(f"{path.name}: is not signed by HQ's log key")
    if not body.startswith(f"platewarden access log\nsequence {file.last}\nsha256 {total}\nat "):
        raise CopyBroken(f"{path.name}: the signed head is not row {file.last} of the copy")


def _check_end(file: _File) -> None:
    """The copy's last row is in the database as it was copied, or in a range that was removed since."""
    line: dict[str, Any] = {}
    for line in _lines(file):  # noqa: B007
        pass
    if "removed" in line:
        return
    rows, gaps = AccessRecord.objects.in_bulk([file.last]), list(Removed.objects.filter(last__gte=file.last))
    fault = _difference(line, rows.get(file.last), gaps, chain.head().sequence)
    if fault is not None:
        raise CopyBroken(f"{file.path.name}: row {fault.sequence}: {fault.what}")


@contextmanager
def _alone() -> Iterator[None]:
    """One copy at a time; the lock lies here, as not every mount knows locks."""
    handle = os.open(Path(settings.DATA) / ".log-copy-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy("another copy of the log is being made") from error
        yield
    finally:
        os.close(handle)
