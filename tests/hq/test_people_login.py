"""Logging in as a person does, and how the session then ends."""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Callable
from datetime import timedelta
from html import escape, unescape
from types import SimpleNamespace
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.oath import totp

from hq import settings as hq_settings
from hq.hits.models import Correction
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people import accounts, login, passwords, sessions, unsent
from hq.people.models import Authenticator, Person
from hq.site import doctor
from tests.hq import kept
from tests.hq.conftest import PASSWORD

pytestmark = pytest.mark.django_db
People = Callable[..., Person]


@pytest.fixture(autouse=True)
def _middle_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The authenticator's clock stands: a step that ends before a code is tried shifts the next one."""
    now = time.time() // 30 * 30 + 15
    monkeypatch.setattr("django_otp.oath.time", lambda: now)
    monkeypatch.setattr("django_otp.plugins.otp_totp.models.time", SimpleNamespace(time=lambda: now))


def _code(person: Person, steps: int = 0) -> str:
    device = Authenticator.objects.get(user=person)
    return f"{totp(device.bin_key, t0=-steps * 30):06d}"


def _password(client: Client, person: Person | str, password: str = PASSWORD, **fields: str) -> Any:
    name = person if isinstance(person, str) else person.username
    client.post("/people/login/", {"acknowledge": "1"})
    return client.post("/people/login/", {"username": name, "password": password, "lawful": "on", **fields})


def _log_in(client: Client, person: Person, steps: int = 0) -> Any:
    _password(client, person)
    return client.post("/people/login/code/", {"code": _code(person, steps)})


def _open(client: Client) -> bool:
    return bool(client.get("/").status_code == 200)


@pytest.mark.clause("CJIS AC-8")
def test_banner_stands_before_the_password_until_acknowledged(client: Client, people: People) -> None:
    assert b"Restricted system" in client.get("/people/login/").content
    person = people("officer")
    client.post("/people/login/", {"username": person.username, "password": PASSWORD, "lawful": "on"})
    assert "pending" not in client.session
    answer = client.post("/people/login/", {"acknowledge": "1"}, follow=True)
    assert b'name="password"' in answer.content


@pytest.mark.clause("430.3-0")
def test_lawful_use_is_acknowledged_at_every_log_in(client: Client, people: People) -> None:
    person = people("officer")
    for _ in ("first", "next"):
        assert _password(client, person, lawful="").status_code != 302
        assert "pending" not in client.session
        assert not _open(client)
        # The same with the word: it was the word alone that lacked.
        assert _log_in(client, person).status_code == 302
        assert _open(client)
        client = Client()
        Authenticator.objects.update(last_t=-1)


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("CJIS IA-2")
def test_no_page_opens_between_password_and_second_factor(client: Client, people: People) -> None:
    person = people("officer")
    assert _password(client, person).url.startswith("/people/login/code/")
    assert not _open(client)
    assert client.post("/people/login/code/", {"code": "000000"}).status_code == 401
    assert not _open(client)
    assert client.post("/people/login/code/", {"code": _code(person)}).url == "/"
    assert _open(client)


@pytest.mark.clause("CJIS IA-2")
def test_code_serves_once(people: People) -> None:
    person = people("officer")
    assert _log_in(Client(), person).status_code == 302
    assert _log_in(Client(), person).status_code == 401


def test_authenticator_is_enrolled_at_the_first_log_in_and_its_secret_shown_never_again(
    people: People,
) -> None:
    person = people("officer", second_factor=False)
    client = Client()
    _password(client, person)
    assert b"<svg" in client.get("/people/login/code/").content
    client.post("/people/login/code/", {"code": _code(person)})
    assert _open(client)
    again = Client()
    _password(again, person)
    assert b"<svg" not in again.get("/people/login/code/").content


