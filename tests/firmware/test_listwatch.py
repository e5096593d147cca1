"""The hot list over a unit's run: swapped, damaged, expired, taken away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from firmware import config
from firmware.alarms import Alarms
from firmware.hotlist import build
from firmware.listwatch import LOOK_S, ListState, ListWatch
from hw.protocols import ClockQuality
from mqtt.fields import time_text
from mqtt.records import Hit, TextCandidate
from plates.match import STATE_SURE
from plates.words import AlarmClass, HotListEntry
from tests.firmware import store_samples as samples
from tests.firmware.board import Lamps
from tests.users import another_user

ISSUED = time_text(samples.NOON - timedelta(hours=2))


def entry(plate: str, **changes: object) -> HotListEntry:
    whole = HotListEntry(
        plate=plate,
        state="CA",
        alarm_class=AlarmClass.STOLEN_VEHICLE,
        reason="test",
        source="manual",
        case_number="T-1",
        expiry="2026-12-31",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


class Desk:
    """One thread's list in a folder; the test moves the time."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.file = folder / "hotlist.sqlite"
        self.clock = samples.SetClock()
        self.now = 0.0
        settings = config.load(
            [], environ={}, overrides=["unit.id=u", f"hotlist.file={self.file}", *overrides]
        )
        self.watch = ListWatch(settings.hotlist, self.clock, lambda: self.now)

    def publish(self, version: str, *plates: str, **changes: object) -> None:
        build(self.file, [entry(plate, **changes) for plate in plates], version=version, issued_at=ISSUED)
        self.later()

    def later(self) -> None:
        self.now += LOOK_S

    def hits(self, plate: str, **changes: object) -> list[Hit]:
        return self.watch.match(samples.read(self.clock, plate, **changes))


@pytest.mark.clause("430.3(f)")
def test_a_hit_tells_the_lists_version_and_age_and_is_unverified(tmp_path: Path) -> None:
    """430.3(f): a hit is a lead; the officer sees how old the list is."""
    desk = Desk(tmp_path)
    desk.publish("7", "TEST123")
    (hit,) = desk.hits("TEST123")
    assert (hit.kind, hit.status, hit.list_version, hit.list_age_s) == ("exact", "UNVERIFIED", "7", 7200.0)
    assert hit.at == time_text(samples.NOON)
    assert desk.watch.state() == ListState("7", 1, 7200.0, "")


def test_a_hit_tells_the_age_of_its_own_source(tmp_path: Path) -> None:
    """430.3(f): what was imported today says nothing of what was imported before."""
    desk = Desk(tmp_path)
    desk.publish("7", "TEST123")
    issued = time_text(samples.NOON - timedelta(hours=1))
    build(desk.file, [entry("DEMO456", source="CLEW")], version="8", issued_at=issued, keep=bool)
    desk.later()
    assert [desk.hits(plate)[0].list_age_s for plate in ("TEST123", "DEMO456")] == [7200.0, 3600.0]
    assert desk.watch.state() == ListState("8", 2, 7200.0, "")


def test_a_source_whose_entries_have_all_expired_is_told(tmp_path: Path) -> None:
    """Nobody is to stand beside a unit that is ready and alarms for nothing: where an import does not come a
    day's list is over at midnight, before it counts as old."""
    desk = Desk(tmp_path)
    yesterday = (samples.NOON - timedelta(days=1)).date().isoformat()
    desk.publish("7", "TEST123", expiry=yesterday)
    assert desk.hits("TEST123") == []
    assert desk.watch.state().fault == "all entries of manual have expired and alarm no more"
    desk.clock.quality = ClockQuality.NONE
    assert desk.watch.state().fault == ""
    desk.clock.quality = ClockQuality.NTP
    clew = entry("DEMO456", source="CLEW", expiry=samples.NOON.date().isoformat())
    build(desk.file, [clew], version="8", issued_at=ISSUED, keep=bool)
    desk.later()
    assert desk.watch.state().fault == "all entries of manual have expired and alarm no more"
    many = [entry("TEST123", source=f"{n:03}" + "x" * 500, expiry=yesterday) for n in range(9)]
    build(desk.file, many, version="9", issued_at=ISSUED)
    desk.later()
    fault = desk.watch.state().fault
    assert len(fault) < 200  # HQ takes no longer line
    assert fault.endswith(" and 6 more have expired and alarm no more")
    desk.publish("10", "TEST123", "DEMO456")
    assert desk.watch.state().fault == ""


