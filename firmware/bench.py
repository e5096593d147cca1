"""How fast the unit is on this machine, stage by stage.

Owns the stopwatch and the stages. What is timed is the unit's own loop over the rendered street, with each
step wrapped in a stopwatch; drawing the street is timed too and taken out, and what no stopwatch saw is the
loop's own overhead. CPU time counts, for a busy machine stretches the wall clock. The whole process and the
delay of the alarm are `firmware.bench_unit`.
"""

from __future__ import annotations

import os
import platform
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from firmware import loop
from firmware.alarms import Alarms
from firmware.config import Settings
from firmware.listwatch import ListWatch
from firmware.loop import PlateReader
from firmware.passage import Passages
from firmware.reading import Scribe
from firmware.store import Store
from firmware.vitals import Vitals
from hw import open_hardware
from hw.protocols import Hardware
from hw.sim.clock import SimClock
from hw.sim.street import living_street
from hw.trigger import MotionTrigger

if TYPE_CHECKING:
    from detector.image import Picture

STAGES: Final = ("trigger", "locate", "read", "passage", "match", "pictures", "store", "signal")
"""In the order of the loop."""

DRAW: Final = "draw"
"""The stage that a real camera does not have."""


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
class Pipeline:
    """The loop over a number of frames, without the drawing of them.

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
        staged = sum(sum(self.watch.cpu[stage]) for stage in STAGES)
        return max(1.0 - staged / self.cpu_ms, 0.0) if self.cpu_ms else 0.0

    @property
    def frames_s(self) -> float:
        """Frames a second, by the wall clock."""
        return 1e3 * self.frames / self.wall_ms if self.wall_ms else 0.0


def run_pipeline(settings: Settings, reader: PlateReader, frames: int) -> Pipeline:
    """Run the loop over `frames` frames of the living street by day, every stage timed.

    Args:
        settings: where the store and the hot list are, and how passages are made.
        reader: the models.
        frames: of the street; those that the trigger keeps shut count as well.
    """
    watch, vitals, timed = Stopwatch(), Vitals(), _timed
    hardware = open_set(settings)
    street = living_street(replace(settings.camera, fps=0.0), SimClock(), "day")
    camera = timed(street, watch, {"preview": DRAW, "frame": DRAW})
    trigger = MotionTrigger(camera, settings.trigger)
    min_confidence = settings.detector.min_confidence or 0.0
    lists = ListWatch(settings.hotlist, hardware.clock)
    scribe = stand_in_scribe(settings, hardware)
    passages = Passages(settings.passage, min_confidence)
    with closing(hardware), closing(Store.open(settings.store.directory, hardware.clock)) as store:
        parts = loop.Parts(
            hardware=replace(
                hardware,
                camera=camera,
                trigger=timed(trigger, watch, {"wait": "trigger"}),
                signals=timed(hardware.signals, watch, {"hit": "signal"}),
            ),
            reader=timed(reader, watch, {"locate": "locate", "read": "read"}),
            passages=timed(passages, watch, {"add": "passage", "tick": "passage"}),
            scribe=timed(scribe, watch, {"pictures": "pictures"}),
            alarms=Alarms(watch.wrap("match", lists.match), hardware.signals),
            store=timed(store, watch, {"add": "store", "revise": "store"}),
            vitals=vitals,
            camera_timeout_s=1.0,
            wake=lambda: None,
            ping=lambda: None,
        )
        cpu, wall = time.process_time(), time.perf_counter()
        loop.run(parts, threading.Event(), lambda: len(watch.cpu[DRAW]) - vitals.frames >= frames)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Pipeline(
            frames=len(watch.cpu[DRAW]) - vitals.frames,
            opened=vitals.frames,
            reads=store.figures().reads,
            watch=watch,
            cpu_ms=1e3 * cpu - sum(watch.cpu[DRAW]),
            wall_ms=1e3 * wall - sum(watch.wall[DRAW]),
        )


def _timed(inner: object, watch: Stopwatch, stages: Mapping[str, str]) -> Any:
    """A Timed, typed as whatever it stands for."""
    return Timed(inner, watch, stages)


def open_set(settings: Settings) -> Hardware:
    """The simulated set that the settings name."""
    return open_hardware(
        "sim",
        camera=settings.camera,
        trigger=settings.trigger,
        signals=settings.signals,
        gps=settings.gps,
        clock=settings.clock,
    )


def stand_in_scribe(settings: Settings, hardware: Hardware) -> Scribe:
    """A scribe whose records name no models; nobody keeps them."""
    return Scribe(
        settings,
        model_hashes=("0" * 64, "0" * 64),
        software="bench",
        min_confidence=settings.detector.min_confidence or 0.0,
        fix=hardware.gps.fix,
    )


def plate_frames(settings: Settings, count: int) -> Iterator[Picture]:
    """The images of the first `count` frames of the living street by day that show a plate."""
    street = living_street(replace(settings.camera, fps=0.0), SimClock(), "day")
    while count:
        frame = street.frame(1.0)
        if any(truth.box for truth in frame.truth or ()):
            count -= 1
            yield frame.image


def one_plate(
    images: Iterable[Picture], readers: Mapping[int, PlateReader]
) -> dict[int, dict[str, dict[str, float]]]:
    """CPU and wall milliseconds of locating in an image that shows a plate, and of reading the best one.

    Args:
        images: see `plate_frames`.
        readers: the models by their number of threads.

    Returns:
        By number of threads: locate_cpu_ms, locate_wall_ms, read_cpu_ms, read_wall_ms.
    """
    watches = {threads: Stopwatch() for threads in readers}
    for image in images:
        for threads, reader in readers.items():
            with watches[threads].stage("locate"):
                found = reader.locate(image)
            if found:
                with watches[threads].stage("read"):
                    reader.read(image, found[0])
    return {
        threads: {
            f"{stage}_{kind}_ms": spread(times[stage])
            for stage in ("locate", "read")
            for kind, times in (("cpu", watch.cpu), ("wall", watch.wall))
        }
        for threads, watch in watches.items()
    }
