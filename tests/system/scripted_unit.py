"""The unit's own process over a scripted board: cars pass for ever, twenty images a second.

Run as `python -m tests.system.scripted_unit SWITCH --config FILE [--count N] [--wait S]`. Everything but
the camera and the models is the product's own: store, threads, publisher, upkeep, signals to stop. It starts
faster than one with models, and its camera does what the file SWITCH says while that exists: "fails" raises
at once, "hangs" delivers nothing until the timeout.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from firmware import app, config
from firmware.cli import set_up_log
from firmware.tasks import Tasks, stop_on_signals
from hw.protocols import CameraError, ClockQuality, Frame, Hardware, Timestamp
from tests.firmware.board import Board, Car, Lamps
from tests.firmware.store_samples import HASH, SetClock

IMAGE_S = 0.05


class RealClock(SetClock):
    """The machine's own clock, taken as set."""

    def now(self) -> Timestamp:
        boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
        return Timestamp(self.boot_id, boottime, datetime.now(UTC), ClockQuality.NTP, None)


class RealTime(Board):
    """A board whose images take their time."""

    def __init__(self, switch: Path) -> None:
        super().__init__(cars(), RealClock())
        self._switch = switch

    def frame(self, timeout: float) -> Frame:
        if self._switch.exists():
            if self._switch.read_text() == "hangs":
                time.sleep(timeout)
            raise CameraError(f"{self.name}: no picture")
        time.sleep(IMAGE_S)
        return super().frame(timeout)


@dataclass(frozen=True)
class Model:
    sha256: str = HASH


class Models:
    """The board as a reader with models."""

    min_confidence = 0.5

    def __init__(self, board: Board) -> None:
        self.locate = board.locate
        self.read = board.read

    def models_info(self) -> Sequence[Model]:
        return [Model(), Model()]


def cars() -> Iterator[tuple[Car, ...]]:
    """A car in four images, then two empty ones, each with a plate of its own."""
    for number in itertools.count():
        for step in range(4):
            yield (Car(f"TEST{number % 1000:03d}", x=50.0 + 200 * step, width=80.0),)
        yield from [()] * 2


def main(switch: Path, arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--count", type=float, default=math.inf)
    parser.add_argument("--wait", type=float, default=0.0)
    args = parser.parse_args(arguments)
    settings = config.load([args.config])
    set_up_log(settings.log.level, verbose=False)
    tasks = Tasks()
    stop_on_signals(tasks.stop)
    board = RealTime(switch)
    hardware = Hardware(board, board, Lamps(), board, RealClock())
    app.serve(
        settings, "0.1.0", Models(board), hardware, tasks, app.Ending(frames=args.count, wait_s=args.wait)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
