"""The breach register: what happened, how far it reached, who must be told, what was done, the log kept safe.

Owns the steps and their rights. Deciding whom the law makes the agency tell is a person's work: a notice's
basis and day are entered, not computed.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Min, Q, QuerySet

from hq.audits.models import Affected, Breach, Export, Freeze, Notice, Step
from hq.audits.reviews import chain_state
from hq.log import chain
from hq.log.models import AccessRecord, SignedHead
from hq.people.models import Person
from hq.people.policy import Refused, check, said
from hq.records.models import AccessReceived, Hit, Picture, Read
from hq.retention.scope import Scope
from hq.site import clock

CLAUSE = "430.5-z"
_CHUNK = 500
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def record(person: Person, breach: Breach) -> Breach:
    """Enter a breach. Raises Refused, ValidationError."""
    check(person, "breaches.record")
    breach.recorded_by = person
    breach.full_clean()
    breach.save(force_insert=True)
    return breach


def step(person: Person, breach: Breach, kind: str, what: str) -> Step:
    """Write down what was done or learned. Raises Refused."""
    _open(person, breach)
    what = said(CLAUSE, "what was done or learned", what)
    return Step.objects.create(breach=breach, kind=kind, what=what, by=person)


def affected(person: Person, breach: Breach, scope: Scope, accounts: Sequence[str] = ()) -> Affected:
    """Count what lies within a scope, or what accounts saw in its time; both where both are given.

    Raises Refused, ScopeError for a scope that bounds nothing.
    """
    _open(person, breach)
    scope.check()
    counts = _seen(scope, accounts) if accounts else _within(Read.objects.filter(scope.q()))
    asked = {
        "plate": scope.plate,
        "unit": scope.unit,
        "since": chain.stamp(scope.since) if scope.since else "",
        "until": chain.stamp(scope.until) if scope.until else "",
        "accounts": list(accounts),
    }
    return Affected.objects.create(breach=breach, scope=asked, counts=counts, by=person)


def notice(person: Person, breach: Breach, *, to: str, basis: str, due_on: date) -> Notice:
    """Enter somebody who must be told. Raises Refused."""
    _open(person, breach)
    to, basis = said(CLAUSE, "whom to tell", to), said(CLAUSE, "the statute or policy", basis)
    return Notice.objects.create(breach=breach, to=to, basis=basis, due_on=due_on, entered_by=person)


@transaction.atomic
def sent(person: Person, pk: int, reference: str) -> Notice:
    """Record that a notice went out. Raises Refused."""
    check(person, "breaches.record")
    held = Notice.objects.select_for_update().get(pk=pk)
    if held.sent_at is not None:
        raise Refused(CLAUSE, "this notice is sent", "nobody")
    reference = said(CLAUSE, "the reference of what was sent", reference)
    held.sent_at, held.sent_by, held.reference = clock.now(), person, reference
    held.save(update_fields=["sent_at", "sent_by", "reference"])
    return held


@transaction.atomic
def freeze(person: Person, breach: Breach, since: datetime, until: datetime) -> Freeze:
    """Keep the log's rows of a period, whatever its retention says. Raises Refused for an empty period."""
    _open(person, breach)
    rows = AccessRecord.objects.filter(at__gte=since, at__lt=until)
    ends = rows.aggregate(first=Min("sequence"), last=Max("sequence"))
    if ends["first"] is None:
        raise Refused(CLAUSE, "the log has no row of this period", "nobody: give another one")
    last = AccessRecord.objects.get(pk=ends["last"])
    return Freeze.objects.create(
        breach=breach, first=ends["first"], last=last.pk, head=last.hash, chain=chain_state(), by=person
    )


def frozen_from() -> int | None:
    """The first frozen row of the log: no retention of the log may go beyond it while its breach is open."""
    held = Freeze.objects.filter(breach__closed_at=None).order_by("first").first()
    return held.first if held else None


def export(person: Person, held: Freeze) -> bytes:
    """A ZIP of the frozen rows, one JSON object a line, with a manifest.

    Without its "hash" a line, as canonical JSON, is what the hash is the SHA-256 of. Raises Refused: it takes
    the right to read the log, which not all have who keep the register.
    """
    check(person, "log.export")
    rows = "".join(f"{line}\n" for line in _lines(held)).encode()
    heads = SignedHead.objects.filter(sequence__gte=held.first).order_by("pk")
    manifest = {
        "breach": held.breach_id,
        "first": held.first,
        "last": held.last,
        "head": held.head,
        "chain_when_frozen": held.chain,
        "rows_sha256": hashlib.sha256(rows).hexdigest(),
        "exported_at": chain.stamp(clock.now()),
        "exported_by": str(person),
        "signed_heads": [
            {
                "at": chain.stamp(one.at),
                "sequence": one.sequence,
                "hash": one.hash,
                "signature": one.signature,
            }
            for one in heads
        ],
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("access-log.jsonl", _ZIP_TIME), rows)
        archive.writestr(zipfile.ZipInfo("manifest.json", _ZIP_TIME), json.dumps(manifest, indent=2))
    data = packed.getvalue()
    Export.objects.create(freeze=held, sha256=hashlib.sha256(data).hexdigest(), size=len(data), by=person)
    return data


