"""What the unit tells of itself, and what it does beside reading plates."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from firmware.listwatch import ListState
from firmware.publisher import PublisherStatus
from firmware.status_file import read_status
from firmware.store_queries import ReadQuery
from firmware.systemd import Notifier
from firmware.upkeep import (
    CERTIFICATE_S,
    FIRST_VERIFY_S,
    PURGE_S,
    RETRY_S,
    VERIFY_S,
    Sources,
    Upkeep,
    board_temperature,
    resident_bytes,
)
from hw.protocols import ClockQuality, Frame, UnitState
from mqtt.records import Loss, Status
from tests.broker import Certificates
from tests.disk import fill, tmpfs
from tests.firmware import store_samples as samples
from tests.firmware.board import Unit

CONNECTED = PublisherStatus(enabled=True, connected=True)


class Office:
    """Upkeep over a scripted board and a real store; the test moves the time."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.unit = Unit(folder, (), *overrides)
        self.now = 0.0
        self.link = CONNECTED
        self.list = ListState("1", 10, 60.0)
        self.camera = "ok"
        self.reported: list[Status] = []
        self.upkeep = Upkeep(
            Sources(
                settings=self.unit.settings,
                hardware=self.unit.parts.hardware,
                store=self.unit.store,
                vitals=self.unit.parts.vitals,
                notifier=Notifier({}),
                judge=lambda luma: self.camera,
                hot_list=lambda: self.list,
                link=lambda: self.link,
                report=self.reported.append,
                model_hashes=(samples.HASH, samples.HASH),
                software="0.1.0",
            ),
            now=lambda: self.now,
        )
        self.see_a_frame()

    def see_a_frame(self) -> None:
        pixels = np.zeros((72, 128, 3), np.uint8)
        self.unit.parts.vitals.saw(Frame(pixels, self.unit.clock.now(), 1, "lane 1"), 0)

    def step(self, seconds: float = 1.0) -> Status:
        self.now += seconds
        self.upkeep.step(self.unit.store)
        return self.reported[-1]


def test_a_healthy_unit_is_ready(tmp_path: Path) -> None:
    office = Office(tmp_path)
    status = office.step()
    assert (status.state, status.faults) == ("ready", ())
    assert status.list_entries == 10
    assert status.disk_free_bytes > 0
    assert status.memory_bytes > 10_000_000
    assert read_status(tmp_path) == status
    assert office.unit.lamps.states == [UnitState.READY]


def test_the_status_goes_out_on_news_and_else_by_the_interval(tmp_path: Path) -> None:
    office = Office(tmp_path, "mqtt.status_interval_s=60")
    for _ in range(30):
        office.step()
    assert len(office.reported) == 1
    office.link = PublisherStatus(enabled=True, connected=False, faults=("broker: refused",))
    assert office.step().faults == ("broker: refused",)
    for _ in range(61):
        office.step()
    assert len(office.reported) == 3


Break = Callable[[Office], None]


def _dark(office: Office) -> None:
    office.camera = "dark"
    office.see_a_frame()


def _old_list(office: Office) -> None:
    office.list = replace(office.list, age_s=49 * 3600.0)


def _bad_list(office: Office) -> None:
    office.list = ListState(fault="hotlist.sqlite: is no hot list")


def _unset_clock(office: Office) -> None:
    office.unit.clock.quality = ClockQuality.NONE


def _lost_link(office: Office) -> None:
    office.link = PublisherStatus(enabled=True)


def test_a_client_certificate_that_ends_is_told_in_time_and_its_renewal_is_seen(tmp_path: Path) -> None:
    """A unit that stands for two years is otherwise heard no more one morning, and nobody knows why."""
    certificates = Certificates(tmp_path / "tls")
    certificates.make("unit-7", timedelta(days=20))
    file = tmp_path / "tls" / "unit-7.pem"
    (tmp_path / "tls" / "unit-7.key").chmod(0o600)
    tls = [
        f"mqtt.{name}={tmp_path}/tls/unit-7.{end}"
        for name, end in (("cert_file", "pem"), ("key_file", "key"))
    ]
    office = Office(tmp_path, "mqtt.enabled=true", "mqtt.tls=true", *tls)
    clock = office.unit.clock
    clock.advance(datetime.now(UTC) - samples.NOON)
    (fault,) = office.step().faults
    assert fault.startswith(f"certificate: {file}: expires within 20 days, at ")
    clock.advance(timedelta(days=21))
    (fault,) = office.step().faults
    assert fault.startswith(f"certificate: {file}: expired at ")
    certificates.make("unit-7", timedelta(days=100))
    assert office.step(CERTIFICATE_S).faults == ()


@pytest.mark.clause("430.4-a")
@pytest.mark.parametrize(
    ("breaks", "fault"),
    [
        (_dark, "camera: dark"),
        (_old_list, "hot list: older than 48 hours"),
        (_bad_list, "hot list: hotlist.sqlite: is no hot list"),
        (_unset_clock, "clock: not set"),
        (_lost_link, "broker: not connected"),
    ],
)
def test_what_is_wrong_is_told_and_degrades(tmp_path: Path, breaks: Break, fault: str) -> None:
    office = Office(tmp_path)
    breaks(office)
    status = office.step()
    assert status.faults == (fault,)
    assert status.state == "degraded"


