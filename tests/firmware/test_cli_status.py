"""`platewarden status`: the store's figures, the last status, and whether the unit runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest

from firmware import config
from firmware.commands import status
from firmware.config import Settings
from firmware.errors import StoreError
from firmware.hotlist import build
from firmware.status_file import read_status, write_status
from firmware.store import Store
from hw.protocols import ClockQuality
from mqtt.fields import time_text
from mqtt.records import ClockState, Loss, Status
from plates.words import AlarmClass, HotListEntry
from tests.firmware.store_samples import NOON, SetClock, pair, read

ENTRY = HotListEntry(
    plate="TEST123",
    state="CA",
    alarm_class=AlarmClass.STOLEN_VEHICLE,
    reason="test",
    source="manual",
    case_number="T-1",
    expiry="2026-12-31",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    overrides = ["unit.id=unit-7", f"store.directory={tmp_path}", f"hotlist.file={tmp_path}/hotlist.sqlite"]
    return config.load([], environ={}, overrides=overrides)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def told(clock: SetClock, **changes: object) -> Status:
    """A status of this moment."""
    now = clock.now()
    at = None if now.wall is None else time_text(now.wall)
    state = ClockState(quality=now.quality.value, boot_id=now.boot_id, boottime=now.boottime)
    return Status(state="ready", at=at, clock=state, **changes)  # type: ignore[arg-type]


def rows(found: status.Report) -> dict[str, str]:
    return {line[:12].strip(): line[12:] for line in status.lines(found)}


def test_the_figures_are_the_stores(settings: Settings, clock: SetClock) -> None:
    store = Store.open(settings.store.directory, clock)
    store.add(read(clock), (), pair())
    store.add_loss(Loss(kind="picture", count=2, reason="disk full", since=None, until=None))
    store.close()
    clock.advance(timedelta(minutes=10))
    text = rows(status.report(settings, clock))
    assert text["unit"] == "unit-7"
    assert text["queue"] == "4 messages without HQ's receipt, the oldest for 10 minutes"
    assert text["reads"].startswith("1 in the last hour, 1 kept")
    assert text["losses"] == "2 picture"
    assert text["process"] == "not running"
    assert text["state"] == "no status yet"
    assert text["hot list"] == "none: nothing alarms"
    assert "free of" in text["disk"]


def test_the_last_status_is_told_with_its_age_and_faults(settings: Settings, clock: SetClock) -> None:
    Store.open(settings.store.directory, clock).close()
    faults = ("camera: dark", "gps: no fix")
    write_status(settings.store.directory, told(clock, faults=faults, camera="dark", temperature_c=61.4))
    clock.advance(timedelta(seconds=42))
    found = status.report(settings, clock)
    assert found.last_age_s == pytest.approx(42)
    lines = list(status.lines(found))
    assert "state       ready, told 42 seconds ago" in lines
    assert [line[12:] for line in lines if line.startswith("fault")] == list(faults)
    assert rows(found)["board"] == "61 degrees C"


def test_the_age_of_a_status_from_an_earlier_boot_is_by_the_wall_clock(
    settings: Settings, clock: SetClock
) -> None:
    Store.open(settings.store.directory, clock).close()
    write_status(settings.store.directory, told(clock))
    clock.advance(timedelta(hours=5))
    clock.boot_id = "6" * 32
    assert status.report(settings, clock).last_age_s == pytest.approx(5 * 3600)
    clock.quality = ClockQuality.NONE
    found = status.report(settings, clock)
    assert found.last_age_s is None
    assert rows(found)["state"] == "ready, told an unknown time ago"


def test_the_hot_list_in_force_is_told(settings: Settings, clock: SetClock) -> None:
    Store.open(settings.store.directory, clock).close()
    build(settings.hotlist.file, [ENTRY], version="2026-03-04.1", issued_at=time_text(NOON))
    clock.advance(timedelta(hours=3))
    assert rows(status.report(settings, clock))["hot list"] == "version 2026-03-04.1, 1 entries, 3 hours old"
    settings.hotlist.file.write_bytes(b"garbage" * 100)
    assert rows(status.report(settings, clock))["hot list"].startswith("cannot be used: ")


def test_a_running_unit_is_seen_by_its_hold_on_the_store(settings: Settings, clock: SetClock) -> None:
    store = Store.open(settings.store.directory, clock)
    store.sweep()
    assert status.report(settings, clock).running
    store.close()
    assert not status.report(settings, clock).running


def test_no_plate_text_is_in_the_report(settings: Settings, clock: SetClock) -> None:
    """430.7-b: status is counts only."""
    store = Store.open(settings.store.directory, clock)
    store.add(read(clock, "SECRET9"), (), pair())
    store.close()
    found = status.report(settings, clock)
    assert "SECRET9" not in "\n".join(status.lines(found)) + json.dumps(asdict(found))


def test_asking_where_no_unit_has_run_makes_no_store(
    settings: Settings, clock: SetClock, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="the unit has not run"):
        status.report(settings, clock)
    assert list(tmp_path.iterdir()) == []


def test_a_status_file_of_garbage_is_a_clear_error(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / "status.json").write_text('{"state": 3}')
    with pytest.raises(StoreError, match=r"status\.json: is no status: "):
        read_status(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\0" * 400, b'{"state": 3}'])
def test_a_damaged_status_file_is_a_fault_and_the_rest_is_told(
    settings: Settings, clock: SetClock, content: bytes
) -> None:
    store = Store.open(settings.store.directory, clock)
    store.add(read(clock), (), pair())
    store.close()
    (settings.store.directory / "status.json").write_bytes(content)
    text = rows(status.report(settings, clock))
    assert text["state"] == "unknown"
    assert text["fault"].startswith(f"{settings.store.directory}/status.json: is no status: ")
    assert text["reads"].endswith("1 kept")
    assert text["process"] == "not running"


def test_a_status_is_kept_whole(settings: Settings, clock: SetClock, tmp_path: Path) -> None:
    first, second = told(clock, losses={"read": 3}, list_version="7"), told(clock, reads_hour_norm=4.5)
    for one in (first, second):
        write_status(tmp_path, one)
        assert read_status(tmp_path) == one
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
