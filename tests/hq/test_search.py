"""Searching as people do it: for a purpose, within their right, written down before it is shown."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hq.hits import corrections, review
from hq.log import chain as log
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.records import trigrams
from hq.records.models import Picture, Read, Trigram, UnitStatus
from hq.search import export, finding, localtime, pictures
from hq.search.asked import Asked, AskedError, Box, Circle, plate_text
from hq.search.finding import Reach
from hq.search.models import Shift
from hq.site import clock
from tests.hq import hits_kept, kept
from tests.hq.searching import WHY, WINDOW, last

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]


@pytest.fixture(autouse=True)
def _media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def texts(asked: Asked, reach: Reach | None = None) -> list[str]:
    return sorted(read.text for read in finding.query(asked, reach or Reach()))


def jpeg_of(row: Read, kind: str = "scene", size: tuple[int, int] = (640, 384)) -> Picture:
    """A picture as its unit sent it."""
    made = io.BytesIO()
    Image.new("RGB", size, (40, 90, 160)).save(made, "JPEG")
    data = made.getvalue()
    name = default_storage.save(f"reads/2026/06/03/1900/{row.id}-{kind}.jpg", ContentFile(data))
    return Picture.objects.create(
        read=row, kind=kind, sha256=hashlib.sha256(data).hexdigest(), file=name, size=len(data), missing=False
    )


@pytest.mark.clause("430.3-0")
@pytest.mark.clause("430.7-a")
def test_nothing_is_listed_before_something_is_asked(investigator: Client) -> None:
    kept.read("7ABC123")
    page = investigator.get("/search/").content.decode()
    assert "7ABC123" not in page
    answer = investigator.post("/search/results/", WHY).content.decode()
    assert "7ABC123" not in answer
    assert "nothing is listed without a search" in answer
    assert last().ids == []


@pytest.mark.clause("CC-52a")
@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("430.5(b)")
def test_page_says_before_what_the_log_will_say_and_after_what_it_said(investigator: Client) -> None:
    row = kept.read("7ABC123")
    kept.read("8XYZ999")
    before = investigator.get("/search/").content.decode()
    assert "What the access log will say" in before
    assert "Test Investigator 1, Sworn member, Test Police Department" in before
    asked = WHY | {"plate": "7abc-123", "behalf_person": "A. Colleague", "behalf_agency": "Neighbour PD"}
    page = investigator.post("/search/results/", asked).content.decode()
    record = last()
    assert (record.kind, record.purpose, record.case) == ("search", "criminal_investigation", "26-100")
    assert record.on_behalf_of == "A. Colleague, Neighbour PD"
    assert record.elements["plate"] == "7ABC123"
    assert (record.result_count, record.ids) == (1, [str(row.pk)])
    assert record.agency == "Test Police Department"
    assert f"was recorded as <strong>number {record.sequence}</strong>" in page
    assert "7ABC123" in page
    assert "8XYZ999" not in page
    assert "approved release only" in page  # found for another agency (430.8)


@pytest.mark.clause("CC-52a")
def test_page_tells_the_window_that_was_asked_for_with_its_offset(investigator: Client) -> None:
    """In the hour that comes twice the local time alone is two moments; a canvass is printed and filed."""
    kept.deployment("D-7")
    window = {"deployment": "D-7", "since": "2026-11-01 01:30 -07:00", "until": "2026-11-01 01:30 -08:00"}
    for path in ("/search/results/", "/search/canvass/report/"):
        page = investigator.post(path, WHY | window).content.decode()
        said = re.sub(r"<[^>]+>", "", page[page.index('id="said"') :])
        assert "Since2026-11-01 01:30:00 -07:00" in said
        assert "Until2026-11-01 01:30:00 -08:00" in said


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("430.2.1(d)")
@pytest.mark.parametrize("way", ["results", "csv", "read", "timeline", "picture", "canvass"])
def test_nothing_is_shown_where_the_log_cannot_be_written(
    investigator: Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    kept.deployment("D-7")
    row = kept.read("7ABC123", pictures=(), deployment="D-7")
    jpeg_of(row)
    investigator.post("/search/results/", WHY | {"plate": "7ABC123"})
    ways: dict[str, Callable[[], Any]] = {
        "results": lambda: investigator.post("/search/results/", WHY | {"plate": "7ABC123"}),
        "csv": lambda: investigator.post("/search/csv/", WHY | {"plate": "7ABC123"}),
        "read": lambda: investigator.get(f"/search/reads/{row.pk}/"),
        "timeline": lambda: investigator.get(f"/search/reads/{row.pk}/timeline/"),
        "picture": lambda: investigator.get(f"/search/reads/{row.pk}/pictures/scene/"),
        "canvass": lambda: investigator.post("/search/canvass/report/", WHY | {"deployment": "D-7"}),
    }
    assert ways[way]().status_code == 200

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    monkeypatch.setattr(AccessRecord, "save", broken)
    answer = ways[way]()
    assert answer.status_code == 503
    assert b"7ABC123" not in answer.content
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.clause("430.3(a)")
@pytest.mark.clause("430.5(b)")
@pytest.mark.clause("CC-52b")
@pytest.mark.parametrize(
    ("purpose", "case", "clause"),
    [
        ("", "26-1", "430.3(a)"),
        ("personal", "26-1", "430.3(a)"),
        ("criminal_investigation", " ", "430.5(b)"),
        ("audit", "26-1", "430.5(c)"),
    ],
)
def test_search_without_a_purpose_and_case_of_the_table_is_refused_and_logged(
    investigator: Client, purpose: str, case: str, clause: str
) -> None:
    row = kept.read("7ABC123")
    sent = {"plate": "7ABC123", "since": "2026-06-02 08:15", "purpose": purpose, "case": case}
    answer = investigator.post("/search/results/", sent)
    assert answer.status_code == 403
    assert str(row.pk).encode() not in answer.content
    assert last().outcome == "refused"
    assert last().note.startswith(clause)
    # The form again, at its field what is wrong, with all that was typed.
    form = answer.context["form"]
    assert clause in str(form.errors["purpose" if clause != "430.5(b)" else "case"])
    page = answer.content.decode()
    assert 'value="7ABC123"' in page
    assert 'value="2026-06-02 08:15"' in page
    assert 'aria-invalid="true"' in page


@pytest.mark.clause("430.5(b)")
def test_canvass_and_file_without_a_case_come_back_as_their_forms(investigator: Client) -> None:
    kept.deployment("D-7")
    row = kept.read("7ABC123", pictures=(), deployment="D-7")
    sent = {"purpose": "criminal_investigation", "case": "", "deployment": "D-7"}
    for address, action in (
        ("/search/canvass/report/", "deployments.canvass"),
        ("/search/csv/", "reads.export"),
    ):
        answer = investigator.post(address, sent)
        assert answer.status_code == 403
        assert "needs the case or incident number" in str(answer.context["form"].errors["case"])
        assert 'value="D-7"' in answer.content.decode()
        assert str(row.pk).encode() not in answer.content
        assert (last(action).outcome, last(action).ids) == ("refused", [])


@pytest.mark.clause("430.3(b)")
def test_for_a_live_hit_the_case_is_the_id_of_one(people: People, client_for: ClientFor, clock: Any) -> None:
    row = kept.read("7ABC123")
    hit = kept.a_hit(row)
    officer = client_for(people("Officer", grants=["dept_reads", "wide_search"]))
    asked = {"purpose": "patrol_hit", "plate": "7ABC123"}
    refused = officer.post("/search/results/", asked | {"case": str(uuid.uuid4())}).content
    assert b"id of a live hit" in refused
    assert str(row.pk).encode() not in refused
    assert str(row.pk).encode() in officer.post("/search/results/", asked | {"case": str(hit.pk)}).content


@pytest.mark.clause("430.5(b)")
@pytest.mark.clause("430.3(e)")
def test_officer_sees_the_own_shifts_units_and_a_day_only(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    car, other = kept.unit("car-4"), kept.unit("car-9")
    mine, old = kept.read("7ABC123", on=car, days=0.5), kept.read("7ABC123", on=car, days=1.1)
    strange = kept.read("7ABC123", on=other, days=0.5)
    officer, boss = people("Officer"), people("ALPR administrator")
    client, asked = client_for(officer), WHY | {"plate": "7ABC123"}
    assert client.post("/search/results/", asked).status_code == 200
    assert last().ids == []
    now = clock.at
    shift = {"starts_at": now - timedelta(hours=3), "ends_at": now + timedelta(hours=5)}
    Shift.objects.create(person=officer, unit=car, entered_by=boss, **shift)
    for unit in (car, other):
        said = {"position": {"latitude": 34.1, "longitude": -118.1}}
        UnitStatus.objects.create(
            unit=unit, received_at=clock.at, state="ready", model_hashes=[], queue=0, record=said
        )
    page = client.post("/search/results/", asked).content.decode()
    assert last().ids == [str(mine.pk)]
    assert "own shift" in page
    at = client.get("/search/").content.decode()
    assert "[&quot;car-4&quot;, 34.1" in at
    assert "[&quot;car-9&quot;" not in at, "nor where the others' units stand"
    for hidden in (old, strange):
        for address in ("", "timeline/", "pictures/plate/"):
            assert client.get(f"/search/reads/{hidden.pk}/{address}").status_code == 404
    assert client.get(f"/search/reads/{mine.pk}/").status_code == 200
    assert client.get(f"/search/reads/{mine.pk}/timeline/").status_code == 200
    assert last().ids == [str(mine.pk)]
    assert client.post("/search/csv/", asked).status_code == 403
    clock.advance(hours=30)
    client = client_for(officer)
    client.post("/search/results/", asked)
    assert last().ids == []
    wide = client_for(people("Officer", grants=["dept_reads", "wide_search"]))
    wide.post("/search/results/", asked)
    assert set(last().ids) == {str(read.pk) for read in (mine, old, strange)}


@pytest.mark.clause("430.2-d")
def test_nobody_enters_their_own_shift(people: People, client_for: ClientFor, clock: Any) -> None:
    car = kept.unit("car-4")
    both, officer = people(["ALPR administrator", "Officer"]), people("Officer")
    times = {"starts_at": "2026-06-03 08:00", "ends_at": "2026-06-03 18:00"}
    client = client_for(both)
    own = client.post("/search/shifts/enter/", times | {"person": both.pk, "unit": car.pk})
    assert own.status_code == 403
    assert not Shift.objects.exists()
    answer = client.post("/search/shifts/enter/", times | {"person": officer.pk, "unit": car.pk})
    assert answer.status_code == 302
    for wrong in ({"ends_at": times["starts_at"]}, {"ends_at": "2026-06-04 08:01"}, {"ends_at": ""}):
        client.post("/search/shifts/enter/", times | wrong | {"person": officer.pk, "unit": car.pk})
    row = Shift.objects.get()
    assert row.starts_at == datetime(2026, 6, 3, 15, tzinfo=UTC)
    assert client_for(officer).post("/search/shifts/enter/", times).status_code == 403
    assert client.get("/search/shifts/").status_code == 200
    mine = Shift.objects.create(
        person=both, unit=car, entered_by=people("Commander"), starts_at=row.starts_at, ends_at=row.ends_at
    )
    assert client.post(f"/search/shifts/{mine.pk}/end/").status_code == 403
    assert client.post(f"/search/shifts/{row.pk}/end/").status_code == 302
    row.refresh_from_db()
    assert row.ends_at == clock.at
    with pytest.raises(DatabaseError), transaction.atomic():
        Shift.objects.filter(pk=row.pk).update(starts_at=clock.at - timedelta(days=3))


@pytest.mark.clause("430.3(d)")
@pytest.mark.parametrize(
    "role", ["Training Sergeant", "Auditor", "Records clerk", "Technician", "untrained", "no grant"]
)
def test_who_may_not_search_sees_nothing(
    people: People, client_for: ClientFor, clock: Any, role: str
) -> None:
    row = kept.read("7ABC123")
    person = {
        "untrained": lambda: people("Investigator", trained=False),
        "no grant": lambda: people("Investigator", grants=[]),
    }.get(role, lambda: people(role, grants=["dept_reads", "wide_search"]))()
    client = client_for(person, purpose="criminal_investigation", case="26-1")
    for answer in (
        client.get("/search/"),
        client.post("/search/results/", WHY | {"plate": "7ABC123"}),
        client.post("/search/csv/", WHY | {"plate": "7ABC123"}),
        client.get(f"/search/reads/{row.pk}/"),
        client.get(f"/search/reads/{row.pk}/timeline/"),
        client.get(f"/search/reads/{row.pk}/pictures/plate/"),
        client.post("/search/canvass/report/", WHY | {"deployment": "D"}),
    ):
        assert answer.status_code == 403
        assert b"7ABC123" not in answer.content


def test_exact_partial_and_lookalike_find_what_they_say() -> None:
    for text in ("8ABO123", "BA80I23", "8ABO124", "7XYZ999", "X8AB77"):
        kept.read(text)
    assert texts(Asked(plate="8ABO123")) == ["8ABO123"]
    assert texts(Asked(plate="8A801Z3", lookalikes=True)) == ["8ABO123", "BA80I23"]
    assert texts(Asked(plate="8A801Z3")) == []
    assert texts(Asked(plate="8ABO12?")) == ["8ABO123", "8ABO124"]
    assert texts(Asked(plate="*8AB*")) == ["8ABO123", "8ABO124", "X8AB77"]
    assert texts(Asked(plate="?8AB*")) == ["X8AB77"]
    assert texts(Asked(plate="BAB*", lookalikes=True)) == ["8ABO123", "8ABO124", "BA80I23"]
    assert texts(Asked(plate="?A?0*", lookalikes=True)) == ["8ABO123", "8ABO124", "BA80I23"]


_PLATE = st.text("0O8B1IZ2A", min_size=1, max_size=7)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stored=st.lists(_PLATE, min_size=1, max_size=6, unique=True),
    pattern=st.text("0O8B1IZ2A?*", min_size=1, max_size=7),
    alike=st.booleans(),
)
def test_index_and_scan_find_the_same_reads(stored: list[str], pattern: str, alike: bool) -> None:
    """What a partial search finds is what its pattern means, whether the index answers or not."""
    if not pattern.strip("?*"):
        return
    unit = kept.unit(str(uuid.uuid4()))
    for text in stored:
        kept.read(text, pictures=(), on=unit)
    from plates.lookalike import fold

    form = (fold if alike else str)(plate_text(pattern)).replace("?", ".").replace("*", ".*")
    expected = sorted(t for t in stored if re.fullmatch(form, fold(t) if alike else t))
    asked = Asked(plate=plate_text(pattern), lookalikes=alike, unit=unit.pk)
    assert texts(asked) == expected


@pytest.mark.parametrize("plate", ["8ABO123", "*BO1*", "8AB?1*"])
@pytest.mark.parametrize("alike", [False, True])
def test_three_known_characters_are_answered_from_the_index(plate: str, alike: bool) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL scans a small table whatever its indexes")
    for number in range(300):
        kept.read(f"8AB{number:04d}", pictures=())
    with CaptureQueriesContext(connection) as asked:
        finding.page(Asked(plate=plate, lookalikes=alike), Reach(), 0, 25, clock.now())
    for query in asked.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plan = " ".join(str(row[-1]) for row in cursor.fetchall())
        assert "SCAN records_read" not in plan, plan
        assert "SCAN records_trigram" not in plan, plan
        if "records_trigram" in plan:
            # The rows lie in the order of time: the newest come first without sorting them all.
            assert "USING PRIMARY KEY (gram=?)" in plan, plan
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan, plan


@pytest.mark.parametrize(
    "asked",
    [
        {"plate": "?A?B?1?"},
        {"plate": "AB*"},
        {"unit": "gate-1"},
        {"south": 1, "west": 1, "north": 2, "east": 2},
    ],
)
def test_full_scan_is_said_and_takes_a_window(investigator: Client, asked: dict[str, Any]) -> None:
    kept.read("7ABC123", lat=1.5, lon=1.5)
    page = investigator.post("/search/results/", WHY | asked).content.decode()
    assert "window of 31 days" in page
    assert last().ids == []
    wide = {"since": "2026-04-01", "until": "2026-06-04"}
    assert "window of 31 days" in investigator.post("/search/results/", WHY | asked | wide).content.decode()
    page = investigator.post("/search/results/", WHY | asked | WINDOW).content.decode()
    assert "every read of the window was looked at" in page


def test_area_and_window_bound_the_answer_and_unplaced_reads_are_told(investigator: Client) -> None:
    near, far = (
        kept.read("7NEAR11", lat=34.1160, lon=-118.1500),
        kept.read("7FAR111", lat=34.1400, lon=-118.1500),
    )
    kept.read("7LOST11")
    circle = {"lat": "34.1161", "lon": "-118.1501", "metres": "100"}
    page = investigator.post("/search/results/", WHY | WINDOW | circle).content.decode()
    assert last().ids == [str(near.pk)]
    assert "1 further read would fit" in page
    box = {"south": "34.13", "north": "34.15", "west": "-118.2", "east": "-118.1"}
    investigator.post("/search/results/", WHY | WINDOW | box)
    assert last().ids == [str(far.pk)]
    assert "not both" in investigator.post("/search/results/", WHY | WINDOW | box | circle).content.decode()
    assert (
        "four sides" in investigator.post("/search/results/", WHY | WINDOW | {"south": "1"}).content.decode()
    )
    early = {"plate": "7NEAR11", "until": "2026-06-03 11:00"}
    investigator.post("/search/results/", WHY | early)
    assert last().ids == []
    investigator.post("/search/results/", WHY | {"plate": "7NEAR11", "since": "2026-06-03T19:00:00Z"})
    assert last().ids == [str(near.pk)]


@given(lat=st.floats(-80, 80), lon=st.floats(-170, 170), north=st.floats(-1, 1), east=st.floats(-1, 1))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_circle_is_a_circle_on_the_ground(lat: float, lon: float, north: float, east: float) -> None:
    from hq.lists.retro import metres

    unit = kept.unit(str(uuid.uuid4()))
    place = (round(lat + north * 0.05, 7), round(lon + east * 0.05, 7))  # as a receiver gives them
    kept.read("7ABC123", pictures=(), on=unit, lat=place[0], lon=place[1])
    distance = metres(lat, lon, *place)
    for radius, inside in ((distance * 1.005 + 1, True), (distance * 0.995 - 1, False)):
        if 1 <= radius <= 50_000:
            assert (
                finding.query(Asked(unit=unit.pk, area=Circle(lat, lon, radius)), Reach()).exists() == inside
            )


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(
            plate="7ABC123", since=datetime(2026, 2, 1, tzinfo=UTC), until=datetime(2026, 1, 1, tzinfo=UTC)
        ),
        Asked(plate="7ABC123", area=Box(2, 1, 1, 2)),
        Asked(plate="7ABC123", area=Box(float("nan"), 1, 2, 2)),
        Asked(plate="7ABC123", area=Circle(0, 0, 1e6)),
        Asked(plate="7ABC123", area=Box(float("-inf"), 1, 2, 2)),
        Asked(plate="7ABC123", area=Circle(float("inf"), 0, 10)),
        Asked(plate="7ABC123", area=Circle(0, float("nan"), 10)),
        Asked(plate="7ABC123", area=Circle(0, 0, float("nan"))),
        Asked(plate="7ABC123", area=Circle(0, 181, 10)),
        Asked(since=datetime(2026, 1, 1, tzinfo=UTC)),
        Asked(until=datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_question_that_no_read_can_answer_is_an_error(asked: Asked) -> None:
    with pytest.raises(AskedError):
        asked.check()


@pytest.mark.clause("430.3-0")
@pytest.mark.parametrize("raw", ["*", "?", " *?- "])
def test_pattern_of_no_known_character_is_no_plate(raw: str) -> None:
    with pytest.raises(AskedError, match="at least one known character"):
        plate_text(raw)


def test_local_time_is_read_with_its_offset_and_never_guessed() -> None:
    assert localtime.parse("2026-06-03 14:30") == datetime(2026, 6, 3, 21, 30, tzinfo=UTC)
    assert localtime.parse("2026-01-03T14:30") == datetime(2026, 1, 3, 22, 30, tzinfo=UTC)
    assert localtime.parse("2026-06-03 14:30 -04:00") == datetime(2026, 6, 3, 18, 30, tzinfo=UTC)
    assert localtime.parse("2026-06-03") == datetime(2026, 6, 3, 7, tzinfo=UTC)
    assert localtime.parse("2026-06-03 14:30:00Z") == datetime(2026, 6, 3, 14, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="twice"):
        localtime.parse("2026-11-01 01:30")
    with pytest.raises(ValueError, match="never"):
        localtime.parse("2026-03-08 02:30")
    for wrong in ("yesterday", "2026-13-01", "0001-01-01 00:00 +14:00", "2026-06-03 14:30 -99:00"):
        with pytest.raises(ValueError, match=r"write it|calendar"):
            localtime.parse(wrong)


@given(st.text(max_size=40))
def test_whatever_is_typed_as_a_time_is_a_time_or_an_error(text: str) -> None:
    try:
        assert localtime.parse(text).tzinfo is not None
    except ValueError as error:
        assert str(error)


@pytest.mark.clause("CC-52a")
def test_each_page_logs_what_it_shows_and_later_reads_do_not_shift_it(
    investigator: Client, clock: Any
) -> None:
    for number in range(60):
        kept.read("7ABC123", days=0.001 + number / 1440)
    page = investigator.post("/search/results/", WHY | {"plate": "7ABC123"}).content.decode()
    first = last()
    assert (first.result_count, len(first.ids)) == (60, 25)
    hidden = dict(re.findall(r'type="hidden" name="(page|asof)" value="([^"]*)"', page))
    clock.advance(minutes=1)
    kept.read("7ABC123")
    investigator.post("/search/results/", WHY | {"plate": "7ABC123", "page": "2", "asof": hidden["asof"]})
    assert (last().result_count, len(last().ids), last().elements["page"]) == (60, 25, 2)
    assert not set(last().ids) & set(first.ids)


def test_counts_beyond_the_cap_are_told_as_more_than(
    investigator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MOST", 3)
    monkeypatch.setattr(export, "MOST", 4)
    for _ in range(5):
        kept.read("7ABC123")
    page = investigator.post("/search/results/", WHY | {"plate": "7ABC123"}).content.decode()
    assert "more than 3 reads" in page
    assert "Narrow the search" in page
    assert last().note == "counted up to 3"
    answer = investigator.post("/search/csv/", WHY | {"plate": "7ABC123"}).content.decode()
    assert "A file holds 4 reads at most" in answer
    assert last("reads.export").ids == []


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("430.7-b")
def test_picture_is_stamped_logged_and_kept_nowhere(investigator: Client, clock: Any) -> None:
    row = kept.read("7ABC123", pictures=())
    held = jpeg_of(row)
    small = jpeg_of(row, "plate", (90, 30))
    address = f"/search/reads/{row.pk}/pictures/scene/"
    assert "purpose" in investigator.get(address)["Location"]
    investigator.post("/search/results/", WHY | {"plate": "7ABC123"})
    answer = investigator.get(address)
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Cache-Control"] == "no-store, private"
    assert not answer.has_header("ETag")
    assert not answer.has_header("Last-Modified")
    assert answer["X-Content-Type-Options"] == "nosniff"
    shown = Image.open(io.BytesIO(answer.content))
    with held.file.open("rb") as file:
        original = file.read()
    assert answer.content != original
    assert shown.height > 384
    band = shown.crop((0, 384, shown.width, shown.height)).convert("L")
    assert band.getextrema()[1] > 200  # there is text in the band
    assert pictures.stamp_of(Person.objects.get(), clock.at) == (
        "Test Investigator 1 (investigator1) 2026-06-03 12:00:00-07:00"
    )
    record = last("reads.picture")
    assert (record.kind, record.purpose, record.case) == ("picture", "criminal_investigation", "26-100")
    assert record.ids == [str(row.pk)]
    assert record.elements["sha256"] == held.sha256
    tiny = Image.open(io.BytesIO(investigator.get(address.replace("scene", "plate")).content))
    assert tiny.width >= pictures.NARROWEST
    assert small.sha256 in str(last("reads.picture").elements)
    assert Client().get(address).status_code == 302
    assert "/people/login/" in Client().get(address)["Location"]
    assert Client().get(f"/{held.file.name}").status_code == 404
    assert Client().get(f"/media/{held.file.name}").status_code == 404


@pytest.mark.clause("430.7-b")
def test_stamp_differs_by_person_and_time(people: People, clock: Any) -> None:
    made = io.BytesIO()
    Image.new("RGB", (640, 384), "grey").save(made, "JPEG")
    one, other = people("Officer"), people("Officer")
    at = clock.at
    shown = {pictures.stamped(made.getvalue(), who, when) for who, when in
             ((one, at), (other, at), (one, at + timedelta(seconds=1)))}  # fmt: skip
    assert len(shown) == 3


@pytest.mark.parametrize("damage", ["changed", "no picture", "gone", "missing"])
def test_picture_that_is_not_what_the_unit_sent_is_not_shown(investigator: Client, damage: str) -> None:
    row = kept.read("7ABC123", pictures=())
    held = jpeg_of(row)
    if damage == "changed":
        Path(held.file.path).write_bytes(Path(held.file.path).read_bytes() + b"x")
    elif damage == "no picture":
        row = kept.read("7ABC123", pictures=("scene",))  # of bytes that are no picture
    elif damage == "gone":
        Path(held.file.path).unlink()
    else:
        Picture.objects.filter(pk=held.pk).update(missing=True)
    investigator.post("/search/results/", WHY | {"plate": "7ABC123"})
    answer = investigator.get(f"/search/reads/{row.pk}/pictures/scene/")
    assert answer.status_code == 409
    assert answer["Content-Type"].startswith("text/plain")
    assert last("reads.picture").note


@pytest.mark.clause("CC-52a")
def test_timeline_is_logged_as_the_search_that_it_is(investigator: Client) -> None:
    row = kept.read("8ABO123", days=3)
    kept.read("8ABO123", days=1)
    kept.read("8AB0123", days=2)
    investigator.post("/search/results/", WHY | {"plate": "8ABO123"})
    page = investigator.get(f"/search/reads/{row.pk}/timeline/").content.decode()
    assert (last().result_count, last().elements["plate"]) == (2, "8ABO123")
    assert "8AB0123" not in page
    assert "8AB0123" in investigator.get(f"/search/reads/{row.pk}/timeline/?alike").content.decode()
    assert last().result_count == 3


@pytest.mark.clause("430.3(f)")
def test_state_of_a_read_is_shown_found_and_exported(investigator: Client) -> None:
    row = kept.read("7ABC123", region="NV", region_confidence=0.97)
    kept.read("7ABC124")
    page = investigator.post("/search/results/", WHY | {"plate": "7ABC12?"}).content.decode()
    assert '<span class="plate">7ABC123</span> NV' in page
    assert "NV, 97 % sure" in investigator.get(f"/search/reads/{row.pk}/").content.decode()
    answer = investigator.post("/search/csv/", WHY | {"plate": "7ABC12?"})
    lines = {line["plate"]: line for line in csv.DictReader(io.StringIO(answer.content.decode()))}
    assert (lines["7ABC123"]["region"], lines["7ABC123"]["region_confidence"]) == ("NV", "0.97")
    assert (lines["7ABC124"]["region"], lines["7ABC124"]["region_confidence"]) == ("", "")


@pytest.mark.clause("430.7-b")
def test_export_names_its_record_and_opens_as_no_formula(investigator: Client) -> None:
    kept.read("7ABC123", deployment='=cmd|"/c calc"!A1')
    answer = investigator.post("/search/csv/", WHY | {"plate": "7ABC123"})
    record = last("reads.export")
    assert record.kind == "export"
    assert answer["Content-Disposition"] == f'attachment; filename="reads-record-{record.sequence}.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    assert row["plate"] == "7ABC123"
    assert row["access_record"] == str(record.sequence)
    assert row["deployment"].startswith("'=")
    assert row["exported_by"].startswith("Test Investigator")
    assert record.ids == [row["read"]]


@pytest.mark.clause("430.3(e)")
def test_class_of_a_restricted_hit_is_masked(investigator: Client) -> None:
    row = kept.read("7ABC123")
    hit = kept.a_hit(row)
    type(hit).objects.filter(pk=hit.pk).update(alarm_class="sex_offender")
    investigator.post("/search/results/", WHY | {"plate": "7ABC123"})
    page = investigator.get(f"/search/reads/{row.pk}/").content.decode()
    assert "class hidden, call dispatch" in page
    assert "sex" not in page
    assert "UNVERIFIED" in page


@pytest.mark.clause("430.7-b")
@pytest.mark.parametrize(
    ("shown", "asked", "form"),
    [
        ("results", {"plate": "7ABC12?", "lookalikes": "on", "unit": "gate-1"}, "/search/"),
        ("canvass/report", {"deployment": "D-7"}, "/search/canvass/"),
    ],
)
def test_search_is_changed_without_typing_it_again_and_no_address_holds_it(
    investigator: Client, shown: str, asked: dict[str, str], form: str
) -> None:
    kept.deployment("D-7")
    kept.read("7ABC123", deployment="D-7")
    sent = WHY | {"behalf_person": "J. Doe"} | WINDOW | asked
    page = investigator.post(f"/search/{shown}/", sent).content.decode()
    change = re.search(
        rf'<form method="post" action="{form}"[^>]*>([\s\S]*?<button>Change this \w+</button>)', page
    )
    assert change is not None
    again = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', change[1]))
    page = investigator.post(form, again).content.decode()
    for name, value in sent.items():
        if name in ("purpose", "unit"):
            assert f'<option value="{value}" selected>' in page
        elif name == "lookalikes":
            assert re.search(r'name="lookalikes"[^>]* checked', page)
        elif value:
            assert re.search(rf'name="{name}" value="{re.escape(value)}"', page), name
    record = AccessRecord.objects.latest("sequence")
    assert (record.kind, record.case, record.ids) == ("view", sent["case"], [])
    assert "errors" not in page
    assert 'value="7ABC12?"' not in investigator.get(form).content.decode()


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize(
    ("result", "status", "advice"),
    [
        ("", "UNVERIFIED", "Ask CLETS before you act"),
        ("cancelled", "CANCELLED", "CLETS does not bear it out"),
        ("not_found", "NOT FOUND", "CLETS does not bear it out"),
        ("confirmed", "CONFIRMED", "CLETS has confirmed it"),
    ],
)
def test_hit_is_told_as_it_stands_now_wherever_its_read_is_shown(
    investigator: Client, people: People, result: str, status: str, advice: str
) -> None:
    officer, hit = people("officer"), hits_kept.a_hit("7ABC123", pictures=False)
    kept.deployment("D-7")
    type(hit.read).objects.filter(pk=hit.read_id).update(deployment="D-7")
    hits_kept.looked(hit, officer)
    if result:
        hits_kept.answered(hit, officer, result)
    read = f"/search/reads/{hit.read_id}/"
    listed = investigator.post("/search/results/", WHY | {"plate": "7ABC123"}).content.decode()
    canvassed = investigator.post("/search/canvass/report/", WHY | {"deployment": "D-7"}).content.decode()
    for page in (listed, canvassed, investigator.get(f"{read}timeline/").content.decode()):
        assert f"hit, {status}<" in page
    page = investigator.get(read).content.decode()
    assert f"Hit, {status}<" in page
    assert advice in page
    exported = investigator.post("/search/csv/", WHY | {"plate": "7ABC123"}).content.decode()
    (line,) = csv.DictReader(io.StringIO(exported))
    assert (line["unverified_hit"], line["hit_status"]) == ("yes", status)
    assert line["hit_checked_at"] == (log.stamp(clock.now()) if result else "")
    review.close(hits_kept.reviewed(hit), officer, kind="no_action")
    page = investigator.get(read).content.decode()
    assert f"Hit, {status}<" in page
    assert "Closed. Outcome: no action taken." in page
    assert advice not in page


@pytest.mark.clause("430.3(f)")
def test_file_tells_each_hit_of_a_read(investigator: Client, people: People) -> None:
    officer, hit = people("officer"), hits_kept.a_hit("7ABC123", pictures=False)
    kept.a_hit(hit.read)
    taken_back = kept.a_hit(hit.read)
    type(hit).objects.filter(pk=taken_back.pk).update(withdrawn=True)
    kept.read("7ABC124")
    hits_kept.looked(hit, officer)
    hits_kept.answered(hit, officer, "confirmed")
    answer = investigator.post("/search/csv/", WHY | {"plate": "7ABC12?"}).content.decode()
    lines = {line["plate"]: line for line in csv.DictReader(io.StringIO(answer))}
    told = sorted(
        zip(*(lines["7ABC123"][name].split("; ") for name in ("hit_status", "hit_checked_at")), strict=True)
    )
    assert told == [("CONFIRMED", log.stamp(clock.now())), ("UNVERIFIED", "")]
    assert [lines["7ABC124"][name] for name in ("unverified_hit", "hit_status", "hit_checked_at")] == [
        "no",
        "",
        "",
    ]


@pytest.mark.parametrize("plate", ["%", "_______", "7%", "7ABC12_", "%' OR 1=1 --", "7ABC123%", "\\%ABC"])
def test_wildcards_of_sql_mean_nothing(investigator: Client, plate: str) -> None:
    row = kept.read("7ABC123")
    answer = investigator.post("/search/results/", WHY | WINDOW | {"plate": plate})
    assert answer.status_code == 200
    assert str(row.pk) not in answer.content.decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"plate": "A" * 100_000},
        {"plate": "*?" * 20},
        {"plate": "7ABC123", "case": "9" * 10_000},
        {"plate": "7ABC123", "page": "999999999999"},
        {"plate": "7ABC123", "page": "-1"},
        {"deployment": "x" * 100_000},
        {"since": "9" * 10_000, "until": "2026"},
        {"unit": "' OR 1=1"},
        {"lat": "1e999", "lon": "nan", "metres": "inf"},
    ],
)
def test_oversized_and_senseless_questions_are_errors_of_the_form(
    investigator: Client, asked: dict[str, str]
) -> None:
    row = kept.read("7ABC123")
    answer = investigator.post("/search/results/", WHY | asked)
    assert answer.status_code == 200
    assert str(row.pk) not in answer.content.decode()
    assert last().ids == []


@pytest.mark.clause("430.7-b")
def test_text_that_a_unit_sent_breaks_no_page_header_or_file(investigator: Client) -> None:
    evil = '"><script>\r\nX-Evil: 1'
    row = kept.read("7ABC123", deployment="D-7\r\nSet-Cookie: a=b", pictures=())
    Read.objects.filter(pk=row.pk).update(text=evil, region="\r\nX: 1")
    jpeg_of(row)
    asked = WHY | {"plate": "7ABC123"}
    answers = [
        investigator.post("/search/results/", asked),
        investigator.post("/search/csv/", asked),
        investigator.get(f"/search/reads/{row.pk}/"),
        investigator.get(f"/search/reads/{row.pk}/timeline/"),
        investigator.get(f"/search/reads/{row.pk}/pictures/scene/"),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "Evil" not in str(answer.headers)
        assert "\n" not in str(answer.serialize_headers().replace(b"\r\n", b""), "latin-1")
        if answer["Content-Type"].startswith("text/html"):
            assert b"<script>\r\n" not in answer.content
    (line,) = csv.DictReader(io.StringIO(answers[1].content.decode(), newline=""))
    assert line["plate"] == evil


def test_read_of_somebody_elses_address_is_not_found(investigator: Client) -> None:
    investigator.post("/search/results/", WHY | {"plate": "7ABC123"})
    for address in (f"{uuid.uuid4()}/", "1/", "../../etc/passwd", f"{uuid.uuid4()}/pictures/scene/"):
        assert investigator.get(f"/search/reads/{address}").status_code == 404
    row = kept.read("7ABC123", pictures=())
    for kind in ("scene", "other", "..%2f..%2fhq.sqlite3"):
        assert investigator.get(f"/search/reads/{row.pk}/pictures/{kind}/").status_code == 404
    assert last("reads.picture").outcome == "failed"


def test_result_pages_want_a_post_of_this_site(people: People, client_for: ClientFor, clock: Any) -> None:
    kept.read("7ABC123")
    person = people("Investigator")
    client = client_for(person)
    assert client.get("/search/results/?plate=7ABC123").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post("/search/results/", WHY | {"plate": "7ABC123"}).status_code == 403


WAYS = {
    "exact": Asked(plate="8XYZ999"),
    "look-alike": Asked(plate="BXYZ999", lookalikes=True),
    "partial by the index": Asked(plate="8XY?999"),
    "partial look-alike by the index": Asked(plate="*BXYZ*", lookalikes=True),
    "partial by a scan": Asked(plate="8X?Z*9"),
}


@pytest.mark.clause("CC-51b2F")
@pytest.mark.parametrize("way", WAYS)
def test_misread_is_found_by_the_right_text_and_by_what_was_read(
    people: People, clock: Any, way: str
) -> None:
    row = kept.read("1MMM777")
    kept.read("5QQQ555")
    assert texts(WAYS[way]) == []
    corrections.correct(row, people("Officer"), corrected="8XYZ999", why="the picture shows it")
    assert texts(WAYS[way]) == ["1MMM777"]
    for plate in ("1MMM777", "*MMM*"):
        assert texts(Asked(plate=plate)) == ["1MMM777"]
    found = finding.page(WAYS[way], Reach(), 0, 25, clock())
    assert (found.count, len(found.reads)) == (1, 1)


@pytest.mark.clause("CC-51b2F")
def test_read_that_fits_by_both_texts_is_found_once(people: People, clock: Any) -> None:
    row = kept.read("1MMM777")
    corrections.correct(row, people("Officer"), corrected="2MMM777", why="the picture shows it")
    corrections.correct(row, people("Officer"), corrected="3MMM777", why="a second look")
    for pattern in ("?MMM777", "*777", "?M?M*7"):
        found = finding.page(Asked(plate=pattern), Reach(), 0, 25, clock())
        assert (found.count, [read.pk for read in found.reads]) == (1, [row.pk])


@pytest.mark.clause("CC-51b2F")
def test_pages_and_file_say_that_a_text_was_corrected(investigator: Client, people: People) -> None:
    kept.deployment("D-7")
    row = kept.read("1MMM777", pictures=(), deployment="D-7")
    twin = kept.read("8XYZ999", pictures=(), deployment="D-7")
    corrections.correct(row, people("Officer"), corrected="8XYZ999", why="the picture shows it")
    page = investigator.post("/search/results/", WHY | {"plate": "8XYZ999"}).content.decode()
    assert "1MMM777" in page
    assert "corrected to 8XYZ999" in page
    assert "corrected to 8XYZ999" in investigator.get(f"/search/reads/{row.pk}/").content.decode()
    # The timeline of the one or the other is that of the plate.
    for read in (row, twin):
        investigator.get(f"/search/reads/{read.pk}/timeline/")
        assert set(last().ids) == {str(row.pk), str(twin.pk)}
    report = investigator.post("/search/canvass/report/", WHY | {"deployment": "D-7"})
    ((seen),) = report.context_data["rows"]  # type: ignore[attr-defined]
    assert (seen.plate, len(seen.reads), seen.read_as) == ("8XYZ999", 2, ["1MMM777"])
    assert "read as 1MMM777" in report.content.decode()
    file = investigator.post("/search/csv/", WHY | {"plate": "8XYZ999"}).content.decode()
    lines = list(csv.DictReader(io.StringIO(file)))
    assert sorted((line["plate"], line["corrected_to"]) for line in lines) == [
        ("1MMM777", "8XYZ999"),
        ("8XYZ999", ""),
    ]


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("CC-51b2F")
def test_nothing_of_a_read_stays_in_the_index(people: People, clock: Any) -> None:
    row = kept.read("1MMM777")
    stays = kept.read("1MMM778")
    for right in ("8XYZ999", "8XYZ990"):
        corrections.correct(row, people("Officer"), corrected=right, why="the picture shows it")
    assert Trigram.objects.filter(read=row).count() == 5 + 5 + 5
    moved = Read.objects.get(pk=row.pk)
    moved.at, moved.key = clock() - timedelta(hours=1), "1NNN777"
    trigrams.move([(row, moved)])
    assert {one.at for one in Trigram.objects.filter(read=row)} == {moved.at}
    assert set(Trigram.objects.filter(read=row).values_list("key", flat=True)) == {
        "1NNN777",
        "8XYZ999",
        "8XYZ990",
    }
    trigrams.remove([moved])
    assert set(Trigram.objects.values_list("read", flat=True)) == {stays.pk}
