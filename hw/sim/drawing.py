"""How the simulated street looks: road, houses, trees, vehicles, plates, by day, at dusk and by night.

Owns the pixels. Which vehicles pass is `hw.sim.traffic`'s. Fonts, plate designs and backgrounds here are
used for nothing else: the models are never trained on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from hw.protocols import Pixels
from hw.sim import bodies
from hw.sim.traffic import TRUCK, Passage
from plates.draw import Colour, PlateDesign, draw_plate

FONTS: Final = Path(__file__).with_name("fonts")
BACKGROUNDS: Final = 6
"""How many streets there are."""
PLATE_SHARE: Final = 0.168
"""A US plate (12 inches) against the width of a car."""


def _design(font: str, background: Colour, foreground: Colour, **rest: object) -> PlateDesign:
    return PlateDesign(FONTS / font, background=background, foreground=foreground, **rest)  # type: ignore[arg-type]


_BARLOW, _BARLOW_WIDE, _SOFIA = (
    *("BarlowCondensed-SemiBold.ttf", "BarlowSemiCondensed-Medium.ttf", "SofiaSansCondensed-Bold.ttf"),
)
DESIGNS: Final = (
    _design(_BARLOW, (236, 238, 240), (28, 40, 96), state="CASCADIA", slogan="LAND OF LAKES"),
    _design(_BARLOW_WIDE, (240, 236, 220), (120, 24, 32), state="Meridian", small_colour=(30, 70, 130)),
    _design(_SOFIA, (222, 230, 238), (20, 20, 24), state="NEW HAVEN", border=(20, 20, 24)),
    _design(_BARLOW, (28, 66, 120), (236, 226, 150), state="PACIFICA", slogan="GOLDEN COAST"),
    _design(_BARLOW_WIDE, (214, 228, 208), (16, 84, 52), state="Arbor", slogan="the forest state"),
    _design(_SOFIA, (242, 226, 132), (24, 24, 24), state="EMPIRIA", border=(24, 24, 24)),
    _design(_BARLOW_WIDE, (238, 238, 238), (24, 24, 24), state="TERRITORY", small_colour=(150, 30, 30)),
    _design(_SOFIA, (198, 214, 232), (28, 34, 110), state="Lakeland", slogan="est. 1819"),
)
"""Invented states' plates."""


@dataclass(frozen=True, slots=True)
class Light:
    """How bright the parts of a street are: factors on their colours by day, and the sky's colour."""

    scene: float
    plate: float
    lamps: float
    sky: Colour


LIGHT: Final = {
    "day": Light(1.0, 1.0, 0.0, (188, 206, 226)),
    "dusk": Light(0.34, 0.5, 0.6, (96, 92, 118)),
    # A unit's infrared lamp makes the plate's film the brightest thing in the picture.
    "night": Light(0.09, 0.78, 1.0, (10, 11, 16)),
}


