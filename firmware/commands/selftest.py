"""`platewarden selftest`: each part of the unit tried in turn, for the technician beside it.

Owns the order and the report. It works on the real parts, so the unit's service must be stopped.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from firmware.commands.status import is_running
from firmware.config import Settings
from firmware.errors import Exit, FirmwareError, IoError
from firmware.store import unwritable
from hw import sim
from hw.protocols import Alarm, ClockQuality, Hardware, HwError, UnitState
from plates.draw import PlateDesign, draw_plate
from plates.words import AlarmClass, MatchKind

HELP = "try every part of the unit in turn: lamps, camera, GPS, models, disk, broker"
NEEDS_CONFIG = True

LOOK_S: Final = 1.5
"""How long each signal of a real board is shown, so that a person can see and hear it."""
TRIGGER_S: Final = 2.0
GPS_S: Final = 15.0
FONT: Final = Path(sim.__path__[0], "fonts", "BarlowSemiCondensed-Medium.ttf")
PLATE: Final = "7SLF193"
"""The invented serial of the rendered plate."""


class PartFailed(FirmwareError):
    """A part does not do what it should; the text says what was seen."""


class PartSkipped(FirmwareError):
    """A part is not fitted or not switched on."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What the parts are tried with.

    Attributes:
        settings, hardware: the unit's own.
        pause: waits so many seconds.
        broker_s: how long the broker may take, seconds.
    """

    settings: Settings
    hardware: Hardware
    pause: Callable[[float], None] = time.sleep
    broker_s: float = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Try lamps and buzzer, camera, trigger, GPS, clock, models, disk and broker, one after the other. "
        "Stop the unit's service first. Exit code 4 where a part failed."
    )


def run(args: argparse.Namespace) -> int:
    settings: Settings = args.settings
    if is_running(settings.store.directory):
        raise IoError("the unit is running: stop its service first (systemctl stop platewarden)")
    from hw import open_hardware

    hardware = open_hardware(
        settings.camera.kind,
        camera=settings.camera,
        trigger=settings.trigger,
        signals=settings.signals,
        gps=settings.gps,
        clock=settings.clock,
    )
    try:
        results = []
        for name, outcome, text in selftest(Bench(settings, hardware)):
            print(f"{outcome:<8}{name:<10}{text}", flush=True)
            results.append(outcome)
    finally:
        hardware.close()
    return Exit.IO if "failed" in results else Exit.OK


def selftest(bench: Bench) -> Iterator[tuple[str, str, str]]:
    """(part, "ok" | "failed" | "skipped", what was seen) for each part, as it is tried."""
    from detector.errors import DetectorError
    from mqtt.errors import MqttError

    for name, part in PARTS.items():
        try:
            yield name, "ok", part(bench)
        except PartSkipped as error:
            yield name, "skipped", str(error)
        except (FirmwareError, HwError, DetectorError, MqttError, OSError) as error:
            yield name, "failed", " ".join(str(error).split()) or type(error).__name__


def _signals(bench: Bench) -> str:
    signals, settings = bench.hardware.signals, bench.settings.signals
    if not any((settings.alarm_lamp_pin, settings.status_lamp_pin, settings.buzzer_pin)):
        raise PartSkipped("neither lamp nor buzzer is fitted")
    look = LOOK_S if bench.settings.camera.kind == "pi" else 0.0
    for state in UnitState:
        signals.state(state)
        bench.pause(look)
    # The weakest first: a stronger alarm's sound is not cut short by a weaker one that follows it.
    for kind in reversed(MatchKind):
        signals.hit(Alarm(AlarmClass.STOLEN_VEHICLE, kind))
        bench.pause(2 * look)
    if faults := signals.faults():
        raise PartFailed("; ".join(faults))
    buzzer = "" if settings.buzzer_pin and not settings.quiet else ", no sound"
    return f"status lamp in {len(UnitState)} states, alarm in {len(MatchKind)} kinds{buzzer}: seen and heard?"


def _camera(bench: Bench) -> str:
    frame = bench.hardware.camera.frame(bench.settings.camera.timeout_s)
    height, width = frame.image.shape[:2]
    mean = float(frame.image.mean())
    if frame.image.min() == frame.image.max():
        raise PartFailed(f"{width}x{height}, but every pixel is {frame.image.flat[0]}: is the lens covered?")
    return f"{width}x{height}, mean brightness {mean:.0f} of 255"


def _trigger(bench: Bench) -> str:
    seen = bench.hardware.trigger.wait(TRIGGER_S)
    return f"{bench.settings.trigger.kind}: " + (
        "something passed" if seen else f"nothing within {TRIGGER_S:g} s"
    )


def _gps(bench: Bench) -> str:
    if not bench.settings.gps.enabled:
        raise PartSkipped("not enabled")
    for _ in range(round(GPS_S)):
        if fix := bench.hardware.gps.fix():
            return f"{fix.latitude:.5f}, {fix.longitude:.5f}, {fix.satellites} satellites"
        bench.pause(1.0)
    raise PartFailed(f"no fix within {GPS_S:g} s: has the antenna a view of the sky?")


def _clock(bench: Bench) -> str:
    now = bench.hardware.clock.now()
    if now.quality is ClockQuality.NONE or now.wall is None:
        raise PartFailed("not set: reads get their time of day when it is")
    error = "" if now.offset_ms is None else f", error about {abs(now.offset_ms):.0f} ms"
    return f"{now.wall:%Y-%m-%d %H:%M:%S} UTC by {now.quality.value}{error}"


def _models(bench: Bench) -> str:
    from detector.reader import Reader

    detector = bench.settings.detector
    reader = Reader.open(detector.models, threads=detector.model_threads)
    image = rendered_plate()
    start = time.perf_counter()
    found = reader.locate(image)
    texts = [reader.read(image, detection).text for detection in found]
    spent = timedelta(seconds=time.perf_counter() - start)
    if PLATE not in texts:
        raise PartFailed(f"a rendered plate {PLATE} was read as {', '.join(texts) or 'nothing'}")
    return f"a rendered plate was read right in {spent / timedelta(milliseconds=1):.0f} ms"


def rendered_plate() -> NDArray[np.uint8]:
    """A plate with the text PLATE at the rear of a drawn car: uint8 (360, 640, 3) RGB."""
    design = PlateDesign(font=FONT, border=(24, 32, 84))
    plate = Image.fromarray(draw_plate(PLATE, design, 4 * 150)).resize((150, 75), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (640, 360), (126, 128, 128))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 640, 130), fill=(168, 178, 190))
    draw.ellipse((140, 285, 220, 350), fill=(24, 24, 26))
    draw.ellipse((420, 285, 500, 350), fill=(24, 24, 26))
    draw.rounded_rectangle((130, 130, 510, 320), 26, fill=(120, 30, 34))
    draw.polygon(((180, 132), (210, 50), (430, 50), (460, 132)), fill=(44, 52, 60))
    draw.rounded_rectangle((140, 160, 200, 200), 8, fill=(190, 40, 36))
    draw.rounded_rectangle((440, 160, 500, 200), 8, fill=(190, 40, 36))
    draw.rectangle((130, 285, 510, 305), fill=(40, 40, 44))
    picture.paste(plate, (245, 190))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6)))


def _store(bench: Bench) -> str:
    directory: Path = bench.settings.store.directory
    if not directory.exists():
        # Made here it would belong to the technician, and the unit could not write to it.
        raise PartSkipped(f"{directory} is made at the unit's first start")
    if closed := unwritable(directory):
        raise PartFailed(f"{closed} cannot be written by this user")
    start = time.perf_counter()
    handle, name = tempfile.mkstemp(prefix="selftest-", dir=directory)
    try:
        os.write(handle, bytes(1_000_000))
        os.fsync(handle)
    finally:
        os.close(handle)
        with suppress(FileNotFoundError):
            os.unlink(name)
    spent = time.perf_counter() - start
    return f"{directory}: 1 MB written and synced in {spent * 1000:.0f} ms"


def _broker(bench: Bench) -> str:
    from mqtt.client import Link

    mqtt = bench.settings.mqtt
    if not mqtt.enabled:
        raise PartSkipped("not enabled")
    link = Link(mqtt, f"{bench.settings.unit.id}-selftest")
    try:
        end = time.monotonic() + bench.broker_s
        while not link.connected and time.monotonic() < end:
            link.step(0.2)
        if not link.connected:
            raise PartFailed(link.fault)
    finally:
        link.close()
    return f"{mqtt.host}:{mqtt.port} accepts the unit"


PARTS: Final[dict[str, Callable[[Bench], str]]] = {
    "signals": _signals,
    "camera": _camera,
    "trigger": _trigger,
    "gps": _gps,
    "clock": _clock,
    "models": _models,
    "store": _store,
    "broker": _broker,
}
