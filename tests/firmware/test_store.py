"""What a unit keeps: reads as they were, their revisions, their time once the clock is set, losses."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from firmware.errors import StoreError
from firmware.store import Store
from firmware.store_pictures import PictureFiles
from firmware.store_queries import ReadQuery
from firmware.store_rows import StoredPicture
from hw.protocols import ClockQuality
from mqtt import outbox
from mqtt.fields import time_text
from mqtt.messages import decode_record
from mqtt.records import Hit, Loss, PictureHeader, PictureKind, Read
from tests.firmware.store_samples import (
    NOON,
    SetClock,
    access,
    files,
    hit,
    jpeg,
    pair,
    read,
    receipt,
    rows,
)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    store = Store.open(tmp_path / "store", clock)
    yield store
    store.close()


def test_a_read_comes_back_as_it_was(store: Store, clock: SetClock) -> None:
    given = read(clock)
    hits = [hit(given, score=0.4, kind="lookalike", state_agrees=True), hit(given)]
    stored = store.add(given, hits, pair())
    assert stored is not None
    assert [ref.kind for ref in stored.pictures] == [PictureKind.PLATE, PictureKind.SCENE]
    assert replace(stored, pictures=()) == given
    assert store.read(given.read_id) == stored
    assert store.hits(given.read_id) == [hits[1], hits[0]]


def test_a_store_from_before_states_were_told_opens_and_knows_none(tmp_path: Path, clock: SetClock) -> None:
    given = read(clock)
    with contextlib.closing(Store.open(tmp_path, clock)) as store:
        store.add(given, [], pair())
    with contextlib.closing(sqlite3.connect(tmp_path / "platewarden.sqlite")) as db, db:
        db.execute("ALTER TABLE reads DROP COLUMN region")
        db.execute("ALTER TABLE reads DROP COLUMN region_confidence")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'plate_region'")
    with contextlib.closing(Store.open(tmp_path, clock)) as store:
        old = store.read(given.read_id)
        assert old is not None
        assert replace(old, pictures=()) == replace(given, region="", region_confidence=0.0)
        store.revise(given)
        new = store.read(given.read_id)
        assert new is not None
        assert (new.region, new.region_confidence) == ("CA", 0.96)


def test_a_store_from_before_the_queue_was_counted_tells_its_length(tmp_path: Path, clock: SetClock) -> None:
    with contextlib.closing(Store.open(tmp_path, clock)) as store:
        store.add(read(clock), [], pair())
    with contextlib.closing(sqlite3.connect(tmp_path / "platewarden.sqlite")) as db, db:
        for name in ("TRIGGER outbox_waits", "TRIGGER outbox_waits_not", "TABLE outbox_waiting"):
            db.execute(f"DROP {name}")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'queue_counter'")
    with contextlib.closing(Store.open(tmp_path, clock)) as store:
        assert store.figures().queue == 3


def test_every_record_gets_its_number_in_the_order_read_hit_pictures(store: Store, clock: SetClock) -> None:
    """430.4-b: each read and what belongs to it has a number of the store's series."""
    given = read(clock)
    stored = store.add(given, [hit(given)], pair())
    queued = rows(store)
    assert [(row.sequence, row.kind) for row in queued] == [
        (1, "read"),
        (2, "hit"),
        (3, "picture"),
        (4, "picture"),
    ]
    assert decode_record("read", queued[0].body) == stored
    for row, (kind, data) in zip(queued[2:], pair().items(), strict=True):
        header = decode_record("picture", row.body)
        assert isinstance(header, PictureHeader)
        assert header.kind == kind
        assert (store.directory / row.ref).read_bytes() == data
        assert hashlib.sha256(data).hexdigest() == header.sha256


def test_files_are_readable_by_the_unit_only(store: Store, clock: SetClock) -> None:
    """430.5-0: nobody else on the machine reads the pictures."""
    store.add(read(clock), (), pair())
    assert store.directory.stat().st_mode & 0o077 == 0
    for path in files(store):
        assert (store.directory / path).stat().st_mode & 0o077 == 0


