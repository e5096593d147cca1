"""A broker, units that send through their real outbox, and HQ's real subscriber in processes of its own.

`Hq` is a database, a folder of pictures and subscribers that can be killed; `SendingUnit` is a thread with a
unit's outbox, drainer and connection.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from mqtt import messages, outbox, topics
from mqtt.client import Incoming, Link
from mqtt.drainer import Drainer
from mqtt.fields import time_text
from mqtt.messages import encode_record
from mqtt.outbox import Kind
from mqtt.records import Receipt
from mqtt.settings import MqttSettings
from tests.hq.ingest_site import read_with_picture
from tests.mqtt import samples

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def manage(folder: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one of HQ's management commands on the data in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "django", *words],
        cwd=ROOT,
        env=environ(folder) | extra,
        capture_output=True,
        text=True,
        check=False,
    )


def environ(folder: Path) -> dict[str, str]:
    """The environment of a process of HQ whose data is in `folder`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PLATEWARDEN")}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "hq.settings",
        "PLATEWARDEN_HQ_DATA": str(folder),
        "PYTHONPATH": str(ROOT),
    }


class Hq:
    """HQ's data below `folder`, copied from an empty migrated database, and its subscribers."""

    def __init__(
        self,
        folder: Path,
        empty: Path,
        port: int,
        units: tuple[str, ...] = ("unit-1",),
        logs: Path | None = None,
    ) -> None:
        self.folder = folder
        self._logs = logs or folder.parent
        self.port = port
        self.database = folder / "hq.sqlite3"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(exist_ok=True)
        shutil.copy(empty, self.database)
        with closing(sqlite3.connect(self.database)) as db, db:
            for unit in units:
                db.execute(
                    "INSERT INTO records_unit (unit_id, name, state, category, registered_at)"
                    " VALUES (?, '', 'enrolled', 'alpr', '2026-01-01 00:00:00')",
                    (unit,),
                )

    def __enter__(self) -> Hq:
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self._processes):
            self.kill(name)

    def start(self, name: str = "hq", *words: str) -> None:
        """Start a subscriber."""
        assert name not in self._processes
        command = [
            sys.executable,
            "-m",
            "django",
            "subscribe",
            "--port",
            str(self.port),
            "--name",
            name,
            *words,
        ]
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=environ(self.folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, name: str = "hq") -> None:
        """SIGKILL; it must have lived until now."""
        process = self._processes.pop(name)
        alive = process.poll() is None
        process.kill()
        process.wait()
        assert alive, self.log(name)

    def stop(self, name: str = "hq") -> int:
        """SIGTERM, as systemd does; its exit code."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(30)

    def wait_for(self, what: Callable[[], object], why: str, seconds: float = PATIENCE_S) -> None:
        """Wait until `what` is true. The subscribers must go on living meanwhile."""
        end = time.monotonic() + seconds
        while not what():
            for name, process in self._processes.items():
                assert process.poll() is None, self.log(name)
            assert time.monotonic() < end, f"{why}: not within {seconds:.0f} s"
            time.sleep(0.02)

    def log(self, name: str = "hq") -> str:
        """What a subscriber said, over all its starts."""
        return (self._logs / f"{name}.log").read_text()[-3000:]

    def ask(self, question: str, *values: object) -> list[tuple[object, ...]]:
        """Ask HQ's database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as db:
            return db.execute(question, values).fetchall()

    def change(self, statement: str, *values: object) -> None:
        """Change HQ's database by hand."""
        with closing(sqlite3.connect(self.database, timeout=20)) as db, db:
            db.execute(statement, values)

    def check(self, *units: SendingUnit, quarantined: int = 0) -> None:
        """HQ has every record of the units once, with its pictures, without a gap and as it was sent.

        So many had lain in quarantine and been admitted.
        """
        sent = [row for unit in units for row in unit.rows()]
        kinds = {kind: [row for row in sent if row[1] == kind] for kind in Kind}
        for kind, table in (("read", "read"), ("hit", "hit"), ("picture", "picture"), ("loss", "loss")):
            ((count,),) = self.ask(f"SELECT COUNT(*) FROM records_{table}")
            assert count == len(kinds[Kind(kind)]), f"{kind}s: {count} here, {len(kinds[Kind(kind)])} sent"
        digests = {hashlib.sha256(row[3]).hexdigest() for row in kinds[Kind.READ]}
        assert {row[0] for row in self.ask("SELECT digest FROM records_read")} == digests
        for name, sha256, missing in self.ask("SELECT file, sha256, missing FROM records_picture"):
            assert not missing
            data = (self.folder / "pictures" / str(name)).read_bytes()
            assert hashlib.sha256(data).hexdigest() == sha256
        admitted = self.ask("SELECT COUNT(*), COUNT(admitted_at) FROM records_quarantined")
        assert admitted == [(quarantined, quarantined)]
        assert self.ask("SELECT COUNT(*) FROM records_gap") == [(0,)]
        series = dict(self.ask("SELECT unit_id, contiguous FROM records_series"))
        assert series == {unit.name: len(unit.rows()) for unit in units}
        new = self.ask("SELECT SUM(new), SUM(quarantined) FROM records_transfer")
        assert new == [(len(sent), quarantined)], "the transfer log does not add up"
        assert self.ask("PRAGMA integrity_check") == [("ok",)]


