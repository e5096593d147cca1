"""The simulated set's clock: the machine's own, which a simulated camera may run ahead of.

Owns simulated time. A source that is read faster than life gives its frames the times at which they would
have been taken; the clock then says the later of that and the machine's, so that it never goes backwards.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from hw.clock import BOOT_ID
from hw.protocols import ClockQuality, Timestamp


class SimClock:
    """A clock that is set from the start, or that a test sets later. Safe to use from several threads."""

    def __init__(self, *, quality: ClockQuality = ClockQuality.NTP, boot_id: str | None = None) -> None:
        self._lock = threading.Lock()
        self._boot_id = boot_id or BOOT_ID.read_text(encoding="ascii").strip()
        self._quality = quality
        self._ahead = 0.0
        self._offset = datetime.now(UTC) - timedelta(seconds=_boottime())

    def set(self, quality: ClockQuality) -> None:
        """Set the clock, or lose it with ClockQuality.NONE."""
        with self._lock:
            self._quality = quality

    def now(self) -> Timestamp:
        """This moment, by the simulation where that is ahead."""
        with self._lock:
            return self._at(max(_boottime(), self._ahead))

    def simulated(self, boottime: float) -> Timestamp:
        """The moment of a frame; `now` is never before it afterwards."""
        with self._lock:
            self._ahead = max(self._ahead, boottime)
            return self._at(boottime)

    def wall(self, boot_id: str, boottime: float) -> tuple[datetime, ClockQuality] | None:
        """The wall time of a moment of this boot; None before the clock is set or for another boot."""
        with self._lock:
            if boot_id != self._boot_id or self._quality is ClockQuality.NONE:
                return None
            return self._offset + timedelta(seconds=boottime), self._quality

    def _at(self, boottime: float) -> Timestamp:
        known = self._quality is not ClockQuality.NONE
        wall = self._offset + timedelta(seconds=boottime) if known else None
        return Timestamp(self._boot_id, boottime, wall, self._quality, 0.0 if known else None)


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
