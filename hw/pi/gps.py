"""A GPS receiver that sends NMEA 0183 sentences over a serial port.

Owns the port and what counts as a fix. A thread reads; noise, half sentences and an unplugged receiver are
survived, for the unit reads plates without a position too.
"""

from __future__ import annotations

import logging
import termios
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pynmea2
import serial

from hw.protocols import Fix
from hw.settings import GpsSettings

logger = logging.getLogger(__name__)

FRESH_S: Final = 10.0
"""An older position is none: a trailer may have been towed away with its antenna covered."""

_RETRY_S: Final = 2.0
_MOVING_KNOTS: Final = 2.0  # below it the course over ground is noise
_LONGEST: Final = 256  # an NMEA sentence has 82 characters at most; this ends a line of noise


class SerialGps:
    """The receiver at one port. Safe to use from several threads."""

    def __init__(
        self,
        settings: GpsSettings,
        *,
        boottime: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        """Start to read; a port that is missing is tried again until it appears.

        `boottime` stands in for the kernel's clock in tests.
        """
        self._settings = settings
        self._boottime = boottime
        self._newest: tuple[Fix, float] | None = None
        self._satellites = 0
        self._complaint = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="gps", daemon=True)
        self._thread.start()

    def fix(self) -> Fix | None:
        """The newest valid fix, None where there is none or it is older than FRESH_S."""
        newest = self._newest
        return newest[0] if newest and self._boottime() - newest[1] <= FRESH_S else None

    def received(self) -> tuple[Fix, float] | None:
        """The newest fix, however old, and the boot time (seconds) at which it came in, for the clock."""
        return self._newest

    def close(self) -> None:
        """Stop reading; may be called twice."""
        self._stop.set()
        self._thread.join(timeout=2 * _RETRY_S)

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                with serial.Serial(self._settings.port, self._settings.baud, timeout=0.5) as port:
                    self._said("")
                    while not self._stop.is_set():
                        self._take(port.read_until(b"\n", _LONGEST))
            except (serial.SerialException, OSError, termios.error) as error:
                # The last is no OSError, and pyserial lets it pass where a port goes while it is opened.
                self._said(str(error))
                self._stop.wait(_RETRY_S)

    def _said(self, complaint: str) -> None:
        """Log a trouble when it begins and when it ends, not every two seconds."""
        if complaint == self._complaint:
            return
        self._complaint = complaint
        if complaint:
            logger.warning("gps at %s: %s", self._settings.port, complaint)
        else:
            logger.info("gps at %s: the port is open", self._settings.port)

    def _take(self, line: bytes) -> None:
        if not line:
            return
        now = self._boottime()
        try:
            # Noise makes pynmea2 raise any of these, in parsing or when a field is first looked at.
            sentence = pynmea2.parse(line.decode("ascii").strip(), check=True)
            kind = getattr(sentence, "sentence_type", "")
            if kind == "GGA":
                self._satellites = int(sentence.num_sats or 0)
            elif kind == "RMC" and sentence.status == "A":
                fix, newest = self._fix(sentence), self._newest
                # A receiver that hangs repeats its last sentence: taken as new, it would hold a trailer where
                # it was and set the clock back all the time.
                if newest is None or fix.time != newest[0].time:
                    self._newest = (fix, now)
        except (pynmea2.ParseError, UnicodeDecodeError, ValueError, AttributeError, TypeError) as error:
            logger.debug("gps at %s: a sentence is ignored: %s", self._settings.port, error)

    def _fix(self, rmc: Any) -> Fix:
        """The position of a valid RMC sentence; raises ValueError where it is none on Earth."""
        if not rmc.lat or not rmc.lon or rmc.lat_dir not in ("N", "S") or rmc.lon_dir not in ("E", "W"):
            raise ValueError("it names no position")  # pynmea2 makes 0 of what is not there
        if not (-90 <= rmc.latitude <= 90 and -180 <= rmc.longitude <= 180):
            raise ValueError("the position is off the globe")
        moving = rmc.spd_over_grnd is not None and rmc.spd_over_grnd >= _MOVING_KNOTS
        moment = datetime.combine(rmc.datestamp, rmc.timestamp.replace(tzinfo=UTC))
        heading = float(rmc.true_course) if moving and rmc.true_course is not None else None
        if heading is not None and not 0 <= heading <= 360:
            heading = None  # HQ would put every read with it into quarantine
        return Fix(rmc.latitude, rmc.longitude, heading, moment, self._satellites)