def test_a_revision_raises_the_number_and_replaces_the_picture(store: Store, clock: SetClock) -> None:
    given = read(clock)
    first = store.add(given, (), pair(1))
    assert first is not None
    revised = store.revise(replace(first, plate="TEST124"), (), {PictureKind.PLATE: jpeg(2)})
    assert revised is not None
    assert (revised.revision, revised.plate) == (2, "TEST124")
    assert revised.pictures[0] != first.pictures[0]
    assert revised.pictures[1] == first.pictures[1]
    assert store.read(given.read_id) == revised
    assert [row.kind for row in rows(store)] == ["read", "picture", "picture", "read", "picture"]
    assert len(files(store)) == 3, "the first picture is still to be sent"


def test_an_unchanged_picture_and_an_unchanged_hit_are_told_once(store: Store, clock: SetClock) -> None:
    given = read(clock)
    hits = [hit(given), hit(given)]
    stored = store.add(given, hits, pair(1))
    assert stored is not None
    before = len(rows(store))
    withdrawn = replace(hits[1], withdrawn=True)
    store.revise(stored, [hits[0], withdrawn], pair(1))
    assert [row.kind for row in rows(store)[before:]] == ["read", "hit"]
    told = decode_record("hit", rows(store)[-1].body)
    assert isinstance(told, Hit)
    assert (told.withdrawn, told.read_revision) == (True, 2)
    assert store.hits(given.read_id)[-1] == told


def test_a_read_that_was_lost_or_purged_is_stored_by_its_revision(store: Store, clock: SetClock) -> None:
    late = read(clock, revision=3)
    assert store.revise(late, (), pair()) == store.read(late.read_id)
    assert store.count(ReadQuery()) == 1


def test_a_second_read_of_the_same_id_is_refused(store: Store, clock: SetClock) -> None:
    given = read(clock)
    store.add(given)
    with pytest.raises(StoreError, match="UNIQUE"):
        store.add(given)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "TEST", "AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA"])
def test_a_read_id_cannot_lead_out_of_the_folder(store: Store, clock: SetClock, name: str) -> None:
    with pytest.raises(StoreError, match="picture of read"):
        store.add(replace(read(clock), read_id=name), (), pair())
    assert not files(store)


def test_bytes_that_are_no_picture_are_refused(store: Store, clock: SetClock) -> None:
    with pytest.raises(StoreError, match="plate picture of read"):
        store.add(read(clock), (), {PictureKind.PLATE: b"no picture"})


def test_reads_from_before_the_clock_was_set_get_their_time(tmp_path: Path) -> None:
    clock = SetClock(ClockQuality.NONE)
    store = Store.open(tmp_path, clock)
    early = store.add(read(clock), (), pair())
    other_boot = read(clock)
    store.add(replace(other_boot, clock=replace(other_boot.clock, boot_id="0" * 32)))
    assert early is not None
    assert early.captured_at is None
    assert store.backfill() == 0
    clock.advance(timedelta(seconds=90))
    clock.quality = ClockQuality.GPS
    before = len(rows(store))
    assert store.backfill() == 1, "a read of another boot keeps none"
    late = store.read(early.read_id)
    assert late is not None
    assert (late.captured_at, late.revision, late.clock.quality) == (time_text(NOON), 2, "gps")
    assert [row.kind for row in rows(store)[before:]] == ["read"]
    assert store.backfill() == 0
    store.close()


def test_reads_without_a_time_are_found_without_a_look_at_all_others(store: Store, clock: SetClock) -> None:
    """`upkeep` asks every few seconds, and a boot of months has hundreds of thousands of reads."""

    def cost() -> int:
        steps: list[int] = []
        store._db.conn.set_progress_handler(lambda: steps.append(0), 1)
        assert store.backfill() == 0
        store._db.conn.set_progress_handler(None, 1)
        return len(steps)

    store.add(read(clock))
    few = cost()
    for _ in range(100):
        store.add(read(clock))
    assert cost() <= few + 20


def test_a_revision_after_the_back_fill_keeps_time_and_number(tmp_path: Path) -> None:
    """The loop still holds the read as it was before `upkeep` gave it its time."""
    clock = SetClock(ClockQuality.NONE)
    store = Store.open(tmp_path, clock)
    early = store.add(read(clock))
    assert early is not None
    clock.quality = ClockQuality.NTP
    store.backfill()
    revised = store.revise(replace(early, parked=True))
    assert revised is not None
    assert (revised.captured_at, revised.revision, revised.parked) == (time_text(NOON), 3, True)
    moved = store.revise(replace(early, clock=replace(early.clock, boottime=101.0)))
    assert moved is not None
    assert moved.captured_at is None, "another look won: its own time is filled in later"
    store.close()


