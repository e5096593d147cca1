"""How many reads a second HQ takes in, for `hq.records.bench`: a broker, real subscribers, a database.

Owns the load: reads of eight units, each with a plate picture, sent as fast as the broker takes them. The
messages are made and packed before the clock starts, and one plain socket sends them, for what the units do
is not HQ's work. Measured is the time from the first message to the commit of the last, by the database's own
ledger, and the processor seconds of subscribers, database and broker meanwhile.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import django

from hq.records.bench_fill import PICTURE_BYTES, passage, plate
from mqtt import messages, topics
from mqtt.records import Envelope, Status

PATIENCE_S: Final = 300.0
UNITS: Final = 8

_WINDOW: Final = 500
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MOSQUITTO: Final = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def main(words: Sequence[str]) -> int:
    """Measure so many reads through so many subscribers and print the figures as JSON; exit code 0.

    3 where there is no mosquitto. `words`: reads, subscribers, pid of the database's server or 0.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    django.setup()
    if _MOSQUITTO is None:
        print("mosquitto is not installed", file=sys.stderr)
        return 3
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    reads, subscribers, server = map(int, words)
    print(json.dumps(measure(reads, subscribers, server)))
    return 0


def measure(reads: int, subscribers: int, server: int) -> dict[str, float]:
    """Reads a second, and processor milliseconds a read: of subscribers, database server and broker.

    Raises TimeoutError where not everything has come after PATIENCE_S.
    """
    from hq.records.models import Unit

    stores = {f"intake-{number}": uuid.uuid4().hex for number in range(UNITS)}
    Unit.objects.bulk_create(
        (Unit(unit_id=unit, state=Unit.State.ENROLLED) for unit in stores), ignore_conflicts=True
    )
    packets, highest = _packets(reads, stores, random.Random(uuid.uuid4().int))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, pid = stack.enter_context(broker(folder))
        names = [f"bench-{uuid.uuid4().hex[:6]}" for _ in range(subscribers)]
        pids = [stack.enter_context(subscriber(port, name, subscribers > 1)) for name in names]
        sender = Sender(port)
        await_all(sender, names)
        groups = {"subscribers": pids, "database": _tree(server), "broker": [pid]}
        before = {name: seconds(group) for name, group in groups.items()}
        start = time.monotonic()
        sender.send(packets)
        await_numbers(highest, stores)
        took = time.monotonic() - start
        used = {name: seconds(group) - before[name] for name, group in groups.items()}
        sender.close()
    return {"rate": reads / took, "seconds": took} | {
        name: 1000 * spent / reads for name, spent in used.items()
    }


def payloads(
    reads: int, stores: dict[str, str], chance: random.Random
) -> Iterator[tuple[str, str, bytes, int]]:
    """Unit, topic, payload and number of each message: a read, then its picture."""
    numbers = dict.fromkeys(stores, 0)
    units = list(stores)
    for place in range(reads):
        unit = units[place % len(units)]
        data = chance.randbytes(PICTURE_BYTES)
        read, header = passage(plate(chance), data, uuid.UUID(int=chance.getrandbits(128), version=4))
        for record, extra in ((read, b""), (header, data)):
            numbers[unit] += 1
            envelope = Envelope(unit=unit, store_id=stores[unit], sequence=numbers[unit])
            payload = messages.encode(record, envelope, extra)
            yield unit, topics.up(unit, messages.name_of(record)), payload, numbers[unit]


def _packets(reads: int, stores: dict[str, str], chance: random.Random) -> tuple[list[bytes], dict[str, int]]:
    packets: list[bytes] = []
    highest: dict[str, int] = {}
    for unit, topic, payload, number in payloads(reads, stores, chance):
        packets.append(publish(topic, payload, len(packets) % _WINDOW + 1))
        highest[unit] = number
    return packets, highest


def publish(topic: str, payload: bytes, number: int) -> bytes:
    """An MQTT 5 PUBLISH with QoS 1 and no properties (section 3.3)."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + number.to_bytes(2, "big") + b"\0" + payload
    return b"\x32" + _length(len(body)) + body


def _length(number: int) -> bytes:
    """A variable byte integer (section 1.5.5)."""
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | (128 if number else 0))
        if not number:
            return bytes(found)


class Sender:
    """One socket that publishes packed messages, at most _WINDOW ahead of the broker's PUBACKs."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._rest = b""
        name = b"bench-units"
        body = b"\0\4MQTT\5\2\0\0\0" + len(name).to_bytes(2, "big") + name
        self._socket.sendall(b"\x10" + _length(len(body)) + body)
        while not self._packets():
            pass

    def send(self, packets: Sequence[bytes]) -> None:
        """Send all of them and wait for their PUBACKs."""
        out = sent = 0
        while out or sent < len(packets):
            free = min(_WINDOW - out, len(packets) - sent)
            if free:
                self._socket.sendall(b"".join(packets[sent : sent + free]))
                sent, out = sent + free, out + free
            out -= self._packets()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _packets(self) -> int:
        """How many whole packets came; each is shorter than 128 bytes."""
        self._rest += self._socket.recv(1 << 16)
        count = 0
        while len(self._rest) >= 2 and len(self._rest) >= 2 + self._rest[1]:
            self._rest = self._rest[2 + self._rest[1] :]
            count += 1
        return count


@contextmanager
def broker(folder: Path) -> Iterator[tuple[int, int]]:
    """A mosquitto of its own; its port and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "max_inflight_messages 1000"]
    if os.geteuid() == 0:
        lines.append("user root")
    (folder / "conf").write_text("\n".join([*lines, "max_queued_messages 1000000"]) + "\n")
    assert _MOSQUITTO is not None
    process = subprocess.Popen([_MOSQUITTO, "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def subscriber(port: int, name: str, share: bool) -> Iterator[int]:
    """The real `subscribe` command on the settings' database; its process id."""
    words = ["subscribe", "--port", str(port), "--name", name, *(["--share"] if share else [])]
    process = subprocess.Popen([sys.executable, "-m", "hq.cli", *words])
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def await_all(sender: Sender, names: Sequence[str]) -> None:
    """Send heartbeats until each subscriber has taken one in."""
    from hq.records.models import Transfer

    status = Status(state="ready", software="bench")
    packet = publish(topics.up("intake-0", "status"), messages.encode(status), 1)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        sender.send([packet])
        if set(names) <= set(Transfer.objects.values_list("subscriber", flat=True).distinct()):
            return
        time.sleep(0.1)
    raise TimeoutError("the subscribers did not start")


def await_numbers(highest: dict[str, int], stores: dict[str, str]) -> None:
    """Wait until the ledger has each unit's numbers up to these. Raises TimeoutError after PATIENCE_S."""
    from hq.records.models import Series

    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        held = Series.objects.filter(store_id__in=stores.values()).values_list("unit", "contiguous")
        if dict(held) == highest:
            return
        time.sleep(0.05)
    raise TimeoutError("not everything was taken in")


def _tree(pid: int) -> list[int]:
    """A process and its children."""
    if not pid:
        return []
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *map(int, tasks.split())]


def seconds(pids: Sequence[int]) -> float:
    """Processor seconds of these processes so far, in user and system mode."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
