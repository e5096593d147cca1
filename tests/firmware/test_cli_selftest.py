"""`platewarden selftest`: what it says of parts that work, fail, or are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firmware import config
from firmware.commands.selftest import Bench, selftest
from firmware.store import Store
from firmware.store_db import FILE
from hw.protocols import Alarm, CameraError, ClockQuality, Fix, Frame, Hardware, Preview, UnitState
from plates.words import MatchKind
from tests.broker import Broker
from tests.firmware.store_samples import NOON, SetClock

UNIT = ("--set", "unit.id=a", "--set", "camera.source=street")
ROOT = Path(__file__).resolve().parents[2]


class Camera:
    """Delivers one picture, or fails with a text."""

    name = "lane"

    def __init__(self, fault: str = "", contrast: int = 50) -> None:
        self.fault = fault
        self._image = np.full((48, 64, 3), 100, np.uint8)
        self._image[::2] += contrast

    def preview(self, timeout: float) -> Preview:
        raise NotImplementedError

    def frame(self, timeout: float) -> Frame:
        if self.fault:
            raise CameraError(self.fault)
        return Frame(self._image, SetClock().now(), 1, self.name)

    def close(self) -> None: ...


class Trigger:
    def wait(self, timeout: float) -> bool:
        return True

    def close(self) -> None: ...


class Signals:
    """Remembers what it was told."""

    def __init__(self, *faults: str) -> None:
        self.told: list[object] = []
        self._faults = faults

    def hit(self, alarm: Alarm) -> None:
        self.told.append(alarm.kind)

    def state(self, state: UnitState) -> None:
        self.told.append(state)

    def on_acknowledge(self, callback: object) -> None: ...

    def faults(self) -> tuple[str, ...]:
        return self._faults

    def close(self) -> None: ...


class Gps:
    """Has a fix after so many questions, never where None."""

    def __init__(self, after: int | None) -> None:
        self._left = after

    def fix(self) -> Fix | None:
        if self._left is None:
            return None
        self._left -= 1
        return Fix(34.11, -118.15, None, NOON, 7) if self._left < 0 else None

    def close(self) -> None: ...


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A unit whose parts all work; there is no broker."""
    overrides = [
        "unit.id=unit-7",
        f"store.directory={tmp_path}/store",
        "mqtt.enabled=false",
        "camera.source=street",
    ]
    settings = config.load([], environ={}, overrides=overrides)
    settings.store.directory.mkdir()
    hardware = Hardware(Camera(), Trigger(), Signals(), Gps(None), SetClock())
    return Bench(settings, hardware, lambda seconds: None)


def outcomes(bench: Bench) -> dict[str, tuple[str, str]]:
    return {name: (outcome, text) for name, outcome, text in selftest(bench)}


def test_every_part_is_tried_in_turn(bench: Bench) -> None:
    found = outcomes(bench)
    assert list(found) == ["signals", "camera", "trigger", "gps", "clock", "models", "store", "broker"]
    assert {name: outcome for name, (outcome, _) in found.items()} | {"models": "ok"} == {
        "signals": "ok",
        "camera": "ok",
        "trigger": "ok",
        "gps": "skipped",
        "clock": "ok",
        "models": "ok",
        "store": "ok",
        "broker": "skipped",
    }
    assert found["camera"][1] == "64x48, mean brightness 125 of 255"
    assert "2026-03-04 12:00:00 UTC by ntp" in found["clock"][1]
    signals = bench.hardware.signals
    assert isinstance(signals, Signals)
    assert signals.told == [*UnitState, *reversed(MatchKind)]
    assert list(bench.settings.store.directory.iterdir()) == []


def test_a_dead_lamp_fails_with_its_name(bench: Bench) -> None:
    hardware = replace(bench.hardware, signals=Signals("alarm lamp: GPIO 17 is busy"))
    assert outcomes(replace(bench, hardware=hardware))["signals"] == ("failed", "alarm lamp: GPIO 17 is busy")


def test_a_part_that_fails_does_not_end_the_test(bench: Bench) -> None:
    hardware = replace(
        bench.hardware, camera=Camera("camera: no frame within 5 s"), clock=SetClock(ClockQuality.NONE)
    )
    found = outcomes(replace(bench, hardware=hardware))
    assert found["camera"] == ("failed", "camera: no frame within 5 s")
    assert found["clock"][0] == "failed"
    assert found["store"][0] == "ok"


def test_a_covered_lens_is_seen(bench: Bench) -> None:
    hardware = replace(bench.hardware, camera=Camera(contrast=0))
    outcome, text = outcomes(replace(bench, hardware=hardware))["camera"]
    assert outcome == "failed"
    assert "covered" in text


def test_gps_is_given_time_for_a_fix(bench: Bench) -> None:
    settings = config.load(
        [],
        environ={},
        overrides=[
            "unit.id=unit-7",
            f"store.directory={bench.settings.store.directory}",
            "gps.enabled=true",
            "mqtt.enabled=false",
        ],
    )
    with_fix = replace(bench, settings=settings, hardware=replace(bench.hardware, gps=Gps(5)))
    assert outcomes(with_fix)["gps"] == ("ok", "34.11000, -118.15000, 7 satellites")
    assert outcomes(replace(with_fix, hardware=replace(bench.hardware, gps=Gps(None))))["gps"][0] == "failed"


def test_a_disk_that_takes_no_write_fails(bench: Bench) -> None:
    bench.settings.store.directory.rmdir()
    assert outcomes(bench)["store"][0] == "skipped"
    assert not bench.settings.store.directory.exists()
    bench.settings.store.directory.write_text("a file in the place of the folder")
    outcome, text = outcomes(bench)["store"]
    assert outcome == "failed"
    assert str(bench.settings.store.directory) in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_database_that_this_user_cannot_write_fails(bench: Bench) -> None:
    database = bench.settings.store.directory / FILE
    Store.open(bench.settings.store.directory, SetClock()).close()
    database.chmod(0o400)
    assert outcomes(bench)["store"] == ("failed", f"{database} cannot be written by this user")


def test_the_broker_must_accept_the_unit(bench: Bench, tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        assert outcomes(with_broker(bench, broker.port))["broker"] == (
            "ok",
            f"127.0.0.1:{broker.port} accepts the unit",
        )
    outcome, text = outcomes(with_broker(bench, broker.port))["broker"]
    assert outcome == "failed"
    assert f"127.0.0.1:{broker.port}" in text


def with_broker(bench: Bench, port: int) -> Bench:
    mqtt = replace(bench.settings.mqtt, enabled=True, port=port, backoff_min_s=0.1, backoff_max_s=0.1)
    return replace(bench, settings=replace(bench.settings, mqtt=mqtt), broker_s=1.0)


def test_it_leaves_a_running_unit_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path, SetClock())
    store.sweep()
    try:
        found = subprocess.run(
            [sys.executable, "-m", "firmware.cli", "selftest", "--set", f"store.directory={tmp_path}", *UNIT],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        store.close()
    assert found.returncode == 4
    assert found.stderr.startswith("platewarden: the unit is running: stop its service first")
