"""`publish-policy DIR`: write the policy and the figures for the website."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from hq.log import chain
from hq.people.policy import Refused
from hq.public import bundle
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Write the usage and privacy policy and the figures as static files for the website."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder", type=Path, help="a folder that is new, empty or holds an earlier bundle"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                made = bundle.write(options["folder"])
                chain.append(kind="policy", person=None, action="policy.publish", elements=made.files)
        except (Refused, bundle.BundleError, OSError) as error:
            raise CommandError(str(error)) from error
        for gap in made.gaps:
            self.stdout.write(f"gap {gap}")
        self.stdout.write(f"{len(made.files)} files in {options['folder']}, {len(made.gaps)} gaps")
        self.stdout.write(f"{made.files[bundle.PAGE]}  {bundle.PAGE}")
