"""One vehicle = one Read: which looks belong to one passage, and when the read is committed.

Owns the assignment of looks to vehicles over the frames, the moment of the commit and the revisions
after it. It is pure: time comes in with the frames, nothing is stored, drawn or sent from here. What a
read looks like as a record is `firmware.reading`.

A passage begins with the first look at a vehicle. It is committed once its vote is settled, or
`commit_s` after the first readable look, or when the vehicle is out of sight; later looks revise it
under the same id. A moving vehicle that has not been seen for `rearm_s` is done with: the same plate is
then a new passage. A standing vehicle is done with only when its place was *seen* empty for OCCLUDED_S,
so that neither a bus in front of it nor a trigger that slept for hours makes it a new passage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from detector.types import Flag, PlateText
from firmware.config import PassageSettings
from firmware.track import SURE, Look, Track, centre
from firmware.vote import Vote, distance
from hw.protocols import Frame

OCCLUDED_S = 300.0
"""For how long a standing vehicle's place may be seen empty before the vehicle is taken as driven off."""

LEAD_S = 0.2
"""The vote is closed this long before `commit_s` is over: the next frame, its reading, the pictures and the
disk take their time too."""

LOST_S = 0.3
"""A vehicle that has left the picture for this long will not be read any better: what is readable is
committed without waiting for `commit_s`."""

BOTH_RIGHT = 0.5
"""Two readings with little in common, between which the vehicle was out of sight, are of two vehicles where
it is likelier than this that both are right."""

SETTLED_CONFIDENCE = 0.8
"""The vote's confidence (0..1) from which agreeing looks settle it."""

CONFIDENCE_GAIN = 0.2
"""A change of the confidence that is worth a revision of its own."""

CALM_S = 1.5
"""Better pictures and confidences are told when the vehicle is gone, or this long after the last
revision, so that an approaching vehicle does not send one revision per frame."""

TRACKS = 128
"""The most passages kept in mind; beyond it the one not seen for longest goes. More than one picture's plates
(detector.locate.MOST), of which none may push out another."""


@dataclass(frozen=True, slots=True)
class Event:
    """A read to store, or a revision of one.

    Attributes:
        read_id: UUID of the read.
        revision: 1 for the first.
        vote: text, confidence, candidates and how many looks agree.
        flags: those of the winning look.
        winner: the look that read the text with most confidence; without pixels where the pictures
            of the revision before still stand.
        parked: the vehicle has stood still for `parked_s`.
        readable_at: boot time in seconds of the look with which the vote became good enough.
    """

    read_id: str
    revision: int
    vote: Vote
    flags: frozenset[Flag]
    winner: Look
    parked: bool
    readable_at: float


