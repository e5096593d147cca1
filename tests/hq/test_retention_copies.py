"""HQ's own files of packages and releases go with the reads in them (430.4-d, 430.4-e)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.test import Client

from hq.evidence import packages
from hq.evidence.models import Package
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Read
from hq.releases import requests
from hq.retention import copies, proposals, purge
from hq.retention.alarms import alarms
from hq.retention.models import Certificate, DestroyedCopy, Proposal, Schedule
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from tests.hq import kept
from tests.hq.test_retention_asked import approve_release, ask_package, ask_release

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path


@pytest.fixture
def office(people: Callable[..., Person], clock: Any) -> kept.Office:
    return kept.Office(people)


def made(office: kept.Office, plate: str = "7ABC123") -> Package:
    package = ask_package(office, Scope(plate=plate))
    packages.approve(office.commander, package.pk)
    return packages.prepare(office.records_clerk, package.pk)


def booked(office: kept.Office, plate: str = "7ABC123") -> Package:
    return packages.book(
        office.records_clerk, made(office, plate).pk, medium="stick", medium_serial="S1",
        evidence_number="E-77", booked_where="L4", booked_name="R. O.", booked_on=hq_clock.now(),
    )  # fmt: skip


def destroyed(office: kept.Office) -> Certificate:
    """Everything that is due, as three persons sign it."""
    schedule = Schedule.objects.filter(state="in_force").first() or office.schedule()
    return purge.run(office.signed(schedule).pk, run_by="test")


def here(row: Any) -> bool:
    return default_storage.exists(str(row.file.name))


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.4-e")
def test_the_file_of_a_booked_package_goes_with_the_reads_in_it(
    office: kept.Office, clock: Any, client_for: Callable[..., Client], capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    kept.read(days=400)
    package = booked(office)
    outside = tmp_path / Path(package.file.name).name
    outside.write_bytes(default_storage.open(package.file.name).read())
    clock.advance(days=30)
    certificate = destroyed(office)
    assert not Read.objects.exists()
    assert not here(package)
    assert "destroyed, as reads in them are: 1\n" in certificate.text
    assert f"  {package}, 1 reads, 1 of them destroyed, SHA-256 {package.sha256}\n" in certificate.text
    told = AccessRecord.objects.get(action="destruction.run")
    assert told.elements["copies"] == [package.number]

    clerk, address = client_for(office.records_clerk), f"/evidence/{package.pk}/"
    page = clerk.get(address).content.decode()
    assert f"under certificate {certificate}" in page
    assert package.sha256 in page
    assert "download/" not in page
    answer = clerk.get(f"{address}download/")
    assert answer.status_code == 410
    assert f"HQ&#x27;s copy of {package} was destroyed on 2026-07-03" in answer.content.decode()
    refused = AccessRecord.objects.get(kind="export")
    assert (refused.outcome, refused.note[:9], refused.case) == ("refused", "430.4-d: ", package.number)
    assert client_for(office.commander).get(f"{address}download/").status_code == 403
    proposal = client_for(office.custodian).get(f"/retention/destruction/{certificate.proposal_id}/")
    assert f"<dd>{package}</dd>" in proposal.content.decode()
    link = f"/retention/certificates/{certificate.pk}/"
    assert link not in page
    assert link in client_for(office.custodian, purpose="evidence").get(address).content.decode()

    # What the property room has is compared with what HQ recorded all the same.
    call_command("verify_package", str(outside))
    assert "is what was signed" in capsys.readouterr().out
    outside.write_bytes(outside.read_bytes().replace(b"7ABC123", b"7ABC124"))
    with pytest.raises(SystemExit):
        call_command("verify_package", str(outside))
    assert "not the recorded one" in capsys.readouterr().out
    assert not [one.text for one in alarms() if one.clause == "430.4-d"]


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.8(c)")
def test_the_file_of_a_release_goes_too_and_the_request_with_its_original_stays(
    office: kept.Office, clock: Any, client_for: Callable[..., Client]
) -> None:
    kept.read(days=400)
    row = ask_release(office, Scope(plate="7ABC123"))
    approve_release(office, row)
    row = requests.fulfil(office.custodian, row.pk)
    clock.advance(days=30)
    certificate = destroyed(office)
    assert f"  {row}, 1 reads, 1 of them destroyed, SHA-256 {row.sha256}\n" in certificate.text
    assert not here(row)
    assert default_storage.exists(row.document.name)
    client, address = client_for(office.custodian), f"/releases/{row.pk}/"
    page = client.get(address).content.decode()
    assert f"certificate {certificate}" in page
    assert row.sha256 in page
    assert "download/" not in page
    answer = client.get(f"{address}download/")
    assert (answer.status_code, b"The agency to which it was released" in answer.content) == (410, True)
    assert client.get(f"{address}document/").status_code == 200


@pytest.mark.clause("430.4-e")
def test_what_is_not_booked_for_a_month_keeps_its_file_until_a_later_purge(
    office: kept.Office, clock: Any
) -> None:
    kept.read(days=400)
    only, late = made(office), booked(office)
    clock.advance(days=29)
    assert "destroyed, as reads in them are: 0\n" in destroyed(office).text
    assert here(only)
    assert here(late)
    clock.advance(days=60)
    kept.read("8XYZ987", days=800)
    certificate = destroyed(office)
    assert f"  {late}, 1 reads, 1 of them destroyed" in certificate.text
    assert here(only), "it is the only copy of the evidence"
    assert not here(late)


@pytest.mark.clause("430.4-d")
def test_a_hold_on_some_of_the_reads_keeps_no_file_and_one_whose_reads_are_all_there_stays(
    office: kept.Office, clock: Any
) -> None:
    held = kept.read(days=400)
    kept.read(days=401)
    kept.read("8XYZ987")
    mixed, young = booked(office), booked(office, "8XYZ987")
    office.place(Scope(reads=(held.id,)))
    clock.advance(days=31)
    certificate = destroyed(office)
    assert f"  {mixed}, 2 reads, 1 of them destroyed" in certificate.text
    assert (here(mixed), here(young)) == (False, True)
    assert made(office).reads == 1, "of what is held a new one can be made"


@pytest.mark.clause("430.4-d")
def test_a_damaged_file_is_left_and_told_until_it_is_whole_or_gone(office: kept.Office, clock: Any) -> None:
    kept.read(days=400)
    package, other = booked(office), booked(office)
    clock.advance(days=31)
    whole = default_storage.open(package.file.name).read()
    bad = Path(default_storage.path(package.file.name))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        place = archive.getinfo(next(n for n in archive.namelist() if n.endswith("reads.json"))).header_offset
    bad.write_bytes(whole[: place + 200] + b"#" + whole[place + 201 :])
    certificate = destroyed(office)
    assert f"  {other}, 1 reads" in certificate.text
    assert f"which reads are in their damaged files: {package}\n" in certificate.text
    assert bad.exists()
    assert [one.text for one in alarms() if f"may hold destroyed reads: {package};" in one.text]
    with pytest.raises(SystemExit):
        call_command("retention")
    bad.write_bytes(whole)
    assert not copies.unreadable()
    kept.read("8XYZ987", days=800)
    assert f"  {package}, 1 reads" in destroyed(office).text
    assert not bad.exists()


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("content", [b"", b"no zip at all"])
def test_a_file_that_is_no_package_is_told_until_somebody_removes_it(
    office: kept.Office, clock: Any, content: bytes
) -> None:
    kept.read(days=400)
    package = booked(office)
    clock.advance(days=31)
    bad = Path(default_storage.path(package.file.name))
    bad.write_bytes(content)
    destroyed(office)
    assert copies.unreadable() == [package.number]
    bad.unlink()
    assert copies.unreadable() == []


@pytest.mark.clause("430.4-d")
def test_a_purge_cut_off_between_the_record_and_the_file_is_finished_and_certified(
    office: kept.Office, clock: Any, client_for: Callable[..., Client]
) -> None:
    kept.read(days=400)
    package = booked(office)
    clock.advance(days=31)
    proposal = office.signed()

    def cut(word: str) -> None:
        if word == "copy marked":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge.run(proposal.pk, run_by="test", step=cut)
    assert here(package)
    assert any(one.text.startswith("steps of a purge cut off: 1") for one in alarms())
    page = client_for(office.records_clerk).get(f"/evidence/{package.pk}/")
    assert "Being destroyed since" in page.content.decode()
    assert f"under destruction proposal {proposal.pk}" in page.content.decode()
    gone = client_for(office.records_clerk).get(f"/evidence/{package.pk}/download/")
    assert (gone.status_code, b"is being destroyed since 2026-07-04" in gone.content) == (410, True)
    assert purge.recover() == [f"file of {package}: finished"]
    assert not here(package)
    certificate = purge.run(proposal.pk, run_by="again")
    assert f"  {package}, 1 reads, 1 of them destroyed" in certificate.text
    assert purge.recover() == []


@pytest.mark.clause("430.4-d")
def test_a_file_that_came_back_with_older_files_is_destroyed_again(office: kept.Office, clock: Any) -> None:
    """As where only the data folder is put back beside a database of now."""
    kept.read(days=400)
    package = booked(office)
    before = default_storage.open(package.file.name).read()
    clock.advance(days=31)
    destroyed(office)
    default_storage.save(package.file.name, ContentFile(before))
    assert purge.recover() == [f"file of {package}: was back, destroyed again"]
    assert not here(package)


@pytest.mark.clause("430.4-d")
def test_a_file_that_is_gone_though_no_record_says_so_stops_no_purge(office: kept.Office, clock: Any) -> None:
    """As where only the database is put back as it was before a destruction."""
    kept.read(days=400)
    package = booked(office)
    clock.advance(days=31)
    default_storage.delete(package.file.name)
    assert "destroyed, as reads in them are: 0\n" in destroyed(office).text
    assert not DestroyedCopy.objects.exists()
    assert not [one.text for one in alarms() if one.clause == "430.4-d"]


@pytest.mark.clause("430.4-d")
def test_a_proposal_under_which_only_a_file_was_destroyed_can_only_be_finished(
    office: kept.Office, clock: Any
) -> None:
    kept.read(days=400)
    booked(office)
    destroyed(office)
    clock.advance(days=60)
    kept.read("8XYZ987", days=800)
    proposal = office.signed(Schedule.objects.get())
    office.place(Scope(plate="8XYZ987"))

    def cut(word: str) -> None:
        if word == "copy dropped":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge.run(proposal.pk, run_by="test", step=cut)
    with pytest.raises(Refused, match="can only be finished"):
        proposals.withdraw(office.commander, proposal.pk, "no longer wanted")
    assert purge.run(proposal.pk, run_by="test").reads == 0
    assert Proposal.objects.get(pk=proposal.pk).state == "done"


def test_the_record_of_a_destroyed_file_is_never_deleted_nor_changed(office: kept.Office, clock: Any) -> None:
    kept.read(days=400)
    booked(office)
    clock.advance(days=31)
    destroyed(office)
    row = DestroyedCopy.objects.get()
    with pytest.raises(DatabaseError), transaction.atomic():
        row.delete()
    for values in ({"sha256": "0" * 64}, {"at": None}, {"number": "P-1"}, {"reads": 0}):
        with pytest.raises(DatabaseError), transaction.atomic():
            DestroyedCopy.objects.update(**values)


@pytest.mark.clause("430.4-d")
def test_hq_starts_although_a_file_that_is_to_go_cannot_be_removed(
    office: kept.Office, clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    kept.read(days=400)
    package = booked(office)
    clock.advance(days=31)
    proposal = office.signed()
    path = Path(default_storage.path(package.file.name))

    def replace(word: str) -> None:
        if word == "copy marked":
            path.unlink()
            (path / "in the way").mkdir(parents=True)

    with pytest.raises(OSError, match="not empty"):
        purge.run(proposal.pk, run_by="test", step=replace)
    settings.DEMO = True
    started: list[bool] = []
    monkeypatch.setattr("uvicorn.run", lambda *args, **options: started.append(True))
    call_command("serve", port=0)
    assert started == [True]
    assert "a purge that was cut off is not finished: " in capsys.readouterr().err
    with pytest.raises(CommandError, match="not empty"):
        call_command("purge")
    (path / "in the way").rmdir()
    call_command("purge")
    assert not path.exists()
    assert Certificate.objects.get().reads == 1
