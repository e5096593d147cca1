"""Rows of the policy that no single app proves: what every page, paper and the posted policy hold."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.storage import default_storage
from django.test import Client

from hq.audits import runs
from hq.audits.models import Audit, Plan
from hq.evidence import packages
from hq.lists import loading, sift, versions
from hq.lists.models import HotList, HotListEntry, HotListSource, ListGroup, Upload
from hq.people.models import Appointment, Completion, Course, Person
from hq.people.policy import COLUMNS, Refused, check
from hq.public import alarms as public_alarms
from hq.public import bundle, slots
from hq.retention import purge
from hq.retention.models import Certificate, Schedule
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from hq.site import doctor
from hq.site.models import Settings
from tests.hq import addresses, kept

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]
PLATE = "7QQX471"


@pytest.mark.slow
@pytest.mark.clause("430.7-a")
@pytest.mark.clause("430.3-0")
def test_no_page_shows_a_read_of_no_hit_before_a_purpose_is_stated(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    """Every page, by a person of every role and grant, opened and asked for the plate by a pattern."""
    row = kept.read(PLATE, pictures=("plate", "scene"))
    client = client_for(people(list(COLUMNS), grants=("dept_reads", "restricted", "wide_search")))
    samples = {"uuid": str(row.pk), "int": "1", "unit_id": row.unit_id, "kind": "scene"}
    opened = 0
    for address in addresses.PAGES:
        if address.name in ("hits:stream", "people:logout", "people:lock"):
            continue  # the stream waits for what happens
        for answer in (
            client.get(address.path(samples)),
            client.post(address.path(samples), {"plate": PLATE[:4] + "*"}),
        ):
            opened += answer.status_code == 200
            assert PLATE.encode() not in getattr(answer, "content", b""), address.name
            assert not answer.headers.get("Content-Type", "").startswith("image/"), address.name
    assert opened > 40


OWNER = ("Ottilie Keeper", "77 Elm Alley", "1961-05-09")


@pytest.mark.clause("430.7-a")
@pytest.mark.clause("2019-118 rec. 2")
def test_nothing_of_a_vehicles_owner_is_kept_of_a_list_file(
    people: People, clock: Any, tmp_path: Path, settings: Any
) -> None:
    """Columns that no field is mapped to leave no trace in any table or file, also of lines left out."""
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path
    office = kept.Office(people)
    group = ListGroup.objects.create(name="all")
    county = HotList.objects.create(name="county", group=group, classes=["stolen_vehicle"])
    source = HotListSource.objects.create(hot_list=county, name="county", format="csv")
    lines = ["LPN,ST,Registered Owner,Address,DOB,Class,Reason"]
    for plate, kind in ((PLATE, "stolen_vehicle"), ("7QQX4712345", "stolen_vehicle"), ("7QQX472", "curious")):
        lines.append(f"{plate},CA,{','.join(OWNER)},{kind},taken from a car park")
    upload = loading.keep(source, "list.csv", ["\n".join(lines).encode()], by=office.administrator)
    seen = loading.preview(upload, sift.Layout(source="county", format="csv"), county)
    source.mapping = seen.layout.mapping
    source.save()
    Upload.objects.update(state="waiting")
    (version,) = loading.load_waiting()
    versions.approve(version, by=office.commander)
    assert HotListEntry.objects.get().plate == PLATE
    everything = {
        (model._meta.label, str(value))
        for model in apps.get_models()
        for row in model._default_manager.values()
        for value in row.values()
    }
    assert any(PLATE in value for _, value in everything)
    for words in OWNER:
        assert not [label for label, value in everything if words in value]
        assert not [
            path for path in tmp_path.rglob("*") if path.is_file() and words.encode() in path.read_bytes()
        ]


@pytest.mark.clause("CC-55a")
def test_a_public_meeting_that_is_not_recorded_is_told_until_it_is_and_then_posted(
    people: People, clock: Any, tmp_path: Path, settings: Any
) -> None:
    settings.DATA = tmp_path
    office = kept.Office(people)
    people("overseer")
    _settings(office, "2026-01")

    def told() -> list[list[str]]:
        return [
            [one.what for one in doctor.findings() if one.rule == "CC-55a"],
            [gap for gap in slots.gaps() if gap.startswith("CC-55a")],
            [alarm.text for alarm in public_alarms.alarms() if alarm.clause == "CC-55a"],
        ]

    assert all(told())
    assert not any(one.error for one in doctor.findings() if one.rule == "CC-55a")
    clock.advance(minutes=1)
    _settings(
        office, "2026-02", meeting_on=date(2026, 2, 4), meeting_body="City Council", meeting_minutes="item 9"
    )
    assert told() == [[], [], []]
    page = bundle.make().files[bundle.PAGE].decode()
    assert "2026-02-04, City Council item 9" in page
    assert "CC-55a" in page


@pytest.mark.clause("430.2.1(b)")
@pytest.mark.clause("430.3(d)")
def test_a_course_says_which_roles_need_it_from_when_and_for_how_long(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    """One entered on the page shuts out the roles that need it, from its day, until it is done."""
    officer, clerk, sergeant = people("officer"), people("records_clerk"), people("training_sergeant")
    teaching = client_for(sergeant)
    course = {
        "code": "stops", "version": "2", "title": "Felony stops on hits", "document": "Order 7",
        "validity_months": "6", "required_from": str(clock.at.date() + timedelta(days=2)),
        "roles": ["officer"],
    }  # fmt: skip
    assert teaching.post("/people/training/course/", course).status_code == 302
    check(officer, "hits.board", purpose=None)
    clock.advance(days=3)
    with pytest.raises(Refused) as refused:
        check(officer, "hits.board", purpose=None)
    assert refused.value.clause == "430.3(d)"
    check(clerk, "holds.view", purpose=None)
    made = Course.objects.get(code="stops")
    done = {
        "person": officer.pk,
        "course": made.pk,
        "completed_on": str(clock.at.date()),
        "trainer": "T. Rainer",
    }
    teaching = client_for(sergeant)
    assert teaching.post("/people/training/completion/", done).status_code == 302
    held = Completion.objects.get(course=made)
    assert (held.person, held.expires_on) == (
        officer,
        held.completed_on.replace(month=12) - timedelta(days=1),
    )
    officer = Person.objects.get(pk=officer.pk)
    check(officer, "hits.board", purpose=None)
    clock.advance(days=184)
    with pytest.raises(Refused):
        check(officer, "hits.board", purpose=None)


def _settings(office: kept.Office, version: str, **fields: Any) -> None:
    Settings.objects.create(
        **fields,
        agency="Test Police Department",
        ori="CA0190000",
        policy_id="430",
        policy_version=version,
        reason="test",
        approved_by=office.commander,
        approved_at=hq_clock.now(),
    )


def _index(office: kept.Office) -> str:
    made = packages.request(
        office.investigator,
        case="26-1",
        reason="x",
        scope=Scope(plate="7ABC123"),
        purpose="criminal_investigation",
    )
    packages.approve(office.commander, made.pk)
    made = packages.prepare(office.records_clerk, made.pk)
    archive = zipfile.ZipFile(io.BytesIO(default_storage.open(str(made.file.name)).read()))
    (name,) = [name for name in archive.namelist() if name.endswith("/index.html")]
    return archive.read(name).decode()


@pytest.mark.clause("430.1")
@pytest.mark.clause("430.2.1(e)")
def test_a_package_and_every_page_name_the_policy_in_force_and_its_overseer(
    people: People, client_for: ClientFor, clock: Any, tmp_path: Path, settings: Any
) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path
    office = kept.Office(people)
    kept.read("7ABC123")
    _settings(office, "2026-01")
    people("overseer", full_name="Olive Overseer", title="Support Services Lieutenant")
    for version in ("2026-01", "2026-02"):
        if version == "2026-02":
            clock.advance(minutes=1)
            _settings(office, version)
        index = _index(office)
        assert f"policy 430, {version}" in index
        assert "Olive Overseer, Support Services Lieutenant" in index
        assert f"430, {version}" in client_for(office.auditor).get("/").content.decode()
    Appointment.objects.filter(role="overseer").update(ended_at=clock.at)
    assert "Olive Overseer" not in _index(office)


@pytest.mark.clause("430.1")
@pytest.mark.clause("430.2.1(e)")
def test_certificates_and_audit_reports_name_the_policy_and_overseer_of_their_own_day(
    people: People, client_for: ClientFor, clock: Any, tmp_path: Path, settings: Any
) -> None:
    """What was signed under one version and overseer says so for good, whatever came after."""
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path
    office = kept.Office(people)
    first = people("overseer", full_name="Olive Overseer", title="Support Services Lieutenant")
    clock.advance(minutes=1)
    _settings(office, "2026-01")
    old = "policy 430, 2026-01; overseen by Olive Overseer, Support Services Lieutenant"
    kept.read(days=800)
    _destroy(office)
    audit = _signed_audit(office, people, clock)
    open_audit = client_for(office.auditor).get(f"/audits/{audit.pk}/report/").content.decode()
    assert f"<dd>{old}</dd>" in open_audit
    clock.advance(days=1)
    Appointment.objects.filter(person=first, role="overseer").update(ended_at=clock.at)
    _settings(office, "2026-02")
    clock.advance(minutes=1)
    people("overseer", full_name="Ned Next", title="Captain")
    clock.advance(minutes=1)
    new = "policy 430, 2026-02; overseen by Ned Next, Captain"
    kept.read(days=800)
    _destroy(office)
    assert [
        f"Under: {text}\n" in one.text for one, text in zip(_certificates(), (old, new), strict=True)
    ] == [
        True,
        True,
    ]
    assert f"<dd>{old}</dd>" in client_for(office.auditor).get(f"/audits/{audit.pk}/report/").content.decode()
    trained = Completion.objects.filter(person=office.officer).get()
    Completion.objects.create(
        person=office.officer, course=trained.course, completed_on=clock.at.date(),
        expires_on=clock.at.date() + timedelta(days=300), trainer="T. Rainer", entered_at=clock.at,
    )  # fmt: skip
    profile = client_for(office.officer).get("/people/me/").content.decode()
    assert f"<td>{new}</td>" in profile
    assert (
        f"Under {new}." in client_for(people("training_sergeant")).get("/people/training/").content.decode()
    )
    Appointment.objects.filter(role="overseer", ended_at=None).update(ended_at=clock.at)
    clock.advance(days=2)
    kept.read(days=800)
    _destroy(office)
    assert "policy 430, 2026-02; nobody appointed to oversee ALPR\n" in _certificates()[-1].text


def _destroy(office: kept.Office) -> None:
    schedule = Schedule.objects.filter(state="in_force").first()
    purge.run(office.signed(schedule).pk, run_by="test")


def _certificates() -> list[Certificate]:
    return list(Certificate.objects.order_by("pk"))


def _signed_audit(office: kept.Office, people: People, clock: Any) -> Audit:
    plan = Plan(
        auditor=office.auditor, other_auditor=people("auditor"), reviewer=office.commander,
        frequency_days=90, sample_size=5, areas=["searches"], document="plan", starts_on=clock.at.date(),
    )  # fmt: skip
    runs.approve_plan(office.commander, runs.propose(office.auditor, plan).pk)
    return runs.sign(office.auditor, runs.start(office.auditor).pk, "in order")


@pytest.mark.clause("430.2.1(e)")
def test_an_overseer_whose_appointment_lapsed_is_told_and_stays_in_the_history(
    people: People, clock: Any, tmp_path: Path, settings: Any
) -> None:
    settings.DATA = tmp_path
    office = kept.Office(people)
    _settings(office, "2026-01")

    def told() -> list[str]:
        return [one.what for one in doctor.findings() if one.rule == "430.2.1(e)"]

    assert told()
    overseer, today = people(""), clock.at.date()
    Appointment.objects.create(
        person=overseer,
        role="overseer",
        document="test",
        starts_on=today,
        ends_on=today + timedelta(days=5),
        approved_at=clock.at,
    )
    assert told() == []
    clock.advance(days=7)
    assert told()
    held = Appointment.objects.get(person=overseer)
    assert (held.role, held.document, held.ends_on is not None) == ("overseer", "test", True)


@pytest.mark.clause("430.2.1(c)")
def test_the_posted_page_says_how_the_system_is_monitored_by_the_plan_in_force(
    people: People, clock: Any
) -> None:
    """Made of the approved plan, anew whenever it changes; of a plan that waits it says nothing."""
    office = kept.Office(people)
    (slot,) = [one for one in slots.SLOTS if one.code == "monitoring"]
    assert not slots.fill(slot).lines
    for days, sample in ((90, 25), (30, 40)):
        plan = runs.propose(
            office.auditor,
            Plan(
                auditor=office.auditor,
                other_auditor=people("auditor"),
                reviewer=office.commander,
                frequency_days=days,
                sample_size=sample,
                areas=["searches"],
                document=f"plan {days}",
            ),
        )
        assert f"every {days} days" not in " ".join(slots.fill(slot).lines)
        runs.approve_plan(office.commander, plan.pk)
        text = " ".join(slots.fill(slot).lines)
        assert f"every {days} days" in text
        assert f"sample of {sample} access records" in text
        assert office.auditor.title in text
