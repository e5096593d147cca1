"""The API as a program uses it: in one person's name, for a stated purpose, written down."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from django.urls import get_resolver

from hq.api import tokens, views
from hq.api.models import ApiToken
from hq.api.openapi import DOCUMENT
from hq.hits import review
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import COLUMNS
from hq.records.models import Read
from hq.search.models import Shift
from tests.hq import hits_kept, kept

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]
STATED = {
    "X-Purpose": "criminal_investigation",
    "X-Case": "26-100",
    "X-On-Behalf-Of": "A. Colleague, Test Police Department",
}
WINDOW = "since=2026-06-02T00:00:00Z&until=2026-06-04T00:00:00Z"


@pytest.fixture
def secret_of(people: People, clock: Any) -> Callable[..., str]:
    """A token in force for a person."""
    boss, commander = people("ALPR administrator"), people("Commander")

    def make(person: Person, days: int = 30) -> str:
        token = tokens.propose(person, "case system", days, boss)
        token.approved_by, token.approved_at = commander, clock.at
        token.save()
        return tokens.collect(token)

    return make


@pytest.fixture
def get(people: People, secret_of: Callable[..., str]) -> Callable[..., Any]:
    """GET as an investigator's program."""
    secret = secret_of(people("Investigator"))

    def call(path: str, **headers: str) -> Any:
        stated = {**STATED, "Authorization": f"Bearer {secret}", **headers}
        return Client().get(f"/api/v1/{path}", headers={k: v for k, v in stated.items() if v})

    return call


def last() -> AccessRecord:
    return AccessRecord.objects.filter(kind="api").latest("sequence")


