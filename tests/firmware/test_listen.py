"""The subscriber at HQ's end: what it keeps, what it shows, what it puts into quarantine."""

from __future__ import annotations

import dataclasses
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import cli
from firmware.commands import listen
from firmware.errors import Exit
from firmware.listen_store import Conflict, ListenStore
from mqtt import messages, topics
from mqtt.client import Link
from mqtt.messages import Message
from mqtt.records import Envelope, Manifest, Receipt, Status
from mqtt.settings import MqttSettings
from tests.broker import Broker
from tests.firmware.chain import Hq, wait_for
from tests.mqtt import samples

AT = samples.AT
STORE_ID = "0" * 32
PLATE = "7TST123"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


class Sender:
    """Publishes as a unit would and collects the receipts."""

    def __init__(self, port: int) -> None:
        self.receipts: list[int] = []
        self.acked = 0
        self.link = Link(
            MqttSettings(port=port, backoff_min_s=0.1),
            "pole-1",
            [topics.everything_down("pole-1")],
            on_message=lambda incoming: self.receipts.append(_sequence(incoming.payload)),
            on_published=lambda token, fault: self._acked(),
        )
        self.until(lambda: self.link.connected)

    def _acked(self) -> None:
        self.acked += 1

    def until(self, what: object) -> None:
        deadline = time.monotonic() + 10
        while not what():  # type: ignore[operator]
            assert time.monotonic() < deadline
            self.link.step(0.02)

    def send(self, record: messages.Record, sequence: int, data: bytes = b"", unit: str = "pole-1") -> None:
        envelope = Envelope(unit=unit, store_id=STORE_ID, sequence=sequence)
        self.raw(messages.name_of(record), messages.encode(record, envelope, data))

    def raw(self, name: str, payload: bytes) -> None:
        self.link.publish(topics.up("pole-1", name), payload)


def _sequence(payload: bytes) -> int:
    record = messages.decode("receipt", payload).record
    assert isinstance(record, Receipt)
    return record.sequence


def test_a_message_that_comes_twice_is_kept_once(tmp_path: Path, broker: Broker) -> None:
    with Hq(tmp_path / "hq", broker.port) as hq:
        sender = Sender(broker.port)
        read = samples.read()
        for _ in range(3):
            sender.send(read, 1)
            sender.send(samples.read(read.read_id, revision=2), 2)
        sender.until(lambda: sender.receipts and sender.receipts[-1] == 2)
        assert hq.query("SELECT read_id, revision FROM reads ORDER BY revision") == [
            (read.read_id, 1),
            (read.read_id, 2),
        ]
        assert len([line for line in hq.lines if line.startswith("read")]) == 2
        sender.link.close()


def test_a_number_that_comes_again_is_receipted_again(tmp_path: Path, broker: Broker) -> None:
    """The receipt may have been lost on its way."""
    with Hq(tmp_path / "hq", broker.port):
        sender = Sender(broker.port)
        read = samples.read()
        for times in (1, 2, 3):
            sender.send(read, 1)
            sender.until(lambda times=times: sender.receipts == [1] * times)
        sender.link.close()


def test_a_gap_is_counted_and_no_receipt_passes_it(tmp_path: Path, broker: Broker) -> None:
    """430.4-b: what is missing is known."""
    with Hq(tmp_path / "hq", broker.port) as hq:
        sender = Sender(broker.port)
        for sequence in (1, 2, 5):
            sender.send(samples.read(), sequence)
        sender.until(lambda: sender.receipts)
        wait_for(lambda: len(hq.read_ids()) == 3)
        assert max(sender.receipts) == 2
        with closing(ListenStore(tmp_path / "hq")) as store:
            (series,) = store.series()
            assert (series.contiguous, series.highest, series.missing) == (2, 5, 2)
            assert store.counts()["missing"] == 2
        for sequence in (3, 4):
            sender.send(samples.loss(), sequence)
        sender.until(lambda: sender.receipts[-1] == 5)
        sender.link.close()


