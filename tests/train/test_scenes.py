"""The locator's samples: which cells are a plate's, and where invented plates lie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("cv2")

from train import scenes
from train.scenes import CELLS, SIDE, STRIDE, Cutter, Scene, invented, load_scenes, paste, targets
from train.synth import Plate

pytestmark = pytest.mark.train


def test_the_smaller_of_two_plates_wins_the_cells_that_both_claim() -> None:
    large, small = (0.0, 0.0, 200.0, 200.0, True), (80.0, 80.0, 120.0, 120.0, True)
    for placed in ([large, small], [small, large]):
        box, positive, ignored = targets(placed)
        cell = 100 // STRIDE
        assert tuple(box[:, cell, cell]) == small[:4]
        assert tuple(box[:, 7, 7]) == large[:4]  # 60 px: in the middle half of the larger alone
        assert positive[cell, cell] == positive[7, 7] == 1
        assert positive[1, 1] == 0
        assert not ignored.any()


def test_a_plate_that_does_not_count_is_ignored_and_not_taught() -> None:
    _, positive, ignored = targets([(40.0, 40.0, 80.0, 60.0, False)])
    assert not positive.any()
    assert ignored[50 // STRIDE, 60 // STRIDE] == 1
    assert ignored[0, 0] == ignored[-1, -1] == 0


def test_the_tiniest_plate_has_a_cell_even_at_the_corner() -> None:
    for edge in (0.0, CELLS * STRIDE - 4.0):
        _, positive, _ = targets([(edge, edge, edge + 4, edge + 4, True)])
        assert positive.sum() >= 1


def test_invented_boxes_lie_on_the_plates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A white plate of no texture must be white all over its box."""
    white = Plate(np.full((60, 120), 255, np.uint8), ("ABC123",))
    monkeypatch.setattr(scenes, "render", lambda rng: white)
    rng = np.random.default_rng(0)
    for _ in range(20):
        picture, boxes = invented(rng)
        assert 1 <= len(boxes) <= 3
        for x, y, w, h in boxes.astype(int):
            inside = picture[y : y + h, x : x + w]
            assert inside.shape[:2] == (h, w)
            assert inside.min() >= 200
            assert np.ptp(inside.reshape(-1, 3), axis=0).max() == 0


def test_a_pasted_plate_fills_its_corners() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        picture = np.full((200, 300, 3), 120, np.uint8)
        picture[90:100, 120:160] = 255
        quad = paste(picture, np.full((40, 100, 3), 90, np.uint8), (100.0, 80.0, 90.0, 35.0), rng)
        changed = np.argwhere((picture != 120).any(axis=2))[:, ::-1]
        assert np.abs(changed.min(axis=0) - quad.min(axis=0)).max() < 3
        assert np.abs(changed.max(axis=0) - quad.max(axis=0)).max() < 3


def test_cuts_follow_the_seed() -> None:
    one, two, other = (Cutter([], seed) for seed in (4, 4, 5))
    for _ in range(5):
        first, second, third = one.cut(), two.cut(), other.cut()
        assert np.array_equal(first.picture, second.picture)
        assert np.array_equal(first.positive, second.positive)
        assert not np.array_equal(first.picture, third.picture)


def test_drawn_corners_take_the_place_of_loose_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first label is too large, the second is on nothing, the third is as nobody drew it."""
    plates = [{"box": box} for box in ([0, 0, 90, 60], [200, 0, 50, 20], [100, 100, 40, 10])]
    record = {"image": "scenes/a.jpg", "set": "openimages_lp", "plates": plates}
    (tmp_path / "scenes.jsonl").write_text(json.dumps(record))
    tight, other = [[20, 20], [60, 24], [60, 34], [20, 30]], [[5, 80], [25, 80], [25, 90], [5, 90]]
    drawn = {"0": np.array(tight, np.float32), "1": None, "+0": np.array(other, np.float32)}
    monkeypatch.setattr(scenes, "load_drawn", lambda: {"scenes/a.jpg": drawn})
    (scene,) = load_scenes(tmp_path)
    assert scene.boxes.tolist() == [[20, 20, 40, 14], [100, 100, 40, 10], [5, 80, 20, 10]]
    assert {number: quad.tolist() for number, quad in scene.quads.items()} == {0: tight, 2: other}


def test_a_turned_plate_whose_corners_are_known_keeps_a_box_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plate as white as nothing else in the picture must touch all four sides of its box."""
    picture = np.zeros((400, 600, 3), np.uint8)
    quad = np.array([[240, 150], [360, 150], [360, 210], [240, 210]], np.float32)
    picture[150:210, 240:360] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    scene = Scene(tmp_path / "a.png", 1, np.array([[240, 150, 120, 60]], np.float32), "x", {0: quad})
    monkeypatch.setattr(scenes, "light", lambda picture, rng: picture)
    monkeypatch.setattr(scenes, "REPLATED", 0.0)
    cutter, leaning, seen = Cutter([scene], 3), 0, 0
    for _ in range(60):
        cut = cutter.cut()
        y, x = np.unravel_index(int(cut.positive.argmax()), cut.positive.shape)
        left, top, right, bottom = cut.box[:, y, x]
        if not cut.positive.any() or min(left, top) < 2 or max(right, bottom) > SIDE - 2 or right - left < 40:
            continue
        white = np.argwhere(
            cut.picture[int(top) - 2 : int(bottom) + 3, int(left) - 2 : int(right) + 3, 0] > 200
        )
        if len(white) < 0.2 * (right - left) * (bottom - top):
            continue  # the grey around the picture is white here
        seen += 1
        assert np.abs(white.max(axis=0) - white.min(axis=0) - [bottom - top, right - left]).max() < 5
        leaning += len(white) < 0.9 * (right - left) * (bottom - top)
    assert seen > 10
    assert leaning > 3
