"""What the demo's units sent: drawn plates on drawn vehicles, through the intake that takes real messages.

Owns the messages and their pictures. That a message came earlier is said by its `came_at`.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

from PIL import Image, ImageDraw, ImageFont

from hq.records.intake import Intake, Source
from hq.records.messages import Received, read_message
from hq.records.models import Transfer
from mqtt import messages, records, topics
from mqtt.fields import time_text
from plates.draw import PlateDesign, draw_plate

PLACES = {
    "arroyo-1": (34.1140, -118.1560),
    "fairoaks-2": (34.1190, -118.1493),
    "trailer-1": (34.1240, -118.1427),
}
BOX = (350.0, 250.0, 90.0, 45.0)
_CONFIG, _MODEL = "c" * 64, "d" * 64
_SOFTWARE = "platewarden 0.1.0"


class Street:
    """Gathers what units send and has it taken in as one batch."""

    def __init__(self) -> None:
        self._batch: list[Received] = []
        self._stores = {unit: uuid4().hex for unit in (*PLACES, "stranger-9")}
        self._numbers: Counter[str] = Counter()

    def passed(
        self,
        text: str,
        when: datetime,
        *,
        unit: str = "arroyo-1",
        pictures: bool = True,
        deployment: str = "",
        hit: dict[str, Any] | None = None,
    ) -> tuple[UUID, UUID]:
        """A vehicle was read, and matched where `hit` says how; the ids of read and hit."""
        latitude, longitude = PLACES.get(unit, PLACES["arroyo-1"])
        shots = [(kind, size, picture(text, size, kind == "scene")) for kind, size in _SHOTS if pictures]
        read = records.Read(
            read_id=str(uuid4()), revision=1, captured_at=time_text(when), clock=_clock("ntp"),
            camera="lane 1", deployment=deployment,
            position=records.Position(latitude=latitude, longitude=longitude, heading=20.0),
            plate=text, confidence=0.97, char_confidence=(0.99,) * len(text),
            candidates=(records.TextCandidate(text=text, probability=0.97),), flags=(), box=BOX,
            frame_size=_SHOTS[1][1], detection_score=0.9, looks=3, agreeing=3, parked=False,
            pictures=tuple(
                records.PictureRef(
                    kind=records.PictureKind(kind), sha256=hashlib.sha256(data).hexdigest(), size=len(data),
                    width=size[0], height=size[1],
                )
                for kind, size, data in shots
            ),
            model_hashes=(_MODEL,), config_hash=_CONFIG, software=_SOFTWARE, demo=True,
            region="CA", region_confidence=0.98,
        )  # fmt: skip
        self._send(unit, read, when)
        made = self._hit(unit, read, when, hit) if hit is not None else UUID(int=0)
        for ref, (_, _, data) in zip(read.pictures, shots, strict=True):
            header = records.PictureHeader(
                read_id=read.read_id, kind=ref.kind, sha256=ref.sha256, size=ref.size
            )
            self._send(unit, header, when, data)
        return UUID(read.read_id), made

    def status(self, unit: str, *, well: bool, list_version: str, when: datetime) -> None:
        """A heartbeat: of a unit that is well, or that is dark, slow and without the time."""
        said = records.Status(
            state="ready" if well else "degraded",
            faults=() if well else ("camera dark",),
            at=time_text(when),
            clock=_clock("ntp" if well else "none"),
            software=_SOFTWARE,
            config_hash=_CONFIG,
            model_hashes=(_MODEL,),
            queue=0 if well else 340,
            oldest_queued_s=None if well else 9000.0,
            disk_free_bytes=60 if well else 5,
            disk_total_bytes=100,
            list_version=list_version,
            list_age_s=3600.0 if well else 111_600.0,
            camera="ok" if well else "dark",
            demo=True,
        )
        self._batch.append(read_message(topics.up(unit, "status"), messages.encode(said)))

    def lost(self, unit: str, when: datetime) -> None:
        """A unit counts what it could not keep, and three of its numbers never come."""
        loss = records.Loss(kind="frame", count=4, reason="the store was full", since=None, until=None)
        self._send(unit, loss, when)
        self._numbers[unit] += 3

    def garbled(self, unit: str) -> None:
        """A message that follows no schema, for the quarantine."""
        self._batch.append(read_message(topics.up(unit, "read"), b'{"record": {"demo": "cut off'))

    def come(self) -> None:
        """Have everything taken in."""
        intake = Intake()
        try:
            intake.take(self._batch, Source(Transfer.Way.MQTT, "demo"))
        finally:
            intake.close()
        self._batch = []

    def _hit(self, unit: str, read: records.Read, when: datetime, given: dict[str, Any]) -> UUID:
        values: dict[str, Any] = {
            "hit_id": str(uuid4()), "read_id": read.read_id, "read_revision": 1, "at": time_text(when),
            "kind": "exact", "score": 1.0, "entry_plate": read.plate, "entry_state": "CA",
            "alarm_class": "stolen_vehicle", "reason": "Taken from a driveway (demo)",
            "source": "County stolen vehicles", "case_number": "26-4410", "expiry": "2030-01-01",
            "priority": 10, "state_agrees": True, "list_version": "", "list_age_s": 4200.0,
        }  # fmt: skip
        made = records.Hit(**values | given)
        self._send(unit, made, when)
        return UUID(made.hit_id)

    def _send(self, unit: str, record: Any, when: datetime, data: bytes = b"") -> None:
        self._numbers[unit] += 1
        envelope = records.Envelope(unit=unit, store_id=self._stores[unit], sequence=self._numbers[unit])
        topic = topics.up(unit, messages.name_of(record))
        came = read_message(topic, messages.encode(record, envelope, data))
        self._batch.append(replace(came, came_at=when))


def picture(text: str, size: tuple[int, int], scene: bool) -> bytes:
    """A drawn plate as JPEG, alone or on a drawn vehicle."""
    if scene:
        sheet = _vehicle(size).copy()
        x, y, width, _ = map(int, BOX)
        sheet.paste(Image.fromarray(draw_plate(text, _design(), width)), (x, y))
    else:
        sheet = Image.fromarray(draw_plate(text, _design(), size[0]))
    packed = io.BytesIO()
    sheet.save(packed, "JPEG", quality=85)
    return packed.getvalue()


_SHOTS: Sequence[tuple[str, tuple[int, int]]] = (("plate", (320, 160)), ("scene", (640, 384)))


@lru_cache
def _design() -> PlateDesign:
    font = ImageFont.load_default(64)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return PlateDesign(font=font, border=(24, 32, 84), state="DEMO")


@lru_cache
def _vehicle(size: tuple[int, int]) -> Image.Image:
    sheet = Image.new("RGB", size, (34, 38, 44))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, size[1] * 0.7, size[0], size[1]), fill=(58, 60, 64))
    draw.rounded_rectangle((230, 90, 560, 330), 30, fill=(120, 28, 30))
    draw.rounded_rectangle((270, 105, 520, 190), 20, fill=(18, 22, 30))
    return sheet


def _clock(quality: str) -> records.ClockState:
    return records.ClockState(quality=quality, boot_id="b" * 32, boottime=12.5, offset_ms=3.0)
