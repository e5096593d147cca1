"""Passwords that the agency bans beside Django's list (CJIS IA-5(1)(a): a list kept up quarterly)."""

from __future__ import annotations

from pathlib import Path

from django.core.exceptions import ValidationError


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