def test_losses_are_counted_and_told(store: Store, clock: SetClock) -> None:
    at = time_text(NOON)
    for _ in range(2):
        store.add_loss(Loss(kind="frame", count=3, reason="camera failed", since=at, until=at))
    store.add_loss(Loss(kind="read", count=1, reason="test", since=None, until=None))
    assert store.figures().losses == {"frame": 6, "read": 1}
    assert [row.kind for row in rows(store)] == ["loss"] * 3


def test_what_the_publisher_could_not_send_is_counted(store: Store, clock: SetClock) -> None:
    store.add(read(clock), (), pair())
    db = outbox.open_database(store.directory / "platewarden.sqlite")
    with db:
        outbox.replace(db, 2, b"{}")
    db.close()
    assert store.figures().losses == {"picture": 1}


def test_access_records_travel_and_never_change(store: Store, clock: SetClock) -> None:
    """430.5(a): who saw what is written once, and HQ hears of it."""
    record = access(clock, ids=("1", "2"), results=2)
    store.add_access(record)
    (row,) = rows(store)
    assert (row.kind, row.ref) == ("access", record.access_id)
    assert decode_record("access", row.body) == record
    db = sqlite3.connect(store.directory / "platewarden.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        db.execute("UPDATE access SET person = 'somebody else'")
    with pytest.raises(sqlite3.IntegrityError, match="not receipted"):
        db.execute("DELETE FROM access")
    db.close()


def test_reads_are_found_by_time_and_plate(store: Store, clock: SetClock) -> None:
    for plate in ("TEST123", "TEST124", "OTHER1"):
        store.add(read(clock, plate))
        clock.advance(timedelta(minutes=10))
    assert [r.plate for r in store.reads(ReadQuery(limit=2))] == ["OTHER1", "TEST124"]
    assert [r.plate for r in store.reads(ReadQuery(plate="TEST12?"))] == ["TEST124", "TEST123"]
    assert [r.plate for r in store.reads(ReadQuery(plate="*1"))] == ["OTHER1"]
    first = time_text(NOON)
    assert store.count(ReadQuery(until=first)) == 1
    assert store.count(ReadQuery(since=first, limit=1)) == 3


def test_the_hours_norm_is_the_median_of_the_days_before(store: Store, clock: SetClock) -> None:
    for count in (2, 4, 40, 3):
        for _ in range(count):
            store.add(read(clock))
        figures = store.figures()
        clock.advance(timedelta(days=1))
    assert figures.reads_hour == 3
    clock.advance(timedelta(minutes=30))
    assert store.figures().reads_hour_norm == 3.5
    assert store.figures().reads_hour == 0
    clock.advance(timedelta(hours=6))
    assert store.figures().reads_hour_norm == 0


def test_the_last_hour_is_counted_before_the_clock_is_set(tmp_path: Path) -> None:
    clock = SetClock(ClockQuality.NONE)
    store = Store.open(tmp_path, clock)
    store.add(read(clock))
    clock.advance(timedelta(hours=2))
    store.add(read(clock))
    figures = store.figures()
    assert (figures.reads, figures.reads_hour, figures.reads_hour_norm) == (2, 1, None)
    store.close()


def test_the_queue_is_what_hq_has_not_receipted(store: Store, clock: SetClock) -> None:
    store.add(read(clock), (), pair())
    clock.advance(timedelta(seconds=30))
    store.add(read(clock))
    assert (store.figures().queue, store.figures().oldest_queued_s) == (4, 30.0)
    receipt(store, clock, 3)
    assert (store.figures().queue, store.figures().oldest_queued_s) == (1, 0.0)


def test_threads_with_a_store_of_their_own_add_at_once(store: Store, clock: SetClock) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            mine = store.for_thread()
            for number in range(10):
                mine.add(read(clock), (), pair(number))
            mine.close()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert store.count(ReadQuery()) == 30
    assert [row.sequence for row in rows(store)] == list(range(1, 91))


def test_many_units_open_a_new_store_at_once(tmp_path: Path, clock: SetClock) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            Store.open(tmp_path / "store", clock).close()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_store_has_one_unit(store: Store, clock: SetClock) -> None:
    store.sweep()
    other = Store.open(store.directory, clock)
    with pytest.raises(StoreError, match="another unit"):
        other.sweep()
    store.close()
    other.sweep()
    other.close()


def test_a_damaged_database_is_one_clear_line(tmp_path: Path, clock: SetClock) -> None:
    Store.open(tmp_path, clock).close()
    (tmp_path / "platewarden.sqlite").write_bytes(b"This is no database. " * 1000)
    with pytest.raises(StoreError, match=r"platewarden\.sqlite") as caught:
        Store.open(tmp_path, clock)
    assert "\n" not in str(caught.value)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path, clock: SetClock) -> None:
    Store.open(tmp_path, clock).close()
    db = sqlite3.connect(tmp_path / "platewarden.sqlite")
    with db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)",
            ("platewarden-unit", "from_the_future", "2030-01-01"),
        )
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        Store.open(tmp_path, clock)


