"""How long a unit takes to start, how much memory it needs, and when its alarm comes.

Owns the measuring of a whole process, and of the street in real time. The stages are `firmware.bench`.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware import loop
from firmware.alarms import Alarms
from firmware.bench import open_set, stand_in_scribe
from firmware.config import PassageSettings, Settings
from firmware.errors import IoError
from firmware.listwatch import ListWatch
from firmware.loop import PlateReader
from firmware.passage import Event, Passages
from firmware.store import Store
from firmware.vitals import Vitals
from mqtt.records import Hit, Read

START_S: Final = 60.0
"""How long a unit may take to become ready."""
SAMPLE_S: Final = 0.05
"""How often the process's memory is looked at; the kernel keeps the peak between two looks."""


@dataclass(frozen=True, slots=True)
class Started:
    """One unit's process from its start to its end.

    Attributes:
        ready_s: until it told READY.
        peak_mb: its largest resident memory, megabytes.
        cpu_s: CPU time of the whole process.
        wall_s: its life.
    """

    ready_s: float
    peak_mb: float
    cpu_s: float
    wall_s: float


def start_unit(folder: Path, arguments: Sequence[str]) -> Started:
    """Run `platewarden ARGUMENTS` as systemd would, and time its start and its end.

    Raises IoError if it fails.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = folder / "notify"
        address.unlink(missing_ok=True)
        manager.bind(str(address))
        manager.settimeout(0.2)
        began = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "firmware.cli", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "NOTIFY_SOCKET": str(address)},
        )
        ready = _await_ready(manager, child, began)
    peak = 0.0
    while (ended := os.wait4(child.pid, os.WNOHANG))[0] == 0:
        peak = max(peak, _peak_mb(child.pid))
        time.sleep(SAMPLE_S)
    _, status, usage = ended
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    words = _last_words(child)
    if child.returncode:
        raise IoError(f"the unit ended with code {child.returncode}: {words}")
    return Started(ready, peak, usage.ru_utime + usage.ru_stime, wall)


def _await_ready(manager: socket.socket, child: subprocess.Popen[bytes], began: float) -> float:
    while child.poll() is None and time.monotonic() - began < START_S:
        try:
            if "READY=1" in manager.recv(4096).decode().splitlines():
                return time.monotonic() - began
        except TimeoutError:
            continue
    child.kill()
    raise IoError(f"the unit did not become ready: {_last_words(child)}")


def _peak_mb(pid: int) -> float:
    """VmHWM of proc(5). wait4 would tell the parent's peak where that was larger: exec keeps it."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0  # It has just ended.
    return int(found[1]) / 1e3 if found else 0.0


def _last_words(child: subprocess.Popen[bytes]) -> str:
    assert child.stderr is not None
    with child.stderr:
        return child.stderr.read().decode(errors="replace").strip()[-300:]


def alarm_delays(settings: Settings, reader: PlateReader, seconds: float) -> list[float]:
    """Seconds from the first readable look (by the sensor's time) until after the alarm of each read, on the
    living street in real time."""
    hardware = open_set(settings)
    passages = _Noted(settings.passage, settings.detector.min_confidence or 0.0)
    delays = []

    def kept(read: Read, _: Sequence[Hit]) -> None:
        if read.revision == 1:
            delays.append(hardware.clock.now().boottime - passages.readable[read.read_id])

    end = time.monotonic() + seconds
    with closing(hardware), closing(Store.open(settings.store.directory, hardware.clock)) as store:
        parts = loop.Parts(
            hardware=hardware,
            reader=reader,
            passages=passages,
            scribe=stand_in_scribe(settings, hardware),
            alarms=Alarms(ListWatch(settings.hotlist, hardware.clock).match, hardware.signals),
            store=store,
            vitals=Vitals(),
            camera_timeout_s=settings.camera.timeout_s,
            wake=lambda: None,
            ping=lambda: None,
            kept=kept,
        )
        loop.run(parts, threading.Event(), lambda: time.monotonic() >= end)
    return delays


class _Noted(Passages):
    """Passages that remember when each read became readable."""

    def __init__(self, settings: PassageSettings, min_confidence: float) -> None:
        super().__init__(settings, min_confidence)
        self.readable: dict[str, float] = {}

    def _settle(self, now: float, ending: bool = False) -> list[Event]:
        events = super()._settle(now, ending)
        self.readable.update((event.read_id, event.readable_at) for event in events)
        return events
