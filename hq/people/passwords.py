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
    """What is wrong with the agency's list: missing, unreadable, not touched for a quarter; "" if nothing."""
    try:
        kept = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        _banned(path)
    except FileNotFoundError:
        return f"the agency's list of banned passwords is missing: {path}"
    except OSError as error:
        return f"the agency's list of banned passwords cannot be read: {error.strerror}: {path}"
    except UnicodeDecodeError:
        return (
            f"the agency's list of banned passwords is no UTF-8 text, and nobody can set a password: {path}"
        )
    if clock.now() - kept > FRESH:
        return f"the list of banned passwords was last kept up on {kept:%Y-%m-%d}: {path}"
    return ""


class BannedByAgency:
    """Refuses what stands in a file, one password a line, capitals or not; no file bans nothing more.

    One that cannot be read refuses all: nobody can tell what it bans.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError if the password is banned."""
        try:
            banned = _banned(self.path)
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise ValidationError("The agency's list of banned passwords cannot be read.") from error
        if password.strip().lower() in banned:
            raise ValidationError("This password is on the agency's list of banned passwords.")

    def get_help_text(self) -> str:
        """For the form."""
        return "Not a password that the agency bans."


def _banned(path: Path) -> set[str]:
    """Its lines, which may come from Windows (byte order mark, CRLF)."""
    return {line.strip().lower() for line in path.read_text(encoding="utf-8-sig").splitlines()}
