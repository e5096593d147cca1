"""Triggers that need no wire: motion in the camera's previews, and "always".

Owns the judgement whether something moves. It looks at a thinned-out preview against a slow running
background, so that an empty road costs next to nothing; what moves is the locator's question.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
import numpy.typing as npt

from hw.protocols import Camera, Pixels
from hw.settings import TriggerSettings

THIN: Final = 4
"""Every so many pixels of the preview are looked at, in both directions."""

_LEARN: Final = 0.05  # share of a new picture in the background where nothing moves
_LEARN_MOVING: Final = 0.01  # and where something does, so that what stays becomes background
_NOISE_FACTOR: Final = 6.0  # a change counts beyond so many times the usual noise


class Motion:
    """Compares previews with the background that it has learnt. One thread uses it."""

    def __init__(self, settings: TriggerSettings) -> None:
        self._area = settings.area
        self._contrast = settings.contrast
        self._background: npt.NDArray[np.float32] | None = None
        self._noise = 0.0

    def moves(self, luma: Pixels) -> bool:
        """Whether something moves in a preview, uint8 (h, w), against those before it.

        A change of all the picture's brightness (a cloud, a gain step) is not motion.
        """
        small = luma[::THIN, ::THIN].astype(np.float32)
        if self._background is None or self._background.shape != small.shape:
            self._background = small
            return False
        change = small - self._background
        change -= np.median(change[::2, ::2])
        size = np.abs(change)
        noise = float(np.median(size[::2, ::2]))
        self._noise = noise if not self._noise else self._noise + 0.1 * (noise - self._noise)
        moving = size > max(self._contrast, _NOISE_FACTOR * self._noise)
        self._background += np.where(moving, np.float32(_LEARN_MOVING), np.float32(_LEARN)) * (
            small - self._background
        )
        return float(moving.mean()) >= self._area


class MotionTrigger:
    """A trigger on the camera's own previews; stays open for `hold_s` after the last motion."""

    def __init__(self, camera: Camera, settings: TriggerSettings, *, patience: float = 5.0) -> None:
        """`patience` is how long a preview may take, in seconds: a camera is not broken because a wait ends
        between two of its images."""
        self._camera = camera
        self._patience = patience
        self._hold = settings.hold_s
        self._motion = Motion(settings)
        self._moved_at: float | None = None

    def wait(self, timeout: float) -> bool:
        """Take previews until one moves or `timeout` seconds have gone; raises what the camera raises.

        The wait ends with the preview that was due: about one image later, by `patience` where the camera
        fails.
        """
        end = time.monotonic() + timeout
        while True:
            preview = self._camera.preview(self._patience)
            # By the pictures' own time: a source that runs faster than life holds for as many pictures.
            taken = preview.time.boottime
            if self._motion.moves(preview.luma):
                self._moved_at = taken
            if self._moved_at is not None and 0 <= taken - self._moved_at <= self._hold:
                return True
            if time.monotonic() >= end:
                return False

    def close(self) -> None:
        """Nothing to release: the camera is closed by its owner."""


class AlwaysTrigger:
    """Every image is worth a look."""

    def wait(self, timeout: float) -> bool:
        """True at once: the wait is that for the image."""
        return True

    def close(self) -> None:
        """Nothing to release."""
