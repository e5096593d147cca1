"""A full disk: pictures are given up first, then reads, all of it counted, and the unit goes on."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from firmware.errors import StoreError
from firmware.store import Store
from firmware.store_pictures import PictureFiles
from firmware.store_queries import ReadQuery
from mqtt.messages import decode_record
from mqtt.records import Loss, PictureKind
from tests.disk import fill, tmpfs
from tests.firmware.store_samples import SetClock, access, files, hit, jpeg, pair, read, receipt, rows

KEPT = {PictureKind.PLATE: jpeg(1), PictureKind.SCENE: jpeg(2)}


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def lost(store: Store) -> Counter[tuple[str, str]]:
    """What the outbox tells HQ of losses: how many by kind and read id."""
    told: Counter[tuple[str, str]] = Counter()
    for row in rows(store):
        if row.kind == "loss":
            loss = decode_record("loss", row.body)
            assert isinstance(loss, Loss)
            told[loss.kind, loss.read_id] += loss.count
    return told


@pytest.mark.parametrize(
    ("free", "kinds"), [(1000, ["plate", "scene"]), (999, ["plate"]), (500, ["plate"]), (499, [])]
)
def test_scenes_are_given_up_first_then_plates(
    tmp_path: Path, clock: SetClock, free: int, kinds: list[str]
) -> None:
    store = Store.open(tmp_path, clock, min_free=1000, free=lambda: free)
    stored = store.add(read(clock), (), KEPT)
    assert stored is not None
    assert [ref.kind for ref in stored.pictures] == kinds
    assert len(files(store)) == len(kinds)
    missing = 2 - len(kinds)
    assert lost(store) == ({("picture", stored.read_id): missing} if missing else {})
    assert store.figures().losses == ({"picture": missing} if missing else {})
    store.close()


def test_a_revision_without_room_keeps_the_picture_it_has(tmp_path: Path, clock: SetClock) -> None:
    free = 1000
    store = Store.open(tmp_path, clock, min_free=1000, free=lambda: free)
    stored = store.add(read(clock), (), pair(1))
    assert stored is not None
    free = 125
    revised = store.revise(stored, (), pair(2))
    assert revised is not None
    assert revised.pictures == stored.pictures
    assert lost(store) == {("picture", stored.read_id): 2}
    store.close()


@pytest.mark.clause("430.4-b")
def test_below_an_eighth_no_read_is_stored_but_all_are_counted(tmp_path: Path, clock: SetClock) -> None:
    free = 125
    store = Store.open(tmp_path, clock, min_free=1000, free=lambda: free)
    assert store.add(read(clock)) is not None
    free = 124
    for _ in range(3):
        given = read(clock)
        assert store.add(given, [hit(given)], pair()) is None
        clock.advance(timedelta(seconds=20))
    assert store.figures().losses == {"read": 3, "hit": 3, "picture": 6}
    assert sum(lost(store).values()) == 4, "the first at once, the others summed up a minute later"
    assert store.add(read(clock)) is None
    assert sum(lost(store).values()) == 13
    store.close()


@pytest.mark.clause("430.4-b")
def test_a_disk_that_fills_up_loses_nothing_silently(tmp_path: Path, clock: SetClock) -> None:
    """430.4-b: on a real small file system every read is kept or counted; HQ's receipts still get in, and
    the purge after them makes room."""
    with tmpfs(tmp_path / "disk", "160m") as disk:
        store = Store.open(disk / "store", clock, min_free=64_000_000)
        big = {PictureKind.PLATE: jpeg(1) + bytes(1_000_000), PictureKind.SCENE: jpeg(2) + bytes(6_000_000)}

        given = refused = 0
        while refused < 20:
            one = read(clock)
            given += 1
            hits = [hit(one, reason="a long story " * 5000) for _ in range(4)]
            refused += store.add(one, hits, big) is None
            assert given < 5000
        losses = store.figures().losses
        kept = store.reads(ReadQuery())
        assert len(kept) + losses["read"] == given
        assert losses["read"] * 4 == losses["hit"] == refused * 4
        assert sum(len(r.pictures) for r in kept) + losses["picture"] == 2 * given
        pictures = Counter(len(r.pictures) for r in kept)
        assert all(pictures[count] for count in (0, 1, 2)), "scenes went first, then plates, then reads"

        for sequence in range(0, rows(store)[-1].sequence, 10):
            receipt(store, clock, sequence or 1)
        receipt(store, clock)
        clock.advance(timedelta(hours=1))
        assert store.purge(clock.now().wall, timedelta(0)).unreceipted == 0
        stored = store.add(read(clock), (), big)
        assert stored is not None
        assert len(stored.pictures) == 2
        store.close()
        again = Store.open(disk / "store", clock)
        assert again.figures().losses == losses
        assert again.sweep().orphans == 0
        again.close()


def test_a_disk_that_others_filled_is_survived(tmp_path: Path, clock: SetClock) -> None:
    """Not a byte is left: what is lost is counted in memory and written once there is room again."""
    with tmpfs(tmp_path / "disk", "4m") as disk:
        store = Store.open(disk / "store", clock)
        kept = 0
        with pytest.raises(OSError, match="No space left"):
            (disk / "log").write_bytes(bytes(8_000_000))
        lost_reads = 0
        while lost_reads < 10:
            if store.add(read(clock), (), pair()) is None:
                lost_reads += 1
            else:
                kept += 1
            assert kept < 5000
        with pytest.raises(StoreError, match="FULL"):
            store.add_access(access(clock, query="?" * 200_000))
        assert store.count(ReadQuery()) == kept
        losses = store.figures().losses
        assert losses["read"] == 10
        (disk / "log").unlink()
        store.write_losses()
        assert sum(lost(store).values()) == sum(losses.values())
        assert store.figures().losses == losses
        assert store.sweep().orphans == 0
        store.close()


def test_a_store_that_cannot_be_opened_on_a_full_disk_says_so(tmp_path: Path, clock: SetClock) -> None:
    """SQLite's own word for it, disk I/O error, sends a technician for another card."""
    with tmpfs(tmp_path / "disk", "2m") as disk:
        Store.open(disk / "store", clock).close()
        fill(disk)
        with pytest.raises(
            StoreError, match=rf"^{disk}/store: the store cannot be opened: .*the disk is full$"
        ):
            Store.open(disk / "store", clock)


