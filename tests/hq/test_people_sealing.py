"""The secrets of second factors: what a stolen database gives away, and how the key changes."""

from __future__ import annotations

from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django_otp.oath import totp
from hypothesis import given
from hypothesis import strategies as st

from hq.people import sealing
from hq.people.models import Authenticator, Person
from hq.site import doctor
from tests.hq.conftest import PASSWORD

pytestmark = pytest.mark.django_db
People = Callable[..., Person]


def _raw_database() -> bytes:
    """Every cell of every table, as a thief of the database reads it."""
    cells = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            cells += [cell for row in cursor.fetchall() for cell in row]
    return b"\n".join(bytes(c) if isinstance(c, (bytes, memoryview)) else str(c).encode() for c in cells)


def _code(secret: bytes) -> str:
    return f"{totp(secret):06d}"


def _enrol(person: Person) -> tuple[Client, bytes]:
    client = Client()
    client.post("/people/login/", {"acknowledge": "1"})
    client.post("/people/login/", {"username": person.username, "password": PASSWORD, "lawful": "on"})
    page = client.get("/people/login/code/")
    secret = Authenticator.objects.get(user=person).bin_key
    assert b32encode(secret) in page.content
    return client, secret


@pytest.mark.clause("430.5-0")
@pytest.mark.clause("CJIS IA-2")
def test_database_holds_no_secret_before_or_after_enrolment(people: People) -> None:
    client, secret = _enrol(people("officer", second_factor=False))
    for _ in range(2):
        held = _raw_database()
        for form in (secret, secret.hex().encode(), b32encode(secret)):
            assert form not in held
            assert form.upper() not in held
        client.post("/people/login/code/", {"code": _code(secret)})
    assert client.get("/").status_code == 200


@pytest.mark.clause("430.5-0")
def test_secrets_of_before_are_sealed_by_migrate_and_still_open(people: People, settings: Any) -> None:
    settings.SECRET_KEY_MISSING = False
    device = Authenticator.objects.get(user=people("officer"))
    secret = device.bin_key
    seals = import_module("hq.people.migrations.0002_seal_authenticators")
    Authenticator.objects.filter(pk=device.pk).update(key=secret.hex())
    assert any("lie in clear" in f.what and f.error for f in doctor.findings())
    seals.seal(apps, connection.schema_editor())
    assert secret.hex().encode() not in _raw_database()
    assert Authenticator.objects.get(pk=device.pk).bin_key == secret
    assert not any("secrets of authenticators" in f.what for f in doctor.findings())
    seals.unseal(apps, connection.schema_editor())
    assert Authenticator.objects.get(pk=device.pk).key == secret.hex()


def test_migrate_seals_nothing_under_a_key_of_the_moment(people: People, settings: Any) -> None:
    device = Authenticator.objects.get(user=people("officer"))
    Authenticator.objects.filter(pk=device.pk).update(key="00" * 20)
    settings.SECRET_KEY_MISSING, settings.DEMO = True, False
    seals = import_module("hq.people.migrations.0002_seal_authenticators")
    with pytest.raises(ImproperlyConfigured, match="PLATEWARDEN_HQ_SECRET_KEY"):
        seals.seal(apps, connection.schema_editor())
    assert Authenticator.objects.get(pk=device.pk).key == "00" * 20


@pytest.mark.clause("430.5-0")
def test_key_is_changed_in_three_steps(people: People, settings: Any, capsys: Any) -> None:
    settings.SECRET_KEY_MISSING = False
    person = people("officer")
    secret, old, new = Authenticator.objects.get(user=person).bin_key, settings.SECRET_KEY, "n" * 50
    # 1. the new key beside the old one: people still log in
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = new, [old]
    client, _ = _pending(person)
    assert client.post("/people/login/code/", {"code": _code(secret)}).status_code == 302
    assert any("SECRET_KEY_OLD" in f.remedy for f in doctor.findings())
    # 2. upkeep seals anew; 3. the old key goes
    call_command("upkeep")
    assert "1 authenticators sealed" in capsys.readouterr().out
    settings.SECRET_KEY_FALLBACKS = []
    assert Authenticator.objects.get(user=person).bin_key == secret
    assert not any("secrets of authenticators" in f.what for f in doctor.findings())


def test_upkeep_says_which_secrets_no_key_opens(people: People, settings: Any) -> None:
    settings.SECRET_KEY_MISSING = False
    people("officer")
    settings.SECRET_KEY = "x" * 50
    with pytest.raises(CommandError, match="1 authenticators cannot be opened"):
        call_command("upkeep")


@pytest.mark.clause("CJIS IA-2")
def test_sealed_secret_moved_to_another_person_opens_nothing(people: People) -> None:
    """Who can write to the database does not lend somebody their own authenticator."""
    mine, theirs = (Authenticator.objects.get(user=people("officer")) for _ in range(2))
    secret = mine.bin_key
    Authenticator.objects.filter(pk=theirs.pk).update(key=mine.key)
    client, _ = _pending(theirs.user)
    answer = client.post("/people/login/code/", {"code": _code(secret)})
    assert answer.status_code == 403
    assert b"CJIS IA-2" in answer.content
    assert client.get("/").status_code == 302


@given(secret=st.binary(max_size=29), owner=st.text(max_size=40), flipped=st.integers(0, 10_000))
def test_seal_opens_whole_for_its_owner_and_not_once_changed(secret: bytes, owner: str, flipped: int) -> None:
    text = sealing.seal(secret, owner)
    assert len(text) <= Authenticator._meta.get_field("key").max_length
    assert sealing.unseal(text, owner) == secret
    with pytest.raises(sealing.SealBroken):
        sealing.unseal(text, owner + "0")
    packed = bytearray(urlsafe_b64decode(text.removeprefix("s1:")))
    packed[flipped % len(packed)] ^= 1 << flipped % 8
    with pytest.raises(sealing.SealBroken):
        sealing.unseal("s1:" + urlsafe_b64encode(packed).decode(), owner)


def _pending(person: Person) -> tuple[Client, Any]:
    client = Client()
    client.post("/people/login/", {"acknowledge": "1"})
    return client, client.post(
        "/people/login/", {"username": person.username, "password": PASSWORD, "lawful": "on"}
    )
