"""Corrects a misread, keeps what was read, and counts how often a unit misreads (CC-51b2F).

Owns the correction of a read's text and the report. The read itself, which the unit sent, is never changed;
the numbers hold no plate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from hq.hits.models import Correction, Visual
from hq.people.models import Person
from hq.people.policy import Misfilled, Refused
from hq.records import trigrams
from hq.records.keys import lookalike_key, search_key
from hq.records.models import Read
from hq.site import clock
from plates.errors import PatternError, TextError
from plates.pattern import compile_pattern
from plates.text import normalise

CLAUSE = "CC-51b2F"
_NOBODY = "nobody: it is the rule of corrections"


def correct(read: Read, by: Person, *, corrected: str, why: str) -> Correction:
    """Add a correction of the read's text; the last one counts. Sent twice, it is there once.

    Raises Refused for one that says nothing.
    """
    try:
        text = normalise(corrected)
    except TextError as error:
        raise Misfilled("corrected", CLAUSE, f"corrected text: {error}", _NOBODY) from error
    if not why.strip():
        raise Misfilled("why", CLAUSE, "say why, such as what the picture shows", _NOBODY)
    key = search_key(text)
    with transaction.atomic():
        # Locked, so that the index and a revision or purge of the read do not pass each other.
        held = Read.objects.select_for_update().filter(pk=read.pk).first()
        if held is None:
            raise Refused(CLAUSE, "the read was destroyed meanwhile", _NOBODY)
        last = held.corrections.order_by("-pk").first()
        if last is not None and (last.corrected, last.why, last.by_id) == (text, why.strip(), by.pk):
            return last
        if text == now_read(held):
            raise Misfilled("corrected", CLAUSE, "that is the text that stands already", _NOBODY)
        trigrams.add_text(held, key)
        return Correction.objects.create(
            read=held,
            revision=held.revision,
            original=held.text,
            corrected=text,
            key=key,
            lookalike=lookalike_key(key),
            why=why.strip(),
            by=by,
            at=clock.now(),
        )


def newest(reads: Iterable[UUID]) -> dict[UUID, Correction]:
    """The correction that counts of each of these reads that has one."""
    rows = Correction.objects.filter(read__in=list(reads)).select_related("by").order_by("pk")
    return {row.read_id: row for row in rows}


def of(read: Read) -> list[Correction]:
    """All corrections of a read, the oldest first."""
    return list(read.corrections.select_related("by").order_by("pk"))


def now_read(read: Read) -> str:
    """The text that counts: corrected, or as it was read."""
    last = read.corrections.order_by("-pk").first()
    return last.corrected if last is not None else read.key


def right(read: Read) -> str:
    """The corrected text of a read, "" where nobody corrected it; of a read that was fetched with its own."""
    rows = list(read.corrections.all())
    return rows[-1].corrected if rows else ""


def fits(entry: str, text: str) -> bool:
    """Whether a text is the entry's plate, or fits its pattern."""
    if not set(entry) & set("?*"):
        return search_key(entry) == text
    try:
        return compile_pattern(entry).matches(text)
    except PatternError:
        return False


@dataclass(frozen=True)
class Rate:
    """One unit in the period: `misread` of `compared` reads that somebody looked at; `reads` it made."""

    unit: str
    reads: int
    compared: int
    misread: int

    @property
    def share(self) -> float | None:
        """Misread of compared, None where nobody looked."""
        return self.misread / self.compared if self.compared else None


def rates(since: datetime, until: datetime) -> list[Rate]:
    """The units' rates over the reads of a period, by name; no plate is in them.

    A read counts as compared where a person compared it by eye or corrected it, as misread where its last
    comparison says another plate or where it was corrected.
    """
    period = {"read__at__gte": since, "read__at__lt": until}
    seen: dict[UUID, tuple[str, bool]] = {}
    looks = Visual.objects.filter(**period).exclude(plate=Visual.Plate.UNCLEAR).order_by("pk")
    for read, unit, plate in looks.values_list("read_id", "read__unit_id", "plate"):
        seen[read] = (unit, plate == Visual.Plate.DIFFERS)
    for read, unit in Correction.objects.filter(**period).values_list("read_id", "read__unit_id"):
        seen[read] = (unit, True)
    compared = Counter(unit for unit, _ in seen.values())
    wrong = Counter(unit for unit, misread in seen.values() if misread)
    made = Read.objects.filter(at__gte=since, at__lt=until).values_list("unit_id").annotate(n=Count("pk"))
    return [Rate(unit, n, compared[unit], wrong[unit]) for unit, n in sorted(made)]


def confusions(since: datetime, until: datetime, most: int = 12) -> list[tuple[str, str, int]]:
    """Which character was read for which, and how often, over the corrections of a period."""
    found: Counter[tuple[str, str]] = Counter()
    last = {row.read_id: row for row in Correction.objects.filter(read__at__gte=since, read__at__lt=until)}
    for row in last.values():
        original, corrected = search_key(row.original), row.key
        if len(original) == len(corrected):
            found.update((a, b) for a, b in zip(original, corrected, strict=True) if a != b)
    return [(a, b, n) for (a, b), n in found.most_common(most)]
