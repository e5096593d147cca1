"""The words of the vision part: what was found in an image and what was read there.

Owns the value types that `detector` hands to its callers. It knows no file, no clock and no
runtime, so that the firmware and its tests can build these values by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

Point = tuple[float, float]
"""(x, y) in pixels of the image that was given, origin at the top left corner."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Every character a PlateText may hold. Spaces, dashes and symbols are not part of a plate's text."""

CANDIDATES = 10
"""The most ranked candidates that a PlateText carries."""


class Flag(StrEnum):
    """Why a reading deserves a second look."""

    EDGE = "edge"
    """The box touches the frame's edge, so characters may be missing."""
    WEAK = "weak_character"
    """One character is much less certain than a good reading's."""
    LENGTH = "unusual_length"
    """Fewer than 4 or more than 8 characters."""
    TWO_LINES = "two_lines"
    """Its text stands on two lines, the upper one's first; or, without a text, the plate has the shape of one
    that has two."""
    LOW = "low_confidence"
    """The whole reading is below the reader's minimum confidence."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A plate-shaped place that one image's vision found; never a stored record.

    Attributes:
        box: (x, y, w, h) in pixels of the image that was given; it may be fractional and lies
            within the image.
        score: the locator's score in 0..1; not a probability of anything being read right.
        corners: top left, top right, bottom right, bottom left of the plate, in pixels. Where the
            locator predicts no corners these are the box's.
    """

    box: tuple[float, float, float, float]
    score: float
    corners: tuple[Point, Point, Point, Point]

    def moved(self, right: float, down: float) -> Detection:
        """The same place so many pixels away: of a part of a picture as a place of the whole one."""
        x, y, w, h = self.box
        a, b, c, d = ((px + right, py + down) for px, py in self.corners)
        return Detection((x + right, y + down, w, h), self.score, (a, b, c, d))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible text of a plate with its share of the OCR's belief (0..1)."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class PlateText:
    """What OCR read in one Detection.

    Attributes:
        text: the most likely text, characters of ALPHABET only; "" where nothing was read.
        confidence: the calibrated probability, 0..1, that the whole text is right.
        char_confidence: one probability (0..1) per character of `text`.
        candidates: at most CANDIDATES texts with falling probability; the first is `text`.
        flags: why the reading deserves a second look.
        region: the US state or district that the plate's design is of, by its two letters (CA, DC); ""
            where none is sure enough, which is so for every plate of another country.
        region_confidence: the estimated probability, 0..1, that `region` is right; 0 where it is "".
    """

    text: str
    confidence: float
    char_confidence: tuple[float, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    flags: frozenset[Flag] = field(default_factory=frozenset)
    region: str = ""
    region_confidence: float = 0.0

    @property
    def min_char(self) -> float:
        """The weakest character's probability, 0.0 for an empty text."""
        return min(self.char_confidence, default=0.0)