@pytest.mark.clause("CJIS AC-7")
@pytest.mark.parametrize("what", ["password", "code"])
def test_five_failures_lock_until_an_administrator_releases(people: People, what: str) -> None:
    person = people("officer")
    waits = Client()
    _password(waits, person)
    for number in range(5):
        client = Client(REMOTE_ADDR=f"192.0.2.{number}")
        if what == "password":
            answer = _password(client, person, "wrong")
        else:
            _password(client, person)
            answer = client.post("/people/login/code/", {"code": "000000"})
        assert (answer.status_code == 403) == (number == 4), "the fifth is told of the lock"
    for again in (
        lambda: _password(Client(), person),
        lambda: waits.post("/people/login/code/", {"code": _code(person)}),
    ):
        answer = again()
        assert answer.status_code == 403
        assert b"CJIS AC-7" in answer.content
        assert AccessRecord.objects.latest("sequence").note == "account is locked after failed attempts"
    assert not _open(waits)
    accounts.release(person)
    assert _log_in(Client(), person).status_code == 302


@pytest.mark.clause("CJIS AC-7")
def test_five_failures_at_a_locked_screen_end_its_session(
    people: People, client_for: Callable[..., Client], clock: Any
) -> None:
    client = client_for(people("officer"))
    clock.advance(minutes=31)
    for number in range(5):
        answer = client.post("/people/unlock/", {"password": "wrong"})
        assert (answer.status_code == 403) == (number == 4)
    assert client.get("/").url.startswith("/people/login/")
    unlocked = client_for(people("officer"))
    for other in (Client(), unlocked):
        assert other.get("/people/unlock/").status_code == 302, "there is nothing to unlock"


@pytest.mark.clause("CJIS IA-2")
def test_session_without_the_second_factor_opens_no_page(people: People) -> None:
    """No log-in makes one; a session that comes about otherwise opens nothing all the same."""
    person = people("officer")
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    sessions.begin(session, person)
    session.save()
    assert client.get("/").url.startswith("/people/login/")
    session[DEVICE_ID_SESSION_KEY] = Authenticator.objects.get(user=person).persistent_id
    session.save()
    assert _open(client)


@pytest.mark.clause("CJIS AC-2")
@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_account_that_is_shut_between_password_and_code_does_not_log_in(people: People, state: str) -> None:
    person, client = people("officer"), Client()
    _password(client, person)
    Person.objects.filter(pk=person.pk).update(state=state)
    assert client.post("/people/login/code/", {"code": _code(person)}).url == "/people/login/"
    assert not AccessRecord.objects.filter(note__startswith="logged in").exists()


@pytest.mark.clause("CJIS AC-7")
def test_own_password_is_changed_by_who_knows_it(people: People, client_for: Callable[..., Client]) -> None:
    """Else an unlocked screen would be enough to take the account over."""
    person = people("officer")
    new = dict.fromkeys(("new_password1", "new_password2"), "a staple of seven batteries 9")
    client = client_for(person)
    assert b"This is not your password." in client.post("/people/password/", new | {"current": "no"}).content
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    client.post("/people/password/", new | {"current": PASSWORD})
    person.refresh_from_db()
    assert person.check_password(new["new_password1"])


@pytest.mark.clause("CJIS IA-5")
def test_what_was_typed_in_a_failed_attempt_is_in_no_table(
    people: People, client_for: Callable[..., Client]
) -> None:
    """The new password counts a moment later, when the one in force is typed right."""
    person = people("officer")
    client = client_for(person)
    new = dict.fromkeys(("new_password1", "new_password2"), "staple-of-seven-batteries-9")
    client.post("/people/password/", new | {"current": "horse-8-battery"})
    _password(Client(), person, "horse-9-battery", next="/search/?note=7ABC123")
    attempts = AccessAttempt.objects.all()
    assert sum(one.failures_since_start for one in attempts) == 2
    kept_of_them = json.dumps(list(attempts.values()), default=str)
    for typed in (*new.values(), "horse-8-battery", "horse-9-battery", "7ABC123"):
        assert typed not in kept_of_them
    attempts.update(post_data="new_password1=kept-by-an-earlier-version")
    call_command("upkeep", stdout=io.StringIO())
    assert {one.post_data for one in attempts.all()} == {""}


