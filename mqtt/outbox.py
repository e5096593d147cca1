"""The unit's table of what HQ must still receive: numbered rows that only HQ's receipt frees.

Owns the tables `outbox`, `outbox_series` and `outbox_waiting` in the unit's SQLite file and the meaning
of a row's number. Sending is `mqtt.drainer`; what a row holds is made by `mqtt.messages`.

Every function takes a `sqlite3.Connection` and neither begins nor commits, so that the store can
call it in the transaction that writes the read. Numbers come from AUTOINCREMENT in that same
transaction: a rollback takes its number back, a committed number is never given twice.

A row stays after its receipt, marked, for as long as the unit keeps the read: HQ may be restored
from a backup and ask for it again. `forget` removes the rows of a purged read. Numbers that HQ
asks for after that are sent as losses (`mqtt.drainer`).
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from mqtt.errors import OutboxError
from mqtt.records import Receipt

_TABLES = (
    """CREATE TABLE IF NOT EXISTS outbox (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('read', 'hit', 'picture', 'loss', 'access')),
        ref TEXT NOT NULL,
        read_id TEXT NOT NULL,
        body BLOB NOT NULL,
        at TEXT,
        receipted_at TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS outbox_read ON outbox (read_id)",
    "CREATE INDEX IF NOT EXISTS outbox_queue ON outbox (kind, at) WHERE receipted_at IS NULL",
    """CREATE TRIGGER IF NOT EXISTS outbox_keep BEFORE DELETE ON outbox
        WHEN OLD.receipted_at IS NULL
        BEGIN SELECT RAISE(ABORT, 'outbox: HQ has not receipted this row'); END""",
    """CREATE TABLE IF NOT EXISTS outbox_series (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        store_id TEXT NOT NULL,
        receipted INTEGER NOT NULL DEFAULT 0
    )""",
    # The publisher asks for it twice a second, and a unit without a network has millions of rows.
    """CREATE TABLE IF NOT EXISTS outbox_waiting (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        queue INTEGER NOT NULL
    )""",
    """CREATE TRIGGER IF NOT EXISTS outbox_waits AFTER INSERT ON outbox WHEN NEW.receipted_at IS NULL
        BEGIN UPDATE outbox_waiting SET queue = queue + 1; END""",
    """CREATE TRIGGER IF NOT EXISTS outbox_waits_not AFTER UPDATE OF receipted_at ON outbox
        WHEN (NEW.receipted_at IS NULL) <> (OLD.receipted_at IS NULL)
        BEGIN
            UPDATE outbox_waiting SET queue = queue + (NEW.receipted_at IS NULL) - (OLD.receipted_at IS NULL);
        END""",
    """INSERT OR IGNORE INTO outbox_waiting
        SELECT 1, COUNT(*) FROM outbox WHERE receipted_at IS NULL""",
)


class Kind(StrEnum):
    """What an outbox row holds, which is also the last part of its topic."""

    READ = "read"
    HIT = "hit"
    PICTURE = "picture"
    LOSS = "loss"
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class Row:
    """One outbox row.

    Attributes:
        sequence: its number, from 1, without gaps within a store.
        kind: what it holds.
        ref: the record's id; of a picture its file's path, relative to the store's directory.
        body: the record as JSON (`mqtt.messages.encode_record`); of a picture its PictureHeader.
        at: time of the record (mqtt.records.Time), None before the clock was set.
    """

    sequence: int
    kind: Kind
    ref: str
    body: bytes
    at: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How the outbox stands.

    Attributes:
        queue: rows that HQ has not receipted.
        oldest_at: time of the oldest of them that has one, None where none has.
        last: the highest number ever given, 0 for none.
        receipted: the highest contiguous number that HQ has receipted.
    """

    queue: int
    oldest_at: str | None
    last: int
    receipted: int


class Outcome(StrEnum):
    """What a receipt meant."""

    ADVANCED = "advanced"
    SAME = "same"
    AGAIN = "again"
    RENUMBERED = "renumbered"
    OTHER_STORE = "other store"


_WAL_S: Final = 10.0  # far longer than the switch of a small file takes


def open_database(path: Path) -> sqlite3.Connection:
    """Open the unit's SQLite file for one thread, durable: WAL with synchronous=FULL.

    Raises OutboxError if the file cannot be opened or refuses either setting.
    """
    try:
        db = sqlite3.connect(path, timeout=30.0)
        db.execute("PRAGMA foreign_keys = ON")
        # Else an INSERT OR REPLACE would pass the trigger that keeps unreceipted rows.
        db.execute("PRAGMA recursive_triggers = ON")
        journal = _to_wal(db)
        db.execute("PRAGMA synchronous = FULL")
        synchronous = db.execute("PRAGMA synchronous").fetchone()[0]
    except sqlite3.Error as error:
        raise OutboxError(f"{path}: {error}") from error
    if journal != "wal" or synchronous != 2:
        db.close()
        raise OutboxError(f"{path}: wants WAL and synchronous=FULL, has {journal} and {synchronous}")
    return db


def _to_wal(db: sqlite3.Connection) -> str:
    """Switch a new file to WAL; the journal mode it then has.

    SQLite gives up at once, whatever the timeout says, when another connection is just doing the same.
    """
    end = time.monotonic() + _WAL_S
    while True:
        try:
            return str(db.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(0.01)


def create_tables(db: sqlite3.Connection) -> None:
    """Make the tables where they are missing, and with them the store's random id. What an earlier version
    made keeps its rows and gets what it lacks."""
    for statement in _TABLES:
        db.execute(statement)
    db.execute("INSERT OR IGNORE INTO outbox_series (id, store_id) VALUES (1, ?)", (uuid.uuid4().hex,))


def store_id(db: sqlite3.Connection) -> str:
    """The random id (32 hexadecimal digits) of this store's series of numbers."""
    return str(_series(db)[0])


