"""The access log: what a row holds, that its chain is whole, and that nobody can bend it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.log import chain, triggers
from hq.log.models import AccessRecord, ChainHead
from hq.people.models import Person

pytestmark = pytest.mark.django_db


def _person() -> Person:
    return Person.objects.create(
        username="jdoe", full_name="Jane Doe", title="Detective", agency="Demo PD", state="active"
    )


def _rows(count: int) -> None:
    for number in range(count):
        chain.append(kind="test", person=None, action="log.own", elements={"n": number})


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("CC-52a")
def test_row_keeps_name_title_and_agency_as_they_were() -> None:
    person = _person()
    row = chain.append(
        kind="search", person=person, action="reads.search", elements={"plate": "7XYZ"}, ids=["a", 2]
    )
    person.full_name, person.title, person.agency = "Other Name", "Chief", "Elsewhere"
    person.save()
    row = AccessRecord.objects.get(pk=row.pk)
    assert (row.username, row.name, row.title, row.agency) == ("jdoe", "Jane Doe", "Detective", "Demo PD")
    assert (row.elements, row.ids) == ({"plate": "7XYZ"}, ["a", "2"])
    assert chain.verify() is None


@pytest.mark.clause("CJIS AU-8")
def test_time_is_utc_to_a_hundredth_of_a_second(clock: object) -> None:
    row = chain.append(kind="test", person=None, action="log.own")
    assert row.at == datetime(2026, 6, 3, 19, 0, 0, 120000, tzinfo=UTC)
    assert chain.stamp(row.at) == "2026-06-03T19:00:00.12+00:00"


@pytest.mark.clause("CC-54")
@pytest.mark.clause("CJIS AU-9")
@pytest.mark.parametrize("attack", ["change", "remove", "remove last", "insert"])
def test_chain_shows_tampering_by_one_who_lifted_the_triggers(attack: str) -> None:
    _rows(5)
    with connection.cursor() as cursor:
        for table in triggers.tables():
            for statement in triggers.drops(connection, table):
                cursor.execute(statement)
    if attack == "change":
        AccessRecord.objects.filter(pk=3).update(note="nothing to see")
    elif attack == "insert":
        last = AccessRecord.objects.get(pk=5)
        last.pk, last.hash = 6, "0" * 64
        last.save(force_insert=True)
    else:
        AccessRecord.objects.filter(pk=5 if attack == "remove last" else 3).delete()
    fault = chain.verify()
    assert fault is not None
    assert fault.sequence == {"change": 3, "remove": 3, "remove last": 5, "insert": 6}[attack]


@pytest.mark.clause("430.2-d")
@pytest.mark.clause("CJIS AU-9")
@pytest.mark.parametrize("statement", ["update", "delete", "insert", "replace", "truncate"])
def test_database_refuses_to_change_the_log(statement: str) -> None:
    _rows(2)
    columns = ", ".join(f'"{f.column}"' for f in AccessRecord._meta.local_concrete_fields)
    again = f"log_accessrecord ({columns}) SELECT {columns} FROM log_accessrecord WHERE sequence = 1"
    if statement == "replace" and connection.vendor != "sqlite":
        pytest.skip("only SQLite has INSERT OR REPLACE")
    if statement == "truncate" and connection.vendor == "sqlite":
        pytest.skip("SQLite has no TRUNCATE; its DELETE is tried apart")
    sql = {
        "update": "UPDATE log_accessrecord SET note = 'x' WHERE sequence = 1",
        "delete": "DELETE FROM log_accessrecord WHERE sequence = 2",
        "insert": f"INSERT INTO {again}",
        "replace": f"INSERT OR REPLACE INTO {again}",
        "truncate": "SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE log_accessrecord CASCADE",
    }[statement]
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert AccessRecord.objects.count() == 2
    assert chain.verify() is None


@pytest.mark.clause("430.5(a)")
def test_row_that_cannot_be_written_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    monkeypatch.setattr(AccessRecord, "save", broken)
    with pytest.raises(chain.LogUnavailable):
        chain.append(kind="test", person=None, action="log.own")
    assert ChainHead.objects.filter(sequence__gt=0).count() == 0


@pytest.mark.django_db(transaction=True)
def test_writers_at_once_make_one_chain() -> None:
    def write() -> None:
        try:
            _rows(20)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert AccessRecord.objects.count() == 120
    assert chain.verify() is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    elements=st.dictionaries(st.text(), _json, max_size=4), case=st.text(max_size=80), ids=st.lists(st.text())
)
def test_whatever_was_asked_is_written_and_verifies(
    elements: dict[str, object], case: str, ids: list[str]
) -> None:
    """Also NUL, lone surrogates, line breaks and numbers that a database writes in its own way."""
    chain.append(kind="test", person=None, action="log.own", elements=elements, case=case, ids=ids)
    assert chain.verify() is None


def test_triggers_stand_after_migrate_and_their_absence_is_found() -> None:
    assert triggers.missing(connection) == []
    assert triggers.check_triggers(databases=["default"]) == []
    name = "hq_update_log_accessrecord" if connection.vendor == "sqlite" else "hq_row_log_accessrecord"
    with connection.cursor() as cursor:
        cursor.execute(
            f'DROP TRIGGER "{name}"' + ("" if connection.vendor == "sqlite" else " ON log_accessrecord")
        )
    assert triggers.missing(connection) == [name]
    assert [message.id for message in triggers.check_triggers(databases=["default"])] == ["hq.E001"]
    triggers.after_migrate("default")
    assert triggers.missing(connection) == []
