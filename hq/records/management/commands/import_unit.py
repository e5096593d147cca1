"""`import_unit`: take in a unit's card or stick by hand."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hq.records.intake import Intake
from hq.records.medium import MediumError, import_medium
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Take in the store of a unit from its card or a stick, as if the unit had sent it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="the folder that holds platewarden.sqlite and pictures/")
        parser.add_argument("--unit", default="", help="the unit's id, where HQ does not know the store yet")
        parser.add_argument("--by", required=True, help="who brought the medium, for the transfer log")

    def handle(self, *args: Any, **options: Any) -> None:
        brought_by = options["by"].strip()
        if not brought_by:
            raise CommandError("--by: names nobody")
        with closing(Intake()) as intake:
            try:
                unit, taken = import_medium(options["path"], options["unit"], brought_by, intake)
            except MediumError as error:
                raise CommandError(str(error)) from error
        self.stdout.write(
            f"{unit}: {taken.new} new, {taken.known} known, {taken.quarantined} put into quarantine"
        )
        for standing in taken.standings:
            missing = f", {standing.missing} missing" if standing.missing else ""
            self.stdout.write(
                f"{unit}: store {standing.store_id} is here up to {standing.contiguous}{missing}"
            )
