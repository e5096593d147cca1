"""The unit's store: what a passage left, kept so that neither a power cut nor a full disk loses it silently.

Owns the order of writing: picture files first, then read, hits, pictures and outbox rows in one
transaction with synchronous=FULL. The tables are in `firmware.store_migrations`, the files in
`firmware.store_pictures`, deletion in `firmware.store_purge`, the counting queries in
`firmware.store_queries`. What HQ has is `mqtt.outbox`'s business.

One Store per thread: `for_thread` gives another thread its own. When the disk takes no more, pictures are
given up first (scenes, then plates), then reads; everything given up becomes a counted Loss, in memory
until it can be written, and the caller goes on.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from firmware import store_purge, store_queries
from firmware.errors import DiskRefusesError, StoreError
from firmware.store_db import (
    FILE,
    describe,
    empty_bytes,
    error_name,
    is_failing_disk,
    is_no_room,
    open_database,
    sync_folder,
    take_lock,
    transaction,
)
from firmware.store_losses import Ledger
from firmware.store_pictures import FOLDER, PictureFiles, describe_picture
from firmware.store_purge import Purge
from firmware.store_queries import Figures, ReadQuery
from firmware.store_rows import StoredPicture, access_row, row_picture
from firmware.store_write import lose_picture, put_losses, put_read, set_time
from hw.protocols import Clock
from mqtt import outbox
from mqtt.fields import time_text
from mqtt.messages import encode_record
from mqtt.outbox import Kind
from mqtt.records import AccessRecord, Hit, Loss, PictureKind, Read

logger = logging.getLogger(__name__)

NO_PICTURES: Final[Mapping[PictureKind, bytes]] = MappingProxyType({})
LOCK: Final = "unit.lock"
LOSSES_EVERY_S: Final = 60.0
"""While reads are lost one after the other, their sum is written so often."""

BATCH: Final = 100
"""Reads or pictures in one transaction of the slow work, so that the loop never waits long."""

_NO_FREE: Final = "free disk below its minimum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What the start found and put right.

    Attributes:
        orphans: files that no row named, removed.
        missing: pictures whose file is gone, now counted as lost.
        purged: reads whose purge was interrupted, now deleted.
    """

    orphans: int
    missing: int
    purged: int


