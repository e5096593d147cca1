"""Tell what a site lacks."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from hq.site import doctor


class Command(BaseCommand):
    help = "Tell what the site lacks; exit 3 if a production start would be refused."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        found = doctor.findings()
        for finding in found:
            word = "error  " if finding.error else "warning"
            self.stdout.write(f"{word} {finding.rule}: {finding.what}; {finding.remedy}")
        if not found:
            self.stdout.write("nothing is missing")
        if any(finding.error for finding in found):
            sys.exit(3)
