"""Schedules, holds, and what the database refuses to delete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Hit, Read
from hq.retention import floor, forms, holds, schedules, selection
from hq.retention.alarms import alarms, calendar
from hq.retention.models import Authority, Hold, Schedule
from hq.retention.scope import Scope, ScopeError
from hq.site import clock as hq_clock
from tests.hq import kept
from tests.hq.guarded import into_journal, raw_id, refused_by_database

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: object) -> None:
    settings.MEDIA_ROOT = tmp_path / "pictures"  # type: ignore[attr-defined]


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


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
