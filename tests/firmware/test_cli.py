"""The command line as a technician and a service manager see it: exit codes, help, errors in one line."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from detector.errors import ModelError
from firmware import cli
from firmware.errors import AccessError, ConfigError, Exit, IoError, StoreError, UsageError
from hw.protocols import CameraError
from mqtt.errors import LinkError, OutboxError
from plates.errors import PatternError

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "commands.md"


def platewarden(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PLATEWARDEN")}
    return subprocess.run(
        [sys.executable, "-m", "firmware.cli", *map(str, arguments)],
        cwd=ROOT,
        env=environ | more.pop("env", {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    file = tmp_path / "unit.toml"
    file.write_text('[unit]\nid = "unit-7"\n[store]\ndirectory = "store"\n[hotlist]\nfile = "hot.sqlite"\n')
    return file


def test_configuration_is_printed_with_its_origins(unit: Path) -> None:
    found = platewarden(
        "config", "--config", unit, "--set", "mqtt.port=1999", env={"PLATEWARDEN__LOG__LEVEL": "debug"}
    )
    assert found.returncode == 0, found.stderr
    lines = {" ".join(line.split()) for line in found.stdout.splitlines()}
    assert f'id = "unit-7" # {unit}:2' in lines
    assert "port = 1999 # --set" in lines
    assert 'level = "debug" # environment PLATEWARDEN__LOG__LEVEL' in lines
    assert "window = 200 # default" in lines


def test_only_what_differs_is_printed(unit: Path) -> None:
    found = platewarden("config", "--config", unit, "--changed", "--set", "mqtt.port=1883")
    options = [line.split(" = ")[0] for line in found.stdout.splitlines() if " = " in line]
    assert options == ["id", "file", "directory"]


def test_options_stand_before_or_after_the_command(unit: Path) -> None:
    before = platewarden("--config", unit, "--set", "mqtt.port=1999", "config")
    after = platewarden("config", "--config", unit, "--set", "mqtt.port=1999")
    both = platewarden("--set", "mqtt.port=1", "config", "--config", unit, "--set", "mqtt.port=1999")
    assert before.stdout == after.stdout == both.stdout
    assert before.returncode == 0


def test_a_bad_configuration_ends_with_3_and_all_lines(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[unit]\nid = "no spaces please"\n[mqtt]\nport = 0\nhots = "x"\n')
    for command in ("config", "check", "status"):
        found = platewarden(command, "--config", file)
        assert found.returncode == Exit.CONFIG == 3
        assert [line.split(": ")[1] for line in found.stderr.splitlines()] == [
            "unit.id",
            "mqtt.port",
            "mqtt.hots",
        ]
        assert found.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "COMMAND"),
        (("chekc",), "did you mean check?"),
        (("zebra",), "the commands are run, check,"),
        (("--bogus", "config"), "--bogus"),
        (("config", "--bogus"), "--bogus"),
        (("read",), "IMAGE"),
        (("read", "x.jpg", "--min-confidence", "1.5"), "is no number from 0 to 1"),
        (("read", "x.jpg", "--threads", "0"), "is no number from 1 to 64"),
    ],
)
def test_wrong_usage_ends_with_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_a_name_that_is_empty_is_refused_and_not_the_folder_that_one_stands_in(unit: Path) -> None:
    """As from a script whose variable is not set."""
    found = platewarden("read", "")
    assert (found.returncode, found.stdout) == (2, "")
    assert "'' names no file" in found.stderr
    for source in ("folder:", "video:"):
        found = platewarden("run", "--config", unit, "--camera", source)
        assert found.returncode == 3
        assert f'camera.source: "{source}" is not allowed' in found.stderr


@pytest.mark.parametrize("name", ["bench", "listen"])
@pytest.mark.parametrize("option", [("--config", "unit.toml"), ("--set", "mqtt.port=1999")])
def test_a_command_that_reads_no_configuration_refuses_one(
    capsys: pytest.CaptureFixture[str], name: str, option: tuple[str, str]
) -> None:
    for arguments in ([*option, name], [name, *option]):
        # An option that is wrong in itself, so that nothing starts where the configuration is ignored.
        wrong = ["--passages", "0"] if name == "bench" else ["--hotlist", "x.csv"]
        assert cli.main([*arguments, *wrong]) == Exit.USAGE
        assert "reads no configuration" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    assert "--config" not in capsys.readouterr().out


def _config_into(output: IO[str], unit: Path) -> subprocess.CompletedProcess[str]:
    """The command `config` with its output there."""
    return subprocess.run(
        [sys.executable, "-m", "firmware.cli", "config", "--config", unit],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_reader_that_goes_away_is_no_traceback(unit: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        found = _config_into(gone, unit)
    assert (found.returncode, found.stderr) == (1, "")


def command_that(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    """Stands in for every command's module: raises `error`."""

    def run(args: argparse.Namespace) -> int:
        if error:
            raise error
        return 0

    module = SimpleNamespace(HELP="", configure=lambda parser: None, run=run)
    monkeypatch.setattr(cli, "command_module", lambda name: module)
    monkeypatch.setattr(cli, "set_up_log", lambda level, verbose: None)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (AccessError("no purpose"), 1, "platewarden: no purpose"),
        (PatternError("too wide"), 1, "platewarden: too wide"),
        (UsageError("not both"), 2, "platewarden: not both"),
        (ConfigError(["a: one", "b: two"]), 3, "a: one\nb: two"),
        (IoError("x: gone"), 4, "platewarden: x: gone"),
        (ModelError("ocr.tflite: wrong hash"), 4, "platewarden: ocr.tflite: wrong hash"),
        (CameraError("camera: silent"), 4, "platewarden: camera: silent"),
        (LinkError("mqtt.host: no"), 4, "platewarden: mqtt.host: no"),
        (
            FileNotFoundError(2, "No such file or directory", "/x"),
            4,
            "platewarden: /x: No such file or directory",
        ),
        (StoreError("store: locked"), 5, "platewarden: store: locked"),
        (OutboxError("outbox: no table"), 5, "platewarden: outbox: no table"),
        (sqlite3.OperationalError("disk I/O error"), 5, "platewarden: disk I/O error"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_expected_error_is_its_line_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    command_that(monkeypatch, error)
    assert cli.main(["purge"]) == code
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError("no file is named"), KeyError("x")])
def test_a_defect_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    command_that(monkeypatch, error)
    with pytest.raises(type(error)):
        cli.main(["purge"])


