"""The way from a unit's store to HQ's over a real mosquitto."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.publisher import Publisher
from mqtt.errors import LinkError
from mqtt.records import Status
from mqtt.settings import MqttSettings
from tests.broker import Broker, Certificates, Proxy
from tests.firmware.chain import Hq, Unit, wait_for


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", persistence=True) as started:
        yield started


def test_every_read_reaches_hq_once_with_both_pictures_and_is_receipted(
    tmp_path: Path, broker: Broker
) -> None:
    with Hq(tmp_path / "hq", broker.port) as hq, Unit(tmp_path / "unit", broker.port) as unit:
        reads = unit.add(30, pictures=True)
        wait_for(lambda: unit.queue() == 0)
        assert sorted(hq.read_ids()) == sorted(read.read_id for read in reads)
        kept = hq.query("SELECT read_id, kind, sha256, path FROM pictures")
        assert {(read_id, kind, sha) for read_id, kind, sha, _ in kept} == {
            (read.read_id, ref.kind, ref.sha256) for read in reads for ref in read.pictures
        }
        for _, _, sha256, path in kept:
            assert hashlib.sha256(Path(str(path)).read_bytes()).hexdigest() == sha256
        assert hq.query("SELECT contiguous FROM series") == [(90,)]


def test_a_read_reaches_hq_within_a_moment_of_its_commit(tmp_path: Path, broker: Broker) -> None:
    with Hq(tmp_path / "hq", broker.port) as hq, Unit(tmp_path / "unit", broker.port) as unit:
        wait_for(lambda: unit.publisher.status().connected)
        unit.add()
        start = time.monotonic()
        wait_for(lambda: hq.read_ids(), 2.0)
        assert time.monotonic() - start < 1.0


def test_a_unit_that_was_off_sends_what_it_had_kept(tmp_path: Path, broker: Broker) -> None:
    with Hq(tmp_path / "hq", broker.port) as hq, Unit(tmp_path / "unit", broker.port) as unit:
        unit.stop()
        unit.add(5)
        unit.start()
        wait_for(lambda: unit.queue() == 0)
        assert len(hq.read_ids()) == 5


def test_an_hq_that_is_away_is_told_though_the_broker_takes_everything(
    tmp_path: Path, broker: Broker
) -> None:
    with Unit(tmp_path / "unit", broker.port) as unit:
        with Hq(tmp_path / "hq", broker.port):
            unit.add(1)
            wait_for(lambda: unit.queue() == 0)
        assert unit.publisher.status().faults == ()
        unit.add(1)
        fault = ("HQ: gives no receipts, though the broker takes the messages",)
        wait_for(lambda: unit.publisher.status().faults == fault)
        with Hq(tmp_path / "hq", broker.port):
            wait_for(lambda: unit.publisher.status().faults == () and unit.queue() == 0)


def test_without_a_subscriber_nothing_is_freed(tmp_path: Path) -> None:
    """A PUBACK is not a receipt: a broker without persistence forgets what it acknowledged."""
    with Broker(tmp_path / "broker") as broker, Unit(tmp_path / "unit", broker.port) as unit:
        unit.add(20)
        wait_for(lambda: unit.publisher.status().sent == 20)
        time.sleep(0.3)
        assert unit.queue() == 20
        broker.restart()
        with Hq(tmp_path / "hq", broker.port) as hq:
            wait_for(lambda: unit.queue() == 0)
            assert len(hq.read_ids()) == len(set(hq.read_ids())) == 20


@pytest.mark.parametrize(
    ("times", "persistence"),
    [
        (2, False),
        pytest.param(10, False, marks=pytest.mark.slow),
        pytest.param(10, True, marks=pytest.mark.slow),
    ],
)
def test_a_broker_killed_again_and_again_loses_and_doubles_nothing(
    tmp_path: Path, times: int, persistence: bool
) -> None:
    with (
        Broker(tmp_path / "broker", persistence=persistence) as broker,
        Hq(tmp_path / "hq", broker.port) as hq,
        Unit(tmp_path / "unit", broker.port) as unit,
    ):
        made = []
        for round_ in range(times):
            made += unit.add(20, pictures=round_ % 2 == 0)
            time.sleep(0.1)
            broker.restart()
            made += unit.add(5)
        wait_for(lambda: unit.queue() == 0, 60)
        assert sorted(hq.read_ids()) == sorted(read.read_id for read in made)
        assert hq.query("SELECT COUNT(*) FROM quarantine") == [(0,)]


def test_hq_restored_from_a_backup_is_sent_again_what_it_lacks(tmp_path: Path, broker: Broker) -> None:
    with Unit(tmp_path / "unit", broker.port) as unit:
        with Hq(tmp_path / "hq", broker.port):
            unit.add(10, pictures=True)
            wait_for(lambda: unit.queue() == 0)
        shutil.copytree(tmp_path / "hq", tmp_path / "backup")
        with Hq(tmp_path / "hq", broker.port) as hq:
            unit.add(10, pictures=True)
            wait_for(lambda: unit.queue() == 0)
            assert len(hq.read_ids()) == 20
        shutil.rmtree(tmp_path / "hq")
        (tmp_path / "backup").rename(tmp_path / "hq")
        with Hq(tmp_path / "hq", broker.port) as hq:
            wait_for(lambda: hq.query("SELECT contiguous FROM series") == [(60,)])
            assert len(hq.read_ids()) == len(set(hq.read_ids())) == 20
            wait_for(lambda: unit.queue() == 0)


def test_a_new_hq_is_sent_everything_from_the_first_number(tmp_path: Path, broker: Broker) -> None:
    with Unit(tmp_path / "unit", broker.port) as unit:
        with Hq(tmp_path / "hq", broker.port):
            unit.add(10)
            wait_for(lambda: unit.queue() == 0)
        with Hq(tmp_path / "new", broker.port) as hq:
            unit.add(1)
            wait_for(lambda: len(hq.read_ids()) == 11)
            wait_for(lambda: unit.queue() == 0)


def test_a_store_that_lost_commits_which_hq_has_loses_nothing_new(tmp_path: Path, broker: Broker) -> None:
    """A card may lie about what it wrote: numbers that HQ has are not given to other reads."""
    folder = tmp_path / "unit"
    with Hq(tmp_path / "hq", broker.port) as hq:
        with Unit(folder, broker.port) as unit:
            unit.add(2)
            wait_for(lambda: unit.queue() == 0)
        shutil.copytree(folder, tmp_path / "older")
        with Unit(folder, broker.port) as unit:
            unit.add(5)
            wait_for(lambda: unit.queue() == 0)
        shutil.rmtree(folder)
        (tmp_path / "older").rename(folder)
        with Unit(folder, broker.port) as unit:
            new = unit.add(3)
            wait_for(lambda: unit.queue() == 0)
        assert {read.read_id for read in new} <= set(hq.read_ids())
        assert len(hq.read_ids()) == 10
        wait_for(lambda: hq.query("SELECT contiguous FROM series") == [(10,)])


def test_a_network_that_stalls_without_closing_is_noticed_and_survived(
    tmp_path: Path, broker: Broker
) -> None:
    with (
        Proxy(broker.port) as proxy,
        Hq(tmp_path / "hq", broker.port) as hq,
        Unit(tmp_path / "unit", proxy.port, overrides=["mqtt.connect_timeout_s=1"]) as unit,
    ):
        made = unit.add(3)
        wait_for(lambda: unit.queue() == 0)
        proxy.stalled = True
        made += unit.add(10, pictures=True)
        time.sleep(0.5)
        assert unit.queue() == 30
        proxy.stalled = False
        wait_for(lambda: unit.queue() == 0)
        assert sorted(hq.read_ids()) == sorted(read.read_id for read in made)


@pytest.mark.slow
def test_a_long_stall_ends_the_connection_and_says_so(tmp_path: Path, broker: Broker) -> None:
    with (
        Proxy(broker.port) as proxy,
        Hq(tmp_path / "hq", broker.port) as hq,
        Unit(tmp_path / "unit", proxy.port, overrides=["mqtt.connect_timeout_s=1"]) as unit,
    ):
        wait_for(lambda: unit.publisher.status().connected)
        proxy.stalled = True
        made = unit.add(10, pictures=True)
        wait_for(lambda: not unit.publisher.status().connected, 20)
        assert unit.publisher.status().faults
        made += unit.add(2)
        proxy.stalled = False
        wait_for(lambda: unit.queue() == 0, 20)
        assert sorted(hq.read_ids()) == sorted(read.read_id for read in made)


def test_a_damaged_picture_arrives_as_a_loss_and_the_rest_goes_on(tmp_path: Path, broker: Broker) -> None:
    """430.4-b: counted, not forgotten."""
    with Unit(tmp_path / "unit", broker.port) as unit:
        unit.stop()
        (read,) = unit.add(1, pictures=True)
        for path in (tmp_path / "unit" / "pictures").rglob("*.jpg"):
            if "scene" in path.name:
                path.write_bytes(b"damaged")
        unit.add(1)
        unit.start()
        with Hq(tmp_path / "hq", broker.port) as hq:
            wait_for(lambda: unit.queue() == 0)
            assert hq.query("SELECT kind, count FROM losses") == [("picture", 1)]
            assert hq.query("SELECT read_id, kind FROM pictures") == [(read.read_id, "plate")]
            assert len(hq.read_ids()) == 2
            assert hq.query("SELECT contiguous FROM series") == [(4,)]


def test_the_status_is_retained_and_the_last_will_speaks_for_a_dead_unit(
    tmp_path: Path, broker: Broker
) -> None:
    with Unit(tmp_path / "unit", broker.port) as unit:
        unit.publisher.report(Status(state="ready", queue=3))
        wait_for(lambda: unit.publisher.status().connected)
        with Hq(tmp_path / "hq", broker.port) as hq:
            wait_for(lambda: any("status" in line and "ready, 3 waiting" in line for line in hq.lines))
            unit.stop()
            wait_for(lambda: any("status" in line and "offline" in line for line in hq.lines))


def test_mutual_tls_gives_each_unit_its_own_topics_only(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates")
    for name in ("hq", "pole-1", "pole-2"):
        certificates.make(name)

    def tls(name: str) -> list[str]:
        folder = certificates.folder
        for path in folder.glob("*.key"):
            path.chmod(0o600)
        return [
            "mqtt.tls=true",
            f"mqtt.ca_file={folder / 'ca.pem'}",
            f"mqtt.cert_file={folder / f'{name}.pem'}",
            f"mqtt.key_file={folder / f'{name}.key'}",
        ]

    with Broker(tmp_path / "broker", certificates=certificates) as broker:
        folder = certificates.folder
        hq_settings = MqttSettings(
            port=broker.port,
            tls=True,
            ca_file=str(folder / "ca.pem"),
            cert_file=str(folder / "hq.pem"),
            key_file=str(folder / "hq.key"),
        )
        with Hq(tmp_path / "hq", broker.port, settings=hq_settings) as hq:
            with Unit(tmp_path / "unit", broker.port, overrides=tls("pole-1")) as unit:
                unit.add(3)
                wait_for(lambda: unit.queue() == 0)
            # The certificate of pole-2 may not send as pole-1: reason code 135 is not a success.
            with Unit(tmp_path / "other", broker.port, overrides=tls("pole-2")) as other:
                other.add(2)
                wait_for(lambda: "Not authorized" in " ".join(other.publisher.status().faults))
                assert other.queue() == 2
                assert other.publisher.status().receipted == 0
            assert len(hq.read_ids()) == 3


def test_a_broker_with_another_authority_is_refused(tmp_path: Path) -> None:
    ours, theirs = Certificates(tmp_path / "ours"), Certificates(tmp_path / "theirs")
    ours.make("pole-1")
    (ours.folder / "pole-1.key").chmod(0o600)
    with Broker(tmp_path / "broker", certificates=theirs) as broker:
        overrides = [
            "mqtt.tls=true",
            f"mqtt.ca_file={ours.folder / 'ca.pem'}",
            f"mqtt.cert_file={ours.folder / 'pole-1.pem'}",
            f"mqtt.key_file={ours.folder / 'pole-1.key'}",
        ]
        with Unit(tmp_path / "unit", broker.port, overrides=overrides) as unit:
            unit.add(1)
            wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in " ".join(unit.publisher.status().faults))
            assert unit.queue() == 1


def test_plain_mqtt_off_loopback_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """CJIS SC-8."""
    unit = Unit(tmp_path / "unit", 1883)
    try:
        mqtt = dataclasses.replace(unit.settings.mqtt, host="192.0.2.1")
        with pytest.raises(LinkError, match=r"192\.0\.2\.1: plain MQTT is for loopback only"):
            Publisher(dataclasses.replace(unit.settings, mqtt=mqtt), unit.clock)
    finally:
        unit.store.close()
