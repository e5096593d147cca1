"""Tells open boards that something has changed, as server-sent events.

An event holds no record, only a mark: the screen then asks for the rows, and that is a page like any other,
checked and logged. One look at the database serves all the boards of a process. A stream ends with the
moment at which the person's session would lock, and after five minutes; the browser asks again, and so rights
that have ended since are noticed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Final
from weakref import WeakKeyDictionary

from django.db import DatabaseError, close_old_connections, connections

from hq.hits import board

logger = logging.getLogger(__name__)

LOOK_S: Final = 0.3
"""Between two looks at the database; with the subscriber's batch and a page it keeps a hit within 2 s."""
BEAT_S: Final = 5.0
"""A board that hears nothing for three of these says that it is not live."""
LONGEST_S: Final = 300.0
BLIND_S: Final = 4.0
"""A look older than this is not one to vouch for."""


class Pulse:
    """Looks at the database as long as somebody watches, and wakes all who do when the mark changes."""

    def __init__(self, look: Callable[[], str] = board.mark, every_s: float = LOOK_S) -> None:
        self._look, self._every_s = look, every_s
        self._mark = ""
        self._looked_at = 0.0
        self._changed = asyncio.Event()
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Pulse]:
        """Watch while inside."""
        self._watchers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            self._watchers -= 1

    async def other_than(self, known: str) -> str:
        """The mark, as soon as it is known and another one."""
        while self._mark in ("", known):
            await self._changed.wait()
        return self._mark

    def sees(self) -> bool:
        """Whether the last look at the database is a fresh one."""
        return time.monotonic() - self._looked_at < BLIND_S

    async def _run(self) -> None:
        # A thread of its own, for a database connection belongs to one.
        with ThreadPoolExecutor(1, thread_name_prefix="hits") as pool:
            loop = asyncio.get_running_loop()
            try:
                while self._watchers:
                    await self._once(loop, pool)
                    await asyncio.sleep(self._every_s)
            finally:
                with suppress(RuntimeError):
                    pool.submit(connections.close_all)
                self._mark = ""

    async def _once(self, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor) -> None:
        try:
            mark = await loop.run_in_executor(pool, self._looked)
        except DatabaseError:
            logger.exception("the hit board cannot look at the database")
            return
        self._looked_at = time.monotonic()
        if mark != self._mark:
            self._mark = mark
            self._changed.set()
            self._changed = asyncio.Event()

    def _looked(self) -> str:
        close_old_connections()
        return self._look()


_pulses: WeakKeyDictionary[asyncio.AbstractEventLoop, Pulse] = WeakKeyDictionary()


def pulse() -> Pulse:
    """The one of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _pulses:
        _pulses[loop] = Pulse()
    return _pulses[loop]


async def events(known: str, lasting_s: float) -> AsyncIterator[str]:
    """The stream: `changed` with the new mark, `beat` while all is well; nothing while HQ is blind."""
    end = time.monotonic() + min(lasting_s, LONGEST_S)
    yield "retry: 1000\n\n"
    async with pulse().watched() as watched:
        while (left := end - time.monotonic()) > 0:
            try:
                known = await asyncio.wait_for(watched.other_than(known), min(BEAT_S, left))
            except TimeoutError:
                if watched.sees():
                    yield "event: beat\ndata: .\n\n"
            else:
                yield f"id: {known}\nevent: changed\ndata: {known}\n\n"
