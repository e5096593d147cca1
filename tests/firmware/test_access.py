"""Plate text is shown to named, trained people with a purpose, and never without a record of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.access import Access, Person, load_people
from firmware.errors import AccessError, ConfigError, StoreError
from firmware.store import Store
from hw.protocols import ClockQuality
from mqtt.messages import decode_record
from mqtt.records import AccessRecord
from plates.words import Purpose
from tests.firmware.store_samples import NOON, SetClock, rows

MORA = Person(
    name="A. Mora",
    title="Officer",
    agency="Test PD",
    course="ALPR 2026",
    trained_until=NOON.astimezone().date(),
)
FILE = """\
[mora]
name = "A. Mora"
title = "Officer"
agency = "Test PD"
course = "ALPR 2026"
trained_until = 2027-03-01
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store", SetClock())
    yield store
    store.close()


def records(store: Store) -> list[AccessRecord]:
    """What HQ will hear of accesses."""
    found = [decode_record("access", row.body) for row in rows(store) if row.kind == "access"]
    return [record for record in found if isinstance(record, AccessRecord)]


@pytest.mark.clause("430.3(d)")
@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("CC-52a")
def test_a_trained_person_with_a_purpose_is_let_in_and_recorded(store: Store) -> None:
    """430.5(a), CC-52a: name, date, time, what was asked for, why, and what was shown."""
    access = Access({"mora": MORA}, SetClock(), store.add_access)
    granted = access.grant("mora", "stolen_vehicle", "26-1234", "reads list", "plate=TEST*", ["id-1", "id-2"])
    (record,) = records(store)
    assert record == granted.record
    assert (record.person, record.title, record.agency) == ("A. Mora", "Officer", "Test PD")
    assert (record.action, record.query) == ("reads list", "plate=TEST*")
    assert (record.purpose, record.case_number) == ("stolen_vehicle", "26-1234")
    assert (record.results, record.ids, record.outcome) == (2, ("id-1", "id-2"), "shown")
    assert record.at == "2026-03-04T12:00:00.00+00:00"


@pytest.mark.clause("430.3-0")
@pytest.mark.clause("430.5(b)")
@pytest.mark.parametrize(
    ("person", "purpose", "case_number", "reason"),
    [
        ("", "audit", "1", "no person"),
        ("nobody", "audit", "1", "not in the people file"),
        ("mora", "", "1", "purpose"),
        ("mora", "curiosity", "1", "purpose"),
        ("mora", "audit", "  ", "case or incident number"),
    ],
)
def test_who_or_why_is_missing_is_refused_and_recorded(
    store: Store, person: str, purpose: str, case_number: str, reason: str
) -> None:
    """430.3-0, 430.5(b): no query without a named person, a listed purpose and a case number."""
    access = Access({"mora": MORA}, SetClock(), store.add_access)
    with pytest.raises(AccessError, match=reason):
        access.grant(person, purpose, case_number, "reads list", "", ["id-1"])
    (record,) = records(store)
    assert (record.outcome, record.results, record.ids) == ("refused", 0, ())
    assert record.purpose == purpose


@pytest.mark.clause("430.3(d)")
@pytest.mark.parametrize(("days", "allowed"), [(0, True), (-1, False)])
def test_training_that_is_over_is_refused(store: Store, days: int, allowed: bool) -> None:
    """430.3(d): the training's last day counts, the day after does not."""
    person = replace(MORA, trained_until=MORA.trained_until + timedelta(days=days))
    access = Access({"mora": person}, SetClock(), store.add_access)
    if allowed:
        access.grant("mora", "audit", "1", "reads list", "")
    else:
        with pytest.raises(AccessError, match="training ALPR 2026"):
            access.grant("mora", "audit", "1", "reads list", "")
    assert [record.outcome for record in records(store)] == ["shown" if allowed else "refused"]


@pytest.mark.clause("430.3(d)")
def test_without_a_clock_training_cannot_be_judged(store: Store) -> None:
    """430.3(d)."""
    access = Access({"mora": MORA}, SetClock(ClockQuality.NONE), store.add_access)
    with pytest.raises(AccessError, match="clock"):
        access.grant("mora", "audit", "1", "reads list", "")
    (record,) = records(store)
    assert (record.at, record.clock.quality, record.outcome) == (None, "none", "refused")


@pytest.mark.clause("430.2.1(d)")
def test_a_record_that_cannot_be_written_shows_nothing() -> None:
    """430.2.1(d): fail closed."""

    def broken(_: AccessRecord) -> None:
        raise StoreError("disk full")

    with pytest.raises(StoreError, match="disk full"):
        Access({"mora": MORA}, SetClock(), broken).grant("mora", "audit", "1", "reads list", "")


@pytest.mark.clause("430.2.1(d)")
def test_output_that_goes_on_records_each_part_before_it_is_shown(store: Store) -> None:
    access = Access({"mora": MORA}, SetClock(), store.add_access)
    granted = access.grant("mora", "audit", "1", "listen", "")
    granted.showing(["id-1"])
    granted.showing(["id-2", "id-3"])
    found = records(store)
    assert [record.ids for record in found] == [(), ("id-1",), ("id-2", "id-3")]
    assert len({record.access_id for record in found}) == 3
    assert {(record.person, record.purpose, record.case_number) for record in found} == {
        ("A. Mora", "audit", "1")
    }


@given(purpose=st.sampled_from(list(Purpose)), case_number=st.text(min_size=1, max_size=2000))
def test_every_record_can_be_sent(purpose: Purpose, case_number: str) -> None:
    """Whatever is typed, HQ can decode the record of it."""
    kept: list[AccessRecord] = []
    access = Access({"mora": MORA}, SetClock(), kept.append)
    try:
        access.grant("mora", purpose, case_number, "reads list", "")
    except AccessError:
        assert not case_number.strip()
    assert len(kept) == 1
    assert len(kept[0].case_number) <= 1000


def test_a_people_file_names_people(tmp_path: Path) -> None:
    path = tmp_path / "people.toml"
    path.write_text(FILE)
    assert load_people(path) == {"mora": replace(MORA, trained_until=date(2027, 3, 1))}


def test_every_mistake_in_a_people_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "people.toml"
    path.write_text(
        FILE.replace("2027-03-01", '"soon"').replace("[mora]", 'lone = 1\n[mora]\nnick = "M"')
        + '[chan]\nname = ""\ntitle = "Officer"\nagency = 3\ntrained_until = 2027-03-01\n'
    )
    path.chmod(0o646)
    with pytest.raises(ConfigError) as caught:
        load_people(path)
    told = [line.removeprefix(f"{path}: ") for line in caught.value.problems]
    assert [line.split(":")[0] for line in told] == [
        "every user may write it",
        "lone",
        "mora.nick",
        "mora.trained_until",
        "chan.name",
        "chan.agency",
        "chan.course",
    ]


@pytest.mark.parametrize("text", [None, "[mora", b"\xff"])
def test_a_people_file_that_cannot_be_read_is_one_line(tmp_path: Path, text: str | bytes | None) -> None:
    path = tmp_path / "people.toml"
    if isinstance(text, bytes):
        path.write_bytes(text)
    elif text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_people(path)
    assert len(caught.value.problems) == 1
    assert os.fspath(path) in caught.value.problems[0]
