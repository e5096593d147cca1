"""Privacy masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.masks import Masks

shares = st.floats(0, 1, width=32)


@pytest.mark.clause("430.7-a")
@settings(deadline=None)
@given(shares, shares, shares, shares, st.integers(8, 90), st.integers(8, 90))
def test_a_rectangle_is_black_and_the_rest_untouched(
    x: float, y: float, w: float, h: float, rows: int, columns: int
) -> None:
    """430.7-a: nothing under a mask is left, and nothing a pixel away from it is taken."""
    w, h = w * (1 - x), h * (1 - y)
    image = np.full((rows, columns, 3), 200, np.uint8)
    assert Masks([(x, y, w, h)]).apply(image) is image
    row, column = np.mgrid[:rows, :columns]
    inside = (column >= x * columns) & (column + 1 <= (x + w) * columns)
    inside &= (row >= y * rows) & (row + 1 <= (y + h) * rows)
    assert not image[inside].any()
    outside = (column + 2 <= x * columns) | (column >= (x + w) * columns + 1)
    outside |= (row + 2 <= y * rows) | (row >= (y + h) * rows + 1)
    assert (image[outside] == 200).all()


def test_a_polygon_in_pictures_of_every_size() -> None:
    masks = Masks([(0.0, 0.0, 1.0, 0.0, 0.0, 1.0)])
    for shape in ((100, 100), (50, 80), (360, 640, 3)):
        image = masks.apply(np.full(shape, 9, np.uint8))
        height, width = shape[:2]
        assert not image[height // 4, width // 4].any()
        assert image[-2, -2].any()


def test_a_picture_that_may_not_be_written_is_copied() -> None:
    image = np.full((40, 40), 9, np.uint8)
    image.flags.writeable = False
    masked = Masks([(0.0, 0.0, 1.0, 1.0)]).apply(image)
    assert not masked.any()
    assert image.all()
    assert Masks([]).apply(image) is image
