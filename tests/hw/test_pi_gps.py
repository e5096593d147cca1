"""The GPS receiver over a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import termios
import time
import tty
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from hw.clock import Discipline, SystemClock
from hw.pi.gps import FRESH_S, SerialGps
from hw.protocols import ClockQuality
from hw.settings import ClockSettings, GpsSettings
from tests.hw.pins import soon

RMC = "GPRMC,120000.00,A,3345.0000,N,11825.5000,W,010.0,084.4,150327,,,A"
GGA = "GPGGA,120000.00,3345.0000,N,11825.5000,W,1,07,1.0,10.0,M,0.0,M,,"


def sentence(text: str) -> bytes:
    return f"${text}*{reduce(lambda a, b: a ^ b, text.encode()):02X}\r\n".encode()


class Port:
    """A receiver at the end of a wire that a test holds."""

    def __init__(self) -> None:
        self.end, self._other = pty.openpty()
        tty.setraw(self._other)
        self.path = os.ttyname(self._other)
        self.now = 50.0
        self.gps = SerialGps(GpsSettings(enabled=True, port=self.path), boottime=lambda: self.now)

    def hears(self, data: bytes, until: Callable[[], object]) -> bool:
        """Send `data` again and again, as a receiver does, until something is true."""
        return soon(lambda: (os.write(self.end, data), time.sleep(0.02), until())[2])

    def close(self) -> None:
        self.gps.close()
        for end in (self.end, self._other):
            os.close(end)


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


def test_a_fix_comes_through_noise_and_bad_checksums(port: Port) -> None:
    noise = b"\xff\x00$GP garbage\r\n" + sentence(RMC).replace(b"3345", b"3445") + b"x" * 600 + b"\n"
    assert port.hears(noise + sentence(GGA) + sentence(RMC), port.gps.fix)
    fix = port.gps.fix()
    assert fix is not None
    assert (fix.latitude, fix.longitude) == pytest.approx((33.75, -118.425))
    assert (fix.heading, fix.satellites) == (84.4, 7)
    assert fix.time == datetime(2027, 3, 15, 12, tzinfo=UTC)


def test_without_a_checksum_or_a_fix_there_is_none(port: Port) -> None:
    bare, void = b"$" + RMC.encode() + b"\r\n", sentence(RMC.replace(",A,3345", ",V,3345"))
    wrong = sentence(RMC)[:-4] + b"00\r\n"
    assert wrong != sentence(RMC)
    heard = bare + void + wrong + sentence(GGA)
    assert port.hears(heard, lambda: port.gps._satellites == 7), "all of it has been read"
    assert port.gps.fix() is None


def test_a_standing_unit_has_no_heading_and_an_old_position_is_none(port: Port) -> None:
    assert port.hears(sentence(RMC.replace("010.0", "000.4")), port.gps.fix)
    fix = port.gps.fix()
    assert fix is not None
    assert fix.heading is None
    port.now += FRESH_S + 1
    assert port.gps.fix() is None
    received = port.gps.received()
    assert received is not None, "its time still serves the clock"
    assert received[1] == 50.0


def test_the_clock_is_set_by_the_receiver(port: Port) -> None:
    clock = SystemClock(
        ClockSettings(),
        port.gps.received,
        discipline=lambda: Discipline(False, 1e6),
        boottime=lambda: port.now,
        boot_id="boot",
    )
    assert clock.now().quality is ClockQuality.NONE
    assert port.hears(sentence(RMC), lambda: clock.now().quality is ClockQuality.GPS)
    assert clock.wall("boot", 40.0) == (datetime(2027, 3, 15, 11, 59, 50, tzinfo=UTC), ClockQuality.GPS)


def test_a_receiver_unplugged_while_its_port_is_opened_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pyserial passes termios.error on, which is no OSError; the thread must not die of it."""
    monkeypatch.setattr("hw.pi.gps._RETRY_S", 0.05)
    opened = serial.Serial
    failures = [termios.error(5, "Input/output error")]

    def serial_port(*args: Any, **kwargs: Any) -> serial.Serial:
        if failures:
            raise failures.pop()
        return opened(*args, **kwargs)

    monkeypatch.setattr("hw.pi.gps.serial.Serial", serial_port)
    port = Port()
    try:
        assert port.hears(sentence(RMC), port.gps.fix)
    finally:
        port.close()


