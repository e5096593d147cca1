"""Hits with their reads and pictures for the tests of `hq.hits`; the plates are invented."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from hq.hits import review
from hq.hits.models import Visual
from hq.hits.review import Review
from hq.people.models import Person
from hq.records.models import Hit, Picture
from hq.site import clock
from tests.hq import kept

PLATE = "7TST123"


def jpeg(width: int = 64, height: int = 32) -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", (width, height), (40, 90, 160)).save(packed, "JPEG")
    return packed.getvalue()


def a_hit(text: str = PLATE, *, age_s: float = 5.0, pictures: bool = True, **fields: Any) -> Hit:
    """A hit that came `age_s` ago with its read; `fields` are the hit's."""
    row = kept.read(text, days=age_s / 86400, pictures=(), lat=34.11, lon=-118.15, heading=90.0)
    if pictures:
        for kind, size in (("plate", (64, 32)), ("scene", (640, 384))):
            data = jpeg(*size)
            Picture.objects.create(
                read=row,
                kind=kind,
                sha256=hashlib.sha256(data).hexdigest(),
                file=default_storage.save(f"reads/{row.id}-{kind}.jpg", ContentFile(data)),
                size=len(data),
                width=size[0],
                height=size[1],
                missing=False,
                received_at=row.received_at,
            )
    hit = kept.a_hit(row)
    for name, value in fields.items():
        setattr(hit, name, value)
    hit.save()
    return hit


def reviewed(hit: Hit) -> Review:
    """The hit as it stands now."""
    (one,) = review.of([Hit.objects.get(pk=hit.pk)])
    return one


def looked(hit: Hit, by: Person, plate: str = "agrees", **fields: str) -> Visual:
    """Step 1."""
    given = {"read_as": "", "state": "agrees", "vehicle": "not_listed", "seen": "", "note": ""} | fields
    return review.look(reviewed(hit), by, plate=plate, **given)


def answered(hit: Hit, by: Person, result: str = "confirmed", reason: str = "") -> None:
    """Step 2."""
    review.answer(
        reviewed(hit), by, result=result, operator="Dispatch 4", answered_at=clock.now(), reason=reason
    )
