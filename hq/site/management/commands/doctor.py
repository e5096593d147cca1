"""Tell what a site lacks."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from hq.site import doctor


class Command(BaseCommand):
    help = "Tell what the site lacks; exit 3 if a production start would be refused."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "subject", nargs="?", choices=("policy",), help="policy: exit 3 if a slot of the policy is empty"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["subject"] == "policy":
            self._policy()
            return
        found = doctor.findings()
        for finding in found:
            word = "error  " if finding.error else "warning"
            self.stdout.write(f"{word} {finding.rule}: {finding.what}; {finding.remedy}")
        if not found:
            self.stdout.write("nothing is missing")
        if any(finding.error for finding in found):
            sys.exit(3)

    def _policy(self) -> None:
        from hq.public import slots

        found = slots.gaps()
        for gap in found:
            self.stdout.write(f"gap {gap}")
        if found:
            sys.exit(3)
        self.stdout.write("every slot of the policy is filled")
