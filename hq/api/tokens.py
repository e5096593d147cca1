"""Tokens: made by two persons for a third, shown once, counted by the hour.

Owns what makes a token good. What it opens is `hq.people.policy`'s business, as on the pages.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from django.db import transaction

from hq.api.models import ApiToken
from hq.people.models import Person
from hq.people.policy import Refused, check
from hq.site import clock

PREFIX: Final = "pwhq_"
"""So that a scanner for leaked secrets knows one."""

MOST_AN_HOUR: Final = 600
"""Calls that a token may make in one hour of the clock."""


class TokenError(Exception):
    """A token that opens nothing: `person` is whose it is, where that is known."""

    def __init__(self, why: str, person: Person | None = None) -> None:
        super().__init__(why)
        self.person = person


def propose(person: Person, program: str, days: int, by: Person) -> ApiToken:
    """Propose a token of so many days (90 at most, which the database checks too). Raises Refused."""
    now = clock.now()
    token = ApiToken(
        person=person, program=program, expires_at=now + timedelta(days=days), proposed_by=by, proposed_at=now
    )
    check(by, "tokens.propose", obj=token)
    token.save()
    return token


def collect(token: ApiToken, *, again: bool = False) -> str:
    """Make the secret of an approved token, for its person to see this once.

    again: the page with the one before was dropped, as at a second press; what was never used is replaced.
    """
    if token.state != "approved" and not (again and token.state == "in force" and token.hour is None):
        raise Refused("430.2-d", f"this token is {token.state}, not approved and waiting", "the Commander")
    secret = PREFIX + secrets.token_urlsafe(32)
    token.digest, token.collected_at = digest(secret), clock.now()
    token.save(update_fields=["digest", "collected_at"])
    return secret


def digest(secret: str) -> str:
    """What is kept of a secret: it has 256 bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def of_header(header: str) -> ApiToken:
    """The token in force that an Authorization header bears. Raises TokenError."""
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenError("no bearer token")
    found = ApiToken.objects.select_related("person").filter(digest=digest(secret.strip())).first()
    if found is None:
        raise TokenError("no such token")
    if found.state != "in force":
        raise TokenError(f"the token is {found.state}", found.person)
    return found


def count(token: ApiToken) -> int:
    """Count a call; the seconds to wait if the hour's calls are used up, else 0."""
    now = clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    with transaction.atomic():
        held = ApiToken.objects.select_for_update().get(pk=token.pk)
        if held.hour != hour:
            held.hour, held.used = hour, 0
        if held.used >= MOST_AN_HOUR:
            return int((hour + timedelta(hours=1) - now).total_seconds()) + 1
        held.used += 1
        held.save(update_fields=["hour", "used"])
    return 0