def check_against_document(path: str, answer: Any) -> None:
    """The answer is what the description says of this address and status."""
    said = DOCUMENT["paths"][path]["get"]["responses"][str(answer.status_code)]["content"]
    ((kind, body),) = said.items()
    assert answer["Content-Type"] == kind
    schema = {**body["schema"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


@pytest.mark.clause("CC-52a")
@pytest.mark.clause("430.5(a)")
def test_reads_are_answered_and_recorded_in_the_persons_name(get: Callable[..., Any]) -> None:
    row = kept.read("7ABC123", lat=34.1, lon=-118.1, hit=True, region="NV", region_confidence=0.9)
    kept.read("8XYZ999")
    answer = get("reads?plate=7abc-12%3F")
    assert answer.status_code == 200
    check_against_document("/reads", answer)
    body, record = answer.json(), last()
    assert [read["id"] for read in body["reads"]] == [str(row.pk)]
    assert body["reads"][0]["unverified_hit"] is True
    assert (body["reads"][0]["region"], body["reads"][0]["region_confidence"]) == ("NV", 0.9)
    assert body["access_record"] == record.sequence
    assert (record.action, record.purpose, record.case) == (
        "reads.search",
        "criminal_investigation",
        "26-100",
    )
    assert record.on_behalf_of == STATED["X-On-Behalf-Of"]
    assert record.name.startswith("Test Investigator")
    assert record.elements["plate"] == "7ABC12?"
    assert (record.result_count, record.ids, record.note) == (1, [str(row.pk)], "case system")
    assert answer["Cache-Control"] == "no-store"
    one = get(f"reads/{row.pk}")
    check_against_document("/reads/{id}", one)
    assert one.json()["read"]["plate"] == "7ABC123"
    assert last().ids == [str(row.pk)]


@pytest.mark.clause("430.3(f)")
@pytest.mark.clause("430.3(e)")
def test_hits_are_unverified_and_masked_without_the_grant(get: Callable[..., Any]) -> None:
    open_hit, restricted = kept.a_hit(kept.read("7ABC123")), kept.a_hit(kept.read("8XYZ999"))
    type(restricted).objects.filter(pk=restricted.pk).update(alarm_class="sex_offender")
    answer = get(f"hits?{WINDOW}")
    check_against_document("/hits", answer)
    shown = {hit["id"]: hit for hit in answer.json()["hits"]}
    assert {hit["status"] for hit in shown.values()} == {"UNVERIFIED"}
    assert shown[str(open_hit.pk)]["entry"]["alarm_class"] == "stolen_vehicle"
    assert shown[str(open_hit.pk)]["entry"]["state_agrees"] is True
    assert shown[str(restricted.pk)]["masked"] is True
    hidden = ("read", "plate", "match", "score", "entry")
    assert [shown[str(restricted.pk)][name] for name in hidden] == [None] * len(hidden)
    for secret in (b"sex", b"8XYZ999", str(restricted.read_id).encode()):
        assert secret not in answer.content, "no more than the board tells"
    assert set(last().ids) == set(shown)
    for part in ("", WINDOW.split("&")[0], WINDOW.split("&")[1], WINDOW + "&reason=registrant"):
        assert get(f"hits?{part}").status_code == 400, part
    assert get("hits?since=2026-01-01T00:00:00Z&until=2026-06-01T00:00:00Z").status_code == 400


@pytest.mark.clause("430.3(f)")
def test_program_is_told_what_people_have_found_out_about_a_hit(
    get: Callable[..., Any], people: People, clock: Any
) -> None:
    """The unit's word stays beside it: programs of before read it."""
    hit, officer = hits_kept.a_hit("7ABC123", pictures=False), people("Officer")
    other = hits_kept.a_hit("8XYZ999", pictures=False)
    nothing = dict.fromkeys(("plate", "compared_at", "clets", "answered_at", "outcome", "closed_at"))

    def told() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        answer, found = get(f"hits?{WINDOW}"), get("reads?plate=7ABC123")
        check_against_document("/hits", answer)
        check_against_document("/reads", found)
        shown = {one["id"]: one for one in answer.json()["hits"]}
        assert shown[str(other.pk)]["verification"] == {"status": "UNVERIFIED", **nothing}
        assert shown[str(hit.pk)]["status"] == "UNVERIFIED"
        (read,) = found.json()["reads"]
        assert read["unverified_hit"] is True
        assert get(f"reads/{hit.read_id}").json()["read"] == read
        return shown[str(hit.pk)]["verification"], read["hits"]

    assert told() == ({"status": "UNVERIFIED", **nothing}, [{"status": "UNVERIFIED", "checked_at": None}])
    hits_kept.looked(hit, officer)
    compared = clock.at.isoformat()
    clock.advance(minutes=1)
    hits_kept.answered(hit, officer, "cancelled")
    checked = clock.at.isoformat()
    verification, read = told()
    assert verification == {
        "status": "CANCELLED",
        "plate": "agrees",
        "compared_at": compared,
        "clets": "cancelled",
        "answered_at": checked,
        "outcome": None,
        "closed_at": None,
    }
    assert read == [{"status": "CANCELLED", "checked_at": checked}]
    clock.advance(minutes=1)
    review.close(hits_kept.reviewed(hit), officer, kind="no_action", note="")
    verification, _ = told()
    assert (verification["outcome"], verification["closed_at"]) == ("no_action", clock.at.isoformat())


@pytest.mark.clause("430.5(a)")
@pytest.mark.parametrize(
    "lapse", ["none", "basic", "wrong", "unapproved", "revoked", "expired", "long", "session"]
)
def test_only_a_token_in_force_opens_anything(
    people: People, client_for: ClientFor, secret_of: Callable[..., str], clock: Any, lapse: str
) -> None:
    kept.read("7ABC123")
    person = people("Investigator")
    secret = secret_of(person, 30)
    token = ApiToken.objects.get()
    client, header = Client(), f"Bearer {secret}"
    if lapse == "none":
        header = ""
    elif lapse == "basic":
        header = f"Basic {secret}"
    elif lapse == "wrong":
        header = header[:-1] + ("a" if header[-1] != "a" else "b")
    elif lapse == "unapproved":
        header = "Bearer "  # an unapproved token has no secret, and an empty one is not its
        tokens.propose(people("Investigator"), "x", 30, token.proposed_by)
    elif lapse == "revoked":
        token.revoked_at = clock.at
        token.save()
    elif lapse == "expired":
        clock.advance(days=30)
    elif lapse == "long":
        header = "Bearer " + "x" * 5000
    else:
        client, header = client_for(person, purpose="criminal_investigation", case="1"), ""
    answer = client.get("/api/v1/reads?plate=7ABC123", headers={**STATED, "Authorization": header})
    assert answer.status_code == 401
    check_against_document("/reads", answer)
    assert b"7ABC123" not in answer.content
    assert (last().outcome, last().ids) == ("refused", [])
    assert "Bearer" in answer["WWW-Authenticate"]


@pytest.mark.clause("430.3(d)")
@pytest.mark.clause("430.2-e")
@pytest.mark.clause("430.3(e)")
@pytest.mark.parametrize("lapse", ["training", "suspended", "appointment", "grant"])
def test_token_opens_nothing_once_its_person_may_not(
    people: People, secret_of: Callable[..., str], clock: Any, lapse: str
) -> None:
    row = kept.read("7ABC123")
    person = people("Investigator")
    headers = {**STATED, "Authorization": f"Bearer {secret_of(person, 90)}"}
    paths = ("reads?plate=7ABC123", f"reads/{row.pk}", f"hits?{WINDOW}")
    assert Client().get(f"/api/v1/{paths[0]}", headers=headers).status_code == 200
    if lapse == "training":
        person.retrain_from = clock.at + timedelta(days=1)
        person.save()
    elif lapse == "suspended":
        Person.objects.filter(pk=person.pk).update(state="suspended")
    elif lapse == "appointment":
        person.appointments.update(ended_at=clock.at)
    else:
        person.grants.update(ended_at=clock.at)
    for path in paths[: 2 if lapse == "grant" else 3]:
        answer = Client().get(f"/api/v1/{path}", headers=headers)
        assert answer.status_code == 403, path
        assert answer.json()["clause"]
        assert answer.json()["who_can_grant"]
        assert last().outcome == "refused"


@pytest.mark.clause("430.2-d")
def test_every_address_of_the_api_asks_policy_as_the_pages_do(
    people: People, secret_of: Callable[..., str]
) -> None:
    addresses = [
        entry
        for resolver in get_resolver().url_patterns
        if getattr(resolver, "namespace", "") == "api"
        for entry in resolver.url_patterns
        if hasattr(entry.callback, "token_action")
    ]
    assert {entry.name for entry in addresses} == {"reads", "read", "hits"}
    from hq.people.policy import RIGHTS

    for role in COLUMNS:
        person = people(role, grants=["dept_reads", "wide_search"])
        headers = {**STATED, "Authorization": f"Bearer {secret_of(person)}"}
        for entry in addresses:
            path = str(entry.pattern).replace("<uuid:pk>", str(uuid.uuid4()))
            answer = Client().get(f"/api/{path}", headers=headers)
            right = RIGHTS[entry.callback.token_action]
            if role not in right.marks or role == "custodian":  # whose purposes are others
                assert answer.status_code == 403, (role, entry.name)
                assert last().outcome == "refused"
            else:
                assert answer.status_code in (400, 404), (role, entry.name)


@pytest.mark.clause("430.3(a)")
@pytest.mark.clause("430.5(b)")
@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("X-Purpose", "", 400),
        ("X-Case", "", 400),
        ("X-On-Behalf-Of", "", 400),
        ("X-Case", "9" * 65, 400),
        ("X-Case", "a\x07b", 400),
        ("X-Purpose", "personal", 403),
        ("X-Purpose", "audit", 403),
    ],
)
@pytest.mark.parametrize("path", ["reads?plate=7ABC123", "hits?" + WINDOW])
def test_purpose_case_and_on_whose_behalf_are_demanded(
    get: Callable[..., Any], path: str, header: str, value: str, status: int
) -> None:
    kept.read("7ABC123", hit=True)
    answer = get(path, **{header: value})
    assert answer.status_code == status
    assert b"7ABC123" not in answer.content
    assert last().outcome == "refused"


