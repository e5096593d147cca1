"""Units: registered and approved by two persons, watched, worked on in the open, wiped, sent to incidents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client

from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.intake import Intake, Source
from hq.records.models import Gap, Loss, Quarantined, Series, Unit, UnitStatus
from hq.units import board, deployments, register
from hq.units.models import Acceptance, Deployment, Device, Reported, Wipe, Work
from mqtt import records
from tests.hq import ingest_site, kept
from tests.hq.conftest import Clock

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
People = Callable[..., Person]
ClientFor = Callable[..., Client]
MODEL = "a" * 64
CONFIG = "c" * 64


@pytest.fixture
def office(people: People) -> kept.Office:
    return kept.Office(people)


def entry(**fields: Any) -> Device:
    values = {
        "serial": "S-1",
        "mount": "fixed",
        "site": "Mission St / Fair Oaks Ave",
        "latitude": 34.1161,
        "longitude": -118.1503,
        "heading": 90.0,
        "camera": "global shutter, 16 mm",
        "installed_by": "T. Fitter",
        "installed_on": "2026-06-01",
    }
    return Device(**(values | fields))


def registered(office: kept.Office, unit_id: str = "pole-1", **fields: Any) -> Device:
    return register.register(office.administrator, Unit(unit_id=unit_id), entry(**fields))


def enrolled(office: kept.Office, unit_id: str = "pole-1", **fields: Any) -> Device:
    registered(office, unit_id, **fields)
    return register.approve(office.commander, unit_id, "order 12")


def heartbeat(clock: Clock, unit_id: str = "pole-1", **fields: Any) -> UnitStatus:
    """A status, stored as the intake stores it."""
    record = {
        "faults": [],
        "clock": {"quality": "ntp", "offset_ms": 3.0},
        "oldest_queued_s": None,
        "disk_free_bytes": 60,
        "disk_total_bytes": 100,
        "camera": "ok",
        "position": None,
    } | fields.pop("record", {})
    values = {
        "received_at": clock.at,
        "state": "ready",
        "software": "platewarden 1.0",
        "config_hash": CONFIG,
        "model_hashes": (MODEL,),
        "queue": 0,
        "list_version": "county-7",
        "list_age_s": 60.0,
        "record": record,
    } | fields
    row = UnitStatus(unit_id=unit_id, **values)
    row.save(force_insert=not UnitStatus.objects.filter(pk=unit_id).exists())
    return row


def row_of(unit_id: str = "pole-1") -> board.Row:
    return next(row for row in board.rows() if row.unit_id == unit_id)


def alarms() -> list[str]:
    return [f"{alarm.clause} {alarm.text}" for alarm in board.alarms()]


# Enrolment


@pytest.mark.clause("430.2-c")
def test_records_of_a_unit_are_taken_only_between_approval_and_revocation(
    office: kept.Office, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    intake = Intake()

    def send(number: int) -> bool:
        loss = records.Loss(kind="read", count=1, reason="disk full", since=None, until=None)
        message = ingest_site.received(loss, number, unit="pole-1")
        intake.take([message], Source("mqtt", "test"))
        return not Quarantined.objects.filter(unit_name="pole-1", payload=message.payload).exists()

    assert not send(1)
    registered(office)
    assert not send(2)
    register.approve(office.commander, "pole-1", "order 12")
    assert send(3)
    register.revoke(office.administrator, "pole-1", "stolen")
    assert not send(4)
    assert Loss.objects.count() == 1
    intake.close()


@pytest.mark.clause("430.2-c")
def test_unit_is_approved_by_a_commander_who_did_not_register_or_change_it(
    office: kept.Office, people: People
) -> None:
    both = people(["commander", "administrator"])
    register.register(both, Unit(unit_id="pole-1"), entry())
    with pytest.raises(Refused) as refused:
        register.approve(both, "pole-1", "order 12")
    assert refused.value.clause == "430.2-c"
    with pytest.raises(Refused):
        register.approve(office.administrator, "pole-1", "order 12")
    register.approve(office.commander, "pole-1", "order 12")

    registered(office, "pole-2")
    register.change(both, "pole-2", {"camera": "another"}, "broken")
    register.change(office.administrator, "pole-2", {"camera": "a third"}, "wrong lens")
    with pytest.raises(Refused):
        register.approve(both, "pole-2", "order 13")
    assert Unit.objects.get(pk="pole-2").state == "proposed"


@pytest.mark.clause("430.2-c")
def test_database_refuses_an_approval_by_the_person_who_registered(office: kept.Office, clock: Clock) -> None:
    device = registered(office)
    device.approved_by, device.approved_at = office.administrator, clock.at
    with pytest.raises(IntegrityError), transaction.atomic():
        device.save()
    with pytest.raises(DatabaseError), transaction.atomic():
        Device.objects.all().delete()


@pytest.mark.clause("430.2-c")
def test_enrolled_unit_that_nobody_approved_is_an_alarm(clock: Clock) -> None:
    Unit.objects.create(unit_id="ghost", state="enrolled")
    assert any("ghost is enrolled and nobody approved it" in line for line in alarms())


# What runs on it


@pytest.mark.clause("430.2-c")
@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("software", "platewarden 1.1", "software"),
        ("config_hash", "d" * 64, "configuration"),
        ("model_hashes", ("b" * 64,), "models"),
    ],
)
def test_what_changed_on_a_unit_is_an_alarm_until_it_is_accepted(
    office: kept.Office, clock: Clock, field: str, value: Any, word: str
) -> None:
    heartbeat(clock)
    enrolled(office)
    assert row_of().drift == []
    clock.advance(minutes=1)
    heartbeat(clock, **{field: value})
    assert any("430.2-c" in line and f"unapproved change: {word}" in line for line in alarms())
    register.accept(office.commander, "pole-1", "change 7")
    assert row_of().drift == []
    assert Reported.objects.filter(unit="pole-1").count() == 2


@pytest.mark.clause("430.2-c")
def test_same_heartbeat_again_and_the_last_will_make_no_history(office: kept.Office, clock: Clock) -> None:
    enrolled(office)
    heartbeat(clock)
    heartbeat(clock)
    heartbeat(clock, state="offline", software="", config_hash="", model_hashes=())
    assert Reported.objects.count() == 1


@pytest.mark.clause("430.2-c")
def test_change_of_the_register_is_logged_and_accepted_by_somebody_else(
    office: kept.Office, people: People, clock: Clock
) -> None:
    enrolled(office)
    both = people(["commander", "administrator"])
    clock.advance(days=1)
    register.change(both, "pole-1", {"camera": "25 mm"}, "wanted nearer")
    assert any("camera changed" in line for line in row_of().drift)
    with pytest.raises(Refused, match="second person"):
        register.accept(both, "pole-1", "mine")
    register.accept(office.commander, "pole-1", "change 8")
    assert row_of().drift == []
    line = Work.objects.filter(kind="register").get()
    assert "wanted nearer" in line.note
    assert "25 mm" in line.note


@pytest.mark.clause("430.2-c")
def test_fixed_unit_that_reports_from_elsewhere_has_moved(office: kept.Office, clock: Clock) -> None:
    enrolled(office)
    heartbeat(clock, record={"position": {"latitude": 34.1161, "longitude": -118.1513}})
    register.accept(office.commander, "pole-1", "first start")
    assert row_of().drift == []
    heartbeat(clock, record={"position": {"latitude": 34.1261, "longitude": -118.1503}})
    assert any("from where it is registered" in line for line in row_of().drift)


@pytest.mark.clause("430.2-c")
@pytest.mark.parametrize("model", [Acceptance, Reported, Work])
def test_database_keeps_the_history_of_a_unit(office: kept.Office, clock: Clock, model: Any) -> None:
    heartbeat(clock)
    enrolled(office)
    assert model.objects.exists()
    with pytest.raises(DatabaseError), transaction.atomic():
        model.objects.update(unit="other")
    with pytest.raises(DatabaseError), transaction.atomic():
        model.objects.all().delete()


@pytest.mark.clause("430.2-c")
def test_technician_records_work_that_was_done_and_none_to_come(office: kept.Office, clock: Clock) -> None:
    device = enrolled(office)
    register.record(office.technician, device.unit, "repair", "new cable")
    with pytest.raises(Refused):
        register.record(office.officer, device.unit, "repair", "x")
    with pytest.raises(Refused):
        register.record(office.technician, device.unit, "repair", "x", at=clock.at + timedelta(hours=1))
    assert Work.objects.filter(kind="repair").count() == 1


@pytest.mark.clause("430.2-c")
@pytest.mark.parametrize("words", ["", " \t"])
def test_nothing_is_done_to_a_unit_without_saying_why(office: kept.Office, words: str) -> None:
    registered(office)
    for act in (
        lambda: register.change(office.administrator, "pole-1", {"camera": "25 mm"}, words),
        lambda: register.approve(office.commander, "pole-1", words),
        lambda: register.revoke(office.administrator, "pole-1", words),
        lambda: register.retire(office.administrator, "pole-1", words, "card broken"),
        lambda: register.record(office.technician, Unit.objects.get(), "repair", words),
    ):
        with pytest.raises(Refused, match="is empty") as refused:
            act()
        assert refused.value.clause == "430.2-c"
    device = Device.objects.get()
    assert (device.camera, device.approved_at, device.ended_at) == ("global shutter, 16 mm", None, None)
    assert Work.objects.count() == 1
    register.approve(office.commander, "pole-1", "order 12")
    with pytest.raises(Refused, match="is empty"):
        register.accept(office.commander, "pole-1", words)
    assert register.revoke(office.administrator, "pole-1", " stolen ").ended_why == "stolen"


# Out of service


@pytest.mark.clause("430.4-b")
def test_unit_with_records_that_never_came_is_retired_only_with_a_statement(
    office: kept.Office, clock: Clock
) -> None:
    enrolled(office)
    heartbeat(clock, queue=4)
    series = Series.objects.create(
        unit_id="pole-1", store_id="s", contiguous=1, highest=9, first_at=clock.at, last_at=clock.at
    )
    Gap.objects.create(series=series, first=3, last=5, noticed_at=clock.at)
    with pytest.raises(Refused, match="7 records") as refused:
        register.retire(office.administrator, "pole-1", "replaced")
    assert refused.value.clause == "430.4-b"
    device = register.retire(office.administrator, "pole-1", "replaced", "card unreadable, 7 records")
    assert device.unit.state == "retired"
    assert "card unreadable" in device.ended_why


@pytest.mark.clause("CJIS MP")
@pytest.mark.clause("430.2-c")
def test_who_ends_a_unit_that_is_ended_changes_neither_reason_nor_alarm(office: kept.Office) -> None:
    """From a page that was opened before: revoked, it would ask for no wipe any more."""
    enrolled(office)
    register.retire(office.administrator, "pole-1", "replaced")
    for again in (register.revoke, register.retire):
        with pytest.raises(Refused, match="is retired already: replaced"):
            again(office.commander, "pole-1", "stolen")
    assert Device.objects.get(unit="pole-1").ended_why == "replaced"
    assert any("no witnessed wipe" in line for line in alarms())


@pytest.mark.clause("CJIS MP")
def test_retired_unit_is_an_alarm_until_a_second_person_saw_the_wipe(
    office: kept.Office, people: People, clock: Clock
) -> None:
    device = enrolled(office)
    register.retire(office.administrator, "pole-1", "replaced")
    wipe = register.wipe(
        office.technician,
        device.unit,
        medium="microSD 42",
        method="destroyed",
        wiped_by="T. Fitter",
        wiped_at=clock.at,
    )
    assert any("no witnessed wipe" in line for line in alarms())
    with pytest.raises(Refused):
        register.witness(office.technician, wipe.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Wipe.objects.update(witnessed_by=office.technician)
    witness = people("technician")
    for _ in range(2):  # a second press
        register.witness(witness, wipe.pk)
    with pytest.raises(Refused, match="has witnessed this wipe already"):
        register.witness(people("technician"), wipe.pk)
    assert alarms() == []


# The board


@pytest.mark.clause("430.4-a")
@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"record": {"clock": {"quality": "none", "offset_ms": None}}}, "clock is not set"),
        ({"record": {"clock": {"quality": "ntp", "offset_ms": -2500.0}}}, "off by -2500 ms"),
        ({"record": {"clock": None}}, "clock is not set"),
        ({"record": {"disk_free_bytes": 5}}, "5 % of storage left"),
        ({"queue": 9, "record": {"oldest_queued_s": 7200.0}}, "records queued: 9"),
        ({"list_age_s": 90000.0}, "hot list is 25 h old"),
        ({"list_age_s": None, "list_version": ""}, "no hot list"),
        ({"record": {"camera": "blocked"}}, "camera blocked"),
        ({"record": {"faults": ["buzzer: no such pin"]}}, "no such pin"),
        ({"state": "offline"}, "not heard"),
    ],
)
def test_board_says_what_is_wrong_with_a_unit(
    office: kept.Office, clock: Clock, fields: dict[str, Any], word: str
) -> None:
    enrolled(office)
    heartbeat(clock)
    assert row_of().faults == []
    heartbeat(clock, **fields)
    assert any(word in line for line in row_of().faults)
    assert any("430.4-a" in line and word in line for line in alarms())


@pytest.mark.clause("430.4-a")
def test_unit_that_fell_silent_is_an_alarm(office: kept.Office, clock: Clock, settings: Any) -> None:
    settings.TIME_ZONE = "America/Los_Angeles"
    enrolled(office)
    heartbeat(clock)
    clock.advance(minutes=4)
    assert row_of().faults == []
    clock.advance(minutes=2)
    assert any("not heard since 2026-06-03 12:00 -07:00" in line for line in alarms()), "the agency's time"


@pytest.mark.clause("430.4-a")
@pytest.mark.parametrize(
    ("today", "fault"), [(10, "reads in 24 h only 10,"), (40, ""), (100, "reads in 24 h 100,")]
)
def test_collection_is_held_against_the_units_own_norm(
    office: kept.Office, clock: Clock, today: int, fault: str
) -> None:
    enrolled(office)
    heartbeat(clock)
    unit = Unit.objects.get(pk="pole-1")
    for week, count in ((0, today), (1, 40), (2, 30), (3, 50), (4, 40)):
        for n in range(count):
            kept.read(on=unit, days=7 * week + 0.009 * n, pictures=())
    kept.read(on=unit, days=40, pictures=())
    held = board.health("pole-1", clock.at)
    assert (held.reads, held.norm) == (today, 40)
    assert held.fault.startswith(fault)
    assert bool(held.fault) == bool(fault)


@pytest.mark.clause("430.4-a")
def test_norm_is_of_the_same_hours_by_the_agencys_clock(
    office: kept.Office, clock: Clock, settings: Any
) -> None:
    """On the Monday after daylight saving began, UTC's same hours would end before each Monday's traffic."""
    settings.TIME_ZONE = "America/Los_Angeles"
    enrolled(office)
    unit = Unit.objects.get(pk="pole-1")
    market = datetime(2026, 3, 9, 12, 30, tzinfo=ZoneInfo(settings.TIME_ZONE))
    for week in range(5):
        for _ in range(25):
            kept.read(on=unit, at=market - timedelta(weeks=week), pictures=())
    kept.read(on=unit, at=market - timedelta(days=40), pictures=())
    clock.at = market + timedelta(minutes=15)
    assert board.health("pole-1", clock.at) == board.Health(25, 25)


@pytest.mark.clause("430.4-a")
def test_norm_is_unknown_for_a_unit_that_is_new(office: kept.Office, clock: Clock) -> None:
    enrolled(office)
    kept.read(on=Unit.objects.get(pk="pole-1"), days=3, pictures=())
    assert board.health("pole-1", clock.at) == board.Health(0, None)


# Deployments


def opened(office: kept.Office, unit_id: str = "trailer-1", code: str = "d-1", **fields: Any) -> Deployment:
    values = {
        "code": code,
        "incident": "26-0042",
        "kind": "homicide",
        "area": "El Centro St",
        "requested_by": "Det. Example",
        "until": kept.clock.now() + timedelta(days=2),
    }
    return deployments.open_one(
        office.administrator, Deployment(**(values | fields)), [Unit.objects.get(pk=unit_id)]
    )


@pytest.mark.clause("430.3(c)-1")
def test_trailer_that_captures_outside_a_deployment_is_warned_of(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    trailer = enrolled(office, "trailer-1", mount="trailer", latitude=None, longitude=None).unit
    pole = enrolled(office, "pole-1").unit
    heartbeat(clock, "trailer-1")
    heartbeat(clock, "pole-1")
    register.accept(office.commander, "pole-1", "first start")
    register.accept(office.commander, "trailer-1", "first start")
    held = opened(office)
    deployments.start(office.technician, held.pk)
    clock.advance(minutes=1)
    kept.read(on=trailer, pictures=())
    kept.read(on=pole, pictures=())
    clock.advance(minutes=1)
    assert alarms() == []
    deployments.stop(office.technician, held.pk)
    clock.advance(minutes=1)
    kept.read(on=trailer, pictures=())
    assert [line for line in alarms() if "430.3(c)-1" in line] == [
        "430.3(c)-1 trailer trailer-1 captured without an open deployment; reads: 1"
    ]
    page = client_for(office.technician).get("/units/deployments/").content.decode()
    assert "Trailer trailer-1 captured 1 read without an open deployment" in page
    assert "Trailer pole-1" not in page


@pytest.mark.clause("430.3(c)-1")
def test_reads_of_a_deployment_are_its_units_while_it_ran_and_those_that_name_it(
    office: kept.Office, clock: Clock
) -> None:
    trailer = enrolled(office, "trailer-1", mount="trailer").unit
    other = kept.unit("gate-9")
    held = opened(office)
    early = kept.read(on=trailer, pictures=())
    clock.advance(minutes=1)
    deployments.start(office.technician, held.pk)
    during = kept.read(on=trailer, pictures=())
    elsewhere = kept.read(on=other, pictures=())
    named = kept.read(on=other, pictures=(), deployment="d-1")
    clock.advance(minutes=1)
    deployments.stop(office.technician, held.pk)
    late = kept.read(on=trailer, pictures=())
    found = set(deployments.reads(Deployment.objects.get()))
    assert found == {during, named}
    assert not found & {early, elsewhere, late}


@pytest.mark.clause("430.3(c)-1")
def test_unit_runs_in_one_deployment_at_a_time(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    """The next one may be opened ahead of its day; its reads would belong to both incidents."""
    trailer = enrolled(office, "trailer-1", mount="trailer").unit
    enrolled(office, "pole-1", serial="S-2")
    technician = client_for(office.technician)
    first = deployments.start(office.technician, opened(office).pk)
    second = opened(office, code="d-2")
    page = technician.post(f"/units/deployments/{second.pk}/start/")
    assert page.status_code == 403
    assert "eployment d-1, incident 26-0042 runs with trailer-1: stop that one" in page.content.decode()
    assert deployments.start(office.technician, opened(office, "pole-1", "d-3").pk), "another unit is free"
    assert technician.post(f"/units/deployments/{first.pk}/stop/").status_code == 302
    clock.advance(minutes=1)
    assert technician.post(f"/units/deployments/{second.pk}/start/").status_code == 302
    deployments.stop(office.technician, second.pk)
    third = opened(office, code="d-5")
    # One that is not needed after all is called off, and then has no reads.
    assert "Call off" in technician.get("/units/deployments/").content.decode()
    technician.post(f"/units/deployments/{third.pk}/stop/")
    assert "called off" in technician.get("/units/deployments/").content.decode()
    with pytest.raises(Refused, match="called off"):
        deployments.stop(office.technician, third.pk)
    with pytest.raises(Refused, match="called off"):
        deployments.start(office.technician, third.pk)
    kept.read(on=trailer, pictures=())
    assert not deployments.reads(third).exists()
    assert opened(office, code="d-4").pk


@pytest.mark.clause("430.3(c)-1")
def test_deployment_names_incident_requester_and_enrolled_units(office: kept.Office, clock: Clock) -> None:
    registered(office, "trailer-1")
    with pytest.raises(ValidationError, match="Not enrolled"):
        opened(office)
    register.approve(office.commander, "trailer-1", "order")
    for field, why in (("incident", "has a digit"), ("requested_by", "blank"), ("area", "blank")):
        with pytest.raises(ValidationError, match=why):
            opened(office, **{field: ""})
    with pytest.raises(Refused):
        deployments.open_one(office.officer, Deployment(), [])
    held = opened(office)
    deployments.start(office.technician, held.pk)
    with pytest.raises(DatabaseError), transaction.atomic():
        Deployment.objects.update(incident="26-9999")
    clock.advance(days=3)
    assert any("runs past its expected end" in line for line in alarms())


# The pages


@pytest.mark.clause("430.2-c")
def test_unit_is_registered_approved_and_worked_on_in_the_pages(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    heartbeat(clock, "pole-7")
    admin, chief = client_for(office.administrator), client_for(office.commander)
    page = admin.get("/units/")
    assert "not registered" in page.content.decode()
    fields = {
        "unit_id": "pole-7", "name": "Mission", "serial": "S7", "mount": "fixed", "site": "Mission St",
        "latitude": "34.1", "longitude": "-118.1", "camera": "16 mm", "installed_by": "T. Fitter",
        "installed_on": "2026-06-01",
    }  # fmt: skip
    assert admin.post("/units/register/", fields).status_code == 302
    assert admin.post("/units/unit/pole-7/approve/", {"reason": "x"}).status_code == 403
    assert "quarantine" in chief.get("/units/unit/pole-7/").content.decode()
    assert chief.post("/units/unit/pole-7/approve/", {"reason": "order 12"}).status_code == 302
    assert Unit.objects.get(pk="pole-7").state == "enrolled"
    heartbeat(clock, "pole-7", software="platewarden 9")
    assert "Unapproved change" in chief.get("/units/unit/pole-7/").content.decode()
    assert chief.post("/units/unit/pole-7/accept/", {"reason": "change 1"}).status_code == 302
    fixer = client_for(office.technician)
    done = {"kind": "repair", "at": "2026-06-03T11:00", "done_by": "T. Fitter", "note": "cleaned"}
    assert fixer.post("/units/unit/pole-7/maintenance/", done).status_code == 302
    assert fixer.post("/units/unit/pole-7/maintenance/", done | {"at": "2026-06-04T11:00"}).status_code == 422
    wiped = {"medium": "sd", "method": "erased", "wiped_by": "x", "wiped_at": "2026-06-03T11:00"}
    assert fixer.post("/units/unit/pole-7/wipe/", wiped).status_code == 302
    assert fixer.post(f"/units/wipes/{Wipe.objects.get().pk}/witness/").status_code == 403
    assert admin.post(f"/units/wipes/{Wipe.objects.get().pk}/witness/").status_code == 302
    shown = admin.get("/units/unit/pole-7/").content.decode()
    assert "cleaned" in shown
    change = {k: v for k, v in fields.items() if k != "unit_id"} | {"camera": "25 mm", "why": "nearer"}
    assert admin.post("/units/unit/pole-7/change/", change).status_code == 302
    assert admin.post("/units/unit/pole-7/revoke/", {"reason": ""}).status_code == 302
    assert Unit.objects.get(pk="pole-7").state == "enrolled"
    assert admin.post("/units/unit/pole-7/retire/", {"reason": "replaced"}).status_code == 302
    assert Unit.objects.get(pk="pole-7").state == "retired"
    assert AccessRecord.objects.filter(action="units.approve", outcome="done", ids=["pole-7"]).count() == 2
    assert AccessRecord.objects.filter(action="units.approve", outcome="refused").count() == 1


@pytest.mark.clause("430.3(c)-1")
def test_deployment_is_opened_with_a_purpose_and_started_in_the_pages(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    enrolled(office, "trailer-1", mount="trailer")
    fields = {
        "code": "d-1", "incident": "26-0042", "kind": "shooting", "units": ["trailer-1"], "area": "Oak St",
        "requested_by": "Det. Example", "until": "2026-06-05T12:00",
    }  # fmt: skip
    without = client_for(office.investigator)
    assert without.get("/units/deployments/").status_code == 302
    assert without.post("/units/deployments/open/", fields).status_code == 403
    assert not Deployment.objects.exists()
    stated = client_for(office.investigator, purpose="criminal_investigation", case="26-0042")
    assert stated.post("/units/deployments/open/", fields).status_code == 302
    held = Deployment.objects.get()
    assert stated.post(f"/units/deployments/{held.pk}/start/").status_code == 403
    fixer = client_for(office.technician)
    assert fixer.post(f"/units/deployments/{held.pk}/start/").status_code == 302
    assert "running" in fixer.get("/units/deployments/").content.decode()
    assert fixer.post(f"/units/deployments/{held.pk}/stop/").status_code == 302
    record = AccessRecord.objects.get(action="deployments.open", outcome="done")
    assert (record.purpose, record.case, record.ids) == ("criminal_investigation", "26-0042", ["d-1"])
