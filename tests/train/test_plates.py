"""Synthetic plates and what is done to them before a network sees them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

from train import synth
from train.ocr_augment import FADED, MARGIN, degrade, filtered, place, surround
from train.ocr_net import ALPHABET, HEIGHT, WIDTH

pytestmark = pytest.mark.train


def test_a_seed_gives_the_same_plates() -> None:
    one, two, other = (np.random.default_rng(seed) for seed in (1, 1, 2))
    plates, again, others = ([synth.render(rng) for _ in range(10)] for rng in (one, two, other))
    assert [p.text for p in plates] == [p.text for p in again]
    assert all(np.array_equal(p.image, q.image) for p, q in zip(plates, again, strict=True))
    assert [p.text for p in plates] != [p.text for p in others]


def test_plates_of_every_style_appear_with_texts_of_the_alphabet(monkeypatch: pytest.MonkeyPatch) -> None:
    styles = set()
    drawn = synth.serial

    def noted(style: str, rng: np.random.Generator) -> list[synth.Token]:
        styles.add(style)
        return drawn(style, rng)

    monkeypatch.setattr(synth, "serial", noted)
    rng = np.random.default_rng(3)
    plates = [synth.render(rng) for _ in range(200)]
    assert styles == {"us", "eu", "uk", "br", "wide"}
    assert {p.two_lines for p in plates} == {True, False}
    for plate in plates:
        assert (plate.text == "") == plate.two_lines
        assert len(plate.lines) == 1 + plate.two_lines
        assert all(plate.lines)
        assert not set(plate.text) - set(ALPHABET)
        assert plate.image.dtype == np.uint8
        assert plate.image.ndim == 2


@pytest.mark.parametrize(
    ("sheet", "ink"),
    [((250, 250, 250), (200, 20, 30)), ((60, 200, 190), (200, 160, 20)), ((90,) * 3, (140,) * 3)],
)
def test_no_filter_takes_a_plate_s_contrast(sheet: tuple[int, ...], ink: tuple[int, ...]) -> None:
    plate = np.full((40, 80, 3), sheet, np.uint8)
    plate[10:30, 10:70:4] = plate[10:30, 11:70:4] = ink
    luma = float((plate @ np.array([0.299, 0.587, 0.114])).std())
    rng = np.random.default_rng(5)
    seen = [filtered(plate, rng) for _ in range(60)]
    assert all(grey.shape == (40, 80) and grey.dtype == np.uint8 for grey in seen)
    assert min(grey.std() for grey in seen) > FADED * luma - 1
    if sheet != (90,) * 3:
        assert max(grey.std() for grey in seen) > 1.2 * luma


def test_hardness_0_cuts_the_box_with_the_margin() -> None:
    picture = np.tile(np.arange(400, dtype=np.float32) * 0.6, (200, 1)).astype(np.uint8)
    x, y, w, h = 100.0, 80.0, 120.0, 40.0
    cut = place(picture, (x, y, w, h), 0.0, np.random.default_rng(0))
    assert cut.shape == (HEIGHT, WIDTH)
    assert cut.dtype == np.uint8
    left, right = x - MARGIN * w, x + w + MARGIN * w
    assert abs(int(cut[32, 0]) - 0.6 * left) < 3
    assert abs(int(cut[32, -1]) - 0.6 * right) < 3
    rows = np.tile(np.arange(200, dtype=np.uint8)[:, None], (1, 400))
    cut = place(rows, (x, y, w, h), 0.0, np.random.default_rng(0))
    assert abs(int(cut[0, 80]) - (y - MARGIN * h)) < 3
    assert abs(int(cut[-1, 80]) - (y + h + MARGIN * h)) < 3


@pytest.mark.parametrize("hardness", [0.0, 0.5, 1.0])
def test_degrading_keeps_the_form_and_follows_the_seed(hardness: float) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    changed = 0
    for seed in range(30):
        one, two = (degrade(crop, hardness, np.random.default_rng(seed)) for _ in range(2))
        assert one.shape == crop.shape
        assert one.dtype == np.uint8
        assert np.array_equal(one, two)
        changed += not np.array_equal(one, crop)
    assert changed > 10


def test_a_surrounded_plate_lies_at_its_box() -> None:
    plate = np.random.default_rng(0).integers(0, 256, (50, 100)).astype(np.uint8)
    picture, (x, y, w, h) = surround(plate, np.random.default_rng(1))
    assert np.array_equal(picture[int(y) : int(y + h), int(x) : int(x + w)], plate)
