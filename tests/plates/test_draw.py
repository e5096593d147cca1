"""A drawn plate: its size, its serial whole and within its room, its errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from hw import sim
from plates.draw import PlateDesign, draw_plate
from plates.errors import DesignError

FONT = Path(sim.__path__[0], "fonts", "BarlowSemiCondensed-Medium.ttf")
BARE = PlateDesign(font=FONT, background=(255, 255, 255), foreground=(0, 0, 0), bolts=False, embossed=False)


def design(**changes: object) -> PlateDesign:
    made: dict[str, object] = {name: getattr(BARE, name) for name in PlateDesign.__slots__}
    return PlateDesign(**{**made, **changes})  # type: ignore[arg-type]


def ink(picture: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (exclusive) of what is painted on a white plate."""
    painted = ImageChops.invert(Image.fromarray(picture).convert("L")).point(lambda value: 255 * (value > 64))
    box = painted.getbbox()
    assert box is not None
    return box


@settings(max_examples=25, deadline=None)
@given(
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -", min_size=1, max_size=12).filter(
        lambda text: text.strip(" -")
    ),
    st.integers(40, 200),
    st.sampled_from([None, 0.6, 0.75]),
)
def test_serial_stays_on_the_plate_within_its_margins(text: str, width: int, pitch: float | None) -> None:
    picture = draw_plate(text, design(pitch=pitch), width)
    assert (picture.dtype, picture.shape) == (np.uint8, (round(width / 2), width, 3))
    left, top, right, bottom = ink(picture)
    height = picture.shape[0]
    assert 0.08 * height - 1 <= left
    assert right <= width - 0.08 * height + 1
    middle = 0.52 * height
    assert middle - 0.23 * height - 2 <= top
    assert bottom <= middle + 0.23 * height + 2


def test_a_q_keeps_its_tail() -> None:
    """Cut at the base line a Q would be an O, and readers would be tried on a text that is not there."""
    o, q = (np.asarray(Image.fromarray(draw_plate(char, BARE, 800)).convert("L"), int) for char in "OQ")
    differs = np.abs(o - q) > 100
    # Squeezed in with its tail a Q differs from an O all around; cut off, in its inner stroke alone.
    assert differs.sum() > 0.25 * (o < 128).sum()


def test_all_characters_stand_on_one_line() -> None:
    bottoms = {char: ink(draw_plate(char, BARE, 400))[3] for char in "AEHQ178"}
    assert max(bottoms.values()) - min(bottoms.values()) <= 2, bottoms


def test_a_space_makes_a_gap_and_a_dash_a_small_mark() -> None:
    columns = {text: (draw_plate(text, BARE, 800)[..., 0] < 128).any(axis=0) for text in ("H H", "H-H", "HH")}
    runs = {text: int(np.count_nonzero(np.diff(there.astype(int)) == 1)) for text, there in columns.items()}
    assert runs == {"HH": 2, "H H": 2, "H-H": 3}
    spans = {text: int(np.ptp(np.flatnonzero(there))) for text, there in columns.items()}
    assert spans["H H"] > spans["HH"]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"band": (0, 0, 200)}, (slice(40, 160), slice(4, 60))),
        ({"border": (200, 0, 0)}, (slice(0, 12), slice(100, 300))),
        ({"state": "NOWHERE"}, (slice(5, 50), slice(80, 320))),
        ({"slogan": "INVENTED"}, (slice(150, 195), slice(80, 320))),
        ({"bolts": True}, (slice(8, 22), slice(48, 64))),
    ],
)
def test_each_part_of_a_design_is_where_it_should_be(
    changes: dict[str, object], where: tuple[slice, slice]
) -> None:
    plain, with_part = draw_plate("AB12", BARE, 400), draw_plate("AB12", design(**changes), 400)
    assert (plain[where] == 255).all()
    assert (with_part[where] < 200).any()


def test_embossing_throws_light_and_shade() -> None:
    grey = (150, 150, 150)
    values = draw_plate("AB12", design(background=grey, embossed=True), 400)[..., 0]
    assert values.max() > 200
    assert np.count_nonzero((values > 100) & (values < 115)) > 20


@pytest.mark.parametrize(
    ("text", "width", "changes", "told"),
    [
        ("AB12", 7, {}, "width"),
        ("AB12", 2049, {}, "width"),
        ("AB12", 100, {"aspect": 0.5}, "aspect"),
        ("AB12", 100, {"text_height": 0.95}, "text_height"),
        (" - ", 100, {}, "needs a text"),
        ("AB12", 100, {"font": "no-such-font.ttf"}, r"no-such-font\.ttf"),
    ],
)
def test_what_cannot_be_drawn_is_a_design_error(
    text: str, width: int, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(DesignError, match=told):
        draw_plate(text, design(**changes), width)
