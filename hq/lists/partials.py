"""Partial plates of major incidents (430.3(c)): how much one would match, and whether it may go on the list.

Owns the estimate and the refusals. The pattern's syntax and its matching are `plates.pattern`, so that HQ and
the units mean the same by it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from django.db import transaction

from hq.lists.errors import ListRefused
from hq.lists.manual import check_class, check_entered, sent_before
from hq.lists.models import ListGroup, PartialPlate, Rules
from hq.log import chain
from hq.people.models import Person
from hq.records.models import Read
from hq.site import clock
from plates.errors import PatternError
from plates.pattern import Pattern, compile_pattern
from plates.words import AlarmClass

MOST_READS: Final = 200_000
"""The newest reads that an estimate looks at: enough to tell a share of one in a thousand."""

LOOKALIKES: Final = 1
"""Known characters that may be met by a look-alike, as on the units."""

LEAST_READS: Final = 1000
"""With fewer recent reads than this, a share says nothing and the model of `plates.pattern` is used."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How wide a pattern is.

    Attributes:
        matched, of_reads: how many of how many recent reads fit it.
        modelled: the share (0..1) that chance alone would give.
        share: the share (0..1) that counts: the measured one, or the modelled one where reads are too few.
    """

    matched: int
    of_reads: int
    modelled: float

    @property
    def measured(self) -> bool:
        """Whether there are reads enough to go by."""
        return self.of_reads >= LEAST_READS

    @property
    def share(self) -> float:
        return self.matched / self.of_reads if self.measured else self.modelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A circle on the ground: centre in degrees (WGS 84), radius in metres."""

    latitude: float
    longitude: float
    radius_m: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a witness remembers, for which incident and how long it is looked for."""

    group: ListGroup
    pattern: str
    reason: str
    case_number: str
    expiry: date | None
    state: str = ""
    make: str = ""
    colour: str = ""
    body: str = ""
    seen_from: datetime | None = None
    seen_until: datetime | None = None
    area: Area | None = field(default=None)


def compiled(raw: str) -> Pattern:
    """The pattern as it will be matched. Raises ListRefused saying what is wrong with it."""
    try:
        return compile_pattern(raw)
    except PatternError as error:
        raise ListRefused("430.3(c)-2", str(error)) from None


def estimate(pattern: Pattern) -> Estimate:
    """How much of the recent traffic a pattern matches; shows no read."""
    since = clock.now() - timedelta(days=Rules.current().recent_days)
    newest = Read.objects.filter(at__gte=since).order_by("-at").values_list("key", "lookalike")[:MOST_READS]
    seen = matched = 0
    for key, folded in newest.iterator(10_000):
        seen += 1
        matched += replaced(pattern, key, folded) is not None
    return Estimate(matched, seen, pattern.width())


def replaced(pattern: Pattern, key: str, folded: str) -> int | None:
    """How many known characters a read meets by a look-alike only; None where it does not fit, or by more
    of them than units allow by default."""
    if not pattern.matches_folded(folded):
        return None
    count = pattern.replaced(key)
    return count if count is not None and count <= LOOKALIKES else None


def enter(remembered: Remembered, *, by: Person, purpose: str) -> PartialPlate:
    """Put a partial plate on the list.

    Sent twice, it is there once. Raises ListRefused without an incident number, a reason or an expiry, or if
    it is too wide.
    """
    check_class(AlarmClass.MAJOR_INCIDENT_PARTIAL.value)
    rules = Rules.current()
    if remembered.expiry is None:
        raise ListRefused("430.3(c)-2", "a partial plate needs the day until which it is looked for")
    if not remembered.case_number.strip():
        raise ListRefused("430.3(c)-2", "a partial plate needs the number of its incident")
    check_entered(remembered.reason, remembered.case_number, remembered.expiry, rules.partial_days)
    if remembered.seen_from and remembered.seen_until and remembered.seen_from > remembered.seen_until:
        raise ListRefused("430.3(c)-2", "the time it was seen ends before it begins")
    pattern = compiled(remembered.pattern)
    found = estimate(pattern)
    if found.share > rules.partial_share:
        raise ListRefused(
            "430.3(c)-2",
            f"too wide: it would match {found.share:.2%} of reads, {rules.partial_share:.2%} is the most;"
            " give more characters",
            "the Commander, for a wider limit",
        )
    area = remembered.area
    values = {
        "group": remembered.group,
        "pattern": pattern.text,
        "state": remembered.state,
        "reason": remembered.reason.strip(),
        "case_number": remembered.case_number.strip(),
        "expiry": remembered.expiry,
        "make": remembered.make,
        "colour": remembered.colour,
        "body": remembered.body,
        "seen_from": remembered.seen_from,
        "seen_until": remembered.seen_until,
        "latitude": area.latitude if area else None,
        "longitude": area.longitude if area else None,
        "radius_m": area.radius_m if area else None,
        "entered_by": by,
    }
    measured = {"matched": found.matched, "of_reads": found.of_reads, "share": found.share}
    with transaction.atomic():
        twin = sent_before(PartialPlate.objects.filter(**values), remembered.group)
        if twin is not None:
            return twin
        row = PartialPlate.objects.create(**values, **measured, entered_at=clock.now())
        chain.append(
            kind="lists",
            person=by,
            action="lists.partial",
            purpose=purpose,
            case=row.case_number,
            elements={"pattern": row.pattern, "state": row.state, "until": row.expiry, "share": found.share},
            ids=[row.pk],
        )
    return row