def test_a_picture_that_fails_halfway_leaves_nothing(tmp_path: Path, clock: SetClock) -> None:
    with tmpfs(tmp_path / "disk", "256k") as disk:
        pictures = PictureFiles(disk)
        with pytest.raises(OSError, match="No space left"):
            pictures.write("pictures/ab/one.jpg", bytes(1_000_000))
        assert [path for path in disk.rglob("*") if path.is_file()] == []


def test_a_disk_that_turned_read_only_is_counted(
    tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worn-out card does."""
    store = Store.open(tmp_path, clock)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(30, "Read-only file system")

    store._db.execute("PRAGMA query_only = ON")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert store.add(read(clock), (), pair()) is None
    assert store.figures().losses == {"read": 1, "picture": 2}
    store._db.execute("PRAGMA query_only = OFF")
    assert store.add(read(clock), (), pair()) is not None
    assert sum(lost(store).values()) == 3
    store.close()


def test_losses_in_memory_are_shared_by_the_threads_of_a_unit(tmp_path: Path, clock: SetClock) -> None:
    """The loop's store could not write them; `upkeep` writes them with its own."""
    loop = Store.open(tmp_path, clock)
    upkeep = loop.for_thread()
    blocker = Store.open(tmp_path, clock)
    loop._db.execute("PRAGMA busy_timeout = 50")
    blocker._db.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        assert loop.add(read(clock), (), pair()) is None
    assert not files(loop)
    blocker._db.execute("ROLLBACK")
    assert upkeep.figures().losses == {"read": 3, "picture": 6}
    upkeep.write_losses()
    assert len(rows(loop)) == 2, "one record for each kind, with its count"
    assert loop.figures().losses == {"read": 3, "picture": 6}
    for store in (loop, upkeep, blocker):
        store.close()


def test_a_stop_writes_the_losses_that_wait(tmp_path: Path, clock: SetClock) -> None:
    free = 0
    store = Store.open(tmp_path, clock, min_free=1000, free=lambda: free)
    for _ in range(5):
        store.add(read(clock))
    assert sum(lost(store).values()) == 1
    store.close()
    store.close()
    again = Store.open(tmp_path, clock)
    assert again.figures().losses == {"read": 5}
    again.close()


def test_a_failing_fsync_gives_up_the_picture_not_the_read(
    tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path, clock)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        stored = store.add(read(clock), (), pair())
    assert stored is not None
    assert stored.pictures == ()
    assert not files(store)
    assert lost(store) == {("picture", stored.read_id): 2}
    store.close()
