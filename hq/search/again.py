"""What this session searched for lately, so that a browser's way back shows it again.

Results answer a POST, which no browser fetches anew by itself, and nothing of them is in a cache. So a page
of them has an address that names what was sent by an opaque key; the words stay in the session. What is shown
again is asked for under its own purpose, looked up and recorded anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

from hq.people import stated
from hq.site import clock

FIELD: Final = "again"
"""The key's name in addresses, and in the session what is kept."""

KEPT: Final = timedelta(hours=1)
_MOST: Final = 20
"""Forms that a session keeps; the oldest goes."""


P = ParamSpec("P")
_View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def post_or_again(view: _View[P]) -> _View[P]:
    """Refuse what neither sends a form nor names one that was sent: a plate in an address is none."""

    @wraps(view)
    def asked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method != "POST" and not (request.method in ("GET", "HEAD") and FIELD in request.GET):
            return HttpResponseNotAllowed(["POST"])
        return view(request, *args, **kwargs)

    return asked


def address(request: HttpRequest, path: str, sent: Mapping[str, str], mark: str = "") -> str:
    """Keep what was sent, and say where it can be had again; `mark` is of the statement it was sent under."""
    held = _kept(request.session)
    key = secrets.token_urlsafe(9)
    held[key] = {"at": clock.now().timestamp(), "sent": dict(sent)}
    while len(held) > _MOST:
        del held[next(iter(held))]
    request.session[FIELD] = held
    return f"{path}?{urlencode({FIELD: key} | ({stated.FIELD: mark} if mark else {}))}"


def sent(request: HttpRequest) -> dict[str, str] | None:
    """What the address of this request stands for; None where the session does not know it, or no longer."""
    held = _kept(request.session).get(request.GET.get(FIELD, ""))
    return dict(held["sent"]) if held else None


def _kept(session: Any) -> dict[str, dict[str, Any]]:
    oldest = (clock.now() - KEPT).timestamp()
    return {key: one for key, one in session.get(FIELD, {}).items() if one["at"] >= oldest}
