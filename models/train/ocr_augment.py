"""What a camera and a locator do to a plate before the OCR sees it, as 64 x 160 grey crops.

Owns placing (a box that is too tight, too loose, tilted, seen from the side) and degrading (light, blur,
low resolution, noise, compression). What a plate itself looks like is `train.synth`'s, or a photograph's.
Everything follows from the generator given; `hardness` (0..1) is the share of the full spread, for CTC
takes off only on easy pictures.
"""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.image import Picture
from train.ocr_net import HEIGHT, WIDTH

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]
"""(x, y, w, h) of a plate in pixels of the picture that it is cut from."""

MARGIN = 0.08
"""What inference takes around a Detection, as a share of its width and height: the middle of the jitter."""


FADED = 0.6
"""A filter through which a plate has less than this share of its contrast is not used: red on white is gone
in red light."""


def filtered(picture: Picture, rng: np.random.Generator) -> Grey:
    """`picture`, uint8 (h, w, 3) RGB, as grey seen through a colour filter: uint8 (h, w).

    Reading looks through the red and the blue one too, for yellow on turquoise is nothing in luma; other
    mixtures stand for other cameras and inks.
    """
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    kind = rng.random()
    share = np.eye(3)[rng.choice([0, 2])] if kind < 0.5 else rng.dirichlet((0.7, 0.7, 0.7))
    grey = picture.astype(np.float32) @ share.astype(np.float32)
    return (luma if grey.std() < FADED * luma.std() else grey).astype(np.uint8)


