"""Lets the threads of a process that write at the same moment share one transaction and its one commit.

Owns the queue and whose turn it is; what is written, and how, is told by who makes a Group (`hq.log.chain`).
Other processes are not known here: the database's own lock stands between them, and between a transaction
here and one that a thread has open for other reasons. Who holds the turn waits for that lock alone and never
for another thread of the queue, so that the two cannot wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
WAIT_S: Final = 20.0
"""So long one waits for the turn, as long as SQLite's writers wait for the database (settings)."""


class NoTurn(Exception):
    """The turn did not come in time; whether what was to be written is written is not known."""


@dataclass(eq=False)
class _Waiting(Generic[T]):
    what: T
    settled: bool = False
    written: bool = False


class Group(Generic[T]):
    """Writes what threads bring, in the order in which they came.

    write: opens a transaction, gets hold of whatever lock it needs, calls its argument once for what is to be
    written, writes that and commits. Who comes while it waits for the lock is in time for this commit.
    """

    def __init__(self, write: Callable[[Callable[[], list[T]]], None], wait_s: float = WAIT_S) -> None:
        self._write, self._wait_s = write, wait_s
        self._changed = threading.Condition()
        self._queue: list[_Waiting[T]] = []
        self._led = False

    def join(self, what: T) -> bool:
        """Whether it is committed; if not, nothing of the common transaction is: it is to be written alone.

        The calling thread must have no transaction open. Raises NoTurn after `wait_s`, twice that if the
        writing has begun, and what `write` raised before it had the lock, if the turn was this thread's.
        """
        own = _Waiting(what)
        with self._changed:
            self._queue.append(own)
            if not self._changed.wait_for(lambda: own.settled or not self._led, self._wait_s):
                if own in self._queue:
                    self._queue.remove(own)
                    raise NoTurn(f"no turn within {self._wait_s:g} s")
                if not self._changed.wait_for(lambda: own.settled, self._wait_s):
                    raise NoTurn(f"not committed within {2 * self._wait_s:g} s")
            if own.settled:
                return own.written
            self._led = True
        self._lead(own)
        return own.written

    def _lead(self, own: _Waiting[T]) -> None:
        taken: list[_Waiting[T]] = []
        written = False

        def take() -> list[T]:
            with self._changed:
                taken.extend(self._queue)
                self._queue.clear()
            return [one.what for one in taken]

        try:
            self._write(take)
            written = True
        except Exception:
            # Whose fault it was shows when each writes alone; before the lock was there it is the database's.
            if not taken:
                raise
        finally:
            with self._changed:
                for one in taken:
                    one.settled, one.written = True, written
                if own in self._queue:
                    self._queue.remove(own)
                self._led = False
                self._changed.notify_all()
