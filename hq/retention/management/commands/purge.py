"""Destroy what signed proposals hold; finish or undo first what was cut off."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from hq.people.policy import Refused
from hq.retention import purge
from hq.retention.models import Proposal
from hq.site.commands import RecordsCommand, account


class Command(RecordsCommand):
    help = "Destroy what co-signed destruction proposals hold, and certify it (430.4-d)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("proposal", nargs="*", type=int, help="numbers; all co-signed ones by default")
        parser.add_argument(
            "--recover", action="store_true", help="only finish or undo a purge that was cut off"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refused = []
        try:
            for line in purge.recover():
                self.stdout.write(line)
            if options["recover"]:
                return
            signed = Proposal.objects.filter(state=Proposal.State.COSIGNED).order_by("pk")
            for pk in options["proposal"] or list(signed.values_list("pk", flat=True)):
                try:
                    certificate = purge.run(pk, run_by=account())
                except Refused as error:
                    # One whose authority ran out does not keep the others from being carried out.
                    refused.append(f"proposal {pk}: {error}")
                    continue
                self.stdout.write(f"proposal {pk}: {certificate.reads} reads destroyed, {certificate.number}")
                for copy in certificate.proposal.copies.order_by("pk"):
                    self.stdout.write(f"HQ's copy of {copy.number}: destroyed, as reads in it are")
        except Proposal.DoesNotExist as error:
            raise CommandError(f"proposal: there is no such number: {options['proposal']}") from error
        except (purge.Busy, OSError) as error:
            raise CommandError(str(error)) from error
        if refused:
            raise CommandError("; ".join(refused))
