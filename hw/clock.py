"""The unit's one clock: the kernel's time since boot, and the wall time once it can be trusted.

Owns the judgement whether the wall clock is set. A Pi has no clock of its own: after power-on it counts from
an old date until the network (NTP) or a GPS receiver sets it, so a wall time is given only with its quality.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from hw.protocols import ClockQuality, Fix, Timestamp
from hw.settings import ClockSettings

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_STA_UNSYNC: Final = 0x0040  # adjtimex(2): the kernel says that nobody disciplines the clock
_TIME_ERROR: Final = 5
_EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)  # before this software existed no clock was right
_DRIFT: Final = 50e-6  # of a board's crystal that nobody corrects, its temperature included
_KERNEL_DRIFT: Final = 500e-6  # what the kernel assumes of any crystal: MAXFREQ of its timex.h


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), up to the fields that are read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


@dataclass(frozen=True, slots=True)
class Discipline:
    """What the kernel says of its wall clock: whether it is synchronised, and its error in milliseconds."""

    synchronised: bool
    error_ms: float


def kernel_discipline() -> Discipline:
    """Ask adjtimex(2), which every NTP client feeds, whichever is installed.

    The error is the estimate where the client gives one. systemd-timesyncd gives none; then the maximum
    error is taken, which the kernel lets grow by 0.5 ms a second since the last synchronisation, ten times
    what a board's crystal does: taken as it is, the clock would count as lost before each of its half-hourly
    synchronisations.
    """
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    synchronised = 0 <= state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    error_us = timex.esterror or timex.maxerror * _DRIFT / _KERNEL_DRIFT
    return Discipline(synchronised, error_us / 1000)


@dataclass(frozen=True, slots=True)
class _Mapping:
    """Wall time minus boot time, and how it is known."""

    offset: timedelta
    quality: ClockQuality
    error_ms: float


class SystemClock:
    """The machine's clock; safe to use from several threads.

    A network's or a receiver's time that was once believed is kept for the rest of the boot, its error
    growing, when that goes: a trailer out of coverage, or under a roof, still knows the time.
    """

    def __init__(
        self,
        settings: ClockSettings,
        gps_fix: Callable[[], tuple[Fix, float] | None] = lambda: None,
        *,
        known: Timestamp | None = None,
        discipline: Callable[[], Discipline] = kernel_discipline,
        boottime: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        boot_id: str | None = None,
    ) -> None:
        """`gps_fix` gives the newest fix with the boot time (seconds) at which it was received. `known` is
        a moment of this boot whose wall time was believed already. The remaining arguments stand in for the
        kernel in tests."""
        self._settings = settings
        self._gps_fix = gps_fix
        self._discipline = discipline
        self._boottime = boottime
        self._wall = wall
        self._boot_id = boot_id or BOOT_ID.read_text(encoding="ascii").strip()
        # The last time that was believed, and the boot time then.
        self._kept: tuple[_Mapping, float] | None = None
        if known is not None and known.wall is not None and known.boot_id == self._boot_id:
            offset = known.wall - datetime.fromtimestamp(0, UTC) - timedelta(seconds=known.boottime)
            self._kept = (_Mapping(offset, known.quality, known.offset_ms or 0.0), known.boottime)

    def now(self) -> Timestamp:
        """This moment."""
        return self.at(self._boottime())

    def at(self, boottime: float) -> Timestamp:
        """The moment `boottime` seconds after this boot, such as a camera's sensor time."""
        found = self._mapping()
        if found is None:
            return Timestamp(self._boot_id, boottime, None, ClockQuality.NONE)
        wall = datetime.fromtimestamp(0, UTC) + found.offset + timedelta(seconds=boottime)
        return Timestamp(self._boot_id, boottime, wall, found.quality, found.error_ms)

    def wall(self, boot_id: str, boottime: float) -> tuple[datetime, ClockQuality] | None:
        """The wall time of a moment of this boot, once the clock is set; None for another boot."""
        if boot_id != self._boot_id:
            return None
        moment = self.at(boottime)
        return None if moment.wall is None else (moment.wall, moment.quality)

    def _mapping(self) -> _Mapping | None:
        kernel = self._discipline()
        wall, boottime = self._wall(), self._boottime()
        if kernel.synchronised and kernel.error_ms <= self._settings.max_error_ms and wall >= _EARLIEST:
            since_boot = wall - datetime.fromtimestamp(0, UTC) - timedelta(seconds=boottime)
            mapping = _Mapping(since_boot, ClockQuality.NTP, kernel.error_ms)
            self._kept = (mapping, boottime)
            return mapping
        known = [one for one in (self._still_kept(boottime), self._from_gps(boottime)) if one is not None]
        return min(known, key=lambda one: one.error_ms, default=None)

    def _still_kept(self, boottime: float) -> _Mapping | None:
        if self._kept is None:
            return None
        mapping, at = self._kept
        return replace(mapping, error_ms=mapping.error_ms + (boottime - at) * 1000 * _DRIFT)

    def _from_gps(self, boottime: float) -> _Mapping | None:
        fix = self._gps_fix() if self._settings.use_gps else None
        if fix is None or fix[0].time < _EARLIEST:  # an old receiver's week number has rolled over
            return None
        # A serial sentence arrives up to a second after the moment it names.
        offset = fix[0].time - datetime.fromtimestamp(0, UTC) - timedelta(seconds=fix[1])
        return _Mapping(offset, ClockQuality.GPS, 1000.0 + max(boottime - fix[1], 0.0) * 1000 * _DRIFT)
