"""What a seal keeps of each read: its id, its revision and one SHA-256, its leaf.

Owns the form of these entries, and writes down at intake those of a batch, in the batch's transaction. A leaf
is over the id, revision, unit, store, number, time of receipt and the digest of the record as it came, which
`hq.records.rows` makes of the row's columns again. Sealing and verifying is `hq.log.seals`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from hq.records.models import Read, Revision, Unsealed

_FORM: Final = struct.Struct(">16sq32s")
SIZE: Final = _FORM.size
"""Bytes of an entry: id, revision, leaf."""


class Entry(NamedTuple):
    """One revision of one read."""

    read: UUID
    revision: int
    leaf: bytes


def of_read(row: Read) -> Entry:
    """The entry of a read's newest revision."""
    return _entry(row.id, row.revision, row.unit_id, row.store_id, row.sequence, row.received_at, row.digest)


def of_revision(row: Revision, unit: str) -> Entry:
    """The entry of an earlier revision of a read of `unit`: the one that it had as the newest."""
    return _entry(row.record, row.revision, unit, row.store_id, row.sequence, row.received_at, row.digest)


def note(reads: Iterable[Read], revisions: Iterable[tuple[Revision, str]]) -> None:
    """Write down what came, for the next seal. Each revision with the unit of its read."""
    found = [*map(of_read, reads), *(of_revision(row, unit) for row, unit in revisions)]
    if found:
        Unsealed.objects.create(entries=pack(found))


def pack(entries: Iterable[Entry]) -> bytes:
    """Entries as a seal keeps them, one after the other."""
    return b"".join(_FORM.pack(entry.read.bytes, entry.revision, entry.leaf) for entry in entries)


def unpack(packed: bytes) -> Iterator[Entry]:
    """What `pack` packed. Raises ValueError where it is cut."""
    if len(packed) % SIZE:
        raise ValueError("the entries of a seal are cut")
    for read, revision, leaf in _FORM.iter_unpack(packed):
        yield Entry(UUID(bytes=read), revision, leaf)


def _entry(
    read: UUID, revision: int, unit: str, store: str, number: int, received_at: datetime, digest: str
) -> Entry:
    # No other fields give the same text: all but unit and store have a form without line breaks.
    at = received_at.astimezone(UTC).isoformat()
    text = f"{read}\n{revision}\n{unit}\n{store}\n{number}\n{at}\n{digest}"
    return Entry(read, revision, hashlib.sha256(text.encode()).digest())
