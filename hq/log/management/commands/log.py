"""Verify the access log and sign its head."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hq.log import chain, heads, removal
from hq.log.models import Removal
from hq.people.policy import Refused
from hq.retention import purge
from hq.site.keys import KeyExposed


class Command(BaseCommand):
    help = "The access log: `log verify` checks the chain, `log head --sign` exports its signed head."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        verify = what.add_parser("verify", help="check every row and every signed head")
        verify.add_argument(
            "--from", dest="first", type=int, default=1, metavar="ROW", help="begin at this row"
        )
        head = what.add_parser("head", help="print the last row's number and hash")
        head.add_argument("--sign", action="store_true", help="sign it and write it with its signature")
        head.add_argument(
            "--out", type=Path, default=Path(settings.DATA) / "log-heads", help="folder of the signed heads"
        )

        what.add_parser("remove", help="remove the old rows that co-signed removals name")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "verify":
            self._verify(options["first"])
        elif options["what"] == "remove":
            self._remove()
        elif options["sign"]:
            self._sign(options["out"])
        else:
            held = chain.head()
            self.stdout.write(f"{held.sequence} {held.hash}")

    def _verify(self, first: int) -> None:
        fault = chain.verify(first) or heads.verify()
        if fault is not None:
            raise CommandError(f"row {fault.sequence}: {fault.what}")
        self.stdout.write(f"rows {first} to {chain.head().sequence} are whole and fit every signed head")

    def _sign(self, folder: Path) -> None:
        try:
            export = heads.sign(folder)
        except (OSError, KeyExposed) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{export.text}\n{export.signature}")

    def _remove(self) -> None:
        signed = Removal.objects.filter(state=Removal.State.COSIGNED).order_by("pk")
        try:
            for pk in list(signed.values_list("pk", flat=True)):
                gone = removal.run(pk, run_by=f"account {getpass.getuser()}")
                self.stdout.write(f"removal {pk}: {gone} rows removed, their anchors are in the chain")
        except (Refused, removal.NotRemoved, purge.Busy, KeyExposed, chain.LogUnavailable, OSError) as error:
            raise CommandError(str(error)) from error
