"""The unit's clock, before and after something sets it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hw.clock import Discipline, SystemClock, kernel_discipline
from hw.protocols import ClockQuality, Fix, Timestamp
from hw.settings import ClockSettings
from hw.sim.clock import SimClock

NOON = datetime(2027, 3, 15, 12, tzinfo=UTC)


class Kernel:
    """A kernel after power-on: its wall clock is old until somebody sets it."""

    def __init__(self) -> None:
        self.boottime, self.wall = 20.0, datetime(2023, 1, 1, tzinfo=UTC)
        self.discipline = Discipline(False, 16_000.0)
        self.fix: tuple[Fix, float] | None = None

    def clock(self, settings: ClockSettings | None = None, known: Timestamp | None = None) -> SystemClock:
        return SystemClock(
            settings or ClockSettings(),
            lambda: self.fix,
            known=known,
            discipline=lambda: self.discipline,
            boottime=lambda: self.boottime,
            wall=lambda: self.wall,
            boot_id="boot",
        )


def test_a_read_before_the_clock_was_set_gets_its_time_later() -> None:
    kernel = Kernel()
    clock = kernel.clock()
    before = clock.now()
    assert (before.wall, before.quality, before.boottime) == (None, ClockQuality.NONE, 20.0)
    assert clock.wall("boot", before.boottime) is None
    kernel.boottime, kernel.wall, kernel.discipline = 320.0, NOON, Discipline(True, 4.0)
    assert clock.now().wall == NOON
    assert clock.wall("boot", before.boottime) == (NOON - timedelta(seconds=300), ClockQuality.NTP)
    assert clock.wall("the boot before", before.boottime) is None


def test_a_command_takes_the_time_that_the_unit_told_on_this_boot_until_the_kernel_has_one() -> None:
    """A GPS receiver that the unit holds sets no kernel clock, and a command beside it has no receiver."""
    kernel = Kernel()
    told = Timestamp("boot", 15.0, NOON, ClockQuality.GPS, 1000.0)
    clock = kernel.clock(known=told)
    now = clock.now()
    assert (now.wall, now.quality) == (NOON + timedelta(seconds=5), ClockQuality.GPS)
    assert now.offset_ms is not None
    assert now.offset_ms > 1000.0
    kernel.wall, kernel.discipline = NOON + timedelta(seconds=6), Discipline(True, 4.0)
    assert clock.now().quality is ClockQuality.NTP
    kernel = Kernel()
    assert kernel.clock(known=replace(told, boot_id="the boot before")).now().wall is None


@pytest.mark.parametrize(
    ("wall", "discipline"),
    [
        (NOON, Discipline(True, 5000.0)),  # synchronised long ago, or badly
        (NOON, Discipline(False, 1.0)),
        (datetime(2020, 1, 1, tzinfo=UTC), Discipline(True, 1.0)),  # no clock was right then
    ],
)
def test_a_doubtful_network_time_is_none(wall: datetime, discipline: Discipline) -> None:
    kernel = Kernel()
    kernel.wall, kernel.discipline = wall, discipline
    assert kernel.clock().now().quality is ClockQuality.NONE


def test_the_receivers_time_serves_until_the_network_gives_one() -> None:
    kernel = Kernel()
    kernel.fix = (Fix(33.7, -118.4, None, NOON, 6), 15.0)
    assert kernel.clock().now().wall == NOON + timedelta(seconds=5)
    assert kernel.clock().now().quality is ClockQuality.GPS
    assert kernel.clock(ClockSettings(use_gps=False)).now().quality is ClockQuality.NONE
    kernel.wall, kernel.discipline = NOON + timedelta(seconds=7), Discipline(True, 3.0)
    now = kernel.clock().now()
    assert (now.wall, now.quality, now.offset_ms) == (NOON + timedelta(seconds=7), ClockQuality.NTP, 3.0)


def test_a_network_time_outlives_the_network() -> None:
    kernel = Kernel()
    kernel.boottime, kernel.wall, kernel.discipline = 100.0, NOON, Discipline(True, 4.0)
    clock = kernel.clock()
    assert clock.now().offset_ms == 4.0
    # A day later the kernel has long given up, and somebody has set the machine's clock by hand.
    kernel.boottime += 86_400
    kernel.wall, kernel.discipline = NOON - timedelta(days=3), Discipline(False, 1600.0)
    now = clock.now()
    assert (now.wall, now.quality) == (NOON + timedelta(days=1), ClockQuality.NTP)
    assert now.offset_ms == pytest.approx(4.0 + 86_400_000 * 50e-6)
    kernel.fix = (Fix(33.7, -118.4, None, NOON + timedelta(days=1, seconds=2), 6), kernel.boottime)
    assert clock.now().quality is ClockQuality.GPS, "by now the receiver knows better"
    assert kernel.clock(ClockSettings(use_gps=False)).now().wall is None, "a new process knows nothing"


def test_a_receiver_whose_week_number_rolled_over_sets_nothing() -> None:
    kernel = Kernel()
    kernel.fix = (Fix(33.7, -118.4, None, NOON - timedelta(weeks=1024), 6), 15.0)
    assert kernel.clock().now().quality is ClockQuality.NONE


def test_this_machines_kernel_answers() -> None:
    found = kernel_discipline()
    assert found.error_ms >= 0
    now = SystemClock(ClockSettings()).now()
    assert len(now.boot_id) == 36
    assert now.boottime > 0


def test_the_simulated_clock_is_set_later_and_never_runs_backwards() -> None:
    clock = SimClock(quality=ClockQuality.NONE)
    early = clock.now()
    assert early.wall is None
    clock.set(ClockQuality.GPS)
    known = clock.wall(early.boot_id, early.boottime)
    assert known is not None
    assert known[1] is ClockQuality.GPS
    ahead = clock.simulated(early.boottime + 1000)
    assert clock.now().boottime >= ahead.boottime
