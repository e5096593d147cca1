"""Fills a database with reads for `hq.records.bench`, as fast as the database makes them.

Owns which reads they are: plates in California's form, one read in five of a car that was read before, from
forty units, in the order of their time over the last year, each with the row of a plate picture. They have
every column and every index that intake writes; the files of the pictures are not there. The database makes
them itself in SQL, and indexes are taken away before and made anew afterwards, for ten million rows through
the intake would take hours. The same number of reads is the same reads on every engine.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import django
from django.db import connection, models, transaction

from mqtt.fields import time_text
from mqtt.records import (
    ClockState,
    Envelope,
    PictureHeader,
    PictureKind,
    PictureRef,
    Position,
    Read,
    TextCandidate,
)
from plates.lookalike import CLASSES

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

UNITS: Final = 40
PICTURE_BYTES: Final = 12_000
LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"

_CHUNK: Final = 200_000
_YEAR_S: Final = 365 * 86400.0
_PLATES: Final = 6 * 23**3 * 1000
_PRIME: Final = 4_294_967_291
_LENGTH: Final = 7

# The words in which the two engines differ. In a statement with parameters % is written twice.
_WORDS: Final = {
    "sqlite": {
        "numbers": "WITH RECURSIVE g(n) AS (SELECT %s UNION ALL SELECT n + 1 FROM g WHERE n < %s)",
        "id": "printf('%%08x%%08x%%08x%%08x', {0}, {1}, {2}, {3})",
        "hex": "printf('%%08x', {0})",
        "moment": "(strftime('%%Y-%%m-%%d %%H:%%M:%%f', {0}, 'unixepoch') || '000')",
        "minute": "strftime('%%Y/%%m/%%d/%%H%%M', {0}, 'unixepoch')",
        "once": "INSERT OR IGNORE INTO {0} {1}",
    },
    "postgresql": {
        "numbers": "WITH g AS (SELECT generate_series(CAST(%s AS bigint), CAST(%s AS bigint)) AS n)",
        "id": "CAST(lpad(to_hex({0}), 8, '0') || lpad(to_hex({1}), 8, '0') || lpad(to_hex({2}), 8, '0')"
        " || lpad(to_hex({3}), 8, '0') AS uuid)",
        "hex": "lpad(to_hex({0}), 8, '0')",
        "moment": "to_timestamp({0})",
        "minute": "to_char(to_timestamp({0}) AT TIME ZONE 'UTC', 'YYYY/MM/DD/HH24MI')",
        "once": "INSERT INTO {0} {1} ON CONFLICT DO NOTHING",
    },
}


def main(words: Sequence[str]) -> int:
    """Fill the database of the settings with so many reads, unless they are there; the exit code is 0."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    start = time.monotonic()
    if fill(int(words[0])):
        print(f"made in {time.monotonic() - start:.0f} s")
    return 0


def fill(count: int) -> bool:
    """Put `count` reads into an empty database; False if there are so many already.

    Raises ValueError for a database that holds another number of reads.
    """
    from hq.records.models import Read as Row
    from hq.records.models import Unit

    newest = Row.objects.order_by("-at").values_list("sequence", flat=True).first()
    if newest == count:
        return False
    if newest is not None:
        raise ValueError(f"the database holds other reads than {count:,} made here")
    Unit.objects.bulk_create(
        Unit(unit_id=unit_id(number), state=Unit.State.ENROLLED) for number in range(UNITS)
    )
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Nobody pulls the plug while it is made. The next connection sets all of it back.
            for word in ("synchronous=OFF", "journal_mode=MEMORY", "temp_store=MEMORY", "cache_size=-500000"):
                cursor.execute(f"PRAGMA {word}")
        _without_indexes(Row)
        _insert(count, time.time() - _YEAR_S)
        _index_trigrams()
        _with_indexes(Row)
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    _check(count)
    return True


def unit_id(number: int) -> str:
    """The id of one of the UNITS units."""
    return f"bench-{number:02d}"


def plate(chance: random.Random) -> str:
    """A plate in California's form."""
    return f"{chance.randint(4, 9)}{''.join(chance.choices(LETTERS, k=3))}{chance.randint(0, 999):03d}"


