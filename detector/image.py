"""Pictures as arrays: opening, fitting into a model's input, cutting a plate out.

Owns every use of Pillow in `detector`. A picture is uint8 (height, width, 3), RGB. `open_image` gives it as
stored in its file, so that boxes mean pixels of the file, `open_upright` as its orientation tag turns it.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from detector.errors import ImageError
from detector.types import Point

Picture = NDArray[np.uint8]
_ORIENTATION_TAG = 0x0112
_ONE_PICTURE = ("MPO", "PSD")
"""Formats that keep a smaller copy, or layers, beside the picture itself."""
_MEGAPIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
"""More than so many Pillow does not open."""


def open_image(path: Path | str) -> Picture:
    """The picture in the file `path`: uint8 (height, width, 3), RGB, as stored; a TIFF as its tag turns it.

    Raises:
        ImageError: the file is missing, no picture, damaged or too large; the line names it.
    """
    with _opened(path) as image:
        return _rgb(image)


def open_upright(path: Path | str) -> tuple[Picture, int, bool]:
    """The picture in the file `path` as it is to be looked at, how it was turned for that, and whether the
    file holds more.

    Returns:
        uint8 (height, width, 3), RGB; the orientation tag (EXIF 2.3): 1, which is as stored, to 8, and 1
        where there is none to be believed; and whether the file holds more pictures, of which this is the
        first: pages of a TIFF, frames of an animation. Copies and layers of the same picture are none.

    Raises:
        ImageError: as of `open_image`.
    """
    with _opened(path) as image:
        # Not counted: the others may be damaged.
        more: bool = image.format not in _ONE_PICTURE and getattr(image, "is_animated", False)
        # Asked before the pixels are: with them Pillow turns a TIFF by itself, and takes its tag away.
        tag = image.getexif().get(_ORIENTATION_TAG, 1)
        upright = _rgb(ImageOps.exif_transpose(image))
    return upright, tag if isinstance(tag, int) and 1 <= tag <= 8 else 1, more


@contextmanager
def _opened(path: Path | str) -> Iterator[Image.Image]:
    """The file as Pillow opens it; what is wrong with it, while it is read too, is an ImageError."""
    # To open a named pipe would be to wait for whoever writes it, if anybody does. One that a shell made and
    # opened, as /dev/stdin, has no name to be resolved to.
    if Path(os.path.realpath(path)).is_fifo():
        raise ImageError(f"{path}: not a picture: a named pipe")
    try:
        # What is odd about a tag is no news to whoever looks for a plate.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            yield image
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: not a picture of a kind that can be read") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot read the picture: {error.strerror or error}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{path}: the picture is too large: at most {_MEGAPIXELS} megapixels can be read"
        ) from error
    except (ValueError, SyntaxError, RuntimeError) as error:
        # RuntimeError is what Pillow's decoder of AVIF raises.
        raise ImageError(f"{path}: damaged picture: {error}") from error


def _rgb(image: Image.Image) -> Picture:
    """The picture's pixels, uint8 (height, width, 3)."""
    if image.mode.startswith(("I", "F")):
        # Grey of more than 8 bits, in whatever unit: Pillow would make white of all that is over 255.
        deep = np.asarray(image, np.float32)
        image = Image.fromarray((deep * (255 / max(deep.max(), 1e-9))).clip(0, 255).astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def check_picture(image: Picture) -> None:
    """Raises ImageError where `image` is not uint8 (height, width, 3) with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(f"a picture is uint8 (height, width, 3), not {image.dtype} {image.shape}")


def resize_for(
    image: Picture, size: tuple[int, int], share: float = 1.0
) -> tuple[Picture, float, tuple[int, int]]:
    """Fit `image` into `size` = (height, width) without a change of shape; black fills the rest.

    Args:
        image: uint8 (height, width, 3).
        size: (height, width) of what is returned.
        share: of the height or width of `size` that the image reaches, 0..1.

    Returns:
        The fitted picture, uint8 (height, width, 3); `scale`, its pixels per pixel of `image`; and
        `offset` = (x, y) of the image's top left corner in it. So a point p of the image is at
        p * scale + offset.
    """
    check_picture(image)
    height, width = size
    if image.shape[:2] == size and share == 1:
        return image, 1.0, (0, 0)
    scale = share * min(height / image.shape[0], width / image.shape[1])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    if inner == (image.shape[1], image.shape[0]):
        small = image
    else:
        # reducing_gap: whole-number reduction first, which is a cheap box filter, then the fine step.
        small = np.asarray(Image.fromarray(image).resize(inner, Image.Resampling.BILINEAR, reducing_gap=1.0))
    fitted = np.zeros((height, width, 3), np.uint8)
    offset = ((width - inner[0]) // 2, (height - inner[1]) // 2)
    fitted[offset[1] : offset[1] + inner[1], offset[0] : offset[0] + inner[0]] = small
    return fitted, scale, offset


def crop_box(
    image: Picture, box: tuple[float, float, float, float], margin: float, size: tuple[int, int]
) -> Picture:
    """Cut the upright `box` (x, y, w, h) and `margin` times its sides around it, fitted to `size`.

    Faster than `crop_quad`. What lies outside of `image` is black.

    Returns:
        uint8 (height, width, 3), RGB; size is (height, width).

    Raises:
        ImageError: `image` is no picture, or the box has no area.
    """
    check_picture(image)
    x, y, w, h = box
    if not (w > 0 and h > 0):
        raise ImageError(f"a box has a width and a height, not {w:g} and {h:g}")
    height, width = size
    left, top, across, down = x - margin * w, y - margin * h, (1 + 2 * margin) * w, (1 + 2 * margin) * h
    # The part of the target that shows the image, in whole pixels, and what of the image it shows.
    ends = [
        (
            max(0, math.ceil(-left / across * width)),
            min(width, int((image.shape[1] - left) / across * width)),
        ),
        (max(0, math.ceil(-top / down * height)), min(height, int((image.shape[0] - top) / down * height))),
    ]
    out = np.zeros((height, width, 3), np.uint8)
    (x0, x1), (y0, y1) = ends
    if x1 <= x0 or y1 <= y0:
        return out
    edges = (
        left + x0 * across / width,
        top + y0 * down / height,
        left + x1 * across / width,
        top + y1 * down / height,
    )
    low_x, low_y = max(int(edges[0]), 0), max(int(edges[1]), 0)
    high_x = min(math.ceil(edges[2]), image.shape[1])
    high_y = min(math.ceil(edges[3]), image.shape[0])
    part = Image.fromarray(np.ascontiguousarray(image[low_y:high_y, low_x:high_x]))
    inner = (
        max(edges[0] - low_x, 0.0),
        max(edges[1] - low_y, 0.0),
        min(edges[2] - low_x, float(part.width)),
        min(edges[3] - low_y, float(part.height)),
    )
    out[y0:y1, x0:x1] = np.asarray(
        part.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=inner, reducing_gap=1.0)
    )
    return out


class Light(Enum):
    """What of a picture's colours is taken: all of them, their luma, or what a filter lets through."""

    RGB = "RGB"
    LUMA = "L"
    RED = "R"
    BLUE = "B"


def crop_quad(
    image: Picture, corners: Sequence[Point], margin: float, size: tuple[int, int], light: Light
) -> Picture:
    """Cut the quadrangle `corners` out of `image`, straightened to `size` = (height, width).

    Args:
        corners: top left, top right, bottom right, bottom left in pixels of `image`; they may lie
            outside of it, what is not there is black.
        margin: how much more is taken on each side, as a share of the quadrangle's own width
            and height; negative cuts into it.
        light: RGB gives uint8 (height, width, 3), every other uint8 (height, width).

    Raises:
        ImageError: `image` is no picture or the corners do not span an area.
    """
    check_picture(image)
    height, width = size
    quad = _grow(np.asarray(corners, np.float64), margin)
    low = np.floor(quad.min(axis=0)).astype(int) - 1
    high = np.ceil(quad.max(axis=0)).astype(int) + 2
    left, top = (int(n) for n in np.clip(low, 0, [image.shape[1] - 1, image.shape[0] - 1]))
    right, bottom = (int(n) for n in np.minimum(high, [image.shape[1], image.shape[0]]))
    if right <= left or bottom <= top:
        return np.zeros((height, width, 3) if light is Light.RGB else (height, width), np.uint8)
    part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    if light is Light.LUMA:
        part = part.convert("L")
    elif light is not Light.RGB:
        part = part.getchannel(light.value)
    quad -= [left, top]
    # A large plate is reduced first: the transform samples only the neighbours of each point.
    factor = int(min(_length(quad, 0, 1) / width, _length(quad, 0, 3) / height))
    if factor > 1:
        part = part.reduce(factor)
        quad /= factor
    target = [(0.0, 0.0), (width, 0.0), (float(width), float(height)), (0.0, float(height))]
    coefficients = _perspective(target, quad)
    straight = part.transform(
        (width, height), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(straight)


def _grow(quad: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Move each corner outwards along both of its sides by `margin` times the side's length."""
    if quad.shape != (4, 2) or not np.isfinite(quad).all():
        raise ImageError(f"a plate has four corners, not {quad.tolist()}")
    x, y = quad[:, 0], quad[:, 1]
    area = 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    if area <= 1e-6:
        raise ImageError(f"the corners span no area in the order given: {quad.tolist()}")
    along = np.array([quad[0] - quad[1], quad[1] - quad[0], quad[2] - quad[3], quad[3] - quad[2]])
    across = np.array([quad[0] - quad[3], quad[1] - quad[2], quad[2] - quad[1], quad[3] - quad[0]])
    grown: NDArray[np.float64] = quad + margin * (along + across)
    return grown


def _length(quad: NDArray[np.float64], a: int, b: int) -> float:
    return math.dist(quad[a], quad[b])


def _perspective(source: Sequence[Point], target: NDArray[np.float64]) -> tuple[float, ...]:
    """The eight numbers of the projective map that takes `source` points to `target` points.

    With (x, y) of the source, the target is ((a x + b y + c) / (g x + h y + 1), (d x + e y + f) / (...)):
    two linear equations a point, solved for a..h.
    """
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        right += [u, v]
    try:
        return tuple(np.linalg.solve(np.array(rows, np.float64), np.array(right, np.float64)))
    except np.linalg.LinAlgError as error:
        raise ImageError(f"the corners span no quadrangle: {target.tolist()}") from error
