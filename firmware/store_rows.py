"""Records as rows of the unit's database and back.

Owns which column holds which field. Tuples are JSON text; everything else has a column of its own type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mqtt.records import (
    AccessRecord,
    ClockState,
    Hit,
    PictureKind,
    PictureRef,
    Position,
    Read,
    TextCandidate,
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """One picture file of a read.

    Attributes:
        read_id: the read.
        path: the file, relative to the store's directory.
        ref: what the read says of it.
    """

    read_id: str
    path: str
    ref: PictureRef


def read_row(read: Read) -> dict[str, Any]:
    """The columns of table `reads`, without `purging`; pictures have rows of their own."""
    position = read.position
    return {
        "read_id": read.read_id,
        "revision": read.revision,
        "captured_at": read.captured_at,
        **_clock_columns(read.clock),
        "camera": read.camera,
        "deployment": read.deployment,
        "latitude": position and position.latitude,
        "longitude": position and position.longitude,
        "heading": position and position.heading,
        "plate": read.plate,
        "confidence": read.confidence,
        "char_confidence": json.dumps(read.char_confidence),
        "candidates": json.dumps([[c.text, c.probability] for c in read.candidates]),
        "flags": json.dumps(read.flags),
        "box": json.dumps(read.box),
        "frame_width": read.frame_size[0],
        "frame_height": read.frame_size[1],
        "detection_score": read.detection_score,
        "looks": read.looks,
        "agreeing": read.agreeing,
        "parked": read.parked,
        "locator_sha256": read.model_hashes[0],
        "corners_sha256": read.model_hashes[1] if len(read.model_hashes) == 3 else None,
        "ocr_sha256": read.model_hashes[-1],
        "config_hash": read.config_hash,
        "software": read.software,
        "demo": read.demo,
        "region": read.region,
        "region_confidence": read.region_confidence,
    }


def row_read(row: Row, pictures: Iterable[PictureRef]) -> Read:
    """A Read from its row and its current pictures, which are put in the order plate, scene."""
    position = None
    if row["latitude"] is not None:
        position = Position(latitude=row["latitude"], longitude=row["longitude"], heading=row["heading"])
    x, y, width, height = json.loads(row["box"])
    return Read(
        read_id=row["read_id"],
        revision=row["revision"],
        captured_at=row["captured_at"],
        clock=_clock(row),
        camera=row["camera"],
        deployment=row["deployment"],
        position=position,
        plate=row["plate"],
        confidence=row["confidence"],
        char_confidence=tuple(json.loads(row["char_confidence"])),
        candidates=tuple(
            TextCandidate(text=text, probability=probability)
            for text, probability in json.loads(row["candidates"])
        ),
        flags=tuple(json.loads(row["flags"])),
        box=(x, y, width, height),
        frame_size=(row["frame_width"], row["frame_height"]),
        detection_score=row["detection_score"],
        looks=row["looks"],
        agreeing=row["agreeing"],
        parked=bool(row["parked"]),
        pictures=in_order(pictures),
        model_hashes=tuple(
            row[column]
            for column in ("locator_sha256", "corners_sha256", "ocr_sha256")
            if row[column] is not None
        ),
        config_hash=row["config_hash"],
        software=row["software"],
        demo=bool(row["demo"]),
        region=row["region"],
        region_confidence=row["region_confidence"],
    )


def in_order(pictures: Iterable[PictureRef]) -> tuple[PictureRef, ...]:
    """Plate first, then scene."""
    order = list(PictureKind)
    return tuple(sorted(pictures, key=lambda ref: order.index(ref.kind)))


def hit_row(hit: Hit) -> dict[str, Any]:
    """The columns of table `hits`: the fields of a Hit under their own names."""
    return asdict(hit)


def row_hit(row: Row) -> Hit:
    """A Hit from its row."""
    values = {field.name: row[field.name] for field in fields(Hit)}
    agrees = values["state_agrees"]
    values["state_agrees"] = None if agrees is None else bool(agrees)
    values["withdrawn"] = bool(values["withdrawn"])
    return Hit(**values)


def picture_row(picture: StoredPicture) -> dict[str, Any]:
    """The columns of table `pictures` for a picture that its read now has."""
    return {
        "path": picture.path,
        "read_id": picture.read_id,
        **asdict(picture.ref),
        "current": True,
    }


def row_picture(row: Row) -> StoredPicture:
    """A StoredPicture from its row."""
    ref = PictureRef(
        kind=PictureKind(row["kind"]),
        sha256=row["sha256"],
        size=row["size"],
        width=row["width"],
        height=row["height"],
    )
    return StoredPicture(row["read_id"], row["path"], ref)


def access_row(record: AccessRecord) -> dict[str, Any]:
    """The columns of table `access`."""
    row = asdict(record)
    del row["clock"]
    return {**row, **_clock_columns(record.clock), "ids": json.dumps(record.ids)}


def row_access(row: Row) -> AccessRecord:
    """An AccessRecord from its row."""
    names = {field.name for field in fields(AccessRecord)} - {"clock", "ids"}
    values = {name: row[name] for name in names}
    return AccessRecord(**values, clock=_clock(row), ids=tuple(json.loads(row["ids"])))


def _clock_columns(clock: ClockState) -> dict[str, Any]:
    return {
        "clock_quality": clock.quality,
        "boot_id": clock.boot_id,
        "boottime": clock.boottime,
        "clock_offset_ms": clock.offset_ms,
    }


def _clock(row: Row) -> ClockState:
    return ClockState(
        quality=row["clock_quality"],
        boot_id=row["boot_id"],
        boottime=row["boottime"],
        offset_ms=row["clock_offset_ms"],
    )