def passage(text: str, data: bytes, number: uuid.UUID) -> tuple[Read, PictureHeader]:
    """A read as a unit sends it, and the header of its picture."""
    digest, model = hashlib.sha256(data).hexdigest(), "0" * 64
    ref = PictureRef(kind=PictureKind.PLATE, sha256=digest, size=len(data), width=240, height=80)
    read = Read(
        read_id=str(number), revision=1, captured_at=time_text(datetime.now(UTC)),
        clock=ClockState(quality="ntp", boot_id="0" * 32, boottime=1.0), camera="lane 1", deployment="",
        position=Position(latitude=34.0522, longitude=-118.2437, heading=90.0), plate=text, confidence=0.97,
        char_confidence=tuple(0.99 for _ in text), candidates=(TextCandidate(text=text, probability=0.97),),
        flags=(), box=(412.0, 300.0, 90.0, 30.0), frame_size=(1280, 720), detection_score=0.9, looks=5,
        agreeing=4, parked=False, pictures=(ref,), model_hashes=(model, model), config_hash=model,
        software="bench", demo=True,
    )  # fmt: skip
    return read, PictureHeader(read_id=str(number), kind=ref.kind, sha256=digest, size=len(data))


def _insert(count: int, since: float) -> None:
    from hq.records import rows
    from hq.records.models import Picture

    data = bytes(PICTURE_BYTES)
    read, header = passage("4ABC123", data, uuid.UUID(int=1))
    now = datetime.now(UTC)
    row = rows.read_row(
        read, Envelope(unit=unit_id(0), store_id=uuid.UUID(int=1).hex, sequence=1), "alpr", now
    )
    picture = Picture(
        kind=header.kind, sha256=header.sha256, size=header.size, width=240, height=80, missing=False,
        received_at=now,
    )  # fmt: skip
    with connection.cursor() as cursor:
        for first in range(1, count + 1, _CHUNK):
            with transaction.atomic():
                cursor.execute(_base(count, since), (first, min(first + _CHUNK - 1, count)))
                for one, makes in ((row, _READ), (picture, _PICTURE)):
                    sql, params = _statement(one, makes)
                    cursor.execute(sql, params)
                cursor.execute("DROP TABLE bench_new")


def _index_trigrams() -> None:
    """Write what `trigrams.add` writes, in the order in which the table lies."""
    from hq.records.keys import SHORTEST
    from hq.records.models import Read as Row
    from hq.records.models import Trigram

    quote = connection.ops.quote_name
    places = " UNION ALL ".join(f"SELECT {place} AS place" for place in range(1, _LENGTH - SHORTEST + 2))
    rows = f"""(gram, at, read_id, {quote("key")}, lookalike, received_at)
        SELECT substr(lookalike, place, {SHORTEST}) AS gram, at, id, {quote("key")}, lookalike, received_at
        FROM {quote(Row._meta.db_table)}, ({places}) AS places ORDER BY 1, 2"""
    with connection.cursor() as cursor, transaction.atomic():
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL work_mem = '1GB'")
        cursor.execute(_WORDS[connection.vendor]["once"].format(quote(Trigram._meta.db_table), rows))


