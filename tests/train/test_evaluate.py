"""Scoring and the split: what a figure of the model card rests on. Needs neither torch nor TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.types import Detection, PlateText
from train.evaluate import Photo, Plate, Scores, iou, load_folder, main, score, tables, wilson
from train.folds import FOLDS, GROUPS, fold_of

names = st.text("abcdefghij0123456789", min_size=1, max_size=12)
texts = st.text("ABCDEFGHIJ0123456789", min_size=1, max_size=8)


@given(names, names, texts, texts, st.sampled_from(["us_states", "br_openalpr"]))
def test_a_crop_is_in_the_fold_of_the_photograph_it_was_cut_from(
    photo: str, crop: str, text: str, other: str, kind: str
) -> None:
    scene = {"image": f"scenes/{photo}.jpg", "set": kind, "text": text, "scene": f"scenes/{photo}.jpg"}
    one = {"image": f"crops/{crop}.jpg", "set": kind, "text": other, "scene": f"scenes/{photo}.jpg"}
    assert fold_of(scene) == fold_of(one)
    assert 0 <= fold_of(one) < FOLDS


@given(names, names, texts)
def test_brazilian_crops_of_one_plate_stay_together(first: str, second: str, text: str) -> None:
    folds = {fold_of({"image": f"{n}.jpg", "set": "br_openalpr", "text": text}) for n in (first, second)}
    assert len(folds) == 1


@given(st.integers(0, 10**6), st.integers(0, 10**6), names)
def test_frames_of_one_ride_stay_together(first: int, second: int, ride: str) -> None:
    folds = {
        fold_of({"image": f"ro/dayride_{ride}.mp4#t={n}.jpg", "set": "ro_lucian"}) for n in (first, second)
    }
    assert len(folds) == 1


def test_every_fold_gets_its_share_and_is_judged_once() -> None:
    folds = [fold_of({"image": f"{n}.jpg", "set": "us_states"}) for n in range(1000)]
    assert all(150 < folds.count(fold) < 250 for fold in range(FOLDS))
    assert sorted(fold for group in GROUPS for fold in group) == list(range(FOLDS))


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (90, 100, 0.8256, 0.9448)],
)
def test_wilson_gives_the_interval_of_the_textbook(right: int, of: int, low: float, high: float) -> None:
    assert wilson(right, of) == pytest.approx((low, high), abs=2e-4)


def test_iou_of_known_boxes() -> None:
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (10, 0, 10, 10)) == 0
    assert iou((0, 0, 10, 10), (20, 20, 5, 5)) == 0


def test_a_bad_line_of_a_label_is_told_and_the_good_ones_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("a.jpg\t1\t2\t30\t10\tabc123\nno label at all\na.jpg\t5\t6\tx\t9\tB\n")
    (photo,) = load_folder(tmp_path)
    assert photo.file == tmp_path / "a.jpg"
    assert photo.plates == (Plate((1, 2, 30, 10), "ABC123"),)
    said = capsys.readouterr().err
    assert "a.txt:2:" in said
    assert "a.txt:3:" in said


class ScriptedReader:
    """Finds the boxes and texts that it was given, in any picture."""

    min_confidence = 0.5

    def __init__(self, found: dict[tuple[float, float, float, float], str]) -> None:
        self._found = found

    def locate(self, image: Any) -> list[Detection]:
        return [
            Detection((x, y, w, h), 0.9, ((x, y), (x + w, y), (x + w, y + h), (x, y + h)))
            for x, y, w, h in self._found
        ]

    def read(self, image: Any, detection: Detection) -> PlateText:
        return PlateText(self._found[detection.box], 0.99)


def _scored(folder: Path, found: dict[tuple[float, float, float, float], str]) -> Scores:
    file = folder / "a.png"
    Image.new("RGB", (640, 384)).save(file)
    plates = (Plate((10, 10, 100, 40), "ABC123"), Plate((300, 200, 60, 20), "XYZ0"))
    scores = Scores()
    score([Photo(file, "invented", None, plates)], ScriptedReader(found), scores)  # type: ignore[arg-type]
    return scores


def test_a_perfect_reader_scores_a_hundred_percent(tmp_path: Path) -> None:
    scores = _scored(tmp_path, {(10, 10, 100, 40): "ABC123", (300, 200, 60, 20): "XYZ0"})
    for share in [*scores.located.values(), *scores.read.values(), scores.shown_right]:
        assert share.of > 0
        assert share.right == share.of
    assert (scores.read["all"].of, scores.false, scores.false_shown, scores.misreads) == (2, 0, 0, [])
    assert any("100.0" in line and "2 of 2" in line for line in tables(scores))


def test_a_wrong_text_a_lookalike_and_a_false_box_are_counted_each(tmp_path: Path) -> None:
    scores = _scored(
        tmp_path, {(10, 10, 100, 40): "ABC128", (300, 200, 60, 20): "XYZO", (500, 20, 50, 20): "NONE"}
    )
    assert (scores.read["all"].right, scores.alike["all"].right) == (0, 1)
    assert (scores.false, scores.false_shown) == (1, 1)
    assert [(label, read) for _, _, label, read in scores.misreads] == [
        ("ABC123", "ABC128"),
        ("XYZ0", "XYZO"),
    ]


def test_a_picture_that_cannot_be_read_is_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    scores = Scores()
    score([Photo(tmp_path / "broken.jpg", "x", None, ())], ScriptedReader({}), scores)  # type: ignore[arg-type]
    assert scores.photos == 0
    assert "broken.jpg" in capsys.readouterr().err


def test_without_data_it_says_that_it_skips(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "skipped" in capsys.readouterr().out
