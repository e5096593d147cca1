"""What reaches the disk, and in which order: watched from outside, by the process's system calls.

A read that `add` returned must survive the loss of power: its picture files are synced and so are their
names, before the commit; the commit itself syncs SQLite's log.
"""

from __future__ import annotations

import ast
import gc
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from firmware import hotlist, store_db
from firmware.store import Store
from mqtt import outbox
from plates.words import AlarmClass, HotListEntry
from tests import needs
from tests.firmware.store_samples import SetClock

ROOT = Path(__file__).resolve().parents[2]
CALLS = "access,faccessat,faccessat2,fsync,fdatasync,rename,renameat,renameat2,openat,write,pwrite64"
FULL = 2

CONNECTIONS = {
    ("mqtt/outbox.py", "open_database"): "the unit's store; asserts FULL itself",
    ("firmware/store_db.py", "open_database"): "wraps the connection of mqtt.outbox",
    ("firmware/hotlist.py", "open"): "a hot list, read only",
    ("firmware/hotlist.py", "_write"): "a hot list that nobody reads before it is whole and renamed",
    ("firmware/hotlist.py", "preview"): "a hot list in memory, for a dry run",
}
"""Every place where the software opens a database, and what it is."""


def watched(directory: Path, sabotage: str) -> list[str]:
    """The system calls of one `add`, by the child of durability_child.py; strace names each file."""
    log = directory / "calls"
    command = [needs.program("strace"), "-f", "-y", "-s", "16", "-e", f"trace={CALLS}", "-o", str(log)]
    child = [sys.executable, "-m", "tests.firmware.durability_child", str(directory / "store")]
    subprocess.run(
        [*command, *child], cwd=ROOT, check=True, timeout=60, env={**os.environ, "SABOTAGE": sabotage}
    )
    calls = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    (begin,) = [number for number, call in enumerate(calls) if "/mark-begin" in call]
    (end,) = [number for number, call in enumerate(calls) if "/mark-end" in call]
    return calls[begin + 1 : end]


def faults(calls: list[str]) -> list[str]:
    """What is missing between the first call and the return of `add`, one word each."""
    found = []
    log_writes = [n for n, call in enumerate(calls) if re.match(r"p?write(64)?\(\d+<[^>]*-wal>", call)]
    commit = log_writes[0] if log_writes else len(calls)
    moved = [(n, re.findall(r'"([^"]+)"', call)) for n, call in enumerate(calls) if call.startswith("rename")]
    if len(moved) != 2:
        found.append("order")
    for number, (part, final) in moved:
        written = _synced(calls[:number], part)
        named = _synced(calls[number:commit], os.path.dirname(final))
        if not written:
            found.append("file")
        if not named:
            found.append("folder")
        if number > commit:
            found.append("order")
    if not log_writes or not _synced(calls[log_writes[-1] :], "-wal"):
        found.append("commit")
    return sorted(set(found))


def _synced(calls: list[str], name: str) -> bool:
    return any(re.match(rf"f(data)?sync\(\d+<[^>]*{re.escape(name)}>", call) for call in calls)


@pytest.mark.parametrize("sabotage", ["", "file", "folder", "commit", "order"])
def test_a_read_is_on_the_disk_when_add_returns(tmp_path: Path, sabotage: str) -> None:
    """430.4-b; and the test itself is tested: without one of the safeties it finds just that one."""
    assert faults(watched(tmp_path, sabotage)) == ([sabotage] if sabotage else [])


def test_every_connection_of_the_unit_syncs_each_commit(tmp_path: Path) -> None:
    """synchronous=FULL and WAL, asked of each connection that the software can open."""
    clock = SetClock()
    store = Store.open(tmp_path, clock)
    other = store.for_thread()
    raw = outbox.open_database(tmp_path / store_db.FILE)
    again = store_db.open_database(tmp_path).conn
    for connection in (store._db.conn, other._db.conn, raw, again):
        assert connection.execute("PRAGMA synchronous").fetchone() == (FULL,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    for thing in (store, other, raw, again):
        thing.close()


def test_the_connections_of_a_hot_list_sync_too(tmp_path: Path) -> None:
    """Asked of the one that writes while it writes, and of the one that reads."""
    asked = []
    others = open_connections()

    def entries() -> Iterator[HotListEntry]:
        for connection in open_connections(others):
            asked.append(connection.execute("PRAGMA synchronous").fetchone())
        yield HotListEntry(
            plate="TEST123",
            state="CA",
            alarm_class=AlarmClass.STOLEN_VEHICLE,
            reason="test",
            source="manual",
            case_number="",
            expiry="2030-01-01",
        )

    hotlist.build(tmp_path / "list.sqlite", entries(), version="1", issued_at="")
    assert asked == [(FULL,)]
    with hotlist.HotList.open(tmp_path / "list.sqlite"):
        (reading,) = open_connections(others)
        assert reading.execute("PRAGMA synchronous").fetchone() == (FULL,)


def open_connections(others: Sequence[sqlite3.Connection] = ()) -> list[sqlite3.Connection]:
    """Every database connection that is open in this process, `others` left out."""
    gc.collect()
    found = []
    for connection in gc.get_objects():
        if isinstance(connection, sqlite3.Connection) and connection not in others:
            try:
                connection.execute("SELECT 1")
            except sqlite3.ProgrammingError:
                continue  # It is closed, or another thread's.
            found.append(connection)
    return found


def test_no_other_place_opens_a_database() -> None:
    """A new connection has to be named here, with what it is, before it can forget the settings."""
    found = set()
    for package in ("firmware", "mqtt", "hw", "detector", "plates"):
        for file in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(file.read_text(), str(file))
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef) and any(map(_opens, ast.walk(function))):
                    found.add((str(file.relative_to(ROOT)), function.name))
    assert found == CONNECTIONS.keys()


def _opens(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    return name in ("sqlite3.connect", "connect", "Database", "sqlite_utils.Database", "sqlite3.Connection")


def test_a_file_system_without_wal_is_refused(tmp_path: Path) -> None:
    """A database that cannot be what it must be is no store: SQLite keeps an in-memory one out of WAL."""
    assert sqlite3.connect(":memory:").execute("PRAGMA journal_mode = WAL").fetchone() == ("memory",)
    with pytest.raises(outbox.OutboxError, match="wants WAL"):
        outbox.open_database(Path(":memory:"))
