"""What came before a unit was enrolled is taken in afterwards: by two persons, once, and as it came."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, transaction
from django.test import Client

from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records import admission
from hq.records import intake as intake_module
from hq.records.intake import Intake, Source
from hq.records.messages import read_message
from hq.records.models import (
    Admission,
    Hit,
    Picture,
    Quarantined,
    Read,
    Revision,
    Series,
    Transfer,
    Unit,
)
from hq.records.pictures import Files
from mqtt import topics
from mqtt.records import ChunkRequest, PictureKind, PictureRef
from tests.hq.conftest import Clock
from tests.hq.ingest_site import UNIT, files_below, jpeg, payload_of, received
from tests.mqtt import samples

pytestmark = [pytest.mark.django_db, pytest.mark.clause("430.2-c")]

MQTT = Source("mqtt", "hq-test")
REQUEST = ChunkRequest(list_id="all", version="1", numbers=(0,), public_key="0" * 64)


@pytest.fixture
def store(tmp_path: Path) -> FileSystemStorage:
    return FileSystemStorage(location=tmp_path / "files")


@pytest.fixture
def intake(store: FileSystemStorage, clock: Clock) -> Iterator[Intake]:
    made = Intake(Files(store))
    yield made
    made.close()


@pytest.fixture
def unit() -> Unit:
    return Unit.objects.create(unit_id=UNIT, state=Unit.State.PROPOSED)


class Office:
    """The two persons whom it takes."""

    def __init__(self, people: Callable[..., Person]) -> None:
        self.administrator = people("ALPR administrator")
        self.commander = people("Commander")

    def admit(self) -> Admission:
        """Propose and approve all that waits of the unit."""
        made = admission.propose(self.administrator, UNIT, "sent while it was set up")
        return admission.approve(self.commander, made.pk)


@pytest.fixture
def office(people: Callable[..., Person]) -> Office:
    return Office(people)


def enrol(unit: Unit) -> None:
    unit.state = Unit.State.ENROLLED
    unit.save()


def work(intake: Intake) -> None:
    while admission.step(intake) is not None:
        pass


def test_what_came_before_the_enrolment_is_taken_in_once_and_as_it_came(
    intake: Intake, store: FileSystemStorage, clock: Clock, unit: Unit, office: Office
) -> None:
    data = jpeg(1, 80_000)
    ref = PictureRef(
        kind=PictureKind.SCENE,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        width=1920,
        height=1080,
    )
    read = samples.read(pictures=(ref,))
    header = replace(samples.picture(data, read.read_id), kind=PictureKind.SCENE)
    hit = samples.hit(read.read_id)
    bad = read_message(topics.up(UNIT, "read"), payload_of(read, 4)[:-9])
    came = clock()
    batch = [received(read, 1), received(header, 2, data), received(hit, 3), bad, received(REQUEST)]
    before = intake.take(batch, MQTT).standings
    assert not Read.objects.exists()
    assert len(files_below(Path(store.path("")))) == 1

    clock.advance(days=3)
    enrol(unit)
    admitted = office.admit()
    assert admitted.messages == 5
    work(intake)

    row, picture = Read.objects.get(), Picture.objects.get()
    assert (row.received_at, row.purge_after) == (came, came + timedelta(days=365))
    assert (Path(store.path("")) / picture.file.name).read_bytes() == data
    assert not picture.missing
    assert Hit.objects.get().read_id == row.id
    assert [(one.contiguous, one.highest) for one in Series.objects.all()] == [(3, 3)]
    assert before[0].contiguous == 3, "what was quarantined was receipted, and no receipt changes"

    left = {one.topic.rsplit("/", 1)[-1]: one for one in admission.left(admitted)}
    assert left.keys() == {"read", "chunk-request"}
    assert left["read"].reason == bad.reason
    assert bytes(left["read"].payload) == bad.payload
    taken = Quarantined.objects.filter(admitted_at=clock())
    assert taken.count() == 3
    assert {(bytes(one.payload), one.file.name) for one in taken} == {(b"", "")}, "no second copy stays"
    assert len(files_below(Path(store.path("")))) == 1

    log = AccessRecord.objects.filter(action__startswith="quarantine.").order_by("sequence")
    assert [(one.action, one.username, one.result_count) for one in log] == [
        ("quarantine.propose", office.administrator.username, 5),
        ("quarantine.approve", office.commander.username, 5),
        ("quarantine.admit", "", 3),
    ]
    transfer = Transfer.objects.get(way="admit")
    assert (transfer.new, transfer.known, transfer.quarantined) == (3, 0, 0)
    assert office.commander.username in transfer.brought_by

    intake.take(batch[:3], MQTT)
    assert (Read.objects.count(), Hit.objects.count(), Picture.objects.count()) == (1, 1, 1)
    assert admission.waiting() == []


def test_it_takes_a_second_person_and_the_database_says_so_too(
    intake: Intake, unit: Unit, people: Callable[..., Person]
) -> None:
    intake.take([received(samples.read(), 1)], MQTT)
    enrol(unit)
    both = people(["ALPR administrator", "Commander"])
    made = admission.propose(both, UNIT, "mine")
    with pytest.raises(Refused, match=r"430\.2-c"):
        admission.approve(both, made.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Admission.objects.filter(pk=made.pk).update(approved_by=both)
    with pytest.raises(IntegrityError), transaction.atomic():
        Admission.objects.filter(pk=made.pk).update(done_at=made.proposed_at)
    work(intake)
    assert not Read.objects.exists()


@pytest.mark.parametrize("role", ["Auditor", "Technician", "Investigator", "Commander"])
def test_only_an_administrator_proposes(
    intake: Intake, unit: Unit, people: Callable[..., Person], role: str
) -> None:
    intake.take([received(samples.read(), 1)], MQTT)
    enrol(unit)
    with pytest.raises(Refused, match=r"430\.2-c"):
        admission.propose(people(role), UNIT, "please")


def test_nothing_is_admitted_of_a_unit_that_is_not_enrolled_or_no_longer(
    intake: Intake, unit: Unit, office: Office
) -> None:
    intake.take([received(samples.read(), 1)], MQTT)
    with pytest.raises(Refused, match="is not enrolled"):
        admission.propose(office.administrator, UNIT, "too early")
    enrol(unit)
    office.admit()
    Unit.objects.update(state=Unit.State.REVOKED)
    work(intake)
    assert not Read.objects.exists()
    Unit.objects.update(state=Unit.State.ENROLLED)
    work(intake)
    assert Read.objects.count() == 1


def test_what_is_proposed_must_still_be_there_and_later_messages_are_not_in_it(
    intake: Intake, clock: Clock, unit: Unit, office: Office
) -> None:
    intake.take([received(samples.read(), 1)], MQTT)
    enrol(unit)
    made = admission.propose(office.administrator, UNIT, "set-up")
    clock.advance(seconds=1)
    Unit.objects.update(state=Unit.State.REVOKED)
    intake.take([received(samples.read(), 2)], MQTT)
    Unit.objects.update(state=Unit.State.ENROLLED)
    admission.approve(office.commander, made.pk)
    work(intake)
    assert Read.objects.count() == 1
    other = admission.propose(office.administrator, UNIT, "again")
    Quarantined.objects.filter(admitted_at=None).update(digest="0" * 64)
    with pytest.raises(Refused, match="no longer"):
        admission.approve(office.commander, other.pk)


def test_a_payload_that_was_changed_in_quarantine_is_not_taken(
    intake: Intake, unit: Unit, office: Office
) -> None:
    intake.take([received(samples.read(), 1)], MQTT)
    Quarantined.objects.update(payload=payload_of(samples.read(), 1))
    enrol(unit)
    made = office.admit()
    work(intake)
    assert not Read.objects.exists()
    assert "not the one that came" in admission.left(made).get().reason


def test_revisions_find_their_place_and_a_conflict_stays(intake: Intake, unit: Unit, office: Office) -> None:
    first = samples.read(revision=1)
    other = samples.read()
    intake.take([received(first, 1), received(other, 2)], MQTT)
    enrol(unit)
    intake.take([received(replace(first, revision=2), 3), received(replace(other, looks=99), 4)], MQTT)
    made = office.admit()
    work(intake)
    assert {(str(row.id), row.revision) for row in Read.objects.all()} == {
        (first.read_id, 2),
        (other.read_id, other.revision),
    }
    assert Revision.objects.get().revision == 1
    left = admission.left(made).get()
    assert "another content" in left.reason
    assert left.times == 1, "being tried is not coming again"


def test_a_batch_that_cannot_be_committed_is_tried_again(
    intake: Intake, unit: Unit, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.take([received(samples.read(), number) for number in range(1, 6)], MQTT)
    enrol(unit)
    office.admit()
    monkeypatch.setattr(admission, "BATCH", 2)

    def locked(*args: object) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(intake_module.ledger, "note", locked)
        with pytest.raises(OperationalError):
            admission.step(intake)
    assert not Read.objects.exists()
    assert not Quarantined.objects.exclude(admission=None).exists()
    admission.step(intake)
    assert Read.objects.count() == 2
    work(intake)
    assert Read.objects.count() == 5
    assert Quarantined.objects.filter(admitted_at=None).count() == 0


def test_a_message_that_the_database_refuses_stays_alone(
    intake: Intake, unit: Unit, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = samples.read(), samples.read(plate="BAD1")
    intake.take([received(good, 1), received(bad, 2)], MQTT)
    enrol(unit)
    made = office.admit()
    real = intake_module.rows.read_row

    def refuse(record: object, *rest: object) -> Read:
        row = real(record, *rest)  # type: ignore[arg-type]
        row.looks = None if record.plate == "BAD1" else row.looks  # type: ignore[assignment, attr-defined]
        return row

    monkeypatch.setattr(intake_module.rows, "read_row", refuse)
    work(intake)
    assert str(Read.objects.get().id) == good.read_id
    assert admission.left(made).get().reason == "record: cannot be kept (IntegrityError)"


def test_two_persons_on_the_page(
    intake: Intake, unit: Unit, office: Office, client_for: Callable[..., Client]
) -> None:
    read = samples.read()
    intake.take([received(read, 1), read_message("elsewhere", b"?")], MQTT)
    enrol(unit)
    administrator, commander = client_for(office.administrator), client_for(office.commander)
    page = administrator.get("/reads/quarantine/").content.decode()
    assert UNIT in page
    assert read.plate not in page
    sent = administrator.post("/reads/quarantine/propose/", {"unit": UNIT, "reason": "set-up day"})
    assert sent.status_code == 302
    made = Admission.objects.get()
    assert administrator.post(f"/reads/quarantine/{made.pk}/approve/").status_code == 403
    assert "set-up day" in commander.get("/reads/quarantine/").content.decode()
    assert commander.post(f"/reads/quarantine/{made.pk}/approve/").status_code == 302
    work(intake)
    assert "done" in commander.get("/reads/quarantine/").content.decode()
    assert Read.objects.count() == 1


def test_the_commander_may_decline_and_then_it_may_be_proposed_again(
    intake: Intake, unit: Unit, office: Office, client_for: Callable[..., Client]
) -> None:
    intake.take([received(samples.read(), 1)], MQTT)
    enrol(unit)
    made = admission.propose(office.administrator, UNIT, "set-up")
    commander = client_for(office.commander)
    assert commander.post(f"/reads/quarantine/{made.pk}/decline/", {"reason": ""}).status_code == 403
    assert commander.post(f"/reads/quarantine/{made.pk}/decline/", {"reason": "a test"}).status_code == 302
    work(intake)
    assert not Read.objects.exists()
    admission.propose(office.administrator, UNIT, "no test after all")


def test_the_command_takes_in_and_counts(
    intake: Intake,
    unit: Unit,
    office: Office,
    settings: object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"  # type: ignore[attr-defined]
    intake.take([received(samples.read(), 1), received(samples.read(), 7, unit="pole-8")], MQTT)
    enrol(unit)
    office.admit()
    call_command("admit")
    assert capsys.readouterr().out.splitlines() == [
        f"{UNIT}: 1 taken in, 0 left in quarantine",
        "pole-8, not registered: 1 messages wait",
    ]
    assert Read.objects.count() == 1
