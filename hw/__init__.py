"""The board: one call opens a complete set of camera, trigger, signals, GPS and clock.

Owns the choice between the sets. `hw.pi` is a Raspberry Pi, `hw.sim` needs no board at all; the protocols
that both fulfil are `hw.protocols`. Only `hw.pi` imports picamera2, gpiozero and pyserial, and only when
it is opened, so that everything else runs on any machine.
"""

from __future__ import annotations

from hw.clock import SystemClock
from hw.protocols import Clock, Hardware, Timestamp
from hw.settings import (
    CameraSettings,
    ClockSettings,
    GpsSettings,
    HardwareKind,
    SignalSettings,
    TriggerSettings,
)


def open_clock(settings: ClockSettings, told: Timestamp | None = None) -> Clock:
    """This machine's clock, without the rest of the board: for commands that run beside the unit.

    Args:
        settings: when a wall clock is believed.
        told: what the unit last told of its own clock. Its GPS receiver may have given it the time, or the
            network before that went; of another boot it says nothing.
    """
    return SystemClock(settings, known=told)


def open_hardware(
    kind: HardwareKind,
    *,
    camera: CameraSettings,
    trigger: TriggerSettings,
    signals: SignalSettings,
    gps: GpsSettings,
    clock: ClockSettings,
) -> Hardware:
    """Open one complete set.

    Args:
        kind: "pi" for the board, "sim" for the simulated camera that `camera.source` names.
        camera, trigger, signals, gps, clock: the settings of each part.

    Raises:
        HwError: a simulated source or a trigger input cannot be opened, or a library is missing; the line
            names it. The board's camera, a lamp, a buzzer or a GPS receiver that fails is told by its own
            part instead: what was read before still goes to HQ.
    """
    if kind == "pi":
        from hw.pi import open_pi

        return open_pi(camera, trigger, signals, gps, clock)
    from hw.sim import open_sim

    return open_sim(camera, trigger, signals, gps, clock)
