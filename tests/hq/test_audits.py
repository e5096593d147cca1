"""Audits: planned, sampled at random and again, never of oneself, signed off by another, never forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from hq.audits import breaches, reports, reviews, runs
from hq.audits.alarms import alarms
from hq.audits.models import Audit, Breach, Finding, Item, LogReview, Plan, Reevaluation
from hq.audits.sample import AREAS, areas_of, draw, rank
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import AccessReceived
from hq.retention.scope import Scope
from hq.site import clock as clock_module
from tests.hq import kept
from tests.hq.conftest import Clock

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
People = Callable[..., Person]
ClientFor = Callable[..., Client]


@pytest.fixture(autouse=True)
def _whole_second(clock: Clock) -> None:
    clock.at = clock.at.replace(microsecond=0)


@pytest.fixture
def office(people: People) -> kept.Office:
    held = kept.Office(people)
    held.made["second"] = people("auditor")
    return held


def planned(office: kept.Office, **fields: Any) -> Plan:
    values = {
        "auditor": office.auditor,
        "other_auditor": office.made["second"],
        "reviewer": office.commander,
        "frequency_days": 90,
        "sample_size": 20,
        "areas": ["searches", "lists", "refused"],
        "document": "audit plan 1",
        "starts_on": date(2026, 5, 1),
    } | fields
    made = runs.propose(office.auditor, Plan(**values))
    return runs.approve_plan(office.commander, made.pk)


def log(person: Person | None, action: str = "reads.search", count: int = 1, **fields: Any) -> list[int]:
    values = {"kind": "search", "purpose": "criminal_investigation", "case": "26-1"} | fields
    return [chain.append(person=person, action=action, **values).sequence for _ in range(count)]


def on_unit(person: str = "A. Tester", count: int = 1, **fields: Any) -> list[AccessReceived]:
    """What a unit recorded of somebody who saw plates on it, received now."""
    values = {"title": "Officer", "agency": "Test PD", "action": "reads list", "query": "plate=7ABC123"}
    values |= {"purpose": "audit", "case_number": "A-1", "results": 1, "outcome": "shown"}
    values |= {"clock": {}, "store_id": "s", "digest": "", "ids": [], "accessed_at": clock_module.now()}
    return [
        AccessReceived.objects.create(
            id=uuid4(), unit=kept.unit(), sequence=n, person=person,
            received_at=clock_module.now(), **values | fields,
        )
        for n in range(count)
    ]  # fmt: skip


def lines() -> list[str]:
    return [f"{alarm.clause} {alarm.text}" for alarm in alarms()]


# The plan


@pytest.mark.clause("430.5(c)")
@pytest.mark.clause("CC-53")
@pytest.mark.parametrize(
    "fields",
    [
        {"frequency_days": 367},
        {"papers_days": 729},
        {"sample_size": 0},
        {"areas": []},
        {"document": ""},
        {"reviewer": "auditor"},
        {"other_auditor": "auditor"},
        {"reviewer": "second"},
    ],
)
def test_plan_is_whole_or_refused(office: kept.Office, fields: dict[str, Any]) -> None:
    given = {name: office.made.get(v, office.auditor) if isinstance(v, str) and v else v
             for name, v in fields.items()}  # fmt: skip
    with pytest.raises(ValidationError):
        planned(office, **given)
    assert Plan.current() is None
    assert any("no audit plan is in force" in line for line in lines())


@pytest.mark.clause("430.5(c)")
def test_plan_is_approved_by_neither_its_proposer_nor_its_auditor(
    office: kept.Office, people: People
) -> None:
    both = people(["auditor", "commander"])
    made = runs.propose(
        both,
        Plan(
            auditor=office.auditor,
            other_auditor=office.made["second"],
            reviewer=office.commander,
            areas=["searches"],
            document="x",
        ),
    )
    with pytest.raises(Refused):
        runs.approve_plan(both, made.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Plan.objects.update(approved_by=both, approved_at=made.proposed_at)
    runs.approve_plan(office.commander, made.pk)
    with pytest.raises(DatabaseError), transaction.atomic():
        Plan.objects.update(sample_size=1)


@pytest.mark.clause("430.5(c)")
@pytest.mark.clause("2019-118 rec. 14")
def test_audit_that_is_not_signed_in_time_is_an_alarm(office: kept.Office, clock: Clock) -> None:
    planned(office)
    log(office.officer)
    assert not runs.overdue()
    clock.advance(days=60)
    assert any("430.5(c) the audit is overdue since 2026-07-30" in line for line in lines())
    audit = runs.start(office.auditor)
    assert runs.overdue()
    for item in audit.items.all():
        runs.mark(item.assigned_to, item.pk, "ok")
    runs.sign(office.auditor, audit.pk, "in order")
    assert not runs.overdue()


# The sample


@pytest.mark.clause("430.5(c)")
@pytest.mark.clause("2019-118 rec. 13")
def test_sample_is_the_same_for_the_same_seed_and_covers_every_area(people: People, clock: Clock) -> None:
    since, person = clock.at, people("officer")
    log(person, count=15)
    log(person, "lists.manual", count=2)
    log(person, "hits.view", count=3)
    log(person, "reads.view", outcome="refused")
    until = clock.advance(seconds=1)
    areas = ["searches", "lists", "refused"]
    rows = AccessRecord.objects.filter(action__in=("reads.search", "reads.view", "lists.manual"))
    held = {row.sequence: set(areas_of(row.action, row.outcome)) for row in rows}

    @settings(max_examples=60, deadline=None)
    @given(seed=st.text("0123456789abcdef", min_size=1, max_size=32), size=st.integers(1, 20))
    def holds(seed: str, size: int) -> None:
        drawn = draw(since, until, areas, size, seed)
        assert drawn == draw(since, until, areas, size, seed)
        assert drawn.population == {"searches": 16, "lists": 2, "refused": 1}
        taken = dict(drawn.rows)
        assert len(taken) == len(drawn.rows) == min(size, 18)
        assert all(area in held[row] for row, area in taken.items())
        if size >= 3:
            assert set().union(*(held[row] for row in taken)) >= set(areas)
        left = [row for row, own in held.items() if "searches" in own and row not in taken]
        ranks = [rank(seed, row) for row, area in taken.items() if area == "searches"]
        if left and ranks:
            assert max(ranks) < min(rank(seed, row) for row in left)

    holds()


@pytest.mark.clause("430.5(c)")
def test_another_seed_draws_another_sample(people: People, clock: Clock) -> None:
    log(people("officer"), count=60)
    samples = {str(draw(clock.at - timedelta(1), clock.at + timedelta(1), ["searches"], 10, str(n)).rows)
               for n in range(20)}  # fmt: skip
    assert len(samples) == 20


@pytest.mark.clause("430.5(c)")
def test_auditors_own_actions_go_to_the_other_auditor(office: kept.Office, clock: Clock) -> None:
    planned(office)
    second = office.made["second"]
    log(office.officer, count=3)
    log(office.auditor, "lists.view", count=2)
    log(second, "lists.view")
    clock.advance(days=1)
    audit = runs.start(office.auditor)
    by = {item.subject_id: item.assigned_to for item in audit.items.all()}
    assert by == {
        office.officer.pk: office.auditor,
        office.auditor.pk: second,
        second.pk: office.auditor,
    }
    own = audit.items.filter(subject=office.auditor)[0]
    with pytest.raises(Refused, match="your own action"):
        runs.mark(office.auditor, own.pk, "ok")
    for column in ("assigned_to", "marked_by"):
        with pytest.raises(DatabaseError), transaction.atomic():
            Item.objects.filter(pk=own.pk).update(**{column: office.auditor, "mark": "ok"})
    with pytest.raises(Refused, match="another auditor"):
        runs.mark(second, audit.items.filter(subject=office.officer)[0].pk, "ok")


@pytest.mark.clause("430.5(c)")
def test_sample_covers_the_time_since_the_last_audit_once(office: kept.Office, clock: Clock) -> None:
    planned(office)
    first = log(office.officer, count=2)
    clock.advance(days=1)
    one = runs.start(office.auditor)
    second = log(office.officer, count=2)
    clock.advance(days=1)
    two = runs.start(office.made["second"])
    assert [item.record_id for item in one.items.all()] == first
    assert [item.record_id for item in two.items.all()] == second
    with pytest.raises(Refused, match="empty"):
        runs.start(office.auditor)


@pytest.mark.clause("430.5(c)")
def test_row_written_in_the_moment_of_the_draw_is_in_the_next_sample(
    office: kept.Office, clock: Clock
) -> None:
    planned(office)
    clock.advance(days=1, milliseconds=125)
    one = runs.start(office.auditor)
    late = log(office.officer)
    clock.advance(days=1)
    two = runs.start(office.auditor)
    assert not one.items.exists()
    assert [item.record_id for item in two.items.all()] == late


@pytest.mark.clause("430.5(c)")
@pytest.mark.clause("CC-52a")
def test_what_was_seen_on_units_is_in_the_sample_and_nobody_judges_their_own(
    office: kept.Office, clock: Clock, client_for: ClientFor
) -> None:
    planned(office)
    log(office.officer, count=2)
    (seen,) = on_unit("A. Tester", accessed_at=None)
    (refused,) = on_unit("A. Tester", outcome="refused")
    (own,) = on_unit(office.auditor.full_name.upper())
    end = clock.advance(days=1)
    audit = runs.start(office.auditor, seed="ab")
    items = {item.received_id: item for item in audit.items.all() if item.received_id}
    assert set(items) == {seen.pk, refused.pk, own.pk}
    assert audit.population == {"searches": 5, "lists": 0, "refused": 1}
    assert (items[own.pk].subject, items[own.pk].assigned_to) == (office.auditor, office.made["second"])
    assert items[seen.pk].assigned_to == office.auditor
    # The same seed draws the same; a smaller sample is the lowest ranks, of the log and of units alike.
    few = draw(end - timedelta(days=1), end, ["searches"], 3, "ab")
    every = [rank("ab", row) for row in (*AccessRecord.objects.filter(action="reads.search")
             .values_list("sequence", flat=True), seen.pk, refused.pk, own.pk)]  # fmt: skip
    taken = [rank("ab", one) for one, _ in (*few.rows, *few.units)]
    assert sorted(taken) == sorted(every)[:3]
    page = client_for(office.auditor).get(f"/audits/{audit.pk}/").content.decode()
    assert "on unit gate-1" in page
    assert "time of receipt: the unit" in page
    runs.mark(office.auditor, items[seen.pk].pk, "query", "why on the unit?")
    report = client_for(office.commander).get(f"/audits/{audit.pk}/report/").content.decode()
    assert f"unit record {seen.pk}" in report
    assert "A. Tester on unit gate-1" in report
    assert "7ABC123" not in report
    clock.advance(days=1)
    assert not runs.start(office.auditor).items.filter(received__isnull=False).exists()


@pytest.mark.clause("430.5(c)")
def test_audit_is_overdue_until_its_own_period_is_signed_for_not_a_later_one(
    office: kept.Office, clock: Clock
) -> None:
    plan = planned(office)
    log(office.officer, count=2)
    clock.advance(days=plan.frequency_days)
    long = runs.start(office.auditor)
    clock.advance(hours=1)
    short = runs.start(office.auditor)
    clock.advance(days=2)
    for item in short.items.all():
        runs.mark(item.assigned_to, item.pk, "ok")
    runs.sign(office.auditor, short.pk, "an hour in which nobody searched")
    assert runs.overdue()
    for item in long.items.all():
        runs.mark(item.assigned_to, item.pk, "ok")
    runs.sign(office.auditor, long.pk, "in order")
    assert not runs.overdue()
    assert runs.due_on(plan) == clock_module.day_of(short.until) + timedelta(days=plan.frequency_days)


@pytest.mark.clause("430.5(c)")
@pytest.mark.parametrize("leaves", ["auditor", "other auditor"])
def test_period_of_an_audit_whose_auditor_left_is_audited_by_those_who_come_after(
    office: kept.Office, people: People, clock: Clock, leaves: str
) -> None:
    planned(office)
    rows = [*log(office.officer, count=2), *log(office.auditor, "lists.view")]
    clock.advance(days=1)
    left = runs.start(office.auditor)
    stays = office.made["second"] if leaves == "auditor" else office.auditor
    office.made |= {"auditor": stays, "second": people("auditor")}
    planned(office, other_auditor=office.made["second"])
    clock.advance(days=1)
    again = runs.start(stays)
    assert again.since == left.since
    assert {item.record_id for item in again.items.all()} >= set(rows)
    clock.advance(hours=1)
    assert runs.start(stays).since == again.until
    for item in again.items.all():
        runs.mark(item.assigned_to, item.pk, "ok")
    runs.sign(stays, again.pk, "in order")
    assert not runs.overdue()


@pytest.mark.clause("430.5(c)")
def test_sample_is_drawn_once_however_often_the_button_is_pressed(office: kept.Office, clock: Clock) -> None:
    planned(office)
    log(office.officer)
    clock.advance(days=1)
    one = runs.start(office.auditor)
    clock.advance(seconds=2)
    assert runs.start(office.auditor) == one
    runs.mark(office.auditor, one.items.get().pk, "ok")
    assert runs.start(office.auditor) != one


@pytest.mark.clause("430.5(c)")
def test_only_the_plans_auditors_run_it(office: kept.Office, people: People) -> None:
    with pytest.raises(Refused, match="no audit plan"):
        runs.start(office.auditor)
    planned(office)
    with pytest.raises(Refused, match="other auditors"):
        runs.start(people("auditor"))
    with pytest.raises(Refused):
        runs.start(office.commander)


# Marks, findings, signatures


def begun(office: kept.Office, clock: Clock) -> Audit:
    planned(office)
    log(office.officer, count=3)
    clock.advance(days=1)
    return runs.start(office.auditor)


@pytest.mark.clause("430.5(c)")
def test_audit_closes_only_judged_assigned_and_signed_by_two(
    office: kept.Office, people: People, clock: Clock
) -> None:
    audit = begun(office, clock)
    one, two, three = audit.items.all()
    with pytest.raises(Refused, match="needs a note"):
        runs.mark(office.auditor, one.pk, "violation", " ")
    runs.mark(office.auditor, one.pk, "violation", "no such case")
    runs.mark(office.auditor, two.pk, "ok")
    with pytest.raises(Refused, match="is marked ok"):
        runs.mark(office.auditor, two.pk, "query", "second thought")
    with pytest.raises(Refused, match="1 records are not judged"):
        runs.sign(office.auditor, audit.pk, "x")
    runs.mark(office.auditor, three.pk, "ok")
    with pytest.raises(Refused, match="1 findings are given to nobody"):
        runs.sign(office.auditor, audit.pk, "x")
    finding = Finding.objects.get()
    assert (finding.subject, finding.item) == (office.officer, one)
    with pytest.raises(Refused, match="about themselves"):
        runs.assign(office.auditor, finding.pk, office.officer, date(2026, 7, 1))
    with pytest.raises(Refused, match="given to nobody"):
        runs.resolve(office.auditor, finding.pk, "x")
    runs.assign(office.auditor, finding.pk, office.commander, date(2026, 7, 1))
    with pytest.raises(Refused):
        runs.sign(office.made["second"], audit.pk, "x")
    with pytest.raises(Refused, match="this audit is open"):
        runs.approve(office.commander, audit.pk)
    with pytest.raises(Refused, match="the conclusion is empty"):
        runs.sign(office.auditor, audit.pk, " ")
    with pytest.raises(Refused, match="how the finding ended is empty"):
        runs.resolve(office.auditor, finding.pk, " ")
    with pytest.raises(Refused, match="what was found is empty"):
        runs.raise_finding(office.auditor, audit, "")
    runs.sign(office.auditor, audit.pk, "one violation")
    for person in (office.auditor, people(["auditor", "commander"])):
        if person == office.auditor:
            with pytest.raises(Refused):
                runs.approve(person, audit.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Audit.objects.update(approved_by=office.auditor, approved_at=clock.at)
    assert runs.approve(office.commander, audit.pk).state == "closed"
    with pytest.raises(Refused):
        runs.raise_finding(office.auditor, audit, "late")
    clock.advance(days=60)
    assert any("findings past their day: 1" in line for line in lines())
    runs.resolve(office.auditor, finding.pk, "retrained")
    assert not any("past their day" in line for line in lines())


@pytest.mark.clause("430.5(c)")
def test_designee_who_judged_records_does_not_sign_off(
    office: kept.Office, people: People, clock: Clock
) -> None:
    both = people(["auditor", "designee"], rights=["audits.approve"])
    planned(office, other_auditor=both)
    log(office.auditor, "lists.view")
    clock.advance(days=1)
    audit = runs.start(office.auditor)
    runs.mark(both, audit.items.get().pk, "ok")
    runs.sign(office.auditor, audit.pk, "in order")
    with pytest.raises(Refused, match="you judged records"):
        runs.approve(both, audit.pk)
    runs.approve(office.commander, audit.pk)


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize("model", [Audit, Item, Finding])
def test_database_keeps_audit_papers(office: kept.Office, clock: Clock, model: Any) -> None:
    audit = begun(office, clock)
    runs.raise_finding(office.auditor, audit, "shared password")
    fixed = {Audit: {"seed": "0"}, Item: {"area": "hits"}, Finding: {"what": "nothing"}}[model]
    with pytest.raises(DatabaseError), transaction.atomic():
        model.objects.update(**fixed)
    with pytest.raises(DatabaseError), transaction.atomic():
        model.objects.all().delete()


def test_areas_fall_only_on_actions_that_exist() -> None:
    from hq.people.policy import RIGHTS

    known = [*RIGHTS, "session.login"]
    for area in AREAS.values():
        for prefix in area.prefixes:
            assert any(action.startswith(prefix) for action in known), prefix


# Weekly review and re-evaluation


@pytest.mark.clause("CJIS AU-6")
def test_week_of_the_log_that_nobody_reviewed_is_an_alarm(office: kept.Office, clock: Clock) -> None:
    log(office.officer, "session.login", outcome="failed")
    assert not any("AU-6" in line for line in lines())
    clock.advance(days=14)
    assert any("weeks of the log that are not reviewed: 2, from 2026-06-01" in line for line in lines())
    with pytest.raises(Refused, match="not over"):
        reviews.review(office.auditor, date(2026, 6, 15), "x")
    with pytest.raises(Refused):
        reviews.review(office.commander, date(2026, 6, 1), "x")
    made = reviews.review(office.auditor, date(2026, 6, 1), "nothing odd")
    assert made.figures["failed_logins"] == 1
    assert made.chain.startswith("whole")
    reviews.review(office.auditor, date(2026, 6, 8), "quiet")
    assert not any("AU-6" in line for line in lines())
    with pytest.raises(Refused, match="is reviewed"):
        reviews.review(office.auditor, date(2026, 6, 8), "again")
    with pytest.raises(DatabaseError), transaction.atomic():
        LogReview.objects.update(note="x")


@pytest.mark.clause("2019-118 rec. 19")
def test_retention_is_re_evaluated_every_two_years(office: kept.Office, clock: Clock) -> None:
    log(office.officer)
    assert not any("re-evaluated" in line for line in lines())
    clock.advance(days=731)
    assert any("re-evaluated every two years" in line for line in lines())
    auditor = office.people("auditor")
    made = reviews.reevaluate(auditor, "a year is enough", "memo 4")
    assert len(made.ages) == len(reports.BUCKETS) + 2
    assert not any("re-evaluated" in line for line in lines())
    assert Reevaluation.objects.count() == 1


# The reports


@pytest.mark.clause("2019-118 rec. 19")
def test_age_is_that_of_the_read_at_the_time_it_was_seen(
    office: kept.Office, clock: Clock, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    fresh, old = kept.read(days=0.5, pictures=()), kept.read(days=45, pictures=())
    log(office.officer, ids=[fresh.pk, old.pk])
    log(office.officer, "reads.view", ids=[old.pk])
    log(office.officer, "reads.view", ids=[old.pk], outcome="refused")
    log(office.officer, "reads.view", ids=["0" * 32, "not an id"])
    clock.advance(days=40)
    log(office.officer, "reads.view", ids=[fresh.pk])
    clock.advance(seconds=1)
    ages = reports.search_ages(clock.at - timedelta(days=50), clock.at)
    seen = {bucket.label: (bucket.listed, bucket.opened) for bucket in ages if bucket.listed or bucket.opened}
    assert seen == {"under 1 day": (1, 0), "30 to 60 days": (1, 2), "destroyed since": (0, 2)}
    # A read that is gone was of some age, which is not that of the last line.
    assert (ages[3].label, ages[3].opened_up_to) == ("30 to 60 days", pytest.approx(1.0))
    assert [bucket.known for bucket in ages[-2:]] == [True, False]


@pytest.mark.clause("430.3-0")
def test_form_that_is_opened_to_ask_is_no_search(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    client = client_for(office.investigator)
    for path in ("/search/", "/search/canvass/"):
        assert client.get(path).status_code == 200
    end = clock.advance(seconds=1)
    assert reports.anomalies(end - timedelta(days=1), end) == []


@pytest.mark.clause("430.3-0")
def test_same_plate_often_is_odd_however_it_is_typed(people: People, clock: Clock) -> None:
    one, other = people("officer"), people("officer")
    for text in ("8ABC120", "8abc 120", "8ABC12O", "8ABC120"):
        log(one, elements={"plate": text})
    log(one, elements={"plate": "8ABC120", "page": 2})
    for n in range(6):
        log(other, elements={"plate": f"7XYZ00{n}"})
    end = clock.advance(seconds=1)
    assert [x for x in reports.anomalies(end - timedelta(1), end) if x.kind == "same plate often"] == []
    rows = log(one, elements={"plate": "8ABC120"})
    end = clock.advance(seconds=1)
    found = [x for x in reports.anomalies(end - timedelta(1), end) if x.kind == "same plate often"]
    assert [(x.username, len(x.rows)) for x in found] == [(one.username, 5)]
    assert rows[0] in found[0].rows
    assert "8ABC" not in found[0].words


@pytest.mark.clause("430.3-0")
@pytest.mark.clause("430.3(a)")
def test_one_plate_under_several_cases_is_odd(people: People, clock: Clock) -> None:
    one, other, patrol = people("investigator"), people("investigator"), people("officer")

    def odd() -> dict[str, list[int | str]]:
        end = clock.advance(seconds=1)
        found = reports.anomalies(end - timedelta(1), end)
        assert not any("8ABC" in x.words for x in found)
        return {x.username: x.rows for x in found if x.kind == "several cases"}

    first = log(one, elements={"plate": "8ABC120"}, case="26-1001")
    log(one, elements={"plate": "7XYZ001"}, case="26-1002")
    # The same case however it is written, another person, a pattern, and ids of hits in a case's place.
    log(one, elements={"plate": "8ABC120"}, case=" 261001")
    log(other, elements={"plate": "8ABC120"}, case="26-1002")
    for case in ("26-1", "26-2"):
        log(other, elements={"plate": "8ABC*"}, case=case)
        log(patrol, elements={"plate": "8ABC120"}, purpose="patrol_hit", case=case)
    assert odd() == {}
    second = log(one, elements={"plate": "8abc 12O"}, case="26-1003")
    found = odd()
    assert found.keys() == {one.username}
    assert {*first, *second} < set(found[one.username])


@pytest.mark.clause("430.3-0")
def test_search_that_begins_with_its_second_page_is_a_search(
    people: People, client_for: ClientFor, clock: Clock
) -> None:
    """Its page is empty and tells all the same how many reads of the plate there are in the window."""
    kept.read("8ABC120", pictures=())
    thief, reader = people("investigator"), people("investigator")
    asked = {"purpose": "criminal_investigation", "plate": "8ABC120"}
    for n in range(5):
        page = client_for(thief).post("/search/results/", asked | {"case": f"26-{n}", "page": "2"})
        assert b"1 read" in page.content
        client_for(reader).post("/search/results/", asked | {"case": "26-9", "page": str(n + 1)})
        clock.advance(minutes=1)
    found = {(x.kind, x.username): x.rows for x in reports.anomalies(clock.at - timedelta(1), clock.at)}
    assert {len(found[kind, thief.username]) for kind in ("same plate often", "several cases")} == {5}
    assert not [kind for kind, username in found if username == reader.username]
    for _ in range(4):
        clock.advance(hours=2)
        client_for(reader).post("/search/results/", asked | {"case": "26-9", "page": "2"})
    found = {
        (x.kind, x.username): x.rows
        for x in reports.anomalies(clock.at - timedelta(1), clock.advance(seconds=1))
    }
    assert len(found["same plate often", reader.username]) == 5


@pytest.mark.clause("430.3-0")
@pytest.mark.clause("2019-118 rec. 19")
def test_reports_count_what_was_seen_on_units_as_what_it_is(
    people: People, clock: Clock, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    old = kept.read(days=45, pictures=())
    log(people("officer"), elements={"plate": "8ABC120"}, count=4)
    on_unit("A. Tester", 4, query="plate=8ABC12O limit=5", ids=[str(old.pk)])
    on_unit("A. Tester", query="plate=8ABC120", ids=[str(old.pk)], outcome="refused")
    end = clock.advance(seconds=1)
    assert not [x for x in reports.anomalies(end - timedelta(1), end) if x.kind != "own queries"]
    (last,) = on_unit("A. Tester", query="plate=8ABC120", ids=[str(old.pk)])
    bad = on_unit("B. Other", 20, case_number="", query="every read that arrives")
    end = clock.advance(seconds=1)
    found = {(x.kind, x.username): x for x in reports.anomalies(end - timedelta(1), end)}
    same = found["same plate often", "A. Tester on unit gate-1"]
    assert len(same.rows) == 5
    assert f"gate-1 {last.pk}" in same.rows
    assert len(found["no case", "B. Other on unit gate-1"].rows) == len(bad)
    assert "volume" in {kind for kind, who in found if who == "B. Other on unit gate-1"}
    ages = {row.label: row for row in reports.search_ages(end - timedelta(1), end)}
    assert (ages["30 to 60 days"].on_units, ages["30 to 60 days"].listed) == (5, 0)


@pytest.mark.clause("430.3-0")
@pytest.mark.clause("CC-52a")
def test_counts_of_one_plate_are_odd_as_its_searches_are(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    """How far a breach reached and how many reads a hold keeps tell whether a plate was seen."""
    kept.read("8ABC120", pictures=())
    hold = office.place(Scope(plate="8ABC120"))
    breach = breaches.record(office.custodian, Breach(what="x", told_by="y", detected_at=clock.at))
    breacher, holder = client_for(office.custodian), client_for(office.records_clerk)
    for _ in range(5):
        asked = {"plate": "8abc 120", "unit": "gate-1"}
        assert breacher.post(f"/audits/breaches/{breach.pk}/affected/", asked).status_code == 302
        assert b"Reads kept now</dt><dd>1" in holder.get(f"/retention/holds/{hold.pk}/").content
        clock.advance(minutes=1)
    step = {"kind": "containment", "what": "closed it"}
    assert breacher.post(f"/audits/breaches/{breach.pk}/step/", step).status_code == 302
    end = clock.advance(seconds=1)
    found = {(x.kind, x.username): x.rows for x in reports.anomalies(end - timedelta(1), end)}
    assert found.keys() == {
        ("same plate often", person.username) for person in (office.custodian, office.records_clerk)
    }
    for rows in found.values():
        records = AccessRecord.objects.filter(sequence__in=rows)
        assert len(rows) == len(records) == 5
        assert all(row.result_count == 1 for row in records)


@pytest.mark.clause("430.3-0")
def test_row_without_purpose_or_case_is_odd(people: People, clock: Clock) -> None:
    person = people("investigator")
    good = log(person)
    bad = [*log(person, case=""), *log(person, purpose="", case="")]
    end = clock.advance(seconds=1)
    found = [x for x in reports.anomalies(end - timedelta(1), end) if x.kind == "no case"]
    assert [x.rows for x in found] == [bad]
    assert good[0] not in found[0].rows


@pytest.mark.clause("430.3-0")
def test_searches_of_those_who_watch_the_log_are_for_somebody_else_to_look_at(
    people: People, clock: Clock
) -> None:
    watcher, officer = people(["auditor", "investigator"]), people("officer")
    rows = log(watcher)
    log(officer)
    end = clock.advance(seconds=1)
    found = [x for x in reports.anomalies(end - timedelta(1), end) if x.kind == "own queries"]
    assert [(x.username, x.rows) for x in found] == [(watcher.username, rows)]


@pytest.mark.clause("430.3-0")
def test_hours_are_odd_by_the_persons_own_habit(people: People, clock: Clock) -> None:
    day, night = people("officer"), people("officer")
    for _ in range(60):
        log(day, "hits.view")
        clock.at += timedelta(hours=12)
        log(night, "hits.view")
        clock.at += timedelta(hours=12)
    since = clock.at
    clock.at += timedelta(hours=12)
    late = log(day)
    log(night)
    end = clock.advance(seconds=1)
    found = [x for x in reports.anomalies(since, end) if x.kind == "off hours"]
    assert [(x.username, x.rows) for x in found] == [(day.username, late)]


@pytest.mark.clause("430.3-0")
def test_volume_is_odd_against_the_persons_own_norm(people: People, clock: Clock) -> None:
    steady, sudden, new = people("officer"), people("officer"), people("officer")
    for _ in range(12):
        log(steady, count=20)
        log(sudden, count=2)
        clock.advance(days=7)
    since = clock.at
    for person, count in ((steady, 25), (sudden, 25), (new, 25)):
        log(person, count=count)
    end = clock.advance(days=7)
    found = {x.username: x.words for x in reports.anomalies(since, end) if x.kind == "volume"}
    assert found == {
        sudden.username: "25 searches, usually 2",
        new.username: "25 searches, the first of this person",
    }


# The pages


@pytest.mark.clause("430.5(c)")
def test_audit_is_planned_run_and_signed_off_in_the_pages(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    auditor, chief = client_for(office.auditor), client_for(office.commander)
    fields = {
        "frequency_days": 90, "auditor": office.auditor.pk, "other_auditor": office.made["second"].pk,
        "reviewer": office.commander.pk, "sample_size": 10, "areas": ["searches"], "papers_days": 730,
        "starts_on": "2026-05-01", "document": "audit plan 1",
    }  # fmt: skip
    assert auditor.post("/audits/plan/", fields | {"other_auditor": office.auditor.pk}).status_code == 200
    assert auditor.post("/audits/plan/", fields).status_code == 302
    made = Plan.objects.get()
    assert auditor.post(f"/audits/plan/{made.pk}/approve/").status_code == 403
    assert "Approve this plan" in chief.get("/audits/").content.decode()
    assert chief.post(f"/audits/plan/{made.pk}/approve/").status_code == 302
    log(office.officer, count=2, elements={"plate": "7XYZ000"})
    clock.advance(minutes=1)
    assert auditor.post("/audits/start/").status_code == 302
    audit = Audit.objects.get()
    shown = auditor.get(f"/audits/{audit.pk}/").content.decode()
    assert shown.count("7XYZ000") == 2
    one, two = audit.items.all()
    auditor.post(f"/audits/items/{one.pk}/mark/", {"mark": "query", "note": ""})
    assert not Finding.objects.exists()
    auditor.post(f"/audits/items/{one.pk}/mark/", {"mark": "query", "note": "which case"})
    auditor.post(f"/audits/items/{two.pk}/mark/", {"mark": "ok"})
    auditor.post(f"/audits/{audit.pk}/finding/", {"what": "posters missing"})
    for finding in Finding.objects.all():
        given = {"to": office.commander.pk, "due": "2026-07-01"}
        assert auditor.post(f"/audits/findings/{finding.pk}/assign/", given).status_code == 302
    first = Finding.objects.first()
    assert first is not None
    assert auditor.post(f"/audits/findings/{first.pk}/resolve/", {"words": "explained"}).status_code == 302
    assert auditor.post(f"/audits/{audit.pk}/sign/", {"words": "good"}).status_code == 302
    assert auditor.post(f"/audits/{audit.pk}/approve/").status_code == 403
    assert chief.post(f"/audits/{audit.pk}/approve/").status_code == 302
    report = chief.get(f"/audits/{audit.pk}/report/").content.decode()
    for words in (audit.seed, "posters missing", "explained", "Signed off", "which case"):
        assert words in report
    assert "7XYZ000" not in report
    assert AccessRecord.objects.filter(action="audits.approve", outcome="done").count() == 2


@pytest.mark.clause("CJIS AU-6")
def test_week_is_reviewed_and_reports_are_seen_in_the_pages(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    auditor = client_for(office.auditor)
    log(office.auditor, count=2)
    clock.advance(days=7)
    auditor = client_for(office.auditor)
    assert "2026-06-01" in auditor.get("/audits/").content.decode()
    assert "own queries" in auditor.get("/audits/week/?week=2026-06-01").content.decode()
    assert auditor.post("/audits/week/", {"week": "2026-06-01", "words": ""}).status_code == 200
    assert auditor.post("/audits/week/", {"week": "2026-06-01", "words": "fine"}).status_code == 302
    assert LogReview.objects.get().note == "fine"
    shown = auditor.get("/audits/reports/").content.decode()
    assert "own queries" in shown
    assert auditor.get("/audits/reports/?since=2026-06-09&until=2026-06-01").status_code == 200
    assert auditor.post("/audits/reports/retention/", {"words": "a year is enough"}).status_code == 302
    assert Reevaluation.objects.count() == 1
    assert client_for(office.officer).get("/audits/reports/").status_code == 403
