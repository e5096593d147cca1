"""Lamps, buzzer and acknowledge button by gpiozero.

Owns what an alarm looks and sounds like, and that a dead lamp never stops the loop: lamps and buzzer are
switched by threads of their own, and a failure is remembered for the status.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Any, Final

from gpiozero import LED, Button, Buzzer

from hw.protocols import Alarm, UnitState
from hw.settings import SignalSettings
from plates.words import AlarmClass, MatchKind

logger = logging.getLogger(__name__)

_BOUNCE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """Lamp and buzzer on or off for so many seconds."""

    lamp: bool
    sound: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """Steps played once, then steps that repeat; a quieter pattern does not replace a louder one."""

    loudness: int
    once: tuple[Step, ...]
    repeat: tuple[Step, ...]


URGENT: Final = Pattern(3, (), (Step(True, True, 0.12), Step(False, False, 0.12)))
"""An exact hit where people may be in danger or a person is wanted: fast flashes, fast beeps."""

STANDARD: Final = Pattern(2, (), (Step(True, True, 0.5), Step(False, False, 0.5)))
"""Any other exact hit: a flash and a beep a second."""

DISCREET: Final = Pattern(
    1,
    (Step(True, True, 0.1), Step(False, False, 0.1)),
    (Step(True, False, 0.15), Step(False, False, 0.15), Step(True, False, 0.15), Step(False, False, 1.0)),
)
"""An exact hit of a class that asks for a note rather than a stop: one short beep, double flashes."""

TENTATIVE: Final = Pattern(
    0,
    (Step(True, True, 0.1), Step(False, False, 0.4)),
    (Step(True, False, 0.2), Step(False, False, 1.8)),
)
"""A look-alike or partial match, of whatever class: one short beep, a flash every two seconds."""

_URGENT: Final = frozenset(
    {
        AlarmClass.FELONY_VEHICLE,
        AlarmClass.WANTED_PERSON_VEHICLE,
        AlarmClass.MISSING_PERSON,
        AlarmClass.AMBER_ALERT,
        AlarmClass.ACTIVE_WARRANT,
        AlarmClass.HOMELAND_SECURITY,
        AlarmClass.VIOLENT_PERSON,
    }
)
_DISCREET: Final = frozenset(
    {
        AlarmClass.ELECTRONIC_SURVEILLANCE,
        AlarmClass.SUPERVISED_RELEASE,
        AlarmClass.PROTECTION_ORDER,
        AlarmClass.PROTECTIVE_INTEREST,
        AlarmClass.SEX_OFFENDER,
    }
)

STATES: Final = {
    UnitState.STARTING: (Step(True, False, 1.0), Step(False, False, 1.0)),
    UnitState.READY: (Step(True, False, 3600.0),),
    UnitState.DEGRADED: (Step(True, False, 1.8), Step(False, False, 0.2)),
    UnitState.FAULT: (Step(True, False, 0.2), Step(False, False, 0.2)),
}
"""What the status lamp shows: blinking slowly, steady, winking, blinking fast."""


def pattern(alarm: Alarm) -> Pattern:
    """What an alarm looks and sounds like."""
    if alarm.kind is not MatchKind.EXACT:
        return TENTATIVE
    if alarm.alarm_class in _URGENT:
        return URGENT
    return DISCREET if alarm.alarm_class in _DISCREET else STANDARD


class _Part:
    """One lamp, buzzer or button that may be missing or broken.

    Attributes:
        device: gpiozero's, None where the part is not fitted or its pin cannot be used.
        fault: why it does not work, "" while it does.
    """

    def __init__(self, name: str, pin: int, make: Callable[[int], Any]) -> None:
        self._name = f"{name} at GPIO {pin}"
        self.fault = ""
        self.device: Any = None
        if pin:
            with self._watched():
                self.device = make(pin)

    def switch(self, on: bool) -> None:
        if self.device is not None:
            with self._watched():
                self.device.on() if on else self.device.off()

    def close(self) -> None:
        if self.device is not None:
            with self._watched():
                self.device.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        fault = ""
        try:
            yield
        except Exception as error:  # gpiozero passes on whatever the pin's driver raises
            fault = f"{self._name}: {error or type(error).__name__}"
        if fault != self.fault:
            self.fault = fault
            logger.log(logging.ERROR if fault else logging.INFO, "%s", fault or f"{self._name} works again")


class _Player:
    """Plays one pattern at a time in a thread of its own, so that nobody waits for a pin."""

    def __init__(self, name: str, lamp: _Part, buzzer: _Part | None = None) -> None:
        self._lamp, self._buzzer = lamp, buzzer
        self._lock = threading.Lock()
        self._pattern: Pattern | None = None
        self._until = 0.0
        self._changed = threading.Event()
        self._silent = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def play(self, pattern: Pattern, seconds: float) -> None:
        """Play `pattern` for so long; where a louder one is on, that goes on for so long instead."""
        with self._lock:
            now = time.monotonic()
            playing = self._pattern if now < self._until else None
            self._until = now + seconds
            if playing is not None and playing.loudness > pattern.loudness:
                return
            self._pattern = pattern
        self._silent.clear()
        self._changed.set()

    def stop(self) -> None:
        """Fall silent; waits until it is so, or for half a second where a pin's driver hangs."""
        with self._lock:
            self._pattern = None
        self._changed.set()
        self._silent.wait(0.5)

    def close(self) -> None:
        """Fall silent for good; may be called twice."""
        self._closed = True
        self.stop()
        self._thread.join(timeout=0.5)

    def _playing(self) -> Pattern | None:
        with self._lock:
            if time.monotonic() >= self._until:
                self._pattern = None
            return self._pattern

    def _run(self) -> None:
        while True:
            # Cleared before the state is looked at: a change in between ends the next wait at once.
            self._changed.clear()
            pattern = self._playing()
            if pattern is not None:
                self._steps(pattern)
                continue
            self._switch(lamp=False, sound=False)
            self._silent.set()
            if self._closed:
                return
            self._changed.wait()

    def _steps(self, pattern: Pattern) -> None:
        for step in chain(pattern.once, cycle(pattern.repeat)):
            left = self._until - time.monotonic()
            if left <= 0:
                return
            self._switch(step.lamp, step.sound)
            if self._changed.wait(min(step.seconds, left)):
                return

    def _switch(self, lamp: bool, sound: bool) -> None:
        self._lamp.switch(lamp)
        if self._buzzer is not None:
            self._buzzer.switch(sound)


