"""Hits over the revisions of a read, and which of them sound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware.alarms import REMEMBERED, Alarms
from hw.protocols import Alarm
from mqtt.records import Hit, Read
from plates.words import AlarmClass, MatchKind
from tests.firmware import store_samples as samples
from tests.firmware.board import Lamps

READ = samples.read(samples.SetClock())
STOLEN = samples.hit(READ)


class Desk:
    """Alarms over a hot list whose next answer the test writes."""

    def __init__(self) -> None:
        self.answer: list[Hit] = []
        self.lamps = Lamps()
        self.alarms = Alarms(lambda read: self.answer, self.lamps)

    def look(self, read: Read, *answer: Hit) -> list[Hit]:
        self.answer = [replace(hit, read_id=read.read_id, read_revision=read.revision) for hit in answer]
        before = self.alarms.known(read.read_id)
        hits = self.alarms.find(read)
        self.alarms.sound(read, hits, before)
        return hits

    @property
    def heard(self) -> list[Alarm]:
        return self.lamps.alarms


def test_a_hit_sounds_once_however_often_its_read_is_revised() -> None:
    desk = Desk()
    first = desk.look(READ, STOLEN)
    again = desk.look(replace(READ, revision=2), replace(STOLEN, hit_id="another"))
    assert [hit.hit_id for hit in first] == [STOLEN.hit_id]
    assert again == []
    assert desk.heard == [Alarm(AlarmClass.STOLEN_VEHICLE, MatchKind.EXACT)]


def test_a_state_that_later_looks_tell_revises_the_hit_and_does_not_silence_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """430.3(f): HQ hears that the states differ; the alarm of an exact match stands as it is."""
    caplog.set_level("INFO")
    desk = Desk()
    (first,) = desk.look(READ, STOLEN)
    (second,) = desk.look(replace(READ, revision=2), replace(STOLEN, state_agrees=False))
    assert (second.hit_id, second.state_agrees, second.withdrawn) == (first.hit_id, False, False)
    assert len(desk.heard) == 1
    assert "another state" not in caplog.text
    other = samples.read(samples.SetClock())
    desk.look(other, replace(STOLEN, state_agrees=False))
    assert len(desk.heard) == 2
    assert "exact, of another state than was read" in caplog.text


def test_a_revision_that_becomes_a_hit_sounds() -> None:
    desk = Desk()
    assert desk.look(READ) == []
    assert [hit.read_revision for hit in desk.look(replace(READ, revision=2), STOLEN)] == [2]
    assert len(desk.heard) == 1


def test_a_lookalike_that_becomes_exact_sounds_again_under_the_same_id() -> None:
    desk = Desk()
    (first,) = desk.look(READ, replace(STOLEN, kind="lookalike", score=0.4))
    (second,) = desk.look(replace(READ, revision=2), replace(STOLEN, hit_id="another"))
    assert second.hit_id == first.hit_id
    assert [alarm.kind for alarm in desk.heard] == [MatchKind.LOOKALIKE, MatchKind.EXACT]


def test_a_hit_that_becomes_weaker_is_told_and_not_heard() -> None:
    desk = Desk()
    desk.look(READ, STOLEN)
    (weaker,) = desk.look(replace(READ, revision=2), replace(STOLEN, kind="lookalike", score=0.4))
    assert weaker.kind == "lookalike"
    assert len(desk.heard) == 1


def test_a_hit_that_a_revision_no_longer_supports_is_withdrawn_once() -> None:
    """430.3(f): an officer must not act on a hit that the unit itself no longer believes in."""
    desk = Desk()
    desk.look(READ, STOLEN)
    (gone,) = desk.look(replace(READ, revision=2))
    assert (gone.hit_id, gone.withdrawn, gone.read_revision) == (STOLEN.hit_id, True, 2)
    assert desk.look(replace(READ, revision=3)) == []
    assert len(desk.heard) == 1


def test_a_withdrawn_hit_that_comes_back_sounds_again() -> None:
    desk = Desk()
    desk.look(READ, STOLEN)
    desk.look(replace(READ, revision=2))
    (back,) = desk.look(replace(READ, revision=3), STOLEN)
    assert not back.withdrawn
    assert len(desk.heard) == 2


def test_the_weightiest_of_several_hits_sounds_last_and_stays() -> None:
    desk = Desk()
    amber = replace(STOLEN, alarm_class="amber_alert", priority=100)
    desk.look(READ, amber, STOLEN)
    assert [alarm.alarm_class for alarm in desk.heard] == ["stolen_vehicle", "amber_alert"]


def test_the_memory_of_hits_is_bounded() -> None:
    desk = Desk()
    desk.look(READ, STOLEN)
    for _ in range(REMEMBERED):
        desk.look(samples.read(samples.SetClock()), STOLEN)
    assert desk.alarms.known(READ.read_id) == []
