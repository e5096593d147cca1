"""Scoring and the split: what a figure of the model card rests on. Needs neither torch nor TensorFlow."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.types import Detection, PlateText
from train import report
from train.counts import mcnemar, share_of, wilson
from train.drawn import line_of, load_drawn
from train.evaluate import Found, Located, Scores, Subject, iou, main, score
from train.folds import FOLDS, GROUPS, fold_of
from train.labelled import Crop, Photo, Plate, is_serial, load_crops, load_folder

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


@pytest.mark.parametrize("content", [None, "", "no label at all\n"])
def test_a_folder_without_a_label_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "a.txt").write_text(content)
    with pytest.raises(SystemExit, match="no labelled plate") as told:
        main([str(tmp_path)])
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)
    with pytest.raises(SystemExit, match="no folder"):
        main([str(tmp_path / "missing")])
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("only_one", "only_other", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (1, 9, 22 / 1024), (4, 4, 1.0)]
)
def test_mcnemar_is_the_exact_binomial_of_the_textbook(only_one: int, only_other: int, p: float) -> None:
    assert mcnemar(only_one, only_other) == pytest.approx(p)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_takes_no_side_and_is_a_probability(one: int, other: int) -> None:
    assert mcnemar(one, other) == mcnemar(other, one)
    assert 0 < mcnemar(one, other) <= 1


@pytest.mark.parametrize(
    ("text", "country", "serial"),
    [
        ("8ABC234", "us", True),
        ("KLM4721", "us", True),
        ("AB12CDE", "uk", True),
        ("AB123CD45", "us", False),  # no US format
        ("ABC1D23", "br", True),
        ("GOFAST", "us", False),
        ("ABCDEF", "eu", False),  # no digit
        ("2FAST4ME", "us", False),
    ],
)
def test_a_serial_holds_a_digit_and_fits_a_format_of_its_country(
    text: str, country: str, serial: bool
) -> None:
    assert is_serial(text, country) is serial


def test_a_crop_is_taken_from_its_photograph_where_that_holds_one_plate_of_its_text(tmp_path: Path) -> None:
    def plates(*texts: str | None) -> list[dict[str, Any]]:
        return [{"box": [10.0 * n, 20, 30, 15], "text": text} for n, text in enumerate(texts)]

    scenes = [
        {"set": "x", "image": "s/one.jpg", "plates": plates(None, "ABC123")},
        {"set": "x", "image": "s/two.jpg", "plates": plates("ABC123", "ABC123")},
    ]
    crop = {"set": "eye_x", "text": "ABC123", "country": "us"}
    crops = [
        {**crop, "image": "c/1.jpg", "scene": "s/one.jpg"},
        {**crop, "image": "c/2.jpg", "scene": "s/two.jpg"},
        {**crop, "image": "c/3.jpg", "set": "us_states"},
        {**crop, "image": "c/4.jpg", "text": "\u00c4BC123"},
    ]
    for name, lines in (("scenes", scenes), ("crops", crops)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = {one.name: (one.file, one.box) for one in load_crops(tmp_path)}
    assert found == {
        "c/1.jpg": (tmp_path / "s/one.jpg", (10, 20, 30, 15)),
        "c/2.jpg": (tmp_path / "c/2.jpg", None),
        "c/3.jpg": (tmp_path / "c/3.jpg", None),
    }


def test_crops_of_one_and_of_two_lines_have_rows_of_their_own(tmp_path: Path) -> None:
    Image.new("RGB", (640, 384)).save(tmp_path / "a.png")
    crops = [
        Crop(name, tmp_path / "a.png", "invented", 0, FIRST, "ABC123", True, two_lines=double)
        for name, double in (("one", False), ("two", True))
    ]
    only = subject({FIRST: "ABC123"})
    rows = {row: len(found) for row, found in score([], crops, lambda fold: only).crops.items()}
    for which in ("one line", "two lines"):
        assert rows.pop(f"all, plates of {which}") == rows.pop(f"invented, plates of {which}") == 1
    assert set(rows.values()) == {2}


Texts = dict[tuple[float, float, float, float], str]


class ScriptedModels:
    """Finds the boxes and texts that it was given, in any picture, each with its score (0.9 unless given)."""

    min_confidence = 0.5

    def __init__(self, found: Texts, scores: dict[str, float] | None = None) -> None:
        self._found = found
        self._scores = scores or {}

    def locate(self, image: Any) -> list[Detection]:
        found = [
            Detection(
                (x, y, w, h), self._scores.get(text, 0.9), ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
            )
            for (x, y, w, h), text in self._found.items()
        ]
        return sorted(found, key=lambda one: -one.score)

    def read(self, image: Any, detection: Detection, once: bool = False) -> PlateText:
        return PlateText(self._found.get(detection.box, ""), 0.99)

    def survey(self, image: Any) -> list[tuple[Detection, PlateText]]:
        return [(found, self.read(image, found)) for found in self.locate(image)]

    def refine(self, image: Any, places: list[Detection]) -> list[Detection]:
        return places


def subject(found: Texts, scores: dict[str, float] | None = None) -> Subject:
    models: Any = ScriptedModels(found, scores)
    return Subject(models, models, models, 0.5)


FIRST, SECOND = (10.0, 10.0, 100.0, 40.0), (300.0, 200.0, 60.0, 20.0)
PLATES = (Plate(FIRST, "ABC123"), Plate(SECOND, "XYZ0"))


def _scored(folder: Path, found: Texts, scores: dict[str, float] | None = None, crop: bool = False) -> Scores:
    file = folder / "a.png"
    Image.new("RGB", (640, 384)).save(file)
    crops = [Crop("c.png", file, "invented", 0, FIRST, "ABC123", True)] if crop else []
    only = subject(found, scores)
    return score([Photo(file, "invented", None, PLATES)], crops, lambda fold: only)


def test_a_perfect_reader_scores_a_hundred_percent(tmp_path: Path) -> None:
    scores = _scored(tmp_path, {FIRST: "ABC123", SECOND: "XYZ0"}, crop=True)
    located = [
        [box is not None and box.kept for box in row.values()] for row in scores.labels.plates.values()
    ]
    read = [*scores.read.values(), *scores.shown.values(), *scores.crops.values()]
    rows = [*located, *(row.values() for row in read)]
    for share in [*map(share_of, rows), scores.shown_right]:
        assert share.of > 0
        assert share.right == share.of
    assert (len(scores.read["all"]), scores.labels.false, scores.false_shown, scores.misreads) == (
        2,
        [],
        0,
        [],
    )
    kinds = ("serials", "plates of one line")
    assert set(scores.crops) == {
        "invented",
        "all",
        *(f"{s}, {kind}" for s in ("invented", "all") for kind in kinds),
    }
    assert any("100.0" in line and "2 of 2" in line for line in report.tables(scores))


def test_a_wrong_text_a_lookalike_and_a_false_box_are_counted_each(tmp_path: Path) -> None:
    found = {FIRST: "ABC128", SECOND: "XYZO", (500.0, 20.0, 50.0, 20.0): "NONE"}
    scores = _scored(tmp_path, found, crop=True)
    assert share_of(scores.read["all"].values()).right == 0
    assert share_of(scores.alike["all"].values()).right == 1
    assert (len(scores.labels.false), scores.false_shown, scores.command_false) == (1, 1, 1)
    assert share_of(scores.shown["all"].values()).right == 0
    assert share_of(scores.shown_alike["all"].values()).right == 1
    assert [(miss.label, miss.read) for miss in scores.misreads] == [("ABC123", "ABC128"), ("XYZ0", "XYZO")]
    assert [(miss.label, miss.read) for miss in scores.crop_misreads] == [("ABC123", "ABC128")]
    report.sheet(scores.misreads, tmp_path / "sheet.png")
    drawn = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert (drawn[:80, :396] == 0).any()  # two crops of the black picture
    assert (drawn[:, 410:] == 255).all()


def test_recall_at_a_rate_of_false_boxes_takes_the_least_threshold_that_keeps_to_it(tmp_path: Path) -> None:
    """Of twenty photographs one false box is 0.05 an image. Two lamps are surer than the second plate."""
    lamps = {(500.0, 20.0 * n, 50.0, 15.0): f"L{n}" for n in range(3)}
    found = {FIRST: "ABC123", SECOND: "XYZ0", **lamps}
    sure = {"ABC123": 0.9, "XYZ0": 0.6, "L0": 0.8, "L1": 0.7, "L2": 0.3}
    scores = _scored(tmp_path, found, sure)
    scores.labels.photos = 20
    assert [box.kept for box in scores.labels.false] == [True, True, False]
    plates = scores.labels.plates
    row = plates["20-40 px at 640"] | plates["40-80 px at 640"]
    row |= plates["80 px and more at 640"]
    at = {rate: scores.labels.threshold_at(rate) for rate in (0.0, 0.05, 0.1, 0.5)}
    assert [sum(report.at_limit(row, limit).values()) for limit in at.values()] == [1, 1, 2, 2]
    for rate, limit in at.items():
        assert sum(box.score >= limit for box in scores.labels.false) <= rate * 20
    assert at[0.05] == pytest.approx(0.7)


@given(st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.999]), max_size=30), st.floats(0, 1))
def test_no_threshold_lets_more_false_boxes_through_than_its_rate(found: list[float], rate: float) -> None:
    located = Located(false=[Found(one, True) for one in found], photos=20)
    limit = located.threshold_at(rate)
    assert sum(one >= limit for one in found) <= rate * 20


def _square(x: float, y: float, w: float, h: float, lean: float = 0.0) -> Any:
    corners = [(x, y), (x + w, y + lean), (x + w, y + lean + h), (x, y + h)]
    return np.array(corners, np.float32)


def test_plates_are_judged_by_drawn_corners_too_and_what_is_unclear_by_none(tmp_path: Path) -> None:
    """A label four times its plate, a label on nothing, and a plate that nobody labelled."""
    file = tmp_path / "a.png"
    Image.new("RGB", (640, 384)).save(file)
    tight, nothing, beside = (30.0, 40.0, 100.0, 40.0), (300.0, 20.0, 90.0, 30.0), (300.0, 200.0, 60.0, 20.0)
    plates = (
        Plate((0.0, 20.0, 160.0, 80.0), None, corners=_square(30, 40, 100, 30, lean=10)),
        Plate(nothing, None, unclear=True),
    )
    photo = Photo(file, "invented", None, plates, (beside,))
    lamp = (500.0, 20.0, 50.0, 15.0)
    only = subject({tight: "A", nothing: "B", beside: "C", lamp: "D"})
    scores = score([photo], [], lambda fold: only)
    row = "40 px and more in the photograph"
    assert [place is not None for place in scores.labels.plates[row].values()] == [False, True]
    assert [place is not None for place in scores.drawn.plates[row].values()] == [True]
    assert (len(scores.labels.false), len(scores.drawn.false)) == (3, 1)
    # Two of the four corners lie 10 px from the drawn ones, over the upper edge of that leaning plate.
    assert scores.corner_errors == [pytest.approx(5 / np.hypot(100, 10))]
    table = "\n".join(report.tables(scores))
    assert "on the 1 photographs" in table
    assert "as drawn, percent" in table


def test_a_photograph_with_a_plate_that_nobody_drew_is_not_judged_by_drawn_ones(tmp_path: Path) -> None:
    scores = _scored(tmp_path, {FIRST: "ABC123"})
    assert (scores.labels.photos, scores.drawn.photos, dict(scores.drawn.plates)) == (1, 0, {})
    assert not any("as drawn" in line for line in report.tables(scores))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("scenes/a.jpg 0 1 2 3", "neither eight numbers nor none"),
        ("scenes/a.jpg 0 0 0 0 10 10 10 10 x", "neither eight numbers nor none"),
        ("scenes/a.jpg 0 0 0 0 10 10 10 10 0", "do not go clockwise"),
        ("scenes/a.jpg 1 none", "twice"),
    ],
)
def test_a_damaged_line_of_drawn_corners_is_named(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "drawn.txt"
    file.write_text(f"# corners\nscenes/a.jpg 1 0 0 10 0 10 5 0 5\n{line}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=rf"drawn.txt:3: .*{why}"):
        load_drawn(file)


quads = st.builds(_square, *[st.integers(0, 500)] * 2, *[st.integers(20, 200)] * 2, st.integers(-19, 19))


@given(st.lists(st.one_of(st.none(), quads), max_size=5), st.lists(quads, max_size=3))
def test_drawn_corners_come_back_as_they_were_written(labelled: list[Any], more: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drawn.txt"
        lines = [line_of("scenes/a.jpg", str(place), quad) for place, quad in enumerate(labelled)]
        lines += [line_of("scenes/a.jpg", "+", quad) for quad in more]
        file.write_text("\n".join(lines), encoding="utf-8")
        found = load_drawn(file).get("scenes/a.jpg", {})
    assert list(found) == [*map(str, range(len(labelled))), *(f"+{n}" for n in range(len(more)))]
    for quad, again in zip([*labelled, *more], found.values(), strict=True):
        assert (quad is None) == (again is None)
        assert quad is None or np.array_equal(quad, again)


def test_the_drawn_corners_of_the_project_are_sound() -> None:
    drawn = load_drawn()
    assert sum(len(places) for places in drawn.values()) > 400


def test_two_models_are_compared_plate_by_plate(tmp_path: Path) -> None:
    one = _scored(tmp_path, {FIRST: "ABC123", SECOND: "XYZO"})
    other = _scored(tmp_path, {FIRST: "ABC123", SECOND: "XYZ0"})
    lines = list(report.pairs(one, other, ("int8", "float"), tmp_path / "pairs.tsv"))
    (row,) = (line for line in lines if line.startswith("| read, all |"))
    assert [cell.strip() for cell in row.split("|")[4:7]] == ["0", "1", "1"]
    assert "1 of 2" in row
    assert "2 of 2" in row
    (alike,) = (line for line in lines if line.startswith("| read, all, O = 0, I = 1 |"))
    assert [cell.strip() for cell in alike.split("|")[4:6]] == ["0", "0"]
    listed = [line.split("\t") for line in (tmp_path / "pairs.tsv").read_text().splitlines()]
    assert ["read, all", str(tmp_path / "a.png"), "1", "float"] in listed
    assert {line[2] for line in listed} == {"1"}  # of the first plate nothing differs


def test_a_picture_that_cannot_be_read_is_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    scores = score([Photo(tmp_path / "broken.jpg", "x", None, ())], [], lambda fold: subject({}))
    assert scores.photos == 0
    assert "broken.jpg" in capsys.readouterr().err


def test_without_data_it_says_that_it_skips(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "skipped" in capsys.readouterr().out
