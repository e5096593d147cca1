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
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from firmware.errors import IoError

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
        from detector.runtime import runtime_name

        return cls(
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            system=platform.platform(terse=True),
            python=platform.python_version(),
            runtime=runtime_name(),
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
