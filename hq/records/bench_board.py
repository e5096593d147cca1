"""What fifty open hit boards cost and how soon a hit is on all of them, for `hq.records.bench`.

Owns the watchers: persons of their own, logged in, each with the board's page, its stream and, when the
stream says so, the rows and the new plate's picture, as `board.js` does it, over HTTP from the real server.
Hits come by MQTT through the real subscriber. Measured is the time from a hit's publish until the
last watcher has its row, and then how many pages of rows the server gives when all ask without a pause.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import django

from hq.records import bench_intake
from hq.records.bench_fill import passage
from mqtt import messages, topics
from mqtt.fields import time_text
from mqtt.records import Envelope, Hit

HITS: Final = 10
BEFORE: Final = 39
"""Hits that stand on the board already: with one more it is full."""
PAUSE_S: Final = 4.0
STORM_S: Final = 10.0
UNIT: Final = "board-1"

_START_S: Final = 120.0


def main(words: Sequence[str]) -> int:
    """Measure with so many watchers and print the figures as JSON; exit code 0, 3 without mosquitto."""
    os.environ["PLATEWARDEN_HQ_DEMO"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    django.setup()
    from django.core.management import call_command

    call_command("demo", stdout=io.StringIO())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, _ = stack.enter_context(bench_intake.broker(folder))
        stack.enter_context(bench_intake.subscriber(port, "bench-board", False))
        sender = bench_intake.Sender(port)
        source = _Source(sender)
        source.enrol()
        bench_intake.await_all(sender, ["bench-board"])
        for _ in range(BEFORE):
            source.hit()
        source.settle(BEFORE)
        sessions = _sessions(int(words[0]))
        address, server = stack.enter_context(_served())
        print(json.dumps(asyncio.run(_measure(address, server, sessions, source))))
    return 0


class _Source:
    """The unit whose hits they are."""

    def __init__(self, sender: bench_intake.Sender) -> None:
        self._sender = sender
        self._store, self._number, self._count = uuid.uuid4().hex, 0, 0
        self._data = _jpeg()

    def enrol(self) -> None:
        """Make the units known."""
        from hq.records.models import Unit

        Unit.objects.get_or_create(unit_id=UNIT, defaults={"state": Unit.State.ENROLLED})
        Unit.objects.get_or_create(unit_id="intake-0", defaults={"state": Unit.State.ENROLLED})

    def hit(self) -> str:
        """Publish a read, its picture and its hit, and return the hit's id."""
        self._count += 1
        text = f"7TST{self._count:03d}"
        read, header = passage(text, self._data, uuid.uuid4())
        hit = Hit(
            hit_id=str(uuid.uuid4()), read_id=read.read_id, read_revision=1, at=time_text(datetime.now(UTC)),
            kind="exact", score=1.0, entry_plate=text, entry_state="CA", alarm_class="stolen_vehicle",
            reason="bench", source="manual", case_number="T-1", expiry="2099-12-31", priority=50,
            state_agrees=None, list_version="1", list_age_s=60.0,
        )  # fmt: skip
        packets: list[bytes] = []
        for record, extra in ((read, b""), (hit, b""), (header, self._data)):
            self._number += 1
            envelope = Envelope(unit=UNIT, store_id=self._store, sequence=self._number)
            payload = messages.encode(record, envelope, extra)
            topic = topics.up(UNIT, messages.name_of(record))
            packets.append(bench_intake.publish(topic, payload, len(packets) + 1))
        self._sender.send(packets)
        return hit.hit_id

    def settle(self, count: int) -> None:
        """Wait until so many hits are committed. Raises TimeoutError."""
        bench_intake.await_numbers({UNIT: 3 * count}, {UNIT: self._store})


async def _measure(address: int, server: int, sessions: list[str], source: _Source) -> dict[str, Any]:
    watchers = [_Watcher(address, key) for key in sessions]
    for watcher in watchers:
        await watcher.open()
    tasks = [asyncio.create_task(watcher.listen()) for watcher in watchers]
    await asyncio.sleep(PAUSE_S)
    firsts, lasts, idle = [], [], bench_intake.seconds([server])
    for _ in range(HITS):
        start = time.monotonic()
        hit = await asyncio.to_thread(source.hit)
        taken = sorted(at - start for at in await asyncio.gather(*(one.has(hit) for one in watchers)))
        firsts.append(taken[0])
        lasts.append(taken[-1])
        await asyncio.sleep(PAUSE_S)
    used = bench_intake.seconds([server]) - idle
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    before, start = bench_intake.seconds([server]), time.monotonic()
    pages = sum(await asyncio.gather(*(one.storm(start + STORM_S) for one in watchers)))
    took = time.monotonic() - start
    return {
        "watchers": len(watchers),
        "first": statistics.median(firsts),
        "all": statistics.median(lasts),
        "all_most": max(lasts),
        "processor_a_hit": used / HITS,
        "pages_s": pages / took,
        "processor_a_page": (bench_intake.seconds([server]) - before) / pages,
    }


