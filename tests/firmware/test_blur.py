"""The blur of the scene picture: what is left of people, of the vehicle and of its plate (430.7-a)."""

from __future__ import annotations

import math
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.types import Point
from firmware import loop, reading
from firmware.blur import BEYOND_BLOCK_M, blurred
from firmware.reading import VEHICLE_ABOVE, VEHICLE_ASIDE
from firmware.store_queries import ReadQuery
from hw.protocols import Pixels
from mqtt.records import PictureKind
from tests.firmware.board import Car, Unit

FACE_M = (0.16, 0.24)
PLATES_M = {"US": (0.305, 0.152), "EU": (0.52, 0.11)}
SIZE = (360, 640)

ROW, COLUMN = np.mgrid[: SIZE[0], : SIZE[1]]
BUSY = np.stack([COLUMN % 256, ROW % 256, np.random.default_rng(0).integers(0, 256, SIZE)], 2).astype(
    np.uint8
)
"""No two pixels near each other are the same, nor the means of two blocks."""

NOISE = np.random.default_rng(1).integers(0, 2, (720, 1280, 1), np.uint8).repeat(3, axis=2) * 255
CAR = Car("TEST123", x=600, width=60)
METRE = CAR.width / PLATES_M["US"][0]
MIDDLE = (630.0, 415.0)
"""Of the plate of CAR, in pixels."""


def _corners(at: Point, metre: float, plate: tuple[float, float], tilt: float) -> tuple[Point, ...]:
    """A plate's corners; `tilt` in radians."""
    (w, h), cos, sin = plate, math.cos(tilt), math.sin(tilt)
    return tuple(
        (at[0] + metre * (x * w * cos - y * h * sin), at[1] + metre * (x * w * sin + y * h * cos))
        for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
    )


def _colours(image: Pixels) -> int:
    return len(np.unique(image.reshape(-1, 3), axis=0))


places = st.tuples(st.floats(-20, 660), st.floats(-20, 380))
metres = st.floats(60, 400)
tilts = st.floats(-0.3, 0.3)


@pytest.mark.clause("430.7-a")
@settings(deadline=None, max_examples=100)
@given(places, metres, st.sampled_from(sorted(PLATES_M)), tilts, st.booleans(), places)
def test_a_face_is_no_more_than_sixteen_colours(
    at: Point, metre: float, plate: str, tilt: float, cabin: bool, face: Point
) -> None:
    """430.7-a: wherever a face is beyond the vehicle, or in its cabin, 4 by 4 blocks are all that is kept."""
    corners = _corners(at, metre, PLATES_M[plate], tilt)
    after = blurred(BUSY, corners, cabin=cabin)
    left, top = max(int(face[0]), 0), max(int(face[1]), 0)
    part = after[top : top + int(FACE_M[1] * metre), left : left + int(FACE_M[0] * metre)]
    right, bottom = left + part.shape[1], top + part.shape[0]
    across = (max(left - at[0], at[0] - right)) / metre
    above, below = (at[1] - bottom) / metre, (top - at[1]) / metre
    # The reach of a vehicle, and with its flank.
    beyond = across > 3.65 or above > 1.45 or below > 0.75
    if abs(math.tan(tilt)) < 0.03:
        beyond = beyond or across > 1.15
    if part.size and (beyond or (cabin and above > 0.26)):
        assert _colours(part) <= 16


@settings(deadline=None, max_examples=25)
@given(places, metres, st.sampled_from(sorted(PLATES_M)), tilts, st.booleans())
def test_the_plate_and_its_margin_stay_as_they_are_and_the_frame_too(
    at: Point, metre: float, plate: str, tilt: float, cabin: bool
) -> None:
    """At the picture's edge and half outside of it as well: other reads use the same frame."""
    image, corners = BUSY, _corners(at, metre, PLATES_M[plate], tilt)
    before = image.copy()
    after = blurred(image, corners, cabin=cabin)
    assert after.shape == image.shape
    assert after.dtype == image.dtype
    assert np.array_equal(image, before)
    xs, ys = zip(*corners, strict=True)
    margin = 0.1 * PLATES_M[plate][0] * metre
    rows = slice(max(int(min(ys) - margin), 0), max(math.ceil(max(ys) + margin), 0))
    columns = slice(max(int(min(xs) - margin), 0), max(math.ceil(max(xs) + margin), 0))
    assert np.array_equal(after[rows, columns], image[rows, columns])


@pytest.mark.parametrize("size", [(360, 640), (1, 1), (3, 400)])
@pytest.mark.parametrize("width", [0.0, 4.0, 700.0, 4000.0, 1e9])
@pytest.mark.parametrize("cabin", [False, True])
def test_corners_gone_astray_cost_no_memory(size: tuple[int, int], width: float, cabin: bool) -> None:
    """A plate of no size, larger than the picture or far off: no more is made than a square around it."""
    image = BUSY[: size[0], : size[1]]
    for left in (-width / 2, -1e7, 1e7):
        corners = _corners((left, 3.0), width, (1.0, 0.5), 0.0)
        tracemalloc.start()
        try:
            assert blurred(image, corners, cabin=cabin).shape == image.shape
            assert tracemalloc.get_traced_memory()[1] < 3 * 640 * 640 * 4
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("rise", [-0.2, 0.2])
def test_the_flank_that_a_slanted_plate_tells_of_stays(rise: float) -> None:
    """A body's shape is what an officer compares; the far side is the street's."""
    corners = _corners((320, 180), 70, PLATES_M["US"], -math.atan(rise))
    after = blurred(BUSY, corners, cabin=False)
    kept = [_colours(after[170:190, x - 8 : x + 8]) > 100 for x in (120, 520)]
    assert kept == [rise > 0, rise < 0]


