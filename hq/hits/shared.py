"""What the open boards of a process share: the hits as they stand and their rows as HTML, made once a change.

Owns one board at a time, kept for as long as its facts (`hq.hits.board.facts`) are those of the database,
which every page asks anew: so a change is on the next page of everybody, whoever made it and in whichever
process. Nothing here knows a person. A row is kept in up to four forms, whole or masked and with or without
what one can press; which of the two former a viewer gets is decided for each viewer, page and hit by
`hq.hits.sight`. What is a viewer's own, the token of their forms, and what the time changes are put in at
each page.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final
from uuid import UUID

from django.template.loader import get_template
from django.utils.safestring import SafeString

from hq.hits import board, reports, wording
from hq.hits.review import Review
from hq.hits.sight import Sight
from hq.lists import masking

OLDER_S: Final = 10.0
"""So long the number of older hits is kept, should nothing else have changed: it takes a walk over them."""

# Made anew by each process and never sent, so that no text of a unit or a person can hold one.
_TOKEN: Final = f"token{secrets.token_hex(16)}"
_AGO: Final = f"ago{secrets.token_hex(16)}"
_SLOTS: Final = re.compile(f"({_TOKEN}|{_AGO})")


@dataclass(frozen=True)
class Told:
    """The rows for one viewer: their HTML, the hits that are in it, and how many of those are masked."""

    html: SafeString
    ids: list[UUID]
    masked: int


class Board:
    """The board in one state. Threads share it: what it holds is only read, what it adds is added once."""

    def __init__(self, facts: str) -> None:
        self.facts = facts
        self.mark = board.mark_of(facts)
        self._reviews = board.reviews()
        self._by_id = {one.hit.id: one for one in self._reviews}
        self.beyond = reports.beyond(self._by_id)
        self._first = next((one for one in self._reviews if board.alarms(one)), None)
        self._lock = threading.Lock()
        self._rows: dict[tuple[UUID, bool, bool], list[str]] = {}
        self._answers: dict[tuple[frozenset[str], str, str, str], str] = {}
        self._older, self._counted_at = 0, -OLDER_S

    def review(self, pk: UUID) -> Review | None:
        """A hit of the board, to be read only; None for any other."""
        return self._by_id.get(pk)

    def lacking(self, held: frozenset[str], alarm_class: str, source: str, list_version: str) -> str:
        """As `masking.lacking_for_hit`; the rules that it goes by are among the board's facts."""
        key = (held, alarm_class, source, list_version)
        if key not in self._answers:
            self._answers[key] = masking.lacking_for_hit(*key)
        return self._answers[key]

    def told(self, sight: Sight, *, kiosk: bool, token: Callable[[], str]) -> Told:
        """The rows as one viewer may see them now; `token` gives the one for the viewer's forms."""
        seen = [(one, bool(sight.masked(one))) for one in self._reviews]
        with self._lock:
            rows = [(one, self._row(one, masked, kiosk)) for one, masked in seen]
        own = cache(token)
        html = "".join(
            own() if piece == _TOKEN else board.ago(one) if piece == _AGO else piece
            for one, row in rows
            for piece in row
        )
        return Told(SafeString(html), list(self._by_id), sum(masked for _, masked in seen))

    def older(self) -> int:
        """How many unverified hits have left the board."""
        with self._lock:
            if time.monotonic() - self._counted_at >= OLDER_S:
                self._older, self._counted_at = reports.older(), time.monotonic()
            return self._older

    def _row(self, one: Review, masked: bool, kiosk: bool) -> list[str]:
        key = (one.hit.id, masked, kiosk)
        if key not in self._rows:
            context = {
                "line": board.line(one, wording.MASKED if masked else ""),
                "first": one is self._first,
                "kiosk": kiosk,
                "ago": _AGO,
                "csrf_token": _TOKEN,
            }
            self._rows[key] = _SLOTS.split(get_template("hits/row.html").render(context))
        return self._rows[key]


class _Keeper:
    """Holds the board of the last state that anybody saw."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._held: Board | None = None

    def now(self) -> Board:
        facts = board.facts()
        held = self._held
        if held is not None and held.facts == facts:
            return held
        with self._making:
            # Asked again by whoever waited: the one before has made it by now. The facts come before what is
            # made under them, so that what changes meanwhile makes it outdated and not wrong.
            facts = board.facts()
            if self._held is None or self._held.facts != facts:
                self._held = Board(facts)
            return self._held


now = _Keeper().now
"""The board as the database has it now."""
