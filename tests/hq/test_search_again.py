"""A browser's way back to results: looked up and recorded anew, under the search's own purpose (430.3(a))."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from hq.audits import reports
from hq.log.models import AccessRecord
from hq.people.models import Grant, Person
from tests.hq import kept
from tests.hq.conftest import Clock
from tests.hq.searching import WHY, last

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]


def address(answer: Any) -> str:
    """Where a page says that it can be had again."""
    return html.unescape(re.findall(r'data-address="([^"]+)"', answer.content.decode())[0])


@pytest.fixture
def detective(people: People, clock: Clock) -> Person:
    return people("Investigator")


@pytest.fixture
def client(client_for: ClientFor, detective: Person) -> Client:
    return client_for(detective)


@pytest.mark.clause("430.2.1(d)")
@pytest.mark.clause("430.7-b")
def test_results_are_shown_again_and_recorded_again(client: Client, clock: Clock) -> None:
    rows = [kept.read("7ABC123") for _ in range(30)]
    why = WHY | {"behalf_person": "A. Colleague"}
    first = client.post("/search/results/", why | {"plate": "7abc-123"})
    second = client.post("/search/results/", why | {"plate": "7abc-123", "page": "2"})
    before = last()
    clock.advance(minutes=10)
    kept.read("7ABC123", days=0.0)
    for page, shown in ((first, 25), (second, 5)):
        where = address(page)
        assert "7ABC" not in where.upper()
        answer = client.get(where)
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
        record = last()
        assert record.sequence > before.sequence
        assert (record.kind, record.outcome, record.result_count) == ("search", "done", len(rows))
        assert len(record.ids) == shown, "what has come since does not shift it"
        assert (record.purpose, record.case, record.on_behalf_of) == (
            before.purpose,
            before.case,
            before.on_behalf_of,
        )
        assert (record.elements["plate"], record.elements["again"]) == ("7ABC123", True)
        assert f"number {record.sequence}" in answer.content.decode()
        assert "data-address" not in answer.content.decode(), "it stands there already"


@pytest.mark.clause("430.3(c)-1")
def test_canvass_is_shown_again_and_recorded_again(client: Client) -> None:
    kept.deployment("D-7")
    row = kept.read("7ABC123", deployment="D-7")
    where = address(client.post("/search/canvass/report/", WHY | {"deployment": "D-7"}))
    before = last("deployments.canvass").sequence
    assert b"7ABC123" in client.get(where).content
    record = last("deployments.canvass")
    assert (record.sequence > before, record.ids, record.case) == (True, [str(row.pk)], "26-100")


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("430.3(a)")
@pytest.mark.parametrize("lapse", ["an hour", "another session", "made up", "another purpose"])
def test_what_was_found_is_not_shown_again_to_anybody_else_or_later(
    client: Client, client_for: ClientFor, people: People, clock: Clock, lapse: str
) -> None:
    kept.read("7ABC123")
    where = address(client.post("/search/results/", WHY | {"plate": "7ABC123"}))
    looks = client
    if lapse == "an hour":
        clock.advance(minutes=29)
        looks.get("/search/")
        clock.advance(minutes=29)
        assert b"7ABC123" in looks.get(where).content
        clock.advance(minutes=3)
    elif lapse == "another session":
        looks = client_for(people("Investigator"))
        looks.post("/people/purpose/", {"purpose": "missing_person", "case": "26-200"})
        where = where.split("&")[0]
    elif lapse == "made up":
        where = where.replace("again=", "again=x")
    else:
        other = {"purpose": "missing_person", "case": "26-200"}
        where = looks.post("/people/purpose/?next=" + html.unescape(where), other | {"next": where}).url
    count = AccessRecord.objects.filter(kind="search").count()
    answer = looks.get(where, follow=True)
    assert answer.redirect_chain[-1][0] == "/search/"
    assert "search again" in answer.content.decode()
    assert "7ABC123" not in answer.content.decode()
    assert AccessRecord.objects.filter(kind="search").count() == count, "nothing was looked up"


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("430.3(d)")
def test_rights_are_asked_for_again(client: Client, detective: Person, clock: Clock) -> None:
    kept.read("7ABC123")
    where = address(client.post("/search/results/", WHY | {"plate": "7ABC123"}))
    Grant.objects.filter(person=detective).update(ended_at=clock.at)
    answer = client.get(where)
    assert answer.status_code == 403
    assert (last().outcome, last().ids) == ("refused", [])


@pytest.mark.clause("430.2.1(d)")
def test_nothing_is_shown_again_that_cannot_be_recorded(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.read("7ABC123")
    where = address(client.post("/search/results/", WHY | {"plate": "7ABC123"}))

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    monkeypatch.setattr(AccessRecord, "save", broken)
    answer = client.get(where)
    assert answer.status_code == 503
    assert b"7ABC123" not in answer.content


@pytest.mark.clause("AC-11")
def test_a_locked_session_shows_them_after_the_password_only(
    client: Client, detective: Person, clock: Clock
) -> None:
    kept.read("7ABC123")
    where = address(client.post("/search/results/", WHY | {"plate": "7ABC123"}))
    clock.advance(minutes=31)
    answer = client.get(where)
    assert answer.url.startswith("/people/unlock/?next=")
    assert b"7ABC123" not in client.get(answer.url).content


@pytest.mark.clause("430.3-0")
def test_going_back_and_forth_is_no_search_of_its_own(
    client: Client, detective: Person, clock: Clock
) -> None:
    """Who opens six results one after the other has searched once."""
    row, since = kept.read("7ABC123"), clock.at - timedelta(minutes=1)
    where = address(client.post("/search/results/", WHY | {"plate": "7ABC123"}))
    for _ in range(6):
        clock.advance(minutes=2)
        client.get(f"/search/reads/{row.pk}/")
        client.get(where)
    clock.advance(minutes=1)
    assert not [one for one in reports.anomalies(since, clock.at) if one.kind == "same plate often"]
    for _ in range(reports.SAME_PLATE - 1):
        clock.advance(minutes=2)
        client.post("/search/results/", WHY | {"plate": "7ABC123"})
    (found,) = [
        one
        for one in reports.anomalies(since, clock.at + timedelta(minutes=1))
        if one.kind == "same plate often"
    ]
    assert len(found.rows) == reports.SAME_PLATE


def test_a_form_that_came_back_is_found_again_as_it_was_filled_in(client: Client) -> None:
    for answer in (
        client.post("/search/", WHY | {"plate": "7ABC123"}),
        client.post("/search/results/", WHY | {"plate": "7ABC123", "since": "yesterday"}),
        client.post("/search/results/", WHY | {"plate": "7ABC123", "case": ""}),
    ):
        where = address(answer)
        assert where.startswith("/search/?again=")
        page = client.get(where).content.decode()
        assert 'value="7ABC123"' in page


def test_a_session_keeps_the_last_twenty_only(client: Client) -> None:
    kept.read("7ABC123")
    found = [address(client.post("/search/results/", WHY | {"plate": "7ABC123"})) for _ in range(21)]
    assert [client.get(where).status_code for where in (found[0], found[1], found[-1])] == [302, 200, 200]


@pytest.mark.clause("430.4-d")
def test_what_was_searched_for_goes_though_nobody_logged_out(
    client: Client, detective: Person, client_for: ClientFor, people: People
) -> None:
    """The browser was closed: no request ever comes for that session again."""
    client.post("/search/results/", WHY | {"plate": "7ABC123"})
    closed = client.session.session_key
    still_open = client_for(people("Investigator")).session.session_key
    held = Session.objects.get(pk=closed)
    assert "7ABC123" in json.dumps(held.get_decoded())
    Session.objects.filter(pk=closed).update(expire_date=timezone.now() - timedelta(minutes=1))
    call_command("upkeep", stdout=StringIO())
    assert [one.pk for one in Session.objects.all()] == [still_open]