@lru_cache(maxsize=BACKGROUNDS * 3)
def background(number: int, light: str, size: tuple[int, int]) -> Pixels:
    """The empty street: uint8 (h, w, 3) for `size` = (width, height)."""
    random, width, height = Random(number), *size
    image = Image.new("RGB", size, LIGHT["day"].sky)
    draw = ImageDraw.Draw(image)
    horizon = int(height * random.uniform(0.16, 0.26))
    x = -20
    while x < width:
        wide, tall = random.randint(60, 240), random.randint(horizon // 2, horizon + 30)
        grey = random.randint(90, 190)
        colour = tuple(grey + random.randint(-25, 25) for _ in range(3))
        draw.rectangle((x, horizon + 40 - tall, x + wide, horizon + 60), fill=colour)
        for row in range(horizon + 46 - tall, horizon + 30, 22):
            for column in range(x + 8, x + wide - 12, 26):
                draw.rectangle((column, row, column + 12, row + 13), fill=(70, 80, 92))
        x += wide + random.randint(0, 60)
    for _ in range(random.randint(4, 12)):
        cx, r = random.randint(0, width), random.randint(24, 70)
        green = random.randint(60, 110)
        for _ in range(40):
            dx, dy = random.gauss(0, r / 2), random.gauss(0, r / 2)
            leaf = (green - 25 + random.randint(-12, 12), green + random.randint(-14, 14), green - 40)
            box = (cx + dx - 9, horizon - r + dy, cx + dx + 9, horizon - r + dy + 16)
            draw.ellipse(box, fill=leaf)
    asphalt = random.randint(96, 128)
    draw.rectangle((0, horizon + 40, width, height), fill=(asphalt + 40, asphalt + 42, asphalt + 30))
    vanish = width * random.uniform(0.4, 0.6)
    spread = width * random.uniform(0.75, 1.1)
    road = [(vanish - 60, horizon + 40), (vanish + 60, horizon + 40), (vanish + spread, height)]
    draw.polygon([*road, (vanish - spread, height)], fill=(asphalt, asphalt, asphalt + 3))
    for side in (-0.36, 0.36):
        line = [(vanish + 60 * side, horizon + 40), (vanish + 60 * side + 2, horizon + 40)]
        low = vanish + spread * side
        draw.polygon([*line, (low + 14, height), (low, height)], fill=(214, 212, 200))
    picture: npt.NDArray[np.float32] = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    grain = np.random.default_rng(number).normal(0.0, 5.0, (height, width, 1))
    picture = (picture + grain).astype(np.float32)
    fade = np.linspace(0.92, 1.06, height)[:, None, None]
    lit = picture * fade * LIGHT[light].scene
    if light != "day":
        sky = np.asarray(LIGHT[light].sky, np.float32)
        haze = np.clip(np.linspace(0.75, 0.0, horizon + 60), 0.0, 0.5)[:, None, None]
        lit[: horizon + 60] = (1 - haze) * lit[: horizon + 60] + haze * sky
    return np.clip(lit, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle's pictures, all of the same size, with the plate's corners in them.

    Attributes:
        body: RGBA with the plate in place.
        glow: RGB, what its lamps add.
        corners: of the plate, top left first, clockwise, in pixels of `body`.
    """

    body: Image.Image
    glow: Image.Image
    corners: tuple[tuple[float, float], ...]

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the plate."""
        return sum(x for x, _ in self.corners) / 4, sum(y for _, y in self.corners) / 4


@lru_cache(maxsize=8)
def vehicle(passage: Passage) -> Vehicle:
    """The vehicle of a passage, drawn once at its largest."""
    light = LIGHT[passage.light]
    drawn = (bodies.truck if passage.body & TRUCK else bodies.car)(
        passage.body, rear=passage.receding, lamps=passage.light != "day"
    )
    body, glow, middle_y = drawn.body, drawn.glow, drawn.middle_y
    corners = _plate_corners(passage, bodies.WIDTH, middle_y)
    holder = [(x + (x > bodies.WIDTH / 2) * 10 - 5, y + (y > middle_y) * 14 - 7) for x, y in corners]
    ImageDraw.Draw(body).polygon(holder, fill=(26, 26, 28))
    dark = ImageChops.multiply(body.convert("RGB"), Image.new("RGB", body.size, _grey(light.scene)))
    dark.putalpha(body.getchannel("A"))
    _mount(dark, passage, corners, light.plate * passage.gain)
    if light.lamps:
        soft = glow.filter(ImageFilter.GaussianBlur(26))
        glow = ImageChops.add(ImageChops.add(glow, soft), soft)
        glow = glow.point(lambda value: int(value * light.lamps))
    return Vehicle(dark, glow, corners)


def _grey(factor: float) -> Colour:
    level = round(255 * min(factor, 1.0))
    return level, level, level


def _plate_corners(passage: Passage, width: int, middle_y: float) -> tuple[tuple[float, float], ...]:
    """The plate on the vehicle, narrowed and sheared as seen from the side, tilted by its roll."""
    plate_w = width * PLATE_SHARE * math.cos(math.radians(passage.yaw))
    plate_h = width * PLATE_SHARE * 0.5
    shear = math.tan(math.radians(passage.yaw)) * plate_w * 0.12
    c, s = math.cos(math.radians(passage.roll)), math.sin(math.radians(passage.roll))
    points = []
    for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = sx * plate_w / 2, sy * plate_h / 2 + sx * shear / 2
        points.append((width / 2 + c * x - s * y, middle_y + s * x + c * y))
    return tuple(points)


def _mount(
    body: Image.Image, passage: Passage, corners: tuple[tuple[float, float], ...], brightness: float
) -> None:
    """Put the plate on: drawn large, then projected."""
    large = draw_plate(passage.text, DESIGNS[passage.design % len(DESIGNS)], 640)
    lit = np.clip(large.astype(np.float32) * brightness, 0, 255).astype(np.uint8)
    plate = Image.fromarray(lit).convert("RGBA")
    left, top = (math.floor(min(p[k] for p in corners)) for k in (0, 1))
    right, bottom = (math.ceil(max(p[k] for p in corners)) for k in (0, 1))
    factor = 3  # projected at three times the size, so that the pixels of the last step are averages
    size = ((right - left) * factor, (bottom - top) * factor)
    target = [((x - left) * factor, (y - top) * factor) for x, y in corners]
    source = [(0.0, 0.0), (plate.width, 0.0), (float(plate.width), float(plate.height)), (0.0, plate.height)]
    rows, right_side = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right_side += [u, v]
    found = np.linalg.solve(np.array(rows), np.array(right_side))
    flat = plate.transform(size, Image.Transform.PERSPECTIVE, tuple(found), Image.Resampling.BICUBIC)
    body.alpha_composite(flat.resize((right - left, bottom - top), Image.Resampling.BOX), (left, top))


def compose(canvas: Pixels, passage: Passage, seconds: float) -> tuple[float, float, float, float] | None:
    """Draw a passage's vehicle into `canvas`, uint8 (h, w, 3), in place, `seconds` after it came into view.

    Returns:
        The box (x, y, w, h) of its plate in pixels, None where less than all of it is in the picture.
    """
    height, width = canvas.shape[:2]
    drawn = vehicle(passage)
    factor = passage.width * passage.scale(seconds) / (bodies.WIDTH * PLATE_SHARE)
    size = (max(int(drawn.body.width * factor), 8), max(int(drawn.body.height * factor), 8))
    fx, fy = size[0] / drawn.body.width, size[1] / drawn.body.height
    px, py = passage.place(seconds)
    left = round(px * width - drawn.middle[0] * fx)
    top = round(py * height - drawn.middle[1] * fy)
    body = np.asarray(drawn.body.resize(size, Image.Resampling.BOX, reducing_gap=2.0))
    glow = None
    if LIGHT[passage.light].lamps:
        glow = np.asarray(drawn.glow.resize(size, Image.Resampling.BOX, reducing_gap=2.0))
    ahead_x, ahead_y = passage.place(seconds + 0.02)
    smear = (
        (ahead_x - px) * width / 0.02 * passage.shutter,
        (ahead_y - py) * height / 0.02 * passage.shutter,
    )
    _paste(canvas, body, glow, left, top, smear)
    xs = [left + x * fx for x, _ in drawn.corners]
    ys = [top + y * fy for _, y in drawn.corners]
    if min(xs) < 0 or min(ys) < 0 or max(xs) > width or max(ys) > height:
        return None
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _paste(
    canvas: Pixels, body: Pixels, glow: Pixels | None, left: int, top: int, smear: tuple[float, float]
) -> None:
    """Blend a vehicle in, smeared by its way during the exposure."""
    steps = min(int(max(abs(smear[0]), abs(smear[1]))) + 1, 12)
    offsets = [
        (round(smear[0] * (k / max(steps - 1, 1) - 0.5)), round(smear[1] * (k / max(steps - 1, 1) - 0.5)))
        for k in range(steps)
    ]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + body.shape[1], canvas.shape[1]), min(top + body.shape[0], canvas.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    total = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
    under = canvas[y0:y1, x0:x1].astype(np.float32)
    for dx, dy in offsets:
        part = _window(body, x0 - left - dx, y0 - top - dy, x1 - x0, y1 - y0)
        alpha = part[:, :, 3:].astype(np.float32) / 255
        one = under * (1 - alpha) + part[:, :, :3] * alpha
        if glow is not None:
            one += _window(glow, x0 - left - dx, y0 - top - dy, x1 - x0, y1 - y0)
        total += one
    canvas[y0:y1, x0:x1] = np.clip(total / len(offsets), 0, 255).astype(np.uint8)


def _window(picture: Pixels, x: int, y: int, width: int, height: int) -> Pixels:
    """The part of a picture at (x, y), its edge's zeros where it does not reach."""
    if x >= 0 and y >= 0 and x + width <= picture.shape[1] and y + height <= picture.shape[0]:
        return picture[y : y + height, x : x + width]
    out = np.zeros((height, width, picture.shape[2]), np.uint8)
    sx, sy = max(x, 0), max(y, 0)
    ex, ey = min(x + width, picture.shape[1]), min(y + height, picture.shape[0])
    if ex > sx and ey > sy:
        out[sy - y : ey - y, sx - x : ex - x] = picture[sy:ey, sx:ex]
    return out


class Noise:
    """The sensor's noise: one large field, read from a random place, since fresh noise costs too much."""

    def __init__(self, size: tuple[int, int], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        width, height = size
        shape = (height + 64, width + 64, 3)
        self._field: npt.NDArray[np.float32] = self._rng.standard_normal(shape, np.float32)
        self._sized: dict[float, npt.NDArray[np.int16]] = {}

    def add(self, image: Pixels, sigma: float) -> Pixels:
        """`image`, uint8 (h, w, 3), with noise of `sigma` grey levels."""
        if sigma not in self._sized:
            self._sized.clear()
            self._sized[sigma] = np.rint(self._field * sigma).astype(np.int16)
        x, y = self._rng.integers(0, 64, 2)
        noisy = image + self._sized[sigma][y : y + image.shape[0], x : x + image.shape[1]]
        clipped: Pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        return clipped
