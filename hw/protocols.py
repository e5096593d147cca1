"""What the board is, as the firmware sees it: the protocols and the values they exchange.

Owns the words Frame, Timestamp, Fix and the five protocols. `hw.pi` and `hw.sim` implement them;
nothing here imports a driver, so that every import works on a machine with no board.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from plates.words import AlarmClass, MatchKind

Pixels = npt.NDArray[np.uint8]


class HwError(Exception):
    """Base of what the hardware reports; its text names the device and is one line."""


class CameraError(HwError):
    """The camera failed or delivered nothing within the timeout; it may come back."""


class EndOfFrames(HwError):
    """A finite source (folder, clip, measuring street) has delivered its last frame."""


class ClockQuality(StrEnum):
    """How far the wall clock can be trusted. A Pi has no RTC: it starts with NONE."""

    NONE = "none"
    NTP = "ntp"
    GPS = "gps"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """One moment, by the only clock that always runs and, where known, by the wall clock.

    Attributes:
        boot_id: the kernel's random id of this boot.
        boottime: seconds since that boot, suspend included (CLOCK_BOOTTIME).
        wall: the moment in UTC (timezone-aware), None while quality is NONE.
        quality: how `wall` is known.
        offset_ms: the clock's estimated error in milliseconds, None where unknown.
    """

    boot_id: str
    boottime: float
    wall: datetime | None
    quality: ClockQuality
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What a simulated frame really shows of one vehicle; a real camera has none.

    Attributes:
        passage: number of the vehicle's passage, from 0.
        text: its plate's text.
        box: (x, y, w, h) of the plate in pixels of the frame, None while the plate is not in view.
    """

    passage: int
    text: str
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class Preview:
    """The low-resolution luminance of one camera image, for the trigger.

    Attributes:
        luma: uint8 (h, w), 0 black to 255 white, the shape of the main picture scaled down.
        time: when the sensor took it.
        sequence: the image's number; numbers rise by one per image that the camera took.
    """

    luma: Pixels
    time: Timestamp
    sequence: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image with its time.

    Attributes:
        image: uint8 (height, width, 3), RGB.
        time: when the sensor took it.
        sequence: the image's number; a gap to the frame before counts skipped images.
        camera: the camera's name from the configuration.
        truth: what the image really shows, by a simulated camera; None from a real one.
        source: the file that the image came from, "" for a live camera.
    """

    image: Pixels
    time: Timestamp
    sequence: int
    camera: str
    truth: tuple[Truth, ...] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """A GPS position: WGS 84 degrees, heading in degrees from true north where moving."""

    latitude: float
    longitude: float
    heading: float | None
    time: datetime
    satellites: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """What the officer is told by lamp and buzzer: the class of the entry and the kind of match."""

    alarm_class: AlarmClass
    kind: MatchKind


class UnitState(StrEnum):
    """What the status lamp shows."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    FAULT = "fault"


class Camera(Protocol):
    """A source of images. One thread uses it."""

    name: str

    def preview(self, timeout: float) -> Preview:
        """Wait at most `timeout` seconds for the next image and return its luminance.

        Raises CameraError on failure or timeout, EndOfFrames after the last image.
        """
        ...

    def frame(self, timeout: float) -> Frame:
        """Return the image of the last preview, or the next one where that was returned before.

        Raises CameraError on failure or timeout, EndOfFrames after the last image.
        """
        ...

    def close(self) -> None:
        """Release the camera; may be called twice."""
        ...


class Trigger(Protocol):
    """Says when a look at the scene is worth while."""

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; True when something may be passing.

        A motion trigger draws on the camera's previews and raises what they raise.
        """
        ...

    def close(self) -> None: ...


class Signals(Protocol):
    """Lamps and buzzer. Every call returns at once and none ever raises: a dead lamp is told by
    `faults`, never by an exception into the loop."""

    def hit(self, alarm: Alarm) -> None: ...

    def state(self, state: UnitState) -> None: ...

    def on_acknowledge(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the officer presses the button; the alarm is silent by then."""
        ...

    def faults(self) -> tuple[str, ...]:
        """One line for each signal device that does not work."""
        ...

    def close(self) -> None: ...


class Gps(Protocol):
    """The position receiver."""

    def fix(self) -> Fix | None:
        """The newest valid fix, None where there is none or it is older than 10 s."""
        ...

    def close(self) -> None: ...


class Clock(Protocol):
    """The one clock of the unit."""

    def now(self) -> Timestamp: ...

    def wall(self, boot_id: str, boottime: float) -> tuple[datetime, ClockQuality] | None:
        """The wall time of a moment of this boot, once the clock is set; None before, or for
        another boot."""
        ...


@dataclass(frozen=True, slots=True)
class Hardware:
    """One complete set: what `open_hardware` returns."""

    camera: Camera
    trigger: Trigger
    signals: Signals
    gps: Gps
    clock: Clock

    def close(self) -> None:
        """Close all of it; what a part raises comes after the others are closed."""
        with ExitStack() as stack:
            for part in (self.gps, self.signals, self.camera, self.trigger):
                stack.callback(part.close)
