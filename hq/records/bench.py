"""How fast HQ takes reads in and finds them: `make bench-hq`, or `python -m hq.records.bench`.

Measures on the database and disk of PLATEWARDEN_HQ_DATA or DATABASE_URL, in a database of its own that is
made for the purpose and removed afterwards:

- intake: reads with a plate picture each, committed in batches, without a broker and through mosquitto;
- search: exact, look-alike, partial with three adjacent known characters, and a pattern of fewer within seven
  days, each the median over plates that are there, at each number of reads.

The plates are drawn at random in California's form; one car in five has been read before. What it prints is
what it measured here and now, and how each figure grows.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import django
from django.conf import settings
from django.db import connection, connections, transaction

from mqtt import messages, topics
from mqtt.client import Link
from mqtt.fields import time_text
from mqtt.records import ClockState, Envelope, PictureHeader, PictureKind, PictureRef, Read, TextCandidate
from mqtt.settings import MqttSettings

SIZES: Final = (100_000, 1_000_000)
READS: Final = 3000
PICTURE_BYTES: Final = 12_000
ASKED: Final = 25
UNIT: Final = "bench"

_CHUNK: Final = 20_000
_DAYS: Final = 365
_BATCH: Final = 200
_MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 0."""
    parser = argparse.ArgumentParser(prog="bench-hq", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, nargs="*", default=SIZES, help="numbers of reads to search among")
    parser.add_argument("--reads", type=int, default=READS, help="reads of the intake's measurement")
    args = parser.parse_args(words)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    with _own_database() as where:
        print(f"{connection.vendor}, {where}, Python {sys.version.split()[0]}")
        if args.reads:
            _measure_intake(args.reads)
        if args.rows:
            _measure_search(sorted(args.rows))
    return 0


@contextmanager
def _own_database() -> Iterator[str]:
    """A migrated database and a folder of pictures for the measurement alone."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_data_folder()) as folder:
        settings.MEDIA_ROOT = Path(folder) / "pictures"
        held = settings.DATABASES["default"]
        if held["ENGINE"].endswith("sqlite3"):
            held["NAME"] = str(Path(folder) / "hq.sqlite3")
            django.setup()
            _migrate()
            yield held["NAME"]
            connections.close_all()
            return
        django.setup()
        name = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            yield name
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)


def _data_folder() -> Path:
    folder = Path(settings.DATA)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


# Intake


def _measure_intake(count: int) -> None:
    from hq.records.models import Unit

    Unit.objects.create(unit_id=UNIT, state=Unit.State.ENROLLED)
    print(f"\nintake of {count} reads with a plate picture of {PICTURE_BYTES // 1000} kB each")
    made = list(_payloads(count, random.Random(1)))
    seconds, processor = _timed(lambda: _take_directly(made))
    print(f"  batches of {_BATCH} messages: {_rate(count, seconds, processor)}")
    if _MOSQUITTO is None:
        print("  through a broker: mosquitto is not installed")
        return
    made = list(_payloads(count, random.Random(2)))
    with tempfile.TemporaryDirectory() as folder, _broker(Path(folder)) as port:
        seconds, processor = _through_broker(port, made)
    print(f"  through mosquitto:       {_rate(count, seconds, processor)}")


def _rate(count: int, seconds: float, processor: float) -> str:
    share = 100 * processor / seconds
    return (
        f"{count / seconds:6.0f} reads/s with {share:.0f} % of one processor,"
        f" {count / processor:6.0f} reads per second of processor"
    )


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    start, before = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - before


def _payloads(count: int, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of so many reads and their pictures."""
    store_id, sequence = uuid.UUID(int=chance.getrandbits(128)).hex, 0
    for _ in range(count):
        read, header, data = _passage(chance)
        for record, name, extra in ((read, "read", b""), (header, "picture", data)):
            sequence += 1
            envelope = Envelope(unit=UNIT, store_id=store_id, sequence=sequence)
            yield topics.up(UNIT, name), messages.encode(record, envelope, extra)