@pytest.mark.clause("430.2.1(d)")
@pytest.mark.parametrize("path", ["reads?plate=7ABC123", "reads/{}", "hits?" + WINDOW])
def test_nothing_is_answered_where_the_log_cannot_be_written(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    row = kept.read("7ABC123", hit=True)
    address = path.format(row.pk)
    assert b"7ABC123" in get(address).content

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    monkeypatch.setattr(AccessRecord, "save", broken)
    for answer in (get(address), get(address, Authorization="Bearer no"), get(address, **{"X-Case": ""})):
        assert answer.status_code == 503
        assert b"7ABC123" not in answer.content


@pytest.mark.clause("430.2.1(d)")
def test_call_on_which_hq_fails_is_recorded_and_told_as_the_others_are(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise DatabaseError("a column of 7ABC123 is gone")

    monkeypatch.setattr(review, "of", broken)
    answer = get("hits?" + WINDOW)
    assert (answer.status_code, answer.json()["title"]) == (500, "Failed")
    assert b"7ABC123" not in answer.content
    assert (last().outcome, last().note) == ("failed", "DatabaseError")
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.clause("430.5(b)")
def test_officers_program_has_the_officers_reach(
    people: People, secret_of: Callable[..., str], clock: Any
) -> None:
    car = kept.unit("car-4")
    mine, old = kept.read("7ABC123", on=car, days=0.5), kept.read("7ABC123", on=car, days=2)
    strange = kept.read("7ABC123", hit=True)
    officer = people("Officer")
    boss = Person.objects.get(username__startswith="administrator")
    times = {"starts_at": clock.at - timedelta(hours=3), "ends_at": clock.at + timedelta(hours=5)}
    Shift.objects.create(person=officer, unit=car, entered_by=boss, **times)
    headers = {**STATED, "Authorization": f"Bearer {secret_of(officer)}"}
    body = Client().get("/api/v1/reads?plate=7ABC123", headers=headers).json()
    assert [read["id"] for read in body["reads"]] == [str(mine.pk)]
    for hidden in (old, strange):
        assert Client().get(f"/api/v1/reads/{hidden.pk}", headers=headers).status_code == 404
    assert last().outcome == "failed"
    assert Client().get(f"/api/v1/hits?{WINDOW}", headers=headers).json()["hits"] == []


@pytest.mark.clause("430.2-d")
@pytest.mark.clause("430.5-0")
def test_token_is_made_by_two_shown_once_to_a_third_and_kept_as_a_hash(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    boss, commander, person = people("ALPR administrator"), people("Commander"), people("Investigator")
    asked = {"person": person.pk, "program": "case system", "days": "90"}
    assert client_for(person).post("/api/tokens/propose/", asked).status_code == 403
    own = client_for(boss).post("/api/tokens/propose/", asked | {"person": boss.pk})
    assert own.status_code == 403
    client_for(boss).post("/api/tokens/propose/", asked | {"days": "91"})
    assert not ApiToken.objects.exists()
    assert client_for(boss).post("/api/tokens/propose/", asked).status_code == 302
    token = ApiToken.objects.get()
    assert token.expires_at == clock.at + timedelta(days=90)
    assert client_for(person).post(f"/api/own/{token.pk}/collect/").status_code == 403
    assert client_for(boss).post(f"/api/tokens/{token.pk}/approve/").status_code == 403
    assert client_for(commander).post(f"/api/tokens/{token.pk}/approve/").status_code == 302
    assert client_for(commander).post(f"/api/own/{token.pk}/collect/").status_code == 404
    page = client_for(person).post(f"/api/own/{token.pk}/collect/").content.decode()
    secret = page.split('class="secret">')[1].split("<")[0]
    token.refresh_from_db()
    assert token.digest == tokens.digest(secret)
    assert secret not in str(ApiToken.objects.values().get())
    assert all(secret not in str(row) for row in AccessRecord.objects.values())
    assert client_for(person).post(f"/api/own/{token.pk}/collect/").status_code == 403
    headers = {**STATED, "Authorization": f"Bearer {secret}"}
    assert Client().get("/api/v1/reads?plate=7ABC123", headers=headers).status_code == 200
    for client in (client_for(boss), client_for(commander)):
        assert secret not in client.get("/api/tokens/").content.decode()
    assert client_for(person).get("/api/own/").status_code == 200
    assert client_for(boss).post(f"/api/tokens/{token.pk}/revoke/", {"reason": " "}).status_code == 403
    why = {"reason": "the program is gone"}
    assert client_for(boss).post(f"/api/tokens/{token.pk}/revoke/", why).status_code == 302
    told = AccessRecord.objects.filter(action="tokens.revoke", outcome="done").get()
    assert told.note == "revoked: the program is gone"
    assert Client().get("/api/v1/reads?plate=7ABC123", headers=headers).status_code == 401


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize("part", ["proposed it", "is its person"])
def test_token_is_approved_by_nobody_who_has_part_in_it(
    people: People, client_for: ClientFor, part: str
) -> None:
    both = people(["administrator", "commander"])
    token = (
        tokens.propose(people("Investigator"), "case system", 30, both)
        if part == "proposed it"
        else tokens.propose(both, "case system", 30, people("ALPR administrator"))
    )
    client = client_for(both)
    address = f"/api/tokens/{token.pk}/approve/"
    assert address not in client.get("/api/tokens/").content.decode()
    assert client.post(address).status_code == 403
    assert "it takes a second person" in AccessRecord.objects.latest("sequence").note
    assert address in client_for(people("Commander")).get("/api/tokens/").content.decode()


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize("state", ["approved", "in force", "revoked", "expired"])
def test_token_is_approved_only_while_it_is_proposed(
    people: People, client_for: ClientFor, clock: Any, state: str
) -> None:
    token = tokens.propose(people("Investigator"), "case system", 30, people("ALPR administrator"))
    first, second = people("Commander"), people("Commander")
    if state != "expired":
        assert client_for(first).post(f"/api/tokens/{token.pk}/approve/").status_code == 302
    token.refresh_from_db()
    if state == "in force":
        tokens.collect(token)
    elif state == "revoked":
        token.revoked_by, token.revoked_at = first, clock.at
        token.save()
    elif state == "expired":
        clock.advance(days=30)
    assert token.state == state
    assert client_for(second).post(f"/api/tokens/{token.pk}/approve/").status_code == 403
    token.refresh_from_db()
    assert token.approved_by == (None if state == "expired" else first)


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize(
    "cheat", ["long", "past", "own", "alone", "theirs", "unapproved", "uncollected", "longer"]
)
def test_database_refuses_what_code_might_forget(people: People, clock: Any, cheat: str) -> None:
    boss, commander, person = people("ALPR administrator"), people("Commander"), people("Investigator")
    token = tokens.propose(person, "case system", 30, boss)
    fields: dict[str, Any] = {"person": person, "program": "x", "proposed_by": boss, "proposed_at": clock.at}
    held = ApiToken.objects.filter(pk=token.pk)
    later = {"expires_at": clock.at + timedelta(days=60)}
    ways: dict[str, Callable[[], object]] = {
        "long": lambda: ApiToken.objects.create(**fields, expires_at=clock.at + timedelta(days=91)),
        "past": lambda: ApiToken.objects.create(**fields, expires_at=clock.at),
        "own": lambda: ApiToken.objects.create(**{**fields, "proposed_by": person}, **later),
        "alone": lambda: held.update(approved_by=boss, approved_at=clock.at),
        "theirs": lambda: held.update(approved_by=person, approved_at=clock.at),
        "unapproved": lambda: held.update(digest="0" * 64, collected_at=clock.at),
        "uncollected": lambda: held.update(digest="0" * 64, approved_by=commander, approved_at=clock.at),
        "longer": lambda: held.update(**later),
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        ways[cheat]()


@pytest.mark.clause("430.3-0")
def test_calls_are_counted_by_the_hour(
    get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(tokens, "MOST_AN_HOUR", 3)
    assert [get("reads?plate=7ABC123").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = get("reads?plate=7ABC123")
    check_against_document("/reads", answer)
    assert answer["Retry-After"] == "3600"
    assert last().outcome == "refused"
    clock.advance(hours=1)
    assert get("reads?plate=7ABC123").status_code == 200


def test_pages_follow_each_other_and_do_not_shift(get: Callable[..., Any], clock: Any) -> None:
    for number in range(7):
        kept.read("7ABC123", days=0.001 + number / 1440, pictures=())
    seen, query = [], ""
    while True:
        body = get(f"reads?plate=7ABC123&limit=3{query}").json()
        seen += [read["id"] for read in body["reads"]]
        clock.advance(seconds=1)
        kept.read("7ABC123", pictures=())
        if body["next"] is None:
            break
        query = f"&page={body['next']['page']}&asof={quote(body['next']['asof'])}"
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize(
    "query",
    [
        "",
        "plate=%25",
        "plate=7%25",
        "plate=" + "A" * 5000,
        "plate=*",
        "plate=?A?B*",
        "plate=7ABC123&lookalikes=maybe",
        "plate=7ABC123&limit=101",
        "plate=7ABC123&limit=-1",
        "plate=7ABC123&page=" + "9" * 50,
        "plate=7ABC123&page=%D9%A3",
        "plate=7ABC123&since=yesterday",
        "plate=7ABC123&since=2026-06-03T14:30:00",
        "plate=7ABC123&lat=nan&lon=1&metres=1",
        "plate=7ABC123&lat=1",
        "plate=7ABC123&south=1&west=1&north=2&east=2&lat=1&lon=1&metres=1",
        "plate=7ABC123&order_by=id",
        "plate=7ABC123&unit__unit_id=x",
        "plate=7ABC123&unit=%00",
        "plate=7ABC123&unit=" + "x" * 201,
        "deployment=D-8",
        "unit=gate-1",
        "plate=7ABC123&unit=gate-1&unit=gate-2",
        "plate=7ABC123&page=1&page=1",
    ],
)
def test_what_cannot_be_meant_is_refused_and_recorded(get: Callable[..., Any], query: str) -> None:
    kept.deployment("D-8", incident="26-200")
    row = kept.read("7ABC123", deployment="D-8")
    assert get(f"reads/{row.pk}?fields=all").status_code == 400
    answer = get(f"reads?{query}")
    assert answer.status_code == 400
    check_against_document("/reads", answer)
    assert b"7ABC123" not in answer.content
    assert last().outcome == "refused"
    assert last().ids == []


@pytest.mark.parametrize(
    ("window", "why"),
    [
        ("since=9999-12-01T00:00:00Z&until=9999-12-31T23:59:59Z", ""),
        ("since=0001-01-01T00:00:00Z&until=0001-01-02T00:00:00Z", ""),
        ("since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", "31 days at most"),
        ("since=2026-06-04T00:00:00Z&until=2026-06-02T00:00:00Z", "ends before it begins"),
        ("since=2026-06-04T00:00:00Z&until=2026-06-04T00:00:00Z", "ends before it begins"),
        (f"{WINDOW}&unit=gate-1&unit=gate-2", "unit: is given 2 times"),
        (f"{WINDOW}&%0A=1&%0A=2", "a parameter: is given 2 times"),
    ],
)
def test_window_of_hits_is_taken_or_refused_in_a_sentence(
    get: Callable[..., Any], window: str, why: str
) -> None:
    answer = get(f"hits?{window}")
    check_against_document("/hits", answer)
    assert answer.status_code == (400 if why else 200)
    assert why in str(answer.json().get("detail", ""))


def test_asof_of_a_clock_that_is_ahead_does_not_let_pages_shift(get: Callable[..., Any], clock: Any) -> None:
    ahead = quote((clock.at + timedelta(minutes=5)).isoformat())
    for number in range(3):
        kept.read("7ABC123", days=0.001 + number / 1440, pictures=())
    first = get(f"reads?plate=7ABC123&limit=2&asof={ahead}").json()
    clock.advance(seconds=1)
    kept.read("7ABC123", days=0.0, pictures=())
    asof = quote(first["next"]["asof"])
    second = get(f"reads?plate=7ABC123&limit=2&page=2&asof={asof}").json()
    seen = [read["id"] for read in first["reads"] + second["reads"]]
    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize("path", ["", "reads/", "reads/xyz", "hits/", "nosuch", "../v1/nosuch"])
def test_address_that_is_none_is_told_as_every_other_error(get: Callable[..., Any], path: str) -> None:
    answer = get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404


def test_wildcards_of_sql_mean_nothing(get: Callable[..., Any]) -> None:
    kept.read("7ABC123")
    assert get("reads?plate=7ABC12_").json()["reads"] == []  # an underscore is a separator


def test_text_that_a_unit_sent_stays_text(get: Callable[..., Any]) -> None:
    row = kept.read("7ABC123", deployment="D\r\nX-Evil: 1")
    Read.objects.filter(pk=row.pk).update(text='"}\r\nX-Evil: 1')
    answer = get(f"reads/{row.pk}")
    assert answer.json()["read"]["plate"] == '"}\r\nX-Evil: 1'
    assert "Evil" not in str(answer.headers)


def test_interface_is_read_only(get: Callable[..., Any]) -> None:
    for method in ("post", "put", "patch", "delete"):
        answer = getattr(Client(), method)("/api/v1/reads", headers=STATED)
        assert answer.status_code == 405
        assert answer["Allow"] == "GET"


def test_description_names_what_the_views_take_and_answer(get: Callable[..., Any]) -> None:
    """Every address is described, with the parameters that its view knows and no others."""
    served = Client().get("/api/v1/openapi.json").json()
    assert served == DOCUMENT
    api = next(r for r in get_resolver().url_patterns if getattr(r, "namespace", "") == "api")
    addresses = {
        "/" + str(entry.pattern).removeprefix("v1/").replace("<uuid:pk>", "{id}"): entry.callback
        for entry in api.url_patterns
        if str(entry.pattern).startswith("v1/") and entry.callback is not views.nothing
    }
    assert set(served["paths"]) == set(addresses)
    known = {"/reads": views.READS, "/hits": views.HITS, "/reads/{id}": ()}
    for path, names in known.items():
        parameters = served["paths"][path]["get"]["parameters"]
        assert {p["name"] for p in parameters if p["in"] == "query"} == set(names)
        headers = {p["name"] for p in parameters if p["in"] == "header" and p["required"]}
        assert headers == {"X-Purpose", "X-Case", "X-On-Behalf-Of"}
    limits = {p["name"]: p["schema"] for p in served["paths"]["/reads"]["get"]["parameters"]}
    assert limits["limit"]["maximum"] == views.MOST
    assert limits["page"]["maximum"] == views.MOST_PAGES
    jsonschema.Draft202012Validator.check_schema(
        {"$defs": served["components"]["schemas"], **served["components"]["schemas"]["Reads"]}
    )
