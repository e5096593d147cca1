"""What the commands have in common that work on records.

Owns the refusal of a database that is older than the code. Commands that make, mend or judge such a database
(migrate, backup, restore, doctor, serve, demo), or need none, are plain ones.
"""

from __future__ import annotations

import contextlib

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from hq.site import doctor


class RecordsCommand(BaseCommand):
    """A command that refuses, with exit code 3, to work on tables of before a migration.

    Such tables take nothing, or take it wrongly. A database that is locked or away is what follows to tell.
    """

    requires_migrations_checks = True

    def check_migrations(self) -> None:
        with contextlib.suppress(DatabaseError):
            if waiting := doctor.waiting_migrations():
                raise CommandError(waiting.refusal, returncode=3)
