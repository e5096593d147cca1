"""A whole site for tests of faults: a real broker, a unit's real process, and a real subscriber as HQ.

Each part can be killed and started again. `Site.committed` is what the unit's database holds now, asked
from outside; `Site.check` compares it with what HQ has.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from firmware import hotlist
from firmware.store_db import FILE as UNIT_FILE
from plates.words import AlarmClass, HotListEntry
from tests.broker import Broker

ROOT = Path(__file__).resolve().parents[2]
START_S = 30.0
SETTLE_S = 60.0


class Site:
    """Broker, unit and HQ below `folder`; the unit's and HQ's logs are there as well.

    `camera` is the source of the unit's images; without one the unit is the scripted one, whose camera
    `switch` turns off. `port` is where the unit finds the broker, which a proxy may stand before;
    `options` are further options of the unit, by "section.key".
    """

    def __init__(
        self,
        folder: Path,
        camera: str = "",
        *,
        persistence: bool = True,
        port: int | None = None,
        options: Mapping[str, object] | None = None,
        store: Path | None = None,
        broker: Broker | None = None,
    ) -> None:
        self.folder = folder
        self.store = store or folder / "unit"
        self.broker = broker or Broker(folder / "broker", persistence=persistence)
        self.config = folder / "unit.toml"
        self.switch = folder / "camera"
        self._scripted = not camera
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        values: dict[str, object] = {
            "unit.id": "unit-1",
            "camera.source": camera or "street",
            "camera.width": 640,
            "camera.height": 360,
            "camera.fps": 10.0,
            "passage.rearm_s": 0.0,
            "hotlist.file": str(folder / "hotlist.sqlite"),
            "store.directory": str(self.store),
            "store.min_free_mb": 1,
            "mqtt.port": port or self.broker.port,
            "mqtt.keepalive_s": 5,
            "mqtt.connect_timeout_s": 2.0,
            "mqtt.backoff_min_s": 0.1,
            "mqtt.backoff_max_s": 0.5,
            "mqtt.receipt_timeout_s": 2.0,
            "mqtt.status_interval_s": 1.0,
        }
        values |= options or {}
        hotlist.build(folder / "hotlist.sqlite", _listed(), version="1", issued_at="")
        sections: dict[str, list[str]] = {}
        for key, value in values.items():
            section, _, name = key.partition(".")
            sections.setdefault(section, []).append(f"{name} = {json.dumps(value)}")
        self.config.write_text(
            "".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())
        )

    def __enter__(self) -> Site:
        self.broker.start()
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self._processes):
            self.kill(name)
        self.broker.stop()

    # The processes

    def start_unit(self, *words: str) -> None:
        """Start the unit, its real process with the real models or the scripted one."""
        module = (
            ["tests.system.scripted_unit", str(self.switch)] if self._scripted else ["firmware.cli", "run"]
        )
        self._start("unit", ["-m", *module, "--config", str(self.config), *words])

    def drain(self) -> None:
        """Run the unit for one image and until HQ has receipted all that is queued."""
        self.start_unit("--count", "1", "--wait", str(SETTLE_S))
        assert self.wait("unit", SETTLE_S + START_S) == 0, self.log("unit")[-3000:]
        waiting = self.ask(self.store / UNIT_FILE, "SELECT COUNT(*) FROM outbox WHERE receipted_at IS NULL")
        assert waiting == [(0,)], "HQ has not receipted everything"

    def start_hq(self) -> None:
        """Start the subscriber that keeps and receipts."""
        self._start(
            "hq",
            [
                "-m",
                "firmware.cli",
                "listen",
                "--port",
                str(self.broker.port),
                "--as-hq",
                str(self.folder / "hq"),
            ],
        )

    def is_alive(self, name: str) -> bool:
        return self._processes[name].poll() is None

    def kill(self, name: str) -> None:
        """SIGKILL; it may have ended by itself."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        """SIGTERM, as systemd does; its exit code."""
        self._processes[name].send_signal(signal.SIGTERM)
        return self.wait(name)

    def wait(self, name: str, seconds: float = START_S) -> int:
        """Wait for the end of a process that ends by itself; its exit code."""
        return self._processes.pop(name).wait(seconds)

    def log(self, name: str) -> str:
        """What a process said, over all its starts."""
        return (self.folder / f"{name}.log").read_text()

    def _start(self, name: str, command: Sequence[str]) -> None:
        assert name not in self._processes
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PLATEWARDEN")}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    # What they hold

    def committed(self) -> dict[str, int]:
        """The revision of every read in the unit's database, by read id."""
        return dict(self.ask(self.store / UNIT_FILE, "SELECT read_id, revision FROM reads"))

    def losses(self) -> dict[str, int]:
        """What the unit counted as lost, by kind."""
        return dict(self.ask(self.store / UNIT_FILE, "SELECT kind, SUM(count) FROM losses GROUP BY kind"))

    def status(self) -> dict[str, Any]:
        """The unit's last status at HQ; empty before the first."""
        rows = self.hq("SELECT record FROM status")
        return dict(json.loads(str(rows[0][0]))) if rows else {}

    def hq(self, question: str) -> list[tuple[object, ...]]:
        """Ask HQ's database."""
        return self.ask(self.folder / "hq" / "listen.sqlite", question)

    @staticmethod
    def ask(path: Path, question: str) -> list[tuple[object, ...]]:
        """The rows of a question to a database that may not be there yet."""
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            try:
                return db.execute(question).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def wait_for(self, what: Callable[[], object], why: str, seconds: float = START_S) -> None:
        """Wait until `what` is true. The unit must go on living meanwhile, where it was started."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"{why}: not within {seconds:.0f} s\n{self.log('unit')[-2000:]}"
            time.sleep(0.02)

    def wait_for_reads(self, count: int) -> None:
        """Wait for so many more reads than there are now."""
        before = len(self.committed())
        self.wait_for(lambda: len(self.committed()) >= before + count, f"{count} more reads")

    def check(self, committed: Mapping[str, int]) -> None:
        """No read of `committed` is lost on the unit; HQ has each once, with its pictures, without a gap.

        The unit must have ended after `drain`.
        """
        here = self.committed()
        for read_id, revision in committed.items():
            assert here.get(read_id, 0) >= revision, "a committed read is lost on the unit"
        queued = self.ask(self.store / UNIT_FILE, "SELECT kind, COUNT(*) FROM outbox GROUP BY kind")
        kinds: Counter[str] = Counter({str(kind): int(str(count)) for kind, count in queued})
        reads = self.hq("SELECT read_id, MAX(revision) FROM reads GROUP BY read_id")
        assert dict(reads) == here, "HQ's reads are not the unit's"
        assert self.hq("SELECT COUNT(*) FROM reads") == [(kinds["read"],)], "a revision is lost or twice"
        pictures = self.hq("SELECT path, sha256 FROM pictures")
        assert len(pictures) == kinds["picture"]
        for path, sha256 in pictures:
            data = (self.folder / "hq" / str(path)).read_bytes()
            assert hashlib.sha256(data).hexdigest() == sha256
        assert self.hq("SELECT COUNT(*) FROM hits") == [(kinds["hit"],)]
        assert self.hq("SELECT COUNT(*) FROM losses") == [(kinds["loss"],)]
        assert self.hq("SELECT COUNT(*) FROM quarantine") == [(0,)]
        last = self.ask(self.store / UNIT_FILE, "SELECT MAX(sequence) FROM outbox")
        assert self.hq("SELECT contiguous FROM series") == last, "there is a gap in the numbers"
        assert self.ask(self.store / UNIT_FILE, "PRAGMA integrity_check") == [("ok",)]


def _listed() -> Iterator[HotListEntry]:
    """Every other plate of the scripted board is on the hot list."""
    for number in range(0, 1000, 2):
        yield HotListEntry(
            plate=f"TEST{number:03d}",
            state="",
            alarm_class=AlarmClass.STOLEN_VEHICLE,
            reason="test",
            source="manual",
            case_number="T-1",
            expiry="2099-12-31",
        )
