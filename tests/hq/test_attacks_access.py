"""Who must not get in does not, at any address: read off the URL list, so that a new page is tried too."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.test import Client

from hq.api import tokens
from hq.log.models import AccessRecord
from hq.people.models import Appointment, Grant, Person
from hq.people.policy import COLUMNS, RIGHTS, Refused, Standing, check
from tests.hq import addresses, kept

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
PLATE = "7QQX471"
STATED = {
    "X-Purpose": "criminal_investigation",
    "X-Case": "26-100",
    "X-On-Behalf-Of": "A. Colleague, Test PD",
}
GRANTS = ("dept_reads", "restricted", "wide_search")


@pytest.fixture
def secret_of(people: People, clock: Any) -> Callable[[Person], str]:
    """A token in force for a person."""
    boss, commander = people("ALPR administrator"), people("Commander")

    def make(person: Person) -> str:
        token = tokens.propose(person, "case system", 30, boss)
        token.approved_by, token.approved_at = commander, clock.at
        token.save()
        return tokens.collect(token)

    return make


def shut(client: Client, address: addresses.Address, method: str) -> None:
    """The address answers this client with the log-in page or a refusal, and tells nothing."""
    answer = getattr(client, method)(address.path())
    told = (address.name, method, answer.status_code)
    if answer.status_code == 302:
        assert answer.url.startswith("/people/login/?next="), told
    else:
        assert answer.status_code in (401, 405), told
    assert not getattr(answer, "streaming", False), told


@pytest.mark.clause("430.5(a)")
@pytest.mark.parametrize("carrying", ["nothing", "made up", "ended", "a token"])
def test_nobody_gets_in_by_any_method(
    people: People, client_for: ClientFor, secret_of: Callable[[Person], str], carrying: str
) -> None:
    """With no session, one made up, one that ended; and a token of the API opens no page."""
    client = Client()
    if carrying == "made up":
        client.cookies[django_settings.SESSION_COOKIE_NAME] = "a" * 32
    if carrying == "ended":
        client = client_for(people(list(COLUMNS), grants=GRANTS))
        Session.objects.all().delete()
    if carrying == "a token":
        person = people(list(COLUMNS), grants=GRANTS)
        client = Client(headers={**STATED, "Authorization": f"Bearer {secret_of(person)}"})
    # A page that forgets its guard lets in by every method: two suffice for the stranger sessions.
    methods = METHODS if carrying == "nothing" else ("get", "post")
    for address in addresses.PAGES:
        for method in methods:
            shut(client, address, method)
    for address in addresses.API if carrying != "a token" else ():
        for method in methods:
            shut(client, address, method)
    assert not AccessRecord.objects.filter(outcome="done").exists()


@pytest.mark.clause("430.5(a)")
def test_session_of_the_pages_opens_nothing_of_the_api(people: People, client_for: ClientFor) -> None:
    client = client_for(people(list(COLUMNS), grants=GRANTS), purpose="criminal_investigation", case="26-1")
    for address in addresses.API:
        assert client.get(address.path(), headers=STATED).status_code == 401, address.name


@pytest.mark.clause("430.2.1(a)")
@pytest.mark.parametrize("state", ["proposed", "suspended", "closed", "past the last day"])
def test_account_that_is_not_open_gets_in_nowhere(
    people: People, client_for: ClientFor, secret_of: Callable[[Person], str], clock: Any, state: str
) -> None:
    """With a session and a token that were made while it was."""
    person = people(list(COLUMNS), grants=GRANTS)
    client = client_for(person, purpose="criminal_investigation", case="26-1")
    secret = secret_of(person)
    if state == "past the last day":
        person.ends_on = clock.at.date() - timedelta(days=2)
    else:
        person.state = state
    person.save()
    for address in addresses.PAGES:
        assert client.get(address.path()).status_code in (302, 403, 405), address.name
    for address in addresses.API:
        headers = {**STATED, "Authorization": f"Bearer {secret}"}
        assert Client().get(address.path(), headers=headers).status_code == 403, address.name
    assert not AccessRecord.objects.filter(person=person, outcome="done").exists()


def _dated(person: Person, code: str, clock: Any, since: int, until: int | None, **fields: Any) -> None:
    """A role or a grant from one day to another, counted from today."""
    day = clock.at.date()
    given = {
        "starts_on": day + timedelta(days=since),
        "ends_on": None if until is None else day + timedelta(days=until),
        "document": "test",
        "approved_at": clock.at,
        **fields,
    }
    if code in COLUMNS:
        Appointment.objects.create(person=person, role=code, **given)
    else:
        Grant.objects.create(person=person, code=code, **given)


def _lapsed(person: Person, codes: Sequence[str], clock: Any, lapse: str) -> None:
    for code in codes:
        _dated(
            person,
            code,
            clock,
            since=1 if lapse == "begins tomorrow" else -30,
            until=-1 if lapse == "ran out" else None,
            approved_at=None if lapse == "not approved" else clock.at,
            ended_at=clock.at if lapse == "ended" else None,
        )


DELEGATED = ("begins tomorrow", "ran out", "not approved", "ended")


@pytest.mark.clause("430.3(d)")
@pytest.mark.clause("430.2-e")
@pytest.mark.parametrize("lapse", ["none", "training ran out", "suspended since the training", *DELEGATED])
def test_lapse_takes_every_right_of_every_role(people: People, clock: Any, lapse: str) -> None:
    held = []
    for role in COLUMNS:
        person = people("" if lapse in DELEGATED else role, grants=GRANTS)
        if lapse in DELEGATED:
            _lapsed(person, [role], clock, lapse)
        if lapse == "suspended since the training":
            person.retrain_from = clock.at + timedelta(seconds=1)
        held.append((person, role))
    if lapse == "training ran out":
        clock.advance(days=366)
    for person, role in held:
        standing = Standing(person)
        for action, right in RIGHTS.items():
            if role not in right.marks or (action.startswith("self.") and lapse in DELEGATED):
                continue  # the own account needs no appointment
            if lapse == "none":
                check(person, action, purpose=None, standing=standing)
                continue
            with pytest.raises(Refused) as refused:
                check(person, action, purpose=None, standing=standing)
            wanted = right.clause if lapse in DELEGATED else "430.3(d)"
            assert refused.value.clause == wanted, (role, action)


@pytest.mark.clause("430.3(e)")
@pytest.mark.parametrize("lapse", ["never granted", *DELEGATED])
def test_no_address_opens_without_the_grant_that_it_needs(
    people: People, client_for: ClientFor, secret_of: Callable[[Person], str], clock: Any, lapse: str
) -> None:
    person = people(list(COLUMNS), grants=())
    if lapse in DELEGATED:
        _lapsed(person, GRANTS, clock, lapse)
    client = client_for(person, purpose="criminal_investigation", case="26-1")
    needing = [one for one in addresses.PAGES if RIGHTS[one.action].grant]
    assert len(needing) > 8
    for address in needing:
        answers = [client.get(address.path()), client.post(address.path())]
        assert {answer.status_code for answer in answers} <= {403, 405}, address.name
        assert any(b"430.3(e)" in answer.content for answer in answers), address.name
    secret = secret_of(person)
    for address in addresses.API:
        if RIGHTS[address.token_action].grant:
            headers = {**STATED, "Authorization": f"Bearer {secret}"}
            answer = Client().get(address.path(), headers=headers)
            assert (answer.status_code, answer.json()["clause"]) == (403, "430.3(e)"), address.name


@pytest.mark.clause("430.5-0")
def test_no_form_of_another_site_is_taken_anywhere(people: People, client_for: ClientFor) -> None:
    """By a person of every right, so that it is the form's token that refuses, at public pages too."""
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client_for(people(list(COLUMNS), grants=GRANTS), purpose="audit", case="A-1").cookies
    before = AccessRecord.objects.count()
    for address in addresses.ALL:
        answer = strict.post(address.path(), headers={"Origin": "https://evil.example"})
        if address.token_action:
            assert answer.status_code == 405, address.name
        else:
            assert answer.status_code == 403, address.name
            assert b"This form was not accepted" in answer.content, address.name
    assert AccessRecord.objects.count() == before


