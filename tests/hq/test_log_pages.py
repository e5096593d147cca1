"""The access log's pages and commands: who sees which rows, and what the chain's state tells."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import minisign
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from hq.log import chain, heads, triggers
from hq.log.models import AccessRecord, SignedHead
from hq.people.models import Person
from hq.site import keys

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
Clients = Callable[..., Client]


@pytest.fixture(autouse=True)
def _data(settings: Any, tmp_path: Path) -> None:
    settings.DATA = tmp_path


def _lift() -> None:
    with connection.cursor() as cursor:
        for statement in triggers.drops(connection, "log_accessrecord"):
            cursor.execute(statement)


@pytest.mark.clause("430.5(a)")
def test_person_sees_own_rows_the_commander_the_departments_the_auditor_all(
    people: People, client_for: Clients
) -> None:
    officer, guest = (
        people("officer", full_name="Own Row"),
        people("officer", full_name="Guest Row", agency="Other PD"),
    )
    for person in (officer, guest):
        chain.append(kind="search", person=person, action="reads.search", note=f"note of {person.full_name}")
    own = client_for(officer).get("/log/own/").content.decode()
    assert "note of Own Row" in own
    assert "note of Guest Row" not in own
    commander = client_for(people("commander")).get("/log/").content.decode()
    assert "note of Own Row" in commander
    assert "note of Guest Row" not in commander
    assert "note of Guest Row" in client_for(people("auditor")).get("/log/").content.decode()
    assert client_for(officer).get("/log/").status_code == 403


@pytest.mark.clause("430.5(a)")
def test_looking_at_the_log_is_logged_with_what_was_looked_for(people: People, client_for: Clients) -> None:
    auditor = people("auditor")
    client_for(auditor).get("/log/?name=smith&outcome=refused&page=99")
    row = AccessRecord.objects.first()
    assert row is not None
    assert (row.action, row.person) == ("log.department", auditor)
    assert row.elements["name"] == "smith"
    assert row.elements["outcome"] == "refused"


def test_filters_find_rows_by_each_field(people: People, client_for: Clients, clock: Any) -> None:
    client = client_for(people("auditor"))
    chain.append(kind="search", person=None, username="old", action="reads.search", note="first", case="26-1")
    clock.advance(days=1)
    client = client_for(people("auditor"))
    chain.append(
        kind="search", person=None, username="new", action="hits.view", note="second", outcome="refused"
    )
    found = {
        "name=old": "first",
        "action=hits": "second",
        "case=26-1": "first",
        "until=2026-06-03": "first",
        "since=2026-06-04&action=hits": "second",
    }
    for query, note in found.items():
        text = client.get(f"/log/?{query}").content.decode()
        assert (">first<" in text, ">second<" in text) == (note == "first", note == "second"), query


@pytest.mark.clause("430.7-b")
def test_what_was_typed_in_is_shown_as_text(people: People, client_for: Clients) -> None:
    chain.append(
        kind="x",
        person=None,
        action="a",
        note="<script>1</script>",
        elements={"<em>": "<img src=x>"},
        ids=["<i>"],
    )
    text = client_for(people("auditor")).get("/log/").content.decode()
    for raw in ("<script>1", "<em>", "<img src=x>", "<i>"):
        assert raw not in text


@pytest.mark.clause("CJIS AU-9")
def test_signed_head_verifies_outside_and_catches_a_chain_rewritten_whole(tmp_path: Path) -> None:
    for number in range(4):
        chain.append(kind="test", person=None, action="a", elements={"n": number})
    export = heads.sign(tmp_path / "heads")
    public = minisign.PublicKey.from_bytes((tmp_path / "keys" / "log.pub").read_bytes())
    public.verify(export.text.read_bytes(), minisign.Signature.from_bytes(export.signature.read_bytes()))
    assert f"sequence 4\nsha256 {chain.head().hash}" in export.text.read_text()
    assert heads.verify() is None
    _lift()
    previous = chain.FIRST
    for row in AccessRecord.objects.order_by("sequence"):
        row.note, row.previous = "nothing to see", previous
        row.hash = previous = chain.digest(row)
        row.save()
    from hq.log.models import ChainHead

    ChainHead.objects.update(hash=previous)
    assert chain.verify() is None
    fault = heads.verify()
    assert fault is not None
    assert fault.sequence == 4


def test_command_verifies_and_fails_on_a_broken_chain(tmp_path: Path) -> None:
    for _ in range(3):
        chain.append(kind="test", person=None, action="a")
    out = StringIO()
    call_command("log", "verify", stdout=out)
    assert "rows 1 to 3 are whole" in out.getvalue()
    call_command("log", "head", "--sign", "--out", str(tmp_path), stdout=out)
    assert len(list(tmp_path.glob("log-head-*.minisig"))) == 1
    _lift()
    AccessRecord.objects.filter(sequence=2).update(note="x")
    with pytest.raises(CommandError, match="row 2: row was changed"):
        call_command("log", "verify")


@pytest.mark.clause("430.5-0")
def test_signing_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keys.secret("log")
    path = tmp_path / "keys" / "log.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(CommandError, match="others can read"):
        call_command("log", "head", "--sign")
    assert SignedHead.objects.count() == 0


@pytest.mark.clause("CJIS AU-9")
def test_chain_page_verifies_and_tells_a_lost_trigger(people: People, client_for: Clients) -> None:
    client = client_for(people("auditor"))
    assert b"in force" in client.get("/log/chain/").content
    assert client.post("/log/chain/verify/").status_code == 302
    assert b"fit." in client.get("/log/chain/").content
    _lift()
    assert b"broken" in client.get("/log/chain/").content
    AccessRecord.objects.filter(sequence=1).update(note="x")
    client.post("/log/chain/verify/")
    assert b"row was changed" in client.get("/log/chain/").content