@pytest.mark.clause("CJIS AU-2")
def test_every_attempt_is_in_the_access_log(people: People) -> None:
    person = people("officer")
    _password(Client(), person, "wrong")
    _password(Client(), "nobody-here", "wrong")
    _log_in(Client(), person)
    rows = AccessRecord.objects.filter(action="session.login").order_by("sequence")
    assert [(r.username, r.outcome) for r in rows] == [
        (person.username, "failed"),
        ("nobody-here", "failed"),
        (person.username, "done"),
        (person.username, "done"),
    ]
    assert rows[3].person == person
    assert PASSWORD not in "".join(r.note + str(r.elements) for r in rows)


@pytest.mark.clause("430.3(d)")
def test_untrained_person_is_refused_at_log_in_by_the_clause(people: People) -> None:
    answer = _password(Client(), people("officer", trained=False))
    assert answer.status_code == 403
    assert b"430.3(d)" in answer.content
    assert b"Training Sergeant" in answer.content
    assert AccessRecord.objects.get(outcome="refused").note.startswith("430.3(d)")


@pytest.mark.clause("430.2.1(a)")
@pytest.mark.parametrize("state", ["proposed", "suspended", "closed"])
def test_account_that_is_not_active_does_not_log_in(people: People, state: str) -> None:
    client = Client()
    assert _password(client, people("officer", state=state)).status_code == 401
    assert "pending" not in client.session


@pytest.mark.clause("430.5(a)")
def test_nobody_logs_in_while_the_log_cannot_be_written(people: People, monkeypatch: Any) -> None:
    person = people("officer")

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    client = Client()
    _password(client, person)
    monkeypatch.setattr(AccessRecord, "save", broken)
    assert client.post("/people/login/code/", {"code": _code(person)}).status_code == 503
    assert not _open(client)


def test_log_in_changes_the_session_key(client: Client, people: People) -> None:
    client.get("/people/login/")
    client.post("/people/login/", {"acknowledge": "1"})
    before = client.session.session_key
    _log_in(client, people("officer"))
    assert client.session.session_key != before


@pytest.mark.clause("430.3-0")
def test_second_log_in_ends_the_first(people: People) -> None:
    person = people("officer")
    first, second = Client(), Client()
    _log_in(first, person)
    assert _open(first)
    _log_in(second, person, steps=1)
    assert _open(second)
    assert "elsewhere" in first.get("/").url
    assert AccessRecord.objects.filter(action="session.end", note__contains="elsewhere").count() == 1


@pytest.mark.clause("CJIS AC-11")
@pytest.mark.clause("430.5(a)")
def test_a_search_that_is_under_way_does_not_open_what_its_person_locked(
    people: People, client_for: Callable[..., Client], clock: Any
) -> None:
    client = client_for(people("investigator"))
    under_way = SessionStore(client.session.session_key)
    under_way["purpose"] = "criminal_investigation"
    client.post("/people/lock/")
    with pytest.raises(UpdateError):
        under_way.save()
    assert client.get("/search/").url == "/people/unlock/?next=%2Fsearch%2F"
    assert client.post("/people/unlock/?next=/search/", {"password": PASSWORD}).url == "/search/"
    assert client.get("/search/").status_code == 200


@pytest.mark.clause("CJIS AC-11")
def test_half_an_hour_without_use_locks_and_the_password_unlocks(
    people: People, client_for: Callable[..., Client], clock: Any
) -> None:
    client = client_for(people("officer"), purpose="patrol_hit", case="7")
    clock.advance(minutes=29)
    assert _open(client)
    clock.advance(minutes=31)
    assert client.get("/people/me/").url == "/people/unlock/?next=%2Fpeople%2Fme%2F"
    assert client.post("/people/unlock/", {"password": "wrong"}).status_code == 401
    assert not _open(client)
    answer = client.post("/people/unlock/?next=%2Fpeople%2Fme%2F", {"password": PASSWORD})
    assert answer.url == "/people/me/"
    assert _open(client)
    assert client.session["case"] == "7"


