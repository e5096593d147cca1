"""From an empty folder to a site that may be served: setup, doctor, serve, demo, settings."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from hq import cli
from hq.log import chain
from hq.people.models import Appointment, Person
from hq.people.policy import may
from hq.records.subscriber import Subscriber
from hq.site import disks, doctor, founding
from hq.site.commands import RecordsCommand
from hq.site.management.commands import demo as demo_command
from hq.site.models import Settings

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
AWAY = "postgres://hq_app@127.0.0.1:1/hq"


@pytest.fixture(autouse=True)
def _site(settings: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    settings.DATA = tmp_path
    settings.SECRET_KEY_MISSING = False
    settings.SECRET_KEY = "k" * 50
    settings.DISK_STATEMENT = "A. Roe, 2026-01-05: the host encrypts its volumes"


def _founded(tmp_path: Path) -> list[founding.Founder]:
    file = tmp_path / "agency.toml"
    file.write_text(founding.EXAMPLE)
    return founding.found(file)


def _errors() -> list[str]:
    return [f"{f.rule}: {f.what}" for f in doctor.findings() if f.error]


@pytest.mark.clause("430.1")
def test_production_start_is_refused_naming_what_is_missing_until_the_site_is_founded(
    tmp_path: Path, settings: Any
) -> None:
    settings.SECRET_KEY_MISSING = True
    missing = " ".join(_errors())
    for word in ("secret key", "agency and policy", "Commander", "Custodian"):
        assert word in missing
    settings.SECRET_KEY_MISSING = False
    _founded(tmp_path)
    assert _errors() == []
    Appointment.objects.filter(role="custodian").update(ended_at=doctor.clock.now())
    with pytest.raises(SystemExit) as end:
        call_command("serve")
    assert end.value.code == 3


@pytest.mark.clause("430.5-0")
@pytest.mark.clause("CJIS SC-28")
def test_whole_site_does_not_start_on_a_disk_in_clear(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing else is wrong with the site, so that the disk alone keeps it from starting."""
    _founded(tmp_path)
    settings.DISK_STATEMENT = ""
    started: list[bool] = []
    monkeypatch.setattr("uvicorn.run", lambda *args, **options: started.append(True))
    monkeypatch.setattr(disks, "state", lambda folder: disks.State(disks.Kept.CLEAR, "vda2 is ext4"))
    with pytest.raises(SystemExit) as end:
        call_command("serve")
    assert (end.value.code, started) == (3, [])
    assert "vda2 is ext4" in capsys.readouterr().err
    monkeypatch.setattr(disks, "state", lambda folder: disks.State(disks.Kept.ENCRYPTED, "dm-0 is dm-crypt"))
    if connection.vendor != "sqlite":  # the disk of a database server is not seen from here
        settings.DISK_STATEMENT = "2026-01-02, Facilities: the database server's volumes are encrypted"
    call_command("serve", port=0)
    assert started == [True]


