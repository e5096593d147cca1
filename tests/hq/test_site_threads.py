"""That `serve` uses threads and their connections again, and that nobody waits for another's request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.db import connection, connections
from django.db.backends.signals import connection_created

from hq.asgi import application
from hq.site.threads import Receive, Send, Threads

HEADERS = [(b"host", b"localhost")]


def asking(threads: Threads, path: str) -> ApplicationCommunicator:
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "scheme": "https", "headers": HEADERS, "client": ("127.0.0.1", 1),
    }  # fmt: skip
    return ApplicationCommunicator(threads, scope)


async def answer(threads: Threads, path: str) -> tuple[int, bytes]:
    one = asking(threads, path)
    await one.send_input({"type": "http.request"})
    start, body = await one.receive_output(10), await one.receive_output(10)
    await one.wait(10)
    return start["status"], body["body"]


async def idle(threads: Threads, count: int) -> None:
    async with asyncio.timeout(10):
        while len(threads._idle) != count:
            await asyncio.sleep(0.005)


def close(threads: Threads) -> None:
    for one in threads._idle:
        one.submit(connections.close_all).result(10)
        one.shutdown()


class Toy:
    """An application whose pages say their thread, with a page that hangs and a stream that lasts."""

    def __init__(self) -> None:
        self.go_on, self.over = threading.Event(), asyncio.Event()
        self.streams: list[Any] = []
        self.slow = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        kind = b"text/html"
        if scope["path"] == "/slow":
            await sync_to_async(self._hang)()
        if scope["path"] == "/stream":
            kind = b"text/event-stream; charset=utf-8"
            self.streams.append(await sync_to_async(self._connected)())
        said = str(await sync_to_async(threading.get_ident)()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", kind)]})
        if scope["path"] == "/stream":
            await self.over.wait()
        await send({"type": "http.response.body", "body": said})

    def _hang(self) -> None:
        self.slow = True
        assert self.go_on.wait(20)

    @staticmethod
    def _connected() -> Any:
        connection.ensure_connection()
        return connections["default"]


@pytest.fixture
def made() -> Iterator[list[Any]]:
    """The connections that are made meanwhile."""
    found: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        found.append(connection)

    connection_created.connect(note)
    yield found
    connection_created.disconnect(note)


@pytest.mark.django_db(transaction=True)
def test_pages_one_after_another_use_one_connection(made: list[Any]) -> None:
    async def visit() -> None:
        for _ in range(5):
            status, body = await answer(threads, "/people/login/")
            assert status == 200, body
            await idle(threads, 1)

    threads = Threads(application)
    asyncio.run(visit())
    assert len(made) == 1
    close(threads)


@pytest.mark.django_db(transaction=True)
def test_streams_and_slow_pages_keep_nobody_waiting_and_streams_no_connection() -> None:
    async def visit() -> None:
        toy = Toy()
        threads = Threads(toy, kept=3)
        streams = [asking(threads, "/stream") for _ in range(10)]
        for one in streams:
            assert (await one.receive_output(10))["status"] == 200
        slow = [asyncio.create_task(answer(threads, "/slow")) for _ in range(10)]
        assert (await answer(threads, "/"))[0] == 200
        assert len(toy.streams) == 10
        assert all(one.connection is None for one in toy.streams)
        toy.go_on.set()
        toy.over.set()
        said = {body for _, body in await asyncio.gather(*slow)}
        said |= {(await one.receive_output(10))["body"] for one in streams}
        assert len(said) == 20, "two that lasted shared a thread"
        for one in streams:
            await one.wait(10)
        await idle(threads, 3)
        close(threads)

    asyncio.run(visit())


def test_thread_of_a_client_that_has_gone_comes_back_when_it_is_done() -> None:
    async def visit() -> None:
        toy = Toy()
        threads = Threads(toy)
        gone = asking(threads, "/slow")
        await gone.send_input({"type": "http.request"})
        async with asyncio.timeout(10):
            while not toy.slow:
                await asyncio.sleep(0.005)
        gone.future.cancel()
        await asyncio.wait([gone.future], timeout=10)
        assert (await answer(threads, "/"))[0] == 200
        await idle(threads, 1)
        toy.go_on.set()
        await idle(threads, 2)
        close(threads)

    asyncio.run(visit())