@pytest.mark.clause("CJIS SC-10")
def test_an_hour_without_use_ends_the_session(
    people: People, client_for: Callable[..., Client], clock: Any
) -> None:
    client = client_for(people("officer"))
    clock.advance(minutes=61)
    assert client.get("/").url.startswith("/people/login/")
    assert client.get("/").url.startswith("/people/login/")
    assert AccessRecord.objects.get(action="session.end").note == "an hour without use"


@pytest.mark.clause("CJIS AC-11")
def test_page_that_reloads_itself_is_no_activity(
    people: People, client_for: Callable[..., Client], clock: Any, monkeypatch: Any
) -> None:
    from hq.site import views

    monkeypatch.setattr(views.home, "passive", True)
    client = client_for(people("officer"))
    for _ in range(6):
        clock.advance(minutes=5)
        answer = client.get("/")
    assert answer.url.startswith("/people/unlock/")


@pytest.mark.clause("CJIS AC-2")
@pytest.mark.parametrize("state", ["suspended", "closed"])
def test_suspended_person_is_out_at_the_next_click(
    people: People, client_for: Callable[..., Client], state: str
) -> None:
    person = people("officer")
    client = client_for(person)
    assert _open(client)
    (accounts.suspend if state == "suspended" else accounts.close)(person, "left the department")
    assert not _open(client)


@pytest.mark.clause("CJIS AC-2")
def test_account_unused_for_90_days_is_suspended_and_one_past_its_last_day_closed(
    people: People, clock: Any
) -> None:
    idle = people("officer")
    contractor = people(
        "technician", kind="contractor", employer="Maker Inc.", ends_on=clock.at.date() + timedelta(days=10)
    )
    clock.advance(days=11)
    assert accounts.expire_all() == 1
    contractor.refresh_from_db()
    assert contractor.state == "closed"
    assert contractor.roles() == []
    clock.advance(days=79)
    assert accounts.expire_all() == 1
    idle.refresh_from_db()
    assert (idle.state, idle.state_reason) == ("suspended", "90 days without use")
    assert chain.verify() is None


@pytest.mark.clause("CJIS AC-2")
def test_last_who_may_open_accounts_is_not_shut_out_by_the_clock(people: People, clock: Any) -> None:
    """Else nobody could open that account, or any other, ever again, and the site would not start."""
    first, second = people("commander"), people("commander")
    people("administrator", seen_at=clock.at + timedelta(days=90))
    clock.advance(days=90)
    assert accounts.expire_all() == 1
    open_ = Person.objects.get(pk__in=(first.pk, second.pk), state="active")
    told = [str(one) for one in apps.get_app_config("people").alarms()]
    assert any(f"the account {open_.username}: 90 days without use" in line for line in told)
    people("commander", seen_at=clock.at)
    assert accounts.expire_all() == 1
    open_.refresh_from_db()
    assert open_.state == "suspended"


@pytest.mark.clause("CJIS IA-5")
@pytest.mark.parametrize("password", ["short7!", "password123", "qwertyuiop", "jane.doe", "southpasadena1"])
def test_weak_password_is_refused(password: str, tmp_path: Any, settings: Any) -> None:
    banned = tmp_path / "banned.txt"
    banned.write_text("SouthPasadena1\n")
    settings.AUTH_PASSWORD_VALIDATORS = [
        {**v, "OPTIONS": {"path": banned}} if v["NAME"].endswith("BannedByAgency") else v
        for v in hq_settings.AUTH_PASSWORD_VALIDATORS
    ]
    person = Person(username="jane.doe", full_name="Jane Doe")
    with pytest.raises(ValidationError):
        validate_password(password, person)
    validate_password("a lane of 9 grey vans", person)


