"""What every answer gets: headers by which nothing comes from elsewhere, is inline or is kept in a cache; and
pages without the characters that turn or hide text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_TURNS = re.compile(rb"\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]|[\x00-\x08\x0b\x0e-\x1f\x7f]")
"""In UTF-8: U+202A to 202E and U+2066 to 2069, which turn the direction of what follows, and controls.

One in a name or a note would turn the plate or the time that stands after it on the page. Marks without reach
(U+200E, U+200F), which a name in Arabic or Hebrew may need, are left.
"""
_SEEN = "\ufffd".encode()


class Headers:
    """Middleware; static files keep their own caching, as they hold no record."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        response.headers.setdefault("Cache-Control", "no-store")
        kind = response.headers.get("Content-Type", "")
        if isinstance(response, HttpResponse) and kind.startswith("text/html"):
            cleaned, turned = _TURNS.subn(_SEEN, response.content)
            if turned:
                response.content = cleaned
                if "Content-Length" in response.headers:
                    response.headers["Content-Length"] = str(len(cleaned))
        return response
