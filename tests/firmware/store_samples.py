"""A clock, reads, hits and pictures for tests of the store; the plates are invented."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

from PIL import Image

from firmware.store import Store
from hw.protocols import ClockQuality, Timestamp
from mqtt import outbox
from mqtt.fields import time_text
from mqtt.records import AccessRecord, ClockState, Hit, PictureKind, Position, Read, Receipt, TextCandidate

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HASH = "a" * 64
BOOT = "5" * 32


class SetClock:
    """A clock that stands where the test puts it. `quality` NONE is a clock that is not set yet."""

    def __init__(self, quality: ClockQuality = ClockQuality.NTP, wall: datetime = NOON) -> None:
        self.quality = quality
        self.boottime = 100.0
        self.boot_id = BOOT
        self._wall = wall

    def advance(self, step: timedelta) -> None:
        self.boottime += step.total_seconds()
        self._wall += step

    def now(self) -> Timestamp:
        wall = None if self.quality is ClockQuality.NONE else self._wall
        return Timestamp(self.boot_id, self.boottime, wall, self.quality, None)

    def wall(self, boot_id: str, boottime: float) -> tuple[datetime, ClockQuality] | None:
        if self.quality is ClockQuality.NONE or boot_id != self.boot_id:
            return None
        return self._wall - timedelta(seconds=self.boottime - boottime), self.quality


def jpeg(shade: int, width: int = 8) -> bytes:
    """A small picture; two shades have two hashes."""
    buffer = BytesIO()
    Image.new("RGB", (width, 4)).save(buffer, "JPEG", comment=f"shade {shade}")
    return buffer.getvalue()


def pair(shade: int = 0) -> dict[PictureKind, bytes]:
    """A plate and a scene picture."""
    return {PictureKind.PLATE: jpeg(shade, 8), PictureKind.SCENE: jpeg(shade, 16)}


def read(clock: SetClock, plate: str = "TEST123", read_id: str = "", **changes: object) -> Read:
    """A read of this moment."""
    now = clock.now()
    whole = Read(
        read_id=read_id or str(uuid.uuid4()),
        revision=1,
        captured_at=None if now.wall is None else time_text(now.wall),
        clock=ClockState(quality=now.quality.value, boot_id=now.boot_id, boottime=now.boottime),
        camera="lane 1",
        deployment="",
        position=Position(latitude=34.1, longitude=-118.2),
        plate=plate,
        confidence=0.9,
        char_confidence=tuple(0.95 for _ in plate),
        candidates=(TextCandidate(text=plate, probability=0.9),),
        flags=("edge",),
        box=(1.0, 2.5, 30.0, 10.0),
        frame_size=(1280, 720),
        detection_score=0.8,
        looks=3,
        agreeing=2,
        parked=False,
        pictures=(),
        model_hashes=(HASH, HASH),
        config_hash=HASH,
        software="0.1.0",
        demo=False,
        region="CA",
        region_confidence=0.96,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def hit(of: Read, **changes: object) -> Hit:
    """An exact hit of a read."""
    whole = Hit(
        hit_id=str(uuid.uuid4()),
        read_id=of.read_id,
        read_revision=of.revision,
        at=of.captured_at,
        kind="exact",
        score=1.0,
        entry_plate=of.plate,
        entry_state="CA",
        alarm_class="stolen_vehicle",
        reason="test",
        source="manual",
        case_number="T-1",
        expiry="2026-12-31",
        priority=50,
        state_agrees=None,
        list_version="1",
        list_age_s=60.0,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def access(clock: SetClock, **changes: object) -> AccessRecord:
    """Somebody saw one read."""
    now = clock.now()
    whole = AccessRecord(
        access_id=str(uuid.uuid4()),
        at=None if now.wall is None else time_text(now.wall),
        clock=ClockState(quality=now.quality.value, boot_id=now.boot_id, boottime=now.boottime),
        person="A. Tester",
        title="Officer",
        agency="Test PD",
        action="reads list",
        query="",
        purpose="audit",
        case_number="T-1",
        results=0,
        ids=(),
        outcome="shown",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def receipt(store: Store, clock: SetClock, sequence: int | None = None) -> None:
    """HQ has everything up to `sequence`, everything there is by default."""
    db = outbox.open_database(store.directory / "platewarden.sqlite")
    last = outbox.last_sequence(db) if sequence is None else sequence
    at = time_text(clock.now().wall or NOON)
    with db:
        outbox.receipt(db, Receipt(store_id=store.store_id, sequence=last, at=at), at)
    db.close()


def rows(store: Store) -> list[outbox.Row]:
    """The whole outbox."""
    db = outbox.open_database(store.directory / "platewarden.sqlite")
    found = outbox.pending(db, 0, 1_000_000)
    db.close()
    return found


def files(store: Store) -> Mapping[str, bytes]:
    """Every file below pictures/, by its path relative to the store's directory."""
    return {
        str(path.relative_to(store.directory)): path.read_bytes()
        for path in (store.directory / "pictures").rglob("*")
        if path.is_file()
    }