class _Watcher:
    """One open board."""

    def __init__(self, port: int, session: str) -> None:
        self._port, self._session = port, session
        self._mark = ""
        self._seen: dict[str, float] = {}
        self._news = asyncio.Event()
        self._pictures: set[str] = set()

    async def open(self) -> None:
        """Open the board's page."""
        await self._refresh("/hits/")

    async def listen(self) -> None:
        """Hold the stream and ask for the rows at each change, and once more if one came meanwhile."""
        changed = asyncio.Event()
        refreshing = asyncio.create_task(self._follow(changed))
        try:
            while True:
                reader, writer = await self._ask(f"/hits/stream/?mark={self._mark}")
                with suppress(asyncio.IncompleteReadError):
                    while line := await reader.readline():
                        if line.startswith(b"event: changed"):
                            changed.set()
                writer.close()
        finally:
            refreshing.cancel()

    async def has(self, hit: str) -> float:
        """The moment at which this board had the hit's row. Raises TimeoutError after a minute."""
        async with asyncio.timeout(60):
            while hit not in self._seen:
                await self._news.wait()
        return self._seen[hit]

    async def storm(self, until: float) -> int:
        """Ask for the rows without a pause, and say how often they came."""
        count = 0
        while time.monotonic() < until:
            await self._get("/hits/rows/")
            count += 1
        return count

    async def _follow(self, changed: asyncio.Event) -> None:
        while True:
            await changed.wait()
            changed.clear()
            await self._refresh("/hits/rows/")

    async def _refresh(self, path: str) -> None:
        page = await self._get(path)
        now = time.monotonic()
        self._mark = re.findall(r'data-mark="(\w+)"', page)[0]
        for hit in re.findall(r'data-id="([\w-]+)"', page):
            self._seen.setdefault(hit, now)
        self._news.set()
        self._news = asyncio.Event()
        for source in re.findall(r'<img class="patch" src="([^"]+)"', page):
            if source not in self._pictures:
                self._pictures.add(source)
                await self._get(source)

    async def _get(self, path: str) -> str:
        reader, writer = await self._ask(path)
        body = await reader.read()
        writer.close()
        return body.decode("latin-1")

    async def _ask(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask for a page on a connection of its own. Raises OSError unless the answer is 200."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: hq_session={self._session}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise OSError(f"{path.partition('?')[0]}: {status.decode('latin-1').strip()}")
        while (await reader.readline()).strip():
            pass
        return reader, writer


def _sessions(count: int) -> list[str]:
    """Dispatchers, each logged in with both factors, trained and appointed; the keys of their sessions."""
    from datetime import timedelta

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django_otp import DEVICE_ID_SESSION_KEY

    from hq.people import sessions
    from hq.people.models import Appointment, Authenticator, Completion, Person
    from hq.people.policy import courses_for
    from hq.site import clock

    like, now, today = Person.objects.get(username="dispatcher"), clock.now(), clock.today()
    keys = []
    for number in range(count):
        person, _ = Person.objects.get_or_create(
            username=f"bench-{number}",
            defaults={
                "full_name": f"Bench {number}", "title": like.title, "agency": like.agency, "state": "active",
                "approved_at": now, "seen_at": now, "password": like.password, "password_once": False,
            },
        )  # fmt: skip
        device, _ = Authenticator.objects.get_or_create(user=person, name="bench", confirmed=True)
        Appointment.objects.get_or_create(
            person=person, role="dispatcher", defaults={"document": "bench", "approved_at": now}
        )
        for course in courses_for({"dispatcher"}):
            Completion.objects.get_or_create(
                person=person, course=course,
                defaults={
                    "completed_on": today, "trainer": "bench", "document": "bench",
                    "expires_on": today + timedelta(days=90),
                },
            )  # fmt: skip
        session = SessionStore()
        session[SESSION_KEY] = str(person.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
        session[HASH_SESSION_KEY] = person.get_session_auth_hash()
        session[DEVICE_ID_SESSION_KEY] = device.persistent_id
        session.create()
        sessions.begin(session, person)
        session.save()
        assert session.session_key is not None
        keys.append(session.session_key)
    return keys


@contextmanager
def _served() -> Iterator[tuple[int, int]]:
    """The real server; its port and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "hq.cli", "serve", "--port", str(port)])
    try:
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _jpeg() -> bytes:
    from PIL import Image, ImageDraw

    plate = Image.effect_noise((240, 80), 40).convert("RGB")
    ImageDraw.Draw(plate).text((60, 30), "BENCH", fill=(20, 20, 80))
    packed = io.BytesIO()
    plate.save(packed, "JPEG", quality=85)
    return packed.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