def test_bad_messages_go_into_quarantine_with_their_reason_and_count_as_received(
    tmp_path: Path, broker: Broker
) -> None:
    with Hq(tmp_path / "hq", broker.port) as hq:
        sender = Sender(broker.port)
        good = messages.encode(samples.read(), Envelope(unit="pole-1", store_id=STORE_ID, sequence=2))
        sender.raw(
            "read", good.replace(b'"looks":5', b'"looks":-5').replace(b'"sequence":2', b'"sequence":1')
        )
        sender.raw("read", good)
        sender.send(samples.picture(b"bytes", samples.new_id()), 3, b"other bytes")
        sender.raw("read", b"\xff\x00 no JSON")
        sender.send(samples.read(), 4, unit="pole-2")
        sender.link.publish("platewarden/v1/units/pole-1/up/nonsense", b"{}")
        sender.until(lambda: sender.receipts and sender.receipts[-1] == 3)
        wait_for(lambda: hq.query("SELECT COUNT(*) FROM quarantine") == [(5,)])
        reasons = " ".join(str(row[0]) for row in hq.query("SELECT reason FROM quarantine"))
        for part in ("record.looks: is below 0", "hash", "message: is not JSON", "envelope.unit", "nonsense"):
            assert part in reasons
        assert len(hq.read_ids()) == 1
        assert hq.query("SELECT unit, contiguous FROM series") == [("pole-1", 3)]
        assert PLATE not in "".join(hq.lines)
        sender.link.close()


def test_lines_hold_counts_and_ids_but_no_plate(tmp_path: Path, broker: Broker) -> None:
    """430.5(b): plate text needs a person and a purpose."""
    with Hq(tmp_path / "hq", broker.port) as hq:
        sender = Sender(broker.port)
        read = samples.read(demo=False)
        sender.send(read, 1)
        sender.send(samples.hit(read.read_id), 2)
        sender.send(samples.loss(), 3)
        sender.send(samples.access(), 4)
        sender.link.publish(topics.up("pole-1", "status"), messages.encode(Status(state="ready")))
        wait_for(
            lambda: {line.split()[0] for line in hq.lines} >= {"read", "hit", "loss", "access", "status"}
        )
        text = "\n".join(hq.lines)
        assert read.read_id in text
        assert "exact stolen_vehicle UNVERIFIED" in text
        assert PLATE not in text
        sender.link.close()


def test_a_sender_s_text_does_not_reach_the_terminal_raw(tmp_path: Path, broker: Broker) -> None:
    with Hq(tmp_path / "hq", broker.port) as hq:
        sender = Sender(broker.port)
        sender.send(dataclasses.replace(samples.loss(), reason="\x1b[2J\nread gone"), 1)
        wait_for(lambda: any("read gone" in line for line in hq.lines))
        assert all(line.isprintable() for line in hq.lines)
        sender.link.close()


def test_demo_shows_the_plates_of_a_demonstration_site_only(tmp_path: Path, broker: Broker) -> None:
    with Hq(tmp_path / "hq", broker.port, demo=True) as hq:
        sender = Sender(broker.port)
        shown, hidden = samples.read(plate="SHOWN1"), samples.read(plate="HIDDEN1", demo=False)
        sender.send(shown, 1)
        sender.send(samples.hit(shown.read_id, "SHOWN1"), 2)
        sender.send(hidden, 3)
        sender.send(samples.hit(hidden.read_id, "HIDDEN1"), 4)
        data = b"\xff\xd8 jpeg"
        sender.send(samples.picture(data, shown.read_id), 5, data)
        wait_for(lambda: any(line.startswith("picture") for line in hq.lines))
        text = "\n".join(hq.lines)
        assert text.count("SHOWN1") == 2
        assert "HIDDEN1" not in text
        path = re.search(r"(\S+\.jpg)$", text, re.MULTILINE)
        assert path is not None
        assert Path(path[1]).read_bytes() == data
        sender.link.close()


def test_the_same_revision_with_another_content_is_a_conflict(tmp_path: Path) -> None:
    with closing(ListenStore(tmp_path)) as store:
        read = samples.read()
        envelope = Envelope(unit="u", store_id=STORE_ID, sequence=1)
        assert store.add("u", Message("read", envelope, read), AT)
        assert not store.add("u", Message("read", envelope, read), AT)
        with pytest.raises(Conflict):
            store.add("u", Message("read", envelope, samples.read(read.read_id, plate="OTHER1")), AT)


