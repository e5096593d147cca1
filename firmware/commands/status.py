"""`platewarden status`: what the unit knows of itself, from its store and its last status.

Owns the report. The figures are the store's, the hot list's and the running process's own; it holds no plate
text.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from firmware.commands.reads import existing_store
from firmware.config import Settings
from firmware.errors import FirmwareError, StoreError
from firmware.status_file import read_status, told_time
from firmware.store import LOCK
from firmware.store_queries import Figures
from hw.protocols import Clock
from mqtt.records import Status

HELP = "print what the unit knows of itself: state, queue, disk, hot list, reads, losses"
NEEDS_CONFIG = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HotListState:
    """The list in force; `fault` is why it cannot be used, "" where it can."""

    version: str
    entries: int
    age_s: float | None
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the command prints.

    Attributes:
        unit: the unit's id.
        demo: the site is marked as a demonstration.
        running: whether a unit's process works on the store.
        last: its last status, None before the first and where it cannot be read.
        last_fault: why it cannot be read, "" where it can; the unit writes another within the minute.
        last_age_s: seconds since that status, None where it cannot be told.
        store: the store's figures.
        disk_free_bytes, disk_total_bytes: of the store's file system.
        hotlist: the list in force, None where there is none.
    """

    unit: str
    demo: bool
    running: bool
    last: Status | None
    last_fault: str
    last_age_s: float | None
    store: Figures
    disk_free_bytes: int
    disk_total_bytes: int
    hotlist: HotListState | None


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    from hw import open_clock

    settings: Settings = args.settings
    found = report(settings, open_clock(settings.clock, told_time(settings.store.directory)))
    print(json.dumps(asdict(found)) if args.json else "\n".join(lines(found)))
    return 0


def report(settings: Settings, clock: Clock) -> Report:
    """Everything that the command tells. Raises StoreError where there is no store or it cannot be used."""
    directory = settings.store.directory
    with existing_store(settings, clock) as store:
        figures = store.figures()
    usage = shutil.disk_usage(directory)
    last, last_fault = None, ""
    try:
        last = read_status(directory)
    except StoreError as error:
        last_fault = str(error)
    return Report(
        unit=settings.unit.id,
        demo=settings.unit.demo,
        running=is_running(directory),
        last=last,
        last_fault=last_fault,
        last_age_s=_age(last, clock),
        store=figures,
        disk_free_bytes=usage.free,
        disk_total_bytes=usage.total,
        hotlist=_hot_list(settings.hotlist.file, clock),
    )


def is_running(directory: Path) -> bool:
    """Whether a unit's process holds the store in `directory`. Raises StoreError where it cannot tell."""
    try:
        handle = os.open(directory / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{directory / LOCK}: {error.strerror or error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _age(last: Status | None, clock: Clock) -> float | None:
    if last is None or last.clock is None:
        return None
    now = clock.now()
    if last.clock.boot_id == now.boot_id:
        return max(0.0, now.boottime - last.clock.boottime)
    if last.at is None or now.wall is None:
        return None
    return max(0.0, (now.wall - datetime.fromisoformat(last.at)).total_seconds())


def _hot_list(file: Path, clock: Clock) -> HotListState | None:
    if not file.exists():
        return None
    from firmware.hotlist import HotList

    try:
        with HotList.open(file) as hot_list:
            wall = clock.now().wall
            age = None if wall is None else hot_list.age_s(wall)
            return HotListState(version=hot_list.version, entries=hot_list.entries, age_s=age, fault="")
    except FirmwareError as error:
        return HotListState(version="", entries=0, age_s=None, fault=str(error))


def lines(found: Report) -> Iterator[str]:
    """The report for a person."""
    for name, text in _rows(found):
        yield f"{name:<12}{text}"


def _rows(found: Report) -> Iterator[tuple[str, str]]:
    yield "unit", found.unit + (" (demonstration)" if found.demo else "")
    yield "process", "running" if found.running else "not running"
    last, store = found.last, found.store
    if found.last_fault:
        yield "state", "unknown"
        yield "fault", found.last_fault
    elif last is None:
        yield "state", "no status yet"
    else:
        yield "state", f"{last.state}, told {_span(found.last_age_s)} ago"
        for fault in last.faults:
            yield "fault", fault
        yield "camera", f"{last.camera}, {last.frames_s:.1f} frames a second, {last.skipped_frames} skipped"
        yield "clock", last.clock.quality if last.clock else "unknown"
        if last.temperature_c is not None:
            yield "board", f"{last.temperature_c:.0f} degrees C"
    waiting = f", the oldest for {_span(store.oldest_queued_s)}" if store.queue else ""
    yield "queue", f"{store.queue} messages without HQ's receipt{waiting}"
    yield "disk", f"{_size(found.disk_free_bytes)} free of {_size(found.disk_total_bytes)}"
    yield "hot list", _hot_list_text(found.hotlist)
    usual = "" if store.reads_hour_norm is None else f" (usual at this hour: {store.reads_hour_norm:.0f})"
    yield "reads", f"{store.reads_hour} in the last hour{usual}, {store.reads} kept"
    losses = ", ".join(f"{count} {kind}" for kind, count in sorted(store.losses.items()) if count)
    yield "losses", losses or "none"


def _hot_list_text(state: HotListState | None) -> str:
    if state is None:
        return "none: nothing alarms"
    if state.fault:
        return f"cannot be used: {state.fault}"
    return f"version {state.version}, {state.entries} entries, {_span(state.age_s)} old"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
