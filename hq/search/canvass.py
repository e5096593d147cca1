"""The canvass of a crime scene: every plate of a deployment or area, and its stays (430.3(c)-1).

Owns the grouping. A stay is as long as the camera saw the plate: an unseen vehicle is not known to be there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hq.hits import corrections, wording
from hq.people.models import Person
from hq.records.models import Read
from hq.search.asked import Asked, AskedError
from hq.units import deployments
from plates.lookalike import fold

MOST: Final = 5_000
"""Reads that one report takes in; a part of them would not be a canvass, so a wider one is refused."""

AWAY: Final = timedelta(minutes=30)
"""Unseen for longer than this, a vehicle has left, and the next read begins another stay."""


@dataclass
class Stay:
    """One time that a plate was seen, from the first read to the last."""

    first: datetime
    last: datetime
    reads: int = 1

    @property
    def length(self) -> timedelta:
        return self.last - self.first


class Seen:
    """One plate of a report.

    `read_as` are the texts that were read and that a person corrected to it, `hits` says how the hits of its
    reads stand.
    """

    def __init__(self, plate: str) -> None:
        self.plate = plate
        self.reads: list[Read] = []
        self.stays: list[Stay] = []
        self.alike: list[str] = []
        self.read_as: list[str] = []
        self.hits: list[str] = []

    @property
    def first(self) -> datetime:
        return self.stays[0].first

    @property
    def last(self) -> datetime:
        return self.stays[-1].last

    @property
    def stayed(self) -> timedelta:
        """The stays together."""
        return sum((stay.length for stay in self.stays), timedelta())

    @property
    def units(self) -> list[str]:
        return sorted({str(read.unit) for read in self.reads})

    def add(self, read: Read) -> None:
        """The next read of it in time."""
        self.reads.append(read)
        if self.stays and read.at - self.stays[-1].last <= AWAY:
            self.stays[-1].last = read.at
            self.stays[-1].reads += 1
        else:
            self.stays.append(Stay(read.at, read.at))


def check_deployment(asked: Asked, person: Person, case: str) -> None:
    """Raise AskedError for a deployment that is none, that the person may not see, or is another incident's.

    Beside a plate a deployment only narrows a search; without one it lays open all that was read there, which
    takes the number of its incident.
    """
    if not asked.deployment:
        return
    held = deployments.visible(person, asked.deployment)
    if held is None:
        raise AskedError("deployment", "there is no such deployment, or none that you may see (430.3(c)-1)")
    if not asked.plate and not deployments.of_incident(held, case):
        why = "this deployment is another incident's: state that one's number as the case (430.3(c)-1)"
        raise AskedError("deployment", why)


def report(reads: Iterable[Read]) -> list[Seen]:
    """The plates in the order in which they were first seen; `reads` in any order.

    A misread stands under its corrected text. Texts that look alike stay apart, each naming the others: which
    is right is for a person to see.
    """
    seen: dict[str, Seen] = {}
    reads = sorted(reads, key=lambda one: (one.at, str(one.pk)))
    hits = wording.statuses(reads)
    for read in reads:
        right = corrections.right(read)
        name = right or read.key or read.text
        one = seen.setdefault(name, Seen(name))
        one.add(read)
        if right and read.text not in one.read_as:
            one.read_as.append(read.text)
        if read.pk in hits and hits[read.pk] not in one.hits:
            one.hits.append(hits[read.pk])
    groups: dict[str, list[str]] = {}
    for name in seen:
        groups.setdefault(fold(name), []).append(name)
    for name, one in seen.items():
        one.alike = [other for other in groups[fold(name)] if other != name]
    return list(seen.values())