def test_a_store_keeps_its_id(tmp_path: Path, clock: SetClock) -> None:
    ids = []
    for folder in ("one", "one", "two"):
        store = Store.open(tmp_path / folder, clock)
        ids.append(store.store_id)
        store.close()
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(lambda path: path.unlink(), "missing"), (lambda path: path.write_bytes(b"x"), "damaged")],
)
def test_a_damaged_picture_is_counted_once(
    store: Store, clock: SetClock, damage: object, reason: str
) -> None:
    """430.4-b: before HQ has it, the loss stands under the picture's own number."""
    stored = store.add(read(clock), (), pair())
    assert stored is not None
    (picture, _) = store.pictures(stored.read_id)
    assert callable(damage)
    damage(store.directory / picture.path)
    with pytest.raises(StoreError, match=reason):
        store.picture_bytes(picture)
    assert [store.verify(), store.verify()] == [1, 0]
    assert [row.kind for row in rows(store)] == ["read", "loss", "picture"]
    told = decode_record("loss", rows(store)[1].body)
    assert isinstance(told, Loss)
    assert (told.kind, told.read_id) == ("picture", stored.read_id)
    assert reason in told.reason
    assert store.figures().losses == {"picture": 1}
    assert store.sweep().missing == 0
    kept = store.read(stored.read_id)
    assert isinstance(kept, Read)
    assert [ref.kind for ref in kept.pictures] == [PictureKind.SCENE]


def test_a_picture_damaged_after_the_receipt_is_a_loss_of_its_own(store: Store, clock: SetClock) -> None:
    store.add(read(clock), (), pair())
    receipt(store, clock)
    for path in files(store):
        (store.directory / path).write_bytes(b"x")
    assert store.verify() == 2
    assert [row.kind for row in rows(store)] == ["read", "picture", "picture", "loss", "loss"]
    assert store.figures().losses == {"picture": 2}


def test_a_picture_that_is_purged_meanwhile_is_not_lost(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`platewarden purge` may run beside the unit's own daily check."""
    store.add(read(clock), (), pair())
    receipt(store, clock)
    clock.advance(timedelta(hours=2))

    def purged_first(self: PictureFiles, picture: StoredPicture) -> str:
        store.purge(clock.now().wall, timedelta(hours=1))
        return fault(self, picture)

    fault = PictureFiles.fault
    monkeypatch.setattr(PictureFiles, "fault", purged_first)
    assert store.verify() == 0
    assert store.figures().losses == {}


def test_the_sweep_removes_orphans_and_counts_missing_files(store: Store, clock: SetClock) -> None:
    stored = store.add(read(clock), (), pair())
    assert stored is not None
    plate, scene = (store.directory / picture.path for picture in store.pictures(stored.read_id))
    plate.unlink()
    (scene.parent / f".{scene.name}.part").write_bytes(b"half a pict")
    (scene.parent / "stray.jpg").write_bytes(jpeg(1))
    swept = store.sweep()
    assert (swept.orphans, swept.missing, swept.purged) == (2, 1, 0)
    assert (store.directory / "pictures").is_dir()
    assert list(files(store)) == [str(scene.relative_to(store.directory))]
    assert store.figures().losses == {"picture": 1}
