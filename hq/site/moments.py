"""The fields for when something happened, and for the days of a period to look back on.

A browser's field for date and time takes no offset from UTC, so that it cannot say which of two is meant in
the hour that comes twice when the clocks go back. What is typed with an offset is `hq.search.localtime`'s.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.utils.dateparse import parse_datetime

from hq.site import clock

FIRST_DAY: Final = date(2000, 1, 1)
"""No record is from before it."""
AHEAD: Final = timedelta(days=366)


class LookBackField(forms.DateField):
    """A day of a period to look back on: 9999-12-31 for no end, or the year 202, is refused as a slip."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def validate(self, value: Any) -> None:
        """Raises ValidationError."""
        super().validate(value)
        if value and not FIRST_DAY <= value <= clock.today() + AHEAD:
            raise forms.ValidationError(f"Give a day from {FIRST_DAY} on, and within a year from now.")


class HappenedField(forms.DateTimeField):
    """A local date and time, shown by every browser as one.

    Of a time that comes twice the later one is meant that has passed: it is entered soon after it happened.
    """

    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})

    def to_python(self, value: Any) -> datetime | None:
        """Raises ValidationError, also for a time that the clocks leave out."""
        try:
            return super().to_python(value)
        except forms.ValidationError as error:
            if error.code != "ambiguous_timezone":
                raise
            twice = _both(parse_datetime(str(value).strip()))
            if twice is None:
                raise forms.ValidationError("The change of the clocks leaves this time out.") from None
        first, second = twice
        return second if second <= clock.now() else first


def _both(naive: datetime | None) -> tuple[datetime, datetime] | None:
    """The two moments of a local time that comes twice, None for one that never comes."""
    if naive is None:
        return None
    zone = ZoneInfo(settings.TIME_ZONE)
    first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return (first, second) if first < second else None
