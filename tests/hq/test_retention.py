"""Reads stay a year at least and while a hold keeps them; then rows and files go together, certified."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.evidence import packages
from hq.evidence.models import Package
from hq.hits import corrections
from hq.hits.models import Acknowledgement, Correction
from hq.log.models import AccessRecord
from hq.log.triggers import drops
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Hit, Picture, Read, Revision, Trigram
from hq.releases import partners, requests
from hq.releases.models import ReleaseRequest
from hq.retention import floor, forms, holds, proposals, purge, schedules, selection
from hq.retention.alarms import alarms, calendar
from hq.retention.aside import Aside
from hq.retention.models import Authority, Batch, Certificate, Hold, Proposal, Schedule
from hq.retention.scope import Scope, ScopeError
from hq.site import clock as hq_clock
from tests.hq import kept

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: object) -> None:
    settings.MEDIA_ROOT = tmp_path / "pictures"  # type: ignore[attr-defined]


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


def refused_by_database(sql: str, params: object = ()) -> bool:
    """Whether the database refuses a statement that no code of ours stands before."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, params)  # type: ignore[arg-type]
    except (IntegrityError, DatabaseError, sqlite3.Error):
        return True
    return False


def raw_id(read: Read) -> str:
    return read.id.hex if connection.vendor == "sqlite" else str(read.id)


# The schedule


@pytest.mark.clause("430.4-c")
def test_fewer_days_than_a_year_take_a_stored_authority(office: kept.Office) -> None:
    with pytest.raises(Refused) as refused:
        schedules.propose(office.administrator, category="alpr", days=364, basis="x", reason="x")
    assert refused.value.clause == "430.4-c"
    with pytest.raises(Refused) as refused:
        schedules.propose(
            office.administrator,
            category="alpr",
            days=30,
            basis="x",
            reason="x",
            authority=office.authority("destruction"),
        )
    assert refused.value.clause == "GC-34090.6"
    authority = office.authority("shorter", least_days=30)
    assert office.schedule(30, authority=authority).state == "in_force"
    with pytest.raises(IntegrityError), transaction.atomic():
        Schedule.objects.create(
            category="alpr", version=9, days=30, basis="x", reason="x", proposed_by=office.administrator
        )


@pytest.mark.clause("430.4-c")
@pytest.mark.parametrize("category", ["access_log", "release_requests", "audit_papers"])
def test_records_about_reads_are_kept_for_two_years_at_least(office: kept.Office, category: str) -> None:
    with pytest.raises(Refused):
        schedules.propose(office.administrator, category=category, days=729, basis="x", reason="x")
    schedules.propose(office.administrator, category=category, days=730, basis="x", reason="x")


@pytest.mark.clause("430.2.1(f)")
def test_a_schedule_needs_the_commander_and_the_custodian(office: kept.Office) -> None:
    made = schedules.propose(office.administrator, category="alpr", days=400, basis="x", reason="x")
    assert schedules.in_force("alpr") is None
    assert schedules.approve(office.commander, made.pk).state == "proposed"
    with pytest.raises(Refused):
        schedules.cosign(office.commander, made.pk)
    assert schedules.cosign(office.custodian, made.pk).state == "in_force"
    assert schedules.days_for("alpr") == 400


