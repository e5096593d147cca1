"""Make the database, or bring it up to date."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as DjangosMigrate
from django.db import DatabaseError, connection

from hq.site import databases, doctor


class Command(DjangosMigrate):
    help = "Make the database or bring it up to date; on PostgreSQL as the user who owns it."

    def handle(self, *args: Any, **options: Any) -> None:
        if options["migration_name"]:
            # To undo one drops its columns and tables, and what is in them (430.4-c).
            raise CommandError(
                "name no migration: every app is brought up to date, and none is taken back; "
                "the way back is a backup (docs/hq-running.md)",
                returncode=2,
            )
        if newer := doctor.newer_version():
            raise CommandError(newer.refusal, returncode=3)
        try:
            super().handle(*args, **options)
        except DatabaseError as error:
            if not databases.lacks_right(error):
                raise
            user = connection.get_connection_params()["user"]
            raise CommandError(
                f"DATABASE_URL: the user {user} may not change the tables: run migrate as "
                f"{databases.owner()}",
                returncode=3,
            ) from error
