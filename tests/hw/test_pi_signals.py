"""Lamps, buzzer and button over gpiozero's mock pins."""

from __future__ import annotations

import itertools
import threading

import pytest
from gpiozero.pins.mock import MockFactory

from hw.pi.signals import DISCREET, STANDARD, STATES, TENTATIVE, URGENT, GpioSignals, pattern
from hw.protocols import Alarm, UnitState
from hw.settings import SignalSettings
from plates.words import AlarmClass, MatchKind
from tests.hw.pins import pins, soon

__all__ = ["pins"]

LAMP, STATUS, BUZZER, BUTTON = 17, 27, 22, 23
STOLEN = Alarm(AlarmClass.STOLEN_VEHICLE, MatchKind.EXACT)
WANTED = Alarm(AlarmClass.WANTED_PERSON_VEHICLE, MatchKind.EXACT)
MAYBE = Alarm(AlarmClass.WANTED_PERSON_VEHICLE, MatchKind.LOOKALIKE)


def rises(pins: MockFactory, pin: int) -> int:
    return sum(bool(state.state) for state in pins.pin(pin).states)


def test_a_hit_lights_and_sounds_until_the_button_is_pressed(pins: MockFactory) -> None:
    signals = GpioSignals(SignalSettings())
    told = threading.Event()
    signals.on_acknowledge(told.set)
    signals.hit(WANTED)
    assert soon(lambda: rises(pins, LAMP) >= 2 and rises(pins, BUZZER) >= 2)
    pins.pin(BUTTON).drive_low()
    assert told.wait(2.0)
    assert not pins.pin(LAMP).state
    assert not pins.pin(BUZZER).state
    assert signals.faults() == ()
    signals.close()
    signals.close()


def test_a_hit_comes_back_at_once_and_ends_by_itself(pins: MockFactory) -> None:
    signals = GpioSignals(SignalSettings(alarm_s=0.3))
    signals.hit(STOLEN)
    assert soon(lambda: pins.pin(LAMP).state)
    assert soon(lambda: not pins.pin(LAMP).state)
    before = rises(pins, LAMP)
    assert not soon(lambda: rises(pins, LAMP) > before, 0.6)
    signals.close()


def test_quiet_mode_makes_no_sound(pins: MockFactory) -> None:
    signals = GpioSignals(SignalSettings(quiet=True))
    signals.hit(WANTED)
    assert soon(lambda: rises(pins, LAMP) >= 2)
    assert BUZZER not in pins.pins or not rises(pins, BUZZER)
    signals.close()


def test_a_doubtful_hit_is_quieter_and_never_hides_a_sure_one(pins: MockFactory) -> None:
    signals = GpioSignals(SignalSettings())
    signals.hit(MAYBE)
    assert soon(lambda: rises(pins, LAMP) == 2 and rises(pins, BUZZER) == 1)
    signals.hit(WANTED)
    assert soon(lambda: rises(pins, BUZZER) >= 3)
    signals.hit(MAYBE)
    before = rises(pins, BUZZER)
    assert soon(lambda: rises(pins, BUZZER) >= before + 3)
    signals.close()


def test_every_class_and_kind_has_a_pattern_and_doubt_is_never_loud() -> None:
    for alarm_class, kind in itertools.product(AlarmClass, MatchKind):
        found = pattern(Alarm(alarm_class, kind))
        assert (found is TENTATIVE) == (kind is not MatchKind.EXACT)
        assert any(step.lamp for step in found.repeat)
    assert {URGENT, STANDARD, DISCREET} == {pattern(Alarm(one, MatchKind.EXACT)) for one in AlarmClass}
    for quieter in (TENTATIVE, DISCREET):
        assert not any(step.sound for step in quieter.repeat)
    assert set(STATES) == set(UnitState)


def test_the_status_lamp_shows_the_state(pins: MockFactory) -> None:
    signals = GpioSignals(SignalSettings())
    signals.state(UnitState.READY)
    assert soon(lambda: pins.pin(STATUS).state)
    signals.state(UnitState.FAULT)
    assert soon(lambda: rises(pins, STATUS) >= 3)
    signals.close()
    assert not pins.pin(STATUS).state


def test_a_dead_lamp_is_told_and_stops_nothing(pins: MockFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = GpioSignals(SignalSettings())

    def dead(value: bool) -> None:
        raise OSError("no such device")

    monkeypatch.setattr(pins.pin(LAMP), "_set_state", dead)
    signals.hit(WANTED)
    assert soon(lambda: rises(pins, BUZZER) >= 3)
    assert soon(lambda: signals.faults() == ("alarm lamp at GPIO 17: no such device",))
    monkeypatch.undo()
    assert soon(lambda: signals.faults() == ()), "a lamp that works again is no fault"
    signals.close()


def test_parts_that_are_not_fitted_or_share_a_pin(pins: MockFactory) -> None:
    bare = GpioSignals(SignalSettings(alarm_lamp_pin=0, status_lamp_pin=0, buzzer_pin=0, button_pin=0))
    bare.hit(STOLEN)
    bare.state(UnitState.READY)
    assert bare.faults() == ()
    bare.close()
    clash = GpioSignals(SignalSettings(status_lamp_pin=17))
    assert len(clash.faults()) == 1
    assert "status lamp at GPIO 17" in clash.faults()[0]
    clash.hit(STOLEN)
    assert soon(lambda: pins.pin(LAMP).state)
    clash.close()


def test_a_callback_that_fails_leaves_the_button_alive(pins: MockFactory) -> None:
    signals = GpioSignals(SignalSettings())
    told: list[int] = []

    def broken() -> None:
        raise RuntimeError("the outbox is full")

    signals.on_acknowledge(broken)
    signals.on_acknowledge(lambda: told.append(1))
    for presses in (1, 2):
        pins.pin(BUTTON).drive_low()
        pins.pin(BUTTON).drive_high()
        assert told == [1] * presses
    signals.close()
