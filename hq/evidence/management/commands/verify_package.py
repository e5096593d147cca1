"""Check a package as VERIFY.txt tells an outsider to."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import minisign
from django.core.management.base import BaseCommand, CommandError

from hq.evidence import check
from hq.evidence.models import Package
from hq.releases.models import ReleaseRequest
from hq.site import databases, keys


class Command(BaseCommand):
    help = "Check a package: its signature, every file, nothing added, and the SHA-256 that HQ recorded."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the ZIP")
        parser.add_argument("--key", default="", help="minisign key; HQ's own by default")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        public = _public(options["key"])
        try:
            with path.open("rb") as file:
                number = check.number(file)
                recorded = _recorded(number)
                found = check.faults(file, public, recorded)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror or error}") from error
        for fault in found:
            self.stdout.write(f"{path}: {fault}")
        if found:
            sys.exit(1)
        compared = f"recorded as {number}" if recorded else "no package of its number is recorded here"
        self.stdout.write(f"{path}: is what was signed; {compared}")


def _public(text: str) -> minisign.PublicKey:
    """The key as text, or HQ's own. Raises CommandError without: one made now would fit no package."""
    own = keys.folder() / "evidence.key"
    if not text and not own.exists():
        raise CommandError(
            f"{own}: is not here; name the agency's public key with --key, or HQ's folder with "
            "PLATEWARDEN_HQ_DATA"
        )
    try:
        return minisign.PublicKey.from_base64(text) if text else keys.public("evidence")
    except minisign.Error as error:
        what = f"--key {text}: is no key of minisign's; give its text, such as RWQ..." if text else str(error)
        raise CommandError(what) from error
    except (OSError, keys.KeyExposed) as error:
        raise CommandError(str(error)) from error


def _recorded(number: str) -> str:
    """The SHA-256 that HQ recorded for the package of this number, "" where it knows none."""
    if databases.empty():  # a machine without HQ's records, on which a key was named
        return ""
    for model in (Package, ReleaseRequest):
        digest = model._default_manager.filter(number=number).values_list("sha256", flat=True).first()
        if digest:
            return str(digest)
    return ""