@pytest.mark.clause("430.2.1(f)")
def test_one_person_with_both_roles_cannot_sign_twice(
    office: kept.Office, people: Callable[..., Person]
) -> None:
    both = people(["commander", "custodian"])
    made = schedules.propose(office.administrator, category="alpr", days=400, basis="x", reason="x")
    schedules.cosign(both, made.pk)
    with pytest.raises(Refused):
        schedules.approve(both, made.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Schedule.objects.filter(pk=made.pk).update(approved_by=both)


@pytest.mark.clause("430.4-c")
def test_a_unit_may_have_a_schedule_of_its_own_and_both_are_shown(office: kept.Office) -> None:
    fixed = kept.unit("pole-1")
    office.schedule(365)
    own = office.schedule(30, unit=fixed, authority=office.authority("shorter", least_days=30))
    assert schedules.days_for("alpr") == 365
    assert schedules.days_for("alpr", "pole-1") == 30
    assert len(calendar()) == 2
    due = kept.read(on=fixed, days=31)
    kept.read(days=31)
    assert list(selection.due(own, hq_clock.now())) == [due]


@pytest.mark.clause("GC-34090.6")
def test_an_authority_that_ran_out_makes_it_a_year_again(office: kept.Office, clock: object) -> None:
    soon = hq_clock.today() + timedelta(days=1)
    schedule = office.schedule(30, authority=office.authority("shorter", least_days=30, valid_until=soon))
    kept.read(days=31)
    assert selection.due(schedule, hq_clock.now()).count() == 1
    clock.advance(days=3)  # type: ignore[attr-defined]
    assert selection.due(schedule, hq_clock.now()).count() == 0


@pytest.mark.clause("430.4-c")
def test_a_new_version_takes_the_place_of_the_one_before(office: kept.Office) -> None:
    first = office.schedule(365)
    second = office.schedule(730)
    first.refresh_from_db()
    assert (first.state, second.state, second.version) == ("superseded", "in_force", 2)
    with pytest.raises(DatabaseError), transaction.atomic():
        first.delete()


@pytest.mark.clause("430.4-c")
def test_the_year_counts_from_the_later_of_capture_and_receipt(office: kept.Office) -> None:
    schedule = office.schedule(365)
    kept.read(days=364, captured_days=600)
    assert selection.due(schedule, hq_clock.now()).count() == 0
    kept.read(days=366, captured_days=600)
    assert selection.due(schedule, hq_clock.now()).count() == 1


@pytest.mark.clause("430.4-c")
def test_what_came_into_force_ran_out_or_was_refused_is_not_signed_again(
    office: kept.Office, clock: Any
) -> None:
    held = office.schedule(400)
    for sign, by in ((schedules.approve, office.commander), (schedules.cosign, office.custodian)):
        with pytest.raises(Refused, match="no longer proposed"):
            sign(by, held.pk)
    soon = hq_clock.today() + timedelta(days=1)
    authority = office.authority("shorter", least_days=30, valid_until=soon)
    version = schedules.propose(
        office.administrator, category="alpr", days=30, basis="x", reason="x", authority=authority
    )
    schedules.approve(office.commander, version.pk)
    clock.advance(days=3)
    for late in (
        lambda: schedules.cosign(office.custodian, version.pk),
        lambda: schedules.propose(
            office.administrator, category="alpr", days=30, basis="x", reason="x", authority=authority
        ),
    ):
        with pytest.raises(Refused) as refused:
            late()
        assert refused.value.clause == "GC-34090.6"
    assert schedules.days_for("alpr") == 400


@pytest.mark.clause("430.4-c")
@pytest.mark.parametrize(
    ("kind", "least", "lawful"),
    [("shorter", 30, True), ("shorter", 31, False), ("destruction", 30, False), ("", 0, False)],
)
def test_days_below_a_year_count_only_by_an_authority_for_them(
    office: kept.Office, kind: str, least: int, lawful: bool
) -> None:
    """Also of a schedule that came past its proposal: it is asked again whenever its days are applied."""
    today = hq_clock.today()
    dates = {"valid_from": today, "valid_until": today}
    authority = Authority(kind=kind, least_days=least, **dates) if kind else None
    assert schedules.lawful(Schedule(days=30, authority=authority)) is lawful


@pytest.mark.clause("430.2-d")
def test_neither_a_schedule_an_authority_nor_a_hold_is_stored_with_what_its_form_would_refuse(
    office: kept.Office,
) -> None:
    for wrong in (
        lambda: office.schedule(400, basis="x" * 301),
        lambda: office.authority(signed_by="x" * 500),
        lambda: office.place(Scope(plate="7ABC123"), kind="whim"),
    ):
        with pytest.raises(ValidationError):
            wrong()


@pytest.mark.clause("GC-34090.6")
def test_the_forms_take_no_empty_scan_half_an_area_nor_less_than_a_year_for_a_destruction() -> None:
    for scan in (b"", bytes(forms.MAX_DOCUMENT + 1)):
        with pytest.raises(ValidationError):
            forms.check_document(SimpleUploadedFile("a.pdf", scan))
    half = forms.ScopeForm({"south": "34.0"})
    assert "give all four sides or none" in str(half.errors)
    for kind, refused in (("destruction", True), ("shorter", False)):
        errors = forms.AuthorityForm({"kind": kind, "least_days": "30"}).errors
        assert ("least_days" in errors) == refused


# What the database refuses, whoever asks


@pytest.mark.clause("430.4-c")
@pytest.mark.parametrize(
    ("table", "column"), [("read", "id"), ("picture", "read_id"), ("hit", "read_id"), ("revision", "record")]
)
def test_raw_sql_deletes_nothing_outside_a_signed_purge(office: kept.Office, table: str, column: str) -> None:
    old = kept.read(days=800, hit=True)
    assert refused_by_database(f"DELETE FROM records_{table} WHERE {column} = %s", [raw_id(old)])
    assert refused_by_database(f"DELETE FROM records_{table}")
    assert Read.objects.count() == Hit.objects.count() == 1


@pytest.mark.clause("430.4-c")
@pytest.mark.parametrize("days", [0, 200, 364.9])
def test_raw_sql_under_the_floor_fails_even_inside_a_signed_purge(office: kept.Office, days: float) -> None:
    """Somebody puts a young read into the journal of a signed purge: its age alone must stop it."""
    young = kept.read(days=days, hit=True, at=datetime.now(UTC))
    into_journal(office, young)
    for table in ("hit", "picture", "revision", "read"):
        column = {"read": "id", "revision": "record"}.get(table, "read_id")
        assert refused_by_database(f"DELETE FROM records_{table} WHERE {column} = %s", [raw_id(young)])


@pytest.mark.clause("430.4-c")
def test_the_same_statement_passes_for_a_read_past_the_floor(office: kept.Office) -> None:
    """The guard's other half: without it the tests above would prove nothing."""
    old = kept.read(days=366, at=datetime.now(UTC))
    into_journal(office, old)
    assert not refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(old)])


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize(
    "scope",
    [
        Scope(plate="7ABC123"),
        Scope(plate="7A8CI23"),
        Scope(plate="7A*"),
        Scope(plate="7?BC12?"),
        Scope(unit="gate-1"),
        Scope(since=datetime(2020, 1, 1, tzinfo=UTC)),
        Scope(until=datetime(2100, 1, 1, tzinfo=UTC)),
        Scope(area=(34.0, -119.0, 35.0, -118.0)),
    ],
    ids=["plate", "look-alike", "run", "places", "unit", "since", "until", "area"],
)
def test_raw_sql_under_a_hold_fails_even_inside_a_signed_purge(office: kept.Office, scope: Scope) -> None:
    old = kept.read(days=800, lat=34.1, lon=-118.15, at=datetime.now(UTC))
    into_journal(office, old)
    hold = office.place(scope)
    statement = "DELETE FROM records_read WHERE id = %s"
    assert refused_by_database(statement, [raw_id(old)])
    holds.ask_release(office.commander, hold.pk, "case closed")
    assert refused_by_database(statement, [raw_id(old)])
    holds.release(office.custodian, hold.pk)
    assert not refused_by_database(statement, [raw_id(old)])


