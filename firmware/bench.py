"""How fast the unit is on this machine: stage by stage, whole, at the start, and to the alarm.

Owns the measuring. What is timed is the unit's own loop over rendered frames that were drawn before, with
each step wrapped in a stopwatch; what no stopwatch saw is the loop's own overhead. CPU time counts, for
a busy machine stretches the wall clock; every figure is a median unless it says otherwise.
"""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from firmware import loop
from firmware.alarms import Alarms
from firmware.config import PassageSettings, Settings
from firmware.errors import IoError
from firmware.listwatch import ListWatch
from firmware.loop import PlateReader
from firmware.passage import Event, Passages
from firmware.reading import Scribe
from firmware.store import Store
from firmware.vitals import Vitals
from hw import open_hardware
from hw.protocols import EndOfFrames, Frame, Hardware, Preview
from hw.sim.clock import SimClock
from hw.sim.street import living_street
from hw.trigger import MotionTrigger
from mqtt.records import Hit, Read

STAGES: Final = ("trigger", "locate", "read", "passage", "match", "pictures", "store", "signal")
"""In the order of the loop."""

START_S: Final = 60.0
"""How long a unit may take to become ready."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were measured on."""

    processor: str
    cores: int
    system: str
    python: str
    runtime: str
    load: float

    @classmethod
    def this(cls) -> Machine:
        """This machine, with its load over the last minute."""
        from detector.runtime import find_runtime

        return cls(
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            system=platform.platform(terse=True),
            python=platform.python_version(),
            runtime=find_runtime()[0],
            load=round(os.getloadavg()[0], 2),
        )


