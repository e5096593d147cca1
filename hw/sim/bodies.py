"""The bodies of the simulated vehicles: cars from front and rear, and a truck with lettering.

Owns their shapes and paints by day. Light, plates and where they stand is `hw.sim.drawing`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from plates.draw import Colour

WIDTH: Final = 900
"""Width of a vehicle's picture, pixels; the plate in it is 151 wide, the most that is shown."""

_LETTERING: Final = Path(__file__).with_name("fonts") / "BarlowCondensed-SemiBold.ttf"
_COMPANIES: Final = (
    ("HALDEN FREIGHT", "CALL 555 0142"),
    ("NORTHGATE", "MOVERS 24 7"),
    ("OAK AND ASH", "JOINERY 1987"),
    ("DELMAR COLD", "UNIT 30417"),
)
_PAINTS: Final = (
    *((196, 198, 202), (28, 30, 34), (228, 228, 226), (120, 24, 28), (36, 60, 110), (88, 92, 98)),
    *((150, 140, 118), (40, 74, 58), (170, 172, 176), (66, 34, 40)),
)


@dataclass(frozen=True, slots=True)
class Body:
    """One vehicle without its plate.

    Attributes:
        body: RGBA, WIDTH wide, by daylight.
        glow: RGB of the same size: its lamps where they are lit, else black.
        middle_y: the row at which the middle of its plate is mounted.
    """

    body: Image.Image
    glow: Image.Image
    middle_y: float


def car(number: int, *, rear: bool, lamps: bool) -> Body:
    """The car that `number` chooses, from the front or the rear, with its lamps lit or not."""
    random = Random(number)
    tall = random.choice((0.72, 0.8, 0.95))  # saloon, hatchback, van
    height = int(WIDTH * tall)
    body = Image.new("RGBA", (WIDTH, height + 40), (0, 0, 0, 0))
    draw = ImageDraw.Draw(body)
    paint = np.array(random.choice(_PAINTS), np.float32)

    def shade(factor: float) -> Colour:
        r, g, b = (int(min(255, c)) for c in paint * factor)
        return r, g, b

    # Shadow, wheels, hull, cabin, glass: from the ground up, each over the one before.
    draw.ellipse((10, height - 40, WIDTH - 10, height + 38), fill=(10, 10, 12, 150))
    for left in (WIDTH * 0.05, WIDTH * 0.8):
        draw.rounded_rectangle((left, height * 0.66, left + WIDTH * 0.15, height + 6), 26, fill=(18, 18, 20))
    belt = height * random.uniform(0.38, 0.46)
    inset = WIDTH * random.uniform(0.1, 0.16)
    cabin = [
        (inset + 40, 8),
        (WIDTH - inset - 40, 8),
        (WIDTH - inset * 0.4, belt + 10),
        (inset * 0.4, belt + 10),
    ]
    draw.polygon(cabin, fill=shade(0.86))
    glass = [
        (inset + 64, 34),
        (WIDTH - inset - 64, 34),
        (WIDTH - inset * 0.75, belt - 8),
        (inset * 0.75, belt - 8),
    ]
    draw.polygon(glass, fill=(46, 54, 62))
    draw.polygon(
        [glass[0], ((glass[0][0] + glass[1][0]) / 2, 34), (WIDTH * 0.36, belt - 8), glass[3]],
        fill=(66, 76, 86),
    )
    draw.rounded_rectangle((8, belt, WIDTH - 8, height - 26), 60, fill=shade(1.0))
    for row in range(int(belt), height - 30, 3):
        share = (row - belt) / (height - 30 - belt)
        draw.line((30, row, WIDTH - 30, row), fill=shade(1.12 - 0.34 * share), width=3)
    bumper = height * 0.78
    draw.rounded_rectangle((0, bumper, WIDTH, height - 8), 40, fill=shade(0.74))
    draw.line((20, bumper, WIDTH - 20, bumper), fill=shade(0.45), width=5)
    draw.rectangle((WIDTH * 0.1, height - 34, WIDTH * 0.9, height - 14), fill=(30, 30, 32))
    glow = Image.new("RGB", body.size)
    lamp_y = belt + (bumper - belt) * random.uniform(0.25, 0.5)
    lamp_w, lamp_h = WIDTH * random.uniform(0.13, 0.2), height * random.uniform(0.08, 0.14)
    lit: Colour = (255, 40, 30) if rear else (255, 246, 224)
    for left in (24.0, WIDTH - 24 - lamp_w):
        box = (left, lamp_y, left + lamp_w, lamp_y + lamp_h)
        draw.rounded_rectangle(box, 22, fill=(120, 16, 18) if rear else (216, 222, 228))
        inner = (left + 12, lamp_y + 10, left + lamp_w - 12, lamp_y + lamp_h - 10)
        draw.rounded_rectangle(inner, 14, fill=(176, 30, 30) if rear else (240, 244, 246))
        if lamps:
            ImageDraw.Draw(glow).ellipse(inner, fill=lit)
    if not rear:
        grille = (WIDTH * 0.26, lamp_y + 4, WIDTH * 0.74, lamp_y + lamp_h * 1.2)
        draw.rounded_rectangle(grille, 16, fill=(34, 35, 38))
        for row in range(int(grille[1]) + 12, int(grille[3]) - 6, 14):
            draw.line((grille[0] + 8, row, grille[2] - 8, row), fill=(84, 86, 90), width=4)
    draw.ellipse((WIDTH / 2 - 20, lamp_y - 46, WIDTH / 2 + 20, lamp_y - 6), outline=(200, 202, 206), width=5)
    middle_y = (bumper + 0.05 * height) if not rear or random.random() < 0.4 else lamp_y + lamp_h * 0.9
    return Body(body, glow, middle_y)


