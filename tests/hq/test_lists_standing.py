"""A daily load goes to the units by itself within the Commander's bounds, and outside of them to nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client

from hq.lists import groups, loading, publish, publisher, standing
from hq.lists.models import (
    HotList,
    HotListSource,
    HotListVersion,
    ListGroup,
    Publication,
    StandingApproval,
    UnitListState,
)
from hq.log.models import AccessRecord
from hq.people.models import Appointment, Person
from hq.people.policy import Refused
from hq.records.models import Unit
from hq.site import clock as clock_module
from mqtt.records import ChunkRequest
from tests.hq.conftest import Clock

pytestmark = [pytest.mark.django_db, pytest.mark.clause("430.2-d"), pytest.mark.usefixtures("clock")]

ROWS = [f"TST{n:03d},stolen_vehicle" for n in range(100)]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, settings: Any) -> None:
    settings.DATA = tmp_path


@pytest.fixture
def source() -> HotListSource:
    hot_list = HotList.objects.create(
        name="state",
        group=ListGroup.objects.create(name="all"),
        classes=["stolen_vehicle", "stolen_plate"],
        ttl_days=2,
    )
    mapping = {"plate": "plate", "class": "class"}
    return HotListSource.objects.create(hot_list=hot_list, name="SVS", format="csv", mapping=mapping)


class Office:
    """Who loads and who approves."""

    def __init__(self, people: Callable[..., Person]) -> None:
        self.administrator, self.commander = people("ALPR administrator"), people("Commander")

    def give(self, source: HotListSource, **bounds: Any) -> StandingApproval:
        """A standing approval in force."""
        given = {"most_entries": 120, "most_change": 10, "reason": "order 26-7"} | bounds
        given.setdefault("ends_on", clock_module.today() + timedelta(days=90))
        made = standing.propose(self.administrator, StandingApproval(source=source, **given))
        return standing.approve(self.commander, made.pk)

    def load(self, source: HotListSource, rows: Sequence[str]) -> HotListVersion:
        """Upload a file and have the process load it."""
        text = "\n".join(["plate,class", *rows]).encode()
        held = loading.keep(source, "svs.csv", [text], by=self.administrator)
        held.state = "waiting"
        held.save()
        (version,) = loading.load_waiting()
        version.refresh_from_db()
        return version


@pytest.fixture
def office(people: Callable[..., Person], source: HotListSource) -> Office:
    made = Office(people)
    first = made.load(source, ROWS)
    assert first.state == "draft", "without a standing approval a load waits for a person"
    loading.standing.versions.approve(first, by=made.commander)
    return made


def test_a_load_within_the_bounds_is_published_under_the_standing_approval(
    office: Office, source: HotListSource, clock: Clock
) -> None:
    given = office.give(source)
    clock.advance(days=1)
    version = office.load(source, [*ROWS[5:], *(f"NEW{n:03d},stolen_vehicle" for n in range(5))])
    assert (version.state, version.warnings) == ("approved", [])
    assert list(version.standing.all()) == [given]
    assert (version.prepared_by, version.approved_by) == (office.administrator, office.commander)
    row = AccessRecord.objects.get(action="lists.approve", username="")
    assert row.elements["standing"] == [given.pk]
    assert row.note == f"by {given} of {office.commander.username}"
    made = publish.publish_due(source.hot_list.group, publish.signing_key())
    assert made is not None
    assert made.entry_count == 100
    assert HotListVersion.objects.get(number=1).state == "superseded"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (ROWS + [f"MORE{n:03d},stolen_vehicle" for n in range(9)] * 3, ""),
        (ROWS + [f"MORE{n:03d},stolen_vehicle" for n in range(11)], "11.0 % of the entries change"),
        (ROWS[11:], "11.0 % of the entries change"),
        ([*ROWS[5:], *(f"NEW{n:03d},stolen_vehicle" for n in range(6))], "11.0 % of the entries change"),
        ([f"{row.split(',')[0]},stolen_plate" for row in ROWS], "of the entries change"),
        ([*ROWS[:-3], "???,x", "!,y", "0"], "lines could not be used"),
        (ROWS + [f"MORE{n:03d},stolen_vehicle" for n in range(30)], "130 entries, more than 120"),
    ],
)
def test_a_load_outside_of_the_bounds_waits_for_a_person(
    office: Office, source: HotListSource, rows: list[str], why: str
) -> None:
    office.give(source)
    version = office.load(source, rows)
    assert version.state == ("draft" if why else "approved")
    assert any(why in said for said in version.warnings) if why else not version.warnings
    row = AccessRecord.objects.get(action="lists.approve", username="")
    assert row.outcome == ("refused" if why else "done")
    if why:
        assert publish.publish_due(source.hot_list.group, publish.signing_key()).made_of[0]["number"] == 1  # type: ignore[union-attr]
        loading.standing.versions.approve(version, by=office.commander)


def test_the_last_entry_of_a_class_does_not_go_by_itself(office: Office, source: HotListSource) -> None:
    loading.standing.versions.approve(
        office.load(source, [*ROWS, "PLT001,stolen_plate"]), by=office.commander
    )
    office.give(source)
    version = office.load(source, ROWS)
    assert "no entry of the class stolen plate" in version.warnings[-1]


@pytest.mark.parametrize("change", ["mapping", "class", "group", "days", "date", "ended", "appointment"])
def test_an_approval_covers_what_it_was_given_for_and_no_longer(
    office: Office, source: HotListSource, clock: Clock, change: str
) -> None:
    given = office.give(source)
    hot_list = source.hot_list
    match change:
        case "mapping":
            source.mapping = {**source.mapping, "reason": "class"}
            source.save()
        case "class":
            hot_list.classes = [*hot_list.classes, "missing_person"]
        case "group":
            hot_list.group = ListGroup.objects.create(name="everybody")
        case "days":
            hot_list.ttl_days = 30
        case "date":
            clock.advance(days=91)
        case "ended":
            standing.end(office.commander, given.pk, "the state's file changes")
        case "appointment":
            Appointment.objects.filter(person=office.commander).update(ended_at=clock_module.now())
    hot_list.save()
    assert office.load(source, ROWS).state == "draft"


def test_it_takes_a_second_person_and_the_database_says_so_too(
    office: Office, source: HotListSource, people: Callable[..., Person]
) -> None:
    both = people(["ALPR administrator", "Commander"])
    ends_on = clock_module.today() + timedelta(days=9)
    draft = StandingApproval(source=source, most_entries=9, most_change=9, ends_on=ends_on, reason="x")
    made = standing.propose(both, draft)
    with pytest.raises(Refused, match="second person"):
        standing.approve(both, made.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        StandingApproval.objects.filter(pk=made.pk).update(approved_by=both)
    assert standing.current(source) is None
    standing.approve(office.commander, made.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        StandingApproval.objects.filter(pk=made.pk).update(most_entries=10**6)


def test_it_is_of_a_source_that_was_checked_and_is_decided_once(
    office: Office, source: HotListSource
) -> None:
    bounds = {"most_entries": 120, "most_change": 10, "ends_on": clock_module.today() + timedelta(days=9)}

    def proposed(**fields: Any) -> StandingApproval:
        draft = StandingApproval(source=source, **{**bounds, "reason": "order 26-7", **fields})
        return standing.propose(office.administrator, draft)

    with pytest.raises(ValidationError):
        proposed(reason="")
    made = proposed()
    with pytest.raises(Refused, match="waits for the Commander already"):
        proposed()
    source.delimiter = ";"
    source.save()
    with pytest.raises(Refused, match="was changed since"):
        standing.approve(office.commander, made.pk)
    standing.end(office.commander, made.pk, "changed")
    with pytest.raises(Refused, match="has ended"):
        standing.end(office.commander, made.pk, "again")
    again = proposed()
    standing.approve(office.commander, again.pk)
    for decided in (made, again):
        with pytest.raises(Refused, match="does not wait for a decision"):
            standing.approve(office.commander, decided.pk)
    with pytest.raises(Refused, match="no such"):
        standing.approve(office.commander, again.pk + 1)
    source.mapping = {}
    source.save()
    with pytest.raises(Refused, match="check its mapping"):
        proposed()


def test_a_version_that_was_decided_is_not_put_in_force_by_it(office: Office, source: HotListSource) -> None:
    version = office.load(source, ROWS[5:])
    office.give(source)
    loading.standing.versions.withdraw(version, by=office.commander, why="wrong file")
    assert standing.put_in_force(version).state == "withdrawn"


@pytest.mark.parametrize("days", [0, 367])
def test_it_always_ends(office: Office, source: HotListSource, days: int) -> None:
    with pytest.raises(Refused, match="ends within"):
        office.give(source, ends_on=clock_module.today() + timedelta(days=days))


def test_a_newer_one_takes_the_place_of_the_one_before(office: Office, source: HotListSource) -> None:
    first = office.give(source)
    second = office.give(source, most_change=50)
    first.refresh_from_db()
    assert first.ended_why == f"replaced by {second}"
    assert office.load(source, ROWS[40:]).state == "approved"


def test_the_command_hands_a_daily_file_over_under_the_approval_only(
    office: Office, source: HotListSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "daily.csv"
    file.write_text("\n".join(["plate,class", *ROWS[:95]]))
    with pytest.raises(CommandError, match="no standing approval") as error:
        call_command("import_list", "state", "SVS", str(file))
    assert error.value.returncode == 3
    office.give(source)
    call_command("import_list", "state", "SVS", str(file))
    with pytest.raises(CommandError, match="has no source"):
        call_command("import_list", "state", "CLEW", str(file))
    (version,) = loading.load_waiting()
    assert version.state == "approved"
    assert version.prepared_by == office.administrator
    note = AccessRecord.objects.get(action="lists.import_file").note
    assert note.startswith("command line, under standing approval")
    assert "bytes wait for the loader" in capsys.readouterr().out


@pytest.mark.clause("430.3(e)")
@pytest.mark.parametrize("lapse", ["appointment", "grant"])
def test_the_command_imports_for_nobody_who_may_no_longer(
    office: Office, source: HotListSource, tmp_path: Path, lapse: str
) -> None:
    """Whoever proposed the approval answers for what comes under it."""
    file = tmp_path / "daily.csv"
    file.write_text("\n".join(["plate,class", *ROWS[:95]]))
    office.give(source)
    if lapse == "appointment":
        office.administrator.appointments.update(ended_at=clock_module.now())
    else:
        HotListSource.objects.update(data="ncic")
    with pytest.raises(CommandError, match="may no longer import it") as error:
        call_command("import_list", "state", "SVS", str(file))
    assert error.value.returncode == 3
    assert not loading.load_waiting()


def test_two_persons_on_the_pages(
    office: Office, source: HotListSource, client_for: Callable[..., Client]
) -> None:
    administrator, commander = client_for(office.administrator), client_for(office.commander)
    address = f"/lists/standing/new/{source.pk}/"
    assert administrator.get(address).status_code == 200
    assert commander.get(address).status_code == 403
    ends_on = clock_module.today() + timedelta(days=30)
    given = {"most_entries": 200, "most_change": 5, "ends_on": ends_on.isoformat(), "reason": "order"}
    assert administrator.post(address, given).status_code == 302
    made = StandingApproval.objects.get()
    assert administrator.post(f"/lists/standing/{made.pk}/approve/").status_code == 403
    assert "standing approvals to give" in commander.get("/").content.decode()
    assert commander.post(f"/lists/standing/{made.pk}/approve/").status_code == 302
    assert "in force" in commander.get("/lists/standing/").content.decode()
    version = office.load(source, ROWS)
    assert f"{made}" in commander.get(f"/lists/versions/{version.pk}/").content.decode()
    assert administrator.post(f"/lists/standing/{made.pk}/end/", {"why": ""}).status_code == 403
    assert administrator.post(f"/lists/standing/{made.pk}/end/", {"why": "gone"}).status_code == 302
    assert "ended: gone" in commander.get("/lists/standing/").content.decode()


@pytest.mark.clause("430.3(e)")
def test_a_unit_asks_for_its_own_groups_list_only_and_the_refusal_is_logged_once_an_hour(
    office: Office, source: HotListSource, clock: Clock, client_for: Callable[..., Client]
) -> None:
    group, other = source.hot_list.group, ListGroup.objects.create(name="detectives")
    made = publish.publish_due(group, publish.signing_key())
    assert isinstance(made, Publication)
    unit = Unit.objects.create(unit_id="pole-1", state="enrolled")

    def ask() -> Publication | None:
        wanted = ChunkRequest(list_id="all", version=made.version, numbers=(0,), public_key="0" * 64)
        return publisher.note_request("pole-1", wanted)

    refused = AccessRecord.objects.filter(action="lists.pieces", username="pole-1", outcome="refused")
    assert ask() is None
    groups.put(unit, other, by=None)
    assert ask() is None
    assert refused.count() == 1
    clock.advance(hours=1.01)
    assert ask() is None
    assert refused.count() == 2
    assert not UnitListState.objects.exists()

    administrator = client_for(office.administrator)
    given = {"unit": "pole-1", "group": group.pk}
    assert administrator.post("/lists/groups/members/", given).status_code == 302
    row = AccessRecord.objects.filter(elements__path="/lists/groups/members/").latest("sequence")
    assert (row.elements["before"], row.elements["group"]) == ("detectives", "all")
    assert ask() == made
    Unit.objects.update(state="revoked")
    assert ask() is None
    assert refused.latest("sequence").note == "430.2-c: the unit is not enrolled"
    Unit.objects.update(state="enrolled")
    groups.put(unit, other, by=None)
    assert ask() is None
