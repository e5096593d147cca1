"""The trigger input over gpiozero's mock pins."""

from __future__ import annotations

import threading

import pytest
from gpiozero import DigitalOutputDevice
from gpiozero.pins.mock import MockFactory

from hw.pi.trigger import GpioTrigger
from hw.protocols import HwError
from hw.settings import TriggerSettings
from tests.hw.pins import pins

__all__ = ["pins"]


@pytest.mark.parametrize("high", [False, True])
def test_a_pulse_wakes_the_wait_and_one_that_came_before_counts(pins: MockFactory, high: bool) -> None:
    trigger = GpioTrigger(TriggerSettings(kind="gpio", pin=24, active_high=high, hold_s=0.0))
    pin = pins.pin(24)
    on, off = (pin.drive_high, pin.drive_low) if high else (pin.drive_low, pin.drive_high)
    assert not trigger.wait(0.01)
    on()
    off()
    assert trigger.wait(0.01)
    assert not trigger.wait(0.01)
    timer = threading.Timer(0.05, on)
    timer.start()
    assert trigger.wait(5.0)
    assert trigger.wait(0.01), "open for as long as something stands there"
    off()
    trigger.wait(0.0)
    assert not trigger.wait(0.01)
    trigger.close()
    trigger.close()


def test_it_stays_open_for_the_hold_time(pins: MockFactory) -> None:
    trigger = GpioTrigger(TriggerSettings(kind="gpio", pin=24, hold_s=60.0))
    assert not trigger.wait(0.01)
    pins.pin(24).drive_low()
    pins.pin(24).drive_high()
    assert all(trigger.wait(0.0) for _ in range(3))
    trigger.close()


def test_a_pin_that_is_taken_is_told_by_its_number(pins: MockFactory) -> None:
    taken = DigitalOutputDevice(24)
    with pytest.raises(HwError, match="GPIO 24"):
        GpioTrigger(TriggerSettings(kind="gpio", pin=24))
    taken.close()
