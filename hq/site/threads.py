"""Lends each request a thread that has had its database connection already.

By itself Django gives each request a thread of its own and so a new connection, 5 ms of processor on SQLite.
Here a thread goes to one request at a time, to the next when it has nothing left to do, and there is always
one more for whoever comes: a stream or a slow page keeps nobody waiting. How long a connection is used is for
the settings (CONN_MAX_AGE), and Django closes it at the start of a request that finds it too old or broken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

KEPT: Final = 50
"""Idle threads that are kept, each with a connection: PostgreSQL allows 100 by default."""


class Threads:
    """The ASGI application with threads that are used again."""

    def __init__(self, application: Application, kept: int = KEPT) -> None:
        self._application, self._kept = application, kept
        self._idle: deque[ThreadPoolExecutor] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        thread = self._thread()

        async def sent(message: Message) -> None:
            if _begins_stream(message):
                # It lasts for minutes and asks the database nothing more.
                await asyncio.get_running_loop().run_in_executor(thread, connections.close_all)
            await send(message)

        try:
            async with ThreadSensitiveContext(executor=thread):
                await self._application(scope, receive, sent)
        finally:
            # By the thread itself: after a request whose client has gone it may still be at work.
            thread.submit(self._done, thread)

    def _thread(self) -> ThreadPoolExecutor:
        """The one that was used last, so that those beyond need grow old."""
        try:
            return self._idle.pop()
        except IndexError:
            return ThreadPoolExecutor(1, thread_name_prefix="page")

    def _done(self, thread: ThreadPoolExecutor) -> None:
        if len(self._idle) < self._kept:
            self._idle.append(thread)
        else:
            connections.close_all()
            thread.shutdown(wait=False)


def _begins_stream(message: Message) -> bool:
    return message["type"] == "http.response.start" and any(
        name.lower() == b"content-type" and text.startswith(b"text/event-stream")
        for name, text in message.get("headers", ())
    )