@pytest.mark.clause("430.1")
def test_founders_can_work_and_nobody_can_found_twice(tmp_path: Path) -> None:
    founders = _founded(tmp_path)
    for founder in founders:
        person = Person.objects.get(username=founder.username)
        assert person.check_password(founder.password)
        assert person.password_once
        assert may(person, "self.home")
    held = Settings.current()
    assert held is not None
    assert held.approved_by != held.proposed_by
    assert chain.verify() is None
    with pytest.raises(founding.FoundingError, match="has people already"):
        founding.found(tmp_path / "agency.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('ori = "CA0000000"', "", r"\[agency\]: ori is missing"),
        ('title = "Records Manager"', 'title = " "', r"\[custodian\]: title is missing"),
        ('username = "apoe"', 'username = "rdoe"', "three persons"),
        ('username = "apoe"', 'username = "A Poe"', r"\[custodian\]: username: small letters"),
        ('ori = "CA0000000"', 'ori = "CA00000000"', r"\[agency\]: ori: Ensure this value has at most 9"),
        ('code = "alpr"', 'code = "al pr"', r"\[course\]: code: Enter a valid"),
        ('name = "Robin Doe"', r'name = "Robin\u0000Doe"', r"\[commander\]: name is more than one line"),
        ("[agency]", 'agency = "x"\n[department]', r"agency is no table"),
        ("[course]", "[curse]", r"\[course\]: code is missing"),
        ("[agency]", "[agency", "agency.toml"),
    ],
)
def test_mistake_in_the_agencys_file_is_named_and_leaves_nothing(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    file = tmp_path / "agency.toml"
    file.write_text(founding.EXAMPLE.replace(old, new))
    with pytest.raises(CommandError, match=says) as error:
        call_command("setup", str(file))
    assert error.value.returncode == 3
    assert not Person.objects.exists()


def test_agencys_file_is_taken_as_windows_saves_it_and_no_other_coding(tmp_path: Path) -> None:
    file = tmp_path / "agency.toml"
    file.write_text(founding.EXAMPLE, encoding="utf-16")
    with pytest.raises(CommandError, match=r"agency.toml: is no UTF-8 text"):
        call_command("setup", str(file))
    file.write_text(founding.EXAMPLE, encoding="utf-8-sig", newline="\r\n")
    call_command("setup", str(file))
    assert Person.objects.count() == 3


@pytest.mark.slow
@pytest.mark.clause("430.1")
def test_demo_marks_itself_and_cannot_be_served_as_a_real_site(
    settings: Any, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="never built into a real site"):
        call_command("demo")
    settings.DEMO = True
    call_command("demo")
    shown = capsys.readouterr().out
    for role in ("commander", "records_clerk", "technician"):
        assert role in shown
    call_command("demo", code="officer")
    assert capsys.readouterr().out.strip().isdigit()
    assert b"Invented agency, people and plates" in client.get("/people/login/").content
    settings.DEMO = False
    assert any("demo" in error for error in _errors())


@pytest.mark.clause("430.5-0")
def test_real_site_is_not_served_as_a_demo(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo is served without TLS and without what policy wants, and says that its plates are invented."""
    started: list[bool] = []
    monkeypatch.setattr("uvicorn.run", lambda *args, **options: started.append(True))
    _founded(tmp_path)
    settings.DEMO = True
    with pytest.raises(SystemExit) as end:
        call_command("serve")
    assert (end.value.code, started) == (3, [])
    assert "this is the site of Example Police Department, not a demo" in capsys.readouterr().err
    held = Settings.current()
    assert held is not None
    held.pk, held.agency = None, f"{held.agency} {doctor.DEMO_MARK}"
    held.save(force_insert=True)
    call_command("serve", port=0)
    assert started == [True]


def test_demo_tells_the_whole_command_that_asks_for_a_code(settings: Any, tmp_path: Path) -> None:
    """A newcomer pastes it: the demo lies where no command looks by itself."""
    settings.DATA = tmp_path / "a site's"
    words = shlex.split(demo_command.asking())
    assert words[0] == f"PLATEWARDEN_HQ_DATA={settings.DATA}"
    assert words[2:] == ["demo", "--code", "USER"]
    assert subprocess.run([words[1], "--help"], capture_output=True, check=False).returncode == 0


def test_code_is_asked_for_where_no_demo_is(tmp_path: Path) -> None:
    done = _run(tmp_path / "data", "demo", "--code", "officer")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "data: no demo is here; PLATEWARDEN_HQ_DATA names its folder" in line


def test_demo_is_never_built_into_a_real_site(tmp_path: Path, settings: Any) -> None:
    _founded(tmp_path)
    settings.DEMO = True
    with pytest.raises(CommandError, match="not a demo"):
        call_command("demo")


@pytest.mark.clause("430.2-d")
def test_settings_change_by_two_persons_with_before_and_after(
    tmp_path: Path, people: Callable[..., Person], client_for: Callable[..., Client]
) -> None:
    _founded(tmp_path)
    both = client_for(people(["administrator", "commander"]))
    held = Settings.current()
    assert held is not None
    fields = {
        "agency": held.agency, "ori": held.ori, "policy_id": "430", "policy_version": "2027",
        "purposes_off": ["homeland_security"], "reason": "Council 2027-01",
    }  # fmt: skip
    both.post("/settings/propose/", fields)
    version = Settings.objects.get(policy_version="2027")
    assert Settings.current() == held
    assert both.post(f"/settings/{version.pk}/approve/").status_code == 403
    client_for(people("commander")).post(f"/settings/{version.pk}/approve/")
    assert Settings.current() == version
    row = chain.AccessRecord.objects.get(action="settings.approve", outcome="done")
    assert row.elements["policy_version"] == ["2026-01-01", "2027"]


def test_commands_are_known_and_each_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in ("migrate", "serve", "setup", "doctor", "log", "demo", "upkeep"):
        assert f"  {name}" in shown
    assert cli.main(["serv"]) == 2
    assert "did you mean serve?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "subscribe",
        "admit",
        "import-unit card --by Courier",
        "publish-lists",
        "purge",
        "log seal",
        "setup x",
    ],
)
def test_database_of_an_older_version_is_neither_served_nor_written_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(Subscriber, "run", lambda *_: pytest.fail("it takes reads in"))
    MigrationRecorder.Migration.objects.filter(app="records").latest("id").delete()
    assert cli.main(command.split()) == 3
    refusal = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(refusal) == 1
    assert "migrations that wait: 1; platewarden-hq migrate" in refusal[0]


@pytest.mark.parametrize("command", ["serve", "subscribe", "log seal", "doctor", "migrate"])
def test_database_of_a_newer_version_is_neither_served_nor_written_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """`migrate` of an older version would put that one's triggers into it."""
    monkeypatch.setattr(Subscriber, "run", lambda *_: pytest.fail("it takes reads in"))
    MigrationRecorder.Migration.objects.create(app="records", name="9999_of_next_year")
    assert cli.main(command.split()) == 3
    told = capsys.readouterr()
    (line,) = (told.err + told.out).splitlines()
    assert "it is of a newer version, which made records.9999_of_next_year" in line


@pytest.mark.clause("430.4-c")
@pytest.mark.parametrize("name", ["zero", "0001"])
def test_migrate_takes_nothing_back(name: str) -> None:
    """To undo the migration that made reads drops them, whatever their floor."""
    with pytest.raises(CommandError, match="none is taken back") as error:
        call_command("migrate", "records", name)
    assert error.value.returncode == 2
    assert MigrationRecorder.Migration.objects.filter(app="records", name__startswith="0002").exists()


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no users")
@pytest.mark.django_db(transaction=True)
def test_migrate_by_a_user_who_does_not_own_the_tables_says_who_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (owner,) = cursor.fetchone() or ("",)
        cursor.execute("CREATE ROLE hq_test_app")
        cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO hq_test_app")
        cursor.execute("SET ROLE hq_test_app")
    try:
        assert cli.main(["migrate"]) == 3
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP OWNED BY hq_test_app")
            cursor.execute("DROP ROLE hq_test_app")
    (line,) = capsys.readouterr().err.splitlines()
    assert f"may not change the tables: run migrate as {owner}" in line


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("serve --port 99999", "argument --port: '99999' is no port: 1 to 65535"),
        ("serve --proxy proxy.example.gov", "'proxy.example.gov' is neither an address nor a network"),
        ("subscribe --port 99999", "argument --port: '99999' is no port: 1 to 65535"),
        ("publish-lists --port 0", "argument --port: '0' is no port: 1 to 65535"),
        ("log verify --from 0", "argument --from: '0' is no row: 1 or more"),
    ],
)
def test_argument_that_cannot_be_is_a_mistake_of_usage(
    capsys: pytest.CaptureFixture[str], command: str, says: str
) -> None:
    assert cli.main(command.split()) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(says)


