"""Which hits a person sees whole, and the purpose that the access record gives for it.

Owns the purpose of handling a live hit, for which the hit's id stands in place of a case number (430.3(b)),
and the masking of a hit whose list the person has no grant for (430.3(e)); which grant that is says
`hq.lists.masking`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hq.hits.review import Review
from hq.lists import masking
from hq.people import policy, purposes
from hq.people.decorators import PageRequest
from hq.people.models import Grant
from hq.people.policy import Refused
from hq.records.models import Hit

Lacking = Callable[[frozenset[str], str, str, str], str]

PATROL: Final = "patrol_hit"
BOARD: Final = "live hit board"
"""Stands for the case on a page that shows several live hits: the record names each by its id."""


class Sight:
    """What one request's person sees of hits."""

    def __init__(self, request: PageRequest, lacking: Lacking = masking.lacking_for_hit) -> None:
        """`lacking`: says what is missing to see a hit's entry; other than the default, it keeps answers."""
        self._person = request.person
        self._access = request.access
        self._kiosk = request.kiosk
        self._standing = request.standing
        self._held = frozenset(request.standing.grants)
        self._lacking_for_hit = lacking
        self._known: dict[tuple[str, str, str, bool], str] = {}

    def state(self, review: Review | None = None) -> None:
        """Settle the purpose of this request, for one hit or, without one, for the live board.

        What the person has stated counts. Who has stated nothing handles the hit that is opened, if it is a
        live one and the person's roles may; anybody else is asked for a purpose: raises Refused.
        """
        access = self._access
        if access.purpose and access.purpose != PATROL:
            policy.check_purpose(self._standing.roles, access.purpose, access.case)
            return
        live = review is None or review.live
        if live and self._may_patrol():
            access.purpose, access.case = PATROL, str(review.hit.id) if review else BOARD
            return
        why = "no purpose is stated" if live else "this hit is closed and past, so that nobody is handling it"
        raise Refused("430.3(a)", why, "nobody: state a purpose and a case")

    def stated(self) -> dict[str, object]:
        """What the frame of the page says is in force, so that it says what the record says."""
        access = self._access
        return {"purpose_in_force": purposes.ALL.get(access.purpose), "case_in_force": access.case}

    def masked(self, review: Review) -> str:
        """Why the person may not see what is behind this hit, "" if they may."""
        hit = review.hit
        lacks = self._lacking(hit, whole=True)
        if lacks:
            return f"you hold no grant for {Grant.Code(lacks).label}"
        if self._lacking(hit, whole=False) != Grant.Code.RESTRICTED:
            return ""
        if self._kiosk is not None:
            return "the session is locked, and nobody has shown who is at this screen"
        purpose, case = self._access.purpose, self._access.case
        if purpose == PATROL:
            case = str(hit.id)
        try:
            policy.check(self._person, "hits.restricted", purpose=purpose, case=case, standing=self._standing)
        except Refused as refused:
            return refused.why
        return ""

    def insist(self, review: Review) -> None:
        """Raise Refused if this hit is masked for the person."""
        why = self.masked(review)
        if why:
            raise Refused("430.3(e)", why, policy.COMMANDER + ", or dispatch for what you need now")

    def _may_patrol(self) -> bool:
        purpose = purposes.in_use().get(PATROL)
        return purpose is not None and bool(self._standing.roles & set(purpose.roles))

    def _lacking(self, hit: Hit, *, whole: bool) -> str:
        """The missing grant with all grants held, or with all but the one for restricted lists."""
        key = (hit.alarm_class, hit.source, hit.list_version, whole)
        if key not in self._known:
            held = self._held if whole else self._held - {Grant.Code.RESTRICTED}
            self._known[key] = self._lacking_for_hit(held, *key[:3])
        return self._known[key]
