"""What the commands have in common.

Owns the name under which a command that nobody logged in for stands in the records, the form of arguments
that several have, and the refusal of a database that is older or newer than the code. Commands that make,
mend or judge such a database (migrate, backup, restore, doctor, serve, demo), or need none, are plain ones.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from argparse import ArgumentTypeError

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from hq.site import doctor


def account() -> str:
    """Who runs this process, for the access log and for certificates: the machine's own account.

    The kernel is asked, for whoever runs a command may set LOGNAME to any name (430.5(b), CJIS AU-3).
    """
    user = os.geteuid()
    try:
        return f"account {pwd.getpwuid(user).pw_name}"
    except KeyError:  # a container's user without a name
        return f"account uid {user}"


def port(text: str) -> int:
    """A TCP port, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 65535:
        raise ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return number


class RecordsCommand(BaseCommand):
    """A command that refuses, with exit code 3, to work on tables of another version.

    Such tables take nothing, or take it wrongly. A database that is locked or away is what follows to tell.
    """

    requires_migrations_checks = True

    def check_migrations(self) -> None:
        with contextlib.suppress(DatabaseError):
            if other := doctor.other_version():
                raise CommandError(other.refusal, returncode=3)
