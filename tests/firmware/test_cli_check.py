"""`platewarden check`: what it finds in a unit's set-up without starting it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from firmware import config
from firmware.certificate import read_certificate
from firmware.commands.check import Finding, Outcome, check
from firmware.config import Settings
from firmware.errors import ConfigError, IoError
from firmware.hotlist import build
from firmware.store import LOCK, Store
from firmware.store_db import FILE
from mqtt.client import read_password
from mqtt.fields import time_text
from plates.words import AlarmClass, HotListEntry
from tests.broker import Certificates
from tests.firmware.store_samples import SetClock
from tests.users import NOBODY, another_user

ROOT = Path(__file__).resolve().parents[2]
BOTH = ["store.directory", "hotlist.file"]


def settings(folder: Path, *overrides: str) -> Settings:
    base = [
        "unit.id=unit-7",
        f"detector.models={folder}/models",
        f"store.directory={folder}/store",
        "store.min_free_mb=1",
        f"hotlist.file={folder}/hotlist.sqlite",
        "camera.source=street",
    ]
    return config.load([], environ={}, overrides=[*base, *overrides])


@contextmanager
def owner_of(folder: Path) -> Iterator[None]:
    """Be the owner of `folder` and what it holds, who may not write everywhere as root may."""
    list(check(settings(folder)))  # Has everything imported, which another user might not be able to.
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    with another_user():
        yield


def about(subject: str, found: Settings) -> Finding:
    """The one finding about `subject`."""
    (finding,) = [finding for finding in check(found) if finding.subject == subject]
    return finding


def test_each_model_that_is_missing_is_told(tmp_path: Path) -> None:
    found = settings(tmp_path)
    for kind in ("locator", "corners", "ocr"):
        finding = about(f"model {kind}", found)
        assert finding.outcome is Outcome.PROBLEM
        assert f"{kind}.t" in finding.text


def test_a_model_that_is_not_the_one_of_its_sidecar_is_told(tmp_path: Path) -> None:
    models = ROOT / "models"
    (tmp_path / "models").mkdir()
    for name in (
        "locator.tflite",
        "locator.toml",
        "corners.tflite",
        "corners.toml",
        "ocr.tflite",
        "ocr.toml",
    ):
        (tmp_path / "models" / name).write_bytes((models / name).read_bytes())
    found = settings(tmp_path)
    digest = hashlib.sha256((models / "ocr.tflite").read_bytes()).hexdigest()
    assert digest[:12] in about("model ocr", found).text
    assert about("model corners", found).outcome is Outcome.OK
    damaged = bytearray((models / "ocr.tflite").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "models" / "ocr.tflite").write_bytes(damaged)
    assert about("model ocr", found).outcome is Outcome.PROBLEM
    assert about("model locator", found).outcome is Outcome.OK


def test_the_stores_folder_is_judged_and_not_made(tmp_path: Path) -> None:
    assert about("store.directory", settings(tmp_path)).outcome is Outcome.NOTE
    assert not (tmp_path / "store").exists()
    (tmp_path / "store").mkdir()
    assert about("store.directory", settings(tmp_path)).outcome is Outcome.OK
    full = settings(tmp_path, "store.min_free_mb=1000000")
    assert "less than store.min_free_mb" in about("store.directory", full).text
    file = tmp_path / "file"
    file.write_text("")
    finding = about("store.directory", settings(tmp_path, f"store.directory={file}/store"))
    assert finding.outcome is Outcome.PROBLEM


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_this_user_may_not_write_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert about("store.directory", settings(tmp_path)).outcome is Outcome.PROBLEM
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", [FILE, f"{FILE}-wal", LOCK, "pictures", "pictures/0a"])
def test_a_part_of_the_store_that_this_user_may_not_write_is_a_problem(name: str) -> None:
    """Such as one that a command of root's left: `run` would lose each read."""
    with tempfile.TemporaryDirectory() as folder:
        found = settings(Path(folder))
        part = found.store.directory / name
        Store.open(found.store.directory, SetClock()).close()
        part.parent.mkdir(exist_ok=True)
        part.mkdir() if name.startswith("pictures") else part.touch()
        with owner_of(Path(folder)):
            assert about("store.directory", found).outcome is Outcome.OK
            part.chmod(0o500 if part.is_dir() else 0o400)
            finding = about("store.directory", found)
    assert finding.outcome is Outcome.PROBLEM
    assert f"{part} cannot be written by this user" in finding.text


