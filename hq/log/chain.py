"""Writes and verifies the access log.

Each row's hash is SHA-256 over its canonical JSON, which holds the hash of the row before it. Whoever
changes, removes or inserts a row must rewrite every later one, and the signed heads (`hq.log.heads`) no
longer fit. Old rows may be removed (`hq.log.removal`); a signed anchor then stands for them in the chain.
Does not decide who may do what (`hq.people.policy`), nor what a page logs (`hq.people.decorators`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest

from hq.log import group, outage
from hq.log.models import AccessRecord, ChainHead, Removed
from hq.site import clock

if TYPE_CHECKING:
    from hq.people.models import Person

FIRST = hashlib.sha256(b"platewarden access log").hexdigest()
_TEXTS = (
    "kind",
    "action",
    "outcome",
    "username",
    "name",
    "title",
    "agency",
    "on_behalf_of",
    "purpose",
    "case",
    "note",
    "session",
    "client",
)


class LogUnavailable(Exception):
    """The access log cannot be written: whatever it would have recorded must not happen or be shown."""


@dataclass(frozen=True)
class Fault:
    """Where the chain first breaks and how."""

    sequence: int
    what: str


def append(
    *,
    kind: str,
    person: Person | None,
    action: str,
    request: HttpRequest | None = None,
    purpose: str = "",
    case: str = "",
    on_behalf_of: str = "",
    elements: Mapping[str, Any] | None = None,
    result_count: int | None = None,
    ids: Sequence[object] = (),
    outcome: str = "done",
    note: str = "",
    username: str = "",
) -> AccessRecord:
    """Add one row and return it: in the caller's transaction, or committed where the caller has none open.

    Without one, threads that append at the same moment share a commit (`hq.log.group`); a row whose common
    transaction failed is tried once more alone. `username` is for an attempt by somebody who is no person
    here. Raises LogUnavailable.
    """
    row = AccessRecord(
        kind=kind,
        action=action,
        outcome=outcome,
        person=person,
        username=person.username if person else username,
        name=person.full_name if person else "",
        title=person.title if person else "",
        agency=person.agency if person else "",
        on_behalf_of=on_behalf_of,
        purpose=purpose,
        case=case,
        elements=_plain(elements or {}),
        result_count=result_count,
        ids=[_clean(str(i)) for i in ids],
        note=note,
        session=_session(request),
        client=_client(request),
    )
    for name in _TEXTS:
        length = getattr(AccessRecord._meta.get_field(name), "max_length", None)
        setattr(row, name, _clean(str(getattr(row, name)))[:length])
    try:
        inside = connection.in_atomic_block or not connection.get_autocommit()
        if inside or not _together.join(row):
            with transaction.atomic():
                _link(_locked_head(), [row])
        return row
    except (DatabaseError, OSError, group.NoTurn) as error:
        outage.note()
        raise LogUnavailable(f"the access log cannot be written: {error}") from error


def verify(first: int = 1) -> Fault | None:
    """The first fault of the chain from row `first` on, or None if it is whole. Reads every row once.

    Rows that were removed are stood for by their anchors, whose signatures `hq.log.heads` verifies.
    """
    try:
        expected, previous = _start(first)
        gaps = Removed.objects.filter(first__gte=expected).order_by("first").iterator(2000)
        gap = next(gaps, None)
        for row in AccessRecord.objects.filter(sequence__gte=expected).order_by("sequence").iterator(2000):
            while gap is not None and gap.first == expected:
                expected, previous = _over(gap, previous)
                gap = next(gaps, None)
            if row.sequence != expected:
                return Fault(expected, "row is missing")
            if fault := _fault(row, previous):
                return fault
            expected, previous = expected + 1, row.hash
        while gap is not None and gap.first == expected:
            expected, previous = _over(gap, previous)
            gap = next(gaps, None)
        if gap is not None:
            return Fault(gap.first, "an anchor stands for rows that are here or were never")
    except _Broken as broken:
        return broken.fault
    held = head()
    if (held.sequence, held.hash) != (expected - 1, previous):
        return Fault(min(held.sequence, expected), "the head names another last row")
    return None


def verify_rows(first: int, last: int) -> Fault | None:
    """The first fault of rows `first` to `last` and of how they hang between their neighbours, or None.

    For rows of which none is removed and none is the log's last.
    """
    try:
        expected, previous = _start(first)
    except _Broken as broken:
        return broken.fault
    for row in AccessRecord.objects.filter(sequence__gte=first, sequence__lte=last).order_by("sequence"):
        if row.sequence != expected:
            break
        if fault := _fault(row, previous):
            return fault
        expected, previous = expected + 1, row.hash
    if expected != last + 1:
        return Fault(expected, "row is missing")
    after = (
        AccessRecord.objects.filter(sequence=last + 1).first()
        or Removed.objects.filter(first=last + 1).first()
    )
    if after is None:
        return Fault(last + 1, "row is missing")
    return None if after.previous == previous else Fault(last + 1, "row does not follow the one before it")


def head() -> ChainHead:
    """The last row's sequence and hash, without a lock."""
    return ChainHead.objects.filter(pk=1).first() or ChainHead(sequence=0, hash=FIRST)


