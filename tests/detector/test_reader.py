"""The committed models on drawn streets: located, read, flagged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.errors import ImageError, ModelError
from detector.ocr import Ocr
from detector.reader import Reader
from detector.sidecar import RegionSpec
from detector.types import ALPHABET, CANDIDATES, Detection, Flag
from hw.sim import drawing
from plates.draw import PlateDesign, draw_plate
from tests.detector.conftest import street


def detection(x: float, y: float, w: float, h: float) -> Detection:
    return Detection((x, y, w, h), 1.0, ((x, y), (x + w, y), (x + w, y + h), (x, y + h)))


@pytest.mark.parametrize("text", ["8ABC234", "KLM4721", "7XYZ906"])
def test_large_clear_plate_is_found_and_read(reader: Reader, text: str) -> None:
    image = street(text)
    readings = [(found, reader.read(image, found)) for found in reader.locate(image)]
    found, read = max(readings, key=lambda one: one[1].confidence)
    assert read.text == text
    x, y, w, h = found.box
    assert abs(x + w / 2 - 600) < 20
    assert abs(y + h / 2 - 500) < 20
    assert read.confidence > reader.min_confidence
    assert Flag.LOW not in read.flags


@pytest.mark.parametrize("text", ["LMB482", "KLM4721"])
def test_plate_of_two_colours_alike_in_luma_is_read(reader: Reader, text: str) -> None:
    """Yellow on turquoise: to a camera without colours there is nothing."""
    yellow, turquoise = (200, 160, 20), (60, 200, 190)
    font = drawing.FONTS / "BarlowCondensed-SemiBold.ttf"
    design = PlateDesign(font, background=turquoise, foreground=yellow, embossed=False)
    plate = Image.fromarray(draw_plate(text, design, 640)).resize((160, 80), Image.Resampling.BOX)
    spread = np.asarray(plate.convert("L"), np.int16)[20:60, 20:140]
    assert np.ptp(spread) < 25  # of luma's 255 steps: what is drawn is what this test is about
    image = street(text)
    image[460:540, 520:680] = np.asarray(plate)
    read = max((reader.read(image, found) for found in reader.locate(image)), key=lambda one: one.confidence)
    assert read.text == text
    assert Flag.LOW not in read.flags


def test_reading_says_how_sure_it_is_of_each_character(reader: Reader) -> None:
    read = reader.read(street("8ABC234"), detection(520, 460, 160, 80))
    assert len(read.char_confidence) == len(read.text)
    assert read.min_char == min(read.char_confidence)
    assert all(0.0 <= c <= 1.0 for c in read.char_confidence)
    assert 1 <= len(read.candidates) <= CANDIDATES
    assert read.candidates[0].text == read.text
    assert set(read.text) <= set(ALPHABET)
    shares = [c.probability for c in read.candidates]
    assert shares == sorted(shares, reverse=True)


def test_who_is_late_cuts_a_plate_once_but_tries_other_colours_where_nothing_shows(reader: Reader) -> None:
    """What one cut does not settle waits for the next picture; what luma does not show, no next one would."""
    image, cuts = street("QO0D0OQ"), []
    run = reader._ocr.model.run

    def counted(crop: np.ndarray) -> list[np.ndarray]:
        cuts.append(1)
        return run(crop)

    def count(place: Detection, once: bool) -> int:
        cuts.clear()
        reader.read(image, place, once)
        return len(cuts)

    doubtful, empty = detection(520, 460, 160, 80), detection(100, 60, 160, 60)
    reader._ocr.model.run = counted  # type: ignore[method-assign]
    try:
        found = [(count(place, once=False), count(place, once=True)) for place in (doubtful, empty)]
    finally:
        reader._ocr.model.run = run  # type: ignore[method-assign]
    assert found == [(4, 1), (4, 4)], "an empty one's upper half is looked at too: it may have two lines"


def test_design_of_no_state_has_no_region(reader: Reader) -> None:
    """The drawn plates are of invented states."""
    read = reader.read(street("8ABC234"), detection(520, 460, 160, 80))
    assert read.text
    assert (read.region, read.region_confidence) == ("", 0.0)


@pytest.mark.parametrize(
    ("logits", "named", "confidence"),
    [
        ((9.0, 1.0, 0.0), "CA", 0.9995),
        ((1.0, 9.0, 0.0), "NV", 0.9995),
        ((0.0, 0.0, 9.0), "", 0.0),
        ((2.0, 1.0, 0.0), "", 0.0),
    ],
)
def test_region_is_named_where_it_is_sure(
    models: Path, monkeypatch: pytest.MonkeyPatch, logits: tuple[float, ...], named: str, confidence: float
) -> None:
    ocr = Ocr(models / "ocr.tflite")
    monkeypatch.setattr(ocr, "_region", RegionSpec(("CA", "NV"), temperature=1.0, min_confidence=0.9))
    run = ocr.model.run
    monkeypatch.setattr(ocr.model, "run", lambda crop: [run(crop)[0], np.array([logits], np.float32)])
    read = ocr.read(street("8ABC234"), detection(520, 460, 160, 80))
    assert read.region == named
    assert read.region_confidence == pytest.approx(confidence, abs=2e-4)


def test_empty_road_is_no_confident_plate(reader: Reader) -> None:
    grey = np.full((720, 1280, 3), 110, np.uint8)
    assert [d for d in reader.locate(grey) if reader.read(grey, d).confidence >= reader.min_confidence] == []


def test_plate_at_the_edge_is_flagged(reader: Reader) -> None:
    image = street("8ABC234")[:, 560:]
    read = reader.read(np.ascontiguousarray(image), detection(0, 460, 120, 80))
    assert Flag.EDGE in read.flags


LINES = PlateDesign(
    drawing.FONTS / "BarlowCondensed-SemiBold.ttf", aspect=3.2, text_height=0.72, bolts=False, border=None
)


def of_lines(above: str, below: str) -> tuple[np.ndarray, Detection]:
    """A picture with a plate of two lines, and where it is."""
    image = street("8ABC234")
    drawn = draw_plate("I", LINES, 140)
    empty = np.full_like(drawn, drawn[-1, -1])
    plate = np.concatenate([draw_plate(line, LINES, 140) if line else empty for line in (above, below)])
    image[440 : 440 + len(plate), 530:670] = plate
    return image, detection(530, 440, 140, len(plate))


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize(("above", "below"), [("KL47", "M8213"), ("NX 62", "RTB"), ("35 DW", "7081")])
def test_plate_of_two_lines_is_read_upper_line_first(
    reader: Reader, above: str, below: str, once: bool
) -> None:
    read = reader.read(*of_lines(above, below), once)
    assert read.text == above.replace(" ", "") + below
    assert read.confidence >= reader.min_confidence
    assert Flag.TWO_LINES in read.flags
    assert Flag.LOW not in read.flags
    assert len(read.char_confidence) == len(read.text)
    assert read.candidates[0].text == read.text
    assert read.region == ""


Said = list[tuple[str, float]]
NOTHING: Said = [("", 0.9)]


@pytest.mark.parametrize(
    ("said", "once", "text", "probability", "cuts"),
    [
        ([[("AB12", 0.9)], [("CDE", 0.9)]], False, "AB12CDE", 0.81, 3),
        ([[("AB12", 0.6)], [("CDE", 0.9)]], True, "AB12CDE", 0.54, 3),
        (
            [[("AB12", 0.6)], [("CDE", 0.9)], [("A812", 0.5), ("AB12", 0.4)], [("CDE", 1.0)]],
            False,
            "AB12CDE",
            0.47,
            5,
        ),
        ([[("AB12", 0.6)], [("CDE", 0.9)], NOTHING, [("CDE", 1.0)]], False, "AB12CDE", 0.27, 5),
        ([[("AB12", 0.6)], [("CDE", 0.6)], NOTHING, NOTHING], False, "", 0.0, 7),
        ([[("AB", 0.9)], [("CD", 0.9)]], True, "", 0.0, 5),
        ([NOTHING], False, "", 0.0, 4),
        ([[("AB12", 0.9)], NOTHING], False, "", 0.0, 5),
    ],
)
def test_two_lines_that_one_pair_of_cuts_does_not_settle_are_cut_again(
    models: Path, said: list[Said], once: bool, text: str, probability: float, cuts: int
) -> None:
    """The whole says nothing; what is no plate of two lines is then looked at through two filters."""
    ocr, asked = Ocr(models / "ocr.tflite"), iter([NOTHING, *said, NOTHING, NOTHING])
    count = []

    def cut(*_: object) -> tuple[Said, np.ndarray]:
        count.append(1)
        return next(asked), np.zeros(52, np.float32)

    ocr._cut = cut  # type: ignore[method-assign, assignment]
    read = ocr.read(street("8ABC234"), detection(520, 460, 160, 80), once)
    assert read.text == text
    assert len(count) == cuts
    assert [one.probability for one in read.candidates[:1]] == ([pytest.approx(probability)] if text else [])


@pytest.mark.parametrize(("above", "below"), [("", "M8213"), ("KL47", ""), ("", "")])
def test_one_line_of_a_plate_of_two_is_not_shown_as_its_text(reader: Reader, above: str, below: str) -> None:
    read = reader.read(*of_lines(above, below))
    assert read.confidence < reader.min_confidence
    assert Flag.LOW in read.flags
    assert read.text or Flag.TWO_LINES in read.flags


def test_low_confidence_is_flagged_not_hidden(reader: Reader) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 400, 3), dtype=np.uint8)
    read = reader.read(noise, detection(100, 60, 160, 60))
    assert read.confidence < reader.min_confidence
    assert Flag.LOW in read.flags


def test_models_are_told_by_kind_version_and_hash(reader: Reader) -> None:
    models = reader.models_info()
    assert [model.name for model in models] == ["locator", "corners", "ocr"]
    assert {len(model.sha256) for model in models} == {64}


def test_models_in_each_other_s_place_are_refused(models: Path, tmp_path: Path) -> None:
    for source, target in (("ocr", "locator"), ("corners", "corners"), ("locator", "ocr")):
        for suffix in (".tflite", ".toml"):
            shutil.copy(models / f"{source}{suffix}", tmp_path / f"{target}{suffix}")
    with pytest.raises(ModelError, match="no plate locator"):
        Reader.open(tmp_path)


def test_array_that_is_no_picture_is_refused(reader: Reader) -> None:
    with pytest.raises(ImageError):
        reader.locate(np.zeros((10, 10), np.uint8))
    with pytest.raises(ImageError):
        reader.read(np.zeros((10, 10, 3), np.uint8), detection(5, 5, 0, 0))
