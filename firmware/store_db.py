"""The unit's SQLite file: how it is opened, what a transaction is, and which errors mean "no room".

Owns the connection's settings. The tables are in `firmware.store_migrations`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from firmware.errors import StoreError
from firmware.store_migrations import migrations
from mqtt import outbox
from mqtt.errors import OutboxError

FILE: Final = "platewarden.sqlite"
BUSY_MS: Final = 5000
"""How long a connection waits for another one's transaction; well under the watchdog's time."""

_OPENING: Final = 100_000
"""Bytes that SQLite's write-ahead log and its index need when a store is opened."""

_NO_ROOM: Final = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
    )
)


def open_database(directory: Path) -> Database:
    """Open the unit's database for one thread, made or brought up to date where needed.

    `directory` is made, for its owner's eyes only, where it is missing. Raises StoreError if the file
    cannot be used, is damaged, or was made by a newer version of this software.
    """
    path = directory / FILE
    try:
        _make_directory(directory)
        connection = outbox.open_database(path)
    except (OSError, OutboxError) as error:
        # SQLite calls it an I/O error where there is no room for its files beside the database.
        full = isinstance(error, OutboxError) and shutil.disk_usage(directory).free < _OPENING
        why = f"{error}; the disk is full" if full else str(error)
        raise StoreError(f"{directory}: the store cannot be opened: {why}") from error
    try:
        connection.isolation_level = None  # Transactions begin and end where this package says so.
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        # What a purge deletes is overwritten, so that no plate stays readable in free pages.
        connection.execute("PRAGMA secure_delete = ON")
        db = Database(connection)
        _migrate(db, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"{path}: {error}") from error
    except StoreError:
        connection.close()
        raise
    return db


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_folder(directory.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def take_lock(path: Path, held: str) -> int:
    """The handle of the file `path`, made where it is missing, with its lock, which lasts until the handle
    is closed or the process ends. Raises StoreError where the file cannot be opened, and, in the words
    `held`, where another process has the lock."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StoreError(f"{path.parent}: {held}") from error
    return handle


@contextmanager
def transaction(db: Database) -> Iterator[sqlite3.Connection]:
    """One transaction that takes the write lock at once, so that it waits for others instead of failing
    midway; committed at the end, rolled back on any exception. Transactions do not nest."""
    connection = db.conn
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


def empty_bytes(db: Database) -> int:
    """Bytes of pages in the database file that hold nothing, for new rows to take."""
    (pages,) = db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


def is_no_room(error: sqlite3.Error) -> bool:
    """Whether the file system or a lock is in the way (full, read-only, failing, busy), so that the write
    may work later. Anything else is a damaged file or a defect."""
    return _code(error) in _NO_ROOM


def is_failing_disk(error: sqlite3.Error) -> bool:
    """Whether the disk failed in a way that leaves open whether a commit reached it."""
    return _code(error) == sqlite3.SQLITE_IOERR


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where the error is not SQLite's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def error_name(error: sqlite3.Error) -> str:
    """SQLite's own name of an error, such as SQLITE_FULL."""
    return str(getattr(error, "sqlite_errorname", type(error).__name__))


def describe(error: sqlite3.Error) -> str:
    """One line about an error, without any value of the statement."""
    return f"{error} ({error_name(error)})"


def _migrate(db: Database, path: Path) -> None:
    if not _unknown_or_pending(db, path):
        return
    with transaction(db):  # Threads and commands may open a new store at the same moment.
        migrations.apply(db)


def _unknown_or_pending(db: Database, path: Path) -> bool:
    pending = {migration.name for migration in migrations.pending(db)}
    applied = {migration.name for migration in migrations.applied(db)}
    known = {migration.name for migration in migrations._migrations}
    if applied - known:
        raise StoreError(f"{path}: made by a newer version of the software ({min(applied - known)})")
    return bool(pending)
