"""A site to look at: an invented agency with a person in every role."""

from __future__ import annotations

import contextlib
import shlex
import sys
from argparse import ArgumentParser
from base64 import b32encode
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django_otp.oath import totp

from hq import APPS, demo
from hq.people.models import Authenticator, Person
from hq.site import doctor
from hq.site.doctor import DEMO_MARK
from hq.site.models import Settings


class Command(BaseCommand):
    help = "Build a plainly marked demo agency with people of every role and print their log-ins."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--code", metavar="USER", help="print the present second factor of a demo person")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "set PLATEWARDEN_HQ_DEMO=1: a demo is never built into a real site", returncode=3
            )
        if options["code"]:
            self.stdout.write(_code(options["code"]))
            return
        _hurry()
        call_command("migrate", verbosity=0)
        held = Settings.current()
        if held is not None and DEMO_MARK not in held.agency:
            raise CommandError(f"this is the site of {held.agency}, not a demo", returncode=3)
        if held is None:
            with transaction.atomic():
                demo.build()
        for name in APPS:
            build = getattr(apps.get_app_config(name), "demo", None)
            if build:
                build()
        self._print(demo.password())

    def _print(self, password: str) -> None:
        self.stdout.write(f"{demo.AGENCY}: people and plates are invented. Every password: {password}")
        for person in Person.objects.filter(state=Person.State.ACTIVE).order_by("pk"):
            device = Authenticator.objects.filter(user=person, confirmed=True).first()
            secret = b32encode(device.bin_key).decode() if device else "(enrolled at log-in)"
            self.stdout.write(f"  {person.username:<14} {', '.join(person.roles()):<22} {secret}")
        self.stdout.write(f"Add a secret to an authenticator, or ask: {asking()}")


def asking() -> str:
    """The command that tells a code, whole: `make run` builds the demo where no command looks by itself, and
    its environment is seldom on anybody's PATH."""
    program = Path(sys.executable).with_name("platewarden-hq")
    with contextlib.suppress(ValueError):
        program = program.relative_to(Path.cwd())
    data = shlex.quote(str(settings.DATA))
    return f"PLATEWARDEN_HQ_DATA={data} {shlex.quote(str(program))} demo --code USER"


def _hurry() -> None:
    """Nobody mourns a demo whose plug was pulled while it was built: SQLite does not wait for the disk."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")


def _code(username: str) -> str:
    if doctor.other_version():
        raise CommandError(
            f"{settings.DATA}: no demo is here; PLATEWARDEN_HQ_DATA names its folder", returncode=3
        )
    device = Authenticator.objects.filter(user__username=username, confirmed=True).first()
    held = Settings.current()
    if device is None or held is None or DEMO_MARK not in held.agency:
        raise CommandError(f"no demo person {username}")
    return f"{totp(device.bin_key):06d}"
