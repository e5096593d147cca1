"""What tests of HQ's intake share: messages as units send them, and what HQ holds afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hq.records.messages import Received, read_message
from mqtt import messages, topics
from mqtt.records import Envelope, PictureHeader, PictureKind, PictureRef, Read
from tests.mqtt import samples

UNIT = "pole-7"
STORE = "5" * 32


def payload_of(
    record: object, sequence: int = 0, data: bytes = b"", unit: str = UNIT, store: str = STORE
) -> bytes:
    """The payload of a record under a number, or of one that has none."""
    envelope = Envelope(unit=unit, store_id=store, sequence=sequence) if sequence else None
    return messages.encode(record, envelope, data)  # type: ignore[arg-type]


def received(
    record: object, sequence: int = 0, data: bytes = b"", unit: str = UNIT, store: str = STORE
) -> Received:
    """A message as the subscriber hands it to the intake."""
    name = messages.name_of(record)  # type: ignore[arg-type]
    return read_message(topics.up(unit, name), payload_of(record, sequence, data, unit, store))


def jpeg(number: int, size: int = 4000) -> bytes:
    """Bytes that stand for a picture; a number has its own."""
    return hashlib.sha256(b"%d" % number).digest() * (size // 32)


def read_with_picture(number: int, **fields: object) -> tuple[Read, PictureHeader, bytes]:
    """A read, its plate picture's header and bytes."""
    data = jpeg(number)
    ref = PictureRef(
        kind=PictureKind.PLATE, sha256=hashlib.sha256(data).hexdigest(), size=len(data), width=90, height=30
    )
    read = samples.read(pictures=(ref,), **fields)  # type: ignore[arg-type]
    return read, samples.picture(data, read.read_id), data


def files_below(folder: Path) -> Sequence[Path]:
    """Every file of a storage."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