def _reading(client: Client, samples: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Every page that the client's person may open, read with addresses of records that exist."""
    for address in addresses.PAGES:
        if address.name == "hits:stream":  # it waits for what happens; its guard is that of the others
            continue
        answer = client.get(address.path(samples))
        if answer.status_code == 200:
            yield address.name, answer


@pytest.mark.clause("CC-52a")
@pytest.mark.clause("CC-54")
@pytest.mark.clause("430.2.1(d)")
def test_no_page_shows_a_plate_that_its_access_record_does_not_name(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    """Every page is read; where the plate stands in it, the row written for it names the read or hit."""
    row = kept.read(PLATE, pictures=(), hit=True)
    hit = row.hits.get()
    person = people(list(COLUMNS), grants=GRANTS)
    client = client_for(person, purpose="criminal_investigation", case="26-1")
    showing = set()
    for ident in (row.pk, hit.pk):
        samples = {"uuid": str(ident), "int": "1", "unit_id": row.unit_id, "kind": "scene"}
        for name, answer in _reading(client, samples):
            if PLATE.encode() not in answer.content or name.startswith("log:"):
                continue  # the log itself says which plates were asked for
            showing.add(name)
            record = AccessRecord.objects.latest("sequence")
            assert {str(row.pk), str(hit.pk)} & set(record.ids), name
    assert {"hits:board", "hits:hit", "search:read", "search:timeline"} <= showing


@pytest.mark.clause("430.3(a)")
@pytest.mark.clause("430.5(a)")
def test_no_page_shows_a_plate_or_picture_without_a_purpose_on_record(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    """To a person of every right who stated none; who handles a live hit has one for it, on record."""
    row = kept.read(PLATE, pictures=("plate", "scene"), hit=True)
    client = client_for(people(list(COLUMNS), grants=GRANTS))
    showing = set()
    for ident in (row.pk, row.hits.get().pk):
        samples = {"uuid": str(ident), "int": "1", "unit_id": row.unit_id, "kind": "scene"}
        for name, answer in _reading(client, samples):
            shown = PLATE.encode() in getattr(answer, "content", b"")
            if (shown or answer["Content-Type"].startswith("image/")) and not name.startswith("log:"):
                showing.add(name)
                assert AccessRecord.objects.latest("sequence").purpose, name
    assert {"hits:board", "hits:hit"} <= showing
    assert not any(name.startswith("search:") for name in showing)


@pytest.mark.clause("430.5(b)")
@pytest.mark.parametrize("role", ["officer", pytest.param("dispatcher", marks=pytest.mark.slow)])
def test_no_page_shows_an_officer_a_read_beyond_the_own_shift(
    people: People, client_for: ClientFor, clock: Any, role: str
) -> None:
    """A guessed address of a read opens nothing that a search would not have found for this person."""
    row = kept.read(PLATE, pictures=("plate", "scene"))
    person = people(role)
    client = client_for(person, purpose="criminal_investigation", case="26-1")
    samples = {"uuid": str(row.pk), "int": "1", "unit_id": row.unit_id}
    for kind in ("plate", "scene"):
        for name, answer in _reading(client, samples | {"kind": kind}):
            assert PLATE.encode() not in getattr(answer, "content", b""), name
            assert not answer["Content-Type"].startswith("image/"), name


@pytest.mark.clause("430.5(a)")
def test_token_is_not_guessed_by_part_or_by_its_kept_hash(
    people: People, secret_of: Callable[[Person], str]
) -> None:
    """Only its SHA-256 is looked up, so that the time of an answer tells nothing of how much was right."""
    person = people("Investigator")
    secret = secret_of(person)
    (digest,) = [token.digest for token in person.api_tokens.all()]
    for guess in (
        digest,
        secret[:-1],
        secret + "A",
        secret.upper(),
        f"{secret}\x00",
        "%",
        "",
        "_" * len(secret),
        tokens.PREFIX + secrets.token_urlsafe(32),
    ):
        answer = Client().get(
            f"/api/v1/reads/{uuid.uuid4()}", headers={**STATED, "Authorization": f"Bearer {guess}"}
        )
        assert answer.status_code == 401
        row = AccessRecord.objects.filter(kind="api").latest("sequence")
        assert row.outcome == "refused"
        assert secret not in f"{row.note} {row.elements}"