def truck(number: int, *, rear: bool, lamps: bool) -> Body:
    """A box truck from the rear, its company's name and number on the doors, whichever way it drives."""
    random = Random(number)
    height = int(WIDTH * 1.3)
    body = Image.new("RGBA", (WIDTH, height + 40), (0, 0, 0, 0))
    draw = ImageDraw.Draw(body)
    r, g, b = random.choice(_PAINTS)
    floor = height * 0.8
    draw.ellipse((10, height - 40, WIDTH - 10, height + 38), fill=(10, 10, 12, 150))
    for left in (WIDTH * 0.06, WIDTH * 0.74):
        draw.rounded_rectangle((left, height * 0.78, left + WIDTH * 0.2, height + 6), 20, fill=(18, 18, 20))
    draw.rectangle((6, 6, WIDTH - 6, floor), fill=(r, g, b), outline=(60, 62, 64), width=10)
    for x in (WIDTH / 2, WIDTH * 0.3, WIDTH * 0.7):
        draw.line((x, 16, x, floor - 8), fill=(r * 3 // 5, g * 3 // 5, b * 3 // 5), width=5)
    ink: Colour = (24, 28, 60) if r + g + b > 360 else (236, 232, 214)
    for text, top, size in zip(random.choice(_COMPANIES), (0.14, 0.34), (120, 96), strict=True):
        font = ImageFont.truetype(str(_LETTERING), size)
        draw.text((WIDTH / 2, height * top), text, fill=ink, font=font, anchor="mm")
    draw.rectangle((WIDTH * 0.04, floor, WIDTH * 0.96, height - 26), fill=(44, 45, 48))
    glow = Image.new("RGB", body.size)
    for left in (WIDTH * 0.06, WIDTH * 0.82):
        box = (left, floor + 24, left + WIDTH * 0.12, floor + 74)
        draw.rectangle(box, fill=(150, 24, 26))
        if lamps:
            ImageDraw.Draw(glow).rectangle(box, fill=(255, 40, 30))
    return Body(body, glow, floor + height * 0.08)
