"""The Raspberry Pi's set: camera, lamps and buzzer, GPS receiver, trigger input, clock.

Owns how the parts are put together and in which order. The one package that imports gpiozero, pyserial,
pynmea2 and (in `hw.pi.camera`, when the camera starts) picamera2.
"""

from __future__ import annotations

from contextlib import ExitStack

from hw.absent import NoGps
from hw.clock import SystemClock
from hw.protocols import Camera, Hardware, HwError, Trigger
from hw.settings import CameraSettings, ClockSettings, GpsSettings, SignalSettings, TriggerSettings
from hw.trigger import AlwaysTrigger, MotionTrigger


def open_pi(
    camera: CameraSettings,
    trigger: TriggerSettings,
    signals: SignalSettings,
    gps: GpsSettings,
    clock: ClockSettings,
) -> Hardware:
    """Open the board; see `hw.open_hardware`.

    Raises:
        HwError: a library is missing, or the trigger input cannot be opened. Whatever else is broken is told
            by its own part: a camera by CameraError when an image is asked of it, lamps by `faults`.
    """
    try:
        from hw.pi.camera import PiCamera
        from hw.pi.gps import SerialGps
        from hw.pi.signals import GpioSignals
    except ImportError as error:
        raise HwError(f"{error.name} is not installed: pip install 'platewarden[unit]'") from error
    with ExitStack() as undo:
        receiver = SerialGps(gps) if gps.enabled else NoGps()
        undo.callback(receiver.close)
        now = SystemClock(clock, receiver.received)
        source = PiCamera(camera, now)
        undo.callback(source.close)
        opened = Hardware(source, _trigger(source, camera, trigger), GpioSignals(signals), receiver, now)
        undo.pop_all()
    return opened


def _trigger(source: Camera, camera: CameraSettings, settings: TriggerSettings) -> Trigger:
    if settings.kind == "gpio":
        from hw.pi.trigger import GpioTrigger

        return GpioTrigger(settings)
    if settings.kind == "motion":
        return MotionTrigger(source, settings, patience=camera.timeout_s)
    return AlwaysTrigger()