@pytest.mark.clause("CJIS IA-5")
def test_list_of_banned_passwords_is_taken_as_windows_saves_it_and_no_other_coding(tmp_path: Any) -> None:
    banned = tmp_path / passwords.FILE
    check = passwords.BannedByAgency(banned)
    check.validate("southpasadena1")
    banned.write_text("SouthPasadena1\nRose Bowl\n", encoding="utf-8-sig", newline="\r\n")
    assert passwords.fault(banned) == ""
    for password in ("southpasadena1", "rose bowl"):
        with pytest.raises(ValidationError, match="is on the agency's list"):
            check.validate(password)
    banned.write_text("SouthPasadena1\n", encoding="utf-16")
    assert "is no UTF-8 text" in passwords.fault(banned)
    with pytest.raises(ValidationError, match="cannot be read"):
        check.validate("southpasadena1")


@pytest.mark.clause("CJIS IA-5")
def test_list_of_banned_passwords_that_nobody_kept_up_for_a_quarter_is_told(
    db: None, clock: Any, tmp_path: Any, settings: Any
) -> None:
    settings.DATA = tmp_path

    def told() -> list[str]:
        return [one.what for one in doctor.findings() if one.rule == "CJIS IA-5"]

    assert "is missing" in told()[0]
    kept_up = tmp_path / passwords.FILE
    kept_up.write_text("SouthPasadena1\n")
    os.utime(kept_up, (clock.at.timestamp(),) * 2)
    clock.advance(days=92)
    assert told() == []
    clock.advance(days=1)
    assert "was last kept up on 2026-06-03" in told()[0]
    path = next(
        v["OPTIONS"]["path"]
        for v in hq_settings.AUTH_PASSWORD_VALIDATORS
        if v["NAME"].endswith("BannedByAgency")
    )
    assert path.name == passwords.FILE


@pytest.mark.clause("CJIS IA-5")
def test_first_password_must_be_changed_before_any_page_opens(people: People) -> None:
    person = people("officer")
    once = accounts.once(person)
    client = Client()
    _password(client, person, once)
    client.post("/people/login/code/", {"code": _code(person)})
    assert client.get("/").url == "/people/password/"
    new = "a lane of 9 grey vans"
    answer = client.post("/people/password/", {"new_password1": new, "new_password2": new})
    assert answer.url == "/"
    assert _open(client)
    person.refresh_from_db()
    assert person.check_password(new)


def test_password_hash_is_argon2() -> None:
    assert hq_settings.PASSWORD_HASHERS == ["django.contrib.auth.hashers.Argon2PasswordHasher"]


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "//testserver/people/me/",
        "/people%5Cme/",
        "/people%09/me/",
    ],
)
def test_log_in_leads_nowhere_else(people: People, wanted: str) -> None:
    person = people("officer")
    client = Client()
    _password(client, person)
    answer: HttpResponse = client.post(f"/people/login/code/?next={wanted}", {"code": _code(person)})
    assert answer.headers["Location"] == "/"


def test_password_shown_long_ago_is_not_enough(people: People, clock: Any) -> None:
    person = people("officer")
    client = Client()
    _password(client, person)
    clock.advance(seconds=login._PENDING_S + 1)
    assert client.post("/people/login/code/", {"code": _code(person)}).headers["Location"] == "/people/login/"


def test_what_a_logged_out_browser_still_holds_opens_nothing(
    people: People, client_for: Callable[..., Client]
) -> None:
    client = client_for(people("officer"))
    cookies = client.cookies.copy()
    client.post("/people/logout/")
    client.cookies = cookies
    assert not _open(client)


