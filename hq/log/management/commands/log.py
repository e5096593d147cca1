"""Verify the access log and the sealed reads, seal reads, sign the log's head, copy it, remove old rows."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

import minisign
from django.conf import settings
from django.core.management.base import CommandError

from hq.log import chain, copies, heads, removal, seals
from hq.log.models import Removal
from hq.people.policy import Refused
from hq.retention import purge
from hq.site.commands import RecordsCommand, account
from hq.site.keys import KeyExposed


class Command(RecordsCommand):
    requires_migrations_checks = False  # A copy is verified alone where there is no database.
    help = (
        "The access log, the seals of reads and hits: verify, seal, sign the head, copy it, remove old rows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        verify = what.add_parser(
            "verify", help="check every row, every signed head, every sealed read and hit"
        )
        verify.add_argument(
            "--from", dest="first", type=_row, default=1, metavar="ROW",
            help="begin at this row, and at the first seal it or a later one tells of; "
            "a read that was put in is only found from row 1 on",
        )  # fmt: skip
        what.add_parser("seal", help="seal the reads that came since the last time")
        head = what.add_parser("head", help="print the last row's number and hash")
        head.add_argument("--sign", action="store_true", help="sign it and write it with its signature")
        head.add_argument(
            "--out", type=Path, default=Path(settings.DATA) / "log-heads", help="folder of the signed heads"
        )

        copy = what.add_parser(
            "copy", help="add what is new to a copy in a folder that goes to another machine"
        )
        copy.add_argument("folder", type=Path)
        proof = what.add_parser("verify-copy", help="verify such a folder, and the database against it")
        proof.add_argument("folder", type=Path)
        proof.add_argument(
            "--alone", action="store_true", help="the folder only, as on a machine without the database"
        )
        proof.add_argument(
            "--key", type=Path, action="append", metavar="PUB",
            help="HQ's public log key as kept elsewhere (default: keys/log*.pub of the data folder)",
        )  # fmt: skip
        what.add_parser("remove", help="remove the old rows that co-signed removals name")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (options["what"] == "verify-copy" and options["alone"]):
            self.check_migrations()
        if options["what"] == "verify":
            self._verify(options["first"])
        elif options["what"] == "seal":
            made = self._seal()
            self.stdout.write(f"{made} seals made" if made else "nothing is new")
        elif options["what"] == "copy":
            self._copy(options["folder"])
        elif options["what"] == "verify-copy":
            self._verify_copy(options["folder"], options["key"], options["alone"])
        elif options["what"] == "remove":
            self._remove()
        elif options["sign"]:
            self._sign(options["out"])
        else:
            held = chain.head()
            self.stdout.write(f"{held.sequence} {held.hash}")

    def _verify(self, first: int) -> None:
        if first > (end := chain.head().sequence) + 1:
            raise CommandError(f"--from {first}: the log ends at row {end}")
        try:
            fault = chain.verify(first) or heads.verify()
        except (minisign.Error, OSError) as error:
            raise CommandError(f"HQ's public keys: {error}") from error
        if fault is not None:
            raise CommandError(f"row {fault.sequence}: {fault.what}")
        self.stdout.write(f"rows {first} to {chain.head().sequence} are whole and fit every signed head")
        state = seals.verify(seals.first_told_from(first))
        if state.fault is not None:
            raise CommandError(state.fault.what)
        self.stdout.write(state.words())

    def _seal(self) -> int:
        try:
            return seals.seal(account())
        except (seals.Busy, chain.LogUnavailable) as error:
            raise CommandError(str(error)) from error

    def _sign(self, folder: Path) -> None:
        self._seal()
        try:
            export = heads.sign(folder)
        except (OSError, KeyExposed) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{export.text}\n{export.signature}")

    def _remove(self) -> None:
        signed = Removal.objects.filter(state=Removal.State.COSIGNED).order_by("pk")
        refused = []
        try:
            for pk in list(signed.values_list("pk", flat=True)):
                try:
                    gone = removal.run(pk, run_by=account())
                except (Refused, removal.NotRemoved) as error:
                    refused.append(f"removal {pk}: {error}")
                    continue
                self.stdout.write(f"removal {pk}: {gone} rows removed, their anchors are in the chain")
        except (purge.Busy, KeyExposed, chain.LogUnavailable, OSError) as error:
            raise CommandError(str(error)) from error
        if refused:
            raise CommandError("; ".join(refused))

    def _copy(self, folder: Path) -> None:
        self._seal()
        try:
            added = copies.add(folder)
        except (copies.CopyBroken, copies.Busy, KeyExposed, OSError) as error:
            raise CommandError(str(error)) from error
        if added.files:
            self.stdout.write(f"rows {added.first} to {added.last} added in {added.files} files")
        else:
            self.stdout.write("nothing is new")

    def _verify_copy(self, folder: Path, keys: list[Path] | None, alone: bool) -> None:
        try:
            known = [_public(path) for path in keys] if keys else heads.public_keys()
            if not known:
                raise CommandError("no public key of the log is here: name it by --key", returncode=2)
            held = copies.verify(folder, known)
            fault = None if alone else copies.compare(folder)
        except (copies.CopyBroken, minisign.Error, OSError) as error:
            raise CommandError(str(error)) from error
        if fault is not None:
            raise CommandError(f"row {fault.sequence}: {fault.what}")
        compared = "standing alone" if alone else "and the database tells them the same"
        self.stdout.write(f"rows {held.first} to {held.last} in {held.files} files are whole, {compared}")


def _public(path: Path) -> minisign.PublicKey:
    try:
        return minisign.PublicKey.from_file(path)
    except minisign.Error as error:
        raise CommandError(f"--key {path}: is no minisign key: {error}") from error


def _row(text: str) -> int:
    """The number of a row, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text!r} is no row: 1 or more")
    return number
