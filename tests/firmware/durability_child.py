"""Adds one read to a new store, for a test that watches its system calls from outside.

Run as `python -m tests.firmware.durability_child DIRECTORY`. The environment's SABOTAGE takes one safety
away, so that the test can show that it would notice: "file" (the picture is not synced), "folder" (its
name is not), "commit" (the log is not synced at the commit), "order" (the picture comes after the commit).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from firmware.store import Store
from tests.firmware.store_samples import SetClock, hit, pair, read


def main(directory: Path, sabotage: str) -> None:
    clock = SetClock()
    store = Store.open(directory, clock)
    real: Callable[[int], None] = os.fsync

    def fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        if sabotage != ("folder" if is_folder else "file"):
            real(handle)

    os.fsync = fsync  # type: ignore[assignment]
    if sabotage == "commit":
        store._db.execute("PRAGMA synchronous = NORMAL")
    if sabotage == "order":
        late: list[tuple[str, bytes]] = []
        write = store._files.write
        store._files.write = lambda path, data: late.append((path, data))  # type: ignore[method-assign]
    given = read(clock)
    mark("begin")
    stored = store.add(given, [hit(given)], pair())
    mark("end")
    if sabotage == "order":
        for path, data in late:
            write(path, data)
    assert stored is not None
    store.close()


def mark(name: str) -> None:
    """Leave a trace that the watcher sees among the system calls."""
    os.access(f"/mark-{name}", os.F_OK)


if __name__ == "__main__":
    main(Path(sys.argv[1]), os.environ.get("SABOTAGE", ""))