@pytest.mark.clause("430.4-d")
def test_a_hold_on_one_read_by_its_id(office: kept.Office) -> None:
    old, other = (kept.read(days=800, at=datetime.now(UTC)) for _ in range(2))
    into_journal(office, old, other)
    office.place(Scope(reads=(old.id,)))
    assert refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(old)])
    assert not refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(other)])


@pytest.mark.clause("430.4-c")
def test_a_receipt_cannot_be_dated_back(office: kept.Office) -> None:
    young = kept.read(days=10)
    assert refused_by_database(
        "UPDATE records_read SET received_at = %s WHERE id = %s",
        [hq_clock.now() - timedelta(days=900), raw_id(young)],
    )


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only SQLite has INSERT OR REPLACE")
@pytest.mark.clause("430.4-c")
def test_insert_or_replace_deletes_nothing() -> None:
    old = kept.read(days=800)
    columns = ", ".join(f.column for f in Read._meta.local_concrete_fields)
    assert refused_by_database(
        f"INSERT OR REPLACE INTO records_read ({columns}) SELECT {columns} FROM records_read"
    )
    assert Read.objects.get().id == old.id


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="guards are lifted on SQLite alone")
def test_without_the_guard_the_same_statement_would_pass(office: kept.Office) -> None:
    young = kept.read(days=1)
    floor.lift(connection)
    try:
        assert not refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(young)])
    finally:
        call_command("migrate", verbosity=0)
    assert refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(kept.read(days=1))])


def into_journal(office: kept.Office, *reads: Read) -> Batch:
    """As if a signed purge were about to delete these reads."""
    kept.read("8XYZ987", days=900)
    proposal = office.signed()
    batch = Batch.objects.create(proposal=proposal, reads=len(reads), ids_sha256="", state="moved")
    for read in reads:
        batch.items.create(read_id=read.id)
    return batch


# Holds


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("kind", Hold.Kind.values)
def test_every_lawful_reason_keeps_reads(office: kept.Office, kind: str) -> None:
    kept.read(days=800)
    schedule = office.schedule()
    assert selection.count(schedule, hq_clock.now()).reads == 1
    office.place(Scope(plate="7ABC123"), kind=kind)
    counts = selection.count(schedule, hq_clock.now())
    assert (counts.reads, counts.held) == (0, 1)


@pytest.mark.clause("430.4-d")
def test_a_hold_is_never_released_by_one_person(office: kept.Office, people: Callable[..., Person]) -> None:
    hold = office.place(Scope(plate="7ABC123"), requested_by=office.commander)
    with pytest.raises(Refused):
        holds.release(office.custodian, hold.pk)  # nobody has asked
    for person in (office.administrator, office.commander):  # placed it, wanted it
        with pytest.raises(Refused):
            holds.ask_release(person, hold.pk, "closed")
    asker = people(["administrator", "custodian"])
    holds.ask_release(asker, hold.pk, "closed")
    with pytest.raises(Refused):
        holds.release(asker, hold.pk)
    for person in (asker, office.administrator, office.commander):
        with pytest.raises(IntegrityError), transaction.atomic():
            Hold.objects.filter(pk=hold.pk).update(released_by=person, released_at=hq_clock.now())
    assert holds.release(office.custodian, hold.pk).released_at


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.2-d")
def test_neither_a_hold_nor_a_schedule_is_without_its_reason(office: kept.Office) -> None:
    for fields in ({"reason": " "}, {"requester": "\t"}):
        with pytest.raises(Refused, match="is empty") as refused:
            office.place(Scope(plate="7ABC123"), **fields)
        assert refused.value.clause == "430.4-d"
    assert not Hold.objects.exists()
    hold = office.place(Scope(plate="7ABC123"))
    later = hq_clock.today() + timedelta(days=60)
    with pytest.raises(Refused, match="what the review found is empty"):
        holds.review(office.commander, hold.pk, " ", later)
    with pytest.raises(Refused, match="the reason of the release is empty"):
        holds.ask_release(office.commander, hold.pk, " ")
    hold.refresh_from_db()
    assert (hold.reviews.count(), hold.release_by) == (0, None)
    for basis, reason in (("", "council"), ("GC 34090.6", " \n")):
        with pytest.raises(Refused, match="is empty") as refused:
            schedules.propose(office.administrator, category="alpr", days=400, basis=basis, reason=reason)
        assert refused.value.clause == "430.2-d"
    assert not Schedule.objects.exists()


