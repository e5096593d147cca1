"""The demonstration's terminal lines and the life of its processes."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from firmware.config import load
from firmware.demo import Site, Terminal, prepare
from firmware.errors import IoError
from firmware.store import Store
from tests import needs
from tests.firmware import store_samples as samples

READ = samples.read(samples.SetClock(), demo=True)


def lines_of(*shown: object) -> list[str]:
    out = io.StringIO()
    Terminal(out).show(*shown)  # type: ignore[arg-type]
    return out.getvalue().splitlines()


def test_a_read_is_told_with_its_pictures() -> None:
    told = lines_of(READ, (), [Path.cwd() / "site/pictures/one.jpg", Path("/elsewhere/two.jpg")])
    assert told[0].split() == ["read", "TEST123", "0.90", "2", "of", "3", "looks"]
    assert [line.strip() for line in told[1:]] == ["site/pictures/one.jpg", "/elsewhere/two.jpg"]


@pytest.mark.clause("430.3(f)")
def test_a_hit_says_how_it_matched_and_that_it_is_unverified() -> None:
    """430.3(f): a hit is a lead until somebody has verified it."""
    (_, told) = lines_of(READ, [samples.hit(READ, kind="lookalike", score=0.4)], ())
    assert "HIT" in told
    assert "lookalike" in told
    assert "stolen vehicle" in told
    assert told.endswith("UNVERIFIED")


def test_a_withdrawn_hit_and_a_revision_are_told() -> None:
    read, hit = lines_of(replace(READ, revision=2), [samples.hit(READ, withdrawn=True)], ())
    assert "revision 2" in read
    assert "HIT WITHDRAWN" in hit


def test_a_folder_with_another_unit_s_configuration_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m firmware.demo /etc/platewarden` must not make a demonstration of a unit."""
    config = tmp_path / "platewarden.toml"
    config.write_text('[unit]\nid = "unit-7"\n')
    with pytest.raises(IoError, match="is no demonstration's and would be overwritten"):
        prepare(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["platewarden.toml"]
    assert config.read_text() == '[unit]\nid = "unit-7"\n'
    config.unlink()
    prepare(tmp_path, 1)
    prepare(tmp_path, 2)
    assert load([config], environ={}).mqtt.port == 2


def test_a_folder_in_which_a_demonstration_runs_is_left_alone(tmp_path: Path) -> None:
    """A second `make run` gave the first one's files another port and hot list before it ended."""
    prepare(tmp_path, 1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with closing(Store.open(tmp_path / "unit", samples.SetClock())) as store:
        store.sweep()
        with pytest.raises(IoError, match=r"a demonstration runs here already; .* make run ARGS=FOLDER"):
            prepare(tmp_path, 2)
    assert {path: path.read_bytes() for path in before} == before
    prepare(tmp_path, 2)


def test_what_nobody_reads_ends_the_site_in_peace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make run | head`: the children's lines are still taken, or they would wait for room for ever."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        site = Site(tmp_path)
        child = site.start("loud", [sys.executable, "-c", "print('x\\n' * 100_000)"])
        assert child.popen.wait(20) == 0
        site.stop()
        site.say("site", "stopped")
    assert site.unheard


def test_processes_stop_in_reverse_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path)
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye', flush=True)))\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    out = ""
    for name in ("first", "second"):
        site.start(name, [sys.executable, "-c", script])
        while f"{name} up" not in " ".join(out.split()):
            time.sleep(0.01)
            out += capfd.readouterr().out
    assert site.ended() is None
    site.stop()
    said = capfd.readouterr().out
    assert 0 < said.index("second") < said.index("first")


def test_a_process_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start("unit", [sys.executable, "-c", "raise SystemExit(3)"])
    ended = None
    while ended is None:
        ended = site.ended()
    assert (ended.name, ended.popen.returncode) == ("unit", 3)
    site.stop()


def demonstration(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    needs.program("mosquitto")
    return subprocess.Popen(
        [sys.executable, "-m", "firmware.demo", str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def plates(database: Path, query: str) -> dict[str, str]:
    with closing(sqlite3.connect(database)) as db:
        return {UUID(read).hex: plate for read, plate in db.execute(query)}


@pytest.mark.slow
def test_the_demonstration_reads_and_both_ends_agree(tmp_path: Path) -> None:
    with demonstration(tmp_path, "--count", "150") as site:
        out, _ = site.communicate(timeout=240)
    assert site.returncode == 0, out
    assert "read  " in out
    unit = plates(tmp_path / "unit/platewarden.sqlite", "SELECT read_id, plate FROM reads ORDER BY revision")
    hq = plates(tmp_path / "hq/hq.sqlite3", "SELECT id, text FROM records_read WHERE unit_id = 'demo'")
    assert unit == hq != {}
    named = [Path(line.split()[-1]) for line in out.splitlines() if " unit " in line and ".jpg" in line]
    assert named
    assert all(path.is_file() for path in named)


@pytest.mark.slow
def test_an_interrupted_demonstration_leaves_no_process_and_exits_with_0(tmp_path: Path) -> None:
    with demonstration(tmp_path) as site:
        assert site.stdout is not None
        out = ""
        while "the demonstration runs in" not in out:
            line = site.stdout.readline()
            assert line, out
            out += line
        children = Path(f"/proc/{site.pid}/task/{site.pid}/children").read_text().split()
        assert len(children) == 4  # broker, unit, subscriber and pages
        os.kill(site.pid, signal.SIGINT)
        rest, _ = site.communicate(timeout=60)
    assert site.returncode == 0, out + rest
    assert not any(Path(f"/proc/{child}").exists() for child in children)
