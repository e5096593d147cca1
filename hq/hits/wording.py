"""How a hit is told: never more than is known (430.3(f)).

Owns the sentence. What a list says of a vehicle is told only together with its not being verified and the
time of that list, until CLETS has confirmed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from hq.hits.models import Clets
from hq.hits.review import Review
from hq.hits.review import of as reviews_of
from hq.lists.classes import words
from hq.records.models import Hit, Read
from hq.site.times import local_minute
from plates.words import MatchKind

MASKED: Final = "HIT, class hidden, call dispatch"

MATCH: Final = {
    MatchKind.EXACT.value: "exact: the text read is the listed plate",
    MatchKind.LOOKALIKE.value: "look-alike: one character read differs from the listed plate",
    MatchKind.PARTIAL.value: "partial: the text read fits a partial plate",
}
MATCH_SHORT: Final = {
    MatchKind.EXACT.value: "exact",
    MatchKind.LOOKALIKE.value: "look-alike",
    MatchKind.PARTIAL.value: "partial",
}


STATES_DIFFER: Final = "another state"


def match(hit: Hit) -> str:
    """The kind of match in a sentence."""
    said = MATCH.get(hit.kind, hit.kind)
    return f"{said}, of {STATES_DIFFER} than was read" if hit.state_agrees is False else said


def match_short(hit: Hit) -> str:
    """The kind of match in a word, and that the states differ where the unit was sure of it."""
    said = MATCH_SHORT.get(hit.kind, hit.kind)
    return f"{said}, {STATES_DIFFER}" if hit.state_agrees is False else said


def state_read(hit: Hit, read: Read | None) -> str:
    """Which state the plate's design is of, how sure the unit is, and whether it is the entry's.

    The unit compares only states of which it is sure (`plates.match.STATE_SURE`).
    """
    compared = {True: "the same", False: "another", None: ""}[hit.state_agrees]
    if read is None or not read.region:
        return compared or "not known"
    said = f"{read.region}, {100 * read.region_confidence:.0f} % sure"
    if not compared and hit.entry_state:
        compared = "too little to compare"
    return f"{said}, {compared}" if compared else said


def listed_at(review: Review) -> datetime | None:
    """Of when the list's data was: as HQ loaded it, else as the unit says, None where it could not tell."""
    if review.loaded_at is not None:
        # The unit knows when the whole was published, which every hot plate makes younger than its data.
        return review.loaded_at
    hit = review.hit
    return None if hit.list_age_s is None else _at(hit) - timedelta(seconds=hit.list_age_s)


def list_age(review: Review) -> str:
    """How old the list's data was when the hit was made."""
    at = listed_at(review)
    return span(None if at is None else (_at(review.hit) - at).total_seconds())


def list_of(review: Review) -> str:
    """Such as "list of 2026-06-03 11:58 -07:00"."""
    at = listed_at(review)
    if at is None:
        return "list of unknown time"
    return f"list of {local_minute(at)}"


def _at(hit: Hit) -> datetime:
    return hit.hit_at or hit.received_at


def span(seconds: float | None) -> str:
    """A length of time as people say it: "40 s", "12 min", "3 h 05 min", "2 days"."""
    if seconds is None:
        return "unknown"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    if hours == 0:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} days"


def claim(review: Review) -> str:
    """What the list says, with how far it may be believed."""
    hit = review.hit
    said = words(hit.alarm_class)
    if hit.reason and hit.reason.casefold() != said.casefold():
        said += f", “{hit.reason}”"
    answer = review.answer
    if review.confirmed and answer is not None:
        return f"{said}: confirmed by CLETS, {list_of(review)}"
    return f"{said}: unverified - {list_of(review)}"


def status(review: Review) -> str:
    """One word or two, in capitals, that stand on the board."""
    if review.hit.withdrawn:
        return "WITHDRAWN"
    if review.confirmed:
        return "CONFIRMED"
    if review.differs:
        return "PLATE DIFFERS"
    answer = review.answer
    if answer is None:
        return "UNVERIFIED"
    if answer.result == Clets.Result.NOT_PRACTICABLE:
        return "UNVERIFIED, CHECK NOT PRACTICABLE"
    return Clets.Result(answer.result).label


def checked_at(review: Review) -> datetime | None:
    """When what its status says was found out, None while nobody has: by eye, or as CLETS answered."""
    if review.differs and review.visual is not None:
        return review.visual.at
    return review.answer.answered_at if review.answer is not None else None


def stands(reads: Iterable[Read]) -> dict[UUID, list[tuple[str, datetime | None]]]:
    """Each hit's status and when it was found out, by read; of reads that were fetched with their own hits.

    A hit that the unit took back is not among them.
    """
    hits = [hit for read in reads for hit in read.hits.all() if not hit.withdrawn]
    found: dict[UUID, list[tuple[str, datetime | None]]] = {}
    for one in reviews_of(sorted(hits, key=lambda hit: (hit.received_at, hit.pk))):
        found.setdefault(one.hit.read_id, []).append((status(one), checked_at(one)))
    return found


def statuses(reads: Iterable[Read]) -> dict[UUID, str]:
    """How the hits of these reads stand, each status once, by read; as `stands`."""
    return {
        read: "; ".join(dict.fromkeys(status for status, _ in told)) for read, told in stands(reads).items()
    }


def advice(review: Review) -> str:
    """What to do next, in one line."""
    if review.hit.withdrawn:
        return (
            "The unit takes it back: it has read the plate better since, or the entry has left its list. "
            "Do not act on this hit."
        )
    if review.outcome is not None:
        return "Closed."
    if review.differs:
        return "The plate in the picture is another one: do not act on this hit; close it."
    if review.visual is None:
        return "A lead, not a confirmation. Compare plate and state by eye, then ask CLETS before you act."
    if review.answer is None:
        return "Ask CLETS before you act, and enter what it answers."
    if review.confirmed:
        return "CLETS has confirmed it. Enter what was done."
    if review.answer.result == Clets.Result.NOT_PRACTICABLE:
        return "Not checked through CLETS. Enter what was done."
    return "CLETS does not bear it out: do not act on this hit; close it."
