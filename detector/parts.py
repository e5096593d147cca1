"""Parts of a picture, each looked at as if it were one, so that what is small in a large picture is found.

Owns where the parts lie. It looks at nothing itself.
"""

from __future__ import annotations

import math

import numpy as np

from detector.types import Detection

OVERLAP = 0.25
"""Parts beside each other share at least this much of their sides: a plate that one cuts in two stands whole
in the next, unless it is so large that the whole picture shows it."""
_ROOMIER = 1.15
"""So much larger a part is than the picture over `times`: else overlapping ones would be more of them."""
_EDGE_PX = 2.0

Area = tuple[int, int, int, int]
"""(x, y, w, h) in pixels of the picture."""


def shown_at(size: tuple[int, int], within: tuple[int, int]) -> float:
    """Pixels of an input `within` = (height, width) per pixel of a picture of `size` = (width, height) fitted
    into it."""
    return min(within[0] / size[1], within[1] / size[0])


def parts(size: tuple[int, int], within: tuple[int, int], times: int) -> list[Area]:
    """The parts of a picture that show it about `times` as large as the whole one is shown.

    Args:
        size: (width, height) of the picture in pixels.
        within: (height, width) of the input that each part is fitted into.
        times: 2 or more.

    Returns:
        Areas that cover the picture, row by row; those of a row, and rows, overlap by OVERLAP of their sides
        or more.
    """
    scale = shown_at(size, within) * times / _ROOMIER
    wide, tall = min(size[0], math.ceil(within[1] / scale)), min(size[1], math.ceil(within[0] / scale))
    return [(x, y, wide, tall) for y in _starts(size[1], tall) for x in _starts(size[0], wide)]


def stands_whole(place: Detection, part: Area, size: tuple[int, int]) -> bool:
    """Whether `place`, in pixels of `part`, touches no edge at which a picture of `size` goes on."""
    x, y, w, h = place.box
    left, top, wide, tall = part
    return not (
        (x < _EDGE_PX and left > 0)
        or (y < _EDGE_PX and top > 0)
        or (x + w > wide - _EDGE_PX and left + wide < size[0])
        or (y + h > tall - _EDGE_PX and top + tall < size[1])
    )


def _starts(length: int, part: int) -> list[int]:
    count = 1 if part >= length else math.ceil((length - OVERLAP * part) / ((1 - OVERLAP) * part))
    return [int(start) for start in np.linspace(0, length - part, count)]
