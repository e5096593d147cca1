"""What the tests of searching share: a stated purpose, and what the access log last kept of one."""

from __future__ import annotations

from hq.log.models import AccessRecord

WHY = {"purpose": "criminal_investigation", "case": "26-100", "behalf_person": "", "behalf_agency": ""}
WINDOW = {"since": "2026-06-02 00:00", "until": "2026-06-04 00:00"}


def last(action: str = "reads.search") -> AccessRecord:
    """The newest row of the access log for this action."""
    return AccessRecord.objects.filter(action=action).latest("sequence")
