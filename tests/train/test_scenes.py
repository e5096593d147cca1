"""The locator's samples: which cells are a plate's, and where invented plates lie."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

from train import scenes
from train.scenes import CELLS, STRIDE, Cutter, invented, paste, targets
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
    white = Plate(np.full((60, 120), 255, np.uint8), "ABC123", False)
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
