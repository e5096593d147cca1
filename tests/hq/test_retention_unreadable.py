"""Holds whose pattern cannot be read: nothing is destroyed while one stands, and two persons release it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction

from hq.log.triggers import drops, tables
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Read
from hq.retention import holds, proposals, purge
from hq.retention.alarms import alarms
from hq.retention.models import Certificate, Hold
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from tests.hq import kept

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: object) -> None:
    settings.MEDIA_ROOT = tmp_path / "pictures"  # type: ignore[attr-defined]


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


def smuggled(office: kept.Office, plate: str, **fields: str) -> Hold:
    """A hold whose pattern came past the checks, as by another program or an older version."""
    hold = office.place(Scope(plate="8XYZ987", **fields))
    with transaction.atomic(), connection.cursor() as cursor:
        for table in tables():
            for statement in drops(connection, table):
                cursor.execute(statement)
        cursor.execute("UPDATE retention_hold SET plate = %s WHERE id = %s", [plate, hold.pk])
        assert cursor.rowcount == 1
    return Hold.objects.get(pk=hold.pk)


UNREADABLE = ["7AB%123", "???", "7ABC123456789", "7XYZ123"]
"""The last one can be read, but the database compares another."""


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("plate", UNREADABLE)
def test_nothing_is_destroyed_while_a_hold_cannot_be_read(office: kept.Office, plate: str) -> None:
    kept.read("7ABC123", days=400)
    schedule, authority = office.schedule(), office.authority()
    proposal = proposals.propose(office.administrator, schedule, authority)
    proposals.approve(office.commander, proposal.pk)
    hold = smuggled(office, plate)
    named = f"hold {hold.pk}"
    with pytest.raises(Refused, match=named):
        proposals.cosign(office.custodian, proposal.pk)
    proposals.refuse(office.custodian, proposal.pk, "a hold cannot be read")
    with pytest.raises(Refused, match=named):
        proposals.propose(office.administrator, schedule, authority)
    assert any("pattern cannot be read" in alarm.text and named in alarm.text for alarm in alarms())
    # It can be looked at and released by two persons, and then all is as before.
    holds.review(office.administrator, hold.pk, "it is", hq_clock.today() + timedelta(days=30))
    holds.ask_release(office.commander, hold.pk, "placed again")
    holds.release(office.custodian, hold.pk)
    assert not any("cannot be read" in alarm.text for alarm in alarms())
    purge.run(office.signed(schedule).pk, run_by="test")
    assert not Read.objects.exists()


@pytest.mark.clause("430.4-d")
def test_a_hold_that_cannot_be_read_stops_a_purge_that_runs(
    office: kept.Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 1)
    for text in ("7ABC123", "8ABC123", "9ABC123"):
        kept.read(text, days=400)
    proposal = office.signed()
    made: list[Hold] = []

    def step(word: str) -> None:
        if word == "moved" and Read.objects.count() == 2 and not made:
            made.append(smuggled(office, "7AB%123"))

    with pytest.raises(Refused, match="pattern cannot be read: hold "):
        purge.run(proposal.pk, run_by="test", step=step)
    assert Read.objects.count() == 2
    assert len(kept.files()) == 4
    assert (purge.unfinished(), Certificate.objects.count()) == (0, 0)


@pytest.mark.clause("430.4-d")
@pytest.mark.django_db(transaction=True)
def test_a_purge_that_a_hold_stops_leaves_nothing_of_what_it_destroyed_in_the_log(
    office: kept.Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite's write-ahead log is HQ's to cut")
    monkeypatch.setattr(purge, "BATCH", 1)
    for text in ("7ABC123", "8ABC123"):
        kept.read(text, days=400)
    proposal = office.signed()

    def step(word: str) -> None:
        if word == "done" and not Hold.objects.exists():
            smuggled(office, "7AB%123")

    with pytest.raises(Refused):
        purge.run(proposal.pk, run_by="test", step=step)
    assert Read.objects.count() == 1
    assert Path(f"{connection.settings_dict['NAME']}-wal").stat().st_size == 0


@pytest.mark.clause("430.4-d")
def test_a_hold_that_cannot_be_read_keeps_what_its_other_bounds_reach(office: kept.Office) -> None:
    here, there = kept.read("7ABC123"), kept.read("7ABC123", on=kept.unit("gate-2"))
    everywhere, bounded = smuggled(office, "7AB%123"), smuggled(office, "7AB%123", unit="gate-1")
    assert set(Read.objects.filter(holds.reach(everywhere))) == {here, there}
    assert set(Read.objects.filter(holds.reach(bounded))) == {here}


@pytest.mark.clause("430.4-d")
def test_all_reads_are_held_while_one_hold_cannot_be_read(office: kept.Office) -> None:
    """Whatever its other bounds: what it was placed for is not known."""
    here, there = kept.read("7ABC123"), kept.read("7ABC123", on=kept.unit("gate-2"))
    smuggled(office, "7AB%123", unit="gate-1")
    assert set(Read.objects.filter(holds.held())) == {here, there}
