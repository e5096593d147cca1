"""The pages of hot lists, walked as the people who use them do."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from hq.lists import entry_views, loading, masking, publish, versions
from hq.lists.models import (
    HotList,
    HotListSource,
    HotListVersion,
    ListGroup,
    ManualEntry,
    PartialPlate,
    RetroRun,
    Rules,
    UnitListState,
    Upload,
)
from hq.lists.publisher import note_status
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people import purposes
from hq.people.models import Person
from hq.people.policy import Standing
from hq.records.models import Read, Unit
from mqtt.records import Status
from plates.lookalike import fold
from tests.hq import kept
from tests.hq.conftest import Clock

People = Callable[..., Person]
ClientFor = Callable[..., Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, settings: Any) -> None:
    settings.DATA = tmp_path


@pytest.fixture
def source() -> HotListSource:
    group = ListGroup.objects.create(name="all")
    classes = ["stolen_vehicle", "stolen_plate", "sex_offender"]
    hot_list = HotList.objects.create(name="county", group=group, classes=classes)
    return HotListSource.objects.create(hot_list=hot_list, name="county", format="csv")


def read(clock: Clock, text: str) -> Read:
    unit, _ = Unit.objects.get_or_create(unit_id="pole-1", state="enrolled")
    at = clock.at - timedelta(days=1)
    return Read.objects.create(
        id=uuid.uuid4(),
        unit=unit,
        store_id=str(uuid.uuid4()),
        sequence=1,
        revision=1,
        captured_at=at,
        received_at=at,
        at=at,
        category="alpr",
        purge_after=at + timedelta(days=365),
        text=text,
        key=text,
        lookalike=fold(text),
        confidence=0.9,
        char_confidence=[0.9] * len(text),
        candidates=[],
        flags=[],
        camera="front",
        clock={},
        box=[0, 0, 1, 1],
        frame_size=[640, 360],
        detection_score=0.9,
        looks=3,
        agreeing=3,
        parked=False,
        model_hashes=[],
        config_hash="",
        software="test",
        demo=True,
    )


HOT = {
    "plate": "TST-001",
    "alarm_class": "stolen_vehicle",
    "reason": "reported by its owner",
    "purpose": "stolen_vehicle",
    "case": "C-1",
    "expiry": "2026-06-10",
}
PARTIAL = {
    "pattern": "7AB?C*",
    "reason": "shooting",
    "purpose": "criminal_investigation",
    "case": "I-7",
    "expiry": "2026-06-10",
}


@pytest.mark.clause("430.2-d")
def test_a_list_is_uploaded_mapped_loaded_and_approved_by_a_second_person(
    source: HotListSource, people: People, client_for: ClientFor
) -> None:
    administrator, commander = people("ALPR administrator"), people("Commander")
    client, second = client_for(administrator), client_for(commander)
    file = SimpleUploadedFile("list.csv", b"LPN,Kind\nTST-001,stolen_vehicle\nTST-002,curious\n")
    pages = f"/lists/{source.hot_list.pk}/"
    answer = client.post(f"{pages}upload/", {"source": source.pk, "file": file}, follow=True)
    assert b"TST-001" in answer.content
    upload = Upload.objects.get()
    answer = client.post(f"{pages}load/", follow=True)
    assert b"Save the mapping" in answer.content
    mapping = {"delimiter": ",", "column_plate": "LPN", "column_class": "Kind"}
    answer = client.post(f"/lists/files/{upload.pk}/", mapping, follow=True)
    assert b"<strong>1</strong> entries" in answer.content
    client.post(f"{pages}load/")
    (version,) = loading.load_waiting()
    page = f"/lists/versions/{version.pk}/"
    answer = client.get(page)
    assert b"list.csv:3: unknown class" in answer.content
    assert b"Approve" not in answer.content
    assert client.post(f"{page}approve/").status_code == 403
    assert b"Approve" in second.get(page).content
    assert second.post(f"{page}approve/").status_code == 302
    version.refresh_from_db()
    assert (version.state, version.approved_by) == ("approved", commander)
    officer = client_for(people("Officer"), purpose="stolen_vehicle", case="26-1")
    assert officer.post(f"{page}match/").status_code == 403
    assert "beyond the own shift's units" in AccessRecord.objects.latest("sequence").note
    assert b"version 1" in second.get("/lists/").content
    second.post(f"{page}withdraw/", {"why": "wrong file"})
    assert versions.in_force(source.hot_list) is None


def test_a_unit_that_leaves_out_entries_is_not_told_to_have_the_list_as_published(
    source: HotListSource, people: People, client_for: ClientFor
) -> None:
    """A class that is switched on at HQ alone sounds on no unit, and nobody would know."""
    administrator, group = people("ALPR administrator"), source.hot_list.group
    lines = [b"plate,class\n", b"TST001,stolen_vehicle\n", b"TST002,stolen_plate\n"]
    draft = versions.import_files(
        source.hot_list, [versions.SourceFile(source, "a.csv", lines)], by=administrator
    )
    versions.approve(draft, by=people("Commander"))
    made = publish.publish_due(group, publish.signing_key())
    assert made is not None
    Unit.objects.create(unit_id="pole-1", state="enrolled")
    client = client_for(administrator)
    for entries, said in ((1, b"leaves out 1 entry: not in its hotlist.classes"), (2, b"as published")):
        note_status("pole-1", Status(state="ready", list_version=made.version, list_entries=entries))
        UnitListState.objects.update(group=group)
        page = client.get("/lists/").content
        assert said in page
        assert (b"as published" in page) is (entries == 2)


@pytest.mark.clause("430.2-d")
def test_a_commander_who_prepared_a_version_cannot_approve_it(
    source: HotListSource, people: People, client_for: ClientFor
) -> None:
    both = people(["ALPR administrator", "Commander"])
    lines = [b"plate,class\n", b"TST001,stolen_vehicle\n"]
    version = versions.import_files(source.hot_list, [versions.SourceFile(source, "a.csv", lines)], by=both)
    answer = client_for(both).post(f"/lists/versions/{version.pk}/approve/")
    assert answer.status_code == 403
    assert b"second person" in answer.content
    assert AccessRecord.objects.latest("sequence").note.endswith("you are its imported by"), "by policy"
    assert HotListVersion.objects.get().state == "draft"


@pytest.mark.clause("430.3(e)")
def test_a_list_file_of_others_data_is_not_seen_without_the_grant(
    source: HotListSource, people: People, client_for: ClientFor
) -> None:
    source.data = "ncic"
    source.save()
    file = SimpleUploadedFile("list.csv", b"plate,class\nTST001,stolen_vehicle\n")
    target = f"/lists/{source.hot_list.pk}/upload/"
    without = client_for(people("ALPR administrator"))
    assert without.post(target, {"source": source.pk, "file": file}).status_code == 403
    assert not Upload.objects.exists()
    administrator = people("ALPR administrator", grants=["ncic"])
    file.seek(0)
    answer = client_for(administrator).post(target, {"source": source.pk, "file": file})
    assert answer.status_code == 302
    assert without.get(f"/lists/files/{Upload.objects.get().pk}/").status_code == 403
    HotList.objects.update(restricted=True)
    assert client_for(administrator).get(f"/lists/files/{Upload.objects.get().pk}/").status_code == 403


@pytest.mark.clause("430.3(e)")
def test_whose_data_a_hit_is_does_not_depend_on_what_its_line_says(
    source: HotListSource, people: People
) -> None:
    source.data = "clets"
    source.save()
    lines = [b"plate,class,reason,source\n", b"TST001,stolen_vehicle,red van,SVS\n"]
    version = versions.import_files(
        source.hot_list, [versions.SourceFile(source, "a.csv", lines)], by=people("ALPR administrator")
    )
    (line,) = versions.lines_of(version)
    assert (line.source, line.reason) == ("county", "red van; source SVS"), "what it says is not lost"
    assert masking.lacking_for_hit(frozenset(), line.alarm_class.value, line.source, "") == "clets"
    assert masking.lacking_for_hit({"clets"}, line.alarm_class.value, line.source, "") == ""


@pytest.mark.clause("430.3(e)")
def test_nobody_opens_others_data_by_calling_it_the_departments(
    source: HotListSource, people: People, client_for: ClientFor
) -> None:
    source.data = "clets"
    source.save()
    administrator = people("ALPR administrator")
    client, target = client_for(administrator), f"/lists/{source.hot_list.pk}/sources/{source.pk}/"
    fields = {"name": "county", "format": "csv", "data": "department"}
    assert client.post(target, fields).status_code == 403
    assert client.post(target, fields | {"data": "clets", "reason": "Stolen"}).status_code == 302
    granted = client_for(people("ALPR administrator", grants=["clets"]))
    assert granted.post(target, fields).status_code == 302
    told = AccessRecord.objects.latest("sequence").elements
    assert told["changed"]["data"] == ["clets", "department"]
    assert client.post(target, fields | {"data": "clets"}).status_code == 302, (
        "more closely kept: anybody may"
    )

    HotList.objects.update(restricted=True)
    held, page = source.hot_list, f"/lists/{source.hot_list.pk}/edit/"
    rest = {"name": "county", "group": held.group_id, "classes": held.classes, "ttl_days": 1, "active": "on"}
    assert client.post(page, rest | {"reload_hours": 12}).status_code == 403
    assert client.post(page, rest | {"reload_hours": 12, "restricted": "on"}).status_code == 302


@pytest.mark.clause("430.3(e)")
@pytest.mark.parametrize("told_by", ["an entry", "a hit"])
def test_a_source_that_hits_are_told_by_keeps_its_name(
    source: HotListSource, people: People, client_for: ClientFor, clock: Clock, told_by: str
) -> None:
    target = f"/lists/{source.hot_list.pk}/sources/{source.pk}/"
    fields = {"name": "District", "format": "csv", "data": "department"}
    administrator = people("ALPR administrator")
    client = client_for(administrator)
    client.post(target, fields)
    source.refresh_from_db()
    assert source.name == "District", "nothing was loaded"
    if told_by == "a hit":
        kept.a_hit(read(clock, "TST001"))
        client.post(target, fields | {"name": "manual"})
    else:
        lines = [b"plate,class\n", b"TST001,stolen_vehicle\n"]
        versions.import_files(
            source.hot_list, [versions.SourceFile(source, "a.csv", lines)], by=administrator
        )
    name = "manual" if told_by == "a hit" else "District"
    client.post(target, fields | {"name": "Elsewhere"})
    source.refresh_from_db()
    assert source.name == name


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("CJIS 4.2.2")
def test_restricted_entries_are_masked_on_the_page_of_changes(
    source: HotListSource, people: People, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "classes_on", lambda: frozenset({"sex_offender", "stolen_vehicle"}))
    lines = [b"plate,class\n", b"OPEN01,stolen_vehicle\n", b"HIDE01,sex_offender\n"]
    version = versions.import_files(
        source.hot_list, [versions.SourceFile(source, "a.csv", lines)], by=people("ALPR administrator")
    )
    page = f"/lists/versions/{version.pk}/"
    content = client_for(people("Commander")).get(page).content
    assert b"OPEN01" in content
    assert b"HIDE01" not in content
    granted = client_for(people("Commander", grants=["restricted"])).get(page).content
    assert b"HIDE01" in granted


@pytest.mark.clause("430.2-a")
@pytest.mark.clause("430.3(a)")
def test_an_officer_enters_a_hot_plate_for_a_case(
    source: HotListSource, people: People, client_for: ClientFor, clock: Clock
) -> None:
    officer = people("Officer")
    client, group = client_for(officer), {"group": source.hot_list.group.pk}
    page = "/lists/hot-plates/new/"
    assert client.get(page).status_code == 200
    late = client.post(page, HOT | group | {"expiry": "2026-08-01"})
    assert late.status_code == 422
    assert b"rec 20/48" in late.content
    for wrong in ({"purpose": "curiosity"}, {"case": ""}, {"alarm_class": "immigration_violator"}):
        assert b"errors" in client.post(page, HOT | group | wrong).content
    assert not ManualEntry.objects.exists()
    read(clock, "TST001")
    answer = client.post(page, HOT | group)
    assert answer.url == "/lists/hot-plates/"
    assert not RetroRun.objects.exists()
    shown = client.get(answer.url).content
    assert b"TST001" in shown
    assert b"wide search" in shown
    entry = ManualEntry.objects.get()
    assert client.post(f"/lists/matches/manual/{entry.pk}/").status_code == 403
    wide = client_for(people("Investigator"), purpose="stolen_vehicle", case="26-1")
    assert wide.post(f"/lists/matches/other/{entry.pk}/").status_code == 404
    assert wide.post(f"/lists/matches/manual/{entry.pk}/").status_code == 302
    run = f"/lists/matches/{RetroRun.objects.get().pk}/"
    matched = re.findall(r'href="(/search/reads/[^"]+)"', wide.get(run).content.decode())
    assert len(matched) == 1, "each match leads to its read, to be compared by eye"
    assert b"TST001" in wide.get(unescape(matched[0])).content
    client.post(f"/lists/hot-plates/{entry.pk}/withdraw/", {"why": "found"})
    entry.refresh_from_db()
    assert (entry.withdrawn_by, entry.withdrawn_why) == (officer, "found")
    assert client_for(officer, purpose="stolen_vehicle", case="26-1").get(run).status_code == 403


@pytest.mark.clause("rec 20")
def test_every_entry_on_the_list_can_be_taken_off_however_many_came_after_it(
    source: HotListSource, people: People, client_for: ClientFor, clock: Clock
) -> None:
    """The page held the newest hundred: a car that was found again went on alarming."""
    person, entered = people("Investigator"), {"group": source.hot_list.group, "case_number": "26-1"}
    entered |= {"reason": "test", "expiry": clock.at.date() + timedelta(days=9), "entered_at": clock.at}
    first, *_ = ManualEntry.objects.bulk_create(
        ManualEntry(plate=f"T{n:04}", alarm_class="stolen_vehicle", entered_by=person, **entered)
        for n in range(entry_views.SHOWN + 1)
    )
    part, *_ = PartialPlate.objects.bulk_create(
        PartialPlate(pattern=f"T{n:04}*", entered_by=person, matched=0, of_reads=0, share=0.0, **entered)
        for n in range(entry_views.SHOWN + 1)
    )
    client = client_for(person, purpose="stolen_vehicle", case="26-1")
    for page, entry in (("hot-plates", first), ("partial-plates", part)):
        address = f"/lists/{page}/{entry.pk}/withdraw/"
        assert address in client.get(f"/lists/{page}/").content.decode()
        client.post(address, {"why": "found again"})
        shown = client.get(f"/lists/{page}/").content.decode()
        assert address not in shown
        assert "found again" in shown


@pytest.mark.clause("430.3(a)")
@pytest.mark.parametrize("entered", ["hot plate", "partial plate"])
def test_policy_is_asked_for_the_purpose_of_an_entry_beside_its_form(
    source: HotListSource,
    people: People,
    client_for: ClientFor,
    monkeypatch: pytest.MonkeyPatch,
    entered: str,
) -> None:
    """The form offers the person's own purposes only; what a form lets through is not allowed by it."""
    monkeypatch.setattr(Standing, "purposes", lambda _: list(purposes.ALL.values()))
    group = {"group": source.hot_list.group.pk}
    if entered == "hot plate":
        page, sent = "/lists/hot-plates/new/", HOT | group | {"purpose": "civil_or_administrative_action"}
        client = client_for(people("Officer"))
    else:
        page, sent = (
            "/lists/partial-plates/new/",
            PARTIAL | group | {"purpose": "civil_or_administrative_action"},
        )
        client = client_for(people("ALPR administrator"))
    assert client.post(page, sent).status_code == 403
    assert "your roles may not state the purpose" in AccessRecord.objects.latest("sequence").note
    assert not ManualEntry.objects.exists()


