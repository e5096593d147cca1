"""The index by which a partial search finds reads: each text, by every three of its adjacent characters.

Owns the rows of `Trigram` and that they follow their reads: made with a read by the intake, with a correction
by `hq.hits`, moved with a later revision, and gone with a destroyed read. What a row holds is that model's
business, asking it `hq.search.finding`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.apps import apps

from hq.records import bulk
from hq.records.keys import lookalike_key, trigrams
from hq.records.models import Read, Trigram

_FIELDS: Final = {field.name: field for field in Trigram._meta.local_concrete_fields}
_COLUMNS: Final = ("gram", "at", "read_id", "key", "lookalike", "received_at")


def add(reads: Iterable[Read]) -> None:
    """Index the texts as they were read; these reads have no rows yet."""
    _write((read, read.key) for read in reads)


def add_text(read: Read, key: str) -> None:
    """Index a read under a further text, the key of a correction; under one that it has already, nothing."""
    Trigram.objects.bulk_create(sorted(rows(read, key), key=_place), ignore_conflicts=True)


def move(pairs: Iterable[tuple[Read, Read]]) -> None:
    """Index reads anew that have changed; each is given as it was and as it is."""
    pairs = list(pairs)
    remove([before for before, _ in pairs])
    corrected = _corrected([after.id for _, after in pairs])
    _write((after, key) for _, after in pairs for key in {after.key, *corrected.get(after.id, ())})


def remove(reads: Iterable[Read]) -> None:
    """Take every row of these reads out, under whatever text; to be done before the reads go."""
    reads = list(reads)
    corrected = _corrected([read.id for read in reads])
    for read in reads:
        keys = {read.key, *corrected.get(read.id, ())}
        grams = {gram for key in keys for gram in trigrams(lookalike_key(key))}
        found = Trigram.objects.filter(gram__in=sorted(grams), at=read.at, read=read.id)
        found._raw_delete(found.db)


def rows(read: Read, key: str) -> list[Trigram]:
    """The rows of a read under one text."""
    alike = lookalike_key(key)
    return [
        Trigram(
            gram=gram, at=read.at, read_id=read.id, key=key, lookalike=alike, received_at=read.received_at
        )
        for gram in trigrams(alike)
    ]


def _write(texts: Iterable[tuple[Read, str]]) -> None:
    """Index each read under the key beside it."""
    at, pk, received_at = bulk.preparers(_FIELDS[name] for name in ("at", "read", "received_at"))
    found: list[tuple[Any, ...]] = []
    for read, key in texts:
        alike = lookalike_key(key)
        held = (at(read.at), pk(read.id), key, alike, received_at(read.received_at))
        found += ((gram, *held) for gram in trigrams(alike))
    # In the order in which the table lies, so that neighbours are written together.
    bulk.insert_values(Trigram, _COLUMNS, sorted(found))


def _place(row: Trigram) -> tuple[str, object]:
    return row.gram, row.at


def _corrected(reads: Iterable[UUID]) -> dict[UUID, set[str]]:
    """The keys of all corrections of these reads."""
    found: dict[UUID, set[str]] = {}
    corrections = apps.get_model("hits", "Correction")._default_manager.filter(read__in=list(reads))
    for read, key in corrections.values_list("read_id", "key"):
        found.setdefault(read, set()).add(key)
    return found