def test_the_journal_gets_a_severity_for_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        cli.set_up_log("warning", verbose=False)
        (handler,) = root.handlers
        record = logging.LogRecord("hw.pi", logging.ERROR, "", 0, "camera: %s", ("lost\nagain",), None)
        assert handler.format(record) == "<3>hw.pi: camera: lost\n<3>again"
        assert root.level == logging.WARNING
        cli.set_up_log("warning", verbose=True)
        assert root.level == logging.DEBUG
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def test_help_lists_every_command() -> None:
    found = platewarden("--help")
    assert found.returncode == 0, found.stderr
    for name in cli.COMMANDS:
        assert f"\n  {name} " in found.stdout
    assert "3 configuration" in found.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_command_has_help_and_is_documented_with_every_option(name: str) -> None:
    module = cli.command_module(name)
    assert module.HELP
    assert "\n" not in module.HELP
    text = DOCS.read_text()
    assert f"\n## {name}\n" in text, f"docs/commands.md has no section on {name}"
    section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
    for word in sorted(words(module)):
        assert f"`{word}" in section, f"docs/commands.md, section {name}, does not name {word}"


def words(module: Any) -> set[str]:
    """Every long option and every subcommand that a command's parser knows."""
    parser = argparse.ArgumentParser(add_help=False)
    module.configure(parser)
    found: set[str] = set()
    todo = [parser]
    while todo:
        for action in todo.pop()._actions:
            found |= {option for option in action.option_strings if option.startswith("--")}
            if isinstance(action, argparse._SubParsersAction):
                found |= set(action.choices)
                todo += action.choices.values()
    return found - {"--help"}


def test_every_module_of_a_command_is_in_the_table() -> None:
    modules = {path.stem for path in (ROOT / "firmware" / "commands").glob("*.py")} - {"__init__"}
    assert modules == set(cli.COMMANDS)


def test_a_command_imports_no_other() -> None:
    code = (
        "import sys; from firmware import cli; cli.main(['config', '--set', 'unit.id=a']); "
        "print([name for name in sys.modules if name.startswith('firmware.commands.')])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "['firmware.commands.config']"


def test_a_full_disk_behind_the_output_is_one_line(unit: Path) -> None:
    with Path("/dev/full").open("w") as full:
        found = _config_into(full, unit)
    assert found.returncode == Exit.IO
    assert found.stderr == "platewarden: what was to be written cannot be: No space left on device\n"


def test_closed_streams_do_not_hand_their_numbers_to_files(unit: Path) -> None:
    """What is printed must not end up in the first file that is opened, such as the store."""
    listed = unit.with_name("list.csv")
    listed.write_text("plate,class,expiry\nABC1234,stolen_vehicle,2999-01-01\n")
    command = f"exec {sys.executable} -m firmware.cli --config {unit} hotlist import {listed} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, timeout=60, check=False).returncode == 0
    shown = platewarden("hotlist", "show", "--config", unit)
    assert "1 entries" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [("reads", "show", b"\xff"), ("hotlist", "show", "--person", b"\xff"), ("config", "--set", b"\xff")],
)
def test_an_argument_that_is_no_utf_8_is_refused(arguments: tuple[str | bytes, ...], unit: Path) -> None:
    texts = [os.fsdecode(one) for one in arguments]
    found = platewarden("--config", unit, *texts)
    assert found.returncode == Exit.USAGE
    assert found.stderr.endswith("is no text in UTF-8\n")
    assert len(found.stderr.splitlines()) == 1


def test_options_of_every_command_may_stand_after_an_action(unit: Path) -> None:
    listed = unit.with_name("list.csv")
    listed.write_text("plate,class,expiry\nABC1234,stolen_vehicle,2999-01-01\n")
    other = unit.with_name("other.sqlite")
    sets = ["--set", "log.level=error", "hotlist", "--set", "mqtt.port=1999", "import", listed]
    found = platewarden(*sets, "--config", unit, "--set", f"hotlist.file={other}")
    assert (found.returncode, found.stderr) == (0, "")
    assert other.exists()