class GpioSignals:
    """The lamps, the buzzer and the button of a unit. Safe to use from several threads."""

    def __init__(self, settings: SignalSettings) -> None:
        """Never raises: what cannot be opened is told by `faults`."""
        self._alarm_s = settings.alarm_s
        self._callbacks: list[Callable[[], None]] = []
        alarm = _Part("alarm lamp", settings.alarm_lamp_pin, LED)
        status = _Part("status lamp", settings.status_lamp_pin, LED)
        buzzer = _Part("buzzer", 0 if settings.quiet else settings.buzzer_pin, Buzzer)
        button = _Part("button", settings.button_pin, lambda pin: Button(pin, bounce_time=_BOUNCE_S))
        self._parts = (alarm, status, buzzer, button)
        self._alarm = _Player("alarm", alarm, buzzer)
        self._status = _Player("status lamp", status)
        if button.device is not None:
            button.device.when_pressed = self._pressed

    def hit(self, alarm: Alarm) -> None:
        """Sound and flash until the button is pressed, at most `alarm_s`."""
        self._alarm.play(pattern(alarm), self._alarm_s)

    def state(self, state: UnitState) -> None:
        self._status.play(Pattern(0, (), STATES[state]), math.inf)

    def on_acknowledge(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def faults(self) -> tuple[str, ...]:
        return tuple(part.fault for part in self._parts if part.fault)

    def close(self) -> None:
        """Lamps and buzzer off, pins given back; may be called twice."""
        for player in (self._alarm, self._status):
            player.close()
        for part in self._parts:
            part.close()

    def _pressed(self) -> None:
        self._alarm.stop()
        for callback in self._callbacks:
            try:
                callback()
            except Exception:  # gpiozero's thread would end and with it the button
                logger.exception("the acknowledgement was not taken")
