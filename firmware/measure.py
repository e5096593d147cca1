"""How well passages are read: what a street showed against what the unit made of it.

Owns the counting. The street and its truth are `hw.sim.street`'s, reading and voting the unit's own
`detector` and `firmware.passage`; nothing is read here in another way than on a pole.

A read belongs to the passage whose plate its winning look shows: the boxes overlap. A read that shows no
plate is false. A passage with two reads is counted twice in "duplicates", once in "read".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import Final

from firmware.config import Settings
from firmware.hotlist import build
from firmware.listwatch import ListWatch
from firmware.loop import PlateReader, looks_at
from firmware.passage import Event, Passages
from firmware.reading import Scribe
from firmware.track import Box, Look
from hw.protocols import Camera, EndOfFrames, Frame
from hw.sim import street, traffic
from hw.sim.clock import SimClock
from plates.lookalike import one_glyph
from plates.words import AlarmClass, HotListEntry, MatchKind

WIDTHS: Final = (25, 40, 60, 80, 110)
"""Lower ends of the width classes, pixels of plate width at the closest look."""

WIDE: Final = 50.0
"""A plate of so many pixels is one that a well-placed camera gives."""

OVERLAP: Final = 0.2
"""The least intersection over union by which a box shows a plate."""


@dataclass(slots=True)
class Passed:
    """One passage: what the street showed and what was made of it.

    Attributes:
        text: its plate.
        width: of the plate at the closest look, pixels.
        light: "day", "dusk" or "night".
        reads: final text of each read, by read id.
        looks: (text, confidence) of each look, in order.
    """

    text: str
    width: float = 0.0
    light: str = ""
    reads: dict[str, str] = field(default_factory=dict)
    looks: list[tuple[str, float]] = field(default_factory=list)

    @property
    def read(self) -> bool:
        """Whether there is a read at all."""
        return bool(self.reads)

    @property
    def exact(self) -> bool:
        """Whether a read has exactly the plate's text."""
        return self.text in self.reads.values()

    @property
    def alike(self) -> bool:
        """Whether a read differs from the plate's text at most where one glyph stands for two characters."""
        return one_glyph(self.text) in map(one_glyph, self.reads.values())

    @property
    def first_look_exact(self) -> bool:
        """Whether the first look would have read it, had it been trusted."""
        return bool(self.looks) and self.looks[0][0] == self.text

    @property
    def best_look_exact(self) -> bool:
        """Whether the look with the highest confidence reads it."""
        return bool(self.looks) and max(self.looks, key=lambda look: look[1])[0] == self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Figures of some passages; all are counts.

    Attributes:
        passages: vehicles that passed.
        read: with a read.
        exact: with a read of exactly the plate's text.
        alike: with one that differs from it at most by O for 0 or I for 1, or the other way round.
        wrong: with reads, none of them exact.
        missed: without any.
        duplicates: reads beyond the first of a passage.
        first_look, best_look: passages that the first look, and the surest look, would have read exactly.
    """

    passages: int
    read: int
    exact: int
    alike: int
    wrong: int
    missed: int
    duplicates: int
    first_look: int
    best_look: int


class Tally:
    """Assigns looks and reads to the passages that a street showed."""

    def __init__(self) -> None:
        self.passed: dict[int, Passed] = {}
        self.false_reads: set[str] = set()
        self._owner: dict[str, int | None] = {}

    def saw(self, frame: Frame, looks: Sequence[Look], light: str) -> None:
        """Take in a frame with its truth, and the looks at it."""
        for truth in frame.truth or ():
            if truth.box is None:
                continue
            passed = self.passed.setdefault(truth.passage, Passed(truth.text, light=light))
            passed.width = max(passed.width, truth.box[2])
        for look in looks:
            owner = _shown(look)
            if owner is not None and look.text.text:
                self.passed[owner].looks.append((look.text.text, look.text.confidence))

    def kept(self, event: Event) -> int | None:
        """Take in a read or its revision; the passage that it belongs to, None for a false one."""
        owner = self._owner.get(event.read_id)
        if event.read_id not in self._owner:
            owner = self._owner[event.read_id] = _shown(event.winner)
        if owner is None:
            self.false_reads.add(event.read_id)
        else:
            self.passed[owner].reads[event.read_id] = event.vote.text
        return owner

    def counts(self, some: Iterable[Passed] | None = None) -> Counts:
        """The figures of some passages, of all by default."""
        chosen = list(self.passed.values() if some is None else some)
        return Counts(
            passages=len(chosen),
            read=sum(one.read for one in chosen),
            exact=sum(one.exact for one in chosen),
            alike=sum(one.alike for one in chosen),
            wrong=sum(one.read and not one.exact for one in chosen),
            missed=sum(not one.read for one in chosen),
            duplicates=sum(max(len(one.reads) - 1, 0) for one in chosen),
            first_look=sum(one.first_look_exact for one in chosen),
            best_look=sum(one.best_look_exact for one in chosen),
        )

    def by_width(self) -> dict[str, Counts]:
        """The figures by plate width at the closest look."""
        groups: dict[int, list[Passed]] = defaultdict(list)
        for one in self.passed.values():
            groups[max((low for low in WIDTHS if low <= one.width), default=0)].append(one)
        return {_width_name(low): self.counts(groups[low]) for low in sorted(groups)}

    def by_light(self, least: float = 0.0) -> dict[str, Counts]:
        """The figures by light, of plates of `least` pixels and more at the closest look."""
        groups: dict[str, list[Passed]] = defaultdict(list)
        for one in self.passed.values():
            if one.width >= least:
                groups[one.light].append(one)
        return {light: self.counts(groups[light]) for light in sorted(groups)}


def _shown(look: Look) -> int | None:
    """The passage whose plate a look shows."""
    shown = [
        (overlap, truth.passage)
        for truth in look.frame.truth or ()
        if truth.box is not None and (overlap := iou(look.detection.box, truth.box)) >= OVERLAP
    ]
    return max(shown)[1] if shown else None


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def _width_name(low: int) -> str:
    place = WIDTHS.index(low) if low in WIDTHS else -1
    if place < 0:
        return f"under {WIDTHS[0]}"
    return f"{low}-{WIDTHS[place + 1]}" if place + 1 < len(WIDTHS) else f"{low} and more"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreetResult:
    """What `measure_street` found.

    Attributes:
        fingerprint: SHA-256 of the street's definition.
        frames: rendered and looked at.
        all: the figures of all passages.
        by_width, by_light: the same by plate width at the closest look and by light.
        wide_by_light: the same by light, of plates of WIDE pixels and more.
        false_reads: reads that show no plate.
        list_entries: random plates in the hot list.
        false_hits: passages with a hit although their plate is not listed, by kind of match.
    """

    fingerprint: str
    frames: int
    all: Counts
    by_width: dict[str, Counts]
    by_light: dict[str, Counts]
    wide_by_light: dict[str, Counts]
    false_reads: int
    list_entries: int
    false_hits: dict[str, int]


def measure_street(
    settings: Settings,
    reader: PlateReader,
    passages: int,
    hot_list: ListWatch,
    progress: Callable[[int], None],
    busy: Callable[[], float] = lambda: 0.0,
) -> StreetResult:
    """Let the measuring street pass before the reader, as fast as it is rendered.

    Args:
        settings: how passages are made; `detector.min_confidence` must be set.
        reader: the models.
        passages: of the street's fixed ones, from the first.
        hot_list: a list that names none of the street's plates on purpose.
        progress: told how many passages have begun.
        busy: seconds that the frame just looked at would take; images of that time are not seen.
    """
    view = street.measuring_street(replace(settings.camera, fps=0.0), SimClock(), passages)
    min_confidence = settings.detector.min_confidence or 0.0
    unit = Passages(settings.passage, min_confidence)
    scribe = Scribe(
        settings,
        model_hashes=("0" * 64, "0" * 64),
        software="measure",
        min_confidence=min_confidence,
        fix=lambda: None,
    )
    tally, frames, last = Tally(), 0, -1
    hits: dict[str, set[tuple[int, str]]] = defaultdict(set)

    def keep(events: Sequence[Event]) -> None:
        for event in events:
            owner = tally.kept(event)
            for hit in hot_list.match(scribe.read(event)):
                if owner is None or hit.entry_plate != tally.passed[owner].text:
                    hits[hit.kind].add((-1 if owner is None else owner, hit.entry_plate))

    for frame in frames_of(view):
        frames += 1
        looks = looks_at(reader, frame, once=frame.sequence > last + 1)
        last = frame.sequence
        view.busy_until = frame.time.boottime + busy()
        tally.saw(frame, looks, view.light)
        keep(unit.add(frame, looks))
        progress(len(tally.passed))
    keep(unit.finish())
    return StreetResult(
        fingerprint=traffic.fingerprint(traffic.measuring()),
        frames=frames,
        all=tally.counts(),
        by_width=tally.by_width(),
        by_light=tally.by_light(),
        wide_by_light=tally.by_light(WIDE),
        false_reads=len(tally.false_reads),
        list_entries=hot_list.state().entries,
        false_hits={kind.value: len(hits[kind.value]) for kind in MatchKind},
    )


def frames_of(camera: Camera) -> Iterator[Frame]:
    """Every frame of a finite camera."""
    while True:
        try:
            frame = camera.frame(1.0)
        except EndOfFrames:
            return
        yield frame


def random_entries(entries: int, seed: int = 1) -> Iterator[HotListEntry]:
    """Random plates of the street's own serial forms, as hot list entries.

    The forms are the dense ones of real states, for a list of random letters would hardly ever have a
    neighbour to confuse a plate with.
    """
    random = Random(seed)
    for _ in range(entries):
        yield HotListEntry(
            plate=traffic.serial(random),
            state="",
            alarm_class=AlarmClass.STOLEN_VEHICLE,
            reason="random",
            source="random",
            case_number="",
            expiry="9999-12-31",
        )


def random_list(path: Path, entries: int, also: Iterable[str] = ()) -> None:
    """Write a hot list of random plates, and those in `also`, to `path`."""
    chosen = (replace(next(random_entries(1)), plate=plate) for plate in also)
    build(path, chain(random_entries(entries), chosen), version="random", issued_at="")


def coming(seed: int, light: str | None, count: int) -> list[traffic.Passage]:
    """The first passages of the living street of `camera.seed`, whose plates it will show."""
    return list(islice(traffic.passages(seed, frames=street._FRAMES, light=light), count))