def place(picture: Grey, box: Box, hardness: float, rng: np.random.Generator) -> Grey:
    """Cut the plate at `box` out of `picture` as a locator would deliver it: uint8 (64, 160).

    The plate is turned and seen from the side, and what is cut is the upright box around it, a little too
    tight or too loose. What lies outside the picture repeats its edge. With `hardness` 0 the box is taken as
    it is.
    """
    x, y, w, h = box
    half = np.array([w / 2, h / 2])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    seen = corners @ _view(hardness, rng).T + rng.normal(0, 0.018 * hardness, (4, 2)) * 2 * half
    # A labelled box of a plate that leans already grows less than the box of its turned box.
    grown = rng.uniform(0.5, 1.0)
    low = (1 - grown) * -half + grown * seen.min(axis=0)
    high = (1 - grown) * half + grown * seen.max(axis=0)
    size = high - low
    spread = np.array([0.035, 0.07]) * hardness
    low = low - size * (MARGIN + rng.normal(0, spread))
    high = high + size * (MARGIN + rng.normal(0, spread))
    if rng.random() < 0.12 * hardness:  # far too loose, as around a frame
        looser = rng.uniform(0, 0.2) * np.array([1.0, 2.0]) * size
        low, high = low - looser * rng.random(2), high + looser * rng.random(2)
    elif rng.random() < 0.06 * hardness:  # the leaning plate's own corners, as a better locator gives
        low, high = seen.min(axis=0), seen.max(axis=0)
    shrink = float(high[0] - low[0]) / WIDTH
    middle = np.array([x, y]) + half
    if shrink > 1.5:  # the warp looks at neighbours alone, so a large plate is reduced first
        factor = 1.3 / shrink
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        corners, seen, low, high, middle = (part * factor for part in (corners, seen, low, high, middle))
    frame = np.array([WIDTH, HEIGHT]) / (high - low)
    target = ((seen - low) * frame).astype(np.float32)
    warp = cv2.getPerspectiveTransform((corners + middle).astype(np.float32), target)
    out: Grey = cv2.warpPerspective(
        picture, warp, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return out


def _view(hardness: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A 2x2 matrix: how a plate on a car beside the camera leans, in its own plane and with the road."""
    turn = rng.normal(0, 2.5 * hardness)
    slant, lean = rng.normal(0, 0.05 * hardness), rng.normal(0, 0.06 * hardness)
    if rng.random() < 0.2 * hardness:
        turn += rng.normal(0, 6)
        slant += rng.normal(0, 0.12)
        lean += rng.normal(0, 0.12)
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    view: NDArray[np.float64] = np.array([[c, -s], [s, c]]) @ np.array([[1.0, lean], [slant, 1.0]])
    return view


def surround(plate: Grey, rng: np.random.Generator) -> tuple[Grey, Box]:
    """A plate without a photograph around it, set into an invented bumper: the picture and the box."""
    h, w = plate.shape
    side, above = int(0.35 * w), int(0.6 * h)
    size = (h + 2 * above, w + 2 * side)
    out = np.full(size, rng.integers(0, 256), np.float32)
    if rng.random() < 0.7:
        coarse = rng.normal(0, rng.uniform(5, 45), tuple(rng.integers(2, 9, 2))).astype(np.float32)
        out += cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        for _ in range(rng.integers(1, 5)):
            y = int(rng.integers(0, size[0]))
            end = (size[1], y + int(rng.integers(-20, 20)))
            cv2.line(out, (0, y), end, float(rng.integers(0, 256)), int(rng.integers(1, 9)))
    whole = np.clip(out, 0, 255).astype(np.uint8)
    whole[above : above + h, side : side + w] = plate
    return whole, (float(side), float(above), float(w), float(h))


def degrade(crop: Grey, hardness: float, rng: np.random.Generator) -> Grey:
    """Light, blur, distance, noise and compression on a crop, uint8 (64, 160)."""
    x = crop.astype(np.float32)
    if rng.random() < 0.35 * hardness:
        x = _shadow(x, rng)
    if rng.random() < 0.07 * hardness:
        x = x + _glare(rng)
    if rng.random() < 0.5:
        contrast = rng.uniform(0.45 if hardness > 0.5 else 0.6, 1.3)
        x = (x - 128) * contrast + 128 + rng.uniform(-40, 40)
    if rng.random() < 0.3:
        x = 255 * np.power(np.clip(x / 255, 1e-3, 1), rng.uniform(0.5, 2))
    if rng.random() < 0.15 * hardness:
        x = _motion(x, rng)
    if rng.random() < 0.55 * hardness:
        x = _distance(x, rng)
    elif rng.random() < 0.5:
        x = x + rng.normal(0, rng.uniform(1, 12), x.shape).astype(np.float32)
    if rng.random() < 0.02 * hardness:
        x = 255 - x
    return np.clip(x, 0, 255).astype(np.uint8)


def gaps_between(picture: Grey, box: Box, centres: Floats) -> NDArray[np.int64] | None:
    """Columns of `picture` at which the characters of its plate begin and end, one more than `centres`.

    `centres` are the places of the characters, about, as shares of the box's width, increasing. A cut goes
    where the column between two characters varies least from top to bottom; where even that one crosses
    strokes (a plate that leans, letters that touch), there is no clean cut and None is given.
    """
    x, y, w, h = box
    rows = picture[max(int(y + 0.28 * h), 0) : int(y + 0.72 * h)].astype(np.float32)
    if rows.shape[0] < 3 or len(centres) < 3:
        return None
    spread = rows.std(axis=0)
    places = x + w * np.asarray(centres, np.float64)
    gaps = np.diff(places)
    first, last = places[0] - np.median(gaps), places[-1] + np.median(gaps)
    ends = np.concatenate([[first], places, [last]])
    cuts = []
    for left, right in pairwise(ends):
        low = max(int(left + 0.25 * (right - left)), 0)
        high = min(int(right - 0.25 * (right - left)) + 1, len(spread))
        if high - low < 1:
            return None
        cuts.append(low + int(np.argmin(spread[low:high])))
    columns = np.array(cuts)
    if (np.diff(columns) < 3).any():
        return None
    strokes = float(np.percentile(spread[columns[0] : columns[-1]], 75))
    return columns if float(spread[columns].max()) < 0.45 * strokes else None


def regrouped(picture: Grey, columns: NDArray[np.int64], rng: np.random.Generator) -> tuple[Grey, list[int]]:
    """`picture` with the characters between `columns` in another order, and that order.

    One in eight takes another's place as a copy. So a few hundred real plates give dies, paint and light, but
    no text to learn by heart.
    """
    slabs = [picture[:, left:right] for left, right in pairwise(columns)]
    order = [int(place) for place in rng.permutation(len(slabs))]
    for number in range(len(order)):
        if rng.random() < 0.125:
            order[number] = int(rng.integers(len(slabs)))
    row = np.concatenate([slabs[number] for number in order], axis=1)
    width = int(columns[-1] - columns[0])
    if row.shape[1] != width:
        row = cv2.resize(row, (width, row.shape[0]), interpolation=cv2.INTER_LINEAR)
    out = picture.copy()
    out[:, columns[0] : columns[-1]] = row
    return out, order


def _grid() -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return x, y


def _shadow(x: Floats, rng: np.random.Generator) -> Floats:
    """A straight edge of shade, sharp or soft, at any angle."""
    across, down = _grid()
    angle = rng.uniform(0, 2 * math.pi)
    side = (across / WIDTH - 0.5) * math.cos(angle) + (down / HEIGHT - 0.5) * math.sin(angle)
    edge = 1 / (1 + np.exp(-(side + rng.uniform(-0.3, 0.3)) * rng.uniform(3, 60)))
    shaded: Floats = (x * (1 - rng.uniform(0.15, 0.5) * edge)).astype(np.float32)
    return shaded


def _glare(rng: np.random.Generator) -> Floats:
    """A bright blob, as of the sun or a lamp in the plate's film."""
    across, down = _grid()
    dx = (across - rng.uniform(0, WIDTH)) / rng.uniform(10, 50)
    dy = (down - rng.uniform(0, HEIGHT)) / rng.uniform(8, 30)
    blob: Floats = (rng.uniform(60, 220) * np.exp(-(dx**2 + dy**2))).astype(np.float32)
    return blob


def _motion(x: Floats, rng: np.random.Generator) -> Floats:
    """A straight smear, along the road as often as in any direction."""
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, math.pi) if rng.random() < 0.5 else 0.0
    middle = (length - 1) / 2
    dx, dy = middle * math.cos(angle), middle * math.sin(angle)
    start = (round(middle - dx), round(middle - dy))
    cv2.line(kernel, start, (round(middle + dx), round(middle + dy)), 1.0, 1)
    smeared: Floats = cv2.filter2D(x, -1, kernel / kernel.sum())
    return smeared


def _distance(x: Floats, rng: np.random.Generator) -> Floats:
    """The plate as 44 to 180 sensor pixels saw it: optics, noise, sharpening and JPEG at that size."""
    share = float(np.exp(rng.uniform(math.log(44), math.log(180)))) / WIDTH
    size = (max(int(WIDTH * share), 26), max(int(HEIGHT * share * rng.uniform(0.6, 1.0)), 9))
    if rng.random() < 0.5:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.2, 0.6) / share)
    small = cv2.resize(x, size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6:
        small = small + rng.normal(0, rng.uniform(1, 10), small.shape).astype(np.float32)
    if rng.random() < 0.2:
        small = small + rng.uniform(0.3, 1.5) * (small - cv2.GaussianBlur(small, (0, 0), 1.2))
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 92))]
        packed = cv2.imencode(".jpg", np.clip(small, 0, 255).astype(np.uint8), quality)[1]
        small = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE).astype(np.float32)
    how = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    large: Floats = cv2.resize(small.astype(np.float32), (WIDTH, HEIGHT), interpolation=how)
    return large
