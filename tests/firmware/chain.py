"""A unit's store and publisher, and a listener as HQ, in threads of the test, joined by a real broker."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from firmware import config
from firmware.listen import Listener
from firmware.listen_lists import ListServer
from firmware.listen_store import FILE, ListenStore
from firmware.publisher import Publisher
from firmware.store import Store
from mqtt import outbox
from mqtt.records import Read
from mqtt.settings import MqttSettings
from tests.firmware import store_samples
from tests.firmware.store_samples import SetClock

FAST = (
    "mqtt.backoff_min_s=0.1",
    "mqtt.backoff_max_s=0.3",
    "mqtt.receipt_timeout_s=1",
    "mqtt.keepalive_s=5",
)
"""Patience for tests."""


def wait_for(what: Callable[[], object], seconds: float = 15.0) -> None:
    """Return as soon as `what()` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)


class _Thread:
    """Runs `target(stop)`; an exception in it fails the test at `stop`."""

    def __init__(self, target: Callable[[threading.Event], None], wake: Callable[[], None]) -> None:
        self._target = target
        self._wake = wake
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._target(self._stop)
        except BaseException as error:
            self._error = error

    def stop(self) -> None:
        self._stop.set()
        self._wake()
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


class Unit:
    """A store with a publisher."""

    def __init__(self, folder: Path, port: int, name: str = "pole-1", overrides: Sequence[str] = ()) -> None:
        self.folder = folder
        self.clock = SetClock()
        self.store = Store.open(folder, self.clock)
        self.settings = config.load(
            [],
            environ={},
            overrides=[
                f"unit.id={name}",
                f"store.directory={folder}",
                f"hotlist.file={folder / 'hotlist.sqlite'}",
                f"mqtt.port={port}",
                *FAST,
                *overrides,
            ],
        )
        self.publisher: Publisher
        self._thread: _Thread | None = None

    def start(self) -> Unit:
        self.publisher = Publisher(self.settings, self.clock)
        self._thread = _Thread(self.publisher.run, self.publisher.wake)
        return self

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def add(self, count: int = 1, pictures: bool = False) -> list[Read]:
        reads = []
        for number in range(count):
            read = store_samples.read(self.clock)
            stored = self.store.add(read, (), store_samples.pair(number) if pictures else {})
            assert stored is not None
            reads.append(stored)
        self.publisher.wake()
        return reads

    def queue(self) -> int:
        db = sqlite3.connect(self.folder / "platewarden.sqlite")
        try:
            return outbox.counts(db).queue
        finally:
            db.close()

    def __enter__(self) -> Unit:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.store.close()


class Hq:
    """A listener that keeps what comes."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        lists: ListServer | None = None,
        demo: bool = False,
        settings: MqttSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.folder = folder
        self._now = now
        self.lines: list[str] = []
        self._lists = lists
        self._demo = demo
        self._settings = settings or MqttSettings(
            port=port, backoff_min_s=0.1, backoff_max_s=0.3, keepalive_s=5
        )
        self._thread: _Thread | None = None

    def start(self) -> Hq:
        ready = threading.Event()
        wakes: list[Callable[[], None]] = []

        def run(stop: threading.Event) -> None:
            store = ListenStore(self.folder)
            try:
                listener = Listener(
                    self._settings,
                    store.client_id,
                    self.lines.append,
                    store=store,
                    lists=self._lists,
                    demo=self._demo,
                    now=self._now,
                )
                wakes.append(listener.wake)
                ready.set()
                listener.run(stop)
            finally:
                ready.set()
                store.close()

        self._thread = _Thread(run, lambda: wakes[0]())
        assert ready.wait(10)
        return self

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def query(self, sql: str) -> list[tuple[object, ...]]:
        db = sqlite3.connect(self.folder / FILE)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def read_ids(self) -> list[str]:
        return [str(row[0]) for row in self.query("SELECT read_id FROM reads ORDER BY rowid")]

    def __enter__(self) -> Hq:
        self.start()
        wait_for(lambda: "broker     connected" in self.lines)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
