"""Attacks on logging in: guessing past the lock, planted sessions, links that lead or lie, what leaks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from hq.log.models import AccessRecord
from hq.people import accounts
from hq.people.models import Person
from hq.people.returning import wanted_or_home
from tests.hq import addresses
from tests.hq.conftest import PASSWORD
from tests.hq.test_people_login import _code

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]


def show_password(client: Client, username: str, password: str = PASSWORD) -> Any:
    client.post("/people/login/", {"acknowledge": "1"})
    return client.post("/people/login/", {"username": username, "password": password, "lawful": "on"})


def is_open(client: Client) -> bool:
    return bool(client.get("/").status_code == 200)


@pytest.mark.clause("CJIS AC-7")
@pytest.mark.clause("CJIS IA-2")
def test_lock_holds_in_every_session_in_which_the_password_was_shown_before(people: People) -> None:
    """Who has the password could else open a thousand sessions first and guess one code in each."""
    person = people("officer")
    waiting = [Client() for _ in range(3)]
    for client in waiting:
        assert show_password(client, person.username).status_code == 302
    for _ in range(5):
        waiting[0].post("/people/login/code/", {"code": "000000"})
        show_password(waiting[0], person.username)
    for client in waiting[1:]:
        answer = client.post("/people/login/code/", {"code": _code(person)})
        assert answer.status_code == 403
        assert b"CJIS AC-7" in answer.content
        assert not is_open(client)
    assert AccessRecord.objects.filter(outcome="refused", note__contains="locked").count() >= 2


@pytest.mark.clause("CJIS AC-7")
@pytest.mark.parametrize("spelling", ["OFFICER1", " officer1 ", "Officer1\t"])
def test_another_spelling_of_the_name_is_no_fresh_start(people: People, spelling: str) -> None:
    person = people("officer", username="officer1")
    for _ in range(5):
        show_password(Client(), spelling, "wrong")
    assert show_password(Client(), person.username).status_code == 403
    assert AccessAttempt.objects.values_list("username", flat=True).distinct().get() == "officer1"


@pytest.mark.clause("CJIS AC-7")
def test_name_that_is_nobodys_is_locked_and_answered_as_any_other(people: People) -> None:
    """Else the lock or the words would tell which names have accounts."""
    person = people("officer")
    answers = []
    for name in (person.username, "nobody-here"):
        told = [show_password(Client(), name, "wrong") for _ in range(6)]
        answers.append([(one.status_code, one.content.replace(name.encode(), b"NAME")) for one in told])
    assert [code for code, _ in answers[0]] == [code for code, _ in answers[1]]
    assert answers[0][-1][0] == 403
    assert len(set(answers[0][0][1].split(b"csrfmiddlewaretoken")[0::2])) == 1


@pytest.mark.clause("430.5(a)")
def test_name_that_is_nobodys_costs_a_password_check_too(people: People, monkeypatch: Any) -> None:
    """So that the time of the answer does not tell it."""
    checked = []
    model: Any = get_user_model()
    once = model.set_password
    monkeypatch.setattr(model, "set_password", lambda self, raw: checked.append(raw) or once(self, raw))
    show_password(Client(), "nobody-here", "wrong")
    assert checked == ["wrong"]


@pytest.mark.clause("430.5(a)")
def test_planted_session_stands_neither_at_the_second_factor_nor_inside(people: People) -> None:
    """The attacker's own session cookie, put into the victim's browser before the log-in."""
    person = people("officer")
    attacker, victim = Client(), Client()
    attacker.post("/people/login/", {"acknowledge": "1"})
    victim.cookies = attacker.cookies.copy()
    show_password(victim, person.username)
    assert attacker.get("/people/login/code/").status_code == 302
    assert victim.post("/people/login/code/", {"code": _code(person)}).status_code == 302
    assert is_open(victim)
    assert not is_open(attacker)
    assert attacker.get("/people/login/code/").status_code == 302


@pytest.mark.clause("CJIS IA-2")
def test_new_start_ends_what_was_begun_with_the_stolen_password(
    people: People, client_for: ClientFor
) -> None:
    """Else the thief, waiting at the second factor, would enrol the authenticator that was set back."""
    person = people("officer")
    thief = Client()
    show_password(thief, person.username)
    administrator = client_for(people("administrator"))
    assert administrator.post(f"/people/{person.pk}/new-start/").status_code == 200
    answer = thief.get("/people/login/code/")
    assert answer.status_code == 302
    assert b"<svg" not in answer.content


@pytest.mark.clause("CJIS IA-5")
def test_open_session_alone_does_not_change_the_password(people: People, client_for: ClientFor) -> None:
    person = people("officer")
    client = client_for(person)
    new = {"new_password1": "a lane of 9 grey vans", "new_password2": "a lane of 9 grey vans"}
    for given_now in ({}, {"current": "wrong"}):
        assert client.post("/people/password/", new | given_now).status_code == 200
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert client.post("/people/password/", new | {"current": PASSWORD}).status_code == 302
    person.refresh_from_db()
    assert person.check_password(new["new_password1"])


@pytest.mark.clause("CJIS AC-7")
def test_password_is_not_guessed_where_it_is_changed(people: People, client_for: ClientFor) -> None:
    person = people("officer")
    client = client_for(person)
    new = {"new_password1": "a lane of 9 grey vans", "new_password2": "a lane of 9 grey vans"}
    for _ in range(5):
        client.post("/people/password/", new | {"current": "wrong"})
    client.post("/people/password/", new | {"current": PASSWORD})
    person.refresh_from_db()
    assert person.check_password(PASSWORD)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "http:evil.example",
        "https:///evil.example",
        " //evil.example/",
        "\t//evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://testserver@evil.example/",
        "https://testserver.evil.example/",
        "/%0d%0aSet-Cookie:a=b/../..//evil.example",
    ],
)
@pytest.mark.parametrize("page", ["/people/purpose/", "/people/unlock/"])
def test_link_leads_nowhere_else(people: People, client_for: ClientFor, page: str, wanted: str) -> None:
    client = client_for(people("investigator"))
    answer = client.post(
        f"{page}?next={quote(wanted)}", {"purpose": "criminal_investigation", "case": "26-1"}
    )
    assert answer.status_code == 302
    assert "\n" not in answer.url
    assert urlsplit(answer.url).netloc == ""
    assert not answer.url.startswith(("//", "/\\"))


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from("/\\:@.?#%\t\r\n evilhtps"), max_size=14).map(
        lambda text: text + "//evil.example"
    )
)
def test_whatever_stands_before_a_foreign_host_leads_nowhere_else(wanted: str) -> None:
    # A browser takes a backslash for a slash and drops tabs and line breaks.
    asked = RequestFactory().get("/people/login/", {"next": wanted})
    seen = wanted_or_home(asked).replace("\\", "/").translate({9: None, 10: None, 13: None}).strip()
    assert urlsplit(seen).netloc in ("", "testserver")
    assert not seen.startswith("//")
    assert urlsplit(seen).scheme in ("", "http", "https")


def test_link_puts_no_words_on_the_log_in_page(client: Client) -> None:
    lie = "call 555-0100 and tell your password"
    assert lie.encode() not in client.get("/people/login/", {"ended": lie}).content
    client.post("/people/login/", {"acknowledge": "1"})
    assert lie.encode() not in client.get("/people/login/", {"ended": lie}).content


@pytest.mark.parametrize("how", ["logged out", "an hour without use", "elsewhere"])
def test_log_in_page_still_says_why_a_session_ended(
    people: People, client_for: ClientFor, clock: Any, how: str
) -> None:
    person = people("officer")
    client = client_for(person)
    if how == "an hour without use":
        clock.advance(minutes=61)
    if how == "elsewhere":
        client_for(person)
    answer = client.post("/people/logout/") if how == "logged out" else client.get("/")
    assert how.encode() in client.get(answer.url).content


@pytest.mark.clause("430.5-0")
@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver:80@evil.example", "a b"]
)
def test_made_up_host_is_answered_nowhere(host: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    for address in [one for one in addresses.ALL if one.name in ("people:login", "site:home", "api:openapi")]:
        answer = Client(headers={"Host": host}).get(address.path())
        assert answer.status_code == 400
        assert b"evil" not in answer.content
    answer = Client(headers={"X-Forwarded-Host": host}).get("/")
    assert "evil" not in answer.url


@pytest.mark.clause("CJIS AU-2")
def test_no_secret_is_in_any_log(people: People, caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    """Passwords, codes, session keys and first passwords: in neither log, at whatever level."""
    caplog.set_level(logging.DEBUG)
    person = people("officer")
    client = Client()
    show_password(client, person.username, "wrong-Passw0rd-typed")
    show_password(client, person.username)
    code = _code(person)
    client.post("/people/login/code/", {"code": "123456"})
    client.post("/people/login/code/", {"code": code})
    assert is_open(client)
    key = str(client.session.session_key)
    once = accounts.once(person)
    written = "".join(
        f"{row.note}{row.elements}{row.ids}{row.username}{row.session}" for row in AccessRecord.objects.all()
    )
    said = "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("django.db")
    )
    attempts = "".join(str(vars(one)) for one in AccessAttempt.objects.all())
    for secret in (PASSWORD, "wrong-Passw0rd-typed", code, key, once):
        assert secret not in written
        assert secret not in said
        assert secret not in attempts


@pytest.mark.clause("430.5-0")
def test_cookies_of_a_site_are_for_this_site_over_tls_alone() -> None:
    from hq import settings as real

    assert real.SESSION_COOKIE_HTTPONLY
    assert real.CSRF_COOKIE_HTTPONLY
    assert (real.SESSION_COOKIE_SAMESITE, real.CSRF_COOKIE_SAMESITE) == ("Lax", "Strict")
    if not real.DEMO:
        assert real.SESSION_COOKIE_SECURE
        assert real.CSRF_COOKIE_SECURE
        assert real.SECURE_SSL_REDIRECT
