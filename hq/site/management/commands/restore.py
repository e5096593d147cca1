"""Put a backup into a new HQ."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hq.site import backup, restore


class Command(BaseCommand):
    help = "Put a backup into a new, empty HQ: every hash compared, triggers put back, the log verified."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the backup, decrypted; - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["file"]
        try:
            if name == "-":
                restored = restore.restore(sys.stdin.buffer, "standard input")
            else:
                with open(name, "rb") as source:
                    restored = restore.restore(source, name)
        except (backup.BackupError, OSError) as error:
            raise CommandError(f"not restored: {error}") from error
        self.stdout.write(
            f"{restored.files} files and the database; log head {restored.sequence} {restored.hash}"
        )
        if restored.lost_pictures:
            self.stderr.write(
                f"{restored.lost_pictures} pictures that the database has were not in the backup"
            )
