"""`check-posted URL`: compare the page on the website with the last bundle."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hq.public import bundle
from hq.site.commands import RecordsCommand
from hq.site.models import Settings


class Command(RecordsCommand):
    help = "Compare the posted policy with the published one and record it; exit 1 if it is another."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", nargs="?", default="", help="of policy.html (that of the settings)")

    def handle(self, *args: Any, **options: Any) -> None:
        held = Settings.current()
        url = options["url"] or (held.website if held else "")
        try:
            found = bundle.check_posted(url)
        except bundle.BundleError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{found} {found.detail}".strip())
        if not found.good:
            sys.exit(1)