@pytest.mark.clause("430.4-d")
def test_a_hold_is_looked_at_on_its_date(office: kept.Office, clock: object) -> None:
    hold = office.place(Scope(plate="7ABC123"))
    assert not holds.to_review().exists()
    clock.advance(days=91)  # type: ignore[attr-defined]
    assert holds.to_review().get() == hold
    assert any("due for review" in alarm.text for alarm in alarms())
    holds.review(office.commander, hold.pk, "trial in May", hq_clock.today() + timedelta(days=60))
    assert not holds.to_review().exists()


@pytest.mark.clause("430.4-d")
def test_a_hold_is_of_a_case_reviewed_in_time_and_released_once(office: kept.Office) -> None:
    for case in (" ", "none", "7<script>"):
        with pytest.raises(Refused, match="a hold needs the number of its case"):
            office.place(Scope(plate="7ABC123"), case=case)
    hold = office.place(Scope(plate="7ABC123"))
    today = hq_clock.today()
    for never in (today, today + holds.LONGEST + timedelta(days=1)):
        with pytest.raises(ScopeError, match="review date"):
            holds.review(office.commander, hold.pk, "trial goes on", never)
    holds.ask_release(office.commander, hold.pk, "closed")
    holds.release(office.custodian, hold.pk)
    for again in (
        lambda: holds.release(office.custodian, hold.pk),
        lambda: holds.ask_release(office.commander, hold.pk, "closed"),
        lambda: holds.review(office.commander, hold.pk, "closed", today + timedelta(days=9)),
    ):
        with pytest.raises(Refused, match="released already"):
            again()


@pytest.mark.parametrize(
    "scope",
    [
        Scope(since=datetime(2026, 1, 2, tzinfo=UTC), until=datetime(2026, 1, 2, tzinfo=UTC)),
        Scope(),
        Scope(plate="*"),
        Scope(plate="#"),
        Scope(area=(35.0, -118.0, 34.0, -119.0)),
    ],
    ids=["no time", "nothing", "any plate", "no plate", "upside down"],
)
def test_a_hold_must_be_bounded(office: kept.Office, scope: Scope) -> None:
    with pytest.raises(ScopeError):
        office.place(scope)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_database_and_the_query_agree_on_what_a_hold_reaches(
    office: kept.Office, data: st.DataObject
) -> None:
    """One rule, told twice: `Scope.q` chooses, the trigger refuses."""
    texts = st.text("7A8BO0", min_size=2, max_size=4)
    assert all((office.administrator, office.commander, office.custodian))  # outlive each example
    with transaction.atomic():
        point = transaction.savepoint()
        kept.unit("a")
        reads = [
            kept.read(
                data.draw(texts),
                days=500,
                on=kept.unit(data.draw(st.sampled_from(["a", "b"]))),
                pictures=(),
                lat=data.draw(st.sampled_from([None, 1.0, 3.0])),
                lon=1.0,
            )
            for _ in range(3)
        ]
        scope = Scope(
            plate=data.draw(st.sampled_from(["", "7*", "?8", "7A", "*O"])),
            unit=data.draw(st.sampled_from(["", "a"])),
            area=data.draw(st.sampled_from([None, (0.0, 0.0, 2.0, 2.0)])),
            since=datetime(2019, 1, 1, tzinfo=UTC),
        )
        batch = into_journal(office, *reads)
        office.place(scope)
        by_query = set(Read.objects.filter(holds.held(), id__in=kept.ids(reads)).values_list("id", flat=True))
        not_by_query = set(
            Read.objects.exclude(holds.held()).filter(id__in=kept.ids(reads)).values_list("id", flat=True)
        )
        by_database = {
            read.id
            for read in reads
            if refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(read)])
        }
        assert by_query == by_database
        assert not_by_query == set(kept.ids(reads)) - by_database
        assert batch
        transaction.savepoint_rollback(point)


# What is asked for and not handed out yet


OPENED = datetime(2025, 1, 1, tzinfo=UTC)


def ask_package(office: kept.Office, scope: Scope) -> Package:
    return packages.request(
        office.investigator, case="26-1234", reason="burglary", scope=scope, purpose="criminal_investigation"
    )


def ask_release(office: kept.Office, scope: Scope) -> ReleaseRequest:
    until = hq_clock.today() + timedelta(days=100)
    proposed = partners.propose(office.administrator, kind="ca_law", agency="Next PD", valid_until=until)
    partner = partners.approve(office.commander, proposed.pk)
    return requests.register(
        office.records_clerk,
        kind="agency",
        partner=partner,
        agency="Next PD",
        person_name="B. Ask",
        person_title="Detective",
        person_contact="ask@next.example",
        purpose="criminal_investigation",
        purpose_text="burglary series",
        case="N-77",
        document=ContentFile(b"%PDF- We ask for ...", "letter.pdf"),
        received_at=hq_clock.now(),
        scope=scope,
    )


