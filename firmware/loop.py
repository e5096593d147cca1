"""The loop: one image after the other, from the camera to the lamp. It fits on one screen.

Owns the order of the steps (design.md, "One read, step by step") and the ping of the watchdog: only a
processed frame, or a camera failure that was noticed and told, proves that the loop is alive.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from detector.types import Detection, PlateText
from firmware.alarms import Alarms
from firmware.errors import IoError
from firmware.passage import Event, Passages
from firmware.reading import Scribe
from firmware.store import Store
from firmware.track import Look
from firmware.vitals import Vitals
from hw.protocols import CameraError, EndOfFrames, Frame, Hardware, Pixels
from mqtt.records import Hit, Read

logger = logging.getLogger(__name__)

IDLE_S = 10.0
"""Without a watchdog a frame is looked at so often although nothing moves."""

SLICE_S = 0.5
"""How long a wait may delay the stop of the process."""

GIVE_UP_S = 120.0
"""A camera that has failed for so long ends the process: systemd restarts it, and reboots in the end."""

BACKOFF_S = (0.5, 1.0, 2.0, 5.0)
"""Pauses before the camera is asked again."""


class CameraGone(IoError):
    """The camera has failed for GIVE_UP_S."""


class PlateReader(Protocol):
    """What the loop needs of `detector.reader.Reader`."""

    def locate(self, image: Pixels) -> list[Detection]: ...

    def read(self, image: Pixels, detection: Detection, once: bool = False) -> PlateText: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the loop works with; `firmware.app` builds it.

    Attributes:
        camera_timeout_s: how long a frame may take.
        wake: tells the publisher that the outbox has a new row.
        ping: feeds the watchdog.
        idle_s: a frame is looked at so often although nothing moves; a third of the watchdog's time.
        kept: told of every read with its hits after the commit (the demo's terminal).
    """

    hardware: Hardware
    reader: PlateReader
    passages: Passages
    scribe: Scribe
    alarms: Alarms
    store: Store
    vitals: Vitals
    camera_timeout_s: float
    wake: Callable[[], None]
    ping: Callable[[], None]
    idle_s: float = IDLE_S
    kept: Callable[[Read, list[Hit]], None] = lambda read, hits: None


def run(parts: Parts, stop: threading.Event, enough: Callable[[], bool] = lambda: False) -> None:
    """Read plates until `stop` is set, the source ends, or `enough` says so after a frame.

    Raises CameraGone after GIVE_UP_S without a camera; what else is raised is a defect or a store that
    can go on no more, and ends the process.
    """
    hardware, passages, vitals = parts.hardware, parts.passages, parts.vitals
    last: int | None = None
    while not stop.is_set() and not enough():
        try:
            moving = wait(parts, stop)
            if moving is None:
                keep(parts, passages.tick(hardware.clock.now().boottime))
                continue
            frame = hardware.camera.frame(parts.camera_timeout_s)
        except EndOfFrames:
            break
        except CameraError as error:
            _failed(parts, stop, error)
            continue
        skipped = frame.sequence - last - 1 if last is not None and moving else 0
        vitals.saw(frame, skipped)
        last = frame.sequence if moving else None
        # Behind the camera a further image of a plate is worth more than a further cut of this one.
        keep(parts, passages.add(frame, looks_at(parts.reader, frame, once=skipped > 0)))
        parts.ping()
    keep(parts, passages.finish())


def looks_at(reader: PlateReader, frame: Frame, once: bool = False) -> list[Look]:
    """Every look at a frame, the likeliest plate first; `once` as of `detector.ocr.Ocr.read`."""
    return [Look.of(frame, one, reader.read(frame.image, one, once)) for one in reader.locate(frame.image)]


def stand_by(parts: Parts, stop: threading.Event, why: str) -> None:
    """Look at nothing until `stop` is set and say why in the status; the outbox drains meanwhile."""
    while not stop.is_set():
        parts.vitals.failed(why)
        parts.ping()
        stop.wait(min(parts.idle_s, IDLE_S))


def keep(parts: Parts, events: list[Event]) -> None:
    """Match, store and signal what the passages say, in this order: the alarm comes after the commit."""
    for event in events:
        read, pictures = parts.scribe.read(event), parts.scribe.pictures(event)
        before = parts.alarms.known(read.read_id)
        hits = parts.alarms.find(read)
        save = parts.store.add if event.revision == 1 else parts.store.revise
        stored = save(read, hits, pictures)
        parts.alarms.noted(read.read_id, stored is not None)
        parts.alarms.sound(read, hits, before)
        logger.info("read %s, revision %d%s", read.read_id, event.revision, "" if stored else ", not kept")
        parts.wake()
        parts.kept(stored or read, hits)


def wait(parts: Parts, stop: threading.Event) -> bool | None:
    """Wait for something that moves.

    True when it does; False when nothing did for `idle_s`, so that a frame is due all the same; None
    when a passage is due or the process is to stop. Raises what the trigger raises.
    """
    clock, due = parts.hardware.clock, parts.passages.due()
    now = clock.now().boottime
    end = now + parts.idle_s if due is None else min(now + parts.idle_s, due)
    while not stop.is_set():
        if parts.hardware.trigger.wait(max(min(end - now, SLICE_S), 0.0)):
            return True
        now = clock.now().boottime
        if now >= end:
            return None if due is not None and now >= due else False
    return None


def _failed(parts: Parts, stop: threading.Event, error: CameraError) -> None:
    """A broken camera is told in the status while the outbox still drains."""
    fault = str(error) or type(error).__name__
    if parts.vitals.failed(fault) > GIVE_UP_S:
        raise CameraGone(f"no frame for {GIVE_UP_S:.0f} s: {fault}") from error
    keep(parts, parts.passages.tick(parts.hardware.clock.now().boottime))
    parts.ping()
    stop.wait(BACKOFF_S[min(parts.vitals.failures, len(BACKOFF_S)) - 1])
