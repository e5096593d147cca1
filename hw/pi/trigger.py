"""A trigger input: loop detector, passive infrared sensor or push-button at a GPIO pin.

Owns the wire. What the pulse was about is the locator's question.
"""

from __future__ import annotations

import threading
import time

from gpiozero import DigitalInputDevice

from hw.protocols import HwError
from hw.settings import TriggerSettings


class GpioTrigger:
    """Open while the input is active and for `hold_s` after its last pulse. One thread waits on it."""

    def __init__(self, settings: TriggerSettings) -> None:
        """Raises HwError where the pin cannot be used; the line names it."""
        self._hold = settings.hold_s
        self._pulsed = threading.Event()
        self._until = 0.0
        try:
            # The board's own resistor holds the input at rest: up for a contact to ground.
            self._input = DigitalInputDevice(
                settings.pin,
                pull_up=not settings.active_high,
                bounce_time=settings.debounce_ms / 1000 or None,
            )
        except Exception as error:  # gpiozero passes on whatever the pin's driver raises
            raise HwError(f"trigger at GPIO {settings.pin}: {error or type(error).__name__}") from error
        self._input.when_activated = self._pulsed.set

    def wait(self, timeout: float) -> bool:
        """True at once while something is there, else with the next pulse; False after `timeout` s.

        A pulse that came while nobody waited counts.
        """
        held = self._input.is_active or time.monotonic() < self._until
        pulsed = self._pulsed.wait(0.0 if held else timeout)
        self._pulsed.clear()
        if pulsed or self._input.is_active:
            self._until = time.monotonic() + self._hold
        return held or pulsed

    def close(self) -> None:
        """Give the pin back; may be called twice."""
        self._input.close()
