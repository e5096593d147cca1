"""What the access log and units' access records show of use: how old what is looked for is, what is odd.

Reads the log, what units recorded and the reads' times; no plate is in what it gives, only numbers of log
rows and ids of units' records. What was seen on a unit counts in the period in which HQ received it.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q, QuerySet

from hq.audits.acts import SHOWN, Act, of_log, of_unit
from hq.log.chain import canonical
from hq.log.models import AccessRecord
from hq.people import purposes
from hq.people.models import Appointment, Role
from hq.records.keys import lookalike_key, search_key
from hq.records.models import AccessReceived, Read

LOOKED: Final = ("reads.search", "reads.export", "deployments.canvass")
OPENED: Final = ("reads.view", "reads.picture")
COUNTED: Final = ("breaches.record", "holds.view")
"""Of these the rows that name a plate's place in the question, be it empty: how far a breach reached and how
many reads a hold keeps tell of a plate, a unit and a time what a search would.
"""
BUCKETS: Final = (1, 7, 30, 60, 90, 180, 365, 730)
"""Upper ends in days of the age histogram."""
_CHUNK: Final = 500

SAME_PLATE: Final = 5
SEVERAL_CASES: Final = 2
VOLUME_LEAST: Final = 20
VOLUME_TIMES: Final = 3.0
VOLUME_WINDOWS: Final = 12
HOURS_DAYS: Final = 90
HOURS_LEAST: Final = 50
HOURS_SHARE: Final = 0.01
_OF_A_PAGE: Final = ("page", "again", "method")
"""What the record of a page of results holds beside the question."""
PAGING: Final = timedelta(hours=1)
"""So long after one page of a search the next belongs to it."""


@dataclass(frozen=True)
class Bucket:
    """Reads seen at an age, in results and opened at HQ, and on units.

    Of those that were destroyed since nobody knows the age any more: they have no share.
    """

    label: str
    listed: int
    opened: int
    listed_share: float
    opened_share: float
    opened_up_to: float
    on_units: int
    on_units_share: float

    @property
    def known(self) -> bool:
        """Whether it is an age."""
        return self.label != _GONE


def search_ages(since: datetime, until: datetime) -> list[Bucket]:
    """Age of the reads that people saw, at the time they saw them: in results and opened (rec. 19, 47).

    Shares are of 1, of the reads whose age is known; `opened_up_to` is the share of opened reads of this age
    or younger. What units recorded stands apart: a unit knows no opening.
    """
    counts = {"listed": Counter[str](), "opened": Counter[str](), "on_units": Counter[str]()}
    for column, actions in (("listed", LOOKED), ("opened", OPENED)):
        rows = _done(since, until).filter(action__in=actions)
        for chunk in _chunks(rows.values_list("at", "ids").iterator(_CHUNK)):
            times = _read_times(ids for _, ids in chunk)
            for at, ids in chunk:
                counts[column].update(_label(at, times.get(str(read))) for read in ids)
    for chunk in _chunks(_on_units(since, until).iterator(_CHUNK)):
        times = _read_times(row.ids for row in chunk)
        for row in chunk:
            at = row.accessed_at or row.received_at
            counts["on_units"].update(_label(at, times.get(str(read))) for read in row.ids)
    labels = [*(_below(days) for days in BUCKETS), _OLDER]
    total = {column: max(1, count.total() - count[_GONE]) for column, count in counts.items()}
    found, opened_sum = [], 0
    for label in labels:
        listed, opened = counts["listed"][label], counts["opened"][label]
        on_units = counts["on_units"][label]
        opened_sum += opened
        found.append(
            Bucket(
                label,
                listed,
                opened,
                listed / total["listed"],
                opened / total["opened"],
                opened_sum / total["opened"],
                on_units,
                on_units / total["on_units"],
            )
        )
    gone = {column: count[_GONE] for column, count in counts.items()}
    return [*found, Bucket(_GONE, gone["listed"], gone["opened"], 0, 0, 0, gone["on_units"], 0)]


@dataclass
class Anomaly:
    """Something to look into: of what kind, whose, in words, in which records.

    `rows` holds numbers of rows of the log; of what happened on a unit the unit and the id of its record.
    """

    kind: str
    username: str
    words: str
    rows: list[int | str] = field(default_factory=list)


def anomalies(since: datetime, until: datetime) -> list[Anomaly]:
    """Everything odd about searches of a period, by kind and person (430.3-0)."""
    rows = _done(since, until).filter(_looked() | Q(action__in=OPENED)).order_by("sequence")
    searches = list(_without_further_pages(rows.iterator(_CHUNK)))
    looked = [row for row in searches if row.action not in OPENED]
    # Of a count the breach or hold in its row says what it was for.
    stated = [row for row in searches if row.action not in COUNTED]
    on_units = [of_unit(row) for row in _on_units(since, until).order_by("received_at", "id")]
    return [
        *_same_plate([*map(of_log, looked), *on_units]),
        *_several_cases([*map(of_log, looked), *on_units]),
        *_no_case([*map(of_log, stated), *on_units]),
        *_own(looked),
        *_off_hours(searches, since),
        *_volume(looked, since, until),
        *_volume_on_units(on_units, since, until),
    ]


def _looked() -> Q:
    # A form that is opened to ask, before a purpose is stated, is a page that was viewed.
    asked = Q(action__in=LOOKED) & ~Q(kind="view")
    return asked | Q(action__in=COUNTED, elements__has_key="plate")


def _without_further_pages(rows: Iterable[AccessRecord]) -> Iterator[AccessRecord]:
    """The rows but for further pages of a search whose first page the same person had just before.

    A page that nobody turned to is a search of its own: it tells how many there are, whichever is asked for.
    Nor those that a browser showed again on its way back, which tell nothing new.
    """
    turned: dict[str, datetime] = {}
    for row in rows:
        asked = {name: value for name, value in row.elements.items() if name not in _OF_A_PAGE}
        names = ("username", "action", "purpose", "case", "on_behalf_of")
        question = canonical({**{name: getattr(row, name) for name in names}, "asked": asked})
        first = row.elements.get("page", 1) == 1 and "again" not in row.elements
        before = turned.get(question)
        further = not first and before is not None and row.at - before <= PAGING
        if first or further:
            turned[question] = row.at
        if not further:
            yield row


def _same_plate(acts: Iterable[Act]) -> Iterator[Anomaly]:
    found: dict[tuple[str, str], list[int | str]] = defaultdict(list)
    for act in acts:
        if plate := act.plate:
            key = plate if _is_pattern(plate) else lookalike_key(search_key(plate))
            found[act.who, key].append(_number(act))
    for (username, _), numbers in found.items():
        if len(numbers) >= SAME_PLATE:
            yield Anomaly("same plate often", username, f"one plate, {len(numbers)} searches", numbers)


def _several_cases(acts: Iterable[Act]) -> Iterator[Anomaly]:
    """One plate under case numbers that differ: whoever looks for a plate of their own interest makes one up.

    Not of patterns, which many plates fit, nor where an id stands for the case, which differs by itself.
    """
    found: dict[tuple[str, str], dict[str, list[int | str]]] = defaultdict(lambda: defaultdict(list))
    for act in acts:
        stated = purposes.ALL.get(act.purpose)
        case = "".join(filter(str.isalnum, act.case.casefold()))
        if act.plate and not _is_pattern(act.plate) and stated and stated.case == "required" and case:
            found[act.who, lookalike_key(search_key(act.plate))][case].append(_number(act))
    for (username, _), cases in found.items():
        if len(cases) >= SEVERAL_CASES:
            words = f"one plate under {len(cases)} cases"
            yield Anomaly("several cases", username, words, [row for rows in cases.values() for row in rows])


def _is_pattern(plate: str) -> bool:
    return bool(set(plate) & set("?*"))


def _no_case(acts: Iterable[Act]) -> Iterator[Anomaly]:
    found: dict[str, list[int | str]] = defaultdict(list)
    for act in acts:
        if not act.purpose or (purposes.ALL.get(act.purpose) is not None and not act.case.strip()):
            found[act.who].append(_number(act))
    for username, numbers in found.items():
        yield Anomaly("no case", username, f"{len(numbers)} records without purpose or case number", numbers)


def _number(act: Act) -> int | str:
    return act.number if act.unit else int(act.number)


def _own(rows: Iterable[AccessRecord]) -> Iterator[Anomaly]:
    """Searches of those who watch the log or administer it: somebody else looks at them."""
    watchers = set(
        Appointment.objects.filter(role__in=(Role.AUDITOR, Role.ADMINISTRATOR, Role.COMMANDER)).values_list(
            "person", flat=True
        )
    )
    found: dict[str, list[int | str]] = defaultdict(list)
    for row in rows:
        if row.person_id in watchers:
            found[row.username].append(row.sequence)
    for username, numbers in found.items():
        yield Anomaly(
            "own queries", username, f"{len(numbers)} searches by one who watches or runs the system", numbers
        )


def _off_hours(rows: Iterable[AccessRecord], since: datetime) -> Iterator[Anomaly]:
    """Hours at which the person was hardly ever active in the 90 days before."""
    zone = ZoneInfo(settings.TIME_ZONE)
    found: dict[str, list[int | str]] = defaultdict(list)
    usual: dict[str, Counter[int]] = {}
    for row in rows:
        if row.username not in usual:
            before = AccessRecord.objects.filter(
                username=row.username, at__gte=since - timedelta(days=HOURS_DAYS), at__lt=since
            )
            usual[row.username] = Counter(
                at.astimezone(zone).hour for at in before.values_list("at", flat=True)
            )
        hours, total = usual[row.username], usual[row.username].total()
        hour = row.at.astimezone(zone).hour
        near = sum(hours[(hour + step) % 24] for step in (-1, 0, 1))
        if total >= HOURS_LEAST and near / total < HOURS_SHARE:
            found[row.username].append(row.sequence)
    for username, numbers in found.items():
        yield Anomaly("off hours", username, f"{len(numbers)} rows at hours unusual for this person", numbers)


def _volume(rows: Iterable[AccessRecord], since: datetime, until: datetime) -> Iterator[Anomaly]:
    """Many more searches than in the twelve periods of the same length before."""
    length = until - since
    found: dict[str, list[int | str]] = defaultdict(list)
    for row in rows:
        found[row.username].append(row.sequence)
    for username, numbers in found.items():
        if len(numbers) < VOLUME_LEAST:
            continue
        own = AccessRecord.objects.filter(_looked(), username=username, outcome="done")
        if not own.filter(at__lt=since).exists():
            yield Anomaly("volume", username, f"{len(numbers)} searches, the first of this person", numbers)
            continue
        before = [
            own.filter(at__gte=since - length * n, at__lt=since - length * (n - 1)).count()
            for n in range(1, VOLUME_WINDOWS + 1)
        ]
        norm = statistics.median(before)
        if len(numbers) > VOLUME_TIMES * max(norm, 1):
            yield Anomaly("volume", username, f"{len(numbers)} searches, usually {norm:.0f}", numbers)


def _volume_on_units(acts: Iterable[Act], since: datetime, until: datetime) -> Iterator[Anomaly]:
    """The same of what one name did on one unit."""
    length = until - since
    found: dict[tuple[str, str], list[int | str]] = defaultdict(list)
    for act in acts:
        found[act.unit, act.name].append(_number(act))
    for (unit, name), numbers in found.items():
        if len(numbers) < VOLUME_LEAST:
            continue
        before = [
            _on_units(since - length * n, since - length * (n - 1)).filter(unit=unit, person=name).count()
            for n in range(1, VOLUME_WINDOWS + 1)
        ]
        norm = statistics.median(before)
        if len(numbers) > VOLUME_TIMES * max(norm, 1):
            words = f"{len(numbers)} accesses, usually {norm:.0f}"
            yield Anomaly("volume", f"{name} on unit {unit}", words, numbers)


_OLDER = f"{BUCKETS[-1]} days and older"
_GONE = "destroyed since"


def _below(days: int) -> str:
    start = ([0, *BUCKETS])[BUCKETS.index(days)]
    return f"{start} to {days} days" if start else "under 1 day"


def _label(at: datetime, captured: datetime | None) -> str:
    if captured is None:
        return _GONE
    age = (at - captured) / timedelta(days=1)
    return next((_below(days) for days in BUCKETS if age < days), _OLDER)


def _done(since: datetime, until: datetime) -> QuerySet[AccessRecord]:
    return AccessRecord.objects.filter(Q(at__gte=since, at__lt=until), outcome="done")


def _on_units(since: datetime, until: datetime) -> QuerySet[AccessReceived]:
    return AccessReceived.objects.filter(received_at__gte=since, received_at__lt=until, outcome=SHOWN)


def _read_times(lists: Iterable[list[Any]]) -> dict[str, datetime]:
    ids = {uuid for some in lists for text in some if (uuid := _uuid(text)) is not None}
    found: dict[str, datetime] = {}
    for chunk in _chunks(iter(ids)):
        found |= {str(pk): at for pk, at in Read.objects.filter(pk__in=chunk).values_list("pk", "at")}
    return found


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def _chunks(items: Iterator[Any]) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
