"""Records of `mqtt.records` as rows of HQ's database and back.

Owns which column holds which field. Nothing is lost on the way: a record made of its row has the digest that
the row holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from hq.records import keys, models
from hq.records.keeping import purge_after
from mqtt.fields import time_text, time_value
from mqtt.records import (
    AccessRecord,
    ClockState,
    Envelope,
    Hit,
    Loss,
    PictureKind,
    PictureRef,
    Position,
    Read,
    Status,
    TextCandidate,
)

_READ_AS_IS = (
    "revision", "confidence", "camera", "deployment", "detection_score", "looks", "agreeing", "parked",
    "config_hash", "software", "demo", "region", "region_confidence",
)  # fmt: skip
_HIT_AS_IS = (
    "read_revision", "kind", "score", "status", "withdrawn", "entry_plate", "entry_state", "alarm_class",
    "reason", "source", "case_number", "expiry", "priority", "state_agrees", "list_version", "list_age_s",
)  # fmt: skip
_ACCESS_AS_IS = (
    "person", "title", "agency", "action", "query", "purpose", "case_number", "results", "outcome",
)  # fmt: skip


def digest_of(record: object) -> str:
    """SHA-256 of a record as `mqtt.messages.encode_record` writes it, in hexadecimal."""
    # The same bytes without a copy of all values first, which would be a sixth of the intake's work.
    text = json.dumps(record, default=_fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def earlier_digest_of(record: object) -> str:
    """The digest that a read had before reads told a state, where it tells none; `digest_of` else.

    A unit may send again what came to an HQ that did not know the fields.
    """
    if not isinstance(record, Read) or record.region or record.region_confidence:
        return digest_of(record)
    body = {name: value for name, value in _fields(record).items() if not name.startswith("region")}
    return digest_of(body)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def moment(text: str | None) -> datetime | None:
    """A record's time. Raises ValueError for one that no calendar has, such as a leap second."""
    return None if text is None else time_value(text)


def read_row(record: Read, envelope: Envelope, category: str, received_at: datetime) -> models.Read:
    """The row of a read. Raises ValueError for a time that no calendar has."""
    captured_at = moment(record.captured_at)
    key = keys.search_key(record.plate)
    position = record.position
    return models.Read(
        id=UUID(record.read_id),
        unit_id=envelope.unit,
        store_id=envelope.store_id,
        sequence=envelope.sequence,
        captured_at=captured_at,
        received_at=received_at,
        at=captured_at or received_at,
        category=category,
        purge_after=purge_after(captured_at, received_at),
        text=record.plate,
        key=key,
        lookalike=keys.lookalike_key(key),
        char_confidence=record.char_confidence,
        candidates=[[candidate.text, candidate.probability] for candidate in record.candidates],
        flags=record.flags,
        lat=position.latitude if position else None,
        lon=position.longitude if position else None,
        heading=position.heading if position else None,
        clock=asdict(record.clock),
        box=record.box,
        frame_size=record.frame_size,
        model_hashes=record.model_hashes,
        digest=digest_of(record),
        **{name: getattr(record, name) for name in _READ_AS_IS},
    )


def read_record(row: models.Read, pictures: Iterable[models.Picture]) -> Read:
    """The record that a row was made of; of `pictures` those count that the newest revision named.

    The id is written with dashes, which a unit need not do.
    """
    position = None
    if row.lat is not None and row.lon is not None:
        position = Position(latitude=row.lat, longitude=row.lon, heading=row.heading)
    refs = [
        PictureRef(
            kind=PictureKind(picture.kind),
            sha256=picture.sha256,
            size=picture.size,
            width=picture.width,
            height=picture.height,
        )
        for picture in pictures
        if picture.current
    ]
    order = list(PictureKind)
    return Read(
        read_id=str(row.id),
        captured_at=time_text(row.captured_at) if row.captured_at else None,
        clock=_clock(row.clock),
        position=position,
        plate=row.text,
        char_confidence=tuple(map(float, row.char_confidence)),
        candidates=tuple(
            TextCandidate(text=text, probability=float(share)) for text, share in row.candidates
        ),
        flags=tuple(row.flags),
        box=tuple(map(float, row.box)),  # type: ignore[arg-type]
        frame_size=tuple(row.frame_size),
        pictures=tuple(sorted(refs, key=lambda ref: order.index(ref.kind))),
        model_hashes=tuple(row.model_hashes),
        **{name: getattr(row, name) for name in _READ_AS_IS},
    )


def _clock(held: dict[str, Any]) -> ClockState:
    # PostgreSQL gives a float back as a whole number where it is large.
    floats = {
        name: float(held[name]) for name in ("boottime", "offset_ms") if isinstance(held.get(name), int)
    }
    return ClockState(**held | floats)


def hit_row(record: Hit, envelope: Envelope, received_at: datetime) -> models.Hit:
    """The row of a hit. Raises ValueError for a time that no calendar has."""
    return models.Hit(
        id=UUID(record.hit_id),
        read_id=UUID(record.read_id),
        unit_id=envelope.unit,
        store_id=envelope.store_id,
        sequence=envelope.sequence,
        hit_at=moment(record.at),
        received_at=received_at,
        digest=digest_of(record),
        **{name: getattr(record, name) for name in _HIT_AS_IS},
    )


def hit_record(row: models.Hit) -> Hit:
    """The record that a row was made of, its ids with dashes."""
    return Hit(
        hit_id=str(row.id),
        read_id=str(row.read_id),
        at=time_text(row.hit_at) if row.hit_at else None,
        **{name: getattr(row, name) for name in _HIT_AS_IS},
    )


def loss_row(record: Loss, envelope: Envelope, received_at: datetime) -> models.Loss:
    """The row of a loss. Raises ValueError for a time that no calendar has."""
    return models.Loss(
        unit_id=envelope.unit,
        store_id=envelope.store_id,
        sequence=envelope.sequence,
        kind=record.kind,
        count=record.count,
        reason=record.reason,
        since=moment(record.since),
        until=moment(record.until),
        read_id=UUID(record.read_id) if record.read_id else None,
        digest=digest_of(record),
        received_at=received_at,
    )


def access_row(record: AccessRecord, envelope: Envelope, received_at: datetime) -> models.AccessReceived:
    """The row of an access record. Raises ValueError for a time that no calendar has."""
    return models.AccessReceived(
        id=UUID(record.access_id),
        unit_id=envelope.unit,
        store_id=envelope.store_id,
        sequence=envelope.sequence,
        accessed_at=moment(record.at),
        received_at=received_at,
        clock=asdict(record.clock),
        ids=record.ids,
        digest=digest_of(record),
        **{name: getattr(record, name) for name in _ACCESS_AS_IS},
    )


def status_row(record: Status, unit: str, received_at: datetime) -> models.UnitStatus:
    """The row of a heartbeat. Raises ValueError for a time that no calendar has."""
    body: dict[str, Any] = asdict(record)
    return models.UnitStatus(
        unit_id=unit,
        received_at=received_at,
        state=record.state,
        status_at=moment(record.at),
        software=record.software,
        config_hash=record.config_hash,
        model_hashes=record.model_hashes,
        queue=record.queue,
        list_version=record.list_version,
        list_age_s=record.list_age_s,
        record=body,
    )
