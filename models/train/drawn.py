"""The corners of labelled plates that were drawn by hand, in drawn.txt: its format and no more.

A line holds the photograph, the place of the plate in its record of scenes.jsonl (`+` for a plate without
a label), and then the corners, x and y in pixels of the photograph, clockwise from the plate's own top left
one; or `none` where no plate can be made out, one label holds two plates, or the plate has another label too.
The corners are those of the plate itself: a frame around it is left out, and where one covers the plate's
edge they follow the frame's inside; what the picture cuts off is left out too. Of a mirrored photograph they
begin at the picture's top left.

Needs neither torch nor OpenCV. The sheets to draw on are `train.draw`'s.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Quad = NDArray[np.float32]
"""Four corners (4, 2), x and y in pixels, from the top left one clockwise."""

DRAWN = Path(__file__).with_name("drawn.txt")


def load_drawn(path: Path = DRAWN) -> dict[str, dict[str, Quad | None]]:
    """The drawn corners by photograph and place: `0`, `1` ..., and `+0`, `+1` ... for those without a label.

    None stands for a label on which no plate can be made out.

    Raises:
        SystemExit: a line is damaged; the message names file and line.
    """
    found: dict[str, dict[str, Quad | None]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        image, place, *cells = line.split()
        of_image = found.setdefault(image, {})
        if place == "+":
            place = f"+{sum(key.startswith('+') for key in of_image)}"
        try:
            quad = (
                None if cells == ["none"] else np.array([float(c) for c in cells], np.float32).reshape(4, 2)
            )
        except ValueError as error:
            raise SystemExit(f"train.drawn: {path}:{number}: neither eight numbers nor none") from error
        if place in of_image:
            raise SystemExit(f"train.drawn: {path}:{number}: place {place} of {image} is there twice")
        if quad is not None and not clockwise(quad):
            raise SystemExit(f"train.drawn: {path}:{number}: the corners do not go clockwise")
        of_image[place] = quad
    return found


def clockwise(quad: Quad) -> bool:
    """Whether the corners enclose an area and go clockwise (y points down)."""
    x, y = quad.T.astype(np.float64)
    return bool((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0)


def from_top_left(quad: Quad) -> bool:
    """Whether a foreign label's corners begin at the top left one, as far as one can tell without reading."""
    (left, top), (right, _), _, (_, bottom) = quad
    return clockwise(quad) and bool(left < right and top < bottom)


def box_of(quad: Quad) -> tuple[float, float, float, float]:
    """The upright box (x, y, w, h) around four corners."""
    (left, top), (right, bottom) = quad.min(0), quad.max(0)
    return float(left), float(top), float(right - left), float(bottom - top)


def corners_of(box: tuple[float, float, float, float]) -> Quad:
    """The corners of an upright box (x, y, w, h)."""
    x, y, w, h = box
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float32)


def line_of(image: str, place: str, quad: Quad | None) -> str:
    """A line of the file, without its end."""
    what = "none" if quad is None else " ".join(f"{value:.1f}" for value in quad.ravel())
    return f"{image} {place} {what}"
