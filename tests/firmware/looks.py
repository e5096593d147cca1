"""Looks and frames made by hand, for the tests of passages and of the loop."""

from __future__ import annotations

import numpy as np

from detector.types import Candidate, Detection, Flag, PlateText
from firmware.config import PassageSettings
from firmware.passage import Event, Passages
from firmware.track import Look
from hw.protocols import ClockQuality, Frame, Timestamp

SETTINGS = PassageSettings(commit_s=1.0, settled_looks=4, gone_s=1.5, rearm_s=60.0, parked_s=20.0)
MIN_CONFIDENCE = 0.5
PIXELS = np.zeros((90, 160, 3), np.uint8)


def frame(at: float, source: str = "") -> Frame:
    """A black frame taken at boot time `at`."""
    return Frame(
        PIXELS, Timestamp("boot", at, None, ClockQuality.NONE), round(at * 100), "lane", source=source
    )


def reading(
    text: str, confidence: float, *others: tuple[str, float], flags: frozenset[Flag] = frozenset()
) -> PlateText:
    """A PlateText whose characters are as sure as the whole."""
    candidates = (Candidate(text, confidence), *(Candidate(*one) for one in others)) if text else ()
    return PlateText(text, confidence, (max(confidence, 0.3),) * len(text), candidates, flags)


def look(at: float, text: str, confidence: float, x: float = 100, y: float = 400, width: float = 80) -> Look:
    """A look at a plate `width` pixels wide whose left upper corner is at (x, y), taken at `at`."""
    box = (x, y, width, width / 2)
    corners = ((x, y), (x + width, y), (x + width, y + width / 2), (x, y + width / 2))
    return Look(frame(at), Detection(box, 0.9, corners), reading(text, confidence), (1280, 720))


class Lane:
    """Passages and every event that they gave."""

    def __init__(self, settings: PassageSettings = SETTINGS) -> None:
        numbers = iter(range(10_000))
        self.passages = Passages(settings, MIN_CONFIDENCE, lambda: f"read-{next(numbers)}")
        self.events: list[Event] = []

    def add(self, at: float, *looks: Look, source: str = "") -> list[Event]:
        events = self.passages.add(frame(at, source), looks)
        self.events += events
        return events

    def tick(self, at: float) -> list[Event]:
        events = self.passages.tick(at)
        self.events += events
        return events

    def finish(self) -> list[Event]:
        events = self.passages.finish()
        self.events += events
        return events

    @property
    def texts(self) -> list[str]:
        """The final text of each read, in the order of their first commits."""
        final: dict[str, str] = {}
        for event in self.events:
            final[event.read_id] = event.vote.text
        return list(final.values())

    def drive(
        self, text: str, start: float, looks: int = 6, confidence: float = 0.9, speed: float = 900.0
    ) -> float:
        """A car passes from left to right at 15 frames a second; returns the time after its last look."""
        at = start
        for number in range(looks):
            width = 60 + 8 * number
            self.add(at, look(at, text, confidence, x=50 + speed * (at - start), width=width))
            at += 1 / 15
        return at