@pytest.mark.clause("CJIS AC-11")
@pytest.mark.clause("CJIS SC-10")
@pytest.mark.parametrize("minutes", [31, 61], ids=["locked", "ended"])
def test_form_that_was_sent_too_late_is_not_lost(
    people: People, client_for: Callable[..., Client], clock: Any, minutes: int
) -> None:
    """Typed beside a stop that took longer than the session: after the password it is sent with one press."""
    person = people("investigator")
    read = kept.read("7B8C123", days=0)
    client = client_for(person, purpose="criminal_investigation", case="26-1")
    address, why = f"/hits/reads/{read.pk}/correct/", "O'Neil saw a B, “no 8” \U0001f697\r\nin the picture"
    clock.advance(minutes=minutes)
    typed = {"corrected": "7BBC123", "why": why}
    where = client.post(address, typed).url
    if minutes > 60:
        client.post(where, {"acknowledge": "yes"})
        client.post(where, {"username": person.username, "password": PASSWORD, "lawful": "on"})
        answer = client.post(f"/people/login/code/?{where.partition('?')[2]}", {"code": _code(person)})
    else:
        answer = client.post(where, {"password": PASSWORD})
    assert answer.url.startswith("/people/unsent/"), "first what was typed, not the address of a form"
    assert not Correction.objects.exists(), "nothing is entered by itself"
    page = client.get(answer.url).content.decode()
    assert escape(why) in page
    assert f'action="{address}"' in page
    if minutes > 60:
        client.post("/people/purpose/", {"purpose": "criminal_investigation", "case": "26-1"})
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    client.post(address, {name: unescape(text) for name, text in sent.items()})
    assert [(row.corrected, row.why) for row in Correction.objects.all()] == [("7BBC123", why)]
    assert b"Nothing waits" in client.get("/people/unsent/").content


@pytest.mark.clause("CJIS AC-11")
def test_form_that_was_sent_too_late_is_offered_to_nobody_else(
    people: People, client_for: Callable[..., Client], clock: Any
) -> None:
    person, other = people("officer"), people("officer")
    client = client_for(person, purpose="patrol_hit", case="7")
    clock.advance(minutes=31)
    client.post("/search/results/", {"purpose": "patrol_hit", "case": "7", "plate": "7BBC123"})
    assert b"7BBC123" not in client.get("/people/unlock/").content
    clock.advance(minutes=31)
    client.post("/search/results/", {"purpose": "patrol_hit", "case": "7", "plate": "7BBC123"})
    assert _log_in(client, other).url == "/"
    assert b"Nothing waits" in client.get("/people/unsent/").content


@pytest.mark.clause("CJIS IA-5")
def test_locked_session_keeps_no_password_and_nothing_of_another_site(
    people: People, client_for: Callable[..., Client], clock: Any
) -> None:
    client = client_for(people("officer"))
    clock.advance(minutes=31)
    client.post(
        "/people/password/", {"current": PASSWORD, "new_password1": "a b c", "new_password2": "a b c"}
    )
    client.post("/people/login/", {"username": "x", "password": PASSWORD})
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    strict.post("/people/purpose/", {"purpose": "patrol_hit", "case": "7"})
    assert unsent.KEY not in client.session


@pytest.mark.parametrize(
    ("stood_on", "leads_to"),
    [
        ("/hits/", "/hits/"),
        ("/hits/unverified/?a=1", "/hits/unverified/?a=1"),
        ("/people/7/approve/", "/"),
        ("", "/"),
    ],
)
def test_unlocking_leads_to_the_page_of_a_form_and_not_to_its_address(
    people: People, client_for: Callable[..., Client], clock: Any, stood_on: str, leads_to: str
) -> None:
    """The address of most forms shows no page: a browser said 405 there, and nothing else."""
    client = client_for(people("officer"))
    clock.advance(minutes=31)
    sent_from = {"Referer": f"http://testserver{stood_on}"} if stood_on else {}
    where = client.post("/people/7/approve/", headers=sent_from).url
    assert client.post(where, {"password": PASSWORD}).url == leads_to
