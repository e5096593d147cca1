"""The Raspberry Pi's set: camera, lamps and buzzer, GPS receiver, trigger input, clock.

Owns how the parts are put together and in which order. The one package that imports gpiozero, pyserial,
pynmea2 and (in `hw.pi.camera`, when the camera starts) picamera2.
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
from contextlib import ExitStack

from hw.absent import NoGps
from hw.clock import SystemClock
from hw.protocols import Camera, Hardware, HwError, Trigger
from hw.settings import CameraSettings, ClockSettings, GpsSettings, SignalSettings, TriggerSettings
from hw.trigger import AlwaysTrigger, MotionTrigger

logger = logging.getLogger(__name__)

_MEMORY = "/dev/shm"


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
    _import_lgpio()
    with ExitStack() as undo:
        receiver = SerialGps(gps) if gps.enabled else NoGps()
        undo.callback(receiver.close)
        now = SystemClock(clock, receiver.received)
        source = PiCamera(camera, now)
        undo.callback(source.close)
        opened = Hardware(source, _trigger(source, camera, trigger), GpioSignals(signals), receiver, now)
        undo.pop_all()
    return opened


def _import_lgpio() -> None:
    """Import gpiozero's pin driver where it can make its pipe.

    lgpio makes one in the working directory as it is imported, and does not work without. A unit's is "/"
    under systemd and somebody's home under sudo, neither of which it can write. The folder is in memory, for
    a full disk silences no alarm; its name is not needed once both ends of the pipe are open. What keeps the
    driver from working is told by the parts that need it.
    """
    try:
        before = os.getcwd()
    except OSError:  # a folder that is gone
        before = "/"
    try:
        with tempfile.TemporaryDirectory(prefix="platewarden-", dir=_MEMORY) as folder:
            os.chdir(folder)
            try:
                importlib.import_module("lgpio")
            finally:
                _go_back(before)
    except ImportError:
        logger.debug("lgpio is not installed: gpiozero looks for another driver")
    except OSError as error:
        logger.warning("lgpio cannot be used: %s", error)


def _go_back(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError:  # sudo leaves a process in a folder that its user may not enter
        os.chdir("/")


def _trigger(source: Camera, camera: CameraSettings, settings: TriggerSettings) -> Trigger:
    if settings.kind == "gpio":
        from hw.pi.trigger import GpioTrigger

        return GpioTrigger(settings)
    if settings.kind == "motion":
        return MotionTrigger(source, settings, patience=camera.timeout_s)
    return AlwaysTrigger()