def _passage(chance: random.Random) -> tuple[Read, PictureHeader, bytes]:
    plate, read_id = _plate(chance), str(uuid.UUID(int=chance.getrandbits(128)))
    data = chance.randbytes(PICTURE_BYTES)
    digest, model = hashlib.sha256(data).hexdigest(), "0" * 64
    ref = PictureRef(kind=PictureKind.PLATE, sha256=digest, size=len(data), width=240, height=80)
    read = Read(
        read_id=read_id, revision=1, captured_at=time_text(datetime.now(UTC)),
        clock=ClockState(quality="ntp", boot_id="0" * 32, boottime=1.0), camera="lane 1", deployment="",
        position=None, plate=plate, confidence=0.97, char_confidence=tuple(0.99 for _ in plate),
        candidates=(TextCandidate(text=plate, probability=0.97),), flags=(), box=(1.0, 2.0, 90.0, 30.0),
        frame_size=(1280, 720), detection_score=0.9, looks=5, agreeing=4, parked=False, pictures=(ref,),
        model_hashes=(model, model), config_hash=model, software="bench", demo=True,
    )  # fmt: skip
    return read, PictureHeader(read_id=read_id, kind=ref.kind, sha256=digest, size=len(data)), data


def _plate(chance: random.Random) -> str:
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ"
    return f"{chance.randint(4, 9)}{''.join(chance.choices(letters, k=3))}{chance.randint(0, 999):03d}"


def _take_directly(made: Sequence[tuple[str, bytes]]) -> None:
    from hq.records.intake import Intake, Source
    from hq.records.messages import read_message

    with closing(Intake()) as intake:
        for start in range(0, len(made), _BATCH):
            batch = [read_message(topic, payload) for topic, payload in made[start : start + _BATCH]]
            intake.take(batch, Source("mqtt", "bench"))


