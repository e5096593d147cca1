"""A form that is sent twice, as by a second press on a slow network: entered once, and led to the same page.

Owns which forms a session has sent and where they led. A page that is shown anew has a token of its own
(Django's, against forms of other sites), so that the same words from it are meant as said again.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any, Final

from django.contrib.sessions.backends.base import UpdateError
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase

KEY: Final = "sent"
MOST: Final = 20
"""Forms of a session that are remembered."""


def of(request: HttpRequest) -> str:
    """A mark of the form, of the page that it stood on and of what it says; "" where it has no token."""
    if not request.POST.get("csrfmiddlewaretoken"):
        return ""
    files = [(name, one.name, one.size) for name in request.FILES for one in request.FILES.getlist(name)]
    said = [request.get_full_path(), sorted(request.POST.lists()), files]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def led_to(request: HttpRequest, form: str) -> str | None:
    """Where the form led when it was sent before: "" for a page of its own; None for one that was not sent.

    In the transaction that enters it. Of the same form twice at once the second waits here until the first is
    entered.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(form[:15], 16)])
    found: str | None = _sent(request).get(form)
    return found


def remember(request: HttpRequest, form: str, response: HttpResponseBase) -> None:
    """Keep where the form led, with what it entered; a page that was shown may say what is wrong in it."""
    if response.status_code in (200, 302):
        sent = _sent(request) | {form: response.get("Location", "")}
        request.session[KEY] = dict(list(sent.items())[-MOST:])
        with suppress(UpdateError):  # its person has logged out meanwhile
            request.session.save()


def _sent(request: HttpRequest) -> dict[str, Any]:
    """As it is now: what this request found at its beginning may be older."""
    session: Any = request.session
    return dict(type(session)(session.session_key).get(KEY, {}))