def approve_release(office: kept.Office, row: ReleaseRequest) -> None:
    requests.review(office.commander, row.pk, "in order")
    requests.approve(office.commander, row.pk, row.asked, pictures=False, reason="case shown")


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.4-e")
def test_a_purge_leaves_what_an_open_package_asks_for_until_it_is_made(office: kept.Office) -> None:
    wanted, other = kept.read(days=400, hit=True), kept.read("8XYZ987", days=400)
    package = ask_package(office, Scope(plate="7ABC123"))
    schedule = office.schedule()
    counts = selection.count(schedule, hq_clock.now())
    assert (counts.reads, counts.held) == (1, 1)
    packages.approve(office.commander, package.pk)
    certificate = purge.run(office.signed(schedule).pk, run_by="test")
    assert certificate.reads == 1
    assert (
        "Kept by holds and open requests when proposed: 1; by holds, requests or schedules that came since: 0"
        in certificate.text
    )
    assert list(Read.objects.all()) == [wanted] != [other]
    assert (Hit.objects.count(), Picture.objects.count()) == (1, 2)
    made = packages.prepare(office.records_clerk, package.pk)
    assert (made.reads, made.pictures) == (1, 2)
    purge.run(office.signed(schedule).pk, run_by="test")
    assert not Read.objects.exists()


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("end", ["refused", "taken back"])
def test_a_package_that_is_refused_or_taken_back_keeps_nothing(office: kept.Office, end: str) -> None:
    read = kept.read(days=400)
    package = ask_package(office, Scope(reads=(read.id,)))
    schedule = office.schedule()
    with pytest.raises(Refused, match="no hold or open request keeps"):
        office.signed(schedule)
    if end == "taken back":
        packages.approve(office.commander, package.pk)
        with pytest.raises(Refused, match="no hold or open request keeps"):
            office.signed(schedule)
    packages.refuse(office.commander, package.pk, "no longer needed")
    purge.run(office.signed(schedule).pk, run_by="test")
    assert not Read.objects.exists()


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.8(c)")
@pytest.mark.parametrize("end", ["fulfilled", "denied", "closed"])
def test_a_purge_leaves_what_an_agency_asks_for_in_writing_until_it_is_answered(
    office: kept.Office, end: str
) -> None:
    kept.read(days=400)
    row = ask_release(office, Scope(plate="7ABC123"))
    schedule = office.schedule()
    assert selection.count(schedule, hq_clock.now()).held == 1
    if end == "denied":
        requests.review(office.commander, row.pk, "in order")
        requests.deny(office.commander, row.pk, "no case shown")
    else:
        approve_release(office, row)
        assert selection.count(schedule, hq_clock.now()).held == 1
        if end == "fulfilled":
            assert requests.fulfil(office.custodian, row.pk).reads == 1
        else:
            with pytest.raises(Refused, match="why nothing is handed out is empty"):
                requests.close(office.custodian, row.pk, " ")
            assert requests.close(office.custodian, row.pk, "the agency withdrew it").state == "closed"
    purge.run(office.signed(schedule).pk, run_by="test")
    assert not Read.objects.exists()


@pytest.mark.clause("430.4-d")
def test_what_was_asked_for_when_a_destruction_was_proposed_stays_out_of_it(
    office: kept.Office, clock: Any
) -> None:
    """A proposal's selection can only shrink, also when the package is made before the purge."""
    wanted = kept.read(days=400)
    kept.read("8XYZ987", days=400)
    package = ask_package(office, Scope(plate="7ABC123"))
    proposal = office.signed()
    clock.advance(hours=1)
    packages.approve(office.commander, package.pk)
    packages.prepare(office.records_clerk, package.pk)
    assert purge.run(proposal.pk, run_by="test").reads == 1
    assert list(Read.objects.all()) == [wanted]


@pytest.mark.clause("430.4-d")
def test_a_package_asked_for_after_the_signatures_still_keeps_its_reads(office: kept.Office) -> None:
    wanted = kept.read(days=400)
    kept.read("8XYZ987", days=400)
    proposal = office.signed()
    ask_package(office, Scope(plate="7ABC123"))
    certificate = purge.run(proposal.pk, run_by="test")
    assert (certificate.reads, certificate.held_since) == (1, 1)
    assert list(Read.objects.all()) == [wanted]


