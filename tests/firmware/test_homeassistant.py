"""Home Assistant discovery at the owner's own broker, a real mosquitto."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from firmware.commands.check import Outcome, check
from firmware.homeassistant import HomeAssistant
from mqtt import outbox
from mqtt.client import Incoming, Link
from mqtt.errors import LinkError
from mqtt.messages import encode_record
from mqtt.records import Status
from mqtt.settings import HomeAssistantSettings, MqttSettings
from tests.broker import Broker
from tests.firmware.chain import Hq, Unit, wait_for
from tests.mqtt import samples

PLATE = "7TST123"


@contextmanager
def unit_at(broker: Broker, folder: Path, plates: bool) -> Iterator[list[Incoming]]:
    """A unit that announces itself, has one read, and a client that saw everything."""
    got: list[Incoming] = []
    settings = HomeAssistantSettings(enabled=True, port=broker.port, plates=plates)
    database = folder / "unit.sqlite"
    with closing(outbox.open_database(database)) as db:
        outbox.create_tables(db)
        db.commit()
        watcher = Link(MqttSettings(port=broker.port), "watcher", ["#"], on_message=got.append)
        stop = threading.Event()
        home = HomeAssistant(settings, "pole.1", database)
        threads = [
            threading.Thread(target=home.run, args=(stop,)),
            threading.Thread(target=lambda: watch(watcher, stop)),
        ]
        for thread in threads:
            thread.start()
        home.report(Status(state="ready", software="0.1.0", queue=3, temperature_c=41.5))
        wait_for(lambda: any(message.topic.endswith("pole.1/state") for message in got))
        read = samples.read(plate=PLATE)
        with db:
            outbox.append(db, "read", read.read_id, encode_record(read), read.captured_at, read.read_id)
        wait_for(lambda: any(message.topic.endswith("last_read") for message in got))
        yield got
        stop.set()
        home.report(Status(state="offline"))
        for thread in threads:
            thread.join(10)
        watcher.close()


def watch(link: Link, stop: threading.Event) -> None:
    end: float | None = None
    while end is None or time.monotonic() < end:
        link.step(0.05)
        if stop.is_set() and end is None:
            end = time.monotonic() + 0.3


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


def retained(broker: Broker) -> dict[str, bytes]:
    """What a client that comes later still finds."""
    got: list[Incoming] = []
    link = Link(MqttSettings(port=broker.port), "later", ["#"], on_message=got.append)
    end = time.monotonic() + 5.0
    while time.monotonic() < end and not (got and link.connected):
        link.step(0.05)
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        link.step(0.02)
    link.close()
    return {message.topic: message.payload for message in got}


def test_a_unit_is_announced_with_its_figures_and_no_plate(tmp_path: Path, broker: Broker) -> None:
    """430.7-b: off unless the owner asks, and then never retained."""
    with unit_at(broker, tmp_path, plates=False) as got:
        assert PLATE.encode() not in b"".join(message.payload for message in got)
        kept = retained(broker)
        configs = {topic: json.loads(text) for topic, text in kept.items() if topic.endswith("/config")}
        assert len(configs) == 8
        assert all(topic.startswith("homeassistant/sensor/platewarden_pole_1/") for topic in configs)
        assert len({config["unique_id"] for config in configs.values()}) == 8
        for config in configs.values():
            assert config["availability_topic"] == "platewarden/pole.1/available"
            assert config["device"]["identifiers"] == ["platewarden_pole_1"]
        assert json.loads(kept["platewarden/pole.1/state"])["queue"] == 3
        assert kept["platewarden/pole.1/available"] == b"online"
        assert "platewarden/pole.1/last_read" not in kept
    assert retained(broker)["platewarden/pole.1/available"] == b"offline"


def test_plates_are_sent_where_the_owner_asks_but_never_retained(tmp_path: Path, broker: Broker) -> None:
    """430.7-b."""
    with unit_at(broker, tmp_path, plates=True) as got:
        (read,) = [json.loads(message.payload) for message in got if message.topic.endswith("last_read")]
        assert read["plate"] == PLATE
        assert PLATE.encode() not in b"".join(retained(broker).values())


def test_home_assistant_s_start_brings_the_announcement_again(tmp_path: Path, broker: Broker) -> None:
    with unit_at(broker, tmp_path, plates=False) as got:
        before = sum(message.topic.endswith("/config") for message in got)
        home = Link(MqttSettings(port=broker.port), "home")
        deadline = time.monotonic() + 5
        while not home.connected and time.monotonic() < deadline:
            home.step(0.05)
        home.publish("homeassistant/status", b"online")
        home.close()
        wait_for(lambda: sum(message.topic.endswith("/config") for message in got) == 2 * before)


@pytest.mark.parametrize("key", ["ca_file", "password_file"])
def test_what_is_wrong_with_its_own_file_is_not_blamed_on_the_way_to_hq(tmp_path: Path, key: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff")
    settings = HomeAssistantSettings(enabled=True, tls=True, username="u", **{key: str(file)})  # type: ignore[arg-type]
    with pytest.raises(LinkError, match=f"^homeassistant.{key}: "):
        HomeAssistant(settings, "pole.1", tmp_path / "unit.sqlite")


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "--set: homeassistant.password_file: {file} cannot be read: No such file or directory"),
        (b"", "homeassistant.password_file: {file} is empty"),
    ],
)
def test_what_is_wrong_with_it_is_told_and_keeps_no_read_from_hq(
    tmp_path: Path, broker: Broker, content: bytes | None, wrong: str
) -> None:
    """An owner's file that is gone after a reboot once ended the whole unit."""
    file = tmp_path / "password"
    if content is not None:
        file.touch(0o600)
    options = [
        "homeassistant.enabled=true",
        "homeassistant.username=u",
        f"homeassistant.password_file={file}",
    ]
    with (
        Hq(tmp_path / "hq", broker.port) as hq,
        Unit(tmp_path / "unit", broker.port, overrides=options) as unit,
    ):
        assert unit.publisher.home is None
        wait_for(lambda: unit.publisher.status().connected)
        assert unit.publisher.status().faults == (wrong.format(file=file),)
        unit.add()
        wait_for(lambda: hq.read_ids())
    told = [finding for finding in check(unit.settings) if finding.subject == "homeassistant"]
    assert [(finding.outcome, finding.text) for finding in told] == [
        (Outcome.PROBLEM, wrong.format(file=file))
    ]
