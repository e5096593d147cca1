"""One vehicle in view: its looks, where it is, how it moves, what its plate says so far.

Owns Look and Track. Which look belongs to which track, and when a track becomes a read, is
`firmware.passage`; how looks become a text is `firmware.vote`. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from detector.types import Detection, PlateText
from firmware.vote import NOTHING, Vote, distance, elect, weight
from hw.protocols import Frame

Box = tuple[float, float, float, float]
"""(x, y, w, h) in pixels of the frame."""

STANDING_S = 2.0
"""A vehicle whose plate has not moved for this long stands; its place then counts, not its motion."""

BALLOTS = 24
"""Looks of one passage that vote; the lightest go first."""

SAME_PLACE_BALLOTS = 3
"""Of looks from one place (a vehicle that stands) only the best few vote: they are no new evidence."""

SHORT = 3
"""Fewer characters than this are more often a badge than a plate: so many looks must agree ..."""
SURE = 0.9
"""... with at least this confidence (0..1)."""

DISPUTED = 0.5
"""Looks that contradict each other may lower the vote's confidence to this share of the least that one
look needs. On rendered streets of other seeds than the measuring street's, few reads below that
were right, and half of those that showed no plate at all were there."""

TEXTS = 32
"""Different texts of one passage whose looks are counted."""

KEPT_FRAMES = 3
"""Frames that a track holds for the picture: one for each of the likeliest texts. Pixels are large."""

PICTURE_GAIN = 1.3
"""How much better a look must be to replace the stored picture; a picture costs flash and air time."""

_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Look:
    """One frame's detection and reading of one vehicle.

    Attributes:
        frame: the frame; a look whose picture is already stored carries a frame without pixels.
        detection: where the plate is in it, in pixels of the frame.
        text: what was read there; its text may be empty.
        frame_size: (width, height) of the frame.
    """

    frame: Frame
    detection: Detection
    text: PlateText
    frame_size: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame, detection: Detection, text: PlateText) -> Look:
        """A look with its frame's size."""
        height, width = frame.image.shape[:2]
        return cls(frame, detection, text, (width, height))

    @property
    def score(self) -> float:
        """How good a picture it is (0..1): read with confidence, large up to 160 px of plate width."""
        width = min(self.detection.box[2], 160.0)
        return self.text.confidence * width / (width + 40.0)

    @property
    def has_pixels(self) -> bool:
        """Whether a picture can still be made from it."""
        return self.frame.image.size > 0

    def without_pixels(self) -> Look:
        """The same look, its frame's pixels released."""
        return replace(self, frame=replace(self.frame, image=_NO_PIXELS))


