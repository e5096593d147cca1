"""Staged pictures: the plate stands where it is said to, and what is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")

from detector.types import Detection, PlateText
from train import staged
from train.folds import VALIDATION, fold_of
from train.staged import SIZES, SPOILT, Counts, Stage, Stager

pytestmark = pytest.mark.train

RED = (230, 20, 20)


@pytest.fixture
def stager(tmp_path: Path) -> Stager:
    """One grey photograph with a black and white plate and one red crop, both of the validation split."""
    picture = np.full((300, 400, 3), 120, np.uint8)
    picture[100:150, 150:250] = 250
    picture[105:145, 155:245:6] = picture[105:145, 156:245:6] = 0
    scene, crop = held_out("scene", "openimages_lp"), held_out("crop", staged.SET)
    Image.fromarray(picture).save(tmp_path / scene["image"])
    Image.fromarray(np.full((60, 120, 3), RED, np.uint8)).save(tmp_path / crop["image"])
    plates = [{"box": [150, 100, 100, 50], "text": None}]
    (tmp_path / "scenes.jsonl").write_text(json.dumps({**scene, "plates": plates}))
    (tmp_path / "crops.jsonl").write_text(json.dumps({**crop, "text": "ABC123", "country": "us"}))
    return Stager(tmp_path)


def held_out(name: str, origin: str) -> dict[str, str]:
    """A record of the set `origin` whose picture, by its name, is of the validation split."""
    records = ({"image": f"{name}{number}.png", "set": origin} for number in range(1000))
    return next(record for record in records if fold_of(record) == VALIDATION)


@pytest.mark.parametrize("size", SIZES)
def test_the_pasted_plate_fills_its_box_and_no_other_plate_is_left(
    stager: Stager, size: tuple[int, int]
) -> None:
    for number in range(3):
        stage = stager.stage(number, size)
        assert stage.picture.shape == (size[1], size[0], 3)
        x, y, w, h = (round(n) for n in stage.box)
        assert 0.8 * staged.WIDTHS[0] < w < 1.4 * staged.WIDTHS[1]
        red = stage.picture[..., 0].astype(int) - stage.picture[..., 1] > 40
        rows, columns = np.nonzero(red)
        assert abs(columns.min() - x) < 6
        assert abs(columns.max() - x - w) < 6
        assert abs(rows.min() - y) < 6
        assert abs(rows.max() - y - h) < 6
        assert red[y : y + h, x : x + w].mean() > 0.6
        assert stage.picture[..., 0].min() > 60  # black letters nowhere


def test_pictures_follow_their_number(stager: Stager) -> None:
    one, two, other = (stager.stage(number, SIZES[0], "dark") for number in (0, 0, 1))
    assert np.array_equal(one.picture, two.picture)
    assert one.box == two.box
    assert not np.array_equal(one.picture, other.picture)


@pytest.mark.parametrize("how", SPOILT[1:])
def test_what_is_spoilt_has_another_look(how: str) -> None:
    plain = np.tile(np.repeat(np.array([40, 200], np.uint8), 2), (60, 20))[..., None].repeat(3, axis=2)
    spoilt = staged.spoil(plain, how, np.random.default_rng(1))
    assert spoilt.dtype == np.uint8
    assert spoilt.shape == plain.shape
    assert np.ptp(spoilt[20:40, 20:60].mean(axis=0)) < 0.9 * np.ptp(plain[20:40, 20:60].mean(axis=0))


def test_a_plate_is_right_where_it_stands_and_sure_enough() -> None:
    stage = Stage(np.zeros((100, 200, 3), np.uint8), (50.0, 40.0, 60.0, 30.0), "AB01")
    corners = ((0.0, 0.0),) * 4
    on_it, beside = (
        Detection(box, 1.0, corners) for box in ((52.0, 41.0, 60.0, 30.0), (0.0, 0.0, 40.0, 20.0))
    )
    cases = [
        ([(on_it, PlateText("ABO1", 0.9))], True, 0),
        ([(on_it, PlateText("AB01", 0.4))], False, 0),
        ([(on_it, PlateText("AB02", 0.9)), (beside, PlateText("AB01", 0.9))], False, 1),
        ([], False, 0),
    ]
    for readings, right, false in cases:
        counts = Counts()
        counts.add(7, stage, readings, 0.5)
        assert counts.right == {7: right}
        assert counts.false == false
