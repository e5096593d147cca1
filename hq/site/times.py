"""Local time as plain text, for alarms and mails; templates have the filter `local`."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings


def local_minute(at: datetime) -> str:
    """To the minute with its offset from UTC, such as "2026-06-03 12:00 -07:00"."""
    here = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    offset = f"{here:%z}"
    return f"{here:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:]}"
