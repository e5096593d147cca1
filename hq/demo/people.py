"""The demo's people: one of every role, and a second one wherever two must sign.

Founded at once, as `hq.site.founding` does at a real site, since nobody is there yet to approve anybody. All
later accounts and roles go through two persons on the pages.
"""

from __future__ import annotations

import os
import secrets
from datetime import date, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password

from hq.people.forms import expiry
from hq.people.models import Appointment, Authenticator, Completion, Course, Grant, Person, Role
from hq.site import clock
from hq.site.doctor import DEMO_MARK
from hq.site.models import Settings

AGENCY = f"Arroyo Vista Police Department {DEMO_MARK}"
DOMAIN = "arroyo-vista.example"
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
    ("deputy", "Omar Whitfield", "Patrol Division Captain", ("commander",)),
    ("analyst", "Sela Brandt", "Crime Analyst", ("administrator",)),
    ("auditor2", "Gwen Ashdown", "Internal Affairs Sergeant", ("auditor",)),
    ("detective2", "Jonah Prewitt", "Detective", ("investigator",)),
    ("clerk2", "Mina Torrence", "Records Clerk", ("records_clerk",)),
    ("technician2", "Rey Abbott", "Field Technician", ("technician",)),
)
_READERS = {"commander", "administrator", "custodian", "investigator", "officer", "dispatcher"}
_RETRAIN = {"clerk2": 12, "technician2": 25}
"""Days until the training of these runs out."""


def found(password: str, today: date) -> dict[str, Person]:
    """Make the agency and its people, by user name. today: the day on which the demo is built."""
    now, day = clock.now(), clock.today()
    course = Course.objects.create(
        code="alpr", version="1", title="ALPR use and policy 430", document="Demo",
        required_from=day - timedelta(days=400),
    )  # fmt: skip
    # Every demo person has the same password, which is printed: it is hashed once.
    hashed = make_password(password)
    made: dict[str, Person] = {}
    for number, (username, name, title, roles) in enumerate(PEOPLE):
        person = made[username] = Person.objects.create(
            username=username, full_name=name, title=title, agency=AGENCY, state="active", approved_at=now,
            seen_at=now, badge=f"D{number + 101}", email=f"{username}@{DOMAIN}", password=hashed,
            password_once=False, password_at=now,
        )  # fmt: skip
        Authenticator.objects.create(user=person, name="authenticator", confirmed=True)
        for role in roles:
            Appointment.objects.create(person=person, role=Role(role), document="Demo", approved_at=now)
        if set(roles) & _READERS:
            Grant.objects.create(person=person, code=Grant.Code.DEPT_READS, document="Demo", approved_at=now)
        completed = today - timedelta(days=365 - _RETRAIN[username]) if username in _RETRAIN else day
        Completion.objects.create(
            person=person, course=course, completed_on=completed, trainer="Dana Whitlock", document="Demo",
            expires_on=expiry(completed, course.validity_months),
        )  # fmt: skip
    Settings.objects.create(
        agency=AGENCY, ori="CA0000000", policy_id="430", policy_version="2026 (demo)", reason="Demo",
        proposed_by=made["administrator"], approved_by=made["commander"], approved_at=now,
    )  # fmt: skip
    return made


def password() -> str:
    """One password for the demo, made once and kept in its folder."""
    path = Path(settings.DATA) / "demo-password"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"demo-{secrets.token_hex(4)}\n")
    return path.read_text().strip()
