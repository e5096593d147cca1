"""Looks at a picture from nearer and from further away: parts cover it, overlap, and bring small plates of
large pictures to light; a plate that fills it is read whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.image import Picture
from detector.parts import OVERLAP, parts, shown_at, stands_whole
from detector.reader import Reader
from hw.sim import drawing
from plates.draw import PlateDesign, draw_plate
from plates.text import normalise
from tests.detector.conftest import street
from tests.detector.test_reader import detection

SIDES = st.integers(300, 6000)


@given(st.tuples(SIDES, SIDES), st.sampled_from([(384, 640), (320, 320)]), st.sampled_from([2, 4]))
def test_parts_cover_the_picture_and_are_shown_so_much_larger(
    size: tuple[int, int], within: tuple[int, int], times: int
) -> None:
    found = parts(size, within, times)
    for side, along in ((0, 2), (1, 3)):
        runs = sorted({(part[side], part[side] + part[along]) for part in found})
        assert runs[0][0] == 0
        assert runs[-1][1] == size[side]
        for (_, end), (start, _) in pairwise(runs):
            assert end - start >= OVERLAP * found[0][along] - 1
    _, _, wide, tall = found[0]
    assert shown_at((wide, tall), within) >= times / 1.2 * shown_at(size, within)
    assert len(found) == len(set(found)) <= (times / (1 - OVERLAP)) ** 2 + times / (1 - OVERLAP)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(8, 90), st.floats(6, 40))
def test_every_small_plate_stands_whole_in_a_part(
    across: float, down: float, wide: float, tall: float
) -> None:
    size = (1920, 1080)
    x, y = 4 + across * (size[0] - wide - 8), 4 + down * (size[1] - tall - 8)
    assert any(
        stands_whole(detection(x - left, y - top, wide, tall), (left, top, w, h), size)
        for left, top, w, h in parts(size, (384, 640), 2)
        if left <= x and top <= y and x + wide <= left + w and y + tall <= top + h
    )


@pytest.mark.parametrize("text", ["8ABC234", "KLM4721"])
def test_small_plate_of_a_large_picture_is_read(reader: Reader, text: str) -> None:
    """A picture of 11 megapixels, a plate of 64 pixels: in the locator's input it has 9."""
    image = np.tile(drawing.background(3, "day", (1280, 720)), (4, 3, 1))
    image[1500:2220, 2000:3280] = street(text, 64)
    found = reader.survey(image)
    assert [read.text for _, read in found if read.confidence >= reader.min_confidence] == [text]
    (x, y, w, h), middle = found[0][0].box, (2000 + 600, 1500 + 500)
    assert abs(x + w / 2 - middle[0]) < 8
    assert abs(y + h / 2 - middle[1]) < 8
    assert text not in [reader.read(image, place).text for place in reader.locate(image)]


def test_plate_that_the_whole_picture_shows_is_told_once(reader: Reader) -> None:
    image = np.asarray(street("7XYZ906", 300, size=(1920, 1080)))
    texts = [read.text for _, read in reader.survey(image)]
    assert texts.count("7XYZ906") == 1


@pytest.mark.parametrize("font", ["BarlowCondensed-SemiBold.ttf", "SofiaSansCondensed-Bold.ttf"])
@pytest.mark.parametrize("text", ["8ABC234", "7XY 906", "KLM4721"])
def test_plate_that_fills_the_picture_is_read_whole(reader: Reader, font: str, text: str) -> None:
    """A cut-out of an earlier picture, a vehicle at the barrier: no part of a number is told as one."""
    design = PlateDesign(drawing.FONTS / font)
    plate = Image.fromarray(draw_plate(text, design, 1280)).resize((320, 96), Image.Resampling.BOX)
    found = reader.survey(np.asarray(plate))
    shown = [read.text for _, read in found if read.confidence >= reader.min_confidence]
    assert shown == [normalise(text)]


@pytest.mark.parametrize(("width", "looks"), [(160, 1), (500, 2)])
def test_only_a_plate_that_fills_the_picture_costs_the_locator_a_second_look(
    reader: Reader, width: int, looks: int
) -> None:
    seen, run = [], reader._locator.model.run

    def counted(picture: Picture) -> list[np.ndarray]:
        seen.append(1)
        return run(picture)

    reader._locator.model.run = counted  # type: ignore[method-assign]
    try:
        found = reader.locate(street("8ABC234", width, (960, 720)))
    finally:
        reader._locator.model.run = run  # type: ignore[method-assign]
    assert (len(found), len(seen)) == (1, looks)