WITHIN = [
    Scope(plate="7ABC123"),
    Scope(plate="7A8CI23", lookalikes=True),
    Scope(plate="7?bc 1*"),
    Scope(unit="gate-1"),
    Scope(since=OPENED),
    Scope(until=OPENED + timedelta(milliseconds=10)),
    Scope(area=(34.0, -119.0, 35.0, -118.0)),
    Scope(plate="7A*", unit="gate-1", since=OPENED, area=(34.0, -119.0, 35.0, -118.0), lookalikes=True),
]
OUTSIDE = [
    Scope(plate="7A8CI23"),
    Scope(plate="7ABC12?4"),
    Scope(unit="gate-2"),
    Scope(since=OPENED + timedelta(milliseconds=10)),
    Scope(until=OPENED),
    Scope(area=(35.0, -119.0, 36.0, -118.0)),
    Scope(plate="7ABC123", unit="gate-2"),
]


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("asks", [ask_package, ask_release])
def test_the_database_and_the_query_agree_on_what_is_asked_for(office: kept.Office, asks: Any) -> None:
    kept.unit("gate-2")
    assert all((office.administrator, office.commander, office.investigator, office.records_clerk))
    old = kept.read(days=0, lat=34.1, lon=-118.15, at=OPENED)
    other = kept.read("8XYZ987", days=0, lat=34.1, lon=-118.15, at=OPENED)
    into_journal(office, old, other)
    statement = "DELETE FROM records_read WHERE id = %s"
    within = [(scope, True) for scope in [*WITHIN, Scope(reads=(old.id,))]]
    outside = [(scope, False) for scope in [*OUTSIDE, Scope(reads=(other.id,))]]
    for scope, keeps in within + outside:
        point = transaction.savepoint()
        asks(office, scope)
        assert Read.objects.filter(holds.held(), id=old.id).exists() == keeps, scope
        assert Read.objects.exclude(holds.held()).filter(id=old.id).exists() != keeps, scope
        assert refused_by_database(statement, [raw_id(old)]) == keeps, scope
        transaction.savepoint_rollback(point)


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("plate", ["7ABC123", ""])
def test_what_an_older_version_stored_without_its_pattern_may_mean_any_plate(
    office: kept.Office, plate: str
) -> None:
    here, there = (kept.read(days=800, on=kept.unit(name), at=datetime.now(UTC)) for name in ("a", "b"))
    into_journal(office, here, there)
    stored = Scope(plate=plate, unit="a").to_json()
    del stored["like"]
    Package.objects.create(
        case="26-1", purpose="evidence", reason="x", scope_json=stored, requested_by=office.investigator
    )
    assert list(Read.objects.filter(holds.held())) == [here]
    assert refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(here)])
    assert not refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(there)])


# Destruction


@pytest.mark.clause("GC-34090.6")
def test_destruction_needs_resolution_consent_and_three_persons(office: kept.Office) -> None:
    kept.read(days=800)
    schedule = office.schedule()
    over = office.authority(
        valid_from=hq_clock.today() - timedelta(9), valid_until=hq_clock.today() - timedelta(1)
    )
    with pytest.raises(Refused) as refused:
        proposals.propose(office.administrator, schedule, over)
    assert refused.value.clause == "GC-34090.6"
    made = proposals.propose(office.administrator, schedule, office.authority())
    with pytest.raises(Refused):
        proposals.cosign(office.custodian, made.pk)  # before the Commander
    proposals.approve(office.commander, made.pk)
    for person in (office.administrator, office.commander):
        with pytest.raises(Refused):
            proposals.cosign(person, made.pk)
    with pytest.raises(Refused):
        purge.run(made.pk, run_by="test")
    assert Read.objects.count() == 1
    proposals.cosign(office.custodian, made.pk)
    assert purge.run(made.pk, run_by="test").reads == 1


@pytest.mark.clause("GC-34090.6")
@pytest.mark.clause("430.4-c")
def test_destruction_is_of_what_is_due_under_a_schedule_and_authority_that_hold(
    office: kept.Office, clock: Any
) -> None:
    former, schedule = office.schedule(365), office.schedule(400)
    soon = hq_clock.today() + timedelta(days=1)
    authority = office.authority(valid_until=soon)
    with pytest.raises(Refused, match="no read is due"):
        proposals.propose(office.administrator, schedule, authority)
    kept.read(days=800)
    former.refresh_from_db()
    with pytest.raises(Refused, match="is not in force"):
        proposals.propose(office.administrator, former, authority)
    with pytest.raises(Refused, match="does not allow a destruction"):
        proposals.propose(office.administrator, schedule, office.authority("shorter", least_days=30))
    made = proposals.propose(office.administrator, schedule, authority)
    proposals.approve(office.commander, made.pk)
    clock.advance(days=3)
    with pytest.raises(Refused, match="does not allow a destruction today"):
        proposals.cosign(office.custodian, made.pk)
    proposals.withdraw(office.commander, made.pk, "the authority ran out")
    for again in (proposals.refuse, proposals.withdraw):
        with pytest.raises(Refused, match="withdrawn"):
            again(office.commander, made.pk, "again")


@pytest.mark.clause("430.2.1(f)")
def test_neither_a_schedule_nor_a_destruction_is_refused_without_a_reason(office: kept.Office) -> None:
    kept.read(days=800)
    made = proposals.propose(office.administrator, office.schedule(), office.authority())
    version = schedules.propose(office.administrator, category="alpr", days=400, basis="x", reason="x")
    with pytest.raises(Refused, match="the reason of the refusal is empty"):
        proposals.refuse(office.custodian, made.pk, " ")
    with pytest.raises(Refused, match="the reason of the refusal is empty"):
        schedules.refuse(office.commander, version.pk, "")
    assert proposals.refuse(office.custodian, made.pk, "claim expected").state == "refused"
    assert schedules.refuse(office.commander, version.pk, "too long").state == "refused"


