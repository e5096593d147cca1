"""Does what a person does on a page, without a browser: the same view, rights, rules and access record.

Owns how a page is asked and at which moment of HQ's clock. What is asked is said by the rest of the demo.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.db import SessionStore
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.urls import resolve, reverse
from django.utils.html import strip_tags

from hq.people.models import Person
from hq.site import clock


class DemoError(Exception):
    """A page did not do what the demo asked of it; its text says which and what the page said."""


def post(person: Person, page: str, /, *args: object, **fields: object) -> HttpResponseBase:
    """Send the form of a page as that person, who is logged in. Raises DemoError unless it was taken."""
    request: Any = RequestFactory().post(reverse(page, args=args), fields)
    person.is_verified = lambda: True  # type: ignore[attr-defined]
    request.user, request.session = person, SessionStore()
    request._messages = CookieStorage(request)
    match = resolve(request.path)
    answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    if answer.status_code != 302:
        said = " ".join(strip_tags(getattr(answer, "content", b"").decode()).split())
        raise DemoError(f"{page} as {person.username}: {answer.status_code}: {said[-1500:]}")
    return answer


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """HQ's clock, for what was done earlier."""
    before, clock.source = clock.source, lambda: moment
    try:
        yield
    finally:
        clock.source = before
