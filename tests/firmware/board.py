"""A board whose images, failures and readings the test writes down; its clock is moved by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector.types import Detection, PlateText
from firmware import config
from firmware.alarms import Alarms
from firmware.loop import Parts
from firmware.passage import Passages
from firmware.reading import Scribe
from firmware.store import Store
from firmware.vitals import Vitals
from hw.protocols import Alarm, EndOfFrames, Fix, Frame, Hardware, HwError, Pixels, Preview, UnitState
from mqtt.records import Hit, Read
from tests.firmware.looks import MIN_CONFIDENCE, look
from tests.firmware.store_samples import HASH, SetClock

FRAME_S = 1 / 15


@dataclass(frozen=True)
class Car:
    """What the reader finds in one image."""

    text: str
    confidence: float = 0.9
    x: float = 100.0
    width: float = 80.0


Script = Iterable[tuple[Car, ...] | HwError | Callable[[], None]]
"""Image by image: the cars in it, a failure, or something that happens before the next image."""


class Lamps:
    """Signals that remember what they were told."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []
        self.states: list[UnitState] = []
        self.told: Callable[[], None] = lambda: None

    def hit(self, alarm: Alarm) -> None:
        self.told()
        self.alarms.append(alarm)

    def state(self, state: UnitState) -> None:
        self.states.append(state)

    def on_acknowledge(self, callback: Callable[[], None]) -> None: ...

    def faults(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None: ...


class Board:
    """Camera, trigger and reader over one script; time passes with the images."""

    name = "lane 1"

    def __init__(self, script: Script, clock: SetClock) -> None:
        self._script = iter(script)
        self._clock = clock
        self._cars: tuple[Car, ...] = ()
        self.sequence = 0
        self.waits: list[float] = []
        self.asleep = False
        self.pixels = np.full((720, 1280, 3), 90, np.uint8)

    # Trigger

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        if self.asleep:
            self._clock.boottime += timeout
        return not self.asleep

    # Camera

    def preview(self, timeout: float) -> Preview:
        raise NotImplementedError

    def frame(self, timeout: float) -> Frame:
        self._clock.boottime += FRAME_S
        for step in self._script:
            if isinstance(step, HwError):
                raise step
            if callable(step):
                step()
                continue
            self._cars = step
            self.sequence += 1
            return Frame(self.pixels.copy(), self._clock.now(), self.sequence, self.name)
        raise EndOfFrames("the script is over")

    def close(self) -> None: ...

    # Reader

    def locate(self, image: Pixels) -> list[Detection]:
        return [look(0.0, car.text, car.confidence, x=car.x, width=car.width).detection for car in self._cars]

    def read(self, image: Pixels, detection: Detection, once: bool = False) -> PlateText:
        car = next(car for car in self._cars if car.x == detection.box[0])
        return look(0.0, car.text, car.confidence).text

    # Gps

    def fix(self) -> Fix | None:
        return None


class Unit:
    """The parts of a unit on a scripted board, with a real store in `folder`."""

    def __init__(self, folder: Path, script: Script = (), *overrides: str) -> None:
        self.clock = SetClock()
        self.board = Board(script, self.clock)
        self.lamps = Lamps()
        self.settings = config.load(
            [], environ={}, overrides=["unit.id=unit-1", f"store.directory={folder}", *overrides]
        )
        self.store = Store.open(folder, self.clock)
        self.matches: Callable[[Read], list[Hit]] = lambda read: []
        self.pings: list[float] = []
        self.kept: list[tuple[Read, list[Hit]]] = []
        self.wakes = 0
        self.stop = threading.Event()
        hardware = Hardware(self.board, self.board, self.lamps, self.board, self.clock)
        self.parts = Parts(
            hardware=hardware,
            reader=self.board,
            passages=Passages(self.settings.passage, MIN_CONFIDENCE),
            scribe=Scribe(
                self.settings,
                model_hashes=(HASH, HASH),
                software="0.1.0",
                min_confidence=MIN_CONFIDENCE,
                fix=lambda: None,
            ),
            alarms=Alarms(lambda read: self.matches(read), self.lamps),
            store=self.store,
            vitals=Vitals(),
            camera_timeout_s=1.0,
            wake=self._wake,
            ping=lambda: self.pings.append(self.clock.boottime),
            kept=lambda read, hits: self.kept.append((read, hits)),
        )

    def _wake(self) -> None:
        self.wakes += 1

    def with_parts(self, **changes: object) -> Parts:
        return replace(self.parts, **changes)  # type: ignore[arg-type]


def passage(text: str, looks: int = 6, confidence: float = 0.9) -> list[tuple[Car, ...]]:
    """A car passes from left to right, then the street is empty for two seconds."""
    cars = [(Car(text, confidence, x=50 + 60 * number, width=60 + 8 * number),) for number in range(looks)]
    return [*cars, *[()] * 30]
