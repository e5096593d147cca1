"""A form that is sent twice enters once, whatever it is; the same words from a page shown anew are meant."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from hq.api import tokens
from hq.api.models import ApiToken
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people.models import Completion, Course, Person
from hq.retention.models import Hold
from hq.site import clock as hq_clock
from hq.units.models import Work
from tests.hq import kept

People = Callable[..., Person]
Clients = Callable[..., Client]
HOLD = "/retention/holds/new/"


def _hold() -> dict[str, str]:
    return {
        "kind": "criminal_evidence",
        "case": "26-1234",
        "requester": "D. Attorney",
        "reason": "evidence in a trial",
        "plate": "7ABC123",
        "review_on": str(hq_clock.today() + timedelta(days=30)),
    }


def _token(client: Client, page: str) -> dict[str, str]:
    """What the forms of the page carry, as it is shown now."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(page).content.decode())
    assert found
    return {"csrfmiddlewaretoken": found[1]}


@pytest.mark.django_db
@pytest.mark.clause("430.4-d")
def test_second_press_enters_nothing_and_leads_to_the_same_page(
    people: People, client_for: Clients, clock: Any
) -> None:
    client = client_for(people("records_clerk"))
    sent = _hold() | _token(client, HOLD)
    first, second = client.post(HOLD, sent), client.post(HOLD, sent)
    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    assert Hold.objects.count() == 1
    notes = [
        one.note for one in AccessRecord.objects.filter(kind="hold", outcome="done").order_by("sequence")
    ]
    assert notes[-1] == "sent again, entered once"
    client.post(HOLD, sent | {"case": "26-1235"})  # of the same page, but something else
    client.post(HOLD, _hold() | _token(client, HOLD))  # the same words, of a page that was opened anew
    assert Hold.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.clause("430.3(d)")
@pytest.mark.clause("430.2-c")
def test_permanent_rows_are_entered_once(people: People, client_for: Clients, clock: Any) -> None:
    officer, unit = people("officer"), kept.Office(people)
    sergeant, technician = client_for(people("training_sergeant")), client_for(unit.technician)
    at = kept.unit("pole-1")
    done = {
        "person": officer.pk,
        "course": Course.objects.get().pk,
        "completed_on": str(hq_clock.today()),
        "trainer": "T",
    }
    line = {"kind": "repair", "at": "2026-06-03T08:00", "done_by": "T", "note": "lens wiped"}
    before = Completion.objects.count()
    for client, page, path, fields in (
        (sergeant, "/people/training/completion/", "/people/training/completion/", done),
        (technician, f"/units/unit/{at.pk}/", f"/units/unit/{at.pk}/maintenance/", line),
    ):
        sent = fields | _token(client, page)
        assert [client.post(path, sent).status_code for _ in range(2)] == [302, 302]
    assert (Completion.objects.count() - before, Work.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_form_with_a_mistake_is_not_taken_for_one_that_was_entered(
    people: People, client_for: Clients, clock: Any
) -> None:
    client = client_for(people("records_clerk"))
    wrong = _hold() | {"plate": ""} | _token(client, HOLD)
    assert [client.post(HOLD, wrong).status_code for _ in range(2)] == [200, 200]
    assert not Hold.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.4-d")
def test_two_presses_at_the_same_moment_enter_once(people: People, client_for: Clients) -> None:
    client = client_for(people("records_clerk"))
    sent, gate, led = _hold() | _token(client, HOLD), threading.Barrier(3), list[str]()

    def press() -> None:
        mine = Client()
        mine.cookies = client.cookies
        gate.wait(20)
        led.append(mine.post(HOLD, sent)["Location"])
        connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert (len(led), len(set(led)), Hold.objects.count()) == (3, 1, 1)
    assert chain.verify() is None


@pytest.mark.django_db
@pytest.mark.clause("430.2.1(a)")
def test_second_press_shows_a_first_password_that_counts(
    people: People, client_for: Clients, clock: Any
) -> None:
    """The browser drops the answer to the first press, and with it the password that was shown once."""
    commander = client_for(people("commander"))
    person = people("", state="proposed", approved_at=None, seen_at=None, proposed_by=people("administrator"))
    path = f"/people/{person.pk}/approve/"
    sent = _token(commander, f"/people/{person.pk}/")
    shown = []
    for _ in range(2):
        answer = commander.post(path, sent)
        assert answer.status_code == 200
        shown.append(answer.content.decode().split('<code class="secret">')[1].split("<")[0])
    person.refresh_from_db()
    assert (person.state, person.check_password(shown[1])) == ("active", True)
    assert commander.post(path).status_code == 403, "not from another page"
    Person.objects.filter(pk=person.pk).update(password_once=False)
    assert commander.post(path, sent).status_code == 403, "who has logged in keeps the own password"


@pytest.mark.django_db
@pytest.mark.clause("430.2-d")
def test_second_press_shows_a_token_that_counts(people: People, client_for: Clients, clock: Any) -> None:
    person = people("investigator")
    token = ApiToken.objects.create(
        person=person, program="map", proposed_by=people("administrator"), approved_by=people("commander"),
        proposed_at=clock.at, approved_at=clock.at, expires_at=clock.at + timedelta(days=30),
    )  # fmt: skip
    client = client_for(person)
    sent = _token(client, "/api/own/")
    answers = [client.post(f"/api/own/{token.pk}/collect/", sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    token.refresh_from_db()
    assert tokens.digest(answers[1].context["secret"]) == token.digest
    assert client.post(f"/api/own/{token.pk}/collect/", {}).status_code == 403
    ApiToken.objects.update(hour=clock.at, used=1)
    assert client.post(f"/api/own/{token.pk}/collect/", sent).status_code == 403, "one in use stays"
