"""The demonstration site: broker, unit on the rendered street and HQ, all on this machine.

Owns the site's folder and its processes; `make run` is `python -m firmware.demo`. Everything in it is marked
as a demonstration: the plates are drawn, so their text may be printed. Where the records system is not
installed, as on a unit, `listen --as-hq` stands in for it.

    SITE/platewarden.toml   the unit's configuration
    SITE/people.toml        who may see plate text
    SITE/hotlist.sqlite     entries for some of the plates that the street will show
    SITE/unit/              the unit's store
    SITE/hq/                what HQ keeps
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

from firmware import hotlist
from firmware.commands.status import is_running
from firmware.errors import Exit, FirmwareError, IoError
from firmware.measure import coming
from mqtt.fields import time_text
from mqtt.records import Hit, Read
from plates.words import AlarmClass, HotListEntry

SITE: Final = Path(".demo")
SEED: Final = 1
AHEAD: Final = 400
"""Passages of the street, from its first, whose plates may be on the hot list: about half an hour."""
LEGIBLE: Final = 60.0
"""Plate width at the closest look, pixels, of the plates that are listed."""
START_S: Final = 10.0
"""How long the broker may take to listen."""
PAGES_PORT: Final = 8430
END_S: Final = 10.0
"""How long each process may take to stop before it is killed."""


class Terminal:
    """One tidy line for each read and hit, with the paths of the pictures."""

    def __init__(self, out: IO[str] | None = None) -> None:
        self._out = out or sys.stdout

    def show(self, read: Read, hits: Sequence[Hit], pictures: Sequence[Path]) -> None:
        """Print what a unit kept. Only for a site that is marked as a demonstration."""
        again = "" if read.revision == 1 else f"  revision {read.revision}"
        parked = "  parked" if read.parked else ""
        looks = f"{read.agreeing} of {read.looks} looks"
        self._print(f"read  {read.plate:<8} {read.confidence:4.2f}  {looks}{parked}{again}")
        for path in pictures:
            self._print(f"      {_near(path)}")
        for hit in hits:
            what = "HIT WITHDRAWN" if hit.withdrawn else f"HIT   {hit.entry_plate:<8} {hit.score:4.2f}"
            self._print(
                f"{what}  {hit.kind}, {hit.alarm_class.replace('_', ' ')}: {hit.reason}  {hit.status}"
            )

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@dataclass(frozen=True, slots=True)
class Process:
    """One child of the site."""

    name: str
    popen: subprocess.Popen[str]
    reader: threading.Thread


class Site:
    """The processes of one site, started in order, stopped in reverse.

    Attributes:
        folder: the site's.
        unheard: the reader of our output has gone away.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unheard = False
        self._processes: list[Process] = []
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        """Start a child whose lines are printed behind the time and its name, with `env` added to ours."""
        # A session of its own: Ctrl-C reaches this process only, which then stops them in order.
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
        assert popen.stdout is not None
        reader = threading.Thread(target=self._print_all, args=(name, popen.stdout), daemon=True)
        reader.start()
        process = Process(name, popen, reader)
        self._processes.append(process)
        return process

    def await_end(self, process: Process, stop: threading.Event) -> bool:
        """Wait for a child that is to end by itself; whether it did so with code 0 before `stop` was set."""
        while process.popen.poll() is None:
            if stop.wait(0.1):
                return False
        process.reader.join(END_S)
        self._processes.remove(process)
        if process.popen.returncode:
            self.say("site", f"{process.name} ended with code {process.popen.returncode}")
        return process.popen.returncode == 0

    def ended(self) -> Process | None:
        """A process that has ended by itself, None while all go on."""
        return next((one for one in self._processes if one.popen.poll() is not None), None)

    def stop(self) -> None:
        """Stop all of them, the last started first."""
        while self._processes:
            process = self._processes.pop()
            if process.popen.poll() is None:
                process.popen.terminate()
                try:
                    process.popen.wait(END_S)
                except subprocess.TimeoutExpired:
                    self.say("site", f"{process.name} does not stop; killed")
                    process.popen.kill()
                    process.popen.wait()
            process.reader.join(END_S)

    def say(self, name: str, line: str) -> None:
        """Print one line; where nobody reads any more (`| head`), into nowhere from then on."""
        with self._lock:
            try:
                print(f"{time.monotonic() - self._started:7.1f} s  {name:<5} {line}", flush=True)
            except BrokenPipeError:
                self.unheard = True
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _print_all(self, name: str, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                # TensorFlow Lite greets on stderr, and no option silences it.
                if "XNNPACK delegate" not in line:
                    self.say(name, line.rstrip())


def run_site(folder: Path, frames: int | None = None) -> int:
    """Prepare the site in `folder` and run it until Ctrl-C, SIGTERM, or the end of one of its processes.

    Args:
        folder: made where it is missing; what an earlier run left in it stays.
        frames: the unit ends after so many frames, and the site with it.

    Raises IoError where mosquitto is missing or does not start.
    """
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")
    if mosquitto is None:
        raise IoError("mosquitto is not installed; on Debian: sudo apt-get install mosquitto")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    port = _free_port()
    prepare(folder, port)
    site = Site(folder)
    platewarden = [sys.executable, "-m", "firmware.cli"]
    try:
        site.start("mqtt", [mosquitto, "-c", str(folder / "mosquitto.conf")])
        _await_port(port, site, stop)
        count = [] if frames is None else ["--count", str(frames), "--wait", "60"]
        site.start("unit", [*platewarden, "--config", str(folder / "platewarden.toml"), "run", *count])
        if not records_system():
            command = ["listen", "--as-hq", str(folder / "hq"), "--port", str(port), "--demo"]
            site.start("hq", [*platewarden, *command])
        elif not _start_hq(site, folder / "hq", port, stop):
            return Exit.OK if stop.is_set() else Exit.FAILED
        site.say("site", f"the demonstration runs in {_near(folder.absolute())}; Ctrl-C stops it")
        while not stop.wait(0.2):
            if site.unheard:
                return Exit.FAILED
            ended = site.ended()
            if ended is not None:
                site.say("site", f"{ended.name} ended with code {ended.popen.returncode}")
                return Exit.OK if frames is not None and ended.popen.returncode == 0 else Exit.FAILED
        return Exit.OK
    finally:
        site.stop()
        site.say("site", "stopped")


def records_system() -> bool:
    """Whether HQ and what it needs are installed beside the unit's packages."""
    return all(importlib.util.find_spec(name) is not None for name in ("hq", "django", "uvicorn"))


def _start_hq(site: Site, folder: Path, port: int, stop: threading.Event) -> bool:
    """Build the demo agency, which prints its log-ins, then take in what the unit sends and serve pages."""
    env = {"PLATEWARDEN_HQ_DEMO": "1", "PLATEWARDEN_HQ_DATA": str(folder)}
    command = [sys.executable, "-m", "hq.cli"]
    if not site.await_end(site.start("hq", [*command, "demo"], env), stop):
        return False
    site.start("hq", [*command, "subscribe", "--port", str(port)], env)
    pages = _free_port(PAGES_PORT)
    site.start("pages", [*command, "serve", "--port", str(pages)], env)
    site.say("site", f"HQ's pages: http://127.0.0.1:{pages}/")
    return True


def prepare(folder: Path, port: int) -> None:
    """Write the site's configuration, people and hot list into `folder`.

    Raises IoError where it holds the configuration of a unit that is no demonstration, or one that runs: its
    port and list would be another's under it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_running(folder / "unit"):
        raise IoError(f"{folder}: a demonstration runs here already; for a second one: make run ARGS=FOLDER")
    config = folder / "platewarden.toml"
    if config.exists() and not config.read_text(errors="replace").startswith(_MARK):
        raise IoError(f"{config}: is no demonstration's and would be overwritten; name another folder")
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\nlog_dest stderr\n"
    )
    (folder / "platewarden.toml").write_text(_CONFIG.format(port=port, seed=SEED))
    (folder / "people.toml").write_text(
        _PEOPLE.format(until=f"{datetime.now(UTC) + timedelta(days=365):%Y-%m-%d}")
    )
    _write_hot_list(folder / "hotlist.sqlite")


def _write_hot_list(path: Path) -> None:
    """A list of some of the plates that the street will show: exact ones, one of them under an amber
    alert, and a partial one of a major incident."""
    now = datetime.now(UTC)
    shown = [one.text for one in coming(SEED, None, AHEAD) if one.width >= LEGIBLE]
    entries = [
        _entry(text, *_REASONS[number % len(_REASONS)], expiry=f"{now + timedelta(days=1):%Y-%m-%d}")
        for number, text in enumerate(shown[1::2])
    ]
    hotlist.build(path, entries, version=f"{now:%Y%m%dT%H%M%S}", issued_at=time_text(now))


def _entry(text: str, alarm_class: AlarmClass, reason: str, *, expiry: str) -> HotListEntry:
    partial = alarm_class is AlarmClass.MAJOR_INCIDENT_PARTIAL
    return HotListEntry(
        plate=f"{text[:2]}??{text[4:]}" if partial else text,
        state="",
        alarm_class=alarm_class,
        reason=reason,
        source="manual",
        case_number="DEMO-1",
        expiry=expiry,
        priority=100 if alarm_class is AlarmClass.AMBER_ALERT else 50,
        partial=partial,
    )


_REASONS: Final = (
    (AlarmClass.STOLEN_VEHICLE, "demonstration: stolen on Monday"),
    (AlarmClass.AMBER_ALERT, "demonstration: child last seen in it"),
    (AlarmClass.MAJOR_INCIDENT_PARTIAL, "demonstration: a witness saw a part of it"),
    (AlarmClass.WANTED_PERSON_VEHICLE, "demonstration: its owner is wanted"),
)

_MARK: Final = "# A demonstration:"
_CONFIG = (
    f"{_MARK} the street is rendered, its plates are invented.\n"
    + """\
[unit]
id = "demo"
demo = true

[camera]
source = "street"
name = "street"
seed = {seed}

[hotlist]
file = "hotlist.sqlite"

[store]
directory = "unit"
min_free_mb = 50

[access]
people = "people.toml"

[mqtt]
port = {port}
status_interval_s = 10

[log]
level = "warning"
"""
)

_PEOPLE = """\
# Who may see plate text at the demonstration site (430.3(d)).
[demo]
name = "D. Visitor"
title = "Visitor"
agency = "Demonstration"
course = "none; the plates are invented"
trained_until = {until}
"""


def _free_port(wanted: int = 0) -> int:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", wanted))
        except OSError:
            sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _await_port(port: int, site: Site, stop: threading.Event) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and not stop.is_set() and site.ended() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            stop.wait(0.05)
    if not stop.is_set():
        raise IoError(f"mosquitto does not listen on port {port}")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m firmware.demo`."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=SITE, help="the site's folder (default %(default)s)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="end after N frames")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the site; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m firmware.demo", description="A whole simulated site.")
    configure(parser)
    args = parser.parse_args(argv)
    try:
        return run_site(args.folder, args.count)
    except FirmwareError as error:
        print(f"platewarden: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"platewarden: {error.filename or 'the site'}: {error.strerror}", file=sys.stderr)
        return Exit.IO


if __name__ == "__main__":
    sys.exit(main())