@dataclass(slots=True)
class Stopwatch:
    """CPU and wall time of each call, by stage; a stage within another is taken out of it."""

    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wall: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _inner: list[tuple[float, float]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens within, in milliseconds of the process's CPU and of the wall clock."""
        self._inner.append((0.0, 0.0))
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            inner_cpu, inner_wall = self._inner.pop()
            self.cpu[name].append(1e3 * (cpu - inner_cpu))
            self.wall[name].append(1e3 * (wall - inner_wall))
            if self._inner:
                outer_cpu, outer_wall = self._inner[-1]
                self._inner[-1] = (outer_cpu + cpu, outer_wall + wall)

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return call(*args, **kwargs)

        return timed


class Timed:
    """Stands for an object, some of its methods timed under a stage's name."""

    def __init__(self, inner: object, watch: Stopwatch, stages: Mapping[str, str]) -> None:
        self._inner = inner
        for method, stage in stages.items():
            setattr(self, method, watch.wrap(stage, getattr(inner, method)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of them lie, by rank."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and number of some values."""
    if not values:
        return {"median": 0.0, "p95": 0.0, "n": 0}
    return {
        "median": round(statistics.median(values), 3),
        "p95": round(percentile(values, 0.95), 3),
        "n": len(values),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


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
        _, status, usage = os.wait4(child.pid, 0)
        ended = time.monotonic()
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.stderr is not None
    with child.stderr:
        words = child.stderr.read().decode(errors="replace").strip()
    if child.returncode:
        raise IoError(f"the unit ended with code {child.returncode}: {words[-300:]}")
    return Started(ready, usage.ru_maxrss / 1e3, usage.ru_utime + usage.ru_stime, ended - began)


def _await_ready(manager: socket.socket, child: subprocess.Popen[bytes], began: float) -> float:
    while child.poll() is None and time.monotonic() - began < START_S:
        try:
            if "READY=1" in manager.recv(4096).decode().splitlines():
                return time.monotonic() - began
        except TimeoutError:
            continue
    child.kill()
    _, words = child.communicate()
    raise IoError(f"the unit did not become ready: {words.decode(errors='replace').strip()[-300:]}")


class Replay:
    """A camera that delivers frames that were drawn before, as fast as they are taken.

    Its clock is the machine's, but the frames keep the times that they were drawn with.
    """

    def __init__(self, frames: Sequence[Frame], previews: Sequence[Preview]) -> None:
        self.name = frames[0].camera
        self._frames = frames
        self._previews = previews
        self._next = 0

    def preview(self, timeout: float) -> Preview:
        """The next frame's small picture."""
        if self._next >= len(self._frames):
            raise EndOfFrames("the frames are over")
        self._next += 1
        return self._previews[self._next - 1]

    def frame(self, timeout: float) -> Frame:
        """The frame of the last preview."""
        return self._frames[self._next - 1]

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The loop over a number of frames.

    Attributes:
        frames: how many passed the trigger's eye.
        opened: how many of them it let through.
        reads: stored.
        watch: the stopwatch with every stage.
        cpu_ms, wall_ms: of all of it, milliseconds.
    """

    frames: int
    opened: int
    reads: int
    watch: Stopwatch
    cpu_ms: float
    wall_ms: float

    @property
    def overhead(self) -> float:
        """The share (0..1) of the CPU time that no stage accounts for: the loop's own."""
        staged = sum(sum(values) for values in self.watch.cpu.values())
        return max(1.0 - staged / self.cpu_ms, 0.0) if self.cpu_ms else 0.0

    @property
    def frames_s(self) -> float:
        """Frames a second, by the wall clock."""
        return 1e3 * self.frames / self.wall_ms if self.wall_ms else 0.0


def run_pipeline(settings: Settings, hardware: Hardware, reader: PlateReader, frames: int) -> Pipeline:
    """Run the loop over `hardware` until its source ends, every stage timed.

    Args:
        settings: where the store and the hot list are, and how passages are made.
        hardware: its camera is a Replay; its trigger draws on that.
        reader: the models.
        frames: how many the Replay has.
    """
    watch, vitals = Stopwatch(), Vitals()
    store = Store.open(settings.store.directory, hardware.clock)
    lists = ListWatch(settings.hotlist, hardware.clock)
    min_confidence = settings.detector.min_confidence or 0.5
    scribe = Scribe(
        settings,
        model_hashes=("0" * 64, "0" * 64),
        software="bench",
        min_confidence=min_confidence,
        fix=hardware.gps.fix,
    )
    timed: Any = Timed
    parts = loop.Parts(
        hardware=replace(
            hardware,
            trigger=timed(hardware.trigger, watch, {"wait": "trigger"}),
            signals=timed(hardware.signals, watch, {"hit": "signal"}),
        ),
        reader=timed(reader, watch, {"locate": "locate", "read": "read"}),
        passages=timed(
            Passages(settings.passage, min_confidence), watch, {"add": "passage", "tick": "passage"}
        ),
        scribe=timed(scribe, watch, {"pictures": "pictures"}),
        alarms=Alarms(watch.wrap("match", lists.match), hardware.signals),
        store=timed(store, watch, {"add": "store", "revise": "store"}),
        vitals=vitals,
        camera_timeout_s=1.0,
        wake=lambda: None,
        ping=lambda: None,
    )
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        loop.run(parts, threading.Event())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Pipeline(frames, vitals.frames, store.figures().reads, watch, 1e3 * cpu, 1e3 * wall)
    finally:
        store.close()


def draw_frames(settings: Settings, count: int, light: str) -> tuple[list[Frame], list[Preview]]:
    """So many frames of the living street with their previews, drawn as fast as may be."""
    street = living_street(replace(settings.camera, fps=0.0), SimClock(), light)
    frames, previews = [], []
    for _ in range(count):
        previews.append(street.preview(1.0))
        frames.append(street.frame(1.0))
    return frames, previews


def replay_hardware(settings: Settings, frames: Sequence[Frame], previews: Sequence[Preview]) -> Hardware:
    """The simulated set with a Replay for its camera and the motion trigger on it."""
    hardware = open_hardware(
        "sim",
        camera=settings.camera,
        trigger=settings.trigger,
        signals=settings.signals,
        gps=settings.gps,
        clock=settings.clock,
    )
    camera = Replay(frames, previews)
    return replace(hardware, camera=camera, trigger=MotionTrigger(camera, settings.trigger))


def one_plate(reader: PlateReader, frames: Sequence[Frame]) -> dict[str, dict[str, float]]:
    """CPU and wall milliseconds of locating in each frame, and of reading the best plate found."""
    watch = Stopwatch()
    locate, read = watch.wrap("locate", reader.locate), watch.wrap("read", reader.read)
    for frame in frames:
        found = locate(frame.image)
        if found:
            read(frame.image, found[0])
    return {
        f"{stage}_{kind}_ms": spread(times[stage])
        for stage in ("locate", "read")
        for kind, times in (("cpu", watch.cpu), ("wall", watch.wall))
    }


def alarm_delays(settings: Settings, reader: PlateReader, seconds: float) -> list[float]:
    """Seconds from the first readable look (by the sensor's time) until after the alarm of each read, on the
    living street in real time."""
    hardware = open_hardware(
        "sim",
        camera=settings.camera,
        trigger=settings.trigger,
        signals=settings.signals,
        gps=settings.gps,
        clock=settings.clock,
    )
    min_confidence = settings.detector.min_confidence or 0.0
    passages = _Noted(settings.passage, min_confidence)
    store = Store.open(settings.store.directory, hardware.clock)
    delays = []

    def kept(read: Read, _: Sequence[Hit]) -> None:
        if read.revision == 1:
            delays.append(hardware.clock.now().boottime - passages.readable[read.read_id])

    parts = loop.Parts(
        hardware=hardware,
        reader=reader,
        passages=passages,
        scribe=Scribe(
            settings,
            model_hashes=("0" * 64, "0" * 64),
            software="bench",
            min_confidence=min_confidence,
            fix=hardware.gps.fix,
        ),
        alarms=Alarms(ListWatch(settings.hotlist, hardware.clock).match, hardware.signals),
        store=store,
        vitals=Vitals(),
        camera_timeout_s=settings.camera.timeout_s,
        wake=lambda: None,
        ping=lambda: None,
        kept=kept,
    )
    end = time.monotonic() + seconds
    with closing(hardware), closing(store):
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
