"""The one way to a picture: looked up, checked against its hash, stamped with who sees it and when.

Owns the stamp (430.7-b) and the headers. Who may see it and its access record are the view's business.
"""

from __future__ import annotations

import hashlib
import io
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpResponse
from PIL import Image, ImageDraw, ImageFont

from hq.people.models import Person
from hq.records.models import Picture

NARROWEST: Final = 420
"""Pixels: a narrower picture is enlarged, so that the stamp can be read."""

MOST_OCTETS: Final = 16 << 20
MOST_PIXELS: Final = 64_000_000

_QUALITY: Final = 90
_FONT: Final = 13


class Unreadable(Exception):
    """The picture cannot be shown; the text says why and holds no plate."""


def octets(picture: Picture) -> bytes:
    """The picture's file, checked against the hash that the unit sent. Raises Unreadable."""
    if picture.missing or not picture.file:
        raise Unreadable("the picture has not come from its unit yet")
    try:
        with picture.file.open("rb") as file:
            data = file.read(MOST_OCTETS + 1)
    except OSError:
        raise Unreadable("the picture's file cannot be read") from None
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        raise Unreadable("the picture's file differs from the hash that its unit sent")
    return bytes(data)


def stamped(data: bytes, person: Person, at: datetime) -> bytes:
    """A JPEG picture with the person's name and the time drawn on it. Raises Unreadable."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise Unreadable("the picture is too large to be shown")
            image = opened.convert("RGB")
    except (OSError, Image.DecompressionBombError, ValueError, SyntaxError):
        raise Unreadable("the picture's file is no whole JPEG picture") from None
    if image.width < NARROWEST:
        times = -(-NARROWEST // image.width)
        image = image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC)
    made = io.BytesIO()
    _draw(image, stamp_of(person, at)).save(made, "JPEG", quality=_QUALITY)
    return made.getvalue()


def stamp_of(person: Person, at: datetime) -> str:
    """What the stamp says."""
    here = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    return f"{person.full_name} ({person.username}) {here.isoformat(sep=' ', timespec='seconds')}"


def response(picture: Picture, person: Person, at: datetime) -> HttpResponse:
    """The stamped picture, for this moment and this person alone. Raises Unreadable."""
    answer = HttpResponse(stamped(octets(picture), person, at), content_type="image/jpeg")
    answer["Cache-Control"] = "no-store, private"
    answer["Content-Disposition"] = 'inline; filename="picture.jpg"'
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    return answer


def _draw(image: Image.Image, text: str) -> Image.Image:
    """A band below the picture and, where it is large enough, faint lines across it."""
    font = ImageFont.load_default(_FONT)
    lines = _wrapped(text, font, image.width - 8)
    band = (_FONT + 5) * len(lines) + 4
    made = Image.new("RGB", (image.width, image.height + band), "black")
    made.paste(image, (0, 0))
    pen = ImageDraw.Draw(made)
    for number, line in enumerate(lines):
        pen.text((4, image.height + 2 + number * (_FONT + 5)), line, fill="white", font=font)
    if image.height >= 200:
        _across(made, image.height, text)
    return made


def _across(made: Image.Image, height: int, text: str) -> None:
    font = ImageFont.load_default(max(_FONT, made.width // 45))
    layer = Image.new("L", (made.width, height), 0)
    pen = ImageDraw.Draw(layer)
    for number, part in enumerate((1, 3)):
        place = (made.width * (number + 1) // 10, height * part // 4)
        pen.text(place, text, fill=70, font=font)
    made.paste(Image.new("RGB", layer.size, "white"), (0, 0), layer)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line]