@pytest.mark.clause("430.2.1(f)")
def test_the_purge_removes_rows_and_files_and_certifies(office: kept.Office) -> None:
    gone = [kept.read(days=400 + n, hit=n == 1) for n in range(3)]
    stays = kept.read("8XYZ987", days=300)
    held = kept.read("9HLD111", days=500)
    office.place(Scope(plate="9HLD111"))
    proposal = office.signed()
    assert (proposal.reads, proposal.pictures, proposal.held) == (3, 6, 1)
    certificate = purge.run(proposal.pk, run_by="account test")
    assert set(Read.objects.values_list("id", flat=True)) == {stays.id, held.id}
    assert not Hit.objects.exists()
    assert set(Picture.objects.values_list("read_id", flat=True)) == {stays.id, held.id}
    assert not Revision.objects.filter(record__in=kept.ids(gone)).exists()
    assert set(Trigram.objects.values_list("key", flat=True)) == {"8XYZ987", "9HLD111"}
    assert len(kept.files()) == 4
    assert (certificate.reads, certificate.pictures, certificate.held_since) == (3, 6, 0)
    for words in ("Resolution 7777", "T. Agency-Attorney", str(office.custodian), proposal.ids_sha256):
        assert words in certificate.text
    assert "7ABC123" not in certificate.text
    assert AccessRecord.objects.filter(action="destruction.run", result_count=3).exists()
    with pytest.raises(DatabaseError), transaction.atomic():
        certificate.delete()


@pytest.mark.clause("430.4-d")
def test_a_hold_placed_after_the_signatures_still_keeps(office: kept.Office) -> None:
    first, second = kept.read("7ABC123", days=400), kept.read("8XYZ987", days=400)
    proposal = office.signed()
    office.place(Scope(reads=(first.id,)))
    certificate = purge.run(proposal.pk, run_by="test")
    assert list(Read.objects.all()) == [first]
    assert (certificate.reads, certificate.held_since) == (1, 1)
    assert "Destroyed: 1 reads" in certificate.text
    # Of what was destroyed alone nobody knows the range any more.
    assert "\nProposed: 2 reads, captured from " in certificate.text
    assert second.id != first.id


@pytest.mark.clause("430.2.1(f)")
def test_a_signature_is_not_written_over_by_another_one(
    office: kept.Office, people: Callable[..., Person], clock: Any
) -> None:
    kept.read(days=400)
    schedule = schedules.propose(office.administrator, category="alpr", days=400, basis="x", reason="x")
    schedules.cosign(office.custodian, schedule.pk)
    clock.advance(hours=1)
    with pytest.raises(Refused, match="signed already"):
        schedules.cosign(people("custodian"), schedule.pk)
    proposal = proposals.propose(office.administrator, office.schedule(), office.authority())
    proposals.approve(office.commander, proposal.pk)
    clock.advance(hours=1)
    for again in (office.commander, people("commander")):
        with pytest.raises(Refused, match="approved already"):
            proposals.approve(again, proposal.pk)
    proposal.refresh_from_db()
    assert (proposal.approved_by, proposal.approved_at) == (office.commander, clock.at - timedelta(hours=1))


@pytest.mark.clause("430.4-c")
def test_a_longer_schedule_after_the_signatures_keeps_what_it_keeps(office: kept.Office) -> None:
    stays, trailer = kept.read(days=400), kept.unit("trailer-1")
    own = kept.read(days=800, on=trailer)
    kept.read(days=800)
    proposal = office.signed(office.schedule(365))
    office.schedule(730, reason="the council asks for two years")
    office.schedule(900, unit=trailer)
    certificate = purge.run(proposal.pk, run_by="test")
    assert set(Read.objects.values_list("id", flat=True)) == {stays.id, own.id}
    assert (certificate.reads, proposal.reads) == (1, 3)
    assert "by holds, requests or schedules that came since: 2" in certificate.text


@pytest.mark.clause("GC-34090.6")
def test_the_year_of_a_units_schedule_whose_authority_ran_out_is_the_databases_too(
    office: kept.Office,
) -> None:
    trailer = kept.unit("trailer-1")
    kept.read(days=400, on=trailer)
    office.schedule(730)
    authority = office.authority("shorter", least_days=30)
    own = office.schedule(30, unit=trailer, authority=authority)
    proposal = office.signed(own)
    with connection.cursor() as cursor:
        # As time would have it: the database compares with its own day.
        for statement in drops(connection, Authority._meta.db_table):
            cursor.execute(statement)
    Authority.objects.filter(pk=authority.pk).update(valid_until=hq_clock.today() - timedelta(days=2))
    assert schedules.days_for("alpr", "trailer-1") == 365
    assert purge.run(proposal.pk, run_by="test").reads == 1


