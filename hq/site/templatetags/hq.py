"""Filters that every template has: times as the agency reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.utils.html import format_html

from hq.people.policy import RIGHTS
from hq.site import clock

register = template.Library()
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d")


@register.filter
def local(at: datetime | None) -> str:
    """Local time with its UTC offset, to the second; the machine-readable time keeps UTC."""
    if at is None:
        return ""
    here = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    offset = f"{here:%z}"
    return format_html(
        '<time datetime="{}">{} <span class="offset">{}</span></time>',
        at.astimezone(UTC).isoformat(),
        f"{here:%Y-%m-%d %H:%M:%S}",
        f"{offset[:3]}:{offset[3:]}",
    )


@register.filter
def hundredths(at: datetime | None) -> str:
    """As `local`, to the hundredth of a second: for the access log."""
    if at is None:
        return ""
    here = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    offset = f"{here:%z}"
    return format_html(
        '<time datetime="{}">{} <span class="offset">{}</span></time>',
        at.astimezone(UTC).isoformat(),
        f"{here:%Y-%m-%d %H:%M:%S}.{here.microsecond // 10_000:02d}",
        f"{offset[:3]}:{offset[3:]}",
    )


@register.filter
def day(on: date | None) -> str:
    """A day, which a narrow table does not break in two."""
    return format_html("<time>{}</time>", on.isoformat()) if on else ""


@register.filter
def percent(share: float) -> str:
    """A share of one as a percentage, with no more digits than tell it apart from nothing."""
    return f"{share * 100:.3g} %"


@register.filter
def lasting(span: timedelta) -> str:
    """How long something is or lasted: minutes below an hour, hours and minutes below two days, then days."""
    minutes = round(span.total_seconds() / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // (24 * 60)} days"


@register.filter
def words(code: str) -> str:
    """A code of ours as words."""
    return str(code).replace("_", " ")


@register.filter
def plainly(value: object) -> str:
    """A value of an access record in words: no brackets, times as the agency reads them."""
    if isinstance(value, Mapping):
        return ", ".join(f"{words(str(key))} {plainly(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plainly(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        here = datetime.fromisoformat(value).astimezone(ZoneInfo(settings.TIME_ZONE))
        offset = f"{here:%z}"
        return f"{here:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:]}"
    return "" if value is None else str(value)


@register.filter
def deed(action: str) -> str:
    """An action of rights.toml as its row of the table of rights; any other as words."""
    right = RIGHTS.get(action)
    return right.row if right else words(action.replace(".", " "))


@register.simple_tag
def now_local() -> str:
    """The time of the page, for what is printed."""
    return local(clock.now())
