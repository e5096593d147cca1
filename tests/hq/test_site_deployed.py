"""What a production site is: Django's own deployment check, the commands and units that the docs name."""

from __future__ import annotations

import importlib
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, connection
from django.test import Client

from hq import cli
from hq.site import doctor, logs
from tests.hq import kept

ROOT = Path(__file__).resolve().parents[2]
RUNNING = (ROOT / "docs" / "hq-running.md").read_text()


@pytest.fixture
def production(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Every setting as a production start reads it from its environment."""
    for name in [n for n in os.environ if n.startswith("PLATEWARDEN_HQ")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PLATEWARDEN_HQ_SECRET_KEY", secrets.token_urlsafe(50))
    monkeypatch.setenv("PLATEWARDEN_HQ_HOSTS", "hq.example.gov")
    module = importlib.import_module("hq.settings")
    held = importlib.reload(module)
    for name in dir(held):
        if name.isupper() and name not in ("DATABASES", "DATA", "MEDIA_ROOT", "ALLOWED_HOSTS"):
            setattr(settings, name, getattr(held, name))
    settings.ALLOWED_HOSTS = held.ALLOWED_HOSTS
    yield settings
    monkeypatch.undo()
    importlib.reload(module)


@pytest.mark.clause("430.5-0")
@pytest.mark.clause("CJIS SC-8")
def test_djangos_deployment_check_has_nothing_to_say(production: Any) -> None:
    found = run_checks(include_deployment_checks=True)
    assert [check for check in found if not check.is_silenced()] == []
    assert production.SILENCED_SYSTEM_CHECKS == ["axes.W006"]


@pytest.mark.clause("CJIS SC-8")
@pytest.mark.django_db
def test_production_answers_nothing_on_plain_http_but_the_way_to_tls(production: Any) -> None:
    plain = Client().get("/people/login/", headers={"host": "hq.example.gov"})
    assert plain.status_code == 301
    assert plain.headers["Location"] == "https://hq.example.gov/people/login/"
    tls = Client().get("/people/login/", headers={"host": "hq.example.gov"}, secure=True)
    assert tls.status_code == 200
    assert tls.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert tls.cookies["csrftoken"]["secure"]
    assert Client().get("/people/login/", headers={"host": "evil.example"}, secure=True).status_code == 400


@pytest.mark.clause("430.7-b")
@pytest.mark.django_db
def test_log_of_the_process_names_no_mistyped_address_and_a_wrong_host_in_one_line(
    production: Any, caplog: pytest.LogCaptureFixture
) -> None:
    host = {"host": "hq.example.gov"}
    assert Client().get("/api/v1/reads/7ABC123", headers=host, secure=True).status_code == 404
    assert "7ABC123" not in caplog.text
    assert Client().get("/people/login/", headers={"host": "hq"}, secure=True).status_code == 400
    (record,) = caplog.records
    assert "Invalid HTTP_HOST header: 'hq'" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.django_db
def test_every_page_leads_to_the_source_of_the_running_version(client: Client, settings: Any) -> None:
    """Also the one before log-in, as whoever uses it over a network must get it (AGPL, section 13)."""
    shown = client.get("/people/login/").content.decode()
    assert re.search(r'<a href="/source/">\s*source of this version', shown)
    settings.SOURCE = "https://code.example.gov/platewarden/v1"
    assert 'href="https://code.example.gov/platewarden/v1"' in client.get("/people/login/").content.decode()


def test_every_command_in_the_docs_is_one_of_hqs() -> None:
    named = set(re.findall(r"platewarden-hq ([a-z][a-z-]+)", RUNNING))
    assert {"backup", "restore", "serve", "subscribe", "upkeep", "log", "doctor"} <= named
    assert {name.replace("-", "_") for name in named} <= set(cli.commands())


def test_every_unit_in_the_docs_runs_a_command_and_is_confined() -> None:
    units = re.findall(r"```ini\n# /etc/systemd/system/(\S+\.service)\n(.*?)```", RUNNING, re.DOTALL)
    assert {name for name, _ in units} >= {"platewarden-hq@.service", "platewarden-hq-serve.service"}
    for name, text in units:
        command = re.search(
            r"^ExecStart=/opt/platewarden/\.venv/bin/platewarden-hq (\S+)$", text, re.MULTILINE
        )
        assert command is not None, name
        assert command[1] in ("%i", *cli.commands()), name
        for line in ("User=platewarden-hq", "NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0077"):
            assert line in text, name


@pytest.mark.clause("430.7-b")
def test_no_proxy_in_the_docs_writes_addresses_down() -> None:
    """An address may hold plate text, and HQ's own access record is the one that counts.

    Of a request that fails while HQ is away both proxies would write the address with the error.
    """
    nginx = re.search(r"```nginx\n(.*?)```", RUNNING, re.DOTALL)
    caddy = re.search(r"```caddy\n(.*?)```", RUNNING, re.DOTALL)
    assert nginx is not None
    assert "access_log off;" in nginx[1]
    assert re.search(r"^    error_log \S+ crit;$", nginx[1], re.MULTILINE)
    assert "proxy_buffering off;" in nginx[1]
    # A directive that nginx has from 1.25.1 on only keeps Debian 12's from starting.
    assert not re.search(r"^\s*http2 on;", nginx[1], re.MULTILINE)
    assert caddy is not None
    assert re.findall(r"^\s*log\b.*\n\s*(.*)", caddy[1], re.MULTILINE) == ["exclude http.log.error"]


@pytest.mark.clause("430.7-b")
@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite keeps no log")
def test_doctor_warns_of_what_postgresql_writes_into_its_own_log() -> None:
    """A statement that fails is written down there with its plates, until the docs' words are followed."""

    def told() -> str:
        return " ".join(found.what for found in doctor.findings() if found.rule == "430.7-b")

    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL log_min_error_statement = 'error'; SET LOCAL log_error_verbosity = 'default'"
        )
        assert "log_error_verbosity = default, log_min_error_statement = error" in told()
        words = re.findall(r"^ALTER DATABASE hq (SET log_.*;)$", RUNNING, re.MULTILINE)
        for word in words:
            cursor.execute(word.replace("SET", "SET LOCAL", 1))
        assert told() == ""
        cursor.execute("SET LOCAL log_min_duration_statement = 500")
        assert "log_min_duration_statement = 500" in told()