@transaction.atomic
def close(person: Person, pk: int, note: str) -> Breach:
    """Close a breach. Raises Refused while a notice is not sent or nothing was contained."""
    check(person, "breaches.record")
    breach = Breach.objects.select_for_update().get(pk=pk)
    _open(person, breach)
    if left := breach.notices.filter(sent_at=None).count():
        raise Refused(CLAUSE, f"{left} notices are not sent", "nobody: send them")
    if not breach.steps.filter(kind=Step.Kind.CONTAINMENT).exists():
        raise Refused(CLAUSE, "no containment is recorded", "nobody: record it")
    note = said(CLAUSE, "how the breach ended", note)
    breach.closed_by, breach.closed_at, breach.closing_note = person, clock.now(), note
    breach.save(update_fields=["closed_by", "closed_at", "closing_note"])
    return breach


def due() -> QuerySet[Notice]:
    """Notices that are to be sent, the most urgent first."""
    return Notice.objects.filter(sent_at=None).order_by("due_on")


def _open(person: Person, breach: Breach) -> None:
    check(person, "breaches.record")
    if breach.closed_at is not None:
        raise Refused(CLAUSE, "this breach is closed", "nobody: enter another one")


def _within(reads: QuerySet[Read]) -> dict[str, int]:
    pictures = Picture.objects.filter(read__in=reads.values("pk"))
    return {
        "reads": reads.count(),
        "plates": reads.values("key").distinct().count(),
        "pictures": pictures.count(),
        "hits": Hit.objects.filter(read__in=reads.values("pk")).count(),
        "units": reads.values("unit").distinct().count(),
    }


def _seen(scope: Scope, accounts: Sequence[str]) -> dict[str, int]:
    """What the accounts saw in the scope's time, within its plate, unit and area; of hits, their reads.

    What was destroyed since counts apart, whatever its plate and place were: nobody knows them any more.
    """
    period = Q(username__in=accounts, outcome="done")
    if scope.since:
        period &= Q(at__gte=scope.since)
    if scope.until:
        period &= Q(at__lt=scope.until)
    rows = AccessRecord.objects.filter(period)
    ids = {uuid for some in rows.values_list("ids", flat=True).iterator(_CHUNK) for uuid in _uuids(some)}
    inside = Scope(plate=scope.plate, unit=scope.unit, area=scope.area).q()
    found, plates = {"reads": 0, "pictures": 0, "hits": 0}, set[str]()
    of_hits = _reads_of_hits(sorted(ids))
    here = set(of_hits)
    # An auditor's rows name units' own access records, which stay.
    for some in _chunks(sorted(ids)):
        here.update(AccessReceived.objects.filter(pk__in=some).values_list("pk", flat=True))
    for some in _chunks(sorted(ids | set(of_hits.values()))):
        here.update(Read.objects.filter(pk__in=some).values_list("pk", flat=True))
        reads = Read.objects.filter(inside, pk__in=some)
        counts = _within(reads)
        found = {name: found[name] + counts[name] for name in found}
        plates.update(reads.values_list("key", flat=True))
    gone = len(ids - here)
    return {"log_rows": rows.count(), **found, "plates": len(plates), "records_destroyed_since": gone}


def _reads_of_hits(ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """The board and a hit's page name the hit, and show the plate and place of its read."""
    found: dict[UUID, UUID] = {}
    for some in _chunks(ids):
        found |= dict(Hit.objects.filter(pk__in=some).values_list("pk", "read_id"))
    return found


def _chunks(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


def _uuids(values: Sequence[Any]) -> Iterator[UUID]:
    for value in values:
        try:
            yield UUID(str(value))
        except ValueError:
            continue


def _lines(held: Freeze) -> Iterator[str]:
    names = [field.name for field in AccessRecord._meta.local_concrete_fields]
    rows = AccessRecord.objects.filter(sequence__gte=held.first, sequence__lte=held.last)
    for row in rows.order_by("sequence").iterator(_CHUNK):
        body = {name: getattr(row, name) for name in names if name not in ("at", "person")}
        body |= {"at": chain.stamp(row.at), "person": row.person_id}
        yield json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
