"""The unit's process: everything is built here, in the open, and taken down in reverse order.

Owns which part is made of what, the order of start and stop, and what happens when a source ends. The
threads are: the loop in the main thread, `publisher` (firmware.publisher), `upkeep` (firmware.upkeep) and,
where the owner asked for it, `homeassistant` (firmware.homeassistant).
What each does is its own module's business.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from firmware import loop
from firmware.alarms import Alarms
from firmware.config import Settings
from firmware.errors import ConfigError, DiskRefusesError
from firmware.listwatch import ListWatch
from firmware.passage import Passages
from firmware.publisher import Publisher
from firmware.reading import Scribe
from firmware.store import Store
from firmware.systemd import Notifier
from firmware.tasks import Tasks, stop_on_signals
from firmware.upkeep import Sources, Upkeep
from firmware.vitals import Vitals
from hw.health import CameraHealth
from hw.protocols import Hardware
from mqtt.errors import LinkError
from mqtt.records import Hit, Read

logger = logging.getLogger(__name__)

QUEUE_S = 0.1
"""How often the queue is looked at after the last frame."""

NO_DEPLOYMENT = "unit.deployment names none and unit.deployment_required is set: nothing is captured"
"""Why a unit that needs a deployment does not read (430.3(c)-1)."""

Kept = Callable[[Read, Sequence[Hit], Sequence[Path]], None]
"""Told of every read with its news and the files of its pictures, after the commit."""


class ModelInfo(Protocol):
    """What a record says of a model."""

    @property
    def sha256(self) -> str: ...


class UnitReader(loop.PlateReader, Protocol):
    """What a unit needs of `detector.reader.Reader`."""

    @property
    def min_confidence(self) -> float: ...

    def models_info(self) -> Sequence[ModelInfo]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """When a unit ends by itself; by default never.

    Attributes:
        frames: after so many frames.
        once: after the first read.
        wait_s: after the last frame it waits so long at most for HQ to receipt what is queued.
    """

    frames: float = math.inf
    once: bool = False
    wait_s: float = 0.0


NEVER = Ending()


def run(settings: Settings, software: str, ending: Ending = NEVER, kept: Kept | None = None) -> None:
    """Open models and hardware and run the unit until a signal or the end of a finite source.

    Args:
        settings: the effective configuration.
        software: version of Platewarden.
        ending: when the unit ends by itself.
        kept: only a demonstration prints its reads.

    Raises:
        DetectorError, StoreError, HwError, MqttError, ConfigError: a part cannot be built.
        TaskDied, CameraGone: the process must end and be started again.
    """
    from detector.reader import Reader
    from hw import open_hardware

    tasks = Tasks()
    stop_on_signals(tasks.stop)
    reader = Reader.open(settings.detector.models, settings.detector.model_threads)
    hardware = open_hardware(
        settings.camera.kind,
        camera=settings.camera,
        trigger=settings.trigger,
        signals=settings.signals,
        gps=settings.gps,
        clock=settings.clock,
    )
    with closing(hardware):
        serve(settings, software, reader, hardware, tasks, ending, kept)


def serve(
    settings: Settings,
    software: str,
    reader: UnitReader,
    hardware: Hardware,
    tasks: Tasks,
    ending: Ending = NEVER,
    kept: Kept | None = None,
) -> None:
    """Run the unit over an open reader and hardware; the rest as `run`."""
    vitals, reads = Vitals(), 0
    model_hashes = tuple(model.sha256 for model in reader.models_info())
    min_confidence = settings.detector.min_confidence
    if min_confidence is None:
        min_confidence = reader.min_confidence

    def told(read: Read, hits: Sequence[Hit]) -> None:
        nonlocal reads
        reads += 1
        if kept is not None:
            kept(read, hits, [store.directory / picture.path for picture in store.pictures(read.read_id)])

    with ExitStack() as ends:
        notifier = ends.enter_context(closing(Notifier()))
        min_free = settings.store.min_free_mb * 1_000_000
        store = ends.enter_context(
            closing(Store.open(settings.store.directory, hardware.clock, min_free=min_free))
        )
        _greet(settings, software, store)
        try:
            publisher = Publisher(settings, hardware.clock)
        except LinkError as error:
            # As of a file that is not there: a restart, and systemd's reboot after ten, makes no other of it.
            raise ConfigError([str(error)]) from error
        hot_list = ListWatch(settings.hotlist, hardware.clock)
        parts = loop.Parts(
            hardware=hardware,
            reader=reader,
            passages=Passages(settings.passage, min_confidence),
            scribe=Scribe(
                settings,
                model_hashes=model_hashes,
                software=software,
                min_confidence=min_confidence,
                fix=hardware.gps.fix,
            ),
            alarms=Alarms(hot_list.match, hardware.signals, hot_list.stands),
            store=store,
            vitals=vitals,
            camera_timeout_s=settings.camera.timeout_s,
            wake=publisher.wake,
            ping=notifier.ping,
            idle_s=loop.IDLE_S if notifier.watchdog_s is None else notifier.watchdog_s / 3,
            kept=told,
        )
        upkeep = Upkeep(
            Sources(
                settings=settings,
                hardware=hardware,
                store=store,
                vitals=vitals,
                notifier=notifier,
                judge=CameraHealth().judge,
                # A list of its own: an SQLite connection belongs to one thread.
                hot_list=ListWatch(settings.hotlist, hardware.clock).state,
                link=publisher.status,
                report=publisher.report,
                model_hashes=model_hashes,
                software=software,
            )
        )
        hardware.signals.on_acknowledge(lambda: logger.info("the alarm is acknowledged"))
        ends.callback(tasks.end)
        tasks.start("publisher", publisher.run)
        if publisher.home is not None:
            tasks.start("homeassistant", publisher.home.run)
        tasks.start("upkeep", upkeep.run)
        notifier.ready()
        if settings.unit.deployment_required and not settings.unit.deployment:
            loop.stand_by(parts, tasks.stop, NO_DEPLOYMENT)
        loop.run(parts, tasks.stop, lambda: vitals.frames >= ending.frames or (ending.once and reads > 0))
        _drain(store, tasks, ending.wait_s)
        notifier.stopping()


def _greet(settings: Settings, software: str, store: Store) -> None:
    """Put right what a crash left, and log who starts with what."""
    logger.info(
        "platewarden %s, unit %s, configuration %s", software, settings.unit.id, settings.config_hash[:12]
    )
    try:
        swept = store.sweep()
    except DiskRefusesError as error:
        # What a crash left is put right at the next start; until then there are plates to be read.
        logger.error("%s", error)
        return
    if swept.orphans or swept.missing or swept.purged:
        logger.warning(
            "after a crash: %d files without a row removed, %d pictures missing, %d purges finished",
            swept.orphans,
            swept.missing,
            swept.purged,
        )


def _drain(store: Store, tasks: Tasks, wait_s: float) -> None:
    """After the last frame, give HQ time to receipt what is queued."""
    end = time.monotonic() + wait_s
    while store.figures().queue and time.monotonic() < end and not tasks.stop.is_set():
        tasks.stop.wait(QUEUE_S)
    if queue := store.figures().queue:
        logger.info("%d messages wait for HQ; they are sent at the next start", queue)
