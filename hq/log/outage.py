"""That the access log could not be written, noted beside the database, and so told though it has passed.

Owns one file in HQ's folder of data: the time of the first row that failed. `hq.mail` tells it and takes it
away (CJIS AU-5). Where the folder takes no file either, only an outage that lasts is found.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from hq.site import clock


def note() -> None:
    """A row could not be written; the first time counts. Never fails."""
    with suppress(OSError), _file().open("x") as file:
        file.write(clock.now().isoformat())


def since() -> datetime | None:
    """When the first row failed that nobody was told of."""
    try:
        text = _file().read_text()
        at = _file().stat().st_mtime
    except OSError:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # made, and then the disk was full
        return datetime.fromtimestamp(at, UTC)


def told() -> None:
    """Somebody was told of it."""
    _file().unlink(missing_ok=True)


def _file() -> Path:
    return Path(settings.DATA) / "log-outage"
