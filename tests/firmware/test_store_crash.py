"""The process is killed amid its work: what it had committed is there, and nothing is left over.

SIGKILL says nothing about the disk, which test_store_durability.py watches.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from firmware.store import Store
from tests.firmware.store_samples import SetClock, files, hit, pair, read, receipt

PICTURES = [pair(shade) for shade in range(8)]


def work(directory: Path, done: int) -> NoReturn:
    """Add, revise, receipt and purge for ever, and tell each step when it is committed."""
    clock = SetClock()
    store = Store.open(directory, clock)
    store.sweep()

    def tell(word: str, read_id: str = "-") -> None:
        os.write(done, f"{word} {read_id}\n".encode())

    for number in range(1_000_000):
        given = read(clock)
        stored = store.add(given, [hit(given)], PICTURES[number % 8])
        assert stored is not None
        tell("added", given.read_id)
        if number % 3 == 0:
            store.revise(replace(stored, parked=True), (), PICTURES[(number + 1) % 8])
            tell("revised", given.read_id)
        if number % 7 == 6:
            tell("purging")
            receipt(store, clock)
            store.purge(clock.now().wall, timedelta(0))
            tell("purged")
    raise AssertionError("nobody killed this process")


def run_and_kill(directory: Path, seconds: float) -> list[tuple[str, str]]:
    """What a child told until it was killed, `seconds` after its first read."""
    told, done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(told)
            work(directory, done)
        finally:
            os._exit(1)
    os.close(done)
    text = os.read(told, 65536)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    while more := os.read(told, 65536):
        text += more
    os.close(told)
    steps = [line.split() for line in text.decode().splitlines(keepends=True) if line.endswith("\n")]
    return [(word, read_id) for word, read_id in steps]


def check(directory: Path, steps: list[tuple[str, str]], before: set[str]) -> set[str]:
    """What must be in the store is in it, whole; returns the ids of all its reads."""
    store = Store.open(directory, SetClock())
    store.sweep()
    db = sqlite3.connect(directory / "platewarden.sqlite")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    parked = dict(db.execute("SELECT read_id, parked FROM reads").fetchall())
    starts = [number for number, (word, _) in enumerate(steps) if word == "purging"]
    safe = steps[starts[-1] :] if starts else steps  # What came before a purge may have gone with it.
    must = {read_id for word, read_id in safe if word == "added"} | (set() if starts else before)
    assert must <= parked.keys(), "a committed read is lost"
    assert all(parked[read_id] for word, read_id in safe if word == "revised"), "a revision is lost"
    for read_id in parked:
        kinds = dict(
            db.execute("SELECT kind, COUNT(*) FROM outbox WHERE read_id = ? GROUP BY kind", (read_id,))
        )
        looks = 1 + parked[read_id]
        assert kinds == {"read": looks, "hit": 1, "picture": 2 * looks}, "a read is half there"
    assert {path for (path,) in db.execute("SELECT path FROM pictures")} == set(files(store))
    assert store.verify() == 0
    assert store.figures().losses == {}
    db.close()
    store.close()
    return set(parked)


def kill_at_random_moments(directory: Path, moments: int, seed: int) -> int:
    rng = random.Random(seed)
    here: set[str] = set()
    added = 0
    for _ in range(moments):
        steps = run_and_kill(directory, rng.uniform(0.0, 0.08))
        added += sum(word == "added" for word, _ in steps)
        here = check(directory, steps, here)
    return added


def test_a_unit_killed_at_20_moments_loses_no_committed_read(tmp_path: Path) -> None:
    """430.4-b: every read that `add` returned is there after the kill, whole, or purged by then."""
    assert kill_at_random_moments(tmp_path, 20, seed=1) >= 20


@pytest.mark.slow
def test_a_unit_killed_at_150_moments_loses_no_committed_read(tmp_path: Path) -> None:
    assert kill_at_random_moments(tmp_path, 150, seed=2) >= 150
