"""What every simulated camera has in common: masks, previews, and that a frame follows its preview.

Owns the order of calls of `hw.protocols.Camera`. Where the pictures come from is each source's own `_next`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from PIL import Image

from hw.masks import Masks
from hw.protocols import Frame, Pixels, Preview
from hw.settings import CameraSettings
from hw.sim.clock import SimClock


class Source(ABC):
    """A simulated camera, each image of which is taken once. One thread uses it."""

    def __init__(self, settings: CameraSettings, clock: SimClock) -> None:
        self.name = settings.name
        self._clock = clock
        self._masks = Masks(settings.masks)
        self._preview_width = settings.preview_width
        self._frame: Frame | None = None

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
        """Release what the source holds open, by default nothing; may be called twice."""
        self._frame = None

    @abstractmethod
    def _next(self) -> Frame:
        """The next image, masked. Raises EndOfFrames after the last one, CameraError on failure."""


def preview_of(image: Pixels, width: int) -> Pixels:
    """The luminance of `image`, uint8 (h, w, 3), scaled to `width` columns: uint8 (rows, width)."""
    height = max(round(image.shape[0] * width / image.shape[1]), 1)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
    return np.asarray(small.convert("L"))
