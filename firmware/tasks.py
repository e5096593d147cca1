"""The unit's threads: started in order, stopped in reverse, and none may die unnoticed.

Owns the life of the threads beside the loop. A task that raises, or returns before it was told to stop,
ends the process: systemd restarts it, which is simpler and safer than mending a half-dead unit.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from firmware.errors import IoError

logger = logging.getLogger(__name__)

JOIN_S = 4.0
"""How long a task may take to stop before the process goes without it. They are waited for one after the
other: all of them and the hardware's end must be done within systemd's TimeoutStopSec, for after that it
kills, and nobody switches lamps and buzzer off."""


class TaskDied(IoError):
    """A task ended that should have gone on; its traceback is in the log."""


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    stop: threading.Event
    thread: threading.Thread


class Tasks:
    """The tasks of one process.

    Attributes:
        stop: set when the process is to end: by a signal, by the loop, or because a task died.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._tasks: list[_Task] = []
        self._dead = ""

    def start(self, name: str, run: Callable[[threading.Event], None]) -> None:
        """Run `run(stop)` in a thread called `name` until its stop event is set."""
        stop = threading.Event()

        def live() -> None:
            try:
                run(stop)
            except Exception:
                logger.exception("task %s died", name)
                self._bury(name)
            else:
                if not stop.is_set():
                    logger.error("task %s ended by itself", name)
                    self._bury(name)

        # Daemonic, so that a task that hangs cannot keep a stopped process alive.
        thread = threading.Thread(target=live, name=name, daemon=True)
        self._tasks.append(_Task(name, stop, thread))
        thread.start()

    def end(self) -> None:
        """Stop the tasks, the last started first, and wait for each. Raises TaskDied if one had died."""
        while self._tasks:
            task = self._tasks.pop()
            task.stop.set()
            task.thread.join(JOIN_S)
            if task.thread.is_alive():
                logger.error("task %s does not stop", task.name)
        if self._dead:
            raise TaskDied(f"task {self._dead} died; the log says why")

    def _bury(self, name: str) -> None:
        self._dead = self._dead or name
        self.stop.set()


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT set `stop`; a second one of the same kind does what it always did."""

    def handle(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[number])
        stop.set()

    before = {int(number): signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