@pytest.mark.clause("430.3(c)-2")
def test_an_investigator_sees_the_estimate_before_a_partial_plate_goes_on_the_list(
    source: HotListSource, people: People, client_for: ClientFor, clock: Clock
) -> None:
    client, group = client_for(people("Investigator")), {"group": source.hot_list.group.pk}
    kept = read(clock, "7AB1C22")
    page = "/lists/partial-plates/new/"
    answer = client.post(page, PARTIAL | group | {"estimate": ""})
    assert b"only 1 recent reads" in answer.content
    assert not PartialPlate.objects.exists()
    wide = client.post(page, PARTIAL | group | {"pattern": "*7*A*", "estimate": ""})
    assert b"too wide" in wide.content
    assert b'name="enter"' not in wide.content
    assert client.post(page, PARTIAL | group | {"pattern": "*7*A*", "enter": ""}).status_code == 422
    answer = client.post(page, PARTIAL | group | {"enter": ""}, follow=True)
    assert b"7AB1C22" in answer.content
    assert b"Leads, not confirmations" in answer.content
    seen = AccessRecord.objects.filter(action="reads.search", kind="search").order_by("sequence")
    assert [(one.purpose, one.case, one.ids) for one in seen] == [
        ("criminal_investigation", "I-7", [str(kept.pk)])
    ] * 2
    assert client_for(people("Officer")).get(page).status_code == 403


