"""Simulated lamps, buzzer and GPS."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hw.protocols import Alarm, Fix, UnitState
from hw.settings import SignalSettings


class SimSignals:
    """Signals that light nothing and remember what they were told. Safe to use from several threads.

    Attributes:
        alarms: every alarm so far, oldest first.
        states: every change of state so far.
    """

    def __init__(self, settings: SignalSettings) -> None:
        self.alarms: list[Alarm] = []
        self.states: list[UnitState] = []
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._sounding = False

    @property
    def sounding(self) -> bool:
        """Whether an alarm goes on that nobody has acknowledged."""
        return self._sounding

    def hit(self, alarm: Alarm) -> None:
        with self._lock:
            self.alarms.append(alarm)
            self._sounding = True

    def state(self, state: UnitState) -> None:
        with self._lock:
            if not self.states or self.states[-1] is not state:
                self.states.append(state)

    def on_acknowledge(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def press(self) -> None:
        """Press the button that the officer would press."""
        self._sounding = False
        for callback in self._callbacks:
            callback()

    def faults(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Nothing to release."""


class SetGps:
    """A receiver whose fix is set by hand."""

    def __init__(self) -> None:
        self.value: Fix | None = None

    def fix(self) -> Fix | None:
        return self.value

    def close(self) -> None:
        """Nothing to release."""
