"""What stands on the live board, and by what mark a change of it is known.

Owns which hits are on the board, their order, and the facts that what it shows depends on. How they are told
is `hq.hits.wording`'s, who sees what `hq.hits.sight`'s, what boards share `hq.hits.shared`'s, how a change
reaches a screen `hq.hits.live`'s.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Case, Exists, OuterRef, Q, Value, When

from hq.hits import corrections, review, wording
from hq.hits.models import Acknowledgement, Clets, Correction, Outcome, Visual
from hq.hits.review import Review
from hq.records.models import Hit, Picture, Read
from hq.site import clock
from plates.words import MatchKind

WINDOW: Final = timedelta(hours=12)
"""Hits of a shift; older ones that nobody verified are in the report."""

MOST: Final = 40
"""Rows of the board: the newest of those that nobody has acknowledged come first, then open ones."""

_ACTS: Final = " UNION ALL ".join(
    f"SELECT '{model._meta.model_name} ' || CAST(id AS text) FROM {model._meta.db_table}"
    f" WHERE {key} IN (SELECT {of} FROM newest)"
    for model, key, of in (
        *((act, "hit_id", "id") for act in (Acknowledgement, Visual, Clets, Outcome)),
        (Correction, "read_id", "read_id"),
    )
)
# Of the older hits only their number is shown. Rows may be committed in another order than that of their
# ids, so that the last id alone would not do for the hits of the board.
_LAST: Final = " UNION ALL ".join(
    f"SELECT 'last {model._meta.model_name} ' || CAST(COALESCE(MAX(id), 0) AS text)"
    f" FROM {model._meta.db_table}"
    for model in (Clets, Outcome)
)
# One statement, which SQLite and PostgreSQL both know: it is asked for every page of every board. Its places
# are those of `_rank`.
_FACTS: Final = f"""
WITH placed AS (
  SELECT hit.*, CASE
    WHEN hit.withdrawn OR EXISTS (SELECT 1 FROM {Outcome._meta.db_table} WHERE hit_id = hit.id) THEN 2
    WHEN EXISTS (SELECT 1 FROM {Acknowledgement._meta.db_table} WHERE hit_id = hit.id) THEN 1
    ELSE 0 END AS place
  FROM records_hit hit WHERE received_at >= %s
), newest AS (
  SELECT * FROM placed ORDER BY place, received_at DESC, id DESC LIMIT {MOST}
)
SELECT 'hit ' || CAST(h.id AS text) || ' ' || h.digest || ' ' || CAST(h.read_revision AS text) || ' '
  || CAST(h.withdrawn AS text) || ' ' || COALESCE(r.digest || ' ' || CAST(r.revision AS text), '') || ' '
  || (SELECT CAST(COUNT(*) AS text) || ' ' || CAST(COALESCE(SUM(p.id), 0) AS text) FROM records_picture p
      WHERE p.read_id = h.read_id AND p."current" AND NOT p.missing)
  FROM newest h LEFT JOIN records_read r ON r.id = h.read_id
UNION ALL SELECT 'open ' || CAST(COUNT(*) AS text) FROM placed WHERE place < 2
UNION ALL SELECT 'unit ' || unit_id || ' ' || name FROM records_unit
  WHERE unit_id IN (SELECT unit_id FROM newest)
UNION ALL SELECT 'person ' || CAST(id AS text) || ' ' || full_name FROM people_person
  WHERE id IN (SELECT a.by_id FROM hits_acknowledgement a JOIN newest ON newest.id = a.hit_id)
UNION ALL SELECT 'source ' || CAST(s.id AS text) || ' ' || CAST(l.restricted AS text) || ' ' || s.data || ' '
  || s.name FROM lists_hotlistsource s JOIN lists_hotlist l ON l.id = s.hot_list_id
UNION ALL SELECT 'left ' || COALESCE((SELECT CAST(id AS text) FROM records_hit WHERE received_at < %s
  ORDER BY received_at DESC, id DESC LIMIT 1), '')
