"""What a seal keeps of each read and hit: its id, its revision and one SHA-256, its leaf.

Owns the form of these entries, and writes down at intake those of a batch, in the batch's transaction. A leaf
is over the id, revision, unit, store, number, time of receipt and the digest of the record as it came, which
`hq.records.rows` makes of the row's columns again; a hit's is over the id of its read too. Sealing
and verifying is `hq.log.seals`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from hq.records.models import Hit, Read, Revision, Unsealed

_FORM: Final = struct.Struct(">16sq32s")
SIZE: Final = _FORM.size
"""Bytes of an entry: id, revision, leaf."""
_HIT_FORM: Final = struct.Struct(">16s16sq32s")


class Entry(NamedTuple):
    """One revision of one read."""

    read: UUID
    revision: int
    leaf: bytes


class HitEntry(NamedTuple):
    """One revision of one hit, with the read that it goes with when that is destroyed."""

    hit: UUID
    read: UUID
    revision: int
    leaf: bytes


def of_read(row: Read) -> Entry:
    """The entry of a read's newest revision."""
    return _entry(row.id, row.revision, row.unit_id, row.store_id, row.sequence, row.received_at, row.digest)


def of_revision(row: Revision, unit: str) -> Entry:
    """The entry of an earlier revision of a read of `unit`: the one that it had as the newest."""
    return _entry(row.record, row.revision, unit, row.store_id, row.sequence, row.received_at, row.digest)


def of_hit(row: Hit) -> HitEntry:
    """The entry of a hit's newest revision."""
    leaf = _leaf(
        f"hit\n{row.id}\n{row.read_id}", row.read_revision, row.unit_id, row.store_id, row.sequence,
        row.received_at, row.digest,
    )  # fmt: skip
    return HitEntry(row.id, row.read_id, row.read_revision, leaf)


def of_hit_revision(row: Revision, hit: Hit) -> HitEntry:
    """The entry of an earlier revision of a hit: the one that it had as the newest."""
    leaf = _leaf(
        f"hit\n{row.record}\n{hit.read_id}", row.revision, hit.unit_id, row.store_id, row.sequence,
        row.received_at, row.digest,
    )  # fmt: skip
    return HitEntry(row.record, hit.read_id, row.revision, leaf)


def note(
    reads: Iterable[Read],
    revisions: Iterable[tuple[Revision, str]],
    hits: Iterable[Hit],
    hit_revisions: Iterable[tuple[Revision, Hit]],
) -> None:
    """Write down what came, for the next seal. Each revision with the unit of its read, or with its hit."""
    found = [*map(of_read, reads), *(of_revision(row, unit) for row, unit in revisions)]
    found_hits = [*map(of_hit, hits), *(of_hit_revision(row, hit) for row, hit in hit_revisions)]
    if found or found_hits:
        Unsealed.objects.create(entries=pack(found), hit_entries=pack_hits(found_hits))


def pack(entries: Iterable[Entry]) -> bytes:
    """Entries as a seal keeps them, one after the other."""
    return b"".join(_FORM.pack(entry.read.bytes, entry.revision, entry.leaf) for entry in entries)


def unpack(packed: bytes) -> Iterator[Entry]:
    """What `pack` packed. Raises ValueError where it is cut."""
    if len(packed) % SIZE:
        raise ValueError("the entries of a seal are cut")
    for read, revision, leaf in _FORM.iter_unpack(packed):
        yield Entry(UUID(bytes=read), revision, leaf)


def pack_hits(entries: Iterable[HitEntry]) -> bytes:
    """As `pack`, of hits."""
    return b"".join(
        _HIT_FORM.pack(entry.hit.bytes, entry.read.bytes, entry.revision, entry.leaf) for entry in entries
    )


def unpack_hits(packed: bytes) -> Iterator[HitEntry]:
    """What `pack_hits` packed. Raises ValueError where it is cut."""
    if len(packed) % _HIT_FORM.size:
        raise ValueError("the entries of a seal are cut")
    for hit, read, revision, leaf in _HIT_FORM.iter_unpack(packed):
        yield HitEntry(UUID(bytes=hit), UUID(bytes=read), revision, leaf)


def _entry(
    read: UUID, revision: int, unit: str, store: str, number: int, received_at: datetime, digest: str
) -> Entry:
    return Entry(read, revision, _leaf(str(read), revision, unit, store, number, received_at, digest))


def _leaf(
    ids: str, revision: int, unit: str, store: str, number: int, received_at: datetime, digest: str
) -> bytes:
    # No other fields give the same text: all but unit and store have a form without line breaks.
    at = received_at.astimezone(UTC).isoformat()
    text = f"{ids}\n{revision}\n{unit}\n{store}\n{number}\n{at}\n{digest}"
    return hashlib.sha256(text.encode()).digest()
