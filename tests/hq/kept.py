"""Reads, schedules and proposals for the tests of retention, evidence and releases."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from hq.people.models import Person, Role
from hq.records import trigrams
from hq.records.keeping import purge_after
from hq.records.keys import lookalike_key, search_key
from hq.records.models import Hit, Picture, Read, Revision, Unit
from hq.retention import holds, proposals, schedules
from hq.retention.models import Authority, Hold, Proposal, Schedule
from hq.retention.scope import Scope
from hq.site import clock
from hq.units.models import Deployment

_numbers = itertools.count(1)


def unit(name: str = "gate-1", category: str = "alpr") -> Unit:
    return Unit.objects.get_or_create(unit_id=name, defaults={"state": "enrolled", "category": category})[0]


def deployment(
    code: str = "D-7", incident: str = "26-100", on: Sequence[Unit] = (), **fields: Any
) -> Deployment:
    """A deployment for an incident, not started."""
    by, _ = Person.objects.get_or_create(
        username="opener", defaults={"full_name": "Opener", "title": "Sergeant", "agency": "Test PD"}
    )
    values = {"kind": "shooting", "area": "Test Street", "requested_by": "Sergeant", "opened_by": by}
    until = clock.now() + timedelta(days=1)
    made = Deployment.objects.create(code=code, incident=incident, until=until, **values | fields)
    made.units.set(on)
    return made


def read(
    text: str = "7ABC123",
    *,
    days: float = 0,
    captured_days: float | None = None,
    on: Unit | None = None,
    pictures: Sequence[str] = ("plate", "scene"),
    hit: bool = False,
    at: datetime | None = None,
    **fields: Any,
) -> Read:
    """A read that came `days` ago, with picture files; captured then too unless said otherwise."""
    now = at or clock.now()
    received = now - timedelta(days=days)
    captured = now - timedelta(days=days if captured_days is None else captured_days)
    source = on or unit()
    number = next(_numbers)
    key = search_key(text)
    row = Read.objects.create(
        **{
            "id": uuid4(),
            "unit": source,
            "store_id": "00000000-0000-4000-8000-000000000001",
            "sequence": number,
            "revision": 1,
            "captured_at": captured,
            "received_at": received,
            "at": captured,
            "category": source.category,
            "purge_after": purge_after(captured, received),
            "text": text,
            "key": key,
            "lookalike": lookalike_key(key),
            "confidence": 0.97,
            "char_confidence": [0.99] * len(text),
            "candidates": [[text, 0.97]],
            "flags": [],
            "camera": "sim",
            "clock": {"quality": "ntp", "offset_s": 0.0},
            "box": [1, 2, 3, 4],
            "frame_size": [640, 384],
            "detection_score": 0.9,
            "looks": 3,
            "agreeing": 3,
            "parked": False,
            "model_hashes": [],
            "config_hash": "",
            "software": "platewarden 0.1.0",
            "demo": False,
            "digest": "",
            **fields,
        }
    )
    trigrams.add([row])
    Revision.objects.create(
        kind="read", record=row.id, revision=0, received_at=received, digest="", body={"plate": text}
    )
    for kind in pictures:
        data = f"{kind} {row.id}".encode()
        sha256 = hashlib.sha256(data).hexdigest()
        name = default_storage.save(f"reads/2024/01/01/0000/{row.id}-{kind}.jpg", ContentFile(data))
        Picture.objects.create(
            read=row, kind=kind, sha256=sha256, file=name, size=len(data), missing=False, received_at=received
        )
    if hit:
        a_hit(row)
    return row


def a_hit(row: Read, pk: UUID | None = None) -> Hit:
    return Hit.objects.create(
        id=pk or uuid4(),
        read=row,
        unit=row.unit,
        store_id=row.store_id,
        sequence=next(_numbers),
        read_revision=1,
        hit_at=row.captured_at,
        received_at=row.received_at,
        kind="exact",
        score=1.0,
        status="UNVERIFIED",
        withdrawn=False,
        entry_plate=row.key,
        entry_state="CA",
        alarm_class="stolen_vehicle",
        reason="stolen",
        source="manual",
        case_number="26-1",
        expiry="2030-01-01",
        priority=1,
        state_agrees=True,
        list_version="svs-4",
        list_age_s=60.0,
        digest="",
    )


@dataclass
class Office:
    """One person of each role that signs something, and the papers."""

    people: Callable[..., Person]
    made: dict[str, Person] = field(default_factory=dict)

    def __getattr__(self, role: str) -> Person:
        if role not in Role.values:
            raise AttributeError(role)
        if role not in self.made:
            self.made[role] = self.people(role)
        return self.made[role]

    def authority(self, kind: str = "destruction", **fields: Any) -> Authority:
        values = {
            "kind": kind,
            "title": "Standing destruction authority",
            "council_resolution": "Resolution 7777",
            "resolution_on": date(2025, 1, 15),
            "attorney": "T. Agency-Attorney",
            "consent_on": date(2025, 1, 10),
            "signed_by": "the Mayor",
            "valid_from": clock.today() - timedelta(days=10),
            "valid_until": clock.today() + timedelta(days=300),
            **fields,
        }
        return schedules.store_authority(
            self.administrator, Authority(**values), ContentFile(b"%PDF- signed", "resolution.pdf")
        )

    def schedule(self, days: int = 365, **fields: Any) -> Schedule:
        """A schedule in force."""
        values = {"category": "alpr", "basis": "Records schedule 12.3", "reason": "first version", **fields}
        made = schedules.propose(self.administrator, days=days, **values)
        schedules.approve(self.commander, made.pk)
        return schedules.cosign(self.custodian, made.pk)

    def signed(self, schedule: Schedule | None = None) -> Proposal:
        """A co-signed proposal to destroy what is due."""
        made = proposals.propose(self.administrator, schedule or self.schedule(), self.authority())
        proposals.approve(self.commander, made.pk)
        return proposals.cosign(self.custodian, made.pk)

    def place(self, scope: Scope, **fields: Any) -> Hold:
        """A hold that the administrator places for a trial."""
        values = {
            "kind": "criminal_evidence",
            "case": "26-1234",
            "requester": "D. Attorney, County DA",
            "reason": "evidence in a trial",
            "review_on": clock.today() + timedelta(days=90),
            **fields,
        }
        return holds.place(self.administrator, scope=scope, **values)


def files() -> set[str]:
    """The picture files in the storage, and whatever a purge has put aside."""
    found: set[str] = set()
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            folders, names = default_storage.listdir(folder or ".")
        except FileNotFoundError:
            continue
        todo += [f"{folder}/{name}".lstrip("/") for name in folders]
        found |= {f"{folder}/{name}" for name in names if folder.startswith(("reads", ".purge"))}
    return found


def ids(reads: Sequence[Read]) -> list[UUID]:
    return sorted(read.id for read in reads)
