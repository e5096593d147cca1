"""Make a backup."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hq.log.chain import LogUnavailable
from hq.retention import purge
from hq.site import backup
from hq.site.commands import account


class Command(BaseCommand):
    help = "Back up database, pictures, keys and log heads into one file, while HQ runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a new file outside the data folder; - for standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = self._to_pipe() if options["file"] == "-" else self._to_file(Path(options["file"]))
        except (backup.BackupError, LogUnavailable, purge.Busy, OSError) as error:
            raise CommandError(f"no backup was made: {error}") from error
        self.stderr.write(
            f"{made.files} files and the database, {made.octets} bytes; "
            f"log head {made.sequence} {made.hash}; not encrypted"
        )

    def _to_pipe(self) -> backup.Made:
        if sys.stdout.isatty():
            raise backup.BackupError("standard output is a terminal")
        made = backup.make(sys.stdout.buffer, made_by=account())
        sys.stdout.buffer.flush()
        return made

    def _to_file(self, path: Path) -> backup.Made:
        if path.resolve().is_relative_to(Path(settings.DATA).resolve()):
            raise backup.BackupError(f"{path}: lies in the data folder itself")
        if path.exists():
            raise backup.BackupError(f"{path}: is there already")
        draft = path.with_name(f"{path.name}.part")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                made = backup.make(file, made_by=account())
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        except FileExistsError as error:
            raise backup.BackupError(f"{draft}: is there; another backup runs, or one was cut off") from error
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return made
