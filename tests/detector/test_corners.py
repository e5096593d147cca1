"""The second look: what it is shown of a picture, and what it makes of a place that is a little off."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.corners import Corners
from detector.errors import ImageError, ModelError
from detector.image import Light, crop_box, crop_quad
from detector.types import Detection
from tests.detector.conftest import MODELS, street

PLATE = np.array([[520.0, 460.0], [680.0, 460.0], [680.0, 540.0], [520.0, 540.0]])
"""The corners of the plate that `street` draws."""


@pytest.fixture(scope="module")
def corners() -> Corners:
    return Corners(MODELS / "corners.tflite")


def place(x: float, y: float, w: float, h: float, score: float = 0.5) -> Detection:
    return Detection((x, y, w, h), score, ((x, y), (x + w, y), (x + w, y + h), (x, y + h)))


boxes = st.tuples(st.floats(-80, 400), st.floats(-60, 250), st.floats(2, 300), st.floats(2, 200))


@settings(max_examples=60, deadline=None)
@given(boxes)
def test_upright_cut_shows_what_the_straightened_quadrangle_shows(
    box: tuple[float, float, float, float],
) -> None:
    y, x = np.mgrid[0:240, 0:400]
    ramp = np.stack([x / 2, y, np.full_like(x, 40)], axis=2).astype(np.uint8)
    left, top, w, h = box
    quad = ((left, top), (left + w, top), (left + w, top + h), (left, top + h))
    cut = crop_box(ramp, box, 0.5, (32, 64)).astype(int)
    other = crop_quad(ramp, quad, 0.5, (32, 64), Light.RGB).astype(int)
    both = (cut[..., 2] > 30) & (other[..., 2] > 30)
    assert np.abs(cut - other)[both].max(initial=0) <= 4 + max(w, h) / 16
    column, row = np.meshgrid(np.arange(64) + 0.5, np.arange(32) + 0.5)
    px, py = left - w / 2 + column / 32 * w, top - h / 2 + row / 16 * h
    outside = (px < -w / 32) | (px > 400 + w / 32) | (py < -h / 16) | (py > 240 + h / 16)
    assert not cut[outside].any()


@pytest.mark.parametrize("box", [(10.0, 10.0, 0.0, 5.0), (10.0, 10.0, 5.0, -1.0)])
def test_box_without_area_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ImageError, match="width and a height"):
        crop_box(np.zeros((50, 50, 3), np.uint8), box, 0.5, (32, 64))


@pytest.mark.parametrize(
    "off", [(0, 0, 0, 0), (-14, 6, 10, 8), (20, -8, -10, 10), (30, 14, -70, -30), (-40, -20, 80, 40)]
)
def test_place_that_is_off_becomes_the_plate(corners: Corners, off: tuple[int, int, int, int]) -> None:
    dx, dy, dw, dh = off
    (found,) = corners.refine(street("8ABC234"), [place(520 + dx, 460 + dy, 160 + dw, 80 + dh)], 0.0)
    assert np.abs(np.array(found.corners) - PLATE).max() < 16
    x, y, _, h = found.box
    assert abs(x - 520) < 16
    assert abs(y + h - 540) < 16


@pytest.mark.parametrize("degrees", [-12, 9])
def test_leaning_plate_s_corners_lean(corners: Corners, degrees: float) -> None:
    """The text stands straight for the OCR only where the corners are the plate's own."""
    picture = Image.fromarray(street("8ABC234")).rotate(degrees, Image.Resampling.BILINEAR, center=(600, 500))
    angle = math.radians(-degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    wanted = (PLATE - [600, 500]) @ turn.T + [600, 500]
    low, high = wanted.min(axis=0), wanted.max(axis=0)
    (found,) = corners.refine(np.asarray(picture), [place(*low, *(high - low))], 0.0)
    top_left, top_right = np.array(found.corners[0]), np.array(found.corners[1])
    lean = math.degrees(math.atan2(*(top_right - top_left)[::-1]))
    assert abs(lean + degrees) < 6
    assert np.abs(np.array(found.corners) - wanted).max() < 18


def test_places_on_one_plate_become_one(corners: Corners) -> None:
    places = [place(520, 460, 160, 80, 0.8), place(500, 452, 150, 84, 0.6), place(540, 470, 90, 50, 0.5)]
    (found,) = corners.refine(street("8ABC234"), places, 0.0)
    assert found.score > 0.5


def test_road_is_scored_below_the_plate(corners: Corners) -> None:
    image = street("8ABC234")
    (plate,) = corners.refine(image, [place(520, 460, 160, 80)], 0.0)
    other = corners.refine(image, [place(100, 560, 160, 80)], 0.0)
    assert all(one.score < plate.score / 2 for one in other)
    assert corners.refine(image, []) == []


@pytest.mark.parametrize(
    ("first", "again", "score"),
    [(0.99, None, 0.99), (0.1, None, 0.1), (0.8, 0.8, 0.8), (0.8, 0.5, 2 / 3), (0.5, 0.8, 2 / 3)],
)
def test_a_doubtful_place_is_looked_at_again_mirrored_from_its_own_corners(
    corners: Corners, monkeypatch: pytest.MonkeyPatch, first: float, again: float | None, score: float
) -> None:
    """With a locator that says neither yes nor no (0.5), the score is this look's, or the mean of two."""
    offsets = np.array([0.0, 0.1, 0.05, 0.1, 0.05, -0.05, 0.0, -0.05], np.float32)
    scores, seen = iter([first, again]), []

    def run(crop: np.ndarray) -> list[np.ndarray]:
        seen.append(crop)
        said = {"score": np.array([[next(scores)]], np.float32), "corners": offsets[None]}
        return [said[output.name] for output in corners.model.sidecar.outputs]

    monkeypatch.setattr(corners.model, "run", run)
    image = street("8ABC234")
    (found,) = corners.refine(image, [place(520, 460, 160, 80)], 0.0)
    assert found.score == pytest.approx(score, abs=1e-3)
    assert np.abs(np.array(found.corners) - (PLATE + offsets.reshape(4, 2) * [160, 80])).max() < 1e-3
    assert len(seen) == (1 if again is None else 2)
    if again is not None:
        own = crop_box(image, found.box, corners.spec.context, corners.model.sidecar.input.size)
        assert np.array_equal(seen[1], own[:, ::-1])


def test_box_stays_within_the_picture(corners: Corners) -> None:
    image = np.ascontiguousarray(street("8ABC234")[:, 560:])
    for found in corners.refine(image, [place(0, 460, 120, 80)], 0.0):
        x, y, w, h = found.box
        assert 0 <= x <= x + w <= image.shape[1]
        assert 0 <= y <= y + h <= image.shape[0]


def test_other_model_in_its_place_is_refused() -> None:
    with pytest.raises(ModelError, match="finds no corners"):
        Corners(Path(MODELS / "locator.tflite"))