def test_a_unit_that_may_not_connect_has_no_fault_in_that(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.link = PublisherStatus(enabled=False)
    assert office.step().state == "ready"


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    office = Office(tmp_path, "store.min_free_mb=1000000")
    assert office.step().faults == ("disk: less than 1000000 MB free",)


def test_a_failed_camera_is_a_fault_until_it_is_back(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.unit.parts.vitals.failed("camera: no image for 5 s")
    status = office.step()
    assert (status.state, status.camera) == ("fault", "failed")
    office.see_a_frame()
    assert office.step().state == "ready"
    assert office.unit.lamps.states == [UnitState.FAULT, UnitState.READY]


def test_a_unit_without_a_first_frame_is_starting(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.unit.parts.vitals.frames = 0
    assert office.step().state == "starting"


@pytest.mark.clause("430.4-a")
def test_a_quiet_hour_is_told_against_its_norm(tmp_path: Path) -> None:
    office = Office(tmp_path)
    clock = office.unit.clock
    for _ in range(5):
        for _ in range(25):
            office.unit.store.add(samples.read(clock))
        clock.advance(timedelta(days=1))
    clock.advance(timedelta(minutes=45))
    status = office.step()
    assert status.faults == ("reads: 0 in the last hour, 25 are usual",)


def test_reads_get_their_time_once_the_clock_is_set(tmp_path: Path) -> None:
    office = Office(tmp_path)
    clock = office.unit.clock
    clock.quality = ClockQuality.NONE
    office.unit.store.add(samples.read(clock))
    office.step()
    (before,) = office.unit.store.reads(ReadQuery())
    assert before.captured_at is None
    clock.quality = ClockQuality.GPS
    office.step(10)
    (after,) = office.unit.store.reads(ReadQuery())
    assert after.captured_at is not None
    assert after.clock.quality == "gps"


def test_a_clock_set_in_the_middle_of_a_passage_leaves_no_read_without_its_time(tmp_path: Path) -> None:
    """The look was taken before the GPS had a fix, the read is stored after the others got their time."""
    office = Office(tmp_path)
    clock = office.unit.clock
    clock.quality = ClockQuality.NONE
    late = samples.read(clock)
    clock.quality = ClockQuality.GPS
    office.step(10)
    office.unit.store.add(late)
    office.step(10)
    (read,) = office.unit.store.reads(ReadQuery())
    assert (read.captured_at, read.clock.quality) == ("2026-03-04T12:00:00.00+00:00", "gps")


@pytest.mark.clause("430.4-b")
def test_receipted_reads_are_purged_after_the_grace(tmp_path: Path) -> None:
    """430.4-b: only what HQ has, and only after the grace period."""
    office = Office(tmp_path, "store.grace_h=1")
    store, clock = office.unit.store, office.unit.clock
    store.add(samples.read(clock))
    samples.receipt(store, clock)
    store.add(samples.read(clock))
    office.step()
    assert store.count(ReadQuery()) == 2
    clock.advance(timedelta(hours=2))
    office.step(PURGE_S)
    assert store.count(ReadQuery()) == 1


def test_pictures_are_compared_with_their_hashes_every_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """430.4-b: a picture that rots on the disk is told, not found out in court."""
    office = Office(tmp_path)
    store, clock = office.unit.store, office.unit.clock
    for _ in range(60):
        store.add(samples.read(clock), (), samples.pair())
    damaged = sorted(samples.files(store))[-1]
    (tmp_path / damaged).write_bytes(b"x")
    assert office.step(FIRST_VERIFY_S - 10).faults == ()
    # A hundred pictures a step, so that the status never waits for the disk.
    assert office.step(20).faults == ()
    status = office.step()
    assert (status.state, status.faults) == ("degraded", ("store: 1 pictures were missing or damaged",))
    assert status.losses == {"picture": 1}
    assert "1 stored pictures are missing or damaged" in caplog.text
    assert office.step(VERIFY_S / 2).faults
    office.step(VERIFY_S / 2)
    assert office.step().faults == ()


def test_a_disk_that_others_filled_is_told_and_ends_nothing(tmp_path: Path) -> None:
    """430.4-b: neither the purge that makes room nor the start of a unit may die of having none."""
    with tmpfs(tmp_path / "disk", "16m") as disk:
        office = Office(disk / "unit", "store.min_free_mb=1", "store.grace_h=1")
        store = office.unit.store
        for number in range(3):
            assert store.add(samples.read(office.unit.clock), (), samples.pair(number)) is not None
        samples.receipt(store, office.unit.clock)
        office.unit.clock.advance(timedelta(hours=2))
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        filler = fill(disk)
        assert any("SQLITE_FULL" in fault for fault in office.step(PURGE_S).faults)
        assert store.count(ReadQuery()) == 3
        filler.unlink()
        assert office.step(RETRY_S).faults == ()
        assert store.count(ReadQuery()) == 0


def test_losses_are_in_the_status(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.unit.store.add_loss(Loss(kind="picture", count=3, reason="test", since=None, until=None))
    assert office.step().losses == {"picture": 3}


def test_the_task_ends_when_it_is_told(tmp_path: Path) -> None:
    office = Office(tmp_path)
    stop = threading.Event()
    thread = threading.Thread(target=office.upkeep.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_the_boards_temperature_is_read_or_unknown(tmp_path: Path) -> None:
    sensor = tmp_path / "temp"
    assert board_temperature(sensor) is None
    sensor.write_text("54321\n")
    assert board_temperature(sensor) == 54.321
    assert resident_bytes() > 1_000_000