def test_a_read_kept_before_states_were_told_is_known_when_it_comes_again(tmp_path: Path) -> None:
    """An old unit sends again to a newer subscriber what the older one kept without the new fields."""
    with closing(ListenStore(tmp_path)) as store:
        envelope = Envelope(unit="u", store_id=STORE_ID, sequence=1)
        read = dataclasses.replace(samples.read(), region="", region_confidence=0.0)
        assert store.add("u", Message("read", envelope, read), AT)
        with closing(sqlite3.connect(tmp_path / "listen.sqlite")) as db:
            store.commit()
            old = "json_remove(record, '$.region', '$.region_confidence')"
            with db:
                assert db.execute(f"UPDATE reads SET record = {old}").rowcount == 1
        assert not store.add("u", Message("read", envelope, read), AT)


@given(st.lists(st.integers(1, 12), max_size=30))
@settings(max_examples=12, deadline=None)
def test_the_receipt_is_the_end_of_the_first_run_without_a_gap(numbers: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(ListenStore(Path(folder))) as store:
        for number in numbers:
            store.received(Envelope(unit="u", store_id=STORE_ID, sequence=number))
        expected = next(number for number in range(14) if number + 1 not in numbers)
        for series in store.series():
            assert series.contiguous == expected
            assert series.missing == max(numbers) - len(set(numbers))


def test_what_was_not_committed_comes_again(tmp_path: Path) -> None:
    store = ListenStore(tmp_path)
    envelope = Envelope(unit="u", store_id=STORE_ID, sequence=1)
    store.add("u", Message("read", envelope, samples.read()), AT)
    store.received(envelope)
    store.close()
    with closing(ListenStore(tmp_path)) as again:
        assert again.counts()["reads"] == 0
        assert again.series() == []


def command(port: int, *more: str) -> list[str]:
    return [sys.executable, "-m", "firmware.cli", "listen", "--port", str(port), *more]


def test_the_command_ends_cleanly_and_tells_what_it_kept(tmp_path: Path, broker: Broker) -> None:
    with subprocess.Popen(
        command(broker.port, "--as-hq", str(tmp_path / "hq")), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "broker     connected\n"
        sender = Sender(broker.port)
        sender.send(samples.read(), 1)
        assert process.stdout.readline().startswith("read       pole-1 #1 ")
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert "1 reads, 0 hits, 0 pictures" in rest
        assert process.wait(10) == 0
        sender.link.close()


def test_a_second_subscriber_over_the_same_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would share a client id, so that the broker ended each one's connection in turn."""
    listed = tmp_path / "list.csv"
    listed.write_text("plate,class,expiry\nTST0001,stolen_vehicle,2099-01-01\n")
    # Plain MQTT to another machine is refused later, so that the command ends where it is let in.
    second = ["listen", "--as-hq", str(tmp_path / "hq"), "--hotlist", str(listed), "--host", "192.0.2.1"]
    with closing(ListenStore(tmp_path / "hq")) as store:
        store.hold()
        assert cli.main(second) == Exit.STORE
        assert "another listen --as-hq runs over this folder" in capsys.readouterr().err
        assert not (tmp_path / "hq" / "manifest.json").exists()
    assert cli.main(second) == Exit.IO
    assert (tmp_path / "hq" / "manifest.json").exists()


@pytest.mark.parametrize(("zone", "published"), [("America/Los_Angeles", 1), ("UTC", 0)])
def test_an_entry_s_last_day_is_of_the_machine_s_own_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, published: int
) -> None:
    """430.2-a: at 22:30 in California it is tomorrow in UTC, and an entry good through today still is."""

    class Evening(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Evening:
            return cls(2026, 11, 28, 6, 30, tzinfo=tz)

    listed = tmp_path / "list.csv"
    listed.write_text("plate,class,expiry\nTST0001,stolen_vehicle,2026-11-27\n")
    monkeypatch.setattr(listen, "datetime", Evening)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        arguments = ["--as-hq", str(tmp_path / "hq"), "--hotlist", str(listed), "--host", "192.0.2.1"]
        assert cli.main(["listen", *arguments]) == Exit.IO, "plain MQTT to another machine is refused"
    finally:
        monkeypatch.undo()
        time.tzset()
    manifest = messages.decode("hotlist", (tmp_path / "hq" / "manifest.json").read_bytes()).record
    assert isinstance(manifest, Manifest)
    assert manifest.entries == published


def people(folder: Path) -> Path:
    path = folder / "people.toml"
    path.write_text(
        '[mora]\nname = "A. Mora"\ntitle = "Officer"\nagency = "Test PD"\ncourse = "ALPR"\n'
        "trained_until = 2099-01-01\n"
    )
    path.chmod(0o600)
    return path


def test_a_named_person_sees_plates_and_each_is_recorded_first(tmp_path: Path, broker: Broker) -> None:
    """430.5(a): the record comes before the text."""
    person = ["--person", "mora", "--purpose", "audit", "--case", "A-1", "--people", str(people(tmp_path))]
    arguments = command(broker.port, "--as-hq", str(tmp_path / "hq"), *person)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "broker     connected\n"
        sender = Sender(broker.port)
        read = samples.read(demo=False)
        sender.send(read, 1)
        assert PLATE in process.stdout.readline()
        sender.link.close()
        process.terminate()
        process.wait(10)
    hq = Hq(tmp_path / "hq", broker.port)
    records = "".join(str(row) for row in hq.query("SELECT record FROM access"))
    assert "A. Mora" in records
    assert read.read_id in records


def test_plates_are_refused_without_training_or_a_place_for_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """430.3(d)."""
    hq = ["--as-hq", str(tmp_path / "hq")]
    for more, text in (
        ([*hq, "--person", "nobody", "--purpose", "audit", "--case", "1"], "not in the people file"),
        (["--person", "mora", "--purpose", "audit", "--case", "1"], "wants --as-hq"),
        (["--hotlist", "x.csv"], "wants --as-hq"),
        (
            ["--host", "192.0.2.1"],
            "loopback only; set --ca, or --allow-plain on a closed",
        ),
        (["--ca", "none.pem"], "--ca: none.pem is not a file"),
        (["--username", "x", "--password-file", "none"], "--password-file: [Errno 2]"),
    ):
        assert cli.main(["listen", *more]) != 0
        assert text in capsys.readouterr().err
    (refused,) = Hq(tmp_path / "hq", 1).query("SELECT outcome FROM access")
    assert refused == ("refused",)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--key", "hq.key"], "--cert and --key belong together"),
        (["--cert", "hq.pem", "--ca", "ca.pem"], "--cert and --key belong together"),
        (["--password-file", "password"], "--password-file wants --username"),
    ],
)
def test_a_half_given_broker_is_refused(
    more: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A hot list that is missing ends the command at the latest; it would else connect without what was given.
    later = ["--as-hq", str(tmp_path / "hq"), "--hotlist", str(tmp_path / "none.csv")]
    assert cli.main(["listen", *later, *more]) == Exit.USAGE
    assert text in capsys.readouterr().err
    assert not (tmp_path / "hq").exists()


def test_a_group_without_a_list_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--as-hq", str(tmp_path / "hq"), "--group", "north", "--host", "192.0.2.1"]
    assert cli.main(["listen", *more]) == Exit.USAGE
    assert "--group wants --hotlist FILE" in capsys.readouterr().err
    assert not (tmp_path / "hq").exists()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "1883.5", "mqtt", "²"])
def test_an_impossible_port_is_refused(port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = ["--as-hq", str(tmp_path / "hq"), "--hotlist", str(tmp_path / "none.csv")]
    with pytest.raises(SystemExit) as ended:
        cli.main(["listen", *later, f"--port={port}"])
    assert ended.value.code == Exit.USAGE
    assert "is no TCP port from 1 to 65535" in capsys.readouterr().err


def test_what_is_kept_is_for_its_owner_s_eyes_only(tmp_path: Path) -> None:
    ListenStore(tmp_path / "hq").close()
    assert (tmp_path / "hq").stat().st_mode & 0o077 == 0
