"""Passwords that the agency bans beside Django's list (CJIS IA-5(1)(a): a list kept up quarterly)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from django.core.exceptions import ValidationError

from hq.site import clock

FILE: Final = "banned-passwords.txt"
"""The list's name in HQ's folder of data."""

FRESH: Final = timedelta(days=92)
"""A quarter: after that the list is to be looked at again."""


def fault(path: Path) -> str:
    """What is wrong with the agency's list: missing, or not touched for a quarter; "" where it is kept up."""
    try:
        kept = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return f"the agency's list of banned passwords is missing: {path}"
    if clock.now() - kept > FRESH:
        return f"the list of banned passwords was last kept up on {kept:%Y-%m-%d}: {path}"
    return ""


class BannedByAgency:
    """Refuses what stands in a file, one password a line, capitals or not; no file bans nothing more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError if the password is banned."""
        if not self.path.exists():
            return
        banned = {line.strip().lower() for line in self.path.read_text().splitlines()}
        if password.strip().lower() in banned:
            raise ValidationError("This password is on the agency's list of banned passwords.")

    def get_help_text(self) -> str:
        """For the form."""
        return "Not a password that the agency bans."
