"""The whole process on a scripted board: threads, broker, subscriber, stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware import app
from firmware.errors import ConfigError, StoreError
from firmware.store import Store
from firmware.store_queries import ReadQuery
from firmware.tasks import TaskDied, Tasks
from hw.protocols import CameraError
from mqtt.records import Hit, Read
from tests.broker import Broker, free_port
from tests.firmware.board import Board, Car, Script, Unit, passage
from tests.firmware.chain import FAST, Hq, wait_for
from tests.firmware.store_samples import HASH, SetClock

MIN_CONFIDENCE = 0.5


@dataclass(frozen=True)
class Model:
    sha256: str = HASH


class Models:
    """The scripted board as a reader with models."""

    min_confidence = MIN_CONFIDENCE

    def __init__(self, board: Board) -> None:
        self.locate = board.locate
        self.read = board.read

    def models_info(self) -> Sequence[Model]:
        return [Model(), Model()]


class Site:
    """A unit in a folder; `run` is `platewarden run` without its command line."""

    def __init__(self, folder: Path, port: int | None, *overrides: str) -> None:
        mqtt = ("mqtt.enabled=false",) if port is None else (f"mqtt.port={port}", *FAST)
        self.folder = folder / "unit"
        self.overrides = (f"hotlist.file={folder / 'hotlist.sqlite'}", *mqtt, *overrides)
        self.tasks = Tasks()
        self.kept: list[tuple[Read, Sequence[Path]]] = []

    def run(self, script: Script, ending: app.Ending = app.NEVER) -> None:
        unit = Unit(self.folder, script, *self.overrides)
        unit.store.close()
        self.board = unit.board
        reader = Models(unit.board)
        app.serve(unit.settings, "0.1.0", reader, unit.parts.hardware, self.tasks, ending, self._keep)

    def _keep(self, read: Read, hits: Sequence[Hit], pictures: Sequence[Path]) -> None:
        self.kept.append((read, pictures))

    def plates(self) -> list[str]:
        store = Store.open(self.folder, SetClock())
        try:
            return sorted(read.plate for read in store.reads(ReadQuery()))
        finally:
            store.close()


def endless() -> Iterator[tuple[Car, ...]]:
    while True:
        yield ()


def test_every_read_reaches_the_subscriber_once_with_both_pictures(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Hq(tmp_path / "hq", broker.port) as hq:
        site = Site(tmp_path, broker.port)
        site.run([*passage("TEST123"), *passage("DEMO456")], app.Ending(wait_s=15))
        assert site.plates() == ["DEMO456", "TEST123"]
        assert sorted(str(row[0]) for row in hq.query("SELECT plate FROM reads")) == site.plates()
        assert hq.query("SELECT COUNT(*) FROM pictures") >= [(4,)]


def test_a_finite_source_ends_cleanly_although_nobody_listens(tmp_path: Path) -> None:
    site = Site(tmp_path, None)
    site.run(passage("TEST123"), app.Ending(wait_s=0.1))
    assert site.plates() == ["TEST123"]
    assert threading.active_count() == 1


def test_the_demonstration_is_told_the_pictures_files(tmp_path: Path) -> None:
    site = Site(tmp_path, None)
    site.run(passage("TEST123"))
    _, pictures = site.kept[0]
    assert len(pictures) == 2
    assert all(path.is_file() for path in pictures)


def test_once_ends_after_the_first_read(tmp_path: Path) -> None:
    site = Site(tmp_path, None)
    site.run([*passage("TEST123"), *passage("DEMO456")], app.Ending(once=True))
    assert site.plates() == ["TEST123"]


def test_a_stop_ends_an_endless_source(tmp_path: Path) -> None:
    site = Site(tmp_path, None)
    threading.Timer(0.3, site.tasks.stop.set).start()
    site.run(endless())
    assert site.board.sequence > 0


@pytest.mark.clause("430.3(c)-1")
def test_a_unit_that_needs_a_deployment_captures_nothing_without_one(tmp_path: Path) -> None:
    """It says so where HQ and the technician look, and sends what is queued all the same."""
    with Broker(tmp_path / "broker") as broker, Hq(tmp_path / "hq", broker.port) as hq:
        Site(tmp_path, free_port()).run(passage("TEST123"), app.Ending(wait_s=0.1))
        site = Site(tmp_path, broker.port, "unit.deployment_required=true")
        status = site.folder / "status.json"

        def told() -> bool:
            return status.exists() and app.NO_DEPLOYMENT in status.read_text()

        def stop() -> None:
            wait_for(lambda: told() and hq.query("SELECT COUNT(*) FROM reads") == [(1,)])
            site.tasks.stop.set()

        waiting = threading.Thread(target=stop)
        waiting.start()
        site.run(passage("DEMO456"))
        waiting.join()
        assert told()
        assert site.board.sequence == 0
        assert site.plates() == ["TEST123"]
        named = Site(tmp_path, None, "unit.deployment_required=true", "unit.deployment=26-1")
        named.run(passage("DEMO456"), app.Ending(wait_s=0.1))
        assert named.plates() == ["DEMO456", "TEST123"]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("upkeep", "firmware.upkeep.Upkeep.step"),
        ("publisher", "mqtt.drainer.Drainer.step"),
        ("homeassistant", "firmware.homeassistant.HomeAssistant.run"),
    ],
)
def test_a_dead_task_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: str
) -> None:
    """Whichever it is: a unit that reads on and sends nothing would not be noticed for weeks."""

    def die(*_: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(place, die)
    port = free_port()
    site = Site(tmp_path, port, "homeassistant.enabled=true", f"homeassistant.port={port}")
    too_late = threading.Timer(15, site.tasks.stop.set)
    too_late.start()
    try:
        with pytest.raises(TaskDied, match=name):
            site.run(endless())
        assert not too_late.finished.is_set()
    finally:
        too_late.cancel()


@pytest.mark.parametrize(("option", "more"), [("list_key_file", ()), ("ca_file", ("mqtt.tls=true",))])
def test_a_file_that_the_way_to_hq_cannot_use_is_a_wrong_configuration(
    tmp_path: Path, option: str, more: tuple[str, ...]
) -> None:
    """Exit code 3, which systemd leaves for a person: any other is restarted, and rebooted, for ever."""
    file = tmp_path / "file"
    file.write_text("half a f")
    site = Site(tmp_path, free_port(), f"mqtt.{option}={file}", *more)
    with pytest.raises(ConfigError, match=rf"^mqtt\.{option}: {file}: "):
        site.run(passage("TEST123"))


def test_a_broken_camera_is_told_while_the_outbox_drains(tmp_path: Path) -> None:
    """A unit whose camera fails still hands over what it has."""
    with Broker(tmp_path / "broker") as broker:
        site = Site(tmp_path, None)
        site.run(passage("TEST123"))
        site = Site(tmp_path, broker.port)
        with Hq(tmp_path / "hq", broker.port) as hq:
            failing = (CameraError("camera: no image") for _ in iter(int, 1))
            unit = threading.Thread(target=site.run, args=(failing,))
            unit.start()
            wait_for(lambda: hq.read_ids())
            wait_for(lambda: any("fault" in line and "no image" in line for line in hq.lines))
            site.tasks.stop.set()
            unit.join(15)
            assert not unit.is_alive()


def test_two_units_never_share_a_store(tmp_path: Path) -> None:
    first, second = Site(tmp_path, None), Site(tmp_path, None)
    unit = threading.Thread(target=first.run, args=(endless(),))
    unit.start()
    wait_for(lambda: hasattr(first, "board") and first.board.sequence)
    try:
        with pytest.raises(StoreError, match="another unit"):
            second.run(passage("TEST123"))
    finally:
        first.tasks.stop.set()
        unit.join(15)
