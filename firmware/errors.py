"""The errors that `firmware` raises on purpose, and the exit code that each family ends a command with.

Owns the base classes and the codes. A module with errors of its own derives them from these. The text
of an expected error is one line for the person at the terminal; anything else is a defect and shows
its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """What a command's exit code means."""

    OK = 0
    FAILED = 1
    """Something in the input failed; the rest was done."""
    USAGE = 2
    CONFIG = 3
    IO = 4
    """A file, a device or a server."""
    STORE = 5
    INTERRUPTED = 130


class FirmwareError(Exception):
    """Base of everything that `firmware` raises on purpose; one line."""

    exit_code: Exit = Exit.FAILED


class UsageError(FirmwareError):
    """The command line asks for something that cannot be."""

    exit_code = Exit.USAGE


class ConfigError(FirmwareError):
    """The configuration cannot be used.

    Attributes:
        problems: one line for each thing that is wrong with it, at least one.
    """

    exit_code = Exit.CONFIG

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class IoError(FirmwareError):
    """A file, a device or a server cannot be used."""

    exit_code = Exit.IO


class StoreError(FirmwareError):
    """The unit's database or its pictures cannot be used."""

    exit_code = Exit.STORE


class DiskRefusesError(StoreError):
    """The disk takes nothing now, being full, read-only, failing or busy; it may later."""


class AccessError(FirmwareError):
    """Plate text was asked for and is not shown: no named person, no purpose, no training (430.3(d))."""
