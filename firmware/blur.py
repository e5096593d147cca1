"""The optional blur of a scene picture: people beside and inside the vehicle are averaged away (430.7-a).

Owns where the vehicle lies in the picture, how far the blur reaches and how coarse it is. All of it follows
from the plate, whose size in metres is known; nothing looks for people or faces. Pure: pictures in, pictures
out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from detector.types import Point
from hw.protocols import Pixels

US_PLATE = (0.305, 2.0)
EU_PLATE = (0.52, 4.7)
"""Width in metres, and widths to a height. Of plates between the two the width lies between, too: Brazil's
and Australia's, and a European one seen from the side."""

ASIDE_M, ABOVE_M, BELOW_M = 1.1, 1.4, 0.7
"""How far a vehicle seen from its front or rear reaches from its plate's centre: cars and vans are 1.7 to
2.0 m wide, their plates 0.3 to 1.0 m above the road and seldom far from the middle."""

FLANK_M = 2.5
"""How much farther to one side a vehicle reaches that shows its flank."""

LEVEL, SLANTED = 0.03, 0.13
"""A camera that looks down sees a slanted plate on a vehicle that shows its flank, which is on the side where
the plate is lower: up to the one slope it is taken for none, from the other on for a whole one."""

CABIN_M = 0.25
"""So much above the plate's centre the blur of the cabin begins. Rear windows begin there; of a front the
lamps are below, and the windscreen is higher up."""

CABIN_BLOCK_M = 0.1
"""A face, 0.16 m by 0.24 m, touches at most 3 by 4 such blocks; the roof's outline and the paint remain."""

BEYOND_BLOCK_M = 0.2
"""Coarser than in the cabin, since people may stand nearer to the camera than the vehicle does ..."""

BEYOND_BLOCKS = 24
"""... and at most so many blocks to the picture's height, however small the plate."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of whole pixels within a picture; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def within(cls, image: Pixels, left: float, top: float, right: float, bottom: float) -> Area:
        """The pixels of `image` that the rectangle touches; none where it lies outside."""
        height, width = image.shape[:2]
        x0, y0 = min(max(math.floor(left), 0), width), min(max(math.floor(top), 0), height)
        return cls(x0, y0, min(max(math.ceil(right), x0), width), min(max(math.ceil(bottom), y0), height))

    def of(self, image: Pixels) -> Pixels:
        """Its part of `image`, not copied."""
        return image[self.top : self.bottom, self.left : self.right]


def blurred(image: Pixels, corners: Sequence[Point], *, cabin: bool) -> Pixels:
    """A copy of `image` in which the mean of each block has taken the place of its pixels.

    Args:
        image: uint8 (height, width, 3); it is not changed.
        corners: the plate's top left, top right, bottom right and bottom left in pixels of `image`; they may
            lie outside of it.
        cabin: blur the vehicle too, from CABIN_M above its plate upwards.

    Returns:
        uint8 (height, width, 3). Beyond the vehicle a block is BEYOND_BLOCK_M wide or more, in the cabin
        CABIN_BLOCK_M; the rest, the plate with a margin among it, is as in `image`.
    """
    metre, rise = _measure(corners)
    x, y = sum(x for x, _ in corners) / len(corners), sum(y for _, y in corners) / len(corners)
    flank = FLANK_M * min(max((abs(rise) - LEVEL) / (SLANTED - LEVEL), 0.0), 1.0)
    left = x - (ASIDE_M + (flank if rise > 0 else 0.0)) * metre
    right = x + (ASIDE_M + (flank if rise < 0 else 0.0)) * metre
    top, waist, bottom = (y + metres * metre for metres in (-ABOVE_M, -CABIN_M, BELOW_M))

    out = _means(image, max(BEYOND_BLOCK_M * metre, image.shape[0] / BEYOND_BLOCKS))
    body = Area.within(image, left, waist if cabin else top, right, bottom)
    body.of(out)[:] = body.of(image)
    if cabin:
        upper = Area.within(image, left, top, right, body.top)
        upper.of(out)[:] = _means(upper.of(image), CABIN_BLOCK_M * metre)
    return out


def _measure(corners: Sequence[Point]) -> tuple[float, float]:
    """Pixels to a metre at the plate, 1 or more, and how much the plate rises to the right, in its widths.

    Taken along the plate's edges, so that a tilt makes nothing larger.
    """
    top_left, top_right, bottom_right, bottom_left = corners
    width = (math.dist(top_left, top_right) + math.dist(bottom_left, bottom_right)) / 2
    height = (math.dist(top_left, bottom_left) + math.dist(top_right, bottom_right)) / 2
    (us, us_aspect), (eu, eu_aspect) = US_PLATE, EU_PLATE
    metres = float(np.interp(width / max(height, 1.0), (us_aspect, eu_aspect), (us, eu)))
    rise = (top_left[1] - top_right[1] + bottom_left[1] - bottom_right[1]) / 2
    return max(width / metres, 1.0), rise / max(width, 1.0)


def _means(image: Pixels, side: float) -> Pixels:
    """`image` in blocks of `side` pixels or more, each filled with its mean; the last ones are cut."""
    height, width = image.shape[:2]
    if not image.size:
        return image
    # A larger one covers no more of the picture, but would be made in full: gigabytes for a stray corner.
    block = min(math.ceil(side), max(height, width))
    small = Image.fromarray(image).reduce((min(block, width), min(block, height)))
    large = small.resize((small.width * block, small.height * block), Image.Resampling.NEAREST)
    return np.array(large)[:height, :width]
