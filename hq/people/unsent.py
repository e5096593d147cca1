"""A form that was sent after its session had locked or ended: kept for its person, and then offered again.

Owns what of it is kept and for whom. Nothing is entered by it: its person sees what was typed and sends it,
and the page that it is for asks for rights, purpose and form as always. The session holds it, never a page
that stands on a locked screen (CJIS AC-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from hq.people import stated

KEY: Final = "unsent"
MOST: Final = 100_000
"""Characters; what is longer is a file, which a session is no place for."""

_TOKEN: Final = "csrfmiddlewaretoken"
_NOT_TYPED: Final = {_TOKEN, "next", stated.FIELD}


def of(
    request: HttpRequest, get_response: Callable[[HttpRequest], HttpResponseBase], *, ended: bool
) -> dict[str, Any] | None:
    """What is to be kept of a form that was sent in vain; None for one in which nothing was typed.

    ended: whether what the session had stated goes with it, so that a mark of it would stand for nothing.
    """
    if request.method != "POST":
        return None
    # A form of another site must not be put before the person as if it were their own.
    if CsrfViewMiddleware(get_response).process_view(request, get_response, (), {}) is not None:
        return None
    left_out = {_TOKEN, stated.FIELD} if ended else {_TOKEN}
    fields = [[name, text] for name, texts in request.POST.lists() for text in texts if name not in left_out]
    if any("password" in name for name, _ in fields) or sum(len(text) for _, text in fields) > MOST:
        return None
    if not any(text.strip() and name not in _NOT_TYPED for name, text in fields):
        return None
    to = stated.without_mark(request) if ended else request.get_full_path()
    return {"to": to, "fields": fields, "person": request.user.pk, "files": bool(request.FILES)}


def held(request: HttpRequest) -> dict[str, Any] | None:
    """What waits for the person of this session; what another one left in this browser is dropped."""
    kept: dict[str, Any] | None = request.session.get(KEY)
    if kept is not None and kept["person"] != request.user.pk:
        del request.session[KEY]
        return None
    return kept


def settle(request: HttpRequest) -> None:
    """Drop it once its form is sent again."""
    kept = request.session.get(KEY)
    if kept is not None and request.method == "POST" and kept["to"] == request.get_full_path():
        del request.session[KEY]


def typed(kept: dict[str, Any]) -> list[tuple[str, str]]:
    """What the person typed or chose, field by field."""
    return [(name, text) for name, text in kept["fields"] if text.strip() and name not in _NOT_TYPED]


def stood_on(request: HttpRequest) -> str:
    """The page of this site from which a form was sent, "" where the browser does not say.

    Nor where it is the form's own address: that may be one to which forms are sent and which shows no page.
    """
    parts = urlsplit(request.headers.get("Referer", ""))
    if parts.netloc != request.get_host() or parts.path == request.path:
        return ""
    return parts._replace(scheme="", netloc="").geturl()
