"""Which vehicles pass the simulated street: plates, sizes, speeds, light. Numbers only, no pixels.

Owns the passages of the living street and, fixed for good, those of the measuring street, whose SHA-256 a
test pins. How a passage looks is `hw.sim.drawing`'s. Everything follows from the seed.

The projection is that of a pinhole: a vehicle that drives straight at the camera (or away from it) keeps
its path towards one vanishing point, and its size is inverse to its distance.
"""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from random import Random
from typing import Final

LIGHTS: Final = ("day", "dusk", "night")
MEASURE_SEED: Final = 430
MEASURE_PASSAGES: Final = 1000
FPS: Final = 15.0
TRUCK: Final = 1 << 16
"""Bit of Passage.body that makes the vehicle a truck with lettering; the measuring street has none."""

_LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"
_SERIALS: Final = (
    *("9AAA999", "AAA9999", "AAA999", "999AAA", "AA99999", "A999999", "9AA9999", "AAAA99", "99A999"),
    *("AA9A9A", "9999AA", "AAA99A", "A99AAA", "AA99AAA", "AAA9A99", "AA999AA", "9AA999", "999999"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One vehicle's way past the camera.

    Attributes:
        number: from 0.
        text: its plate, 5 to 7 characters.
        light: "day", "dusk" or "night".
        design: number of the plate design, see `hw.sim.drawing.DESIGNS`.
        body: number that chooses the vehicle's shape and paint.
        width: of the plate at the closest look, pixels.
        distance: at the closest look, metres.
        speed: metres a second.
        receding: whether it drives away: the closest look comes first.
        frames: how many frames show its plate, at FPS.
        x, y: middle of the plate at the closest look, in shares of the picture.
        vanish_x, vanish_y: the vanishing point, in shares of the picture; it may lie above it.
        yaw: the camera's angle to the lane, degrees.
        roll: the plate's tilt, degrees.
        shutter: exposure time, seconds.
        noise: standard deviation of the sensor's noise, grey levels.
        gain: how bright the plate is against its usual brightness in that light.
        pause: seconds of empty street before it.
    """

    number: int
    text: str
    light: str
    design: int
    body: int
    width: float
    distance: float
    speed: float
    receding: bool
    frames: int
    x: float
    y: float
    vanish_x: float
    vanish_y: float
    yaw: float
    roll: float
    shutter: float
    noise: float
    gain: float
    pause: float

    @property
    def seconds(self) -> float:
        """How long the plate is in view."""
        return self.frames / FPS

    def scale(self, seconds: float) -> float:
        """The vehicle's size `seconds` after it came into view, 1.0 at the closest look."""
        left = seconds if self.receding else max((self.frames - 1) / FPS - seconds, 0.0)
        return self.distance / (self.distance + self.speed * left)

    def place(self, seconds: float) -> tuple[float, float]:
        """The middle of the plate then, in shares of the picture."""
        scale = self.scale(seconds)
        x = self.vanish_x + (self.x - self.vanish_x) * scale
        return x, self.vanish_y + (self.y - self.vanish_y) * scale


def serial(random: Random) -> str:
    """An invented plate of one of many usual forms."""
    shape = random.choice(_SERIALS)
    return "".join(random.choice(_LETTERS if char == "A" else string.digits) for char in shape)


def passages(seed: int, *, frames: tuple[int, int], light: str | None = None) -> Iterator[Passage]:
    """An endless stream of passages.

    Args:
        seed: what makes the stream; the same seed gives the same passages.
        frames: the least and the most frames in which a passage is seen.
        light: one of LIGHTS for all, or None for any.
    """
    random = Random(seed)
    number = 0
    while True:
        now = light or random.choices(LIGHTS, (0.55, 0.15, 0.3))[0]
        night = now == "night"
        width = round(25.0 * (140.0 / 25.0) ** random.random(), 1)
        yield Passage(
            number=number,
            text=serial(random),
            light=now,
            design=random.randrange(1 << 16),
            body=random.randrange(1 << 16),
            width=width,
            distance=round(random.uniform(8.0, 18.0), 1),
            speed=round(random.uniform(4.0, 28.0), 1),
            receding=random.random() < 0.5,
            frames=random.randint(*frames),
            x=round(random.uniform(0.35, 0.65), 3),
            y=round(random.uniform(0.55, 0.72), 3),
            vanish_x=round(random.uniform(0.35, 0.65), 3),
            vanish_y=round(random.uniform(-0.3, 0.2), 3),
            yaw=round(random.uniform(-25.0, 25.0), 1),
            roll=round(random.gauss(0.0, 1.5), 2),
            shutter=random.choice((1 / 2000, 1 / 1000) if not night else (1 / 1000, 1 / 500)),
            noise=round(random.uniform(2.0, 5.0) if not night else random.uniform(5.0, 11.0), 1),
            gain=round(random.uniform(0.75, 1.15), 2),
            pause=round(random.uniform(2.0, 6.0), 1),
        )
        number += 1


def measuring() -> list[Passage]:
    """The passages of the measuring street: fixed, never trained on, 3 to 8 frames each."""
    return list(islice(passages(MEASURE_SEED, frames=(3, 8)), MEASURE_PASSAGES))


def fingerprint(some: list[Passage]) -> str:
    """SHA-256, in hexadecimal, of a list of passages."""
    text = json.dumps([asdict(one) for one in some], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