@pytest.mark.clause("430.7-b")
def test_traceback_in_the_log_tells_no_row_that_postgresql_did_not_take() -> None:
    row = "DETAIL:  Failing row contains (gate-1, 7QZX881, a note\n\nof lines, 7QZX882)."
    statement = "LINE 1: INSERT ... VALUES ('7QZX883'"
    said = 'null value in column "confidence" violates not-null constraint'
    try:
        try:
            raise ValueError(f"{said}\n{row}")
        except ValueError as error:
            raise IntegrityError(f"{said}\n{statement}") from error
    except IntegrityError:
        record = logging.LogRecord("django.request", 40, __file__, 1, "failed: /x", (), sys.exc_info())
    told = logs.OneLine("%(message)s").format(record)
    assert "7QZX88" not in told
    assert told.count(said) == 2
    assert "The above exception was the direct cause" in told


@pytest.mark.clause("430.7-b")
@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite's errors tell no row")
def test_error_of_postgresql_is_logged_without_its_row(caplog: pytest.LogCaptureFixture) -> None:
    plate = "7QZX881"
    try:
        kept.read(plate, pictures=(), confidence=None)
    except IntegrityError as error:
        assert plate in str(error)
        logging.getLogger("django.request").exception("failed")
    (record,) = caplog.records
    record.exc_text = None
    told = logs.OneLine("%(message)s").format(record)
    assert "confidence" in told
    assert plate not in told