def test_a_receiver_that_is_plugged_in_late_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw.pi.gps._RETRY_S", 0.05)
    end, other = pty.openpty()
    tty.setraw(other)
    path = tmp_path / "serial0"
    gps = SerialGps(GpsSettings(enabled=True, port=str(path)))
    assert gps.fix() is None
    path.symlink_to(os.ttyname(other))

    def heard() -> bool:
        os.write(end, sentence(RMC))
        return gps.fix() is not None

    assert soon(heard)
    gps.close()
    gps.close()
    os.close(end)
    os.close(other)


def unplugged(boottime: Callable[[], float] = lambda: 1.0) -> SerialGps:
    """A receiver without port and thread: the test gives it the lines."""
    gps = SerialGps.__new__(SerialGps)
    gps.__dict__.update(_settings=GpsSettings(), _boottime=boottime, _newest=None, _satellites=0)
    return gps


@pytest.mark.parametrize("missing", ["3345.0000,N", "N", "11825.5000,W", "W"])
def test_a_valid_sentence_without_a_position_is_no_fix(missing: str) -> None:
    """It would put the unit, and every read, into the Gulf of Guinea."""
    gps = unplugged()
    gps._take(sentence(RMC.replace(f",{missing},", "," + "," * missing.count(",") + ",")))
    assert gps.fix() is None


@pytest.mark.parametrize("course", ["nan", "inf", "-5.0", "720.0", "360.0", "", "x"])
def test_a_heading_is_one_that_hq_takes_or_none(course: str) -> None:
    """HQ puts a read whose position is none into quarantine."""
    gps = unplugged()
    gps._take(sentence(RMC.replace("084.4", course)))
    fix = gps.fix()
    assert fix is None or fix.heading is None or 0 <= fix.heading <= 360


def set_by(gps: SerialGps, boottime: Callable[[], float]) -> SystemClock:
    """A clock without a network, set by this receiver alone; `boottime` in seconds."""
    return SystemClock(
        ClockSettings(),
        gps.received,
        discipline=lambda: Discipline(False, 1e6),
        boottime=boottime,
        boot_id="boot",
    )


def test_a_receiver_that_hangs_neither_holds_the_place_nor_stops_the_clock() -> None:
    """It repeats its last sentence for hours: the place gets stale, the time goes on."""
    now = 50.0
    gps = unplugged(lambda: now)
    clock = set_by(gps, lambda: now)
    for _ in range(1800):
        gps._take(sentence(RMC))
        now += 1.0
    assert gps.fix() is None
    assert clock.now().wall == datetime(2027, 3, 15, 12, 30, tzinfo=UTC)
    gps._take(sentence(RMC.replace("120000", "123000")))
    assert gps.fix() is not None


def test_a_trailer_under_a_roof_keeps_the_time_that_its_receiver_gave() -> None:
    """After an hour its reads had no time any more, and expired entries of the hot list sounded."""
    now = 50.0
    gps = unplugged(lambda: now)
    clock = set_by(gps, lambda: now)
    gps._take(sentence(RMC))
    now += 86_400
    moment = clock.now()
    assert gps.fix() is None, "where it is now nobody knows"
    assert (moment.wall, moment.quality) == (datetime(2027, 3, 16, 12, tzinfo=UTC), ClockQuality.GPS)
    assert moment.offset_ms == pytest.approx(1000 + 4320)


@given(st.binary(max_size=90))
def test_no_noise_ends_the_reading(noise: bytes) -> None:
    gps = unplugged()
    gps._take(noise)
    gps._take(b"$" + noise + b"*00\r\n")
    gps._take(sentence(f"GPRMC,{noise.decode('ascii', 'replace')}"))
    assert gps.fix() is None
