"""Records for tests; the plates are invented."""

from __future__ import annotations

import hashlib
import uuid

from mqtt.records import (
    AccessRecord,
    ClockState,
    Hit,
    Loss,
    PictureHeader,
    PictureKind,
    PictureRef,
    Read,
    TextCandidate,
)

AT = "2026-01-31T23:59:59.07+00:00"
CLOCK = ClockState(quality="ntp", boot_id="b" * 32, boottime=12.5, offset_ms=3.0)
HASH = "a" * 64


def new_id() -> str:
    return str(uuid.uuid4())


def read(
    read_id: str | None = None,
    *,
    plate: str = "7TST123",
    revision: int = 1,
    demo: bool = True,
    pictures: tuple[PictureRef, ...] = (),
) -> Read:
    return Read(
        read_id=read_id or new_id(), revision=revision, captured_at=AT, clock=CLOCK, camera="lane 1",
        deployment="", position=None, plate=plate, confidence=0.97,
        char_confidence=tuple(0.99 for _ in plate), candidates=(TextCandidate(text=plate, probability=0.97),),
        flags=(), box=(10.0, 20.0, 90.5, 30.0), frame_size=(1280, 720), detection_score=0.9, looks=5,
        agreeing=4, parked=False, pictures=pictures, model_hashes=(HASH, HASH), config_hash=HASH,
        software="0.1.0", demo=demo, region="CA", region_confidence=0.97,
    )  # fmt: skip


def hit(read_id: str, plate: str = "7TST123") -> Hit:
    return Hit(
        hit_id=new_id(), read_id=read_id, read_revision=1, at=AT, kind="exact", score=1.0,
        entry_plate=plate, entry_state="CA", alarm_class="stolen_vehicle", reason="test", source="manual",
        case_number="T-1", expiry="2026-12-31", priority=50, state_agrees=None, list_version="1",
        list_age_s=60.0,
    )  # fmt: skip


def loss() -> Loss:
    return Loss(kind="frame", count=3, reason="test", since=AT, until=AT)


def access() -> AccessRecord:
    return AccessRecord(
        access_id=new_id(), at=AT, clock=CLOCK, person="A. Tester", title="Officer", agency="Test PD",
        action="reads list", query="*", purpose="audit", case_number="A-1", results=2,
        ids=(new_id(), new_id()), outcome="shown",
    )  # fmt: skip


def picture(data: bytes, read_id: str) -> PictureHeader:
    return PictureHeader(
        read_id=read_id, kind=PictureKind.PLATE, sha256=hashlib.sha256(data).hexdigest(), size=len(data)
    )
