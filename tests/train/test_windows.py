"""What the second look is taught: corners that lie on the plate, and places that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

import cv2

from train import windows
from train.corners_net import HEIGHT, WIDTH
from train.scenes import Scene, framed
from train.synth import Plate
from train.windows import Places, Window, Windows

pytestmark = pytest.mark.train

BOX = np.array([[120.0, 90.0, 100.0, 50.0]], np.float32)


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A dark street with one grey plate; the plates that cover it are white, and the light stays as it is."""
    picture = np.full((240, 320, 3), 40, np.uint8)
    picture[90:140, 120:220] = 90
    cv2.imwrite(str(tmp_path / "street.png"), picture)
    white = Plate(np.full((60, 120), 255, np.uint8), ("ABC123",))
    monkeypatch.setattr(windows, "render", lambda rng: white)
    monkeypatch.setattr(windows, "light", lambda picture, rng: picture)
    scene = Scene(tmp_path / "street.png", 1, BOX, "s")
    found = np.array([[10.0, 150.0, 80.0, 40.0]], np.float32)
    return Places(scene, found, np.ones(1, np.float32))


def _within(window: Window) -> np.ndarray:
    """A mask of the window's pixels that lie inside of its corners."""
    quad = (window.corners * 0.5 + 0.5) * [WIDTH, HEIGHT]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.rint(quad * 16).astype(np.int32)], 1, shift=4)
    return mask


def test_corners_enclose_the_plate_that_was_pasted(street: Places) -> None:
    """On nearly all: a window of a few pixels of plate shows none of its own."""
    exact = [w for w in Windows([street], [], 3).batch(400) if w.sure == 1]
    assert len(exact) > 50
    brighter = []
    for window in exact:
        inside = cv2.erode(_within(window), np.ones((7, 7), np.uint8)) > 0
        outside = cv2.dilate(_within(window), np.ones((7, 7), np.uint8)) == 0
        grey = window.picture[..., 0].astype(int)
        if inside.any() and outside.any():
            brighter.append(np.median(grey[inside]) > np.median(grey[outside]) + 8)
    assert np.mean(brighter) > 0.95


def test_a_place_off_every_plate_is_none_and_one_on_a_plate_is_one(street: Places) -> None:
    made = Windows([street], [], 4).batch(400)
    assert 0.3 < np.mean([window.plate for window in made]) < 0.75
    for window in made:
        low, high = window.corners.min(axis=0), window.corners.max(axis=0)
        if window.plate:  # the plate overlaps the place by NEAR
            common = np.prod(np.clip(np.minimum(high, 0.5) - np.maximum(low, -0.5), 0, None))
            assert common / (1 + np.prod(high - low) - common) > windows.NEAR - 0.02
        else:
            assert window.sure == window.box == 0


def test_drawn_corners_lie_on_a_turned_photograph_s_plate(
    street: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "PASTED", 0.0)
    monkeypatch.setattr(windows, "TURNED", 1.0)
    quad = np.array([[120, 90], [220, 90], [220, 140], [120, 140]], np.float32)
    drawn = replace(street, scene=replace(street.scene, quads={0: quad}))
    leaning, lit = [], []
    for window in Windows([drawn], [], 5).batch(300):
        if not window.plate:
            continue
        assert (window.sure, window.box) == (1.0, 1.0)
        top = window.corners[1] - window.corners[0]
        leaning.append(abs(top[1]) > 0.05 * abs(top[0]))
        inside = cv2.erode(_within(window), np.ones((5, 5), np.uint8)) > 0
        outside = cv2.dilate(_within(window), np.ones((5, 5), np.uint8)) == 0
        if inside.any() and outside.any():
            grey = window.picture[..., 0]
            lit.append(np.percentile(grey[inside], 10) > np.percentile(grey[outside], 90))
    assert np.mean(leaning) > 0.5
    assert np.mean(lit) > 0.95


def test_labelled_boxes_count_little_as_corners(street: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "PASTED", 0.0)
    made = [window for window in Windows([street], [], 6).batch(300) if window.plate]
    assert {(w.sure, w.box) for w in made} == {(windows.UPRIGHT, 1.0), (windows.LEANING, windows.LEANING)}


def test_a_frame_s_plate_is_the_part_inside_of_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        plate = np.full((60, 120, 3), 255, np.uint8)
        shown, (across, down) = framed(plate, rng)
        assert shown.shape[1] * across == pytest.approx(120)
        assert shown.shape[0] * down == pytest.approx(60)
