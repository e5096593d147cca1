"""Backup and restore: the same HQ stands afterwards, and nothing stands on a damaged file."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hq.log import chain, heads
from hq.log.models import AccessRecord
from hq.retention import purge
from hq.site import backup, databases, doctor, restore
from tests.users import another_user

ROOT = Path(__file__).resolve().parents[2]
RESTORED = "hq_restored"


@pytest.fixture(autouse=True)
def data(settings: Any, tmp_path: Path) -> Path:
    settings.DATA = tmp_path / "data"
    settings.MEDIA_ROOT = settings.DATA / "pictures"
    settings.DATA.mkdir(mode=0o700)
    return tmp_path / "data"


def _filled(data: Path) -> None:
    for number in range(5):
        chain.append(kind="test", person=None, action="log.own", elements={"n": number})
    heads.sign(data / "log-heads")
    (data / "pictures" / "2026").mkdir(parents=True)
    (data / "pictures" / "2026" / "scene.jpg").write_bytes(b"\xff\xd8picture\xff\xd9")


@contextmanager
def _elsewhere(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of another, empty HQ."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PLATEWARDEN", "DATABASE", "DJANGO"))
    }
    environment["PLATEWARDEN_HQ_DATA"] = str(folder)
    if connection.vendor == "sqlite":
        yield environment
        return
    held = connection.settings_dict
    place = f"{held['HOST'] or 'localhost'}:{held['PORT'] or 5432}"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {RESTORED}")
        cursor.execute(f"CREATE DATABASE {RESTORED}")
        try:
            yield environment | {
                "DATABASE_URL": f"postgres://{held['USER']}:{held['PASSWORD']}@{place}/{RESTORED}"
            }
        finally:
            cursor.execute(f"DROP DATABASE {RESTORED}")


def _hq(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hq.cli", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.clause("430.5-0")
@pytest.mark.clause("CJIS AU-9")
@pytest.mark.django_db(transaction=True)
def test_backup_restored_into_a_new_hq_gives_the_same_log_head(data: Path, tmp_path: Path) -> None:
    _filled(data)
    file, new = tmp_path / "hq.tar", tmp_path / "new"
    call_command("backup", str(file))
    assert file.stat().st_mode & 0o077 == 0
    head = chain.head()
    assert AccessRecord.objects.get(pk=head.sequence).action == "backups.make"
    chain.append(kind="test", person=None, action="log.own", note="after the backup")
    with _elsewhere(new) as environment:
        done = _hq(environment, "restore", str(file))
        assert done.returncode == 0, done.stderr
        assert f"log head {head.sequence} {head.hash}" in done.stdout
        assert (new / "pictures" / "2026" / "scene.jpg").read_bytes() == b"\xff\xd8picture\xff\xd9"
        key = Path("keys") / "log.key"
        assert (new / key).read_bytes() == (data / key).read_bytes()
        assert (new / key).stat().st_mode & 0o077 == 0
        assert len(list((new / "log-heads").iterdir())) == 2
        assert not list(new.glob(".*"))
        # The triggers stand: the check at every command's start tells of each that is missing.
        shown = _hq(environment, "log", "verify")
        assert f"rows 1 to {head.sequence} are whole" in shown.stdout, shown.stderr
        again = _hq(environment, "restore", str(file))
        assert again.returncode == 1
        assert "goes into a new HQ only" in again.stderr
    assert not list(data.glob(".backup-*"))


@pytest.mark.django_db(transaction=True)
def test_backup_is_one_moment_of_the_database_while_others_write(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written after the copy was begun is not half in it: head, rows and the file's word agree."""
    _filled(data)
    copy = databases.copy

    def copied(target: Path) -> tuple[int, str]:
        head = copy(target)
        for _ in range(3):
            chain.append(kind="test", person=None, action="log.own")
        return head

    monkeypatch.setattr(databases, "copy", copied)
    out = io.BytesIO()
    made = backup.make(out, made_by="test")
    assert made.sequence == chain.head().sequence - 3
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        about = json.loads(archive.extractfile("backup.json").read())  # type: ignore[union-attr]
        assert about["log_head"] == {"sequence": made.sequence, "sha256": made.hash}
        if connection.vendor != "sqlite":
            return
        held = archive.extractfile("database.sqlite3")
        assert held is not None
        (tmp_path / "database.sqlite3").write_bytes(held.read())
    held = sqlite3.connect(tmp_path / "database.sqlite3")
    assert held.execute("SELECT max(sequence) FROM log_accessrecord").fetchone() == (made.sequence,)
    triggers = held.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()
    assert triggers[0] > 20
    held.close()


