"""What the hardware needs to be told: the settings of camera, trigger, signals, GPS and clock.

Owns the fields, their defaults, units and ranges. The firmware builds these values from its
configuration's sections of the same names and checks the ranges; nothing here reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mask = tuple[float, ...]
"""One privacy mask in fractions (0..1) of the picture's width and height: either a rectangle
(x, y, width, height), or a polygon (x1, y1, x2, y2, x3, y3, ...) of three points and more."""

HardwareKind = Literal["pi", "sim"]
TriggerKind = Literal["motion", "gpio", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """Section [camera].

    Attributes:
        name: the camera's name in reads, 1 to 32 characters of a-z, 0-9 and `-`.
        source: "pi" for the board's camera; or, simulated, "street" (the rendered street, its light
            changing), "street:day", "street:dusk", "street:night", "street:measure" (the fixed
            measuring street), "folder:DIR" (each picture once), "video:FILE" (needs the extra
            [video]), "clip" (the demo clip).
        index: number of the board's camera connector, 0 or 1; "pi" only.
        width: width of the picture that plates are read in, pixels, even, 640 to 4096.
        height: its height, pixels, even, 360 to 3072.
        preview_width: width of the preview for the trigger, pixels, 160 to 1280 and at most `width`;
            its height follows from the shape of the main picture.
        fps: images a second, 1 to 60; 0 renders the simulated street as fast as it is taken. Folders,
            clips and videos are always delivered as fast as they are taken.
        timeout_s: how long the board's camera may keep silent before that is a failure, seconds,
            0.5 to 60.
        day_shutter_us: exposure time by day, microseconds, 50 to 33000.
        day_gain: analogue gain by day, 1 to 16.
        night_shutter_us: exposure time by night, microseconds, 50 to 33000.
        night_gain: analogue gain by night, 1 to 16.
        night_below: mean of the preview (0..255) under which the day preset gives way to the night's.
        day_above: mean of the preview (0..255) over which the night preset gives way to the day's;
            above `night_below`, and far enough that the presets do not swing.
        light_hold_s: how long the light must stay beyond a limit before the preset changes, seconds,
            0 to 600.
        masks: privacy masks, blackened in every picture before anything else sees it.
        seed: seed of the simulated street, any integer from 0.
    """

    name: str = "camera"
    source: str = "pi"
    index: int = 0
    width: int = 1280
    height: int = 720
    preview_width: int = 640
    fps: float = 15.0
    timeout_s: float = 5.0
    day_shutter_us: int = 1000
    day_gain: float = 1.0
    night_shutter_us: int = 2000
    night_gain: float = 8.0
    night_below: float = 20.0
    day_above: float = 150.0
    light_hold_s: float = 10.0
    masks: tuple[Mask, ...] = ()
    seed: int = 1

    @property
    def kind(self) -> HardwareKind:
        """The set that this source belongs to: "pi" for the board's camera, else "sim"."""
        return "pi" if self.source == "pi" else "sim"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSettings:
    """Section [trigger].

    Attributes:
        kind: "motion" (something moves in the previews), "gpio" (a loop detector, PIR or push-button
            at `pin`) or "always" (every image is looked at). A folder of pictures and the measuring
            street are always looked at, whatever is set here.
        area: share of the preview that must change to count as motion, 0.0005 to 0.5.
        contrast: change in grey levels (0..255) that counts, 2 to 100; noise raises it by itself.
        hold_s: how long the trigger stays open after the last motion or pulse, seconds, 0 to 60.
        pin: GPIO number (BCM) of the trigger input, 2 to 27; used by "gpio" only.
        active_high: whether the input is high while something is there.
        debounce_ms: changes shorter than this are ignored, milliseconds, 0 to 1000.
    """

    kind: TriggerKind = "motion"
    area: float = 0.004
    contrast: float = 12.0
    hold_s: float = 1.5
    pin: int = 24
    active_high: bool = False
    debounce_ms: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSettings:
    """Section [signals]. A pin is a GPIO number (BCM), 2 to 27, or 0 for a part that is not fitted.

    Attributes:
        alarm_lamp_pin: the lamp that a hit flashes.
        status_lamp_pin: the lamp that shows the unit's state.
        buzzer_pin: an active buzzer (it sounds by itself when powered).
        button_pin: the button, to ground, that acknowledges an alarm.
        quiet: no sound at all; lamps only.
        alarm_s: how long an alarm goes on that nobody acknowledges, seconds, 1 to 600.
    """

    alarm_lamp_pin: int = 17
    status_lamp_pin: int = 27
    buzzer_pin: int = 22
    button_pin: int = 23
    quiet: bool = False
    alarm_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpsSettings:
    """Section [gps].

    Attributes:
        enabled: whether a receiver is fitted.
        port: its serial port.
        baud: the port's speed, 4800 to 115200.
    """

    enabled: bool = False
    port: str = "/dev/serial0"
    baud: int = 9600


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSettings:
    """Section [clock].

    Attributes:
        max_error_ms: a network clock whose estimated error is larger is not taken as set,
            milliseconds, 10 to 10000. One that was taken is kept when the network goes, its error growing.
        use_gps: whether the receiver's time is used while the network gives none.
    """

    max_error_ms: float = 1000.0
    use_gps: bool = True
