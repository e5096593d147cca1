"""Whether the camera sees what it should."""

from __future__ import annotations

import numpy as np
import pytest

from hw.health import CameraHealth
from hw.protocols import Pixels
from hw.sim.drawing import background
from hw.sim.source import preview_of

SIZE = (1280, 720)
NOISE = 4.0 * np.random.default_rng(1).standard_normal((7, 360, 640), np.float32)


def street(light: str = "day", number: int = 0) -> Pixels:
    return preview_of(background(number, light, SIZE), 640)


def noisy(luma: Pixels, number: int) -> Pixels:
    return np.clip(luma + NOISE[number % len(NOISE)], 0, 255).astype(np.uint8)


def settled(light: str = "day") -> CameraHealth:
    health = CameraHealth()
    for number in range(40):
        assert health.judge(noisy(street(light), number)) == "ok"
    return health


def says(health: CameraHealth, luma: Pixels, times: int = 12) -> str:
    return [health.judge(noisy(luma, 100 + number)) for number in range(times)][-1]


@pytest.mark.clause("430.4-a")
def test_dark_blocked_and_back() -> None:
    health = settled()
    assert says(health, np.zeros((360, 640), np.uint8)) == "dark"
    assert says(health, street()) == "ok"
    assert says(health, np.full((360, 640), 90, np.uint8)) == "blocked"
    assert says(health, street()) == "ok"


@pytest.mark.clause("430.4-a")
def test_a_camera_that_looks_elsewhere_has_moved() -> None:
    for light in ("day", "night"):
        health = settled(light)
        assert says(health, np.roll(street(light), (60, 160), (0, 1))) == "moved"
        assert says(health, street(light)) == "ok"


def test_a_lorry_that_passes_is_no_fault() -> None:
    health = settled()
    for number in range(9):
        assert health.judge(np.full((360, 640), 70, np.uint8)) == "ok", number
    assert says(health, street()) == "ok"


def test_night_and_day_are_the_same_camera() -> None:
    night = street("night").copy()
    for y, x in np.random.default_rng(2).integers(0, (330, 600), (80, 2)):
        night[y : y + 12, x : x + 20] = 90  # windows and street lamps are lit
    health = settled()
    for luma in (street("dusk"), night, street("dusk"), street("day")):
        assert says(health, luma, 40) == "ok"


def test_a_car_parked_in_front_is_no_fault() -> None:
    health = settled()
    parked = street().copy()
    parked[150:300, 420:600] = 40
    parked[180:190, 440:470] = 250
    assert says(health, parked, 60) == "ok"


def test_a_tiny_preview_is_judged_too() -> None:
    assert CameraHealth().judge(np.arange(200, dtype=np.uint8).reshape(10, 20)) == "ok"
