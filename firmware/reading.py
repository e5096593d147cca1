"""What a passage's event becomes on record: a Read and its JPEG pictures.

Owns the translation from looks to records. Who decides that there is a read is `firmware.passage`; where
it is kept is `firmware.store`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO

from PIL import Image

from detector.types import Flag
from firmware.blur import blurred
from firmware.config import Settings
from firmware.passage import Event
from firmware.track import Box
from hw.protocols import Fix, Pixels, Timestamp
from mqtt.fields import time_text
from mqtt.records import ClockState, PictureKind, Position, Read, TextCandidate

logger = logging.getLogger(__name__)

PLATE_MARGIN = 0.15
"""What the plate picture shows around the box, in plate widths, so that a person sees its edges."""

VEHICLE_ABOVE, VEHICLE_BELOW, VEHICLE_ASIDE = 4.5, 1.5, 3.0
"""How far a vehicle reaches from its plate's centre, in plate widths: a US plate is 0.30 m wide, a car
1.8 m wide and 1.5 m high, a van more, and the plate may be at one side."""


class Scribe:
    """Writes down what the passages say. One thread uses it."""

    def __init__(
        self,
        settings: Settings,
        *,
        model_hashes: tuple[str, ...],
        software: str,
        min_confidence: float,
        fix: Callable[[], Fix | None],
    ) -> None:
        """
        Args:
            settings: the effective configuration.
            model_hashes: SHA-256 of the models, in the order of their use.
            software: version of Platewarden.
            min_confidence: below it (0..1) a read is flagged.
            fix: the newest position of the GPS, None where there is none.
        """
        self._settings = settings
        self._model_hashes = model_hashes
        self._software = software
        self._min_confidence = min_confidence
        self._fix = fix

    def read(self, event: Event) -> Read:
        """The record of an event; the store fills in the pictures."""
        winner, vote = event.winner, event.vote
        flags = set(event.flags) - {Flag.LOW}
        if vote.confidence < self._min_confidence:
            flags.add(Flag.LOW)
        time = winner.frame.time
        return Read(
            read_id=event.read_id,
            revision=event.revision,
            captured_at=None if time.wall is None else time_text(time.wall),
            clock=clock_state(time),
            camera=winner.frame.camera,
            deployment=self._settings.unit.deployment,
            position=position(self._settings, self._fix()),
            plate=vote.text,
            confidence=vote.confidence,
            char_confidence=vote.char_confidence,
            candidates=tuple(
                TextCandidate(text=one.text, probability=one.probability) for one in vote.candidates
            ),
            flags=tuple(sorted(flag.value for flag in flags)),
            box=winner.detection.box,
            frame_size=winner.frame_size,
            detection_score=winner.detection.score,
            looks=vote.looks,
            agreeing=vote.agreeing,
            parked=event.parked,
            pictures=(),
            model_hashes=self._model_hashes,
            config_hash=self._settings.config_hash,
            software=self._software,
            demo=self._settings.unit.demo,
            region=vote.region,
            region_confidence=vote.region_confidence,
        )

    def pictures(self, event: Event) -> dict[PictureKind, bytes]:
        """The JPEG pictures of the winning look; none where those of an earlier revision stand.

        Where the scene cannot be blurred as set there is none, and the log says so.
        """
        look = event.winner
        if not look.has_pixels:
            return {}
        image, box = look.frame.image, look.detection.box
        plate = _around(image, box, PLATE_MARGIN, PLATE_MARGIN, PLATE_MARGIN)
        pictures = {PictureKind.PLATE: self._jpeg(plate)}
        store = self._settings.store
        if store.scene == "none":
            return pictures
        if store.blur != "none":
            try:
                image = blurred(image, look.detection.corners, cabin=store.blur == "cabin")
            except (ArithmeticError, MemoryError, ValueError) as error:
                # The read and its alarm are worth more than the scene, which must not be kept as it is.
                why = str(error) or type(error).__name__
                logger.error("read %s is kept without its scene, whose blur failed: %s", event.read_id, why)
                return pictures
        if store.scene == "vehicle":
            half = 0.5  # from the plate's edge, where the reach is from its centre
            image = _around(image, box, VEHICLE_ABOVE, VEHICLE_BELOW, VEHICLE_ASIDE - half)
        pictures[PictureKind.SCENE] = self._jpeg(image)
        return pictures

    def _jpeg(self, pixels: Pixels) -> bytes:
        out = BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=self._settings.store.jpeg_quality)
        return out.getvalue()


def _around(image: Pixels, box: Box, above: float, below: float, aside: float) -> Pixels:
    """The part of the frame that reaches so many plate widths beyond the plate's box."""
    x, y, w, h = _whole(box)
    height, width = image.shape[:2]
    top, bottom = max(y - round(above * w), 0), min(y + h + round(below * w), height)
    left, right = max(x - round(aside * w), 0), min(x + w + round(aside * w), width)
    return image[top : max(bottom, top + 1), left : max(right, left + 1)]


def _whole(box: Box) -> tuple[int, int, int, int]:
    x, y, w, h = box
    return int(x), int(y), max(round(w), 1), max(round(h), 1)


def clock_state(time: Timestamp) -> ClockState:
    """By which clock a moment was taken, as a record tells it."""
    return ClockState(
        quality=time.quality.value, boot_id=time.boot_id, boottime=time.boottime, offset_ms=time.offset_ms
    )


def position(settings: Settings, fix: Fix | None) -> Position | None:
    """Where the unit stands: by GPS, else as configured."""
    if fix is None:
        return settings.unit.position
    return Position(latitude=fix.latitude, longitude=fix.longitude, heading=fix.heading)