def _scenes(folder: Path, pixels: Pixels, cars: tuple[Car, ...], *overrides: str) -> dict[str, bytes]:
    """The stored scene of each plate, after all of `cars` were seen in three frames of `pixels`."""
    unit = Unit(folder, [cars] * 3 + [()] * 30, "store.jpeg_quality=95", *overrides)
    unit.board.pixels = pixels
    loop.run(unit.parts, unit.stop)
    scenes = {}
    for read in unit.store.reads(ReadQuery()):
        for picture in unit.store.pictures(read.read_id):
            if picture.ref.kind is PictureKind.SCENE:
                scenes[read.plate] = unit.store.picture_bytes(picture)
    return scenes


def _detail(scene: bytes, x: float, y: float) -> bool:
    """Whether the size of a face at (x, y) metres from the middle of CAR's plate still shows the noise."""
    image = np.asarray(Image.open(BytesIO(scene)).convert("L")).astype(int)
    left, top = int(MIDDLE[0] + x * METRE), int(MIDDLE[1] + y * METRE)
    part = image[top : top + int(FACE_M[1] * METRE), left : left + int(FACE_M[0] * METRE)]
    return bool((np.abs(np.diff(part, axis=1)) > 60).mean() > 0.2)


PAVEMENT, CABIN, BUMPER, PLATE = (1.5, -0.9), (0.4, -0.8), (0.5, 0.2), (-0.08, -0.1)


@pytest.mark.clause("430.7-a")
@pytest.mark.parametrize(
    ("blur", "kept"),
    [("none", "pavement cabin bumper plate"), ("beyond", "cabin bumper plate"), ("cabin", "bumper plate")],
)
def test_the_stored_scene_shows_no_more_than_the_setting_says(tmp_path: Path, blur: str, kept: str) -> None:
    """430.7-a: people on the pavement and in the cabin do not reach the disk, nor so HQ."""
    (scene,) = _scenes(tmp_path, NOISE, (CAR,), f"store.blur={blur}").values()
    spots = {"pavement": PAVEMENT, "cabin": CABIN, "bumper": BUMPER, "plate": PLATE}
    assert [name for name, (x, y) in spots.items() if _detail(scene, x, y)] == kept.split()


@pytest.mark.clause("430.7-a")
@pytest.mark.parametrize("blur", ["none", "beyond", "cabin"])
def test_another_face_with_the_same_means_is_the_same_scene(tmp_path: Path, blur: str) -> None:
    """430.7-a: not one bit of what was beyond the vehicle is in the file but the blocks' means."""
    block = math.ceil(BEYOND_BLOCK_M * METRE)
    row, column = int(MIDDLE[1] - METRE) // block * block, int(MIDDLE[0] - 1.6 * METRE) // block * block
    other = NOISE.copy()
    face = other[row : row + block, column : column + block]
    face[:] = face[::-1, ::-1].copy()
    assert not np.array_equal(other, NOISE)
    stored = [
        _scenes(tmp_path / name, pixels, (CAR,), f"store.blur={blur}")
        for name, pixels in (("one", NOISE), ("other", other))
    ]
    assert (stored[0] == stored[1]) is (blur != "none")


@pytest.mark.clause("430.7-a")
def test_a_scene_that_cannot_be_blurred_is_not_kept_and_the_read_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """430.7-a: never as it is; and no alarm is lost for a picture."""

    def full(*_: object, **__: object) -> Pixels:
        raise MemoryError

    monkeypatch.setattr(reading, "blurred", full)
    unit = Unit(tmp_path, [(CAR,)] * 3 + [()] * 30, "store.blur=beyond")
    loop.run(unit.parts, unit.stop)
    (read,) = unit.store.reads(ReadQuery())
    assert [one.ref.kind for one in unit.store.pictures(read.read_id)] == [PictureKind.PLATE]
    assert f"read {read.read_id} is kept without its scene, whose blur failed: MemoryError" in caplog.text


@pytest.mark.clause("430.7-a")
@pytest.mark.parametrize("blur", ["none", "cabin"])
def test_a_scene_that_is_cut_to_the_vehicle_is_blurred_as_well(tmp_path: Path, blur: str) -> None:
    """430.7-a: with both settings the cut shows no cabin."""
    (scene,) = _scenes(tmp_path, NOISE, (CAR,), "store.scene=vehicle", f"store.blur={blur}").values()
    left, top = (
        CAR.x - (VEHICLE_ASIDE - 0.5) * CAR.width,
        MIDDLE[1] - CAR.width / 4 - VEHICLE_ABOVE * CAR.width,
    )
    seen = [_detail(scene, x - left / METRE, y - top / METRE) for x, y in (CABIN, BUMPER)]
    assert seen == [blur == "none", True]


@pytest.mark.clause("430.7-a")
def test_of_two_vehicles_in_a_frame_each_scene_shows_its_own(tmp_path: Path) -> None:
    """430.7-a: the other vehicle has a scene of its own; here its plate and people are beyond."""
    other = Car("DEMO456", x=CAR.x + 3 * METRE, width=CAR.width)
    scenes = _scenes(tmp_path, NOISE, (CAR, other), "store.blur=beyond")
    x, y = PLATE
    seen = {plate: [_detail(scene, x + gap, y) for gap in (0, 3)] for plate, scene in scenes.items()}
    assert seen == {"TEST123": [True, False], "DEMO456": [False, True]}
