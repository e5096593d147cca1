"""What a unit does beside reading plates: purge, status, disk, clock, temperature, and its own health.

Owns the thread `upkeep` and what is done how often. The figures come from the store, the publisher, the
hot list and the loop's vitals; this module judges them and tells them: to HQ, to the status file, to
systemd and to the status lamp.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from firmware.certificate import read_certificate, told_of_end
from firmware.config import Settings
from firmware.errors import DiskRefusesError, IoError
from firmware.listwatch import ListState
from firmware.publisher import PublisherStatus
from firmware.reading import clock_state, position
from firmware.status_file import write_status
from firmware.store import Store
from firmware.store_queries import Figures
from firmware.systemd import Notifier
from firmware.vitals import Vitals
from hw.protocols import ClockQuality, Hardware, Pixels, Timestamp, UnitState
from mqtt.fields import time_text
from mqtt.records import Status

logger = logging.getLogger(__name__)

STEP_S = 1.0
PURGE_S = 3600.0
LOSSES_S = 10.0
VERIFY_S = 24 * 3600.0
"""Every stored picture is read and compared with its hash so often, a batch in each step ..."""
FIRST_VERIFY_S = 600.0
"""... and so long after the start for the first time, when a unit has better things to do."""
CLOCK_S = 5.0
CERTIFICATE_S = 3600.0
"""The client certificate's file is read so often: it is renewed while the unit runs."""
RETRY_S = 60.0
"""What the disk refused is tried again so long after."""
FEW_READS = 0.2
"""An hour with less than this share of its usual reads is told as a fault ..."""
MANY_READS = 20.0
"""... where that usual is at least so many."""
HOT_C = 80.0
"""A Pi slows itself down from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Whom upkeep asks and whom it tells.

    Attributes:
        judge: what a small grey picture says of the camera: "ok", "dark", "blocked" or "moved".
        hot_list: the list in force.
        link: how the way to HQ stands.
        report: takes the status for HQ.
        model_hashes: SHA-256 of the models.
        software: version of Platewarden.
    """

    settings: Settings
    hardware: Hardware
    store: Store
    vitals: Vitals
    notifier: Notifier
    judge: Callable[[Pixels], str]
    hot_list: Callable[[], ListState]
    link: Callable[[], PublisherStatus]
    report: Callable[[Status], None]
    model_hashes: tuple[str, ...]
    software: str