def test_every_command_on_records_refuses_such_a_database() -> None:
    """Those that do not make, mend or judge it, or refuse it in their own way."""
    others = {"backup", "demo", "doctor", "migrate", "restore", "serve", "verify_package"}
    apps = get_commands()
    for name in set(cli.commands()) - others:
        assert isinstance(load_command_class(apps[name], name), RecordsCommand), name


def _run(folder: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run `platewarden-hq` in a process of its own, with no setting but its folder and those in `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLATEWARDEN", "DATABASE", "DJANGO"))}
    return subprocess.run(
        [sys.executable, "-m", "hq.cli", *words],
        cwd=ROOT,
        env=kept | {"PLATEWARDEN_HQ_DATA": str(folder)} | extra,
        capture_output=True,
        text=True,
        check=False,
    )


def test_database_that_is_away_is_no_lack_of_the_site_so_that_the_service_starts_again(
    tmp_path: Path,
) -> None:
    """After a power cut HQ may be up before its database server: exit 3 would keep it from starting again."""
    done = _run(tmp_path / "data", "serve", DATABASE_URL=AWAY)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("refused by database: cannot be opened: connection failed: ")
    assert line.endswith("; see DATABASE_URL")


def test_address_that_is_in_use_may_be_free_when_the_service_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It tries each few seconds: no row of the log tells of a start that was none."""
    _founded(tmp_path)
    monkeypatch.setattr(disks, "state", lambda folder: disks.State(disks.Kept.ENCRYPTED, "dm-0 is dm-crypt"))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as end:
        call_command("serve", port=taken.getsockname()[1])
    assert end.value.code == 1
    assert capsys.readouterr().err.endswith(": Address already in use\n")
    assert not chain.AccessRecord.objects.filter(action="system.serve").exists()


@pytest.mark.parametrize(
    ("name", "value", "command", "code", "says"),
    [
        ("DATABASE_URL", "localhost/hq", "doctor", 3, "DATABASE_URL: wants sqlite:///FILE or postgres://"),
        ("DATABASE_URL", "mysql://hq:secret@db/hq", "doctor", 3, "DATABASE_URL: wants sqlite:///FILE or"),
        ("DATABASE_URL", AWAY, "upkeep", 1, "database: connection failed: "),
        (
            "DATABASE_URL",
            "sqlite:////proc/hq.sqlite3",
            "migrate",
            1,
            "database: unable to open",
        ),
        ("PLATEWARDEN_HQ_DATA", "/proc/hq", "doctor", 3, "PLATEWARDEN_HQ_DATA: No such file or directory"),
        ("PLATEWARDEN_HQ_SMTP_PORT", "smtp", "mail", 3, "PLATEWARDEN_HQ_SMTP_PORT: 'smtp' is no port"),
        ("PLATEWARDEN_HQ_SMTP_PORT", "65536", "mail", 3, "PLATEWARDEN_HQ_SMTP_PORT: '65536' is no port"),
        ("PLATEWARDEN_HQ_TIME_ZONE", "US/Pacfic", "serve", 3, "PLATEWARDEN_HQ_TIME_ZONE: 'US/Pacfic' is no"),
    ],
)
def test_mistake_in_the_settings_or_a_database_that_is_away_is_told_in_one_line(
    tmp_path: Path, name: str, value: str, command: str, code: int, says: str
) -> None:
    done = _run(tmp_path / "data", *command.split(), **{name: value})
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert says in line
    assert "secret" not in line


def test_reader_who_goes_away_is_no_error(tmp_path: Path) -> None:
    """`doctor | head -1`."""
    end, kept = os.pipe()
    os.close(end)
    done = subprocess.run(
        [sys.executable, "-m", "hq.cli", "--help"],
        cwd=ROOT,
        env=os.environ | {"PLATEWARDEN_HQ_DATA": str(tmp_path)},
        stdout=kept,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(kept)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.slow
@pytest.mark.clause("430.1")
def test_empty_folder_refuses_to_serve_with_exit_3(tmp_path: Path) -> None:
    assert _run(tmp_path / "data", "migrate").returncode == 0
    done = _run(tmp_path / "data", "serve")
    assert done.returncode == 3
    assert "430.1" in done.stderr
    assert "Traceback" not in done.stderr