def _archive() -> bytearray:
    """A backup of few files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|") as archive:
        writer = backup._Writer(archive)
        for name, text in {
            "database.sqlite3": "the database",
            "backup.json": json.dumps({"format": 1}),
            "data/keys/log.key": "a key",
            "data/pictures/1.jpg": "a picture",
        }.items():
            writer.text(name, text)
        sums = "".join(f"{total}  {name}\n" for name, total in writer.sums.items())
        writer.text("SHA256SUMS", sums)
    return bytearray(out.getvalue())


def _contents(data: bytes) -> dict[str, bytes]:
    with restore.unpacked(io.BytesIO(data), "hq.tar") as (folder, _):
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


@pytest.mark.clause("430.5-0")
@pytest.mark.django_db(transaction=True)
def test_backup_that_would_lack_the_pictures_of_a_disk_that_is_not_mounted_is_not_made(
    data: Path, tmp_path: Path
) -> None:
    (data / "more").symlink_to("/mnt/pictures-of-2025")
    with pytest.raises(CommandError, match="more: leads to /mnt/pictures-of-2025, which is not there"):
        call_command("backup", str(tmp_path / "hq.tar"))
    assert not list(tmp_path.glob("hq.tar*"))


def test_folder_that_cannot_be_looked_into_is_not_left_out_of_a_backup() -> None:
    """As one that root made by a command of its own."""
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        folder.chmod(0o755)
        (folder / "keys").mkdir(mode=0)
        with another_user(), pytest.raises(PermissionError, match="keys"):
            list(backup._files(folder, set()))


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no users")
@pytest.mark.django_db
def test_restore_by_a_user_who_may_make_no_tables_is_refused_before_anything_is_put_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(databases, "empty", lambda: True)
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE hq_test_app")
        cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        cursor.execute("SET LOCAL ROLE hq_test_app")
    with pytest.raises(CommandError, match="this user may make no tables: run restore as"):
        call_command("restore", os.devnull)


def test_error_of_a_database_tool_is_told_and_not_the_end_of_the_statement_behind_it() -> None:
    said = "sh: error: could not execute query: ERROR:  no right"
    script = f"echo 'sh: warning'; echo '{said}'; echo 'Command was: CREATE FUNCTION'; echo '$$;'; exit 1"
    with pytest.raises(databases.DatabaseCopyError, match=f"^{said}$"):
        databases._run(["sh", "-c", f"({script}) >&2"], {})
    with pytest.raises(databases.DatabaseCopyError, match=r"^sh: only this$"):
        databases._run(["sh", "-c", "echo 'only this' >&2; exit 1"], {})
    with pytest.raises(databases.DatabaseCopyError, match=r"^sh: exit 3$"):
        databases._run(["sh", "-c", "exit 3"], {})


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"a picture", b"a pictore", r"hq\.tar: data/pictures/1\.jpg: is damaged"),
        (b"the database", b"the databose", r"hq\.tar: database\.sqlite3: is damaged"),
        (b"a key", b"a kex", r"hq\.tar: data/keys/log\.key: is damaged"),
        (b'"format": 1', b'"format": 2', r"hq\.tar: backup\.json: is damaged"),
        (b"  data/keys/log.key\n", b"  data/keys/leg.key\n", r"hq\.tar: data/keys/leg\.key: is missing"),
    ],
)
def test_damaged_backup_is_refused_naming_the_file(old: bytes, new: bytes, says: str) -> None:
    held = bytes(_archive())
    assert old in held
    with pytest.raises(backup.BackupError, match=says):
        _contents(held.replace(old, new))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6, 0.85])
def test_backup_that_was_cut_off_is_refused(keep: float) -> None:
    held = bytes(_archive())
    end = held.index(b"SHA256SUMS")
    with pytest.raises(backup.BackupError, match=r"hq\.tar: (ends before its SHA256SUMS|is damaged)"):
        _contents(held[: int(end * keep)])


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "data/../../outside", "data/./a"])
def test_backup_with_a_path_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|") as archive:
        info = tarfile.TarInfo(name)
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(backup.BackupError, match="no backup of HQ has such an entry"):
        _contents(out.getvalue())
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.clause("430.5-0")
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(where=st.integers(0, 100_000), bit=st.integers(0, 7))
def test_no_flipped_bit_gets_through(where: int, bit: int) -> None:
    """Either the backup is refused or the bit was none of its contents'."""
    sound = _archive()
    held = bytearray(sound)
    held[where % len(held)] ^= 1 << bit
    try:
        assert _contents(bytes(held)) == _contents(bytes(sound))
    except backup.BackupError as error:
        assert str(error).startswith("hq.tar: ")


