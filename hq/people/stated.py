"""What a session has stated: purpose, case, on whose behalf; each under a mark that a page's links carry.

Owns that two tabs of one browser do not use each other's (430.3(a), 430.5(b)): what a page was opened for
counts for its links, whatever another tab has stated since. The last one stated begins the forms. Whether a
person may state it is `hq.people.policy`'s.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, NamedTuple

from django.http import HttpRequest, QueryDict

FIELD: Final = "stated"
"""The mark's name in addresses and forms."""

_MOST: Final = 20
"""Statements that a session keeps; the oldest goes, and its pages ask anew."""


class Stated(NamedTuple):
    """One statement; all empty where nothing is stated."""

    purpose: str = ""
    case: str = ""
    on_behalf_of: str = ""
    mark: str = ""


def keep(session: Any, purpose: str, case: str, on_behalf_of: str = "") -> str:
    """Put a statement into force and return its mark; the same words have the same mark."""
    words = [purpose, case, on_behalf_of]
    held: dict[str, list[str]] = dict(session.get(FIELD, {}))
    mark = next((mark for mark, others in held.items() if others == words), "") or secrets.token_hex(4)
    held.pop(mark, None)
    held[mark] = words
    while len(held) > _MOST:
        del held[next(iter(held))]
    session.update({FIELD: held, "purpose": purpose, "case": case, "on_behalf_of": on_behalf_of})
    return mark


def of(request: HttpRequest, *, searches: bool) -> Stated:
    """What the page of this request was opened for.

    Where the request names no mark it is the last statement; for a search only while the session has no
    other, for nobody knows which of several its tab stands under. A mark that the session does not know
    stands for nothing.
    """
    session = request.session
    held: dict[str, list[str]] = session.get(FIELD, {})
    named = request.POST.get(FIELD) or request.GET.get(FIELD)
    if named:
        return _made(held[named], named) if named in held else Stated()
    words = [str(session.get(name, "")) for name in ("purpose", "case", "on_behalf_of")]
    if searches and any(others != words for others in held.values()):
        return Stated()
    return _made(words, next((mark for mark, others in held.items() if others == words), ""))


def without_mark(request: HttpRequest) -> str:
    """The request's address, to come back to once something is stated anew."""
    return _address(request.path, request.GET.copy())


def marked(session: Any, address: str, mark: str) -> str:
    """An address of this site that stands under a statement; as it is while the session has no other."""
    if len(session[FIELD]) == 1:
        return address
    path, _, query = address.partition("?")
    return _address(path, QueryDict(query, mutable=True), mark)


def _address(path: str, query: QueryDict, mark: str = "") -> str:
    query.pop(FIELD, None)
    if mark:
        query[FIELD] = mark
    return f"{path}?{query.urlencode()}" if query else path


def _made(words: list[str], mark: str) -> Stated:
    purpose, case, on_behalf_of = words
    return Stated(purpose, case, on_behalf_of, mark)
