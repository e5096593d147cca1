"""An evidence package: asked for with a case number, approved by another, whole, signed, and booked."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client

from hq.evidence import bag, check, collect, packages
from hq.evidence.models import Package
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import AccessReceived, Picture, Read
from hq.retention.scope import Scope, ScopeError
from hq.site import clock as hq_clock
from hq.site import keys
from tests.disk import fill, tmpfs
from tests.hq import kept
from tests.hq.hits_kept import answered, looked

pytestmark = pytest.mark.django_db

BOOKING = {
    "medium": "stick", "medium_serial": "S1", "evidence_number": "E1", "booked_where": "L4",
    "booked_name": "R. O.", "booked_on": "2020-01-01T10:00",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


def ask(office: kept.Office, scope: Scope | None = None, **fields: Any) -> Package:
    values = {"case": "26-1234", "purpose": "criminal_investigation", "reason": "burglary", **fields}
    return packages.request(office.investigator, scope=scope or Scope(plate="7ABC123"), **values)


def made(office: kept.Office, **fields: Any) -> Package:
    package = ask(office, **fields)
    packages.approve(office.commander, package.pk)
    return packages.prepare(office.records_clerk, package.pk)


def inside(package: Package) -> dict[str, bytes]:
    """The package's files by their names, once HQ's own check has found nothing wrong."""
    data = default_storage.open(package.file.name).read()
    assert check.faults(io.BytesIO(data), keys.public("evidence"), package.sha256) == []
    archive = zipfile.ZipFile(io.BytesIO(data))
    return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def rows(files: dict[str, bytes], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(files[f"data/{name}.json"])
    return found


@pytest.mark.clause("430.4-e")
def test_it_needs_a_case_number(office: kept.Office) -> None:
    for case in ("", "  "):
        with pytest.raises(Refused):
            ask(office, case=case)
    # The custodian states no purpose, which would ask for the case.
    with pytest.raises(Refused, match="an evidence package needs a case number"):
        packages.request(office.custodian, case="none", reason="x", scope=Scope(plate="7ABC123"))
    with pytest.raises(Refused, match="what it is evidence of is empty"):
        ask(office, reason=" ")
    with pytest.raises(ValidationError):
        ask(office, reason="x" * 1000)
    with pytest.raises(ScopeError):
        ask(office, Scope())
    with pytest.raises(IntegrityError), transaction.atomic():
        Package.objects.create(case="", reason="x", purpose="x", requested_by=office.investigator)


@pytest.mark.clause("430.4-e")
def test_it_needs_an_approver_who_neither_asked_nor_makes_it(
    office: kept.Office, people: Callable[..., Person]
) -> None:
    kept.read()
    package = ask(office)
    with pytest.raises(Refused):
        packages.prepare(office.records_clerk, package.pk)
    with pytest.raises(Refused):
        packages.approve(office.investigator, package.pk)
    both = people(["commander", "custodian"])
    own = packages.request(both, case="26-1", reason="x", scope=Scope(plate="7ABC123"))
    with pytest.raises(Refused):
        packages.approve(both, own.pk)
    packages.approve(both, package.pk)
    with pytest.raises(Refused):
        packages.prepare(both, package.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Package.objects.filter(pk=package.pk).update(prepared_by=both)
    assert packages.prepare(office.records_clerk, package.pk).state == "prepared"


@pytest.mark.clause("430.4-e")
def test_who_approved_it_neither_takes_it_out_nor_books_it(
    office: kept.Office, people: Callable[..., Person], client_for: Callable[..., Client]
) -> None:
    kept.read()
    both = people(["commander", "records_clerk"])
    package = ask(office)
    packages.approve(both, package.pk)
    packages.prepare(office.records_clerk, package.pk)
    page, address = client_for(both), f"/evidence/{package.pk}/"
    assert page.get(f"{address}download/").status_code == 403
    assert page.post(f"{address}book/", BOOKING).status_code == 403
    assert b"download/" not in page.get(address).content
    clerk = client_for(office.records_clerk)
    assert clerk.get(f"{address}download/").status_code == 200
    assert clerk.post(f"{address}book/", BOOKING).status_code == 302
    assert AccessRecord.objects.filter(person=both, outcome="refused").count() == 2


@pytest.mark.clause("430.4-d")
def test_the_commander_takes_an_approval_back_on_its_page_until_the_package_is_made(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    kept.read()
    page = client_for(office.commander)
    package, whole = ask(office), made(office)
    packages.approve(office.commander, package.pk)
    content = page.get(f"/evidence/{package.pk}/").content
    assert b"Take the approval back" in content
    assert b"approve/" not in content
    assert page.post(f"/evidence/{package.pk}/refuse/", {"why": "plea"}).status_code == 302
    assert Package.objects.get(pk=package.pk).state == "refused"
    assert b"refuse/" not in page.get(f"/evidence/{whole.pk}/").content
    with pytest.raises(Refused, match="is packaged, not booked, not requested or approved"):
        packages.refuse(office.commander, whole.pk, "plea")


@pytest.mark.clause("430.4-e")
def test_a_package_is_not_refused_without_a_reason(office: kept.Office) -> None:
    package = ask(office)
    for why in ("", " \t "):
        with pytest.raises(Refused, match="the reason of the refusal is empty"):
            packages.refuse(office.commander, package.pk, why)
    assert Package.objects.get(pk=package.pk).state == "requested"
    refused = packages.refuse(office.commander, package.pk, " no case ")
    assert (refused.refused_why, refused.refused_by) == ("no case", office.commander)
    assert refused.refused_at is not None
    for values in ({"refused_by": office.custodian}, {"refused_why": "other"}, {"refused_at": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Package.objects.filter(pk=package.pk).update(**values)


@pytest.mark.clause("430.4-e")
def test_it_holds_reads_pictures_hits_units_lists_and_who_saw_them(office: kept.Office) -> None:
    read = kept.read(hit=True)
    kept.read("8XYZ987")
    chain.append(
        kind="view", person=office.investigator, action="reads.view", purpose="stolen_vehicle", case="26-9",
        ids=[read.id],
    )  # fmt: skip
    chain.append(kind="view", person=office.investigator, action="reads.view", ids=["another"])
    AccessReceived.objects.create(
        id=read.id, unit=read.unit, store_id=read.store_id, sequence=9, accessed_at=hq_clock.now(),
        received_at=hq_clock.now(), clock={}, person="A. Mora", title="Officer", agency="x", action="list",
        purpose="stolen_vehicle", results=1, ids=[str(read.id)], outcome="done", digest="",
    )  # fmt: skip
    files = inside(made(office))
    (row,) = rows(files, "reads")
    assert (row["id"], row["text"], row["unit"]) == (str(read.id), "7ABC123", "gate-1")
    for picture in row["pictures"]:
        stored = Picture.objects.get(read=read, kind=picture["kind"])
        assert files[f"data/{picture['file']}"] == default_storage.open(stored.file.name).read()
    assert [hit["read"] for hit in rows(files, "hits")] == [str(read.id)]
    assert [one["version"] for one in rows(files, "hotlists")] == ["svs-4"]
    assert [one["unit"] for one in rows(files, "units")] == ["gate-1"]
    seen = rows(files, "access-log")
    assert {(one["where"], one["action"]) for one in seen} == {("HQ", "reads.view"), ("unit gate-1", "list")}
    about = json.loads(files["data/package.json"])
    assert about["case"] == "26-1234"
    assert about["approved_by"] == str(office.commander)


@pytest.mark.clause("430.3(f)")
@pytest.mark.clause("430.4-e")
def test_a_hit_stands_in_it_as_clets_answered(office: kept.Office) -> None:
    """The unit's own status says UNVERIFIED for good; a court would read that of a confirmed hit."""
    read = kept.read(hit=True)
    (hit,) = rows(inside(made(office)), "hits")
    assert hit["status"] == "UNVERIFIED"
    looked(read.hits.get(), office.dispatcher)
    answered(read.hits.get(), office.dispatcher)
    files = inside(made(office))
    (hit,) = rows(files, "hits")
    assert hit["status"] == "CONFIRMED"
    assert "UNVERIFIED" not in files["index.html"].decode()


