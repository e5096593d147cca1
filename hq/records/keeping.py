"""When the floor under a record ends.

Owns the one computation of `purge_after`. Schedules, holds and the purge itself are `hq.retention`'s.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

FLOOR_DAYS: Final = 365
"""Everything downloaded to the server is kept for a year at least (430.4-c, Government Code 34090.6)."""

SKEW: Final = timedelta(days=1)
"""A capture that lies further behind its receipt is a clock's mistake and keeps no read for years."""


def purge_after(captured_at: datetime | None, received_at: datetime, days: int = FLOOR_DAYS) -> datetime:
    """The first moment at which a record may be purged: `days` after the later of capture and receipt."""
    start = received_at
    if captured_at is not None and received_at < captured_at <= received_at + SKEW:
        start = captured_at
    return start + timedelta(days=max(days, FLOOR_DAYS))
