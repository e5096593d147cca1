"""Calendar quarters by the agency's clock, for what is counted by them."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from django.conf import settings


def start_of(day: date) -> date:
    """The first day of the quarter in which a day lies."""
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def after(start: date) -> date:
    """The first day of the quarter after the one that begins on `start`."""
    return date(start.year + (start.month == 10), (start.month + 2) % 12 + 1, 1)


def bounds(start: date) -> tuple[datetime, datetime]:
    """The agency's midnights at which a quarter begins and the next one does."""
    zone = ZoneInfo(settings.TIME_ZONE)
    return datetime.combine(start, time.min, zone), datetime.combine(after(start), time.min, zone)
