"""What time it is, for every part of HQ: one function, so that a test can hold the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings


def _system() -> datetime:
    return datetime.now(UTC)


source = _system


def now() -> datetime:
    """The time in UTC, aware."""
    return source()


def today() -> date:
    """The date at the agency: training and appointments run out at its midnight, not at Greenwich's."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """The date that an aware `moment` has at the agency."""
    return moment.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
