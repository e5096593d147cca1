"""A kiosk shows the board of a locked session, to read only, and nothing else (CJIS AC-11)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from hq.hits import live
from hq.hits.models import Acknowledgement
from hq.log.models import AccessRecord
from hq.people import kiosks
from hq.people.models import Kiosk, Person
from tests.hq.addresses import ALL
from tests.hq.conftest import PASSWORD, Clock
from tests.hq.hits_kept import PLATE, a_hit

People = Callable[..., Person]
ClientFor = Callable[..., Client]
BOARD, ROWS, STREAM = "/hits/", "/hits/rows/", "/hits/stream/"
FIELDS = {
    "place": "Dispatch, console 2",
    "kind": "dispatch",
    "statement": "Card door; the window is frosted.",
    "starts_on": "2026-06-01",
    "ends_on": "2026-06-30",
    "document": "Memo 26-9",
}
pytestmark = pytest.mark.django_db


@pytest.fixture
def offices(people: People, clock: Clock) -> tuple[Person, Person]:
    return people("administrator"), people("commander")


def appointed(client_for: ClientFor, offices: tuple[Person, Person], approved: bool = True) -> str:
    """The key of a screen that was proposed, approved and placed on the pages."""
    administrator, commander = (client_for(one) for one in offices)
    assert administrator.post("/people/kiosks/propose/", FIELDS).status_code == 302
    pk = Kiosk.objects.get().pk
    if approved:
        assert commander.post(f"/people/kiosks/{pk}/approve/").status_code == 302
    placed = administrator.post(f"/people/kiosks/{pk}/place/")
    assert placed.status_code == (302 if approved else 403)
    return placed.cookies[kiosks.COOKIE].value if approved else ""


def at(client: Client, key: str) -> Client:
    client.cookies[kiosks.COOKIE] = key
    return client


def locked(client: Client, path: str = BOARD) -> bool:
    answer: Any = client.get(path)
    return bool(answer.status_code == 302 and answer.url.startswith(("/people/unlock/", "/people/login/")))


@pytest.mark.clause("CJIS AC-11")
@pytest.mark.parametrize("hours", [0.6, 8])
def test_kiosk_shows_the_board_of_a_locked_session_with_nothing_to_press(
    people: People, client_for: ClientFor, clock: Clock, offices: Any, hours: float
) -> None:
    key = appointed(client_for, offices)
    officer = people("dispatcher")
    client, elsewhere = (
        at(client_for(officer, purpose="patrol_hit", case="7"), key),
        client_for(people("officer")),
    )
    assert "data-ack" not in client.get(ROWS).content.decode()
    clock.advance(hours=hours)
    hit = a_hit()
    assert locked(elsewhere)
    page = client.get(BOARD).content.decode()
    rows = client.get(ROWS).content.decode()
    board = page[page.index('id="board"') :]
    for shown in (board, rows):
        assert PLATE in shown
        assert officer.full_name in shown
        assert "<form" not in shown
        assert "<img" not in shown
        assert set(re.findall(r'href="([^"]*)"', shown.partition("</section>")[0])) <= {
            "/people/unlock/?next=/hits/",
            BOARD,
        }
    assert 'aria-label="Pages"' not in page
    row = AccessRecord.objects.filter(action="hits.board").latest("sequence")
    assert (row.username, row.ids, row.elements["kiosk"]) == (
        officer.username,
        [str(hit.pk)],
        Kiosk.objects.get().pk,
    )
    assert row.case == "live hit board"


@pytest.mark.clause("CJIS AC-11")
def test_locked_kiosk_opens_no_other_address_and_takes_nothing(
    people: People, client_for: ClientFor, clock: Clock, offices: Any
) -> None:
    client = at(
        client_for(people(["dispatcher", "administrator", "commander"])), appointed(client_for, offices)
    )
    hit = a_hit()
    clock.advance(minutes=31)
    open_pages = {BOARD, ROWS, STREAM}
    tried = 0
    for one in ALL:
        path = one.path({"uuid": str(hit.pk)})
        for method in ("get", "post"):
            public = getattr(one.view, "public", False) or not (one.action or one.token_action)
            if public or one.token_action or (path in open_pages and method == "get"):
                continue
            answer = getattr(client, method)(path)
            assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/people/unlock/"), (
                method,
                path,
            )
            tried += 1
    assert tried > 200
    assert not Acknowledgement.objects.exists()
    client.post(f"/people/unlock/?next={BOARD}", {"password": PASSWORD})
    assert client.post(reverse("hits:acknowledge", args=[hit.pk])).status_code == 302
    assert Acknowledgement.objects.get().by.roles()[0]


@pytest.mark.clause("CJIS AC-11")
@pytest.mark.parametrize(
    "gone",
    [
        "not approved",
        "another screen",
        "another key",
        "ended",
        "last day",
        "placed anew",
        "by hand",
        "a shift",
        "shut",
    ],
)
def test_screen_that_is_no_kiosk_locks(
    people: People, client_for: ClientFor, clock: Clock, offices: Any, gone: str
) -> None:
    key = appointed(client_for, offices, approved=gone != "not approved")
    if gone == "last day":
        clock.advance(days=27, hours=6)
    person = people("dispatcher")
    client = client_for(person)
    if gone != "another screen":
        at(client, key[::-1] if gone == "another key" else key)
    if gone == "by hand":
        client.post("/people/lock/")
    clock.advance(minutes=31)
    if gone in ("ended", "last day", "placed anew", "shut", "a shift"):
        assert not locked(client)
    if gone == "ended":
        end, commander = f"/people/kiosks/{Kiosk.objects.get().pk}/end/", client_for(offices[1])
        # 430.8-0 and CJIS AC-11: an access does not end without a reason.
        assert commander.post(end, {"reason": " "}).status_code == 403
        assert Kiosk.objects.get().ended_at is None
        commander.post(end, {"reason": "the room has a new door"})
        assert Kiosk.objects.get().ended_why == "the room has a new door"
        assert "new door" in AccessRecord.objects.filter(action="kiosks.end", outcome="done").get().note
    elif gone == "placed anew":
        client_for(offices[0]).post(f"/people/kiosks/{Kiosk.objects.get().pk}/place/")
    elif gone in ("last day", "a shift"):
        clock.advance(hours=11 if gone == "last day" else 11.5)
    elif gone == "shut":
        person.appointments.update(ended_at=clock())
        assert client.get(BOARD).status_code == 403
        return
    assert locked(client)
    assert locked(client, ROWS)


@pytest.mark.clause("CJIS SC-10")
def test_acting_at_a_kiosk_after_an_hour_takes_both_factors(
    people: People, client_for: ClientFor, clock: Clock, offices: Any
) -> None:
    client = at(client_for(people("dispatcher")), appointed(client_for, offices))
    clock.advance(hours=2)
    assert client.get(BOARD).status_code == 200
    answer: Any = client.get(f"/people/unlock/?next={BOARD}")
    assert answer.url.startswith("/people/login/")
    assert locked(client)


@pytest.mark.clause("430.3(e)")
def test_restricted_hit_is_masked_at_a_kiosk_whoever_left_it(
    people: People, client_for: ClientFor, clock: Clock, offices: Any
) -> None:
    key = appointed(client_for, offices)
    client = at(client_for(people("dispatcher", grants=["restricted", "clets", "ncic"])), key)
    a_hit(alarm_class="protection_order")
    assert PLATE in client.get(ROWS).content.decode()
    clock.advance(minutes=31)
    assert PLATE not in client.get(ROWS).content.decode()


@pytest.mark.clause("CJIS AC-11")
def test_stream_of_a_kiosk_ends_at_the_lock_and_then_brings_the_rows_anew(
    people: People, client_for: ClientFor, clock: Clock, offices: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float]] = []

    def events(known: str, lasting_s: float) -> list[str]:
        asked.append((known, lasting_s))
        return [known]

    monkeypatch.setattr(live, "events", events)
    client = at(client_for(people("dispatcher")), appointed(client_for, offices))
    clock.advance(minutes=29)
    client.get(f"{STREAM}?mark=abc")
    clock.advance(minutes=2)
    client.get(f"{STREAM}?mark=abc")
    assert [known for known, _ in asked] == ["abc", ""]
    assert [lasting for _, lasting in asked] == pytest.approx([60, 12 * 3600 - 31 * 60], abs=1)


@pytest.mark.clause("430.2-d")
def test_kiosk_takes_two_persons_place_statement_and_a_year_at_most(
    people: People, client_for: ClientFor, clock: Clock, offices: Any
) -> None:
    both = people(["administrator", "commander"])
    client = client_for(both)
    for wrong in ({"place": ""}, {"statement": ""}, {"ends_on": ""}, {"ends_on": "2027-07-01"}):
        assert client.post("/people/kiosks/propose/", FIELDS | wrong).status_code == 422
    client.post("/people/kiosks/propose/", FIELDS)
    kiosk = Kiosk.objects.get()
    assert client.post(f"/people/kiosks/{kiosk.pk}/approve/").status_code == 403
    assert client_for(offices[0]).post(f"/people/kiosks/{kiosk.pk}/approve/").status_code == 403
    assert client_for(people("dispatcher")).get("/people/kiosks/").status_code == 403
    for change in ({"approved_by": both}, {"ends_on": date(2030, 1, 1)}, {"place": "The lobby"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Kiosk.objects.filter(pk=kiosk.pk).update(**change)