class Store:
    """The reads of one unit. Not for sharing between threads.

    Attributes:
        directory: holds platewarden.sqlite and pictures/.
        store_id: the random id of this store's numbers (32 hexadecimal digits).
    """

    def __init__(
        self, directory: Path, clock: Clock, min_free: int, ledger: Ledger, free: Callable[[], int]
    ) -> None:
        self.directory = directory
        self._clock = clock
        self._min_free = min_free
        self._ledger = ledger
        self._free = free
        self._db = open_database(directory)
        self._files = PictureFiles(directory)
        self._lock: int | None = None
        self._closed = False
        self._next_losses = 0.0
        self.store_id = outbox.store_id(self._db.conn)

    @classmethod
    def open(
        cls, directory: Path, clock: Clock, *, min_free: int = 0, free: Callable[[], int] | None = None
    ) -> Store:
        """Open the store of a unit, made where it is missing.

        Args:
            directory: its folder.
            clock: tells when something was lost and how many reads an hour has.
            min_free: with less free disk than this, in bytes, no scene picture is kept; with less than
                half of it no plate picture; with less than an eighth no read. The rest is for receipts,
                purges, losses and access records: without room for those a full disk stays full.
            free: tells the free bytes of the disk; by default the file system does.

        Raises StoreError if the database cannot be opened, is damaged or newer than this software.
        """
        return cls(directory, clock, min_free, Ledger(), free or (lambda: _disk_free(directory)))

    def for_thread(self) -> Store:
        """Another Store over the same files, to be called in the thread that will use it. The two share
        the losses that wait to be written."""
        return Store(self.directory, self._clock, self._min_free, self._ledger, self._free)

    def close(self) -> None:
        """Write the losses that wait, if there is room, and close; may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self.write_losses()
        finally:
            self._db.close()
            if waiting := self._ledger.counts():
                logger.error("there was no room to write down what was lost: %s", waiting)
            if self._lock is not None:
                os.close(self._lock)

    # ---

    def add(
        self, read: Read, hits: Sequence[Hit] = (), pictures: Mapping[PictureKind, bytes] = NO_PICTURES
    ) -> Read | None:
        """Keep a new read with its hits and its JPEG pictures.

        Returns the read as it is stored, with its pictures filled in; None if there was no room for it,
        which is then counted as lost. Raises StoreError for a damaged database, a read id that is taken,
        or a picture that is none.
        """
        return self._keep(read, hits, pictures, revising=False)

    def revise(
        self, read: Read, hits: Sequence[Hit] = (), pictures: Mapping[PictureKind, bytes] = NO_PICTURES
    ) -> Read | None:
        """Keep what later looks made of a read, under the same id.

        The stored revision rises by one, whatever `read.revision` says, for the clock's back-fill may
        have raised it too; `hits` are those that are new, changed or withdrawn (others stay as they are);
        `pictures` are those that changed. A read that is not there, because it was lost or purged
        meanwhile, is stored as it comes.

        Returns and raises as `add` does; None leaves the stored read as it was.
        """
        return self._keep(read, hits, pictures, revising=True)

    def add_loss(self, loss: Loss) -> None:
        """Count something that could not be kept; in memory until there is room for it."""
        self._ledger.add([loss])
        self.write_losses()

    def write_losses(self) -> None:
        """Write what losses wait in memory, if there is room now. Raises StoreError for a damaged
        database."""
        if not self._ledger.counts():
            return
        try:
            with self._transaction():
                pass
        except sqlite3.Error as error:
            if not is_no_room(error):
                raise self._error(error) from error

    def add_access(self, record: AccessRecord) -> None:
        """Keep who saw what, committed when this returns (430.5(a)).

        Raises StoreError if it could not be written: then nothing may be shown.
        """
        try:
            with self._transaction():
                self._db.table("access").insert(access_row(record))
                outbox.append(self._db.conn, Kind.ACCESS, record.access_id, encode_record(record), record.at)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def backfill(self) -> int:
        """Give reads of this boot from before the clock was set their time, as revisions; how many got one.

        Raises DiskRefusesError if there is no room for that now; the next call goes on from there.
        """
        done = 0
        after = ""
        while True:
            rows = list(
                self._db.query(
                    # Asked every few seconds: by any other index it would go through all reads of the boot.
                    """SELECT read_id FROM reads INDEXED BY reads_captured WHERE captured_at IS NULL
                        AND boot_id = ? AND NOT purging AND read_id > ? ORDER BY read_id LIMIT ?""",
                    (self._clock.now().boot_id, after, BATCH),
                )
            )
            if not rows:
                return done
            after = rows[-1]["read_id"]
            with self._reporting(), self._transaction():
                done += sum(self._backfill_one(row["read_id"]) for row in rows)

    # ---

    def sweep(self) -> Sweep:
        """Put right what a crash left; for the start of a unit, before anything is added.

        Takes the store for this unit until `close`. Finishes an interrupted purge, removes files that no
        row names, counts pictures whose file is missing as lost.

        Raises StoreError if another process runs a unit over this store; DiskRefusesError, once the store
        is taken, if the disk lets nothing be put right now.
        """
        self._take_lock()
        orphans = missing = 0
        with self._reporting():
            purged, _, _ = store_purge.finish(self._db, self._files)
            for folder in self._files.folders() | store_queries.picture_folders(self._db):
                known = store_queries.picture_paths(self._db, folder)
                found = set(self._files.paths(folder))
                stray = found - known.keys()
                self._files.remove(stray)
                orphans += len(stray)
                gone = sorted(path for path, lost in known.items() if not lost and path not in found)
                missing += self._lose(gone, "picture file is missing")
            sync_folder(self.directory)
        return Sweep(orphans=orphans, missing=missing, purged=purged)

    def verify(self) -> int:
        """Read every picture file and count those that are missing or damaged as lost; how many were.

        Takes as long as the disk needs to read them all.
        """
        lost, after = self.verify_some()
        while after:
            more, after = self.verify_some(after)
            lost += more
        return lost

    def verify_some(self, after: str = "") -> tuple[int, str]:
        """The next BATCH pictures of a `verify`, so that it can be done beside other work.

        Args:
            after: where the last batch ended, "" to begin.

        Returns:
            How many were lost, and where this batch ended, "" where all were seen.
        """
        with self._reporting():
            rows = list(
                self._db.query(
                    "SELECT * FROM pictures WHERE NOT lost AND path > ? ORDER BY path LIMIT ?", (after, BATCH)
                )
            )
        faults = {row["path"]: self._files.fault(row_picture(row)) for row in rows}
        lost = 0
        for reason in sorted(set(faults.values()) - {""}):
            with self._reporting():
                lost += self._lose([path for path, fault in faults.items() if fault == reason], reason)
        return lost, rows[-1]["path"] if len(rows) == BATCH else ""

    def purge(self, now: datetime | None, grace: timedelta, *, dry_run: bool = False) -> Purge:
        """Delete the reads that HQ has receipted longer than `grace` ago, with all that belongs to them.

        Args:
            now: the wall clock; None while it is not set, and then nothing is deleted.
            grace: how long after the receipt of its last row a read is kept; more than the interval of
                HQ's backups.
            dry_run: only say what would be deleted.

        Raises DiskRefusesError if the database or a file cannot be changed now; the next purge goes on from
        there.
        """
        with self._reporting():
            if dry_run or now is None:
                return store_purge.plan(self._db, now, grace)
            return store_purge.purge(self._db, self._files, now, grace)

    # ---

    def read(self, read_id: str) -> Read | None:
        """One read, None if it is not here."""
        with self._reporting():
            return store_queries.read(self._db, read_id)

    def hits(self, read_id: str) -> list[Hit]:
        """The hits of a read, withdrawn ones last."""
        with self._reporting():
            return store_queries.hits(self._db, read_id)

    def pictures(self, read_id: str) -> list[StoredPicture]:
        """The pictures that a read has now, plate first."""
        with self._reporting():
            return store_queries.pictures(self._db, read_id)

    def picture_bytes(self, picture: StoredPicture) -> bytes:
        """A picture's file, checked against its hash. Raises StoreError if it is missing or damaged."""
        fault = self._files.fault(picture)
        if fault:
            raise StoreError(f"{self.directory / picture.path}: {fault}")
        return self._files.read(picture.path)

    def reads(self, query: ReadQuery) -> list[Read]:
        """The reads asked for, the newest first; those without a time come before all others."""
        with self._reporting():
            return store_queries.reads(self._db, query)

    def count(self, query: ReadQuery) -> int:
        """How many reads are asked for, whatever the query's limit."""
        with self._reporting():
            return store_queries.count(self._db, query)

    def figures(self) -> Figures:
        """What the status tells of the store, losses that wait in memory included."""
        with self._reporting():
            figures = store_queries.figures(self._db, self._clock.now())
        losses = dict(figures.losses)
        for kind, count in self._ledger.counts().items():
            losses[kind] = losses.get(kind, 0) + count
        return replace(figures, losses=losses)

    # ---

    def _keep(
        self, read: Read, hits: Sequence[Hit], pictures: Mapping[PictureKind, bytes], *, revising: bool
    ) -> Read | None:
        described = {
            kind: describe_picture(read.read_id, kind, pictures[kind])
            for kind in PictureKind
            if kind in pictures
        }
        new: list[StoredPicture] = []
        kept: list[StoredPicture] = []
        losses: list[Loss] = []
        try:
            free = self._free()
            # Pages that a purge emptied are room for reads as well: the database file does not shrink.
            if free < self._min_free / 8 and free + empty_bytes(self._db) < self._min_free / 8:
                self._give_up(_NO_FREE, read, hits, len(described))
                return None
            present = store_queries.present_pictures(self._db, read.read_id) if revising else frozenset()
            for kind, picture in described.items():
                if picture.path in present:
                    kept.append(picture)
                elif reason := self._write_picture(picture, pictures[kind], free):
                    losses.append(self._loss("picture", 1, reason, read.read_id))
                else:
                    kept.append(picture)
                    new.append(picture)
            with self._transaction():
                stored = put_read(self._db, read, hits, kept, revising)
                put_losses(self._db, losses)
        except sqlite3.Error as error:
            if not is_no_room(error):
                raise self._error(error) from error
            # A failed write may have reached the disk all the same: then the next sweep decides.
            if not is_failing_disk(error):
                with suppress(OSError):
                    self._files.remove(picture.path for picture in new)
            self._ledger.add(losses)
            self._give_up(error_name(error), read, hits, len(new))
            return None
        return stored

    def _write_picture(self, picture: StoredPicture, data: bytes, free: int) -> str:
        """Write one picture's file, or say why there was no room for it."""
        if free < (self._min_free if picture.ref.kind is PictureKind.SCENE else self._min_free / 2):
            return f"no picture kept: {_NO_FREE}"
        try:
            self._files.write(picture.path, data)
        except OSError as error:
            return f"no picture kept: {errno.errorcode.get(error.errno or 0, 'error')}"
        return ""

    def _give_up(self, why: str, read: Read, hits: Sequence[Hit], pictures: int) -> None:
        """Count a read, or a revision, that is not stored, with what belongs to it."""
        counts = {"read": 1, "hit": len(hits), "picture": pictures}
        self._ledger.add(
            self._loss(kind, count, f"not stored: {why}", read.read_id)
            for kind, count in counts.items()
            if count
        )
        now = self._clock.now().boottime
        if now >= self._next_losses:
            self._next_losses = now + LOSSES_EVERY_S
            self.write_losses()

    def _lose(self, paths: Sequence[str], reason: str) -> int:
        """Count stored pictures as lost; how many were. One that is purged meanwhile is not."""
        lost = 0
        for start in range(0, len(paths), BATCH):
            with self._transaction():
                for path in paths[start : start + BATCH]:
                    rows = self._db.query(
                        """SELECT pictures.* FROM pictures JOIN reads USING (read_id)
                            WHERE path = ? AND NOT lost AND NOT purging""",
                        (path,),
                    )
                    for row in list(rows):
                        picture = row_picture(row)
                        loss = self._loss("picture", 1, reason, picture.read_id)
                        lose_picture(self._db, picture, loss)
                        lost += 1
        return lost

    def _backfill_one(self, read_id: str) -> bool:
        read = store_queries.read(self._db, read_id)
        if read is None or read.captured_at is not None:
            return False
        known = self._clock.wall(read.clock.boot_id, read.clock.boottime)
        if known is None:
            return False
        wall, quality = known
        clock = replace(read.clock, quality=quality.value)
        revision = read.revision + 1
        set_time(self._db, replace(read, revision=revision, captured_at=time_text(wall), clock=clock))
        return True

    def _loss(self, kind: str, count: int, reason: str, read_id: str) -> Loss:
        wall = self._clock.now().wall
        at = None if wall is None else time_text(wall)
        return Loss(kind=kind, count=count, reason=reason, since=at, until=at, read_id=read_id)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction, which takes the waiting losses along."""
        waiting = self._ledger.take()
        try:
            with transaction(self._db):
                yield
                put_losses(self._db, waiting)
        except BaseException:
            self._ledger.add(waiting)
            raise

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from error
        except OSError as error:
            raise DiskRefusesError(f"{self.directory}: {error}") from error

    def _error(self, error: sqlite3.Error) -> StoreError:
        kind = DiskRefusesError if is_no_room(error) else StoreError
        return kind(f"{self.directory}: {describe(error)}")

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        self._lock = take_lock(self.directory / LOCK, "another unit runs over this store")


def _disk_free(directory: Path) -> int:
    """Free bytes for the unit; none where the file system does not even answer."""
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return 0


def unwritable(directory: Path) -> Path | None:
    """The first of the store's folders and files in `directory` that this user cannot write, None where all
    that are there can be; a command that root ran may have left one. Nothing is made or changed."""
    folders = [directory, directory / FOLDER, *sorted((directory / FOLDER).glob("*/"))]
    files = [directory / LOCK, *sorted(directory.glob(f"{FILE}*"))]
    needs = [(path, os.W_OK | os.X_OK) for path in folders] + [(path, os.W_OK) for path in files]
    for path, mode in needs:
        if path.exists() and not os.access(path, mode, effective_ids=True):
            return path
    return None