@pytest.mark.clause("430.4-e")
@pytest.mark.clause("CC-52a")
def test_it_names_who_saw_a_read_by_its_hit_or_took_it_out_before(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    read = kept.read(hit=True)
    first = made(office)
    assert client_for(office.dispatcher).get("/hits/").status_code == 200
    answer = client_for(office.records_clerk).get(f"/evidence/{first.pk}/download/")
    assert hashlib.sha256(b"".join(answer)).hexdigest() == first.sha256  # type: ignore[call-overload]
    taken = AccessRecord.objects.get(kind="export")
    assert (taken.purpose, taken.case) == ("evidence", first.number)
    assert taken.ids == [first.number, str(read.id)]
    seen = {(row["username"], row["action"]) for row in rows(inside(made(office)), "access-log")}
    assert seen == {
        (office.dispatcher.username, "hits.board"),
        (office.records_clerk.username, "evidence.prepare"),
    }


@pytest.mark.clause("430.4-e")
def test_a_package_whose_file_is_damaged_is_not_handed_out(
    office: kept.Office, client_for: Callable[..., Client], tmp_path: Path
) -> None:
    kept.read()
    package, client = made(office), client_for(office.records_clerk)
    address, file = f"/evidence/{package.pk}/download/", tmp_path / "pictures" / package.file.name
    file.write_bytes(file.read_bytes()[:-100])
    assert b"Not handed out" in client.get(address, follow=True).content
    file.unlink()
    assert b"Not handed out" in client.get(address, follow=True).content
    assert {row.note[:15] for row in AccessRecord.objects.filter(kind="export")} == {"not handed out:"}


@pytest.mark.clause("430.3(e)")
def test_the_entry_of_a_restricted_list_is_masked_without_the_grant(office: kept.Office) -> None:
    read = kept.read(hit=True)
    read.hits.update(alarm_class="supervised_release", reason="parole")
    (hit,) = rows(inside(made(office)), "hits")
    assert (hit["alarm_class"], hit["reason"], hit["entry_plate"]) == ("", "", "")
    assert "grant" in hit["masked"]


@pytest.mark.clause("430.4-e")
def test_a_picture_that_never_came_is_named_and_a_changed_one_stops_it(office: kept.Office) -> None:
    read = kept.read(pictures=("plate",))
    Picture.objects.create(read=read, kind="scene", sha256="0" * 64, size=5, missing=True)
    files = inside(made(office))
    (row,) = rows(files, "reads")
    assert [picture["missing"] for picture in row["pictures"]] == ["", "it never reached HQ"]
    assert "1 pictures never reached HQ" in files["index.html"].decode()

    package = ask(office)
    packages.approve(office.commander, package.pk)
    Path(default_storage.path(read.pictures.get(kind="plate").file.name)).write_bytes(b"other")
    with pytest.raises(bag.Unreadable):
        packages.prepare(office.records_clerk, package.pk)
    package.refresh_from_db()
    assert (package.state, package.file.name) == ("approved", "")


def test_an_empty_or_too_wide_scope_makes_no_package(
    office: kept.Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ask(office)
    packages.approve(office.commander, package.pk)
    with pytest.raises(Refused):
        packages.prepare(office.records_clerk, package.pk)
    monkeypatch.setattr(collect, "MAX_READS", 1)
    kept.read()
    kept.read()
    with pytest.raises(collect.TooMany):
        packages.prepare(office.records_clerk, package.pk)


@pytest.mark.clause("430.4-e")
def test_it_is_listed_until_it_is_booked_with_number_and_serial(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    kept.read()
    package = made(office)
    assert packages.not_booked() == [package]
    booking = {
        "medium": "USB stick",
        "medium_serial": "SN-1",
        "evidence_number": "E-77",
        "booked_where": "locker 4",
        "booked_name": "R. Okafor",
        "booked_on": hq_clock.now(),
    }
    for name in ("medium_serial", "evidence_number", "booked_name"):
        with pytest.raises(Refused):
            packages.book(office.records_clerk, package.pk, **{**booking, name: " "})
    with pytest.raises(IntegrityError), transaction.atomic():
        Package.objects.filter(pk=package.pk).update(state="booked")
    with pytest.raises(ValidationError):
        packages.book(office.records_clerk, package.pk, **{**booking, "evidence_number": "x" * 500})
    future = BOOKING | {"booked_on": "2100-01-01T10:00"}
    page = client_for(office.records_clerk)
    assert b"This lies in the future." in page.post(f"/evidence/{package.pk}/book/", future).content
    assert packages.not_booked() == [package]
    assert packages.book(office.records_clerk, package.pk, **booking).state == "booked"
    assert packages.not_booked() == []


def test_a_package_is_never_deleted_nor_its_scope_changed(office: kept.Office) -> None:
    package = ask(office)
    with pytest.raises(DatabaseError), transaction.atomic():
        package.delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        Package.objects.filter(pk=package.pk).update(scope_json=Scope(plate="*1").to_json())
    assert Read.objects.count() == 0


def test_the_command_checks_a_package_against_key_and_record(
    office: kept.Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.read()
    package = made(office)
    file = tmp_path / Path(package.file.name).name
    data = default_storage.open(package.file.name).read()
    file.write_bytes(data)
    call_command("verify_package", str(file))
    assert f"is what was signed; recorded as {package}\n" in capsys.readouterr().out
    file.write_bytes(data[:-30] + b"x" + data[-29:])
    with pytest.raises(SystemExit):
        call_command("verify_package", str(file))
    assert "not the recorded one" in capsys.readouterr().out
    # As a browser names a second download of it.
    again = file.rename(tmp_path / f"{file.stem} (1).zip")
    with pytest.raises(SystemExit):
        call_command("verify_package", str(again))
    assert "not the recorded one" in capsys.readouterr().out
    Package.objects.update(number="P-2020-00001")
    again.write_bytes(data)
    call_command("verify_package", str(again))
    assert "is what was signed; no package of its number is recorded here" in capsys.readouterr().out
    with pytest.raises(CommandError, match="No such file"):
        call_command("verify_package", str(tmp_path / "none.zip"))
    with pytest.raises(CommandError, match=r"^--key nokey: is no key of minisign's"):
        call_command("verify_package", str(file), key="nokey")


def test_the_command_checks_a_package_on_a_machine_without_hqs_records(
    office: kept.Office, tmp_path: Path
) -> None:
    kept.read()
    package = made(office)
    file = tmp_path / Path(package.file.name).name
    file.write_bytes(default_storage.open(package.file.name).read())

    def check_elsewhere(*words: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PLATEWARDEN", "DATABASE", "DJANGO"))}
        return subprocess.run(
            [sys.executable, "-m", "hq.cli", "verify-package", str(file), *words],
            env=env | {"PLATEWARDEN_HQ_DATA": str(tmp_path / "elsewhere")},
            capture_output=True,
            text=True,
            check=False,
        )

    done = check_elsewhere("--key", package.public_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is what was signed" in done.stdout
    done = check_elsewhere()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "evidence.key: is not here; name the agency's public key with --key" in line
    assert not (tmp_path / "elsewhere" / "keys").exists()


@pytest.mark.clause("430.4-e")
@pytest.mark.parametrize("room", ["none for the package", "none for its copy"])
def test_a_package_for_which_the_disk_has_no_room_is_told_and_leaves_nothing(
    office: kept.Office, client_for: Callable[..., Client], tmp_path: Path, settings: Any, room: str
) -> None:
    with tmpfs(tmp_path / "disk", "8m") as disk:
        (tmp_path / "own").mkdir()
        settings.DATA = disk if room == "none for the package" else tmp_path / "own"
        settings.MEDIA_ROOT = disk / "pictures"
        kept.read()
        package = ask(office)
        packages.approve(office.commander, package.pk)
        keys.public("evidence")
        filler = fill(disk)
        client = client_for(office.records_clerk)
        address = f"/evidence/{package.pk}/"
        answer = client.post(f"{address}prepare/", follow=True)
        assert "Not made. the package cannot be written: No space left" in answer.content.decode()
        refused = AccessRecord.objects.get(action="evidence.prepare")
        assert refused.note == "not made: the package cannot be written: No space left on device"
        assert not list(disk.rglob("*.zip*"))
        filler.unlink()
        assert client.post(f"{address}prepare/", follow=True).status_code == 200
        assert inside(Package.objects.get(pk=package.pk))


@pytest.mark.clause("430.5-0")
def test_a_package_is_made_on_no_disk_but_the_data_folders(
    office: kept.Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reads and pictures are in clear, and only that disk is known to be encrypted."""
    kept.read()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no folder"))
    assert inside(made(office))


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.5(a)")
def test_a_package_that_could_not_be_logged_leaves_nothing_and_what_a_killed_one_left_is_swept(
    office: kept.Office, client_for: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.read()
    package = ask(office)
    packages.approve(office.commander, package.pk)
    clerk, address = client_for(office.records_clerk), f"/evidence/{package.pk}/"
    with monkeypatch.context() as patch:
        patch.setattr(chain, "_link", _no_room)
        assert clerk.post(f"{address}prepare/").status_code == 503
    assert Package.objects.get(pk=package.pk).state == "approved"
    assert not list(Path(default_storage.path("packages")).rglob("*.zip"))
    # One that was killed between its file and its row.
    default_storage.save(f"packages/{hq_clock.now():%Y}/platewarden-{package}.zip", ContentFile(b"PK"))
    assert clerk.post(f"{address}prepare/").status_code == 302
    package.refresh_from_db()
    assert AccessRecord.objects.get(action="evidence.prepare", outcome="done").result_count == 1
    other = made(office)
    folder = Path(default_storage.path(package.file.name)).parent
    assert len(list(folder.iterdir())) == 3
    answer = clerk.get(f"{address}download/")
    assert answer["Content-Disposition"] == f'attachment; filename="platewarden-{package}.zip"'
    call_command("sweep_files", stdout=io.StringIO())
    assert len(list(folder.iterdir())) == 3, "not yet: a row may still be to come"
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    call_command("sweep_files", stdout=io.StringIO())
    assert {file.name for file in folder.iterdir()} == {Path(row.file.name).name for row in (package, other)}


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def being_made(office: kept.Office, client: Client, package: Package) -> Iterator[dict[str, int]]:
    """A package whose making waits in the middle, at a picture, until the block ends; then its answer."""
    picture = Picture.objects.filter(kind="plate").latest("pk")
    path = Path(default_storage.path(picture.file.name))
    data = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    found: dict[str, int] = {}

    def make() -> None:
        try:
            found["status"] = client.post(f"/evidence/{package.pk}/prepare/").status_code
        finally:
            connection.close()

    thread = threading.Thread(target=make)
    thread.start()
    try:
        with path.open("wb") as pipe:  # from here on it is open for reading too
            try:
                yield found
            finally:
                pipe.write(data)
    finally:
        thread.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.5(a)")
def test_a_package_that_takes_long_keeps_nobody_waiting(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    """Where the log cannot be written no record is shown, and a large package takes minutes."""
    kept.read()
    package = ask(office)
    packages.approve(office.commander, package.pk)
    with being_made(office, client_for(office.records_clerk), package) as answer:
        begun = time.monotonic()
        chain.append(kind="view", person=office.investigator, action="reads.view")
        assert time.monotonic() - begun < 10
        assert not answer
    assert answer["status"] == 302
    (row,) = AccessRecord.objects.filter(action="evidence.prepare")
    package.refresh_from_db()
    assert (row.note, row.result_count, row.elements["sha256"]) == ("made", 1, package.sha256)


@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.4-e")
def test_an_approval_that_is_taken_back_while_the_package_is_made_counts(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    kept.read()
    package = ask(office)
    packages.approve(office.commander, package.pk)
    with being_made(office, client_for(office.records_clerk), package) as answer:
        packages.refuse(office.commander, package.pk, "plea")
    assert answer["status"] == 403
    package.refresh_from_db()
    assert (package.state, package.file.name) == ("refused", "")
    assert not list(Path(default_storage.path("packages")).rglob("*.zip"))