UNION ALL {_ACTS}
UNION ALL {_LAST}
"""


@dataclass(frozen=True)
class Line:
    """One hit as a person may see it; of a masked one nothing says what is behind it."""

    id: UUID
    status: str
    claim: str
    advice: str
    match: str
    match_words: str
    text: str
    entry: str
    corrected: str
    unit: str
    place: str
    at: datetime
    late: str
    list_age: str
    masked: str
    exact: bool
    alarm: bool
    withdrawn: bool
    confirmed: bool
    verified: bool
    picture: bool
    acknowledged: str
    outcome: str
    step: str


def reviews() -> list[Review]:
    """The board's hits: first those that nobody has acknowledged, then open ones, then the rest.

    However many came and were closed since, one that waits for somebody is among them.
    """
    own = {"hit": OuterRef("pk")}
    closed = Q(withdrawn=True) | Exists(Outcome.objects.filter(**own))
    seen = Exists(Acknowledgement.objects.filter(**own))
    place = Case(When(closed, then=Value(2)), When(seen, then=Value(1)), default=Value(0))
    hits = Hit.objects.filter(received_at__gte=clock.now() - WINDOW).order_by(place, "-received_at", "-pk")
    return sorted(review.of(hits.select_related("unit")[:MOST]), key=_rank)


def line(one: Review, masked: str) -> Line:
    """A hit as a person may see it for whom it is masked for this reason, "" for one who may see it whole."""
    hit, read = one.hit, one.read
    at = hit.hit_at or hit.received_at
    behind = (hit.received_at - at).total_seconds()
    seen, ended = one.acknowledged, one.outcome
    corrected = one.corrected
    return Line(
        id=hit.id,
        status=wording.status(one),
        claim=wording.MASKED if masked else wording.claim(one),
        advice=wording.advice(one),
        match="" if masked else wording.match_short(hit),
        match_words="" if masked else wording.match(hit),
        text="" if masked or read is None else read.text,
        entry="" if masked else hit.entry_plate,
        corrected="" if masked or corrected is None else corrected.corrected,
        unit=str(hit.unit),
        place=_place(read),
        at=at,
        late=wording.span(behind) if behind > 60 else "",
        list_age=wording.list_age(one),
        masked=masked,
        exact=hit.kind == MatchKind.EXACT,
        alarm=alarms(one),
        withdrawn=hit.withdrawn,
        confirmed=one.confirmed,
        verified=one.answer is not None,
        picture=not masked and Picture.Kind.PLATE in one.pictures,
        acknowledged=str(seen.by.full_name) if seen else "",
        outcome=ended.get_kind_display() if ended else "",
        step=_step(one),
    )


def alarms(one: Review) -> bool:
    """Whether it waits for somebody to say that they have seen it."""
    return one.acknowledged is None and one.open


def ago(one: Review) -> str:
    """For how long it has been, in words."""
    return wording.span((clock.now() - (one.hit.hit_at or one.hit.received_at)).total_seconds())


def no_longer_fits(one: Review) -> bool:
    """Whether the read was corrected to a text that is not the entry's."""
    corrected = one.corrected
    return corrected is not None and not corrections.fits(one.hit.entry_plate, corrected.corrected)


def facts() -> str:
    """All that the board's look depends on but for the viewer and the time of day; never for anybody's eyes.

    It holds ids, digests and revisions of the hits and of what came and was done for them, and the names and
    the rules of masking themselves. Only what came for hits of the window counts: a busy street
    must not redraw every board.
    """
    since = connection.ops.adapt_datetimefield_value(clock.now() - WINDOW)
    with connection.cursor() as cursor:
        cursor.execute(_FACTS, [since, since])
        return "\n".join(sorted(row[0] for row in cursor.fetchall()))


def mark() -> str:
    """Changes whenever the board would look different."""
    return mark_of(facts())


def mark_of(facts: str) -> str:
    """A hash of the facts, which tells nothing of a plate."""
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _rank(one: Review) -> tuple[int, float]:
    group = 0 if one.open and one.acknowledged is None else 1 if one.open else 2
    return group, -one.hit.received_at.timestamp()


def _place(read: Read | None) -> str:
    if read is None:
        return "place still to come"
    parts = [read.camera]
    if read.lat is not None and read.lon is not None:
        parts.append(f"{read.lat:.5f}, {read.lon:.5f}")
    if read.heading is not None:
        parts.append(f"looking {_compass(read.heading)}")
    if read.deployment:
        parts.append(f"deployment {read.deployment}")
    return " · ".join(parts)


def _compass(degrees: float) -> str:
    return ("N", "NE", "E", "SE", "S", "SW", "W", "NW")[round(degrees / 45) % 8]


def _step(one: Review) -> str:
    if one.answer is not None:
        return "step 2 of 2 done"
    return "step 1 of 2 done" if one.visual is not None else "no step done"