def _check(count: int) -> None:
    """Compare some reads with what the intake makes of their text. Raises ValueError where they differ."""
    from hq.records import keys, trigrams
    from hq.records.models import Picture, Trigram
    from hq.records.models import Read as Row

    for row in Row.objects.filter(at__gte=Row.objects.order_by("at")[count // 2].at).order_by("at")[:50]:
        made = (keys.search_key(row.text), keys.lookalike_key(row.key))
        indexed = set(Trigram.objects.filter(read=row, gram__in=keys.trigrams(row.lookalike)))
        if made != (row.key, row.lookalike) or indexed != set(trigrams.rows(row, row.key)):
            raise ValueError("the rows made here are not those that the intake makes")
        if Picture.objects.filter(read=row, missing=False).count() != 1:
            raise ValueError("a read has no picture")


_READ: Final = {
    "id": "id", "unit_id": "unit", "sequence": "n", "captured_at": "at", "received_at": "received_at",
    "at": "at", "purge_after": "purge_after", "text": "text", "key": "text", "lookalike": "lookalike",
    "confidence": "0.9 + n %% 1000 * 0.0001", "lat": "lat", "lon": "lon", "digest": "digest",
}  # fmt: skip
_PICTURE: Final = {
    "read_id": "id", "sha256": "digest", "received_at": "received_at",
    "file": "'reads/' || minute || '/' || CAST(id AS text) || '-plate-' || substr(digest, 1, 16) || '.jpg'",
}  # fmt: skip
"""What differs from row to row, by the columns of bench_new."""


def _base(count: int, since: float) -> str:
    """Statement that makes bench_new, with what is worked out once for each number from one to another."""
    words = _WORDS[connection.vendor]

    def noise(salt: int) -> str:
        return f"((n * {2_654_435_761 + 2 * salt * 97_003} + {salt * 7_919}) %% {_PRIME})"

    # Ids rise in their first part, so that their index is made in order.
    number = words["id"].format(f"(n * {2**32 // (count + 1)})", noise(1), noise(2), noise(3))
    # Each car has a plate of its own: the factor has no divisor in common with the number of plates.
    car = f"CASE WHEN {noise(4)} %% 5 = 0 THEN {noise(5)} %% n ELSE n END"
    parts = [
        "CAST(4 + p / 12167000 AS text)",
        *(f"substr('{LETTERS}', CAST(p / {unit} %% 23 + 1 AS int), 1)" for unit in (529_000, 23_000, 1_000)),
        "substr(CAST(1000 + p %% 1000 AS text), 2)",
    ]
    digest = " || ".join(words["hex"].format(noise(6 + part)) for part in range(8))
    moment = words["moment"]
    return f"""CREATE TEMPORARY TABLE bench_new AS {words["numbers"]},
        plates AS MATERIALIZED (
            SELECT n, {since!r} + n * {_YEAR_S / count!r} AS s, {noise(14)} %% {UNITS} AS u,
                ({car}) * 48271357 %% {_PLATES} AS p FROM g),
        texts AS MATERIALIZED (
            SELECT n, u, {" || ".join(parts)} AS text, {moment.format("s")} AS at,
                {moment.format("s + 2")} AS received_at, {moment.format(f"s + {366 * 86400}")} AS purge_after,
                {words["minute"].format("s + 2")} AS minute FROM plates)
        SELECT n, {number} AS id, text, {_folded("text")} AS lookalike, at, received_at, purge_after, minute,
            'bench-' || substr(CAST(100 + u AS text), 2) AS unit, 33.7 + u * 0.01 AS lat,
            -118.4 + u * 0.01 AS lon, {digest} AS digest FROM texts"""


def _folded(text: str) -> str:
    """`plates.lookalike.fold` in SQL."""
    for group in CLASSES:
        for char in group[1:]:
            text = f"replace({text}, '{char}', '{group[0]}')"
    return text


def _statement(row: models.Model, makes: Mapping[str, str]) -> tuple[str, list[Any]]:
    """INSERT of a row for each of bench_new, like `row` but for what `makes` says."""
    names, values, params = [], [], []
    quote = connection.ops.quote_name
    for field in row._meta.local_concrete_fields:
        if field.attname not in makes and field.primary_key:
            continue
        names.append(quote(str(field.column)))
        if field.attname in makes:
            values.append(makes[field.attname])
        else:
            values.append("%s")
            params.append(field.get_db_prep_save(getattr(row, field.attname), connection))
    table = quote(row._meta.db_table)
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM bench_new", params


def _without_indexes(model: type[models.Model]) -> None:
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.remove_index(model, index)


def _with_indexes(model: type[models.Model]) -> None:
    for index in model._meta.indexes:
        with connection.schema_editor() as editor:
            _add(editor, model, index)


def _add(editor: BaseDatabaseSchemaEditor, model: type[models.Model], index: models.Index) -> None:
    if connection.vendor == "postgresql":
        editor.execute("SET LOCAL maintenance_work_mem = '1GB'")
    editor.add_index(model, index)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
