"""What `platewarden listen --as-hq` keeps, where there is no HQ: one SQLite file and a folder of pictures.

Owns the tables and that a message is kept once, however often it comes. Receipts are computed from
here; who may see a plate is `firmware.access`.

Tables: `reads` (one row per read and revision), `hits` (per change of a hit), `pictures`,
`losses`, `access`, `status` (the last per unit), `received` (every number that came), `series` (how
far each store's numbers are without a gap) and `quarantine`.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.errors import StoreError
from firmware.store_db import sync_folder, take_lock
from mqtt import outbox
from mqtt.errors import OutboxError
from mqtt.messages import Message, decode_record, encode_record
from mqtt.records import (
    AccessRecord,
    Envelope,
    Hit,
    Loss,
    PictureHeader,
    Read,
    Receipt,
    Status,
)

FILE: Final = "listen.sqlite"
LOCK: Final = "listen.lock"

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS reads (
        read_id TEXT NOT NULL, revision INTEGER NOT NULL, unit TEXT NOT NULL, captured_at TEXT,
        plate TEXT NOT NULL, demo INTEGER NOT NULL, record TEXT NOT NULL, received_at TEXT NOT NULL,
        PRIMARY KEY (read_id, revision))""",
    """CREATE TABLE IF NOT EXISTS hits (
        hit_id TEXT NOT NULL, read_revision INTEGER NOT NULL, withdrawn INTEGER NOT NULL,
        read_id TEXT NOT NULL, unit TEXT NOT NULL, record TEXT NOT NULL, received_at TEXT NOT NULL,
        PRIMARY KEY (hit_id, record))""",
    """CREATE TABLE IF NOT EXISTS pictures (
        read_id TEXT NOT NULL, kind TEXT NOT NULL, sha256 TEXT NOT NULL, unit TEXT NOT NULL,
        size INTEGER NOT NULL, path TEXT NOT NULL, received_at TEXT NOT NULL,
        PRIMARY KEY (read_id, kind, sha256))""",
    """CREATE TABLE IF NOT EXISTS losses (
        unit TEXT NOT NULL, store_id TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL,
        count INTEGER NOT NULL, record TEXT NOT NULL, received_at TEXT NOT NULL,
        PRIMARY KEY (unit, store_id, sequence, record))""",
    """CREATE TABLE IF NOT EXISTS access (
        access_id TEXT NOT NULL, outcome TEXT NOT NULL, unit TEXT NOT NULL, record TEXT NOT NULL,
        received_at TEXT NOT NULL, PRIMARY KEY (access_id, record))""",
    "CREATE TABLE IF NOT EXISTS status (unit TEXT PRIMARY KEY, record TEXT NOT NULL, received_at TEXT)",
    """CREATE TABLE IF NOT EXISTS received (
        unit TEXT NOT NULL, store_id TEXT NOT NULL, sequence INTEGER NOT NULL,
        PRIMARY KEY (unit, store_id, sequence)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS series (
        unit TEXT NOT NULL, store_id TEXT NOT NULL, contiguous INTEGER NOT NULL,
        PRIMARY KEY (unit, store_id)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS self (id INTEGER PRIMARY KEY CHECK (id = 1), client_id TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS quarantine (
        digest TEXT PRIMARY KEY, topic TEXT NOT NULL, reason TEXT NOT NULL, payload BLOB NOT NULL,
        times INTEGER NOT NULL, received_at TEXT NOT NULL)""",
)


@dataclass(frozen=True, slots=True)
class Series:
    """The numbers of one unit's store: complete up to `contiguous`, known up to `highest`, with
    `missing` numbers between the two."""

    unit: str
    store_id: str
    contiguous: int
    highest: int
    missing: int


class Conflict(Exception):
    """A record that came before with other content; its text says which."""