@pytest.mark.clause("430.3(f)")
def test_an_exact_hit_of_another_state_is_told_as_such(tmp_path: Path) -> None:
    """The officer compares plate and state: a state that differs is said and never hides the hit."""
    desk = Desk(tmp_path)
    build(
        desk.file,
        [entry("TEST123", state="NV", priority=90), entry("TEST123"), entry("7EST123", state="NV")],
        version="7",
        issued_at=ISSUED,
    )
    desk.later()
    doubt = {"candidates": (TextCandidate(text="TEST123", probability=0.6),)}
    told = [
        (hit.kind, hit.entry_state, hit.state_agrees)
        for hit in desk.hits("TEST123", region="CA", region_confidence=0.99, **doubt)
    ]
    assert told == [("exact", "CA", True), ("exact", "NV", False)]
    (hit,) = desk.hits("7EST123", region="CA", region_confidence=0.99)
    assert (hit.kind, hit.state_agrees) == ("exact", False)


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize(("region", "sure"), [("", 0.0), ("NV", STATE_SURE - 0.001)])
def test_nothing_is_lost_or_said_where_the_state_is_not_known(
    tmp_path: Path, region: str, sure: float
) -> None:
    """Exact, look-alike and partial hits come as they came before states were read."""
    desk = Desk(tmp_path)
    build(
        desk.file,
        [entry("TEST128"), entry("TE5T128"), entry("TES?12*", partial=True)],
        version="7",
        issued_at=ISSUED,
    )
    desk.later()
    doubt = {"char_confidence": (0.99, 0.99, 0.6, 0.99, 0.99, 0.99, 0.99)}
    hits = desk.hits("TEST128", region=region, region_confidence=sure, **doubt)
    assert [(hit.kind, hit.state_agrees) for hit in hits] == [
        ("exact", None),
        ("lookalike", None),
        ("partial", None),
    ]
    sure_of_another = desk.hits("TEST128", region="NV", region_confidence=0.99, **doubt)
    assert [(hit.kind, hit.state_agrees) for hit in sure_of_another] == [
        ("exact", False),
        ("lookalike", False),
        ("partial", False),
    ]


