"""The demo agency (`hq.demo`), for tests that look at HQ through a browser.

Run as a program with PLATEWARDEN_HQ_DATA set, it fills that folder and prints as JSON what a test needs to
know: ids for the addresses, log-ins, sessions.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

UNIT = "arroyo-1"


def main() -> None:
    os.environ["PLATEWARDEN_HQ_DEMO"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    from django.conf import settings

    Path(settings.DATA).mkdir(mode=0o700, parents=True, exist_ok=True)
    import django

    held = settings.DATABASES["default"].get("OPTIONS", {})
    if "init_command" in held:
        # As the tests' own database: nobody pulls the plug.
        held["init_command"] = held["init_command"].replace("=FULL", "=OFF")
    django.setup()
    argument = sys.argv[1] if len(sys.argv) > 1 else "fill"
    made = {"fill": fill, "hit": hit_from_a_unit, "hostile": hostile_texts}[argument]()
    print(json.dumps(made, default=str))


def fill() -> dict[str, Any]:
    """Make the demo agency and return ids, log-ins and sessions."""
    from django.core.management import call_command
    from django.db import transaction

    from hq import demo

    call_command("migrate", verbosity=0)
    with transaction.atomic():
        ids = demo.build()
        ids["removal"] = _removal(ids["authority"])
    return told(ids)


def _removal(authority: int) -> int:
    """A removal of log rows to look at; a real one needs a log of two years."""
    from hq.log.models import Removal
    from hq.people.models import Person
    from hq.retention.models import Schedule
    from hq.site import clock

    now = clock.now()
    return Removal.objects.create(
        schedule=Schedule.objects.get(category="access_log"),
        authority_id=authority,
        before=now - timedelta(days=730),
        ranges=[[1, 4]],
        rows=4,
        kept=0,
        proposed_by=Person.objects.get(username="administrator"),
        proposed_at=now,
    ).pk


def told(ids: dict[str, Any]) -> dict[str, Any]:
    """What a test needs to know of what was made."""
    from base64 import b32encode

    from hq import demo
    from hq.people.models import Authenticator

    secrets = {
        device.user.username: b32encode(device.bin_key).decode()
        for device in Authenticator.objects.select_related("user")
    }
    return {"ids": ids, "password": demo.password(), "secrets": secrets, "sessions": sessions()}


def sessions() -> dict[str, str]:
    """A session key for a person of each role, in which a purpose is stated."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django_otp import DEVICE_ID_SESSION_KEY

    from hq.people import sessions
    from hq.people.models import Authenticator, Person
    from hq.people.policy import Standing

    keys = {}
    for person in Person.objects.filter(state=Person.State.ACTIVE):
        stated = Standing(person).purposes()
        session = SessionStore()
        session[SESSION_KEY] = str(person.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
        session[HASH_SESSION_KEY] = person.get_session_auth_hash()
        session[DEVICE_ID_SESSION_KEY] = Authenticator.objects.get(user=person).persistent_id
        general = [p.code for p in stated if p.code == "criminal_investigation"]
        if stated:
            session["purpose"], session["case"] = (general or [stated[0].code])[0], "26-4417"
        session.create()
        sessions.begin(session, person)
        session.save()
        keys[person.username] = session.session_key
    return keys


def hit_from_a_unit() -> dict[str, Any]:
    """A read and its hit as the subscriber commits them, for a board that is open meanwhile."""
    from hq.records.intake import Intake, Source
    from hq.records.models import Transfer
    from tests.hq.ingest_site import received
    from tests.mqtt import samples

    read = samples.read(plate="3SSE777")
    intake = Intake()
    try:
        number = int.from_bytes(os.urandom(3))
        batch = [
            received(record, number + n, unit=UNIT, store=uuid4().hex)
            for n, record in enumerate((read, samples.hit(read.read_id, "3SSE777")))
        ]
        intake.take(batch, Source(Transfer.Way.MQTT, "test"))
    finally:
        intake.close()
    return {"read": read.read_id}


def hostile_texts() -> dict[str, Any]:
    """Hostile text in what the demo's people and units wrote."""
    from django.db import transaction

    from tests.hq import hostile

    with transaction.atomic():
        return {"columns": hostile.fill()}


if __name__ == "__main__":
    main()