@pytest.mark.clause("430.4-d")
def test_a_hold_placed_while_the_purge_runs_still_keeps(office: kept.Office) -> None:
    first = kept.read("7ABC123", days=400)
    kept.read("8XYZ987", days=400)
    proposal = office.signed()
    before = kept.files()
    placed = []

    def step(word: str) -> None:
        if word == "moved" and not placed:
            placed.append(office.place(Scope(reads=(first.id,))))

    certificate = purge.run(proposal.pk, run_by="test", step=step)
    assert list(Read.objects.all()) == [first]
    assert kept.files() == {name for name in before if str(first.id) in name}
    assert certificate.reads == 1


@pytest.mark.clause("430.4-d")
def test_what_was_held_when_signed_stays_out_though_the_hold_goes(office: kept.Office) -> None:
    held = kept.read("7ABC123", days=400)
    kept.read("8XYZ987", days=400)
    hold = office.place(Scope(plate="7ABC123"))
    proposal = office.signed()
    holds.ask_release(office.commander, hold.pk, "closed")
    holds.release(office.custodian, hold.pk)
    purge.run(proposal.pk, run_by="test")
    assert list(Read.objects.all()) == [held]


@pytest.mark.clause("430.4-d")
def test_what_falls_due_after_the_signatures_stays_out(office: kept.Office, clock: object) -> None:
    kept.read(days=400)
    young = kept.read(days=364)
    proposal = office.signed()
    clock.advance(days=30)  # type: ignore[attr-defined]
    purge.run(proposal.pk, run_by="test")
    assert list(Read.objects.all()) == [young]


def test_a_file_that_another_read_names_too_stays(office: kept.Office) -> None:
    old, young = kept.read(days=400, pictures=("plate",)), kept.read(days=1, pictures=())
    shared = old.pictures.get()
    Picture.objects.create(
        read=young, kind="plate", sha256=shared.sha256, file=shared.file.name, size=shared.size, missing=False
    )
    purge.run(office.signed().pk, run_by="test")
    assert kept.files() == {shared.file.name}


@pytest.mark.clause("430.2.1(f)")
def test_a_storage_that_renames_nothing_keeps_its_files_until_the_rows_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = InMemoryStorage()
    name = storage.save("reads/a.jpg", ContentFile(b"x"))
    aside = Aside(1, [name], storage)
    aside.move()
    aside.back()
    assert storage.exists(name)
    for _ in range(2):
        aside.drop()
        assert not storage.exists(name)
    assert list(tmp_path.iterdir()) == [], "nothing is made or removed where HQ runs"


def test_a_file_that_cannot_be_moved_leaves_everything(
    office: kept.Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.read(days=400)
    proposal, before = office.signed(), kept.files()
    real = purge.Aside.move

    def half(self: purge.Aside) -> None:
        real(self)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(purge.Aside, "move", half)
    with pytest.raises(PermissionError):
        purge.run(proposal.pk, run_by="test")
    assert Read.objects.count() == 1
    assert kept.files() == before
    assert purge.unfinished() == 0


@pytest.mark.clause("430.4-d")
def test_keeping_too_long_is_an_alarm(office: kept.Office) -> None:
    schedule = office.schedule()
    kept.read(days=390)
    assert not any("longer than" in alarm.text for alarm in alarms())
    kept.read("8XYZ987", days=396)
    assert any("longer than" in alarm.text and alarm.text.endswith(": 1") for alarm in alarms())
    office.place(Scope(plate="8XYZ987"))
    assert selection.overdue(schedule, hq_clock.now()).count() == 0
    assert Proposal.objects.count() == Certificate.objects.count() == 0


def test_the_command_destroys_what_is_signed_and_tells(
    office: kept.Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also who ran it, whatever name the environment gives."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "commander")
    kept.read(days=400)
    proposal = office.signed()
    call_command("purge")
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert Certificate.objects.get().run_by == f"account {me}"
    assert f"proposal {proposal.pk}: 1 reads destroyed" in capsys.readouterr().out
    assert not Read.objects.exists()
    call_command("purge")
    assert capsys.readouterr().out == ""


@pytest.mark.clause("430.4-d")
def test_a_hold_on_the_right_plate_keeps_its_misread(office: kept.Office) -> None:
    misread = kept.read("7XYZ123", days=500, at=datetime.now(UTC))
    corrections.correct(misread, office.investigator, corrected="7ABC123", why="the picture shows it")
    into_journal(office, misread)
    office.place(Scope(plate="7ABC123"))
    assert list(Read.objects.filter(holds.held())) == [misread]
    assert refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(misread)])


@pytest.mark.clause("430.4-d")
def test_what_people_did_about_a_hit_goes_with_its_read(office: kept.Office) -> None:
    read = kept.read(days=400, hit=True)
    corrections.correct(read, office.investigator, corrected="7ABC124", why="the picture shows it")
    Acknowledgement.objects.create(hit=read.hits.get(), read=read, by=office.investigator, at=hq_clock.now())
    assert refused_by_database("DELETE FROM hits_correction")
    purge.run(office.signed().pk, run_by="test")
    assert not Read.objects.exists()
    assert not Correction.objects.exists()
    assert not Acknowledgement.objects.exists()