def test_no_file_is_no_list_and_no_fault(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.hits("TEST123") == []
    assert desk.watch.state() == ListState()


def test_a_newer_file_is_in_force_within_a_second(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123")
    assert len(desk.hits("TEST123")) == 1
    desk.publish("2", "DEMO456")
    assert desk.hits("TEST123") == []
    assert [hit.list_version for hit in desk.hits("DEMO456")] == ["2"]


def test_garbage_leaves_the_old_list_in_force_and_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123")
    assert len(desk.hits("TEST123")) == 1
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"no database at all" * 100)
    garbage.replace(desk.file)
    desk.later()
    assert len(desk.hits("TEST123")) == 1
    assert "hotlist.sqlite" in desk.watch.state().fault
    assert desk.watch.state().version == "1"
    desk.publish("2", "DEMO456")
    assert desk.watch.state() == ListState("2", 1, 7200.0, "")


def test_a_list_that_the_unit_may_not_read_is_told_and_taken_as_soon_as_it_may() -> None:
    """One that root copied there for itself alone, or a folder of root's: no reason to stop reading."""
    with TemporaryDirectory() as name:  # pytest's own folder is closed to others
        folder = Path(name)
        folder.chmod(0o755)
        desk = Desk(folder)
        desk.publish("1", "TEST123")
        with another_user():
            assert len(desk.hits("TEST123")) == 1
        desk.publish("2", "DEMO456")
        desk.file.chmod(0)
        with another_user():
            assert [hit.list_version for hit in desk.hits("TEST123")] == ["1"]
            assert desk.watch.state().fault == f"{desk.file}: cannot be opened: Permission denied"
            desk_at_start = Desk(folder)
            assert desk_at_start.hits("DEMO456") == []
            assert desk_at_start.watch.state().fault
        desk.file.chmod(0o644)
        for place, fault in (
            (0o755, ""),
            (0, f"{desk.file}: cannot be opened: Permission denied"),
            (0o755, ""),
        ):
            folder.chmod(place)
            desk.later()
            with another_user():
                assert [hit.list_version for hit in desk.hits("DEMO456")] == ["2"]
                assert desk.watch.state().fault == fault


def test_a_unit_starts_with_a_list_of_garbage(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.file.write_bytes(b"")
    assert desk.hits("TEST123") == []
    assert desk.watch.state().fault


def test_a_list_that_is_taken_away_no_longer_alarms(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123")
    assert desk.hits("TEST123")
    desk.file.unlink()
    desk.later()
    assert desk.hits("TEST123") == []


def test_a_lookalike_needs_the_ocrs_own_doubt(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST128")
    sure = samples.read(desk.clock, "TEST12B", char_confidence=(1.0,) * 7)
    assert desk.watch.match(sure) == []
    candidates = (
        TextCandidate(text="TEST12B", probability=0.6),
        TextCandidate(text="TEST128", probability=0.3),
    )
    (hit,) = desk.hits("TEST12B", candidates=candidates)
    assert (hit.kind, hit.score) == ("lookalike", 0.5)


@pytest.mark.parametrize(("days", "hits"), [(0, 1), (1, 0)])
def test_an_entry_matches_until_its_last_day(tmp_path: Path, days: int, hits: int) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123", expiry=f"{samples.NOON:%Y-%m-%d}")
    desk.clock.advance(timedelta(days=days))
    assert len(desk.hits("TEST123")) == hits


@pytest.mark.clause("430.3(f)")
def test_a_hit_is_not_withdrawn_since_its_entry_ran_out_while_the_vehicle_stood_there(tmp_path: Path) -> None:
    """HQ would say of a vehicle that parks over midnight that it was misread, and not to act."""
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123", expiry=f"{samples.NOON:%Y-%m-%d}")
    alarms = Alarms(desk.watch.match, Lamps(), desk.watch.stands)
    read = samples.read(desk.clock, "TEST123")
    (hit,) = alarms.find(read)
    desk.clock.advance(timedelta(days=1))
    assert alarms.find(replace(read, revision=2, parked=True)) == []
    assert alarms.find(samples.read(desk.clock, "TEST123")) == [], "no new one of it"
    (gone,) = alarms.find(replace(read, revision=3, plate="TEST183"))
    assert (gone.hit_id, gone.withdrawn) == (hit.hit_id, True), "the plate was read better since"
    assert not alarms.find(replace(read, revision=4, plate="TEST183"))
    desk.publish("2", "TEST124", "TEST125")
    other = samples.read(desk.clock, "TEST124")
    (hit,) = alarms.find(other)
    desk.publish("3", "TEST125")
    (gone,) = alarms.find(replace(other, revision=2))
    assert (gone.hit_id, gone.withdrawn) == (hit.hit_id, True), "recovered: it has left the list"


def test_a_hit_is_not_withdrawn_since_the_list_can_no_longer_be_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123", *(f"TST{number:05d}" for number in range(5000)))
    alarms = Alarms(desk.watch.match, Lamps(), desk.watch.stands)
    read = samples.read(desk.clock, "TEST123")
    assert len(alarms.find(read)) == 1
    with desk.file.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (desk.file.stat().st_size - 4096))
    assert desk.watch._list is not None
    desk.watch._list._db.execute("PRAGMA shrink_memory")  # as after many look-ups: no page is remembered
    assert alarms.find(replace(read, revision=2, parked=True)) == []
    assert "hotlist.sqlite" in desk.watch.state().fault
    assert [hit.withdrawn for hit in alarms.known(read.read_id)] == [False]
    assert [hit.withdrawn for hit in alarms.find(replace(read, revision=3, plate="DEMO456"))] == [True]


@pytest.mark.parametrize("days", [0, 1])
def test_a_hit_of_before_the_clock_was_set_is_withdrawn_if_its_entry_had_run_out(
    tmp_path: Path, days: int
) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123", expiry=f"{samples.NOON - timedelta(days=days):%Y-%m-%d}")
    alarms = Alarms(desk.watch.match, Lamps(), desk.watch.stands)
    desk.clock.quality = ClockQuality.NONE
    read = samples.read(desk.clock, "TEST123")
    assert [hit.at for hit in alarms.find(read)] == [None]
    desk.clock.quality = ClockQuality.NTP
    assert [hit.withdrawn for hit in alarms.find(replace(read, revision=2))] == [True] * days


def test_before_the_clock_is_set_everything_matches_and_no_age_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.publish("1", "TEST123", expiry="2026-01-01")
    desk.clock.quality = ClockQuality.NONE
    (hit,) = desk.hits("TEST123")
    assert (hit.at, hit.list_age_s) == (None, None)
