"""How one read, hit or earlier revision differs from the entry that was sealed of it.

Owns the comparison of a row with its entry and the words for a difference: nothing here asks the database.
Which rows belong to which entries, and whether a missing one was lawfully destroyed, is `hq.log.seals`' to
know; what an entry holds, `hq.records.leaves`'.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from hq.records import keys, leaves, rows
from hq.records.keeping import purge_after
from hq.records.leaves import Entry, HitEntry
from hq.records.models import Hit, Picture, Read, Revision
from mqtt import records
from mqtt.decoding import Build, decoder
from mqtt.errors import MessageError


def of_read(entry: Entry, row: Read, pictures: Sequence[Picture]) -> str:
    """How a read differs from its entry; "" where it does not."""
    if leaves.of_read(row) != entry:
        return "its unit, number, time of receipt or digest was changed"
    try:
        if not _has_digest(rows.read_record(row, pictures), row.digest):
            return "its content or the hash of a picture was changed"
        floor = purge_after(row.captured_at, row.received_at)
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError):
        return "its content was changed to what is none"
    made = (row.captured_at or row.received_at, keys.search_key(row.text))
    if (row.at, row.key) != made or row.lookalike != keys.lookalike_key(row.key):
        return "what it is found by was changed: time, key or look-alike key"
    return "the end of its floor was moved back" if row.purge_after < floor else ""


def of_hit(entry: HitEntry, row: Hit) -> str:
    """How a hit differs from its entry; "" where it does not."""
    if leaves.of_hit(row) != entry:
        return "its read, unit, number, time of receipt or digest was changed"
    try:
        same = _has_digest(rows.hit_record(row), row.digest)
    except (TypeError, ValueError, OverflowError, AttributeError):
        same = False
    return "" if same else "its content was changed"


def of_revision(entry: Entry, row: Revision | None, unit: str) -> str:
    """How an earlier revision of a read differs from its entry; "" where it does not."""
    if row is None:
        return _missing(entry)
    if leaves.of_revision(row, unit) != entry:
        return f"revision {entry.revision}: unit, number, time of receipt or digest was changed"
    return _body_fault(row, decoder(records.Read))


def of_hit_revision(entry: HitEntry, row: Revision | None, hit: Hit) -> str:
    """How an earlier revision of a hit differs from its entry; "" where it does not."""
    if row is None:
        return _missing(entry)
    if leaves.of_hit_revision(row, hit) != entry:
        return f"revision {entry.revision}: read, unit, number, time of receipt or digest was changed"
    return _body_fault(row, decoder(records.Hit))


def _missing(entry: Entry | HitEntry) -> str:
    return f"its revision {entry.revision} is missing"


def _body_fault(row: Revision, decode: Build) -> str:
    """How a revision's content differs from the digest beside it; "" where it does not."""
    try:
        record = decode(row.body, "record", [])
    except MessageError:
        return f"revision {row.revision}: its content was changed to what is none"
    return "" if _has_digest(record, row.digest) else f"revision {row.revision}: its content was changed"


def _has_digest(record: records.Read | records.Hit, told: str) -> bool:
    """Whether the record has this digest, in whatever form of its ids and by whatever version it was made."""
    return rows.digest_of(record) == told or any(
        told in (rows.digest_of(form), rows.earlier_digest_of(form)) for form in _forms(record)
    )


def _forms(record: records.Read | records.Hit) -> Iterator[records.Read | records.Hit]:
    """The record with its ids in each way in which a unit may write them: every dash may be left out."""
    for read_id in _written(record.read_id):
        if isinstance(record, records.Read):
            yield replace(record, read_id=read_id)
        else:
            for hit_id in _written(record.hit_id):
                yield replace(record, hit_id=hit_id, read_id=read_id)


def _written(one: str) -> Iterator[str]:
    parts = str(UUID(one)).split("-")
    for dashes in itertools.product(("-", ""), repeat=len(parts) - 1):
        yield "".join(map("".join, zip(parts, (*dashes, ""), strict=True)))
