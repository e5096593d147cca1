"""Losses that wait in memory while the disk takes no more rows.

Owns the summing up: what has the same kind and reason becomes one Loss with a count, so that a full disk
cannot fill the memory as well. The Stores of one process share one ledger, so that whichever thread
commits next writes what all of them could not keep.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from mqtt.records import Loss


class Ledger:
    """Counted losses that are not in the database yet; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], Loss] = {}

    def add(self, losses: Iterable[Loss]) -> None:
        """Count losses. The period of a sum reaches from the first to the last; its read is named only
        while there is but one."""
        with self._lock:
            for loss in losses:
                key = (loss.kind, loss.reason)
                before = self._waiting.get(key)
                self._waiting[key] = loss if before is None else _sum(before, loss)

    def take(self) -> list[Loss]:
        """Hand over what waits. A caller that then fails to write it adds it again."""
        with self._lock:
            taken = list(self._waiting.values())
            self._waiting.clear()
        return taken

    def counts(self) -> dict[str, int]:
        """How many wait, by kind."""
        counts: dict[str, int] = {}
        with self._lock:
            for loss in self._waiting.values():
                counts[loss.kind] = counts.get(loss.kind, 0) + loss.count
        return counts


def _sum(one: Loss, other: Loss) -> Loss:
    starts = [time for time in (one.since, other.since) if time is not None]
    ends = [time for time in (one.until, other.until) if time is not None]
    return replace(
        one,
        count=one.count + other.count,
        since=min(starts, default=None),
        until=max(ends, default=None),
        read_id=one.read_id if one.read_id == other.read_id else "",
    )
