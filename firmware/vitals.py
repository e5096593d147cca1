"""What the loop's thread leaves for the others to see: counts, the camera's state, a small picture.

Owns the values that pass from the loop to upkeep. Each is replaced as a whole, never changed, so that no
lock is needed.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from hw.protocols import Frame, Pixels

logger = logging.getLogger(__name__)

LUMA_S = 1.0
"""Time between two small pictures for the judgement of the camera."""

LUMA_STEP = 2
"""Every second point of the frame, both ways."""


@dataclass(slots=True)
class Vitals:
    """One writer, the loop; any reader.

    Attributes:
        started: when the process started (time.monotonic).
        frames: frames looked at since then.
        skipped: images that the camera took while something moved and that nobody looked at.
        camera_fault: why the camera delivers nothing, "" while it does.
        failing_since: since when (time.monotonic), None while it works.
        failures: in a row.
        luma: the green points of a recent frame, a brightness (0..255) near enough; None before the first.
        luma_at: when it was taken (time.monotonic).
    """

    started: float = field(default_factory=time.monotonic)
    frames: int = 0
    skipped: int = 0
    camera_fault: str = ""
    failing_since: float | None = None
    failures: int = 0
    luma: Pixels | None = None
    luma_at: float = 0.0

    def saw(self, frame: Frame, skipped: int) -> None:
        """Note a frame that came, and so many images before it that nobody looked at."""
        self.frames += 1
        self.skipped += max(skipped, 0)
        if self.failing_since is not None:
            logger.info("the camera is back")
            self.failing_since, self.camera_fault, self.failures = None, "", 0
        now = time.monotonic()
        if self.luma is None or now - self.luma_at >= LUMA_S:
            # A copy: the frame itself must not be held for the sake of a few of its points.
            self.luma, self.luma_at = frame.image[::LUMA_STEP, ::LUMA_STEP, 1].copy(), now

    def failed(self, fault: str) -> float:
        """Note a failure; seconds since the first in a row."""
        now = time.monotonic()
        if fault != self.camera_fault:
            logger.error("%s", fault)
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.camera_fault = fault
        self.failures += 1
        return now - self.failing_since