def receipted(db: sqlite3.Connection) -> int:
    """The highest contiguous number that HQ has receipted, 0 for none."""
    return int(_series(db)[1])


def append(
    db: sqlite3.Connection, kind: str, ref: str, body: bytes, at: str | None, read_id: str = ""
) -> int:
    """Queue one record and return its number.

    `read_id` names the read that the row belongs to (the read itself, its hits and pictures), ""
    for one that belongs to none. A file that a picture row names is never rewritten with other
    bytes. A number can change until it is receipted (`Outcome.RENUMBERED`), so it is no key.
    """
    cursor = db.execute(
        "INSERT INTO outbox (kind, ref, read_id, body, at) VALUES (?, ?, ?, ?, ?)",
        (Kind(kind), ref, read_id, body, at),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def pending(db: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    """At most `limit` rows with numbers above `after`, in order, receipted ones included."""
    rows = db.execute(
        "SELECT sequence, kind, ref, body, at FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?",
        (after, limit),
    )
    return [Row(sequence, Kind(kind), ref, bytes(body), at) for sequence, kind, ref, body, at in rows]


def replace(db: sqlite3.Connection, sequence: int, loss: bytes) -> None:
    """Put a Loss (encoded) in the place of a row that can never be sent, under its number."""
    db.execute("UPDATE outbox SET kind = 'loss', body = ? WHERE sequence = ?", (loss, sequence))


def receipt(db: sqlite3.Connection, word: Receipt, at: str) -> Outcome:
    """Mark what HQ has receipted; `at` is the time that the grace before a purge counts from.

    A number below the last one frees the rows above it again: HQ was restored and wants them. A
    number above the highest given one means that this store lost its newest commits while HQ has
    them: the rows that HQ has not receipted move behind HQ's number, since their own are taken.
    """
    own, before = _series(db)
    if word.store_id != own:
        return Outcome.OTHER_STORE
    last = last_sequence(db)
    if word.sequence > last:
        _renumber(db, word.sequence, last)
        outcome = Outcome.RENUMBERED
    elif word.sequence > before:
        db.execute(
            "UPDATE outbox SET receipted_at = ? WHERE sequence > ? AND sequence <= ?",
            (at, before, word.sequence),
        )
        outcome = Outcome.ADVANCED
    elif word.sequence < before:
        db.execute("UPDATE outbox SET receipted_at = NULL WHERE sequence > ?", (word.sequence,))
        outcome = Outcome.AGAIN
    else:
        return Outcome.SAME
    db.execute("UPDATE outbox_series SET receipted = ?", (word.sequence,))
    return outcome


def counts(db: sqlite3.Connection) -> Counts:
    """How the outbox stands; as quick for a long queue as for a short one."""
    (queue,) = db.execute("SELECT queue FROM outbox_waiting").fetchone()
    oldest = "SELECT MIN(at) FROM outbox WHERE receipted_at IS NULL AND kind = ?"  # one step in an index
    times = [at for kind in Kind for (at,) in db.execute(oldest, (kind.value,)) if at is not None]
    return Counts(int(queue), min(times, default=None), last_sequence(db), receipted(db))


def receipted_since(db: sqlite3.Connection, read_id: str) -> str | None:
    """When the last row of a read was receipted, None while one of them is not (430.4-b)."""
    rows = db.execute("SELECT receipted_at FROM outbox WHERE read_id = ?", (read_id,)).fetchall()
    times = [time for (time,) in rows]
    return max(times) if times and None not in times else None


def forget(db: sqlite3.Connection, read_id: str) -> int:
    """Remove the rows of a purged read and say how many they were.

    Raises sqlite3.IntegrityError, and removes nothing, if HQ has not receipted one of them.
    """
    if not read_id:
        return 0
    return db.execute("DELETE FROM outbox WHERE read_id = ?", (read_id,)).rowcount


def forget_others(db: sqlite3.Connection, before: str) -> int:
    """Remove rows of no read (losses, access records) receipted before a time; say how many."""
    return db.execute("DELETE FROM outbox WHERE read_id = '' AND receipted_at < ?", (before,)).rowcount


def last_sequence(db: sqlite3.Connection) -> int:
    """The highest number ever given, 0 for none; purged rows count."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return 0 if row is None else int(row[0])


def _series(db: sqlite3.Connection) -> tuple[str, int]:
    row = db.execute("SELECT store_id, receipted FROM outbox_series").fetchone()
    if row is None:
        raise OutboxError("the outbox has no store id: its tables were not made")
    return str(row[0]), int(row[1])


def _renumber(db: sqlite3.Connection, start: int, last: int) -> None:
    waiting = db.execute(
        "SELECT sequence FROM outbox WHERE receipted_at IS NULL ORDER BY sequence DESC"
    ).fetchall()
    end = start + len(waiting)
    # From the highest down, so that no number is taken while its old holder still has it.
    for number, (sequence,) in enumerate(waiting):
        db.execute("UPDATE outbox SET sequence = ? WHERE sequence = ?", (end - number, sequence))
    if last == 0:
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)", (end,))
    else:
        db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'outbox'", (end,))
