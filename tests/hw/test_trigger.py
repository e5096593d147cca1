"""The motion trigger: what moves, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from hw.protocols import Pixels
from hw.settings import TriggerSettings
from hw.trigger import Motion

NOISE = np.random.default_rng(1).standard_normal((17, 360, 640), np.float32)


def road(seed: int = 3) -> np.ndarray:
    """A grey scene with some structure, float32 (360, 640)."""
    blocks = np.random.default_rng(seed).uniform(60, 150, (18, 32))
    return np.kron(blocks, np.ones((20, 20))).astype(np.float32)


def shot(scene: np.ndarray, sigma: float, number: int) -> Pixels:
    return np.clip(scene + sigma * NOISE[number % len(NOISE)], 0, 255).astype(np.uint8)


def watcher(scene: np.ndarray, sigma: float) -> Motion:
    motion = Motion(TriggerSettings())
    for number in range(40):
        motion.moves(shot(scene, sigma, number))
    return motion


@pytest.mark.parametrize("sigma", [0.0, 3.0, 8.0, 15.0])
def test_noise_is_no_motion(sigma: float) -> None:
    scene = road()
    motion = watcher(scene, sigma)
    assert not any(motion.moves(shot(scene, sigma, number)) for number in range(100, 160))


@pytest.mark.parametrize("factor", [0.85, 1.2])
def test_a_step_of_the_gain_is_no_lasting_motion(factor: float) -> None:
    scene = road()
    motion = watcher(scene, 3.0)
    moved = [motion.moves(shot(scene * factor, 3.0, number)) for number in range(100, 250)]
    assert not any(moved[-20:])


def test_a_cloud_is_no_motion() -> None:
    scene = road()
    motion = watcher(scene, 3.0)
    for number in range(60):
        assert not motion.moves(shot(scene - 40 * min(number / 15, 1.0), 3.0, 1000 + number))


def test_a_car_under_a_cloud_is_motion() -> None:
    scene = road()
    motion = watcher(scene, 3.0)
    for number in range(15):
        motion.moves(shot(scene - 40 * number / 15, 3.0, 1000 + number))
    scene = scene - 40
    scene[200:250, 300:360] += 40
    assert motion.moves(shot(scene, 3.0, 2000))


@pytest.mark.parametrize(("sigma", "contrast"), [(3.0, 30.0), (8.0, 90.0)])
def test_a_small_car_is_motion_wherever_it_is(sigma: float, contrast: float) -> None:
    scene = road()
    motion = watcher(scene, sigma)
    for number, x in enumerate(range(0, 580, 45)):
        passing = scene.copy()
        passing[200:250, x : x + 60] = np.minimum(passing[200:250, x : x + 60] + contrast, 255)
        assert motion.moves(shot(passing, sigma, 500 + number)), x


def test_what_stays_becomes_background() -> None:
    scene = road()
    motion = watcher(scene, 3.0)
    scene[180:240, 200:300] += 60
    moved = [motion.moves(shot(scene, 3.0, number)) for number in range(400)]
    assert all(moved[:30])
    assert not any(moved[-20:])


def test_another_size_of_preview_starts_anew() -> None:
    motion = watcher(road(), 3.0)
    assert not motion.moves(np.full((180, 320), 100, np.uint8))
