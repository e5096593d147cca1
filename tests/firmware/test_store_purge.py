"""Deletion on the unit: what HQ has receipted goes after the grace, anything else stays."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from firmware.errors import StoreError
from firmware.store import Store
from firmware.store_queries import ReadQuery
from mqtt.fields import time_text
from mqtt.records import Loss
from tests.firmware.store_samples import NOON, SetClock, access, files, hit, pair, read, receipt, rows

GRACE = timedelta(hours=48)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    store = Store.open(tmp_path / "store", clock)
    yield store
    store.close()


def keep(store: Store, clock: SetClock, count: int) -> list[str]:
    """Add reads with a hit and two pictures each."""
    ids = []
    for number in range(count):
        given = read(clock)
        store.add(given, [hit(given)], pair(number))
        ids.append(given.read_id)
    return ids


def test_a_purge_is_still_done_after_closing_and_reopening(store: Store, clock: SetClock) -> None:
    """430.4-b: receipted reads go with rows and files, and do not come back."""
    keep(store, clock, 3)
    receipt(store, clock)
    (kept,) = keep(store, clock, 1)
    clock.advance(GRACE)
    purge = store.purge(clock.now().wall, GRACE)
    assert (purge.reads, purge.pictures, purge.unreceipted, purge.in_grace) == (3, 6, 1, 0)
    store.close()
    again = Store.open(store.directory, clock)
    assert [r.read_id for r in again.reads(ReadQuery())] == [kept]
    assert again.sweep().orphans == 0
    again.close()
    db = sqlite3.connect(store.directory / "platewarden.sqlite")
    for table, count in {"reads": 1, "hits": 1, "pictures": 2, "outbox": 4}.items():
        assert db.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (count,), table
    db.close()
    assert len(files(again)) == 2


@pytest.mark.clause("430.4-b")
def test_nothing_that_hq_lacks_is_purged(store: Store, clock: SetClock) -> None:
    """430.4-b: one unreceipted row keeps the whole read, however old it is."""
    keep(store, clock, 2)
    receipt(store, clock, 7)
    clock.advance(timedelta(days=3650))
    purge = store.purge(clock.now().wall, GRACE)
    assert (purge.reads, purge.unreceipted) == (1, 1)
    receipt(store, clock, 8)
    assert store.purge(clock.now().wall, GRACE).in_grace == 1, "the grace starts at the last row's receipt"
    clock.advance(GRACE)
    assert store.purge(clock.now().wall, GRACE).reads == 1


@pytest.mark.clause("430.4-b")
def test_a_read_stays_through_the_grace(store: Store, clock: SetClock) -> None:
    keep(store, clock, 1)
    receipt(store, clock)
    clock.advance(GRACE - timedelta(seconds=1))
    purge = store.purge(clock.now().wall, GRACE)
    assert (purge.reads, purge.in_grace, purge.next_at) == (0, 1, time_text(NOON + GRACE))


def test_a_revision_starts_the_grace_again(store: Store, clock: SetClock) -> None:
    (read_id,) = keep(store, clock, 1)
    receipt(store, clock)
    clock.advance(GRACE)
    stored = store.read(read_id)
    assert stored is not None
    store.revise(stored)
    assert store.purge(clock.now().wall, GRACE).unreceipted == 1


def test_an_hq_that_was_restored_keeps_the_reads_it_wants_again(store: Store, clock: SetClock) -> None:
    keep(store, clock, 2)
    receipt(store, clock)
    clock.advance(GRACE)
    receipt(store, clock, 4)
    purge = store.purge(clock.now().wall, GRACE)
    assert (purge.reads, purge.unreceipted) == (1, 1)


def test_without_a_clock_nothing_is_purged(store: Store, clock: SetClock) -> None:
    keep(store, clock, 1)
    receipt(store, clock)
    purge = store.purge(None, timedelta(0))
    assert (purge.reads, purge.in_grace, len(files(store))) == (0, 1, 2)


def test_a_dry_run_says_what_a_purge_does(store: Store, clock: SetClock) -> None:
    keep(store, clock, 2)
    store.add_access(access(clock))
    receipt(store, clock)
    keep(store, clock, 1)
    clock.advance(GRACE + timedelta(seconds=1))
    before = files(store)
    dry = store.purge(clock.now().wall, GRACE, dry_run=True)
    assert files(store) == before
    assert dry == store.purge(clock.now().wall, GRACE)
    assert (dry.reads, dry.records, dry.unreceipted) == (2, 1, 1)


def test_losses_and_access_records_go_with_their_receipt(store: Store, clock: SetClock) -> None:
    store.add_access(access(clock))
    store.add_loss(Loss(kind="frame", count=2, reason="test", since=None, until=None))
    receipt(store, clock)
    store.add_access(access(clock))
    clock.advance(GRACE * 2)
    assert store.purge(clock.now().wall, GRACE).records == 2
    assert [row.kind for row in rows(store)] == ["access"]
    assert store.figures().losses == {"frame": 2}, "the count since the store was made stays"


@pytest.mark.clause("430.4-b")
@pytest.mark.parametrize("table", ["reads", "hits", "pictures", "outbox"])
def test_the_database_refuses_to_delete_what_hq_lacks(store: Store, clock: SetClock, table: str) -> None:
    """430.4-b: whatever code asks."""
    keep(store, clock, 1)
    db = sqlite3.connect(store.directory / "platewarden.sqlite")
    db.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError, match="not receipted"):
        db.execute(f"DELETE FROM {table}")
    db.close()


def test_a_deleted_plate_is_not_left_in_the_database_file(store: Store, clock: SetClock) -> None:
    """430.4-d: what is purged is overwritten, not only unlinked from its table."""
    for number in range(30):
        store.add(read(clock, f"GONE{number:03d}"))
    receipt(store, clock)
    clock.advance(GRACE)
    store.purge(clock.now().wall, GRACE)
    store.close()
    assert b"GONE0" not in (store.directory / "platewarden.sqlite").read_bytes()


class Crash(BaseException):
    """The power goes: no handler of an expected error sees it."""


@pytest.mark.parametrize("at", range(4))
def test_an_interrupted_purge_is_finished_at_the_next_start(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    keep(store, clock, 2)
    receipt(store, clock)
    clock.advance(GRACE)
    real, calls = os.unlink, iter(range(1000))

    def unlink(path: object, **options: object) -> None:
        if next(calls) == at:
            raise Crash
        real(path, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", unlink)
        with pytest.raises(Crash):
            store.purge(clock.now().wall, GRACE)
    store.close()
    again = Store.open(store.directory, clock)
    assert again.count(ReadQuery()) == 0, "a marked read is not shown"
    swept = again.sweep()
    assert (swept.purged, swept.missing) == (2, 0)
    assert not files(again)
    assert again.figures().losses == {}
    again.close()


def test_a_read_wanted_again_amid_a_purge_stays_and_its_pictures_are_counted(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HQ is restored between the removal of the files and that of the rows."""
    (read_id,) = keep(store, clock, 1)
    receipt(store, clock)
    clock.advance(GRACE)
    remove = store._files.remove

    def remove_and_restore(paths: object) -> None:
        remove(paths)  # type: ignore[arg-type]
        receipt(store, clock, 0)

    monkeypatch.setattr(store._files, "remove", remove_and_restore)
    purge = store.purge(clock.now().wall, GRACE)
    assert (purge.reads, purge.unreceipted) == (0, 1)
    stored = store.read(read_id)
    assert stored is not None
    assert stored.pictures == ()
    assert [row.kind for row in rows(store)] == ["read", "hit", "loss", "loss"]
    assert store.figures().losses == {"picture": 2}


def test_a_file_that_cannot_be_removed_stops_the_purge_with_one_line(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, clock, 1)
    receipt(store, clock)
    clock.advance(GRACE)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        with pytest.raises(StoreError, match="not permitted"):
            store.purge(clock.now().wall, GRACE)
    assert store.purge(clock.now().wall, GRACE).reads == 1
