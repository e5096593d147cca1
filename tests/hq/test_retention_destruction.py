"""Destruction: three persons, the purge, its certificate, and what still keeps a read."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from hq.hits import corrections
from hq.hits.models import Acknowledgement, Correction
from hq.log.models import AccessRecord
from hq.log.triggers import drops
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Hit, Picture, Read, Revision, Trigram
from hq.retention import holds, proposals, purge, schedules, selection
from hq.retention.alarms import alarms
from hq.retention.aside import Aside
from hq.retention.models import Authority, Batch, Certificate, Proposal
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from hq.site import databases
from tests.hq import kept
from tests.hq.guarded import into_journal, raw_id, refused_by_database

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: object) -> None:
    settings.MEDIA_ROOT = tmp_path / "pictures"  # type: ignore[attr-defined]


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


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


@pytest.fixture
def _sqlite_that_overwrites_nothing_by_itself() -> Iterator[None]:
    """As most builds of SQLite; Debian's overwrites by default."""
    if connection.vendor != "sqlite":
        pytest.skip("how SQLite deletes")
    options = connection.settings_dict["OPTIONS"]
    held = options["init_command"]
    options["init_command"] = "PRAGMA secure_delete=OFF;" + held
    connection.close()
    yield
    options["init_command"] = held
    connection.close()


@pytest.mark.clause("430.4-d")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_sqlite_that_overwrites_nothing_by_itself")
def test_no_plate_of_a_destroyed_read_is_left_in_the_file_of_any_sqlite(
    office: kept.Office, clock: Any
) -> None:
    """Nor where rows moved within the file long before, as its pages filled or a plate was revised."""
    clock.at = datetime.now(UTC)
    draw = random.Random(1)
    plates = ["".join(draw.choices("ABCDEFGHKLMNPRSTUVWXYZ", k=8)) for _ in range(600)]
    with transaction.atomic():
        # By turns old and young, so that no page of an index is freed.
        for number, plate in enumerate(plates):
            kept.read(plate, days=400 if number % 2 else 0, pictures=())
    purge.run(office.signed().pk, run_by="test")
    assert Read.objects.count() == 300
    held = b"".join(path.read_bytes() for path in databases.files() if path.exists())
    assert plates[0].encode() in held
    assert [plate for plate in plates[1::2] if plate.encode() in held] == []


@pytest.mark.clause("430.4-d")
@pytest.mark.django_db(transaction=True)
def test_purge_that_was_cut_off_leaves_no_plate_in_the_write_ahead_log_once_it_is_finished(
    office: kept.Office,
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite's write-ahead log is HQ's to cut")
    kept.read("7QZX881", days=400)
    row = office.signed()

    def cut_off(word: str) -> None:
        if word == "dropped":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge.run(row.pk, run_by="test", step=cut_off)
    assert purge.recover() == [f"batch {Batch.objects.get().pk}: finished"]
    held = b"".join(path.read_bytes() for path in databases.files() if path.exists())
    assert b"7QZX881" not in held