@dataclass(slots=True)
class Track:
    """One vehicle in view, or lately in view. Times are boot time in seconds.

    Attributes:
        number: rises from track to track.
        box: where the plate was last seen.
        first_at, seen_at: when the vehicle was first and last seen.
        still_since: since when the plate has been where it is.
        velocity: of the plate's centre in pixels a second, None where unknown.
        vote: what the looks elect.
        readable_at: when the vote first was good enough for a read.
        absent_since: since when frames have shown no such plate.
        with_others: tracks that were seen in one frame with this one, so other vehicles.
        read_id, revision: of the read, "" and 0 before the first commit.
        told, told_at, told_parked: what the last revision said, and when.
        won: the look whose pictures are stored, without its pixels.
        changed_looks: looks since the elected text is another than the one told.
        gone: it has passed; only the same plate seen again brings it back.
    """

    number: int
    box: Box
    first_at: float
    seen_at: float
    still_since: float
    velocity: tuple[float, float] | None = None
    vote: Vote = NOTHING
    readable_at: float | None = None
    absent_since: float | None = None
    with_others: set[int] = field(default_factory=set)
    read_id: str = ""
    revision: int = 0
    told: Vote = NOTHING
    told_at: float = 0.0
    told_parked: bool = False
    won: Look | None = None
    changed_looks: int = 0
    gone: bool = False
    _anchor: tuple[float, float] = (0.0, 0.0)
    _place: int = 0
    _place_box: Box = (0.0, 0.0, 0.0, 0.0)
    _ballots: list[tuple[int, PlateText]] = field(default_factory=list)
    _kept: dict[str, Look] = field(default_factory=dict)
    _looks: int = 0
    _texts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, number: int, look: Look, now: float, min_confidence: float) -> Track:
        """The track of a vehicle that is seen for the first time."""
        box = look.detection.box
        track = cls(number, box, now, now, now, _anchor=centre(box))
        track._cast(look, min_confidence)
        return track

    @property
    def standing(self) -> bool:
        """Whether the vehicle stands."""
        return self.stood_s >= STANDING_S

    @property
    def stood_s(self) -> float:
        """For how long it had stood when it was last seen."""
        return self.seen_at - self.still_since

    def see(self, look: Look, now: float, fresh_s: float, min_confidence: float) -> None:
        """Takes in another look; the motion is followed over gaps of `fresh_s` at most."""
        box = look.detection.box
        since = now - self.seen_at
        here, before = centre(box), centre(self.box)
        if since > fresh_s:
            self.velocity = None
        elif since > 0:
            speed = ((here[0] - before[0]) / since, (here[1] - before[1]) / since)
            old = self.velocity or speed
            self.velocity = ((speed[0] + old[0]) / 2, (speed[1] + old[1]) / 2)
        if math.dist(here, self._anchor) > 0.4 * max(box[2], 1.0):
            self._anchor, self.still_since = here, now
        self.box, self.seen_at, self.absent_since, self.gone = box, now, None, False
        self._cast(look, min_confidence)

    def absorb(self, other: Track, min_confidence: float) -> None:
        """Takes over the looks of a later track that turned out to be this vehicle."""
        self._ballots += [(self._place + place, reading) for place, reading in other._ballots]
        self._place += other._place
        self._place_box = other._place_box
        self._thin()
        for text, looks in other._texts.items():
            self._count(text, looks)
        for look in other._kept.values():
            self._keep(look)
        self._elect(min_confidence, looks=2)
        self.box, self.velocity, self.seen_at = other.box, other.velocity, other.seen_at
        self._anchor, self.still_since = other._anchor, other.still_since
        self.with_others |= other.with_others
        self.absent_since, self.gone = None, False

    def acceptable(self, min_confidence: float) -> bool:
        """Whether the vote may become a read: by one look that is good enough, or by agreement of looks
        from different places. A sign that is misread the same way in each frame has one place only; one
        whose looks contradict each other leaves the vote without confidence; a badge or a piece of
        lettering is short."""
        short = len(self.vote.text) < SHORT
        if short and (self.vote.confidence < SURE or self.vote.agreeing < SHORT):
            return False
        if self.vote.confidence < DISPUTED * min_confidence:
            return False
        if any(one.confidence >= min_confidence for _, one in self._ballots):
            return True
        places = {place for place, one in self._ballots if one.text == self.vote.text}
        return len(places) > 1 and self.vote.confidence >= min_confidence

    def winner(self, text: str) -> Look | None:
        """The look that read `text` best; where none read it whole, the one that came nearest. Of two
        looks at one text the stored picture stands until a clearly better one comes."""
        known = [*self._kept.values(), *([self.won] if self.won is not None else [])]
        best = min(known, key=lambda look: (distance(look.text.text, text), -look.score), default=None)
        if best is None or self.won is None or self.told.text != text:
            return best
        return best if best.score >= PICTURE_GAIN * self.won.score else self.won

    def better_picture(self) -> bool:
        """Whether a clearly better picture of the text told waits."""
        new = self._kept.get(self.told.text)
        return new is not None and self.won is not None and new.score >= PICTURE_GAIN * self.won.score

    def tell(self, vote: Vote, winner: Look, parked: bool, now: float) -> None:
        """Notes that a revision was made of `vote` and `winner`."""
        self.revision += 1
        self.told, self.told_at, self.told_parked = vote, now, parked
        self.won = winner.without_pixels()
        self._kept.pop(winner.text.text, None)
        self.changed_looks = 0

    def release_frames(self) -> None:
        """Lets go of every frame; only a new look brings another picture."""
        self._kept.clear()

    def _cast(self, look: Look, min_confidence: float) -> None:
        if not look.text.text:
            return
        if not self._ballots or _moved(look.detection.box, self._place_box):
            self._place += 1
            self._place_box = look.detection.box
        self._count(look.text.text, 1)
        ballot = (self._place, look.text)
        self._ballots.append(ballot)
        self._thin()
        if any(one is ballot for one in self._ballots):
            self._elect(min_confidence, looks=1)
        else:
            self._note_counts()
        self._keep(look)

    def _elect(self, min_confidence: float, looks: int) -> None:
        self.vote = elect([reading for _, reading in self._ballots])
        self._note_counts()
        self.changed_looks = self.changed_looks + looks if self.vote.text != self.told.text else 0
        if self.readable_at is None and self.acceptable(min_confidence):
            self.readable_at = self.seen_at

    def _count(self, text: str, looks: int) -> None:
        """Counts every look, also those that no longer vote; rare texts of a long stay are forgotten."""
        self._looks += looks
        self._texts[text] = self._texts.get(text, 0) + looks
        if len(self._texts) > TEXTS:
            del self._texts[min(self._texts, key=self._texts.__getitem__)]

    def _note_counts(self) -> None:
        self.vote = replace(self.vote, looks=self._looks, agreeing=self._texts.get(self.vote.text, 0))

    def _thin(self) -> None:
        """Keeps the best looks of the newest place and the heaviest of all, in their order."""
        ballots = self._ballots
        here = [index for index, one in enumerate(ballots) if one[0] == self._place]
        if len(here) > SAME_PLACE_BALLOTS:
            # Of equals the newest goes: then nothing has changed, and nothing is elected anew.
            del ballots[min(reversed(here), key=lambda index: weight(ballots[index][1]))]
        while len(ballots) > BALLOTS:
            del ballots[min(range(len(ballots)), key=lambda index: weight(ballots[index][1]))]

    def _keep(self, look: Look) -> None:
        """Keeps the frame of the best look at each of the likeliest texts."""
        text, best = look.text.text, self._kept.get(look.text.text)
        if self.won is not None and self.won.text.text == text and look.score <= self.won.score:
            return
        if not look.has_pixels or (best is not None and look.score <= best.score):
            return
        self._kept[text] = look
        if len(self._kept) > KEPT_FRAMES:
            del self._kept[min(self._kept, key=lambda one: (one == self.vote.text, self._kept[one].score))]


def centre(box: Box) -> tuple[float, float]:
    """The middle of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def _moved(box: Box, before: Box) -> bool:
    """Whether a look is from another place than the one before: a quarter of a plate away or of
    another size by a twelfth."""
    width = max(box[2], before[2], 1.0)
    resized = abs(box[2] - before[2]) > width / 12
    return resized or math.dist(centre(box), centre(before)) > 0.25 * width
