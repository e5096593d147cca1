"""How long a session lives: one a person, locked after 30 idle minutes, ended after an hour.

430.3-0 (no shared accounts), CJIS AC-11, SC-10. A page that reloads itself (`page(passive=True)`) is no
activity. A form that comes too late is kept for its person (`hq.people.unsent`). At a kiosk
(`hq.people.kiosks`) a session that locked itself still shows the pages made for that (`page(kiosk=True)`), to
read only; one that its person locked does not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils.http import urlencode

from hq.log import chain
from hq.people import kiosks, unsent
from hq.people.models import Kiosk, Person
from hq.site import clock

LOCK = timedelta(minutes=30)
END = timedelta(hours=1)
ELSEWHERE = "the account was used to log in elsewhere"
IDLE = "an hour without use"
BY_HAND = "by hand"
"""What a session's `locked` holds if its person locked it."""
_WRITE_EVERY = timedelta(seconds=20)


class SessionRules:
    """Middleware behind Django's own for sessions and log-in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        person = request.user
        if not isinstance(person, Person):
            return self.get_response(request)
        match = _match(request)
        if person.session_key != request.session.session_key:
            return end(request, ELSEWHERE)
        idle = clock.now().timestamp() - float(request.session.get("seen", 0))
        if idle >= LOCK.total_seconds() and not request.session.get("locked"):
            request.session["locked"] = True
        kiosk = _kiosk(request, match, idle)
        if kiosk is not None:
            request.kiosk = kiosk  # type: ignore[attr-defined]
            return self.get_response(request)
        if idle >= END.total_seconds():
            late = self._late(request, match, ended=True)
            answer = end(request, IDLE, back_to=_page_of(request))
            if late is not None:
                request.session[unsent.KEY] = late
            return answer
        if request.session.get("locked"):
            if match and match.view_name in ("people:unlock", "people:logout"):
                return self.get_response(request)
            late = self._late(request, match, ended=False)
            if late is not None:
                request.session[unsent.KEY] = late
            return HttpResponseRedirect(
                f"{reverse('people:unlock')}?{urlencode({'next': _page_of(request)})}"
            )
        unsent.settle(request)
        if match and not getattr(match.func, "passive", False):
            _note_use(request, person, idle)
        return self.get_response(request)

    def _late(
        self, request: HttpRequest, match: ResolverMatch | None, *, ended: bool
    ) -> dict[str, Any] | None:
        """The form that this request sends too late, for its person to send again."""
        if match is None or getattr(match.func, "public", False):
            return None
        return unsent.of(request, self.get_response, ended=ended)


def begin(session: Any, person: Person) -> None:
    """Make this the person's only session; the caller has logged the person in, so that its key is new."""
    if session.session_key is None:
        session.create()
    session["seen"] = clock.now().timestamp()
    person.session_key, person.seen_at = session.session_key, clock.now()
    person.save(update_fields=["session_key", "seen_at"])


def lock(session: Any, person: Person) -> None:
    """Lock it as its person asks.

    Under a new key: a search still under way keeps the session as it found it, open, and that must not count.
    """
    session["locked"] = BY_HAND
    session.cycle_key()
    person.session_key = session.session_key
    person.save(update_fields=["session_key"])


def end(request: HttpRequest, why: str, back_to: str = "") -> HttpResponseBase:
    """Log out, write down why, say so on the log-in page; a log that is down keeps no session open.

    back_to: the address to which the next log-in leads.
    """
    person = request.user if isinstance(request.user, Person) else None
    with suppress(chain.LogUnavailable):
        chain.append(kind="session", person=person, action="session.end", request=request, note=why)
    logout(request)
    told = {"ended": why} | ({"next": back_to} if back_to else {})
    return HttpResponseRedirect(f"{reverse('people:login')}?{urlencode(told)}")


def _kiosk(request: HttpRequest, match: ResolverMatch | None, idle: float) -> Kiosk | None:
    """The kiosk at which a locked session is shown this page all the same."""
    if idle < LOCK.total_seconds() or idle >= kiosks.SHIFT.total_seconds() or request.method != "GET":
        return None
    if match is None or not getattr(match.func, "kiosk", False) or request.session.get("locked") == BY_HAND:
        return None
    return kiosks.of(request)


def _note_use(request: HttpRequest, person: Person, idle: float) -> None:
    now = clock.now()
    if idle >= _WRITE_EVERY.total_seconds():
        request.session["seen"] = now.timestamp()
    if person.seen_at is None or now - person.seen_at > timedelta(minutes=10):
        person.seen_at = now
        person.save(update_fields=["seen_at"])


def _page_of(request: HttpRequest) -> str:
    """The page to go on with: the one that was asked for, or the one from which a form was sent."""
    return request.get_full_path() if request.method in ("GET", "HEAD") else unsent.stood_on(request)


def _match(request: HttpRequest) -> ResolverMatch | None:
    try:
        return resolve(request.path_info)
    except Resolver404:
        return None
