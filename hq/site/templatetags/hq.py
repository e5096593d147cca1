"""Filters that every template has: times as the agency reads them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from django import template
from django.conf import settings
from django.utils.html import format_html

from hq.site import clock

register = template.Library()


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
def words(code: str) -> str:
    """A code of ours as words."""
    return str(code).replace("_", " ")


@register.simple_tag
def now_local() -> str:
    """The time of the page, for what is printed."""
    return local(clock.now())
