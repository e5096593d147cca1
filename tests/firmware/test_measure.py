"""The counting of the measuring street, on passages written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware.measure import Tally, iou
from firmware.passage import Passages
from firmware.track import Look
from hw.protocols import Frame, Truth
from tests.firmware.looks import MIN_CONFIDENCE, SETTINGS, frame, look


def shown(at: float, passage: int, text: str, x: float, width: float = 80) -> Frame:
    box = (x, 400.0, width, width / 2)
    return replace(frame(at), truth=(Truth(passage, text, box),))


def seen(of: Frame, text: str, confidence: float, x: float, width: float = 80) -> Look:
    return replace(look(of.time.boottime, text, confidence, x=x, width=width), frame=of)


def drive(tally: Tally, passages: Passages, start: float, passage: int, text: str, *readings: str) -> None:
    """A car whose looks read so."""
    for number, reading in enumerate(readings):
        at, x = start + number / 15, 100.0 + 30 * number
        scene = shown(at, passage, text, x)
        looks = [seen(scene, reading, 0.6 + number / 20, x)] if reading else []
        tally.saw(scene, looks, "day")
        for event in passages.add(scene, looks):
            tally.kept(event)
    for event in passages.tick(start + 10):
        tally.kept(event)


def test_right_wrong_and_missed_passages_are_told_apart() -> None:
    tally, passages = Tally(), Passages(SETTINGS, MIN_CONFIDENCE)
    drive(tally, passages, 0.0, 0, "TEST123", "TEST128", "TEST123", "TEST123")
    drive(tally, passages, 100.0, 1, "DEMO456", "DEMO466", "DEMO466")
    drive(tally, passages, 200.0, 2, "GONE789", "", "")
    counts = tally.counts()
    assert (counts.passages, counts.read, counts.exact, counts.wrong, counts.missed) == (3, 2, 1, 1, 1)
    assert (counts.duplicates, counts.first_look, counts.best_look) == (0, 0, 1)
    assert tally.by_width()["80-110"] == tally.by_light()["day"] == tally.by_light(80)["day"] == counts
    assert tally.by_light(80.5) == {}


def test_a_read_of_the_same_glyphs_is_told_apart_from_a_wrong_one() -> None:
    tally, passages = Tally(), Passages(SETTINGS, MIN_CONFIDENCE)
    drive(tally, passages, 0.0, 0, "DEMO401", "DEM0401", "DEM0401")
    drive(tally, passages, 100.0, 1, "DEMO456", "DEMQ456", "DEMQ456")
    counts = tally.counts()
    assert (counts.read, counts.exact, counts.alike, counts.wrong) == (2, 0, 1, 2)


def test_a_passage_with_two_reads_is_a_duplicate() -> None:
    tally, passages = Tally(), Passages(SETTINGS, MIN_CONFIDENCE)
    drive(tally, passages, 0.0, 0, "TEST123", "TEST123", "TEST123")
    drive(tally, Passages(SETTINGS, MIN_CONFIDENCE), 50.0, 0, "TEST123", "TEST123")
    counts = tally.counts()
    assert (counts.passages, counts.read, counts.duplicates) == (1, 1, 1)


def test_a_read_that_shows_no_plate_is_false() -> None:
    tally, passages = Tally(), Passages(SETTINGS, MIN_CONFIDENCE)
    scene = shown(0.0, 0, "TEST123", 100)
    looks = [seen(scene, "SIGN", 0.9, 900)]
    tally.saw(scene, looks, "night")
    for event in [*passages.add(scene, looks), *passages.finish()]:
        assert tally.kept(event) is None
    assert len(tally.false_reads) == 1
    assert tally.counts().missed == 1


@pytest.mark.parametrize(
    ("other", "overlap"), [((0, 0, 10, 10), 1.0), ((5, 0, 10, 10), 1 / 3), ((10, 0, 10, 10), 0.0)]
)
def test_overlap_of_boxes(other: tuple[float, float, float, float], overlap: float) -> None:
    assert iou((0, 0, 10, 10), other) == pytest.approx(overlap)