@pytest.mark.clause("CC-52a")
def test_nothing_is_entered_or_shown_where_the_log_cannot_be_written(
    source: HotListSource,
    people: People,
    client_for: ClientFor,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, group = client_for(people("Investigator")), {"group": source.hot_list.group.pk}

    def broken(**parts: object) -> None:
        raise chain.LogUnavailable("disk full")

    monkeypatch.setattr(chain, "append", broken)
    answer = client.post("/lists/partial-plates/new/", PARTIAL | group | {"enter": ""})
    assert answer.status_code == 503
    assert not PartialPlate.objects.exists()


@pytest.mark.clause("430.2-d")
def test_limits_are_proposed_by_one_and_approved_by_another(people: People, client_for: ClientFor) -> None:
    both = people(["ALPR administrator", "Commander"])
    limits = {
        "manual_days": 14,
        "partial_days": 60,
        "partial_share": 0.01,
        "recent_days": 30,
        "reason": "memo 7",
    }
    client_for(both).post("/lists/rules/propose/", limits)
    row = Rules.objects.get()
    assert client_for(both).post(f"/lists/rules/{row.pk}/approve/").status_code == 403
    assert Rules.current().manual_days == 30
    assert client_for(people("Commander")).post(f"/lists/rules/{row.pk}/approve/").status_code == 302
    assert Rules.current().manual_days == 14


def test_a_list_and_its_source_are_set_up_on_pages(people: People, client_for: ClientFor) -> None:
    client = client_for(people("ALPR administrator"))
    client.post("/lists/groups/new/", {"name": "all"})
    fields = {
        "name": "CLEW",
        "group": ListGroup.objects.get().pk,
        "classes": ["stolen_vehicle", "felony_vehicle", "stolen_plate"],
        "ttl_days": 1,
        "reload_hours": 24,
        "active": "on",
    }
    assert b"errors" in client.post("/lists/new/", fields | {"classes": ["immigration_violator"]}).content
    assert b"errors" in client.post("/lists/new/", fields | {"ttl_days": 31}).content
    assert client.post("/lists/new/", fields).status_code == 302
    made = HotList.objects.get()
    assert made.classes == ["stolen_vehicle", "stolen_plate", "felony_vehicle"]
    source = {"name": "svs", "format": "clew", "data": "clets"}
    assert client.post(f"/lists/{made.pk}/sources/new/", source).status_code == 302
    assert client.get(f"/lists/{made.pk}/").status_code == 200
    assert b"stale" in client.get("/lists/").content