class Passages:
    """The passages in progress. One thread uses it."""

    def __init__(
        self,
        settings: PassageSettings,
        min_confidence: float,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        """
        Args:
            settings: section [passage].
            min_confidence: a single look below this (0..1) makes no read; agreeing looks may.
            new_id: gives the id of a new read.
        """
        self._settings = settings
        self._min_confidence = min_confidence
        self._new_id = new_id
        self._tracks: list[Track] = []
        self._numbers = 0
        self._now = -math.inf
        self._source = ""
        self.rejected = 0
        """Vehicles that were seen and never read well enough for a read."""

    def add(self, frame: Frame, looks: Sequence[Look]) -> list[Event]:
        """The reads to store after this frame, oldest passage first."""
        now = frame.time.boottime
        events: list[Event] = []
        if now < self._now or (frame.source and frame.source != self._source):
            # Another picture of a folder, or a source that began anew: nothing can be followed over it.
            events += self.finish()
        self._source, self._now = frame.source, now
        pairs, fresh = self._assign(_distinct(looks), now)
        for track, look in pairs:
            track.see(look, now, self._settings.gone_s, self._min_confidence)
        seen = [track for track, _ in pairs] + [self._begin(look, now) for look in fresh]
        numbers = {track.number for track in seen}
        for track in self._tracks:
            if track.number in numbers:
                track.with_others |= numbers - {track.number}
            elif track.absent_since is None:
                track.absent_since = now
        for track in seen:
            self._merge(track)
        return events + self._settle(now)

    def tick(self, now: float) -> list[Event]:
        """The reads that are due at `now` (boot time, seconds) although no frame came.

        The next frame may be older than that: it was exposed before it came out of the camera.
        """
        return self._settle(max(self._now, now))

    def finish(self) -> list[Event]:
        """Ends every passage: the source has ended or the unit stops."""
        events = self._settle(self._now, ending=True)
        for track in list(self._tracks):
            self._drop(track)
        return events

    def due(self) -> float | None:
        """The boot time in seconds at which `tick` has something to do, None where nothing waits."""
        times = []
        for track in self._tracks:
            if track.gone:
                continue
            times.append(track.seen_at + self._settings.gone_s)
            if not track.read_id and track.readable_at is not None and track.acceptable(self._min_confidence):
                times.append(self._commit_by(track.readable_at, track.seen_at))
        return min(times, default=None)

    # Which look belongs to which vehicle.

    def _assign(self, looks: Sequence[Look], now: float) -> tuple[list[tuple[Track, Look]], list[Look]]:
        """Each look goes to the track it fits best, each track takes one look at most; and the looks
        that fit none."""
        fits = [
            (-fit, track.number, place)
            for track in self._tracks
            for place, look in enumerate(looks)
            if (fit := self._fit(track, look, now)) > 0
        ]
        free = {track.number: track for track in self._tracks}
        left = dict(enumerate(looks))
        pairs = []
        for _, number, place in sorted(fits):
            if number in free and place in left:
                pairs.append((free.pop(number), left.pop(place)))
        return pairs, list(left.values())

    def _fit(self, track: Track, look: Look, now: float) -> float:
        """How well a look continues a track: above 2 by its text, above 1 by the place of a vehicle
        that stands, up to 1 by the motion, up to 0.5 by the place of one that stood there before it was
        lost from sight, 0 not at all."""
        since = now - track.seen_at
        lost = since > LOST_S
        box = look.detection.box
        width = max(box[2], track.box[2], 1.0)
        growth = width / max(min(box[2], track.box[2]), 1.0)
        here, there = centre(box), centre(track.box)
        shift = math.dist(here, there) / width
        if look.text.text and track.vote.text:
            if _contradict(look.text, track.vote, lost):
                return 0.0
            known = since <= self._settings.rearm_s or (track.standing and shift < 1.0)
            if known and self._same_plate(track, look.text.text, look.text.confidence, since):
                return 4.0 - distance(look.text.text, track.vote.text) / 2 - min(shift, 49.0) / 100.0
        if track.standing and shift < 0.5 and growth < 1.4:
            return 0.5 - shift / 2 if lost else 2.0 - shift
        if since > self._settings.gone_s or growth > 1.8:
            return 0.0
        reach = 3.5 + 5.0 * since
        if track.velocity is not None:
            ahead = (there[0] + track.velocity[0] * since, there[1] + track.velocity[1] * since)
            shift, reach = math.dist(here, ahead) / width, 1.5 + 5.0 * since
        return max(1.0 - shift / reach, 0.0)

    def _same_plate(self, track: Track, text: str, confidence: float, since: float) -> bool:
        """Whether a text is a reading of the track's plate: alike; one character apart while the vehicle
        is in view; or else so nearly alike that the doubt in the weaker of the two explains it, for
        fleets have plates that differ in one character."""
        other = track.vote.text
        weaker = min(confidence, track.vote.confidence)
        shorter = min(len(text), len(other))
        apart = distance(text, other)
        if apart == 0:
            return True
        if apart == 1:
            return shorter >= 3 and (since <= self._settings.gone_s or weaker < 0.6)
        return apart == 2 and shorter >= 6 and weaker < 0.5

    def _begin(self, look: Look, now: float) -> Track:
        if len(self._tracks) >= TRACKS:
            self._drop(min(self._tracks, key=lambda one: one.seen_at))
        self._numbers += 1
        track = Track.begin(self._numbers, look, now, self._min_confidence)
        self._tracks.append(track)
        return track

    def _merge(self, track: Track) -> None:
        """A track without a read that shows the plate of an older one is the same vehicle, lost from
        sight for a moment; never where both were in one frame."""
        if track.read_id or not track.vote.text:
            return
        for older in self._tracks:
            since = track.seen_at - older.seen_at
            if older.number >= track.number or older.number in track.with_others or not older.vote.text:
                continue
            if since <= self._settings.rearm_s and self._same_plate(
                older, track.vote.text, track.vote.confidence, since
            ):
                older.absorb(track, self._min_confidence)
                self._tracks.remove(track)
                for other in self._tracks:
                    if track.number in other.with_others:
                        other.with_others.remove(track.number)
                        other.with_others.add(older.number)
                return

    # What becomes of the vehicles.

    def _settle(self, now: float, ending: bool = False) -> list[Event]:
        events = []
        for track in list(self._tracks):
            leaving = not track.gone and (ending or now >= track.seen_at + self._settings.gone_s)
            event = self._revision(track, now, leaving) if track.read_id else self._first(track, now, leaving)
            if event is not None:
                events.append(event)
            track.gone = track.gone or leaving
            # Whatever makes a standing one readable brings its own picture; a car park would fill the memory.
            if track.gone or (
                track.standing and (track.read_id or not track.acceptable(self._min_confidence))
            ):
                track.release_frames()
            if self._done(track, now):
                self._drop(track)
        return events

    def _first(self, track: Track, now: float, leaving: bool) -> Event | None:
        """The read of a track whose vote is settled, or whose time has come."""
        if track.readable_at is None or not track.acceptable(self._min_confidence):
            return None
        settled = (
            track.vote.agreeing >= self._settings.settled_looks
            and track.vote.confidence >= SETTLED_CONFIDENCE
        )
        waited = now >= self._commit_by(track.readable_at, track.seen_at)
        winner = track.winner(track.vote.text)
        if winner is None or not (settled or waited or leaving):
            return None
        track.read_id = self._new_id()
        return self._tell(track, track.vote, winner, now)

    def _commit_by(self, readable_at: float, seen_at: float) -> float:
        return min(readable_at + max(self._settings.commit_s - LEAD_S, 0.0), seen_at + LOST_S)

    def _revision(self, track: Track, now: float, leaving: bool) -> Event | None:
        """A revision where the text has changed for good, or another matter is worth one."""
        changed = (
            track.vote.text != track.told.text
            and (track.changed_looks >= 2 or leaving)
            and track.acceptable(self._min_confidence)
        )
        calm = leaving or now - track.told_at >= CALM_S
        same = track.vote.text == track.told.text
        surer = abs(track.vote.confidence - track.told.confidence) >= CONFIDENCE_GAIN
        restated = track.vote.region != track.told.region
        better = calm and same and (surer or restated or track.better_picture())
        if not (changed or better or self._parked(track) != track.told_parked):
            return None
        vote = track.vote if changed or same else replace(track.told, looks=track.vote.looks)
        winner = track.winner(vote.text)
        return None if winner is None else self._tell(track, vote, winner, now)

    def _tell(self, track: Track, vote: Vote, winner: Look, now: float) -> Event:
        track.tell(vote, winner, self._parked(track), now)
        return Event(
            read_id=track.read_id,
            revision=track.revision,
            vote=vote,
            flags=winner.text.flags,
            winner=winner,
            parked=track.told_parked,
            readable_at=now if track.readable_at is None else track.readable_at,
        )

    def _parked(self, track: Track) -> bool:
        return track.told_parked or track.stood_s >= self._settings.parked_s

    def _done(self, track: Track, now: float) -> bool:
        if track.standing:
            return track.absent_since is not None and now - track.absent_since > OCCLUDED_S
        return now - track.seen_at > max(self._settings.rearm_s, self._settings.gone_s)

    def _drop(self, track: Track) -> None:
        self.rejected += not track.read_id
        self._tracks.remove(track)
        for other in self._tracks:
            other.with_others.discard(track.number)


def _distinct(looks: Sequence[Look]) -> list[Look]:
    """Two vehicles never bear one plate: of looks in one frame that read the same only the best counts."""
    chosen: dict[str, Look] = {}
    for look in looks:
        text = look.text.text
        if text and (text not in chosen or look.score > chosen[text].score):
            chosen[text] = look
    return [*chosen.values(), *(look for look in looks if not look.text.text)]


def _contradict(reading: PlateText, vote: Vote, lost: bool) -> bool:
    """Two sure readings with little in common: another vehicle, wherever it stands. Where the vehicle was
    lost from sight in between, less sure ones tell it too: the next one may stand where it stood."""
    both_right = lost and reading.confidence * vote.confidence >= BOTH_RIGHT
    if min(reading.confidence, vote.confidence) < SURE and not both_right:
        return False
    longer = max(len(reading.text), len(vote.text))
    return distance(reading.text, vote.text) >= max(3, math.ceil(0.5 * longer))