class Upkeep:
    """The task `upkeep`."""

    def __init__(self, sources: Sources, now: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._now = now
        self._due: dict[str, float] = {}
        self._camera = "ok"
        self._judged_at = 0.0
        self._told: tuple[str, tuple[str, ...]] | None = None
        self._frames: tuple[float, int] = (now(), 0)
        self._due["verify"] = now() + FIRST_VERIFY_S
        self._verified: str | None = None
        self._began = 0.0
        self._found = 0
        self._damaged = 0
        self._refused: dict[str, str] = {}
        self._expires: datetime | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Raises StoreError for a store that is damaged."""
        store = self._sources.store.for_thread()
        try:
            while not stop.is_set():
                self.step(store)
                stop.wait(STEP_S)
        finally:
            store.close()

    def step(self, store: Store) -> None:
        """Do what is due."""
        sources = self._sources
        if self._is_due("losses", LOSSES_S):
            store.write_losses()
        self._attempt("clock", CLOCK_S, lambda: self._set_times(store))
        self._attempt("purge", PURGE_S, lambda: self._purge(store))
        self._attempt("verify", 0.0, lambda: self._verify(store))
        self._judge_camera()
        if self._is_due("certificate", CERTIFICATE_S):
            self._read_certificate()
        status = self.status(store)
        news = (status.state, status.faults)
        if news != self._told or self._is_due("status", sources.settings.mqtt.status_interval_s):
            self._tell(status)
            self._told = news
            self._due["status"] = self._now() + sources.settings.mqtt.status_interval_s

    def status(self, store: Store) -> Status:
        """What the unit sees of itself."""
        sources, vitals = self._sources, self._sources.vitals
        now = sources.hardware.clock.now()
        figures, link, hot_list = store.figures(), sources.link(), sources.hot_list()
        disk = shutil.disk_usage(sources.settings.store.directory)
        temperature = board_temperature()
        faults = tuple(self._faults(figures, link, hot_list, disk.free, temperature, now))
        return Status(
            state=self._state(faults).value,
            faults=faults,
            at=None if now.wall is None else time_text(now.wall),
            clock=clock_state(now),
            software=sources.software,
            config_hash=sources.settings.config_hash,
            model_hashes=sources.model_hashes,
            uptime_s=time.monotonic() - vitals.started,
            queue=figures.queue,
            oldest_queued_s=figures.oldest_queued_s,
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
            memory_bytes=resident_bytes(),
            temperature_c=temperature,
            list_version=hot_list.version,
            list_age_s=hot_list.age_s,
            list_entries=hot_list.entries,
            reads_hour=figures.reads_hour,
            reads_hour_norm=figures.reads_hour_norm,
            frames_s=self._frames_s(),
            skipped_frames=vitals.skipped,
            camera="failed" if vitals.camera_fault else self._camera,
            position=position(sources.settings, sources.hardware.gps.fix()),
            losses=figures.losses,
            demo=sources.settings.unit.demo,
        )

    def _faults(
        self,
        figures: Figures,
        link: PublisherStatus,
        hot_list: ListState,
        free: int,
        temperature: float | None,
        now: Timestamp,
    ) -> Iterator[str]:
        sources, settings = self._sources, self._sources.settings
        if sources.vitals.camera_fault:
            yield f"camera: {sources.vitals.camera_fault}"
        elif self._camera != "ok":
            yield f"camera: {self._camera}"
        yield from (f"signals: {fault}" for fault in sources.hardware.signals.faults())
        yield from link.faults
        if link.enabled and not link.connected and not link.faults:
            yield "broker: not connected"
        if hot_list.fault:
            yield f"hot list: {hot_list.fault}"
        elif hot_list.age_s is not None and hot_list.age_s > settings.hotlist.max_age_h * 3600:
            yield f"hot list: older than {settings.hotlist.max_age_h:g} hours"
        yield from (f"store: {refused}" for refused in sorted(set(self._refused.values())))
        if self._damaged:
            yield f"store: {self._damaged} pictures were missing or damaged"
        if free < settings.store.min_free_mb * 1_000_000:
            yield f"disk: less than {settings.store.min_free_mb} MB free"
        if temperature is not None and temperature >= HOT_C:
            yield f"board: hotter than {HOT_C:.0f} C"
        if now.quality is ClockQuality.NONE:
            yield "clock: not set"
        if self._expires is not None and now.wall is not None:
            end = told_of_end(self._expires, now.wall)
            if end:
                yield f"certificate: {settings.mqtt.cert_file}: {end}"
        norm = figures.reads_hour_norm
        if norm is not None and norm >= MANY_READS and figures.reads_hour < FEW_READS * norm:
            yield f"reads: {figures.reads_hour} in the last hour, {norm:.0f} are usual"

    def _state(self, faults: tuple[str, ...]) -> UnitState:
        vitals = self._sources.vitals
        if vitals.camera_fault:
            return UnitState.FAULT
        if not vitals.frames:
            return UnitState.STARTING
        return UnitState.DEGRADED if faults else UnitState.READY

    def _tell(self, status: Status) -> None:
        sources = self._sources
        new = self._told is None or self._told[0] != status.state
        for fault in sorted(set(status.faults) - set(self._told[1] if self._told else ())):
            logger.warning("fault: %s", fault)
        if new:
            logger.info("the unit is %s", status.state)
        sources.hardware.signals.state(UnitState(status.state))
        sources.notifier.status(f"{status.state}: {'; '.join(status.faults) or 'all is well'}")
        sources.report(status)
        try:
            write_status(sources.settings.store.directory, status)
        except OSError as error:
            # It is only a copy for `platewarden status`; the disk being full is in the status itself.
            logger.warning("status file: %s", error)

    def _attempt(self, job: str, interval_s: float, work: Callable[[], None]) -> None:
        """Do a job that writes, if it is due. A full disk is told and no reason to stop reading plates, and
        restarting would not empty it."""
        if not self._is_due(job, interval_s):
            return
        try:
            work()
        except DiskRefusesError as error:
            self._refused[job] = str(error)
            self._due[job] = self._now() + RETRY_S
        else:
            self._refused.pop(job, None)

    def _purge(self, store: Store) -> None:
        grace = timedelta(hours=self._sources.settings.store.grace_h)
        done = store.purge(self._sources.hardware.clock.now().wall, grace)
        logger.info("purged %d reads, %d wait for HQ", done.reads, done.unreceipted)

    def _set_times(self, store: Store) -> None:
        """While the clock is set, the reads made before get their time: also one that is stored, or revised
        with a look from before, later, for the clock may be set in the middle of a passage."""
        quality = self._sources.hardware.clock.now().quality
        if quality is not ClockQuality.NONE:
            done = store.backfill()
            if done:
                logger.info("the clock is set by %s: %d reads got their time", quality.value, done)

    def _verify(self, store: Store) -> None:
        """The next pictures of the daily check. What it found stays a fault until a check finds nothing."""
        if self._verified is None:
            self._began, self._verified, self._found = self._now(), "", 0
        lost, self._verified = store.verify_some(self._verified)
        if lost:
            logger.error("%d stored pictures are missing or damaged and count as lost", lost)
        self._found += lost
        self._damaged = max(self._damaged, self._found)
        if not self._verified:
            logger.info("every stored picture was compared with its hash: %d lost", self._found)
            self._verified, self._damaged = None, self._found
            self._due["verify"] = self._began + VERIFY_S

    def _read_certificate(self) -> None:
        mqtt, self._expires = self._sources.settings.mqtt, None
        if mqtt.enabled and mqtt.tls and mqtt.cert_file:
            # That it is no certificate, the link tells.
            with contextlib.suppress(IoError):
                self._expires = read_certificate(Path(mqtt.cert_file)).expires

    def _judge_camera(self) -> None:
        vitals = self._sources.vitals
        if vitals.luma is not None and vitals.luma_at != self._judged_at:
            self._judged_at = vitals.luma_at
            self._camera = self._sources.judge(vitals.luma)

    def _frames_s(self) -> float:
        """Frames a second since the last status."""
        (then, before), now, frames = self._frames, self._now(), self._sources.vitals.frames
        if now - then >= 10.0:
            self._frames = (now, frames)
        return (frames - before) / (now - then) if now > then else 0.0

    def _is_due(self, job: str, interval_s: float) -> bool:
        if self._now() < self._due.get(job, -1.0):
            return False
        self._due[job] = self._now() + interval_s
        return True


def board_temperature(path: Path = Path("/sys/class/thermal/thermal_zone0/temp")) -> float | None:
    """Degrees Celsius of the board, None where the kernel does not tell."""
    try:
        return int(path.read_text()) / 1000.0
    except (OSError, ValueError):
        return None


def resident_bytes() -> int:
    """The process's resident memory (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
