"""That a hit reaches open boards in time, and that what pushes it holds no record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.db import DatabaseError, connections
from django.test import Client

from hq.asgi import application
from hq.hits import board, live, review
from hq.people.models import Person
from hq.records.intake import Intake, Source
from hq.records.models import Hit, Picture, Transfer, Unit
from tests.hq import kept
from tests.hq.hits_kept import PLATE, a_hit
from tests.hq.ingest_site import UNIT, received
from tests.mqtt import samples

ClientFor = Callable[..., Client]
People = Callable[..., Person]


class Watcher:
    """One open board: its stream, and its rows asked for through the same application."""

    def __init__(self, client: Client) -> None:
        self._cookie = client.cookies[django_settings.SESSION_COOKIE_NAME].value
        self.events: list[str] = []

    async def rows(self) -> str:
        asked = self._ask("/hits/rows/")
        start = await asked.receive_output(20)
        assert start["status"] == 200
        body = b""
        while True:
            part = await asked.receive_output(20)
            body += part.get("body", b"")
            if not part.get("more_body"):
                return body.decode()

    @asynccontextmanager
    async def watching(self, mark: str) -> AsyncIterator[Watcher]:
        self._stream = self._ask("/hits/stream/", f"mark={mark}")
        start = await self._stream.receive_output(20)
        assert start["status"] == 200
        assert (b"Content-Type", b"text/event-stream") in start["headers"]
        try:
            yield self
        finally:
            await self._stream.send_input({"type": "http.disconnect"})
            await self._stream.wait(20)

    async def changed(self, within_s: float = 20.0) -> str:
        end = time.monotonic() + within_s
        while True:
            part = await self._stream.receive_output(max(0.01, end - time.monotonic()))
            text = part.get("body", b"").decode()
            self.events.append(text)
            if "event: changed" in text:
                return text.partition("data: ")[2].strip()

    def _ask(self, path: str, query: str = "") -> ApplicationCommunicator:
        asked = ApplicationCommunicator(
            application,
            {
                "type": "http",
                "http_version": "1.1",
                "method": "GET",
                "path": path,
                "raw_path": path.encode(),
                "query_string": query.encode(),
                "scheme": "https",
                "server": ("testserver", 443),
                "client": ("127.0.0.1", 1),
                "headers": [
                    (b"host", b"testserver"),
                    (b"cookie", f"{django_settings.SESSION_COOKIE_NAME}={self._cookie}".encode()),
                ],
            },
        )
        asked.input_queue.put_nowait({"type": "http.request"})
        return asked


def commit() -> None:
    """A read and its hit, as the subscriber commits them."""
    read = samples.read(plate=PLATE)
    intake = Intake()
    try:
        intake.take(
            [received(read, 1), received(samples.hit(read.read_id, PLATE), 2)],
            Source(Transfer.Way.MQTT, "test"),
        )
    finally:
        intake.close()
        connections.close_all()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.3(b)")
@pytest.mark.clause("430.7-b")
def test_committed_hit_is_on_two_boards_within_two_seconds(
    people: People, client_for: ClientFor, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    Unit.objects.create(unit_id=UNIT, state="enrolled")
    watchers = [Watcher(client_for(people("officer"))), Watcher(client_for(people("dispatcher")))]
    mark = board.mark()

    async def watch() -> list[float]:
        async with watchers[0].watching(mark), watchers[1].watching(mark):
            for watcher in watchers:
                assert PLATE not in await watcher.rows()
            await sync_to_async(commit, thread_sensitive=False)()
            committed = time.monotonic()

            async def shown(watcher: Watcher) -> float:
                await watcher.changed()
                assert PLATE in await watcher.rows()
                return time.monotonic() - committed

            return list(await asyncio.gather(*map(shown, watchers)))

    took = asyncio.run(watch())
    connections.close_all()
    assert max(took) < 2.0, took
    assert Hit.objects.count() == 1
    for watcher in watchers:
        assert all(PLATE not in event for event in watcher.events)


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
def test_mark_changes_with_what_the_board_shows(people: People, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    officer, marks = people("officer"), [board.mark()]
    kept.read("8TST456", pictures=())
    assert board.mark() == marks[0], "a read without a hit is nothing to the board"
    hit = a_hit(pictures=False)
    marks.append(board.mark())
    Picture.objects.create(read_id=hit.read_id, kind="plate", sha256="a" * 64, size=1, missing=False)
    marks.append(board.mark())
    review.acknowledge(hit, officer)
    marks.append(board.mark())
    hit.withdrawn = True
    hit.save()
    marks.append(board.mark())
    assert len(set(marks)) == len(marks)


def test_one_look_serves_all_watchers_and_ends_with_the_last() -> None:
    looks = []

    def look() -> str:
        looks.append(1)
        return f"mark {len(looks) // 3}"

    async def watch() -> list[str]:
        pulse = live.Pulse(look, 0.01)

        async def one() -> str:
            async with pulse.watched() as watched:
                first = await watched.other_than("")
                return await watched.other_than(first)

        found = list(await asyncio.gather(*(one() for _ in range(50))))
        await asyncio.sleep(0.1)
        rested = len(looks)
        await asyncio.sleep(0.1)
        assert len(looks) == rested
        return found

    found = asyncio.run(watch())
    assert len(found) == 50
    assert len(looks) < 50


def test_board_hears_nothing_while_the_database_cannot_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence makes it say that it is not live; a beat would vouch for what nobody sees."""
    monkeypatch.setattr(live, "BEAT_S", 0.05)
    monkeypatch.setattr(live, "BLIND_S", 0.2)
    broken = [False]

    def look() -> str:
        if broken[0]:
            raise DatabaseError("disk I/O error")
        return "mark"

    async def watch() -> list[str]:
        monkeypatch.setattr(live, "pulse", lambda: pulse)
        pulse = live.Pulse(look, 0.02)
        heard: list[str] = []
        stream = live.events("mark", 1.5)

        async def listen() -> None:
            async for event in stream:
                heard.append(event)

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0.5)
        assert any("beat" in event for event in heard)
        broken[0] = True
        await asyncio.sleep(0.4)
        del heard[:]
        await asyncio.sleep(0.3)
        assert heard == []
        broken[0] = False
        await listening
        return heard

    assert any("beat" in event for event in asyncio.run(watch()))


@pytest.mark.django_db
@pytest.mark.clause("CJIS AC-11")
def test_stream_ends_no_later_than_the_session_locks(
    people: People, client_for: ClientFor, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting: list[float] = []

    def events(known: str, lasting_s: float) -> list[str]:
        lasting.append(lasting_s)
        return [known]

    monkeypatch.setattr(live, "events", events)
    client = client_for(people("officer"))
    clock.advance(minutes=29)
    assert client.get("/hits/stream/").status_code == 200
    assert lasting == [pytest.approx(60, abs=1)]