@pytest.mark.parametrize(
    ("shown", "problems"),
    [
        ("ProtectSystem=strict\nReadWritePaths=\nStateDirectory=platewarden", BOTH),
        ("ProtectSystem=strict\nReadWritePaths=-/srv {disk}/store\nStateDirectory=platewarden", BOTH[1:]),
        ("ProtectSystem=strict\nReadWritePaths=/srv -{disk}\nStateDirectory=platewarden", []),
        ("ProtectSystem=strict\nReadWritePaths={disk}s\nStateDirectory=platewarden", BOTH),
        ("ProtectSystem=no\nReadWritePaths=\nStateDirectory=", []),
        ("", []),
    ],
)
def test_a_folder_that_the_services_sandbox_keeps_closed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, problems: list[str]
) -> None:
    """systemd, here what its systemctl prints, would start the unit ten times and then the board anew."""
    disk, etc = tmp_path / "a disk", tmp_path / "etc"
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(f"#!/bin/sh\ncat <<END\n{shown.format(disk=disk)}\nEND\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(config, "ETC", etc)
    etc.mkdir()
    (etc / "hq.pub").write_text("ab" * 32)
    file = etc / "platewarden.toml"
    file.write_text(
        f"""[unit]\nid = "unit-7"\n[camera]\nsource = "street"\n[store]\ndirectory = "{disk}/store"
        [hotlist]\nfile = "{disk}/lists/hot.sqlite"\n[mqtt]\nlist_key_file = "hq.pub"\n"""
    )
    findings = [found for found in check(config.load([file], environ={})) if found.subject == "service"]
    assert [finding.text.partition(":")[0] for finding in findings] == problems
    assert all(finding.outcome is Outcome.PROBLEM and str(disk) in finding.text for finding in findings)
    elsewhere = config.load([file], environ={}, overrides=[f"store.directory={tmp_path}/elsewhere"])
    told = [found.text for found in check(elsewhere) if found.subject == "service"]
    assert not any(text.startswith("store.directory") for text in told)


def test_a_hot_list_of_garbage_is_a_problem_and_none_a_note(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert about("hotlist.file", found).outcome is Outcome.NOTE
    found.hotlist.file.write_bytes(b"garbage" * 1000)
    finding = about("hotlist.file", found)
    assert finding.outcome is Outcome.PROBLEM
    assert str(found.hotlist.file) in finding.text


def test_an_old_hot_list_is_a_note(tmp_path: Path) -> None:
    found = settings(tmp_path)
    build(found.hotlist.file, [], version="7", issued_at=time_text(datetime.now(UTC)))
    finding = about("hotlist.file", found)
    assert (finding.outcome, finding.text) == (Outcome.OK, "version 7, 0 entries")
    build(found.hotlist.file, [], version="8", issued_at=time_text(datetime.now(UTC) - timedelta(days=5)))
    finding = about("hotlist.file", found)
    assert (finding.outcome, finding.text) == (Outcome.NOTE, "version 8, 0 entries, 120 hours old")
    past = HotListEntry(
        plate="TEST123",
        state="CA",
        alarm_class=AlarmClass.STOLEN_VEHICLE,
        reason="",
        source="CLEW",
        case_number="",
        expiry="2026-01-31",
    )
    build(found.hotlist.file, [past], version="9", issued_at=time_text(datetime.now(UTC)))
    finding = about("hotlist.file", found)
    assert (finding.outcome, finding.text) == (
        Outcome.NOTE,
        "version 9, 1 entries; all of CLEW have expired",
    )


def test_every_file_that_a_person_writes_may_begin_as_windows_notepad_has_it(tmp_path: Path) -> None:
    files = {
        "unit.toml": f"""[unit]\r\nid = "unit-7"\r\n[store]\r\ndirectory = "{tmp_path}/store"\r\n
            [camera]\r\nsource = "street"\r\n[access]\r\npeople = "people.toml"\r\n
            [mqtt]\r\nusername = "u"\r\npassword_file = "password"\r\nlist_key_file = "hq.pub"\r\n""",
        "people.toml": """[x]\r\nname = "X"\r\ntitle = "T"\r\nagency = "A"\r\ncourse = "C"\r\n
            trained_until = 2027-01-01\r\n""",
        "password": "secret\r\n",
        "hq.pub": "ab" * 32 + "\r\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        (tmp_path / name).chmod(0o600)
    found = config.load([tmp_path / "unit.toml"], environ={})
    assert read_password(found.mqtt) == "secret"
    for subject in ("access.people", "mqtt", "mqtt.list_key_file"):
        assert about(subject, found).outcome is Outcome.OK
    (tmp_path / "unit.toml").write_bytes(b"\xef\xbb\xbf[unit\n")
    with pytest.raises(ConfigError, match=r"unit\.toml:1: is not valid TOML: expected '\]'"):
        config.load([tmp_path / "unit.toml"], environ={})


def test_every_mistake_of_the_people_file_is_told(tmp_path: Path) -> None:
    assert about("access.people", settings(tmp_path)).outcome is Outcome.NOTE
    people = tmp_path / "people.toml"
    found = settings(tmp_path, f"access.people={people}")
    assert about("access.people", found).outcome is Outcome.PROBLEM
    people.write_text("[people.x]\nname = 3\ntitle = 4\n")
    lines = [finding for finding in check(found) if finding.subject == "access.people"]
    assert len(lines) >= 2
    assert all(line.outcome is Outcome.PROBLEM for line in lines)


def test_tls_files_are_tried(tmp_path: Path) -> None:
    assert about("mqtt", settings(tmp_path)).text == "127.0.0.1:1883 with plain MQTT"
    assert about("mqtt", settings(tmp_path, "mqtt.enabled=false")).outcome is Outcome.NOTE
    garbage = tmp_path / "ca.pem"
    garbage.write_text("no certificate")
    finding = about("mqtt", settings(tmp_path, "mqtt.tls=true", f"mqtt.ca_file={garbage}"))
    assert finding.outcome is Outcome.PROBLEM
    assert str(garbage) in finding.text


@pytest.mark.parametrize(
    ("name", "good_for", "extra", "outcomes", "told"),
    [
        ("unit-7", timedelta(days=400), (), [Outcome.OK], "unit-7, good until"),
        ("unit-7", timedelta(days=29), (), [Outcome.NOTE], "expires within 29 days"),
        ("unit-7", timedelta(hours=-1), (), [Outcome.PROBLEM], "expired at"),
        ("pole 8", timedelta(days=400), (), [Outcome.PROBLEM], "its common name is 'pole 8', not unit.id"),
        ("pole 8", timedelta(hours=-1), (), [Outcome.PROBLEM] * 2, "expired at"),
        (
            "pole 8",
            timedelta(days=400),
            ("mqtt.username=u", "mqtt.password_file={folder}/password"),
            [Outcome.OK],
            "pole 8, good until",
        ),
    ],
)
def test_the_client_certificates_dates_and_name_are_told(
    tmp_path: Path,
    name: str,
    good_for: timedelta,
    extra: tuple[str, ...],
    outcomes: list[Outcome],
    told: str,
) -> None:
    """What a broker that refuses a unit for its certificate does not say."""
    certificates = Certificates(tmp_path / "tls")
    certificates.make(name, good_for)
    for secret in (tmp_path / "tls" / f"{name}.key", tmp_path / "password"):
        secret.touch()
        secret.chmod(0o600)
    tls = [f"mqtt.{key}_file={tmp_path}/tls/{file}" for key, file in _tls_files(name).items()]
    found = settings(tmp_path, "mqtt.tls=true", *tls, *(one.format(folder=tmp_path) for one in extra))
    findings = [finding for finding in check(found) if finding.subject == "mqtt.cert_file"]
    assert [finding.outcome for finding in findings] == outcomes
    assert told in findings[-1].text


def test_a_key_with_a_pass_phrase_is_a_problem_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    """A technician at a terminal would type it, and the service would end at each start."""
    Certificates(tmp_path / "tls").make("unit-7", timedelta(days=400))
    key, locked = tmp_path / "tls" / "unit-7.key", tmp_path / "tls" / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked], check=True
    )
    key.chmod(0o600)
    locked.chmod(0o600)
    tls = {**_tls_files("unit-7"), "key": "locked.key"}
    options = [f"mqtt.{name}_file={tmp_path}/tls/{file}" for name, file in tls.items()]
    finding = about("mqtt", settings(tmp_path, "mqtt.tls=true", *options))
    assert finding.outcome is Outcome.PROBLEM
    assert finding.text.startswith(f"mqtt.key_file: {locked}: has a pass phrase")


@pytest.mark.parametrize("section", ["mqtt", "homeassistant"])
def test_a_password_that_cannot_be_sent_is_a_problem(tmp_path: Path, section: str) -> None:
    """The unit would end with it at each start."""
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    options = [f"{section}.enabled=true", f"{section}.username=u", f"{section}.password_file={password}"]
    found = settings(tmp_path, *options)
    assert about(section, found) == Finding(Outcome.OK, section, "127.0.0.1:1883 with plain MQTT")
    for content, text in ((b"", "is empty"), (b"\xff", "can't decode")):
        password.write_bytes(content)
        finding = about(section, found)
        assert finding.outcome is Outcome.PROBLEM
        assert finding.text.startswith(f"{section}.password_file: ")
        assert text in finding.text


def test_home_assistants_tls_files_are_tried(tmp_path: Path) -> None:
    garbage = tmp_path / "ca.pem"
    garbage.write_text("no certificate")
    options = ["homeassistant.enabled=true", "homeassistant.tls=true", f"homeassistant.ca_file={garbage}"]
    finding = about("homeassistant", settings(tmp_path, *options))
    assert finding.outcome is Outcome.PROBLEM
    assert finding.text.startswith(f"homeassistant.ca_file: {garbage}: ")


def test_the_keys_of_hot_lists_are_tried_and_none_is_made(tmp_path: Path) -> None:
    key, secret = tmp_path / "hq.pub", tmp_path / "unit.key"
    key.write_text("ab" * 32)
    found = settings(tmp_path, f"mqtt.list_key_file={key}", f"mqtt.list_secret_file={secret}")
    assert about("mqtt.list_key_file", found).outcome is Outcome.OK
    assert about("mqtt.list_secret_file", found).outcome is Outcome.NOTE
    assert not secret.exists()
    secret.touch(0o600)
    assert about("mqtt.list_secret_file", found).outcome is Outcome.NOTE
    assert secret.read_bytes() == b""
    key.write_text("ab" * 31)
    assert about("mqtt.list_key_file", found).outcome is Outcome.PROBLEM
    secret.write_text("cd" * 32)
    secret.chmod(0o604)
    assert "open to every user" in about("mqtt.list_secret_file", found).text
    secret.chmod(0o600)
    assert about("mqtt.list_secret_file", found).outcome is Outcome.OK
    secret.write_text("no key")
    finding = about("mqtt.list_secret_file", found)
    assert (finding.outcome, "no key" in finding.text) == (Outcome.PROBLEM, False)
    nowhere = settings(tmp_path, f"mqtt.list_key_file={key}", f"mqtt.list_secret_file={tmp_path}/no/unit.key")
    assert about("mqtt.list_secret_file", nowhere).outcome is Outcome.PROBLEM


def test_a_closed_folder_above_a_file_is_one_finding(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    places = [f"store.directory={closed}/a/store", f"hotlist.file={closed}/a/list.sqlite"]
    found = settings(tmp_path, *places, f"camera.source=folder:{closed}/pictures")
    list(check(found))  # Has everything imported, which another user might not be able to.
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        findings = list(check(found))
    finally:
        if root:
            os.seteuid(0)
        closed.chmod(0o700)
    for subject in ("store.directory", "hotlist.file", "camera.source"):
        (finding,) = [finding for finding in findings if finding.subject == subject]
        assert finding.outcome is Outcome.PROBLEM
        assert str(closed) in finding.text
    assert findings[-1].subject == "camera.source"


def _tls_files(name: str) -> dict[str, str]:
    return {"ca": "ca.pem", "cert": f"{name}.pem", "key": f"{name}.key"}


def test_a_certificate_that_cannot_be_looked_at_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Certificates(tmp_path).make("unit-7")
    (tmp_path / "unit-7.key").chmod(0o600)
    tls = [f"mqtt.{key}_file={tmp_path}/{file}" for key, file in _tls_files("unit-7").items()]
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = about("mqtt.cert_file", settings(tmp_path, "mqtt.tls=true", *tls))
    assert (finding.outcome, "openssl is not installed" in finding.text) == (Outcome.NOTE, True)
    monkeypatch.undo()
    with pytest.raises(IoError, match=r"unit-7\.key: is no certificate"):
        read_certificate(tmp_path / "unit-7.key")


def test_what_the_camera_needs_is_there(tmp_path: Path) -> None:
    assert about("camera.source", settings(tmp_path)).outcome is Outcome.OK
    for source in (f"folder:{tmp_path}/none", f"video:{tmp_path}/none.mp4"):
        finding = about("camera.source", settings(tmp_path, f"camera.source={source}"))
        assert finding.outcome is Outcome.PROBLEM
        assert f"{tmp_path}/none" in finding.text
    assert (
        about("camera.source", settings(tmp_path, f"camera.source=folder:{tmp_path}")).outcome is Outcome.OK
    )


def test_all_problems_are_told_in_one_run_with_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "unit.toml"
    file.write_text(
        '[unit]\nid = "unit-7"\n[detector]\nmodels = "models"\n[store]\ndirectory = "unit.toml/store"\n'
        '[hotlist]\nfile = "unit.toml"\n[camera]\nsource = "folder:none"\n[access]\npeople = "none.toml"\n'
    )
    found = subprocess.run(
        [sys.executable, "-m", "firmware.cli", "check", "--config", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 1
    subjects = [line.split(": ")[1] for line in found.stderr.splitlines()]
    assert subjects == [
        "model locator",
        "model corners",
        "model ocr",
        "store.directory",
        "hotlist.file",
        "access.people",
        "camera.source",
    ]
    assert all(line.startswith("problem: ") for line in found.stderr.splitlines())
    assert f"ok: configuration: {file}" in found.stdout
