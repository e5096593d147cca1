"""The rendered street as a camera: vehicles of known plates pass, by day, at dusk and by night.

Owns time on the street: which passage is in view when, the frame rate, and the truth beside each frame. It
shows one passage after the other, each with its own light on the living street as on the measuring one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from hw.masks import Masks
from hw.protocols import EndOfFrames, Frame, Preview, Truth
from hw.settings import CameraSettings
from hw.sim import drawing, traffic
from hw.sim.clock import SimClock
from hw.sim.picture import preview_of
from hw.sim.traffic import FPS, Passage

_FRAMES: Final = (20, 45)  # of a passage on the living street
_EMPTY_NOISE: Final = {"day": 3.0, "dusk": 4.0, "night": 7.0}
_LEAD: Final = 2  # empty frames shown before each passage of the measuring street


class Street:
    """A camera over the rendered street, endless or with its last passage. One thread uses it."""

    def __init__(
        self,
        settings: CameraSettings,
        clock: SimClock,
        passages: Iterator[Passage],
        *,
        measuring: bool = False,
    ) -> None:
        """`measuring` shows each passage's frames and little else, and jumps over the pauses."""
        self.name = settings.name
        self._size = (settings.width, settings.height)
        self._preview_width = settings.preview_width
        self._clock = clock
        self._masks = Masks(settings.masks)
        self._noise = drawing.Noise(self._size, settings.seed)
        self._fps = settings.fps
        self._moments = self._show(passages, measuring)
        self._start = clock.now().boottime
        self._began = time.monotonic()
        self._sequence = -1
        self._frame: Frame | None = None
        self.light = "day"

    def preview(self, timeout: float) -> Preview:
        """The next image's luminance; see `hw.protocols.Camera`."""
        self._frame = self._next()
        luma = preview_of(self._frame.image, self._preview_width)
        return Preview(luma, self._frame.time, self._frame.sequence)

    def frame(self, timeout: float) -> Frame:
        """The image of the last preview, or the next one; see `hw.protocols.Camera`."""
        frame, self._frame = self._frame or self._next(), None
        return frame

    def close(self) -> None:
        """Nothing to release."""

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
        seconds, passage, offset, self.light = self._step()
        image = drawing.background(self._sequence_light(passage), self.light, self._size).copy()
        truth: tuple[Truth, ...] = ()
        noise = _EMPTY_NOISE[self.light]
        if passage is not None and offset is not None:
            box = drawing.compose(image, passage, offset)
            truth = (Truth(passage.number, passage.text, box),)
            noise = passage.noise
        image = self._masks.apply(self._noise.add(image, noise))
        moment = self._clock.simulated(self._start + seconds)
        return Frame(image, moment, self._sequence, self.name, truth)

    def _sequence_light(self, passage: Passage | None) -> int:
        return passage.body % 6 if passage is not None else 0

    def _step(self) -> tuple[float, Passage | None, float | None, str]:
        try:
            moment = next(self._moments)
        except StopIteration:
            raise EndOfFrames(f"camera {self.name}: the street is empty for good") from None
        self._sequence += 1
        return moment

    def _show(
        self, passages: Iterator[Passage], measuring: bool
    ) -> Iterator[tuple[float, Passage | None, float | None, str]]:
        """Of each frame: seconds since the start, passage, seconds since it came into view, light."""
        step = 1 / (self._fps or FPS)
        now = 0.0
        for passage in passages:
            if measuring:
                now += passage.pause
                before = _LEAD
            else:
                before = round(passage.pause / step)
            for _ in range(before):
                yield now, passage, None, passage.light
                now += step
            offset = 0.0
            while offset < passage.seconds:
                yield now, passage, offset, passage.light
                now += step
                offset += step


def living_street(settings: CameraSettings, clock: SimClock, light: str | None) -> Street:
    """The endless street of camera.source "street"; `light` fixes it to one of traffic.LIGHTS."""
    return Street(settings, clock, traffic.passages(settings.seed, frames=_FRAMES, light=light))


def measuring_street(
    settings: CameraSettings, clock: SimClock, passages: int = traffic.MEASURE_PASSAGES
) -> Street:
    """The first `passages` of the fixed street, as fast as they are taken."""
    return Street(settings, clock, iter(traffic.measuring()[:passages]), measuring=True)


def signature(frame: Frame) -> list[int]:
    """A coarse picture of a frame, 8 x 8 means of its luminance, by which a test knows it again."""
    luma = frame.image.mean(axis=2)
    rows, columns = luma.shape[0] // 8 * 8, luma.shape[1] // 8 * 8
    blocks = luma[:rows, :columns].reshape(8, rows // 8, 8, columns // 8)
    return [round(float(value)) for value in np.ravel(blocks.mean(axis=(1, 3)))]
