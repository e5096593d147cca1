"""A moment as a person types it: local time, with an offset where the local time alone is not enough."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from hq.site import clock

_FORMATS = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")


def parse(text: str) -> datetime:
    """`2026-06-03 14:30`, seconds, an offset such as -07:00 or Z and a T being optional; a day alone is its
    midnight.

    Raises ValueError, saying why, also for a local time that the change of the clocks makes twice or never.
    """
    plain = " ".join(text.replace("T", " ").split())
    if plain.endswith("Z") or _has_offset(plain):
        try:
            return datetime.fromisoformat(plain.replace("Z", "+00:00")).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("write it as 2026-06-03 14:30 -07:00") from None
    for form in _FORMATS:
        try:
            naive = datetime.strptime(plain, form)
        except ValueError:
            continue
        return _local(naive)
    raise ValueError("write it as 2026-06-03 14:30, with -07:00 behind it if it is not local time")


def offset_now() -> str:
    """The agency's offset from UTC at this moment, such as -07:00."""
    offset = f"{clock.now().astimezone(ZoneInfo(settings.TIME_ZONE)):%z}"
    return f"{offset[:3]}:{offset[3:]}"


def typed(at: datetime | None) -> str:
    """A moment as `parse` reads it, with its offset."""
    if at is None:
        return ""
    here = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    return here.isoformat(sep=" ", timespec="seconds")


def _has_offset(text: str) -> bool:
    return len(text) > 11 and ("+" in text[11:] or "-" in text[11:])


def _local(naive: datetime) -> datetime:
    zone = ZoneInfo(settings.TIME_ZONE)
    try:
        first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        back = first.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("no calendar has this time") from None
    if first != second:
        what = "twice" if back == naive else "never"
        raise ValueError(f"the change of the clocks makes this time come {what}: add the offset from UTC")
    return first
