"""Screens that go on showing the live board while their person's session is locked (CJIS AC-11).

AC-11 exempts a screen of dispatch in a physically secure place, one in a criminal-justice vehicle, and one
that only receives. Owns which screen is one: its browser holds a key whose hash is in the row, and the row is
approved and in its dates. What such a screen may show says `page(kiosk=True)`; `hq.people.sessions` lets
through nothing else of a locked session. It lifts no lock: whoever wants to act shows who they are. What the
board itself asks for keeps the network session in use (SC-10), not the person.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, time, timedelta
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from hq.people.models import Kiosk, Person
from hq.site import clock

COOKIE: Final = "hq_kiosk"
SHIFT: Final = timedelta(hours=12)
"""After so long without its person a screen shows nothing: what it shows is logged under their name."""
LONGEST: Final = timedelta(days=366)


def of(request: HttpRequest) -> Kiosk | None:
    """The kiosk that the asking screen is, if it is one now."""
    key = request.COOKIES.get(COOKIE, "")
    held = Kiosk.objects.filter(key_hash=_hash(key)).first() if key else None
    return held if held is not None and held.live() else None


def place(kiosk: Kiosk, by: Person, response: HttpResponseBase) -> None:
    """Make the screen that gets this response the kiosk; one that was it before is none any more."""
    key = secrets.token_urlsafe(32)
    kiosk.key_hash, kiosk.placed_by, kiosk.placed_at = _hash(key), by, clock.now()
    kiosk.save(update_fields=["key_hash", "placed_by", "placed_at"])
    assert kiosk.ends_on is not None
    end = timezone.make_aware(datetime.combine(kiosk.ends_on + timedelta(days=1), time()))
    response.set_cookie(
        COOKIE,
        key,
        max_age=end - clock.now(),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
