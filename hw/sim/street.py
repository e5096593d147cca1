"""The rendered street as a camera: vehicles of known plates pass, by day, at dusk and by night.

Owns time on the street: which vehicles are in view when, the frame rate, and the truth beside each frame.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Final

import numpy as np

from hw.protocols import EndOfFrames, Frame, Truth
from hw.settings import CameraSettings
from hw.sim import drawing, traffic
from hw.sim.clock import SimClock
from hw.sim.source import Source
from hw.sim.traffic import FPS, Passage

_FRAMES: Final = (20, 45)  # of a passage on the living street
_EMPTY_NOISE: Final = {"day": 3.0, "dusk": 4.0, "night": 7.0}
_LEAD: Final = 2  # empty frames shown before each passage of the measuring street
_DAY: Final = 24  # passages from one noon to the next midnight on the living street
_PARKED_S: Final = 75.0
_HORIZON: Final = 0.24  # share of the picture's height; the measuring street's cameras look from all angles


@dataclass(frozen=True, slots=True)
class Moment:
    """What one image shows.

    Attributes:
        seconds: since the street was opened.
        light: one of traffic.LIGHTS.
        scene: number of the background.
        vehicles: those in view, the farthest first, each with the seconds since it came into view.
    """

    seconds: float
    light: str
    scene: int
    vehicles: tuple[tuple[Passage, float], ...] = ()


class Street(Source):
    """A camera over the rendered street. One thread uses it.

    Attributes:
        light: of the last image.
        busy_until: boot time in seconds; images taken before it are skipped, for nobody had time for them.
    """

    def __init__(self, settings: CameraSettings, clock: SimClock, moments: Iterator[Moment]) -> None:
        """`moments` are the images in their order; where they end, the camera's images do."""
        super().__init__(settings, clock)
        self._size = (settings.width, settings.height)
        self._noise = drawing.Noise(self._size, settings.seed)
        self._fps = settings.fps
        self._moments = moments
        self._start = clock.now().boottime
        self._began = time.monotonic()
        self._sequence = -1
        self.light = "day"
        self.busy_until = -math.inf

    def _next(self) -> Frame:
        # A live camera does not wait for its reader: frames whose time has gone are skipped and counted.
        late = 0
        if self._fps:
            due = self._began + (self._sequence + 1) / self._fps
            behind = time.monotonic() - due
            late = max(int(behind * self._fps), 0)
            if behind < 0:
                time.sleep(-behind)
        for _ in range(late):
            self._step()
        moment = self._step()
        while self._start + moment.seconds < self.busy_until:
            moment = self._step()
        self.light = moment.light
        image = drawing.background(moment.scene, moment.light, self._size).copy()
        noise = _EMPTY_NOISE[moment.light]
        truth = []
        for passage, seconds in moment.vehicles:
            box = drawing.compose(image, passage, seconds)
            truth.append(Truth(passage.number, passage.text, box))
            noise = passage.noise
        image = self._masks.apply(self._noise.add(image, noise))
        taken = self._clock.simulated(self._start + moment.seconds)
        return Frame(image, taken, self._sequence, self.name, tuple(truth))

    def _step(self) -> Moment:
        try:
            moment = next(self._moments)
        except StopIteration:
            raise EndOfFrames(f"camera {self.name}: the street is empty for good") from None
        self._sequence += 1
        return moment


def one_by_one(passages: Iterator[Passage], fps: float = FPS) -> Iterator[Moment]:
    """One passage after the other, each in its own light and scene; the pauses are jumped over."""
    step = 1 / (fps or FPS)
    now = 0.0
    for passage in passages:
        scene = passage.body % drawing.BACKGROUNDS
        now += passage.pause
        for _ in range(_LEAD):
            yield Moment(now, passage.light, scene)
            now += step
        offset = 0.0
        while offset < passage.seconds:
            yield Moment(now, passage.light, scene, ((passage, offset),))
            now += step
            offset += step


def life(passages: Iterator[Passage], scene: int, fps: float = FPS) -> Iterator[Moment]:
    """An endless street before one camera, from noon to midnight and back.

    Among the vehicles that pass one by one there is, now and then, a truck with lettering, two cars at once,
    and a car that parks at the kerb for more than a minute.
    """
    step = 1 / (fps or FPS)
    planned = _staged(_by_light(passages))
    coming, entry = next(planned)
    present: list[tuple[Passage, float]] = []
    light = coming.light
    for number in count():
        now = number * step
        while now >= entry:
            present.append((coming, entry))
            light = coming.light
            coming, gap = next(planned)
            entry += gap
        present = [(one, since) for one, since in present if now - since < one.seconds]
        shown = [
            (one if one.light == light else replace(one, light=light), now - since) for one, since in present
        ]
        shown.sort(key=lambda each: each[0].width * each[0].scale(each[1]))
        yield Moment(now, light, scene, tuple(shown))


def _by_light(passages: Iterator[Passage]) -> Iterator[Passage]:
    """The same passages, so put in order that the light changes from day to night and back."""
    for number in count():
        block = list(islice(passages, _DAY))
        yield from sorted(block, key=lambda one: traffic.LIGHTS.index(one.light), reverse=number % 2 == 1)


def _staged(passages: Iterator[Passage]) -> Iterator[tuple[Passage, float]]:
    """Each passage with the seconds by which it enters after the one before it."""
    clear = 0.0  # from the entry of the one before until the road is free
    for number, one in enumerate(passages):
        turn = number % 24
        gap = clear + one.pause
        clear = one.seconds
        one = replace(one, vanish_y=_HORIZON)
        if turn in (3, 15):
            one = replace(one, body=one.body | traffic.TRUCK, receding=True)
        elif turn == 6:
            # At the kerb, where it neither hides the others nor is hidden by most of them.
            wide = min(max(one.width, 60.0), 75.0)
            one = replace(one, x=0.86, y=0.6, width=wide, speed=0.0, frames=round(_PARKED_S * FPS))
            clear = 0.0
        elif turn in (9, 10, 18, 19):
            left = turn in (9, 18)
            wide = min(max(one.width, 50.0), 70.0)
            one = replace(one, x=0.27 if left else 0.66, vanish_x=0.46 if left else 0.54, width=wide)
            gap = gap if left else 0.6
        yield one, gap


def living_street(settings: CameraSettings, clock: SimClock, light: str | None) -> Street:
    """The endless street of camera.source "street"; `light` fixes it to one of traffic.LIGHTS."""
    passages = traffic.passages(settings.seed, frames=_FRAMES, light=light)
    return Street(settings, clock, life(passages, settings.seed % drawing.BACKGROUNDS, settings.fps))


def measuring_street(
    settings: CameraSettings, clock: SimClock, passages: int = traffic.MEASURE_PASSAGES
) -> Street:
    """The first `passages` of the fixed street, as fast as they are taken."""
    return Street(settings, clock, one_by_one(iter(traffic.measuring()[:passages]), settings.fps))


def signature(frame: Frame) -> list[int]:
    """A coarse picture of a frame, 8 x 8 means of its luminance, by which a test knows it again."""
    luma = frame.image.mean(axis=2)
    rows, columns = luma.shape[0] // 8 * 8, luma.shape[1] // 8 * 8
    blocks = luma[:rows, :columns].reshape(8, rows // 8, 8, columns // 8)
    return [round(float(value)) for value in np.ravel(blocks.mean(axis=(1, 3)))]