class ListenStore:
    """The store in `directory`, made where it is missing. One thread uses it.

    `add`, `quarantine` and `received` write into one open transaction, which `commit` makes durable.
    Raises StoreError if the file or the folder cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            # For its owner's eyes only, as the unit's store: it holds plates and pictures.
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (directory / "pictures").mkdir(exist_ok=True)
            self._db = outbox.open_database(directory / FILE)
            with self._db:
                for statement in _TABLES:
                    self._db.execute(statement)
                self._db.execute("INSERT OR IGNORE INTO self VALUES (1, ?)", (f"hq-{uuid.uuid4().hex[:12]}",))
        except (OSError, OutboxError, sqlite3.Error) as error:
            raise StoreError(f"{directory}: {error}") from error
        self._folders: set[Path] = set()
        self._lock: int | None = None

    def hold(self) -> None:
        """Be the one subscriber over this folder until `close`, or until this process ends. Raises
        StoreError where another is.

        Two would have one client id, so that the broker gave each other's connection up in turn, and each
        would announce a hot list of its own with the same key.
        """
        self._lock = take_lock(self.directory / LOCK, "another listen --as-hq runs over this folder")

    def close(self) -> None:
        """Close the file; what was not committed is gone and comes again."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def client_id(self) -> str:
        """The id under which the broker keeps this store's session, made with the file."""
        return str(self._db.execute("SELECT client_id FROM self").fetchone()[0])

    def add(self, unit: str, message: Message, at: str) -> bool:
        """Keep a message's record and say whether it is new.

        Raises Conflict if the same id and revision came before with another content, StoreError if
        a picture cannot be written.
        """
        record, envelope = message.record, message.envelope
        text = encode_record(record).decode()
        if isinstance(record, Read):
            key = (record.read_id, record.revision)
            new = self._insert("reads", *key, unit, record.captured_at, record.plate, record.demo, text, at)
            # As records, not as texts: a field that was added since has its default in what was kept before.
            if not new and decode_record("read", self._read(*key).encode()) != record:
                raise Conflict(f"revision {key[1]} of read {key[0]} came before with another content")
            return new
        if isinstance(record, Hit):
            return self._insert(
                "hits", record.hit_id, record.read_revision, record.withdrawn, record.read_id, unit, text, at
            )
        if isinstance(record, PictureHeader):
            return self._picture(unit, record, message.data, at)
        if isinstance(record, Loss):
            assert envelope is not None
            number = (envelope.store_id, envelope.sequence)
            return self._insert("losses", unit, *number, record.kind, record.count, text, at)
        if isinstance(record, AccessRecord):
            return self._insert("access", record.access_id, record.outcome, unit, text, at)
        if isinstance(record, Status):
            self._db.execute("INSERT OR REPLACE INTO status VALUES (?, ?, ?)", (unit, text, at))
        return isinstance(record, Status)

    def received(self, envelope: Envelope) -> None:
        """Note that a number came, whether its record was kept or put into quarantine."""
        key = (envelope.unit, envelope.store_id)
        self._insert("series", *key, 0)
        self._insert("received", *key, envelope.sequence)
        (contiguous,) = self._db.execute(
            "SELECT contiguous FROM series WHERE unit = ? AND store_id = ?", key
        ).fetchone()
        if envelope.sequence != contiguous + 1:
            return
        numbers = self._db.execute(
            "SELECT sequence FROM received WHERE unit = ? AND store_id = ? AND sequence > ?"
            " ORDER BY sequence",
            (*key, contiguous),
        )
        for (number,) in numbers:
            if number != contiguous + 1:
                break
            contiguous = number
        self._db.execute(
            "UPDATE series SET contiguous = ? WHERE unit = ? AND store_id = ?", (contiguous, *key)
        )

    def quarantine(self, topic: str, payload: bytes, reason: str, at: str) -> None:
        """Keep a bad message with its reason; one that comes again is counted, not kept twice."""
        digest = hashlib.sha256(topic.encode() + b"\0" + payload).hexdigest()
        self._db.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?, ?, 1, ?)"
            " ON CONFLICT (digest) DO UPDATE SET times = times + 1",
            (digest, topic, reason, payload, at),
        )

    def add_access(self, record: AccessRecord) -> None:
        """Keep the record of an access made here, at the subscriber, durable at once."""
        self.add("", Message("access", None, record), record.at or "")
        self.commit()

    def commit(self) -> None:
        """Make everything since the last commit durable: the pictures' folders, then the rows."""
        for folder in self._folders:
            sync_folder(folder)
        self._folders.clear()
        self._db.commit()

    def series(self) -> list[Series]:
        """How far each store's numbers are."""
        rows = self._db.execute("SELECT unit, store_id FROM series").fetchall()
        return [self.one_series(unit, store_id) for unit, store_id in rows]

    def one_series(self, unit: str, store_id: str) -> Series:
        """How far one store's numbers are, which must be known."""
        key = (unit, store_id)
        (contiguous,) = self._db.execute(
            "SELECT contiguous FROM series WHERE unit = ? AND store_id = ?", key
        ).fetchone()
        highest, above = self._db.execute(
            "SELECT COALESCE(MAX(sequence), ?), COUNT(*) FROM received"
            " WHERE unit = ? AND store_id = ? AND sequence > ?",
            (contiguous, *key, contiguous),
        ).fetchone()
        return Series(unit, store_id, contiguous, highest, highest - contiguous - above)

    def counts(self) -> dict[str, int]:
        """How many rows each table has; `reads` counts reads and not revisions."""
        tables = ("hits", "pictures", "losses", "access", "quarantine")
        counted = {table: self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables}
        (reads,) = self._db.execute("SELECT COUNT(DISTINCT read_id) FROM reads").fetchone()
        return {"reads": reads, **counted, "missing": sum(series.missing for series in self.series())}

    def is_demo(self, read_id: str) -> bool:
        """Whether a read was made by a site that is marked as a demonstration."""
        row = self._db.execute(
            "SELECT demo FROM reads WHERE read_id = ? ORDER BY revision DESC", (read_id,)
        ).fetchone()
        return row is not None and bool(row[0])

    def _insert(self, table: str, *values: object) -> bool:
        marks = ", ".join("?" for _ in values)
        cursor = self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)
        return bool(cursor.rowcount)

    def _read(self, read_id: str, revision: int) -> str:
        row = self._db.execute(
            "SELECT record FROM reads WHERE read_id = ? AND revision = ?", (read_id, revision)
        ).fetchone()
        return str(row[0])

    def _picture(self, unit: str, header: PictureHeader, data: bytes, at: str) -> bool:
        if len(data) != header.size or hashlib.sha256(data).hexdigest() != header.sha256:
            raise Conflict(f"picture {header.kind} of read {header.read_id}: its hash is not its bytes'")
        name = f"{header.read_id}-{header.kind}-{header.sha256[:8]}.jpg"
        path = self.directory / "pictures" / header.read_id[:2] / name
        try:
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_suffix(".new")
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        self._folders.update((path.parent, path.parent.parent))
        return self._insert(
            "pictures", header.read_id, header.kind, header.sha256, unit, header.size, str(path), at
        )

    def picture_path(self, header: PictureHeader) -> str:
        """Where a picture was kept, "" for one that was not."""
        row = self._db.execute(
            "SELECT path FROM pictures WHERE read_id = ? AND kind = ? AND sha256 = ?",
            (header.read_id, header.kind, header.sha256),
        ).fetchone()
        return "" if row is None else str(row[0])


def receipt_of(series: Series, at: str) -> Receipt:
    """The receipt for a store's numbers."""
    return Receipt(store_id=series.store_id, sequence=series.contiguous, at=at)
