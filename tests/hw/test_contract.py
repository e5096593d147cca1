"""What firmware relies on, of both sets alike."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator

import pytest
from gpiozero.pins.mock import MockFactory

from hw import open_hardware
from hw.protocols import Alarm, CameraError, Hardware, HwError, UnitState
from hw.settings import CameraSettings, ClockSettings, GpsSettings, SignalSettings, TriggerSettings
from plates.words import AlarmClass, MatchKind
from tests.hw.picamera import Picamera2
from tests.hw.pins import pins, soon

__all__ = ["pins"]

Opener = Callable[..., Hardware]


@pytest.fixture(params=["sim", "pi"])
def board(
    request: pytest.FixtureRequest, pins: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opener]:
    kind = request.param
    module = types.ModuleType("picamera2")
    module.Picamera2 = lambda index: Picamera2()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    opened: list[Hardware] = []

    def start(**trigger: object) -> Hardware:
        opened.append(
            open_hardware(
                kind,
                camera=CameraSettings(name="lane", source="pi" if kind == "pi" else "street", fps=0),
                trigger=TriggerSettings(**trigger),  # type: ignore[arg-type]
                signals=SignalSettings(alarm_s=5.0),
                gps=GpsSettings(),
                clock=ClockSettings(),
            )
        )
        return opened[-1]

    yield start
    for one in opened:
        one.close()
        one.close()


def test_previews_and_frames(board: Opener) -> None:
    camera = board().camera
    sequence, boottime = -1, 0.0
    for _ in range(5):
        preview = camera.preview(2.0)
        frame = camera.frame(2.0)
        assert frame.image.dtype == preview.luma.dtype == "uint8"
        assert frame.image.shape == (720, 1280, 3)
        assert preview.luma.shape == (360, 640)
        assert frame.sequence == preview.sequence > sequence
        assert frame.time == preview.time
        assert frame.time.boottime > boottime
        assert frame.camera == camera.name == "lane"
        sequence, boottime = frame.sequence, frame.time.boottime
    assert camera.frame(2.0).sequence > sequence, "a frame is never given twice"


def test_pictures_belong_to_whoever_took_them(board: Opener) -> None:
    camera = board().camera
    first = camera.frame(2.0)
    before = first.image.copy()
    for _ in range(6):
        camera.frame(2.0).image[:] = 0
    assert (first.image == before).all()


@pytest.mark.parametrize("kind", ["motion", "always"])
def test_a_trigger_answers_within_its_time(board: Opener, kind: str) -> None:
    trigger = board(kind=kind).trigger
    assert trigger.wait(0.0) in (False, True)
    assert isinstance(trigger.wait(0.05), bool)


def test_signals_take_everything_and_raise_nothing(board: Opener) -> None:
    signals = board().signals
    for state in UnitState:
        signals.state(state)
    for alarm_class in AlarmClass:
        for kind in MatchKind:
            signals.hit(Alarm(alarm_class, kind))
    signals.on_acknowledge(lambda: None)
    assert signals.faults() == ()


def test_the_clock_knows_its_own_boot_only(board: Opener) -> None:
    clock = board().clock
    one, other = clock.now(), clock.now()
    assert one.boot_id == other.boot_id
    assert other.boottime >= one.boottime
    known = clock.wall(one.boot_id, one.boottime)
    assert (known is None) == (one.wall is None)
    assert clock.wall("another boot", one.boottime) is None


def test_without_a_receiver_there_is_no_position(board: Opener) -> None:
    assert board().gps.fix() is None


def test_a_closed_board_has_dark_lamps(pins: MockFactory, board: Opener) -> None:
    hardware = board()
    hardware.signals.hit(Alarm(AlarmClass.STOLEN_VEHICLE, MatchKind.EXACT))
    soon(lambda: 17 in pins.pins and pins.pin(17).state, 0.3)
    hardware.close()
    assert not pins.pin(17).state
    assert not pins.pin(22).state


def test_closing_closes_all_whatever_one_says() -> None:
    closed: list[str] = []

    def part(name: str, error: Exception | None = None) -> types.SimpleNamespace:
        def close() -> None:
            closed.append(name)
            if error:
                raise error

        return types.SimpleNamespace(close=close)

    board = Hardware(
        camera=part("camera", CameraError("stuck")),  # type: ignore[arg-type]
        trigger=part("trigger", HwError("stuck")),  # type: ignore[arg-type]
        signals=part("signals"),  # type: ignore[arg-type]
        gps=part("gps"),  # type: ignore[arg-type]
        clock=None,  # type: ignore[arg-type]
    )
    with pytest.raises(HwError):
        board.close()
    assert closed == ["trigger", "camera", "signals", "gps"]