@pytest.mark.django_db
def test_restore_into_an_hq_that_holds_something_is_refused_and_changes_nothing(data: Path) -> None:
    chain.append(kind="test", person=None, action="log.own")
    head = chain.head().hash
    with pytest.raises(backup.BackupError, match="a backup goes into a new HQ only"):
        restore.restore(io.BytesIO(bytes(_archive())), "hq.tar")
    assert chain.head().hash == head
    assert list(data.iterdir()) == []


def test_restore_into_a_data_folder_that_holds_something_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "empty", lambda: True)
    (data / "old.txt").write_text("")
    with pytest.raises(backup.BackupError, match=r"old\.txt: is there already"):
        restore.restore(io.BytesIO(bytes(_archive())), "hq.tar")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"format": 2}, "format 2 is not this version's"),
        ({"database": "database.other"}, "goes into its own kind of database"),
        ({"migrations": ["log.9999_later"]}, "newer than this one"),
    ],
)
def test_backup_that_this_version_cannot_hold_is_refused(changed: dict[str, Any], says: str) -> None:
    about = backup._about(1, "0" * 64) | changed
    with pytest.raises(backup.BackupError, match=says):
        restore._check_about(about)


@pytest.mark.django_db
def test_backup_file_is_new_and_outside_the_data_folder(data: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="lies in the data folder"):
        call_command("backup", str(data / "hq.tar"))
    (tmp_path / "hq.tar").write_text("older")
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(tmp_path / "hq.tar"))
    assert (tmp_path / "hq.tar").read_text() == "older"


@pytest.mark.django_db
@pytest.mark.clause("430.2.1(d)")
def test_no_backup_is_made_that_the_log_does_not_tell_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise chain.LogUnavailable("the access log cannot be written: disk is full")

    monkeypatch.setattr(chain, "append", broken)
    with pytest.raises(CommandError, match="no backup was made: the access log cannot be written"):
        call_command("backup", str(tmp_path / "hq.tar"))
    assert not list(tmp_path.glob("hq.tar*"))


@pytest.mark.django_db
@pytest.mark.clause("CC-51a")
def test_day_without_a_backup_is_told(tmp_path: Path, clock: Any) -> None:
    def told() -> bool:
        return any("no backup" in finding.what for finding in doctor.findings())

    assert told()
    chain.append(kind="backup", person=None, action="backups.make")
    assert not told()
    clock.advance(hours=26)
    assert told()


@pytest.mark.django_db
def test_backup_and_destruction_wait_for_each_other(tmp_path: Path) -> None:
    with purge.alone(), pytest.raises(CommandError, match="purge or a backup is running"):
        call_command("backup", str(tmp_path / "hq.tar"))
