"""What tests of a whole site share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from hw import open_hardware
from hw.settings import CameraSettings, ClockSettings, GpsSettings, SignalSettings, TriggerSettings
from tests.disk import tmpfs

pytest.register_assert_rewrite("tests.system.faultsite")

DISTINCT = 4
WIDE = 90
"""Least width in pixels of the plates in the pictures."""


@pytest.fixture(scope="session")
def cars(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of cars of the rendered street, each cut to 640 x 360 pixels around its plate."""
    folder = tmp_path_factory.mktemp("cars")
    hardware = open_hardware(
        "sim",
        camera=CameraSettings(source="street:measure"),
        trigger=TriggerSettings(),
        signals=SignalSettings(),
        gps=GpsSettings(),
        clock=ClockSettings(),
    )
    found: dict[int, Path] = {}
    while len(found) < DISTINCT:
        hardware.camera.preview(1.0)
        frame = hardware.camera.frame(1.0)
        for truth in frame.truth or ():
            if truth.box is None or truth.box[2] < WIDE or frame.image.mean() < 60:
                continue
            x, y = (min(max(int(truth.box[axis]) - 270 + 120 * axis, 0), 640 - 280 * axis) for axis in (0, 1))
            found[truth.passage] = folder / f"{truth.passage:04d}.jpg"
            Image.fromarray(frame.image[y : y + 360, x : x + 640]).save(found[truth.passage], quality=90)
    hardware.close()
    return list(found.values())


@pytest.fixture
def road(tmp_path: Path, cars: list[Path]) -> Callable[[int], str]:
    """Makes a camera source that shows so many cars, one picture each, as fast as they are taken."""

    def make(count: int) -> str:
        folder = tmp_path / "road"
        folder.mkdir()
        for number in range(count):
            os.link(cars[number % len(cars)], folder / f"{number:05d}.jpg")
        return f"folder:{folder}"

    return make


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of so many megabytes, for root only."""
    with ExitStack() as mounted:
        numbers = count()
        yield lambda megabytes: mounted.enter_context(
            tmpfs(tmp_path / f"disk{next(numbers)}", f"{megabytes}m")
        )
