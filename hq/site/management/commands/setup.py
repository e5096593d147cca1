"""Found a site."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from hq.site import founding
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    requires_migrations_checks = False  # The example is printed before there is a database.
    help = "Found the site, once: agency, policy, the first Commander, administrator and custodian."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="the agency's TOML file")
        parser.add_argument("--example", action="store_true", help="print such a file to fill in")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["example"]:
            self.stdout.write(founding.EXAMPLE, ending="")
            return
        if options["file"] is None:
            raise CommandError("name the agency's file; --example prints one", returncode=2)
        self.check_migrations()
        try:
            founders = founding.found(options["file"])
        except founding.FoundingError as error:
            raise CommandError(str(error), returncode=3) from error
        self.stdout.write("Hand these over in person; each is changed at the first log-in:")
        for founder in founders:
            self.stdout.write(f"  {founder.role:<22} {founder.username:<16} {founder.password}")
