"""The pages of hits as the people who use them see them, and what they are not shown."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from hq.hits import board, review, wording
from hq.hits.models import Clets, Correction, Outcome
from hq.lists import publish, versions
from hq.lists.models import HotList, HotListSource, ListGroup
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people import policy
from hq.people.models import Person
from hq.records.models import Hit, Picture
from hq.site.models import Settings
from tests.hq import kept
from tests.hq.conftest import Clock
from tests.hq.hits_kept import PLATE, a_hit, answered, looked, reviewed

People = Callable[..., Person]
ClientFor = Callable[..., Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

BOARD, ROWS = "/hits/", "/hits/rows/"
VISUAL = {
    "plate": "agrees",
    "read_as": "",
    "state": "agrees",
    "vehicle": "not_listed",
    "seen": "",
    "note": "",
}


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def officer(people: People) -> Person:
    return people("officer")


@pytest.fixture
def at_board(client_for: ClientFor, officer: Person) -> Client:
    """An officer's client, without a purpose stated."""
    return client_for(officer)


def url(hit: Hit, name: str = "hit", *more: str) -> str:
    return reverse(f"hits:{name}", args=[hit.pk, *more])


def shown(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer
    return answer.content.decode()


def errors(page: str, field: str) -> str:
    """What is said at a field."""
    found = re.search(rf'id="id_{field}_error">(.*?)</ul>', page)
    return found[1] if found else ""


def last(action: str) -> AccessRecord:
    found = AccessRecord.objects.filter(action=action).order_by("-sequence").first()
    assert found is not None
    return found


@pytest.mark.clause("430.3(f)")
def test_board_tells_each_hit_with_what_is_not_known(at_board: Client) -> None:
    a_hit(list_age_s=7200.0)
    a_hit("8TST456", kind="lookalike", entry_plate="B7ST456")
    a_hit("9TST789", kind="partial", entry_plate="9T?T*", alarm_class="major_incident_partial")
    page = shown(at_board, BOARD)
    assert page.count("UNVERIFIED") == 3
    for word in ("exact", "look-alike", "partial"):
        assert f'<span class="match">{word}</span>' in page
    assert "2 h 00 min old" in page
    assert "stolen vehicle: unverified - list of 2026-06-03" in page.replace(", “stolen”", "")
    assert "gate-1" in page
    assert "34.11000, -118.15000" in page
    assert "looking E" in page


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize(
    ("region", "sure", "agrees", "said"),
    [
        ("", 0.0, None, "State read: not known."),
        ("CA", 0.98, True, "State read: CA, 98 % sure, the same."),
        ("NV", 0.98, False, "State read: NV, 98 % sure, another."),
        ("NV", 0.9, None, "State read: NV, 90 % sure, too little to compare."),
    ],
)
def test_state_that_was_read_stands_beside_the_listed_one(
    at_board: Client, region: str, sure: float, agrees: bool | None, said: str
) -> None:
    """Step 1 compares plate and state; a state that differs is said on the board and hides no hit."""
    hit = a_hit(state_agrees=agrees)
    type(hit.read).objects.filter(pk=hit.read_id).update(region=region, region_confidence=sure)
    page = shown(at_board, url(hit))
    assert said in page
    assert "State listed: CA." in page
    assert ("The states differ." in page) is (agrees is False)
    match = "exact, another state" if agrees is False else "exact"
    assert f'<span class="match">{match}</span>' in shown(at_board, BOARD)


@pytest.mark.clause("430.3(f)")
def test_no_page_says_stolen_without_unverified_and_the_lists_time(at_board: Client, officer: Person) -> None:
    hit = a_hit(reason="STOLEN VEH")
    review.acknowledge(hit, officer)
    looked(hit, officer)
    for path in (BOARD, ROWS, url(hit), "/hits/unverified/"):
        page = re.sub(r"<[^>]*>", "\n", shown(at_board, path))
        said = [line for line in page.splitlines() if "stolen" in line.lower()]
        assert said, path
        for line in said:
            assert "unverified - list of" in line, line


@pytest.mark.clause("430.3(f)")
def test_a_list_is_told_as_old_as_its_data_however_often_it_was_published_since(
    client_for: ClientFor, people: People, settings: Any, tmp_path: Path, clock: Clock
) -> None:
    """Every hot plate and every load of another source publishes the whole list anew."""
    settings.DATA = tmp_path
    importer, commander = people("ALPR administrator"), people("Commander")
    group = ListGroup.objects.create(name="all")
    hot_list = HotList.objects.create(name="state", group=group, classes=["stolen_vehicle"], ttl_days=30)

    def load(name: str, plate: str) -> str:
        source, _ = HotListSource.objects.get_or_create(hot_list=hot_list, name=name, format="csv")
        lines = [b"plate,class\n", f"{plate},stolen_vehicle\n".encode()]
        draft = versions.import_files(hot_list, [versions.SourceFile(source, "a.csv", lines)], by=importer)
        versions.approve(draft, by=commander)
        made = publish.publish_due(group, publish.signing_key())
        assert made is not None
        return made.version

    first = load("county", PLATE)
    loaded = wording.local_minute(clock.at)
    clock.advance(days=9, hours=1)
    second = load("city", "7TST124")
    at_board = client_for(people("officer"))
    for version in (first, second):
        hit = a_hit(source="county", list_version=version, list_age_s=5.0)
        for path in (BOARD, url(hit)):
            page = shown(at_board, path)
            assert f"unverified - list of {loaded}" in page
            assert "9 days" in page
    other = a_hit("7TST124", source="city", list_version=second, list_age_s=5.0)
    assert f"list of {wording.local_minute(clock.at)}" in shown(at_board, url(other))
    own = a_hit("7TST125", source="manual", list_version=second, list_age_s=600.0)
    assert "10 min at the hit" in shown(at_board, url(own))


@pytest.mark.clause("430.3(b)")
def test_hits_id_stands_for_the_case_of_an_officer_who_stated_nothing(at_board: Client) -> None:
    """Patrol needs no suspicion beforehand, and the record still has a purpose."""
    hit = a_hit()
    shown(at_board, BOARD)
    assert (last("hits.board").purpose, last("hits.board").ids) == ("patrol_hit", [str(hit.pk)])
    shown(at_board, url(hit))
    record = last("hits.view")
    assert (record.purpose, record.case, record.ids) == ("patrol_hit", str(hit.pk), [str(hit.pk)])


@pytest.mark.clause("430.3(b)")
@pytest.mark.clause("430.3-0")
def test_hit_of_the_past_is_no_patrol_and_needs_a_purpose(
    at_board: Client, client_for: ClientFor, officer: Person, clock: Clock
) -> None:
    hit = a_hit()
    review.close(reviewed(hit), officer, kind="gone")
    assert at_board.get(url(hit)).status_code == 200
    clock.advance(hours=25)
    at_board = client_for(officer)
    answer = at_board.get(url(hit))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/people/purpose/")
    stated = client_for(officer, purpose="criminal_investigation", case="26-7")
    shown(stated, url(hit))
    assert last("hits.view").case == "26-7"


@pytest.mark.clause("430.3(b)")
def test_patrol_purpose_always_names_the_hit_that_is_opened(client_for: ClientFor, officer: Person) -> None:
    one, other = a_hit(), a_hit("8TST456")
    client = client_for(officer, purpose="patrol_hit", case=str(one.pk))
    shown(client, url(other))
    assert last("hits.view").case == str(other.pk)


@pytest.mark.clause("430.3-0")
def test_person_who_is_on_no_patrol_is_asked_for_a_purpose(people: People, client_for: ClientFor) -> None:
    a_hit()
    investigator = people("investigator")
    assert client_for(investigator).get(BOARD)["Location"].startswith("/people/purpose/")
    assert PLATE in shown(client_for(investigator, purpose="stolen_vehicle", case="26-1"), BOARD)
    assert last("hits.board").case == "26-1"


@pytest.mark.clause("430.3(a)")
def test_stated_purpose_is_one_that_the_persons_roles_may_state(
    client_for: ClientFor, officer: Person
) -> None:
    hit = a_hit()
    for path in (BOARD, url(hit)):
        answer = client_for(officer, purpose="civil_or_administrative_action", case="26-1").get(path)
        assert answer.status_code == 403
        assert PLATE not in answer.content.decode()


@pytest.mark.clause("430.2-b")
def test_agency_that_switched_patrol_off_asks_for_another_purpose(at_board: Client) -> None:
    a_hit()
    Settings.objects.create(
        agency="Test PD",
        ori="CA0190000",
        policy_id="430",
        policy_version="1",
        reason="test",
        purposes_off=["patrol_hit"],
        approved_at=kept.clock.now(),
    )
    assert at_board.get(BOARD)["Location"].startswith("/people/purpose/")


@pytest.mark.clause("430.3(e)")
def test_restricted_hit_takes_the_right_beside_the_grant(
    people: People, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = restricted()
    right = dataclasses.replace(policy.RIGHTS["hits.restricted"], marks={"commander": "c"})
    monkeypatch.setitem(policy.RIGHTS, "hits.restricted", right)
    for role, masked in (("officer", True), ("commander", False)):
        client = client_for(people(role, grants=["restricted"]), purpose="stolen_vehicle", case="26-1")
        page = shown(client, url(hit))
        assert ("registrant" not in page) == masked


@pytest.mark.clause("430.3(f)")
def test_verification_walked_from_the_board_to_the_outcome(at_board: Client, officer: Person) -> None:
    hit = a_hit()
    assert at_board.post(url(hit, "acknowledge")).status_code == 302
    assert f"Acknowledged by {officer.full_name}" in shown(at_board, BOARD)
    at_board.post(url(hit, "visual"), VISUAL)
    answer = {"result": "confirmed", "operator": "Dispatch 4", "answered_at": "2026-06-03T12:00:00"}
    assert at_board.post(url(hit, "clets"), answer).status_code == 302
    at_board.post(url(hit, "outcome"), {"kind": "acted_on", "note": "stopped at Mission St"})
    page = shown(at_board, url(hit))
    for said in ("CONFIRMED", "Dispatch 4", "stopped at Mission St", officer.full_name):
        assert said in page
    made = Clets.objects.get()
    assert (made.by, made.operator) == (officer, "Dispatch 4")
    assert last("hits.outcome").elements["outcome"] == "acted_on"
    assert chain.verify() is None


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize("how", ["closed", "withdrawn"])
def test_hit_that_is_closed_waits_for_nobody(
    at_board: Client, officer: Person, clock: Clock, how: str
) -> None:
    hit = a_hit()
    looked(hit, officer)
    clock.advance(minutes=25)
    page = shown(at_board, url(hit))
    assert "Waiting for <" in page
    assert ">to do<" in page
    if how == "closed":
        review.close(reviewed(hit), officer, kind="gone")
    else:
        Hit.objects.filter(pk=hit.pk).update(withdrawn=True)
    page = shown(at_board, url(hit))
    assert "Waiting for" not in page
    assert ">to do<" not in page
    assert ">not done<" in page


@pytest.mark.clause("430.3(f)")
def test_second_press_of_a_button_leads_to_the_same_page(
    at_board: Client, officer: Person, clock: Clock
) -> None:
    hit = a_hit()
    looked(hit, officer)
    correct = f"{reverse('hits:correct', args=[hit.read_id])}?hit={hit.pk}"
    for address, sent in (
        (url(hit, "outcome"), {"kind": "gone", "note": "left northbound"}),
        (correct, {"corrected": "7TSI123", "why": "the picture shows it"}),
    ):
        for _ in range(2):
            answer = at_board.post(address, sent)
            assert (answer.status_code, answer["Location"]) == (302, url(hit))
            clock.advance(seconds=3)
    assert (Outcome.objects.count(), Correction.objects.count()) == (1, 1)


@pytest.mark.clause("430.3(f)")
def test_acted_on_before_step_two_is_refused_by_clause_and_logged(at_board: Client, officer: Person) -> None:
    hit = a_hit()
    looked(hit, officer)
    answer = at_board.post(url(hit, "outcome"), {"kind": "acted_on", "note": "stopped at Mission St"})
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "before CLETS answered" in errors(page, "kind")
    assert "430.3(f)" in errors(page, "kind")
    assert 'value="stopped at Mission St"' in page
    assert f'action="{url(hit, "outcome")}#outcome"' in page, "a browser scrolls to what it says"
    assert re.search(r'name="kind" value="acted_on"[^>]* checked', page)
    assert not Outcome.objects.exists()
    record = last("hits.outcome")
    assert (record.outcome, record.ids) == ("refused", [str(hit.pk)])
    assert "before CLETS answered" in record.note


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize(
    ("step", "sent", "said"),
    [
        ("visual", VISUAL | {"plate": "differs"}, "Say which plate you read"),
        ("visual", {name: value for name, value in VISUAL.items() if name != "state"}, "required"),
        ("visual", VISUAL | {"read_as": "7TST€23"}, "a plate holds no"),
        (
            "clets",
            {"result": "not_practicable", "operator": "x", "answered_at": "2026-06-03T11:59"},
            "Say why",
        ),
        ("clets", {"result": "confirmed", "operator": "x", "answered_at": "2026-06-03T12:05"}, "the future"),
        ("clets", {"operator": "x", "answered_at": "2026-06-03T11:59"}, "required"),
        ("outcome", {"note": "x"}, "required"),
    ],
)
def test_form_that_is_not_whole_comes_back_with_what_is_missing(
    at_board: Client, officer: Person, step: str, sent: dict[str, str], said: str
) -> None:
    hit = a_hit()
    looked(hit, officer)
    answer = at_board.post(url(hit, step), sent)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Clets.objects.exists()


@pytest.mark.clause("430.3(f)")
def test_rule_against_what_a_form_says_is_told_at_its_field(at_board: Client, officer: Person) -> None:
    hit = a_hit()
    differs = VISUAL | {"plate": "differs", "read_as": PLATE, "note": "by torchlight"}
    answer = at_board.post(url(hit, "visual"), differs)
    assert (answer.status_code, last("hits.verify").outcome) == (403, "refused")
    page = answer.content.decode()
    assert "is the listed plate" in errors(page, "read_as")
    assert 'value="by torchlight"' in page
    answer = at_board.post(url(hit, "outcome"), {"kind": "wrong", "note": ""})
    assert "by eye first" in errors(answer.content.decode(), "kind")
    looked(hit, officer)
    answered(hit, officer, "cancelled")
    answer = at_board.post(url(hit, "outcome"), {"kind": "acted_on", "note": ""})
    assert "say what was done and why" in errors(answer.content.decode(), "note")
    assert not Outcome.objects.exists()


@pytest.mark.clause("CC-51b2F")
def test_correction_to_the_text_that_stands_is_told_at_its_field(at_board: Client) -> None:
    hit = a_hit()
    path = f"{reverse('hits:correct', args=[hit.read_id])}?hit={hit.pk}"
    answer = at_board.post(path, {"corrected": PLATE, "why": "a second look"})
    page = answer.content.decode()
    assert (answer.status_code, last("reads.correct").outcome) == (403, "refused")
    assert "stands already" in errors(page, "corrected")
    assert 'value="a second look"' in page


def restricted(**fields: Any) -> Hit:
    return a_hit(alarm_class="sex_offender", reason="registrant", **fields)


HIDDEN = (PLATE, "registrant", "sex offender", "exact", "svs")


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("CJIS 4.2")
def test_restricted_hit_is_masked_for_people_without_the_grant(at_board: Client) -> None:
    hit = restricted(source="svs")
    for path in (BOARD, ROWS, url(hit), "/hits/unverified/"):
        page = shown(at_board, path)
        assert wording.MASKED in page, path
        assert "gate-1" in page, path
        body = page[page.index("<main") :] if "<main" in page else page
        for secret in HIDDEN:
            assert secret not in re.sub(r'class="[^"]*"', "", body), (path, secret)


@pytest.mark.clause("430.3(e)")
@pytest.mark.parametrize("step", ["visual", "clets", "outcome"])
def test_restricted_hit_cannot_be_verified_unseen(at_board: Client, step: str) -> None:
    hit = restricted()
    answer = at_board.post(url(hit, step), VISUAL)
    assert answer.status_code == 403
    assert "430.3(e)" in answer.content.decode()
    assert at_board.post(url(hit, "acknowledge")).status_code == 302, "anybody may silence the alarm"


@pytest.mark.clause("430.3(e)")
def test_restricted_hit_is_shown_to_people_with_the_grant(people: People, client_for: ClientFor) -> None:
    hit = restricted()
    client = client_for(people("officer", grants=["restricted"]))
    assert "registrant" in shown(client, BOARD)
    assert "registrant" in shown(client, url(hit))
    assert client.get(url(hit, "picture", "plate")).status_code == 200


@pytest.mark.clause("430.3(e)")
def test_detail_of_anothers_data_needs_that_grant(
    at_board: Client, people: People, client_for: ClientFor
) -> None:
    group = ListGroup.objects.create(name="all")
    held = HotList.objects.create(name="state", group=group, classes=["stolen_vehicle"])
    HotListSource.objects.create(hot_list=held, name="CLEW", format="clew", data="clets")
    a_hit(source="CLEW")
    assert wording.MASKED in shown(at_board, BOARD)
    assert PLATE in shown(client_for(people("officer", grants=["clets"])), BOARD)


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("430.7-b")
def test_picture_is_shown_only_to_a_page_and_each_time_logged(at_board: Client) -> None:
    hit = a_hit()
    answer = at_board.get(url(hit, "picture", "plate"))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert "no-store" in answer["Cache-Control"]
    record = last("hits.view")
    assert (record.kind, record.elements["picture"]) == ("picture", "plate")
    assert record.ids == [str(hit.pk), str(hit.read_id)]
    assert Client().get(url(hit, "picture", "plate")).status_code == 302
    file = Picture.objects.get(read=hit.read_id, kind="plate").file
    for path in (f"/{file.name}", f"/media/{file.name}", f"/pictures/{file.name}"):
        assert at_board.get(path).status_code == 404


@pytest.mark.clause("430.5(a)")
def test_nothing_is_shown_while_the_log_cannot_be_written(
    at_board: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = a_hit()

    def down(**_: Any) -> None:
        raise chain.LogUnavailable("disk full")

    monkeypatch.setattr(chain, "append", down)
    for path in (BOARD, ROWS, url(hit), url(hit, "picture", "plate"), "/hits/stream/"):
        answer = at_board.get(path)
        assert answer.status_code == 503, path
        assert PLATE not in answer.content.decode(errors="replace")


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("430.7-b")
@pytest.mark.parametrize("kind", ["plate", "scene"])
def test_picture_of_a_restricted_hit_is_refused(at_board: Client, kind: str) -> None:
    assert at_board.get(url(restricted(), "picture", kind)).status_code == 403


def test_picture_that_is_not_what_came_is_not_shown(at_board: Client) -> None:
    hit = a_hit()
    file = Picture.objects.get(read=hit.read_id, kind="plate").file
    Path(default_storage.path(file.name)).write_bytes(b"something else")
    assert at_board.get(url(hit, "picture", "plate")).status_code == 404
    assert at_board.get(url(hit, "picture", "cabin")).status_code == 404
    assert at_board.get(url(a_hit(pictures=False), "picture", "plate")).status_code == 404


@pytest.mark.clause("430.7-b")
@pytest.mark.parametrize("role", ["custodian", "training_sergeant", "auditor", "records_clerk", "technician"])
def test_roles_without_hits_see_none(people: People, client_for: ClientFor, role: str) -> None:
    hit = a_hit()
    client = client_for(people(role))
    for path in (BOARD, ROWS, "/hits/stream/", url(hit), url(hit, "picture", "plate"), "/hits/unverified/"):
        answer = client.get(path)
        assert answer.status_code == 403, path
        assert PLATE not in answer.content.decode()
    for name in ("acknowledge", "visual", "clets", "outcome"):
        assert client.post(url(hit, name), VISUAL).status_code == 403


@pytest.mark.clause("430.7-b")
def test_nobody_sees_a_hit_without_logging_in() -> None:
    hit = a_hit()
    for path in (BOARD, ROWS, "/hits/stream/", url(hit), "/hits/unverified/", "/hits/misreads/"):
        answer = Client().get(path)
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]


def test_board_that_reloads_itself_is_no_activity(at_board: Client, clock: Clock) -> None:
    """CJIS AC-11: a board left alone locks, and then shows nothing."""
    a_hit()
    shown(at_board, BOARD)
    for _ in range(3):
        clock.advance(minutes=9)
        shown(at_board, ROWS)
    clock.advance(minutes=9)
    assert at_board.get(ROWS)["Location"].startswith("/people/unlock/")


def test_board_says_when_a_hit_came_late_and_how_many_older_ones_wait(at_board: Client) -> None:
    hit = a_hit()
    hit.hit_at -= timedelta(hours=3)
    hit.save()
    a_hit(age_s=50_000)
    page = shown(at_board, BOARD)
    assert "came 3 h 00 min late" in page
    assert "<strong>1</strong> unverified hit older" in page


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize("utc", [8, 9], ids=["the first 01:30", "the second 01:30"])
def test_answer_of_clets_is_entered_in_the_hour_that_comes_twice(
    people: People, client_for: ClientFor, clock: Clock, utc: int
) -> None:
    """A browser's field for a time takes no offset: as a person gives it, it must be taken."""
    clock.at = datetime(2026, 11, 1, utc, 30, 20, tzinfo=UTC)
    hit, officer = a_hit(), people("officer")
    looked(hit, officer)
    client = client_for(officer)
    answered = {"result": "confirmed", "operator": officer.full_name, "reason": ""}
    client.post(url(hit, "clets"), answered | {"answered_at": "2026-11-01T01:30:20"})
    assert Clets.objects.get().answered_at == clock.at
    earlier = {"answered_at": "2026-11-01T01:50:00"}
    answer = client.post(url(hit, "clets"), answered | earlier)
    if utc == 8:
        assert b"cannot come from the future" in answer.content
    else:
        assert Clets.objects.latest("pk").answered_at == datetime(2026, 11, 1, 8, 50, tzinfo=UTC)
    never = client.post(url(hit, "clets"), answered | {"answered_at": "2026-03-08T02:30:00"})
    assert b"The change of the clocks leaves this time out." in never.content


@pytest.mark.clause("430.3(f)")
def test_answer_whose_time_is_not_given_came_when_it_was_entered_not_when_the_page_was_opened(
    at_board: Client, officer: Person, clock: Clock
) -> None:
    hit = a_hit()
    looked(hit, officer)
    page = shown(at_board, url(hit))
    field = re.search(r'<input type="datetime-local" name="answered_at"[^>]*>', page)
    assert field is not None
    assert "value=" not in field[0]
    assert "required" not in field[0]
    clock.advance(minutes=20)
    answered = {"result": "confirmed", "operator": officer.full_name, "reason": "", "answered_at": ""}
    at_board.post(url(hit, "clets"), answered)
    entered = clock.at
    clock.advance(seconds=4)
    at_board.post(url(hit, "clets"), answered)  # a second press
    given = Clets.objects.get()
    assert (given.answered_at, given.at) == (entered, entered)
    clock.advance(minutes=9)
    at_board.post(url(hit, "clets"), answered)
    assert Clets.objects.latest("pk").answered_at == clock.at, "asked once more"


@pytest.mark.clause("430.3(f)")
def test_hit_that_waits_stays_on_the_board_however_many_came_and_were_closed_since(
    at_board: Client, officer: Person
) -> None:
    waiting = a_hit("7TST111", age_s=3600.0, pictures=False)
    came = [a_hit(f"8TST{n:03}", pictures=False) for n in range(board.MOST * 3)]
    Outcome.objects.bulk_create(
        Outcome(hit=hit, read_id=hit.read_id, by=officer, at=hit.received_at, kind="no_action")
        for hit in came
    )
    page = shown(at_board, ROWS)
    assert re.findall(r'id="hit-([^"]+)"', page)[0] == str(waiting.pk)
    assert page.count("data-alarm") == 1


@pytest.mark.clause("430.3(f)")
def test_board_says_how_many_hits_it_has_no_room_for(at_board: Client, officer: Person) -> None:
    hits = [a_hit(f"8TST{n:03}", age_s=100.0 - n, pictures=False) for n in range(board.MOST + 2)]
    page = shown(at_board, BOARD)
    assert page.count("data-alarm") == board.MOST
    assert "<strong>2</strong> more unverified hits of the last 12 hours do not fit" in page
    mark = board.mark()
    review.acknowledge(hits[0], officer)
    assert board.mark() == mark, "nothing that is shown has changed"
    review.close(reviewed(hits[0]), officer, kind="no_action")
    assert board.mark() != mark, "one that is not shown is closed: its number has changed"
    assert "<strong>1</strong> more unverified hit of the last 12 hours does not fit" in shown(at_board, ROWS)
    review.acknowledge(hits[-1], officer)
    page = shown(at_board, ROWS)
    assert f"hit-{hits[1].pk}" in page, "the next one has moved up"
    assert f"hit-{hits[-1].pk}" not in page


def test_plate_text_is_escaped_on_every_page(at_board: Client) -> None:
    hit = a_hit(reason="<script>alert(1)</script>", case_number='"><img src=x>')
    for path in (BOARD, url(hit), "/hits/unverified/"):
        page = shown(at_board, path)
        assert "<script>alert" not in page
        assert "<img src=x>" not in page


def test_hit_that_nobody_has_is_not_found(at_board: Client) -> None:
    assert at_board.get(f"/hits/{uuid4()}/").status_code == 404


@pytest.mark.clause("CC-51b2F")
def test_misread_is_corrected_and_what_was_read_is_kept(at_board: Client, officer: Person) -> None:
    hit = a_hit()
    path = f"{reverse('hits:correct', args=[hit.read_id])}?hit={hit.pk}"
    looked(hit, officer, "differs", read_as="7TSI123")
    assert 'value="7TSI123"' in shown(at_board, path)
    at_board.post(path, {"corrected": "7tsi-123", "why": "the picture shows an I"})
    made = Correction.objects.get()
    assert (made.original, made.corrected, made.by) == (PLATE, "7TSI123", officer)
    assert reviewed(hit).read.text == PLATE  # type: ignore[union-attr]
    page = shown(at_board, url(hit))
    assert "which is not the listed plate" in page
    assert "the picture shows an I" in page
    assert "corrected to" in shown(at_board, BOARD)
    assert last("reads.correct").elements["corrected"] == "7TSI123"


@pytest.mark.clause("CC-51b2F")
@pytest.mark.parametrize(
    "sent",
    [{"corrected": "", "why": "x"}, {"corrected": "7TSI123", "why": " "}, {"corrected": PLATE, "why": "x"}],
)
def test_correction_says_what_and_why(at_board: Client, sent: dict[str, str]) -> None:
    hit = a_hit()
    path = f"{reverse('hits:correct', args=[hit.read_id])}?hit={hit.pk}"
    assert at_board.post(path, sent).status_code in (200, 403)
    assert not Correction.objects.exists()


@pytest.mark.clause("430.7-b")
@pytest.mark.clause("430.3(e)")
def test_read_of_no_hit_is_corrected_only_by_who_may_see_it(people: People, client_for: ClientFor) -> None:
    row = kept.read()
    path = reverse("hits:correct", args=[row.pk])
    stated = {"purpose": "criminal_investigation", "case": "26-7"}
    bare = people("investigator", grants=[])
    answer = client_for(bare, **stated).get(path)
    assert (answer.status_code, PLATE in answer.content.decode()) == (403, False)
    able = people("investigator")
    assert client_for(able).get(path).status_code == 302
    assert PLATE not in client_for(able, **stated).get(f"{path}?hit={a_hit().pk}").content.decode()
    assert row.text in shown(client_for(able, **stated), path)
    masked = restricted()
    through = f"{reverse('hits:correct', args=[masked.read_id])}?hit={masked.pk}"
    assert client_for(people("officer")).get(through).status_code == 403


@pytest.mark.clause("CC-51b2F")
@pytest.mark.clause("430.7-b")
def test_misread_report_counts_what_people_looked_at_and_holds_no_plate(
    people: People, client_for: ClientFor, officer: Person
) -> None:
    right, wrong, unclear, unseen = a_hit(), a_hit("8TST456"), a_hit("9TST789"), a_hit("1TST111")
    looked(right, officer)
    looked(wrong, officer, "differs", read_as="BTST456")
    looked(unclear, officer, "unclear")
    path = f"{reverse('hits:correct', args=[unseen.read_id])}?hit={unseen.pk}"
    client_for(officer).post(path, {"corrected": "ITST111", "why": "picture"})
    page = shown(client_for(people("technician")), "/hits/misreads/")
    cells = re.findall(r'<td class="number">([^<]*)</td>', page)
    assert cells == ["4", "3", "2", "67 %"]
    assert '<span class="mono">I</span> read as <span class="mono">1</span>: 1 time<' in page
    for text in (PLATE, "8TST456", "BTST456", "ITST111"):
        assert text not in page
    assert "before the first" in shown(
        client_for(people("technician")), "/hits/misreads/?since=2026-06-02&until=2026-06-01"
    )
    # A period of which all is destroyed did have reads.
    page = shown(client_for(people("technician")), "/hits/misreads/?since=2025-01-01&until=2025-03-31")
    assert "No read of this period is here." in page
    assert "nor are those that were destroyed since" in page


@pytest.mark.clause("430.7-b")
def test_stream_and_mark_hold_no_plate(at_board: Client) -> None:
    a_hit()
    page = shown(at_board, ROWS)
    found = re.search(r'data-mark="([0-9a-f]{16})"', page)
    assert found
    before = found[1]
    a_hit("8TST456")
    assert f'data-mark="{before}"' not in shown(at_board, ROWS)
