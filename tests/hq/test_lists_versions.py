"""A list from its files to a version that a second person approved, and what the database itself refuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from hq.lists import loading, publish, versions
from hq.lists.errors import ListRefused
from hq.lists.models import (
    HotList,
    HotListEntry,
    HotListSource,
    HotListVersion,
    ListGroup,
    ManualEntry,
    Upload,
)
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.site.models import Settings
from plates.errors import HotListFormatError
from tests.hq.conftest import Clock

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "data")]

HEADER = "plate,class,case_number"


@pytest.fixture
def data(tmp_path, settings):  # type: ignore[no-untyped-def]
    settings.DATA = tmp_path


def person(name: str) -> Person:
    return Person.objects.create(
        username=name, full_name=name.title(), title="tester", agency="Test PD", state="active"
    )


@pytest.fixture
def importer() -> Person:
    return person("importer")


@pytest.fixture
def approver() -> Person:
    return person("approver")


@pytest.fixture
def source() -> HotListSource:
    group = ListGroup.objects.create(name="all")
    hot_list = HotList.objects.create(
        name="county", group=group, classes=["stolen_vehicle", "stolen_plate", "sex_offender"]
    )
    return HotListSource.objects.create(hot_list=hot_list, name="county", format="csv")


def file(source: HotListSource, rows: Sequence[str]) -> versions.SourceFile:
    text = "\n".join([HEADER, *rows]) + "\n"
    return versions.SourceFile(source, "county.csv", text.encode().splitlines(keepends=True))


def load(source: HotListSource, rows: Sequence[str], by: Person) -> HotListVersion:
    return versions.import_files(source.hot_list, [file(source, rows)], by=by)


FIRST = [f"TST{n:03d},stolen_vehicle,C-{n}" for n in range(30)]


@pytest.mark.clause("430.2-d")
def test_a_version_tells_what_it_changes_and_is_approved_by_a_second_person(
    source: HotListSource, importer: Person, approver: Person, clock: Clock
) -> None:
    first = load(source, FIRST, importer)
    assert (first.state, first.number, first.changes["added"]) == ("draft", 1, 30)
    with pytest.raises(ListRefused, match="second person"):
        versions.approve(first, by=importer)
    versions.approve(first, by=approver)
    clock.advance(days=1)
    second = load(source, [*FIRST[:20], "NEW001,stolen_plate,"], importer)
    assert second.former == first
    assert {k: second.changes[k] for k in ("added", "changed", "removed", "same")} == {
        "added": 1,
        "changed": 0,
        "removed": 10,
        "same": 20,
    }
    assert any("10 of 30" in said for said in second.warnings)
    assert [e.plate for e in second.entries.filter(change="added")] == ["NEW001"]
    assert versions.removed(second).count() == 10
    versions.approve(second, by=approver)
    first.refresh_from_db()
    assert (first.state, versions.in_force(source.hot_list)) == ("superseded", second)
    acts = AccessRecord.objects.filter(kind="lists").order_by("sequence").values_list("action", "username")
    assert list(acts) == [("lists.import", "importer"), ("lists.approve", "approver")] * 2


@pytest.mark.clause("430.2-d")
def test_a_version_is_decided_once_taken_back_with_a_reason_and_not_loaded_into_a_list_that_ended(
    source: HotListSource, importer: Person, approver: Person
) -> None:
    first = load(source, FIRST, importer)
    versions.approve(first, by=approver)
    with pytest.raises(ListRefused, match="not a draft"):
        versions.approve(first, by=approver)
    with pytest.raises(ListRefused, match="needs its reason"):
        versions.withdraw(first, by=approver, why=" ")
    versions.withdraw(first, by=approver, why="wrong file")
    with pytest.raises(ListRefused, match="withdrawn already"):
        versions.withdraw(first, by=approver, why="again")
    HotList.objects.update(active=False)
    source.refresh_from_db()
    with pytest.raises(ListRefused, match="is not active"):
        load(HotListSource.objects.get(), FIRST, importer)


@pytest.mark.clause("430.2-d")
def test_the_database_refuses_one_person_as_both_and_two_versions_in_force(
    source: HotListSource, importer: Person, approver: Person
) -> None:
    first = load(source, FIRST, importer)
    rows = HotListVersion.objects.filter(pk=first.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(state="approved", approved_by=importer)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(state="published")
    versions.approve(first, by=approver)
    second = load(source, FIRST, importer)
    with pytest.raises(IntegrityError), transaction.atomic():
        HotListVersion.objects.filter(pk=second.pk).update(state="approved", approved_by=approver)


@pytest.mark.clause("SB 54")
def test_immigration_violator_is_never_on_whatever_anybody_sets(
    source: HotListSource, importer: Person, approver: Person
) -> None:
    Settings.objects.create(
        agency="Test PD",
        ori="CA0000000",
        policy_id="430",
        policy_version="1",
        reason="test",
        classes_on=["immigration_violator", "sex_offender"],
        proposed_by=importer,
        approved_by=approver,
        approved_at="2026-06-01T00:00:00Z",
    )
    assert "immigration_violator" not in versions.classes_on()
    HotList.objects.update(classes=["immigration_violator", "sex_offender"])
    source.hot_list.refresh_from_db()
    version = load(source, ["TST001,immigration_violator,", "TST002,sex_offender,"], importer)
    assert [e.plate for e in version.entries.all()] == ["TST002"]
    assert version.left_out == {"immigration_violator": 1}
    with pytest.raises(IntegrityError), transaction.atomic():
        HotListEntry.objects.update(alarm_class="immigration_violator")
    with pytest.raises(IntegrityError), transaction.atomic():
        ManualEntry.objects.create(
            group=source.hot_list.group,
            plate="TST003",
            alarm_class="immigration_violator",
            case_number="C-1",
            expiry="2026-06-04",
            entered_by=importer,
            entered_at="2026-06-03T00:00:00Z",
        )


@pytest.mark.clause("430.2-b")
def test_an_entry_of_a_class_that_is_off_never_gets_on_a_list(
    source: HotListSource, importer: Person
) -> None:
    version = load(source, [*FIRST, "TST900,sex_offender,"], importer)
    assert version.left_out == {"sex_offender": 1}
    HotList.objects.update(classes=["sex_offender"])
    source.hot_list.refresh_from_db()
    with pytest.raises(ListRefused, match="is on"):
        load(source, ["TST900,sex_offender,"], importer)


def test_a_load_that_fails_leaves_the_list_and_nothing_else(
    source: HotListSource, importer: Person, approver: Person
) -> None:
    first = versions.approve(load(source, FIRST, importer), by=approver)
    for rows in ([], ["TST001,nonsense,"]):
        with pytest.raises(HotListFormatError, match="empty"):
            load(source, rows, importer)
    assert list(HotListVersion.objects.all()) == [first]
    assert HotListEntry.objects.count() == 30


def test_sources_without_a_file_keep_their_entries(
    source: HotListSource, importer: Person, approver: Person
) -> None:
    other = HotListSource.objects.create(hot_list=source.hot_list, name="CLEW", format="clew", data="clets")
    clew = b"HEADER\nCLW1234 CA1220260301\nTOTAL RECORDS 1\n".splitlines(keepends=True)
    both = [file(source, FIRST), versions.SourceFile(other, "svs.tbl", clew)]
    versions.approve(versions.import_files(source.hot_list, both, by=importer), by=approver)
    second = load(source, FIRST[:25], importer)
    assert second.entry_count == 26
    assert second.changes["removed"] == 5
    assert second.entries.get(plate="CLW1234").source == other


@pytest.mark.clause("rec 20")
@pytest.mark.clause("rec 48")
def test_entries_go_with_their_version_and_carried_ones_run_out(
    source: HotListSource, importer: Person, approver: Person, clock: Clock
) -> None:
    key = publish.signing_key()
    first = versions.approve(load(source, FIRST, importer), by=approver)
    assert publish.publish_due(source.hot_list.group, key)
    clock.advance(days=1)
    versions.approve(load(source, FIRST[:5], importer), by=approver)
    assert publish.publish_due(source.hot_list.group, key)
    assert not first.entries.exists()
    assert HotListEntry.objects.count() == 5
    last = HotListEntry.objects.latest("expiry").expiry
    assert last == clock.at.date() + timedelta(days=1)


def test_a_draft_compared_with_an_older_version_is_not_approved(
    source: HotListSource, importer: Person, approver: Person
) -> None:
    first, second = load(source, FIRST, importer), load(source, FIRST[:5], importer)
    versions.approve(second, by=approver)
    with pytest.raises(ListRefused, match="load this one again"):
        versions.approve(first, by=approver)
    versions.withdraw(first, by=approver, why="the older one")
    assert versions.in_force(source.hot_list) == second


def test_uploads_are_loaded_by_the_process_and_their_files_deleted(
    source: HotListSource, importer: Person
) -> None:
    text = "LPN,Kind,Case\n" + "\n".join(FIRST) + "\n"
    upload = loading.keep(source, "../list.csv", [text.encode()], by=importer)
    assert (upload.file_name, loading.path_of(upload).stat().st_mode & 0o777) == ("list.csv", 0o600)
    source.alarm_class = "stolen_vehicle"
    seen = loading.preview(upload, source.layout(), source.hot_list)
    assert seen.layout.mapping == {"plate": "LPN", "case_number": "Case"}
    assert (seen.tally.taken, len(seen.entries), len(seen.rows)) == (30, 10, 10)
    assert loading.load_waiting() == []
    source.mapping = dict(seen.layout.mapping)
    source.save()
    Upload.objects.update(state="waiting")
    (version,) = loading.load_waiting()
    assert (version.entry_count, version.prepared_by) == (30, importer)
    assert not Upload.objects.exists()
    assert not list(loading.folder().iterdir())


def test_an_upload_that_is_refused_says_why_and_its_file_goes(
    source: HotListSource, importer: Person
) -> None:
    upload = loading.keep(source, "list.csv", [b"nothing,here\n1,2\n"], by=importer)
    Upload.objects.update(state="waiting")
    assert loading.load_waiting() == []
    upload.refresh_from_db()
    assert upload.state == "failed"
    assert "no column holds the plate" in upload.fault
    assert not list(loading.folder().iterdir())