@contextmanager
def _broker(folder: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "max_inflight_messages 1000", "user root"]
    (folder / "conf").write_text("\n".join([*lines, "max_queued_messages 100000"]) + "\n")
    assert _MOSQUITTO is not None
    process = subprocess.Popen([_MOSQUITTO, "-c", str(folder / "conf")], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _through_broker(port: int, made: Sequence[tuple[str, bytes]]) -> tuple[float, float]:
    """Seconds from the first publish to the last commit, and the subscriber's processor seconds.

    A process of its own publishes, as fast as the broker takes it.
    """
    from hq.records.intake import Intake
    from hq.records.models import Series
    from hq.records.subscriber import Subscriber

    stop, ready = threading.Event(), threading.Event()
    store_id = messages.decode("read", made[0][1]).envelope.store_id  # type: ignore[union-attr]
    with closing(Intake()) as intake:
        subscriber = Subscriber(MqttSettings(port=port, backoff_min_s=0.1), intake, "bench")

        def run() -> None:
            ready.set()
            subscriber.run(stop)
            connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        ready.wait()
        time.sleep(1.0)
        start, before = time.perf_counter(), time.process_time()
        publisher = _publisher(port, made)
        while not Series.objects.filter(store_id=store_id, contiguous=len(made)).exists():
            time.sleep(0.05)
        seconds, processor = time.perf_counter() - start, time.process_time() - before
        stop.set()
        subscriber.wake()
        thread.join()
        publisher.wait()
    return seconds, processor


def _publisher(port: int, made: Sequence[tuple[str, bytes]]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", f"from hq.records.bench import publish; publish({port})"],
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    for topic, payload in made:
        name = topic.encode()
        process.stdin.write(len(name).to_bytes(4, "big") + len(payload).to_bytes(4, "big") + name + payload)
    process.stdin.close()
    return process


def publish(port: int) -> None:
    """Publish what standard input holds (for `_publisher`)."""
    link = Link(MqttSettings(port=port, inflight=100), "bench-unit")
    while not link.connected:
        link.step(0.1)
    stream = sys.stdin.buffer
    while sizes := stream.read(8):
        name = stream.read(int.from_bytes(sizes[:4], "big")).decode()
        link.publish(name, stream.read(int.from_bytes(sizes[4:], "big")))
        link.step(0.0)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        link.step(0.1)
    with suppress(OSError):
        link.close()


# Search


def _measure_search(sizes: Sequence[int]) -> None:
    from hq.records.models import Read as Row
    from hq.records.models import Unit

    Unit.objects.get_or_create(unit_id=UNIT, defaults={"state": Unit.State.ENROLLED})
    chance = random.Random(3)
    print(f"\nsearch, median of {ASKED} in ms, the newest 100 (growth since the size before)")
    before: dict[str, float] = {}
    for size in sizes:
        _fill(size - Row.objects.count(), chance)
        medians = {name: _median(ask) for name, ask in _questions(chance).items()}
        print(f"  {size:>11,} reads: " + ", ".join(_told(name, medians, before) for name in medians))
        before = medians


def _told(name: str, medians: dict[str, float], before: dict[str, float]) -> str:
    growth = f" (x {medians[name] / before[name]:.1f})" if before.get(name) else ""
    return f"{name} {medians[name]:.1f}{growth}"


def _median(asks: Sequence[Callable[[], object]]) -> float:
    return statistics.median(_timed(ask)[0] * 1000 for ask in asks)


def _questions(chance: random.Random) -> dict[str, list[Callable[[], object]]]:
    """What a page of results asks: the newest 100, and how many there are in all."""
    from hq.records.models import Read as Row
    from hq.search import finding
    from hq.search.asked import Asked

    plates: list[str] = []
    while len(plates) < ASKED:
        drawn = Row.objects.filter(id__gte=uuid.UUID(int=chance.getrandbits(128))).order_by("id")
        plates += drawn.values_list("key", flat=True)[:1]
    now = datetime.now(UTC)
    week = {"since": now - timedelta(days=7), "until": now}

    def ask(plate: str, **bounds: Any) -> Callable[[], object]:
        asked = Asked(plate=plate, **bounds)
        asked.check()
        return lambda: finding.page(asked, finding.Reach(), 0, 100, now)

    return {
        "exact": [ask(plate) for plate in plates],
        "look-alike": [ask(plate, lookalikes=True) for plate in plates],
        "three letters": [ask(f"?{plate[1:4]}*") for plate in plates],
        "three digits": [ask(f"*{plate[4:]}") for plate in plates],
        "two apart in 7 days": [ask(f"*{plate[2]}?{plate[4]}*", **week) for plate in plates],
    }


def _fill(count: int, chance: random.Random) -> None:
    """Put so many reads into the table, spread over a year, without files."""
    seen: list[str] = []
    now = datetime.now(UTC)
    while count > 0:
        chunk = min(count, _CHUNK)
        _insert(chunk, chance, seen, now)
        count -= chunk
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _insert(count: int, chance: random.Random, seen: list[str], now: datetime) -> None:
    from hq.records import keys, rows, trigrams
    from hq.records.models import Read as Row

    model, _, _ = _passage(chance)
    envelope = Envelope(unit=UNIT, store_id="0" * 32, sequence=1)
    reads = []
    for _ in range(count):
        row = rows.read_row(model, envelope, "alpr", now)
        row.id = uuid.UUID(int=chance.getrandbits(128))
        if not seen or chance.random() < 0.8:
            row.text = _plate(chance)
            if len(seen) < 1_000_000:
                seen.append(row.text)
        else:
            row.text = chance.choice(seen)
        row.key, row.lookalike = row.text, keys.lookalike_key(row.text)
        row.at = row.captured_at = now - timedelta(seconds=chance.uniform(0, _DAYS * 86400))
        reads.append(row)
    with transaction.atomic():
        Row.objects.bulk_create(reads, batch_size=500)
        trigrams.add(reads)


if __name__ == "__main__":
    sys.exit(main())