def digest(row: AccessRecord) -> str:
    """SHA-256 of the row's canonical JSON (sorted keys, no spaces, UTF-8), in hexadecimal."""
    return digest_of(plain(row))


def plain(row: AccessRecord) -> dict[str, Any]:
    """What a row's hash is made of, as it stands in copies of the log."""
    return {
        "sequence": row.sequence,
        "at": stamp(row.at),
        "person": row.person_id,
        "elements": row.elements,
        "result_count": row.result_count,
        "ids": row.ids,
        "previous": row.previous,
        **{name: getattr(row, name) for name in _TEXTS},
    }


def digest_of(body: Mapping[str, Any]) -> str:
    """The hash of what `plain` gave."""
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def canonical(body: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no blanks: the same text from everybody who writes it."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def stamp(at: datetime) -> str:
    """Time to hundredths of a second, UTC, with its offset (CJIS AU-8)."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 10_000:02d}+00:00"


class _Broken(Exception):
    def __init__(self, sequence: int, what: str) -> None:
        super().__init__(what)
        self.fault = Fault(sequence, what)


def _fault(row: AccessRecord, previous: str) -> Fault | None:
    if row.previous != previous:
        return Fault(row.sequence, "row does not follow the one before it")
    return None if row.hash == digest(row) else Fault(row.sequence, "row was changed")


def _start(first: int) -> tuple[int, str]:
    """The first row to verify and the hash before it; a removed row is verified with its whole range."""
    if gap := Removed.objects.filter(first__lt=first, last__gte=first).first():
        return gap.first, gap.previous
    if first == 1:
        return 1, FIRST
    before = AccessRecord.objects.filter(sequence=first - 1).first()
    anchor = before or Removed.objects.filter(last=first - 1).first()
    if anchor is None:
        raise _Broken(first - 1, "row is missing")
    return first, anchor.hash


def _over(gap: Removed, previous: str) -> tuple[int, str]:
    if gap.previous != previous:
        raise _Broken(gap.first, "the removed rows do not follow the one before them")
    return gap.last + 1, gap.hash


def _link(held: ChainHead, rows: Sequence[AccessRecord]) -> None:
    """Write the rows behind the locked head, in their order."""
    for row in rows:
        at = clock.now()
        row.sequence = held.sequence + 1
        row.at = at.replace(microsecond=at.microsecond // 10_000 * 10_000)
        row.previous = held.hash
        row.hash = digest(row)
        row.save(force_insert=True)
        held.sequence, held.hash = row.sequence, row.hash
    held.save(update_fields=["sequence", "hash"])


def _write(take: Callable[[], list[AccessRecord]]) -> None:
    with transaction.atomic(durable=True):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # As long as SQLite's writers wait; without it a thread waits for another's lock for ever.
                cursor.execute(f"SET LOCAL lock_timeout = '{group.WAIT_S:g}s'")
        held = _locked_head()
        _link(held, take())


_together = group.Group(_write)


def _locked_head() -> ChainHead:
    """The head, ours alone until the transaction ends.

    On SQLite the transaction began IMMEDIATE (settings), so that no other writer is under way.
    """
    held = ChainHead.objects.select_for_update().filter(pk=1).first()
    if held is None:
        ChainHead.objects.bulk_create([ChainHead(sequence=0, hash=FIRST)], ignore_conflicts=True)
        held = ChainHead.objects.select_for_update().get(pk=1)
    return held


def _session(request: HttpRequest | None) -> str:
    """Tells sessions apart without giving one away."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


def _client(request: HttpRequest | None) -> str:
    return str(request.META.get("REMOTE_ADDR", "")) if request is not None else ""


def _plain(value: object) -> Any:
    """The value as JSON that reads back the same from every database."""
    if isinstance(value, Mapping):
        return {_clean(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [
            _plain(item)
            for item in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)
        ]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        short = round(value, 6)
        return int(short) if short.is_integer() else short
    if isinstance(value, datetime):
        return stamp(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return _clean(str(value))


def _clean(text: str) -> str:
    """Without what PostgreSQL cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
