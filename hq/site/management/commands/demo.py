"""A site to look at: an invented agency with a person in every role."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from base64 import b32encode
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django_otp.oath import totp

from hq import APPS
from hq.people import accounts
from hq.people.forms import expiry
from hq.people.models import Appointment, Authenticator, Completion, Course, Grant, Person, Role
from hq.site import clock
from hq.site.doctor import DEMO_MARK
from hq.site.models import Settings

AGENCY = f"Arroyo Vista Police Department {DEMO_MARK}"
PEOPLE = (
    ("commander", "Mara Delgado", "Support Services Division Commander", ("commander", "overseer")),
    ("administrator", "Ivo Lindqvist", "Police Services Analyst", ("administrator",)),
    ("custodian", "Ruth Okafor", "Records Manager", ("custodian",)),
    ("training", "Dana Whitlock", "Training Sergeant", ("training_sergeant",)),
    ("auditor", "Felix Marchetti", "Professional Standards Lieutenant", ("auditor",)),
    ("investigator", "Noor Haddad", "Detective", ("investigator",)),
    ("officer", "Cal Brennan", "Police Officer", ("officer",)),
    ("dispatcher", "Pia Sandoval", "Dispatcher", ("dispatcher",)),
    ("clerk", "Theo Varga", "Records Clerk", ("records_clerk",)),
    ("technician", "Lin Castellano", "Field Technician", ("technician",)),
)
_READERS = ("commander", "administrator", "custodian", "investigator", "officer", "dispatcher")


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
        call_command("migrate", verbosity=0)
        held = Settings.current()
        if held is not None and DEMO_MARK not in held.agency:
            raise CommandError(f"this is the site of {held.agency}, not a demo", returncode=3)
        if held is None:
            with transaction.atomic():
                _people(_password())
        for name in APPS:
            build = getattr(apps.get_app_config(name), "demo", None)
            if build:
                build()
        self._print(_password())

    def _print(self, password: str) -> None:
        self.stdout.write(f"{AGENCY}: people and plates are invented. Every password: {password}")
        for person in Person.objects.filter(state=Person.State.ACTIVE).order_by("pk"):
            device = Authenticator.objects.filter(user=person, confirmed=True).first()
            secret = b32encode(device.bin_key).decode() if device else "(enrolled at log-in)"
            self.stdout.write(f"  {person.username:<14} {', '.join(person.roles()):<22} {secret}")
        self.stdout.write("Add a secret to an authenticator, or ask: platewarden-hq demo --code USER")


def _people(password: str) -> None:
    now, today = clock.now(), clock.today()
    course = Course.objects.create(
        code="alpr", version="1", title="ALPR use and policy 430", document="Demo", required_from=today
    )
    made: dict[str, Person] = {}
    for username, name, title, roles in PEOPLE:
        person = Person(
            username=username, full_name=name, title=title, agency=AGENCY, state="active", approved_at=now,
            seen_at=now, badge=f"D{len(made) + 101}",
        )  # fmt: skip
        accounts.set_password(person, password)
        made[username] = person
        Authenticator.objects.create(user=person, name="authenticator", confirmed=True)
        for role in roles:
            Appointment.objects.create(person=person, role=Role(role), document="Demo", approved_at=now)
        if set(roles) & set(_READERS):
            Grant.objects.create(person=person, code=Grant.Code.DEPT_READS, document="Demo", approved_at=now)
        Completion.objects.create(
            person=person, course=course, completed_on=today, trainer="Dana Whitlock", document="Demo",
            expires_on=expiry(today, course.validity_months),
        )  # fmt: skip
    Settings.objects.create(
        agency=AGENCY, ori="CA0000000", policy_id="430", policy_version="2026 (demo)", reason="Demo",
        proposed_by=made["administrator"], approved_by=made["commander"], approved_at=now,
    )  # fmt: skip


def _password() -> str:
    """One password for the demo, made once and kept in its folder."""
    path = Path(settings.DATA) / "demo-password"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"demo-{secrets.token_hex(4)}\n")
    return path.read_text().strip()


def _code(username: str) -> str:
    device = Authenticator.objects.filter(user__username=username, confirmed=True).first()
    held = Settings.current()
    if device is None or held is None or DEMO_MARK not in held.agency:
        raise CommandError(f"no demo person {username}")
    return f"{totp(device.bin_key):06d}"