class SendingUnit:
    """A unit's way to HQ: its real outbox, drainer and connection in a thread, with records made by `add`."""

    def __init__(self, folder: Path, port: int, name: str = "unit-1", **settings: object) -> None:
        self.name = name
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        values: dict[str, object] = {
            "port": port,
            "keepalive_s": 5,
            "connect_timeout_s": 2.0,
            "backoff_min_s": 0.1,
            "backoff_max_s": 0.3,
            "receipt_timeout_s": 2.0,
        }
        self._settings = MqttSettings(**values | settings)  # type: ignore[arg-type]
        with closing(outbox.open_database(folder / "outbox.sqlite")) as db, db:
            outbox.create_tables(db)
            self.store_id = outbox.store_id(db)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._made = 0
        self.receipts: list[int] = []

    def __enter__(self) -> SendingUnit:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def add(self, passages: int) -> None:
        """Queue so many passages: a read, its plate picture, and now and then a hit or a loss."""
        with closing(outbox.open_database(self._folder / "outbox.sqlite")) as db, db:
            for _ in range(passages):
                self._made += 1
                number = self._made
                read, header, data = read_with_picture(
                    hash((self.name, number)), plate=f"7TST{number % 1000:03d}"
                )
                (self._folder / f"{read.read_id}.jpg").write_bytes(data)
                outbox.append(db, Kind.READ, read.read_id, encode_record(read), None, read.read_id)
                body = encode_record(header)
                outbox.append(db, Kind.PICTURE, f"{read.read_id}.jpg", body, None, read.read_id)
                if number % 5 == 0:
                    hit = samples.hit(read.read_id)
                    outbox.append(db, Kind.HIT, hit.hit_id, encode_record(hit), None, read.read_id)
                if number % 7 == 0:
                    outbox.append(db, Kind.LOSS, "", encode_record(samples.loss()), None)

    def rows(self) -> list[tuple[int, str, str, bytes]]:
        """Everything that was ever queued: number, kind, ref, body."""
        with closing(sqlite3.connect(self._folder / "outbox.sqlite", timeout=20)) as db:
            return db.execute("SELECT sequence, kind, ref, body FROM outbox").fetchall()

    def waiting(self) -> int:
        """How many rows HQ has not receipted."""
        with closing(sqlite3.connect(self._folder / "outbox.sqlite", timeout=20)) as db:
            (count,) = db.execute("SELECT COUNT(*) FROM outbox WHERE receipted_at IS NULL").fetchone()
            return int(count)

    def _run(self) -> None:
        with closing(outbox.open_database(self._folder / "outbox.sqlite")) as db:
            link = Link(
                self._settings,
                self.name,
                [topics.everything_down(self.name)],
                on_message=lambda message: self._receipt(drainer, message),
                on_published=lambda token, fault: drainer.published(token, fault),
                on_up=lambda: drainer.up(link.broker_receives, link.maximum_packet),
                on_down=lambda: drainer.down(),
            )
            drainer = Drainer(
                db,
                self.name,
                self._settings,
                load=lambda ref: (self._folder / ref).read_bytes(),
                send=link.publish,
                wall=lambda: time_text(datetime.now(UTC)),
            )
            with closing(link):
                busy = False
                while not self._stop.is_set():
                    link.step(0.0 if busy else 0.05)
                    busy = drainer.step()

    def _receipt(self, drainer: Drainer, message: Incoming) -> None:
        record = messages.decode("receipt", message.payload).record
        assert isinstance(record, Receipt)
        if record.store_id == self.store_id:
            self.receipts.append(record.sequence)
        drainer.receipt(record)
