"""Rows written the short way are the rows that Django would write, and are refused as Django's are."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from hq.records import bulk, rows, trigrams
from hq.records.models import Picture, Read, Trigram, Unit
from mqtt.records import Envelope
from tests.hq.ingest_site import STORE, UNIT
from tests.mqtt import samples

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 3, 19, 0, 0, 123456, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=32)


def _read(text: str = "7TST123", **changed: object) -> Read:
    Unit.objects.get_or_create(unit_id=UNIT)
    row = rows.read_row(samples.read(), Envelope(unit=UNIT, store_id=STORE, sequence=1), "alpr", NOW)
    row.text = text
    for name, value in changed.items():
        setattr(row, name, value)
    return row


def _values(row: Read | Picture) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@given(
    text=TEXTS,
    camera=TEXTS,
    held=st.lists(st.none() | st.booleans() | TEXTS, max_size=3),
    lat=st.none() | st.floats(-90, 90),
    parked=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_a_row_reads_back_as_the_one_that_django_writes(
    text: str, camera: str, held: list[object], lat: float | None, parked: bool
) -> None:
    """Quotes, tabs, backslashes, None and JSON too, on either engine."""
    row = _read(text, camera=camera, flags=held, lat=lat, parked=parked)
    twin = _read(text, camera=camera, flags=held, lat=lat, parked=parked)
    twin.__dict__.update({**_values(row), "id": uuid4()})
    bulk.insert([row])
    Read.objects.bulk_create([twin])
    short, long = Read.objects.get(pk=row.pk), Read.objects.get(pk=twin.pk)
    assert {**_values(short), "id": None} == {**_values(long), "id": None}
    told = (short.text, short.camera, short.flags, short.lat, short.parked)
    assert told == (text, camera, held, lat, parked)


def test_a_picture_gets_its_number_and_its_file_name() -> None:
    row = _read()
    pictures = [
        Picture(read=row, kind="plate", sha256="a" * 64, size=3, missing=False, received_at=NOW),
        Picture(read=row, kind="scene", sha256="b" * 64, size=4),
    ]
    pictures[0].file.name = "reads/2026/06/03/1200/x.jpg"
    bulk.insert(pictures)
    here = {one.kind: one for one in Picture.objects.all()}
    assert (here["plate"].file.name, here["scene"].file.name) == ("reads/2026/06/03/1200/x.jpg", "")
    assert here["plate"].pk != here["scene"].pk


def test_a_changed_row_gets_the_named_fields_and_no_other() -> None:
    row, other = (Picture(read=_read(), kind="plate", sha256=char * 64, size=3) for char in "ab")
    for one in (row, other):
        one.save()
    row.file.name, row.size, row.missing, row.received_at, row.width = "reads/x.jpg", 4, False, NOW, 90
    bulk.update([row], ("file", "size", "missing", "received_at"))
    here = Picture.objects.get(pk=row.pk)
    assert (here.file.name, here.size, here.missing, here.received_at) == ("reads/x.jpg", 4, False, NOW)
    assert here.width == 0
    assert _values(Picture.objects.get(pk=other.pk)) == _values(other)


def test_a_row_that_is_here_is_refused_and_nothing_beside_it_stays() -> None:
    here, new = _read(), _read()
    bulk.insert([here])
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert([new, here])
    assert list(Read.objects.values_list("pk", flat=True)) == [here.pk]


def test_the_rows_of_the_index_are_those_of_its_model() -> None:
    reads = [_read(key="8BO1TQ7", lookalike="880110"), _read(key="AAAA", lookalike="AAAA")]
    bulk.insert(reads)
    trigrams.add(reads)
    assert set(Trigram.objects.all()) == {row for read in reads for row in trigrams.rows(read, read.key)}


@pytest.mark.django_db
def test_a_pictures_file_has_one_index() -> None:
    """PostgreSQL would be given a second one, for LIKE, to keep up with every picture that comes."""
    with connection.cursor() as cursor:
        held = connection.introspection.get_constraints(cursor, "records_picture")
    found = [name for name, one in held.items() if one["index"] and one["columns"] == ["file"]]
    assert found == ["records_picture_file"]
