"""The whole database as one file and back: SQLite's own copy, PostgreSQL's pg_dump and pg_restore.

The copy is one moment of the database while HQ runs. It goes back into the same kind of database
only. What lies beside the database is `hq.site.backup`'s.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from django.db import connection, transaction

from hq.log import chain

NAMES = {"sqlite": "database.sqlite3", "postgresql": "database.pgdump"}
_PG = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}
_NO_RIGHT = "42501"
"""PostgreSQL's code for it, insufficient_privilege."""
_QUIET = {
    "log_min_error_statement": ("panic",),
    "log_error_verbosity": ("terse",),
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
    "log_min_duration_sample": ("-1",),
    "log_transaction_sample_rate": ("0",),
}
"""PostgreSQL's settings, and the values with which its own log takes neither statements nor rows."""


class DatabaseCopyError(Exception):
    """The database could not be copied or put back; one line that says why."""


def name() -> str:
    """The file name of a copy of this kind of database."""
    return NAMES[connection.vendor]


def files() -> list[Path]:
    """The file of an SQLite database and those that may lie beside it; none for another kind."""
    if connection.vendor != "sqlite":
        return []
    held = Path(str(connection.settings_dict["NAME"]))
    return [held.with_name(held.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def lacks_right(error: BaseException | None) -> bool:
    """Whether PostgreSQL says that the user may not do this, here or in what led to the error."""
    while error is not None:
        if getattr(error, "sqlstate", "") == _NO_RIGHT:
            return True
        error = error.__cause__ or error.__context__
    return False


def owner() -> str:
    """The user who owns the tables of a PostgreSQL database, or it where it has none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COALESCE((SELECT tableowner FROM pg_tables WHERE schemaname = current_schema() AND"
            " tablename = 'django_migrations'), (SELECT pg_get_userbyid(datdba) FROM pg_database"
            " WHERE datname = current_database()))"
        )
        row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def talkative() -> list[str]:
    """PostgreSQL's settings by which it writes statements or rows, and so plates, into its own log."""
    if connection.vendor == "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) ORDER BY name", [list(_QUIET)]
        )
        return [f"{name} = {value}" for name, value in cursor.fetchall() if value not in _QUIET[name]]


def may_be_filled() -> bool:
    """Whether this user may make tables in it."""
    if connection.vendor == "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_schema_privilege(current_schema(), 'CREATE')")
        return bool(cursor.fetchone() == (True,))


def empty() -> bool:
    """Whether it has no table at all."""
    return not connection.introspection.table_names()


def copy(target: Path) -> tuple[int, str]:
    """Copy the database to `target`; returns the last row of the access log in the copy and its hash.

    Raises DatabaseCopyError, OSError.
    """
    return _copy_sqlite(target) if connection.vendor == "sqlite" else _copy_postgresql(target)


def put(source: Path) -> None:
    """Make a copy the database, which must be empty. `source` may be gone afterwards.

    Raises DatabaseCopyError, OSError.
    """
    if connection.vendor == "sqlite":
        connection.close()
        held, *beside = files()
        for left in beside:
            left.unlink(missing_ok=True)
        shutil.move(source, held)
        held.chmod(0o600)
        return
    parts = _environment()
    how = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    _run(["pg_restore", *how, f"--dbname={parts['PGDATABASE']}", str(source)], parts)


def _copy_sqlite(target: Path) -> tuple[int, str]:
    source = files()[0]
    try:
        with closing(sqlite3.connect(source, timeout=20)) as held, closing(sqlite3.connect(target)) as made:
            # All pages in one step: a reader's view of one moment, beside which others go on writing.
            held.backup(made, pages=-1)
            # The copy is a file of its own, without a write-ahead log beside it.
            made.execute("PRAGMA journal_mode=DELETE")
            row = made.execute("SELECT sequence, hash FROM log_chainhead").fetchone()
    except sqlite3.Error as error:
        raise DatabaseCopyError(f"{source}: {error}") from error
    return (int(row[0]), str(row[1])) if row else (0, chain.FIRST)


def _copy_postgresql(target: Path) -> tuple[int, str]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_export_snapshot()")
        row = cursor.fetchone()
        assert row is not None
        head = chain.head()
        _run(["pg_dump", "--format=custom", f"--snapshot={row[0]}", f"--file={target}"], _environment())
    return head.sequence, head.hash


def _environment() -> dict[str, str]:
    """How the tools find the database; a password in their arguments would be everybody's to read."""
    given = connection.get_connection_params()
    return {variable: str(given[key]) for key, variable in _PG.items() if given.get(key) not in (None, "")}


def _run(command: Sequence[str], parts: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, env={**os.environ, **parts}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise DatabaseCopyError(
            f"{command[0]} is not installed: it comes with PostgreSQL's client package"
        ) from error
    if done.returncode:
        said = f"{command[0]}: "
        told = done.stderr.strip().splitlines()
        # Behind its error it may repeat the statement, whose last line tells nothing.
        told = (
            [line for line in told if line.startswith(f"{said}error: ")]
            or told[-1:]
            or [f"exit {done.returncode}"]
        )
        raise DatabaseCopyError(f"{said}{told[0].removeprefix(said)}")
