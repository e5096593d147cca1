"""What is asked of the unit's store: reads by time and plate, and the figures for its status.

Owns the SELECT statements; none of them writes. Who may see what they return is `firmware.access`'s
business.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlite_utils import Database

from firmware.errors import UsageError
from firmware.store_rows import StoredPicture, row_hit, row_picture, row_read
from hw.protocols import Timestamp
from mqtt import outbox
from mqtt.fields import time_text, time_value
from mqtt.records import Hit, Read

NORM_DAYS: Final = 28
"""The norm of an hour looks back so many days."""

NORM_LEAST: Final = 3
"""Fewer days than this make no norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadQuery:
    """Which reads are asked for.

    Attributes:
        since, until: only reads captured within these, both included (mqtt.fields.Time); None leaves an
            end open. Where one is given, reads without a time are left out.
        plate: only these plates: characters 0-9A-Z, `?` for one character, `*` for a run; "" for all.
        limit: at most so many, the newest; None for all.
        demo: only reads of a site that is marked as a demonstration.
    """

    since: str | None = None
    until: str | None = None
    plate: str = ""
    limit: int | None = None
    demo: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9A-Z?*]*", self.plate):
            raise UsageError("plate: may hold the characters 0-9, A-Z, ? and * only")

    def where(self) -> tuple[str, dict[str, Any]]:
        """The SQL condition and its parameters."""
        terms = ["NOT purging"]
        if self.since is not None:
            terms.append("captured_at >= :since")
        if self.until is not None:
            terms.append("captured_at <= :until")
        if self.demo:
            terms.append("demo")
        if self.plate:
            terms.append("plate GLOB :plate")
        return " AND ".join(terms), {"since": self.since, "until": self.until, "plate": self.plate}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the status tells of the store.

    Attributes:
        reads: reads in the store.
        queue: outbox rows that HQ has not receipted.
        oldest_queued_s: age of the oldest of them in seconds, None where unknown.
        reads_hour: reads of the last hour.
        reads_hour_norm: the median of this hour of the day over the last 28 days; None before three days
            are known or while the clock is not set.
        losses: what was lost since the store was made, by kind.
    """

    reads: int
    queue: int
    oldest_queued_s: float | None
    reads_hour: int
    reads_hour_norm: float | None
    losses: dict[str, int]


def row_of(db: Database, read_id: str) -> dict[str, Any] | None:
    """The row of a read, one that is being purged included."""
    return next(iter(db.query("SELECT * FROM reads WHERE read_id = ?", (read_id,))), None)


def pictures(db: Database, read_id: str) -> list[StoredPicture]:
    """The pictures that a read has now, plate first; lost ones are left out."""
    rows = db.query(
        "SELECT * FROM pictures WHERE read_id = ? AND current AND NOT lost ORDER BY kind", (read_id,)
    )
    return [row_picture(row) for row in rows]


def present_pictures(db: Database, read_id: str) -> frozenset[str]:
    """The paths of all files that a read has, those of earlier revisions included; not lost ones."""
    rows = db.execute("SELECT path FROM pictures WHERE read_id = ? AND NOT lost", (read_id,))
    return frozenset(path for (path,) in rows)


def picture_folders(db: Database) -> set[str]:
    """The folders in which pictures should be."""
    return {path.rpartition("/")[0] for (path,) in db.execute("SELECT path FROM pictures")}


def picture_paths(db: Database, folder: str) -> dict[str, bool]:
    """The files that rows name in a folder, and whether each is counted as lost already."""
    rows = db.execute(
        "SELECT path, lost FROM pictures WHERE path >= ? AND path < ?", (f"{folder}/", f"{folder}0")
    )
    return {path: bool(lost) for path, lost in rows}


def read(db: Database, read_id: str) -> Read | None:
    """One read, None if it is not there or being purged."""
    row = row_of(db, read_id)
    return None if row is None or row["purging"] else _with_pictures(db, row)


def hits(db: Database, read_id: str) -> list[Hit]:
    """The hits of a read, withdrawn ones included, the heaviest first."""
    rows = db.query("SELECT * FROM hits WHERE read_id = ? ORDER BY withdrawn, score DESC, hit_id", (read_id,))
    return [row_hit(row) for row in rows]


def reads(db: Database, query: ReadQuery) -> list[Read]:
    """The reads asked for, the newest first; those without a time come before all others."""
    where, parameters = query.where()
    limit = -1 if query.limit is None else query.limit
    rows = db.query(
        f"""SELECT * FROM reads WHERE {where}
            ORDER BY captured_at IS NOT NULL, captured_at DESC, boottime DESC, read_id LIMIT :limit""",
        {**parameters, "limit": limit},
    )
    return [_with_pictures(db, row) for row in rows]


def count(db: Database, query: ReadQuery) -> int:
    """How many reads are asked for, whatever the limit."""
    where, parameters = query.where()
    return int(db.execute(f"SELECT COUNT(*) FROM reads WHERE {where}", parameters).fetchone()[0])


def figures(db: Database, now: Timestamp) -> Figures:
    """What the status tells of the store; losses that wait in memory are not among it."""
    counts = outbox.counts(db.conn)
    oldest = None
    if counts.oldest_at is not None and now.wall is not None:
        oldest = max(0.0, (now.wall - time_value(counts.oldest_at)).total_seconds())
    return Figures(
        reads=int(db.execute("SELECT COUNT(*) FROM reads").fetchone()[0]),
        queue=counts.queue,
        oldest_queued_s=oldest,
        reads_hour=_reads_hour(db, now),
        reads_hour_norm=None if now.wall is None else _norm(db, now.wall),
        losses=dict(db.execute("SELECT kind, SUM(count) FROM losses GROUP BY kind").fetchall()),
    )


def _with_pictures(db: Database, row: dict[str, Any]) -> Read:
    return row_read(row, [picture.ref for picture in pictures(db, row["read_id"])])


def _reads_hour(db: Database, now: Timestamp) -> int:
    """Reads of this boot by the clock that always runs, those of earlier boots by their time."""
    start = "" if now.wall is None else time_text(now.wall - timedelta(hours=1))
    row = db.execute(
        """SELECT (SELECT COUNT(*) FROM reads WHERE boot_id = :boot AND boottime > :boottime)
            + (SELECT COUNT(*) FROM reads
                WHERE :start <> '' AND captured_at > :start AND boot_id <> :boot)""",
        {"boot": now.boot_id, "boottime": now.boottime - 3600, "start": start},
    ).fetchone()
    return int(row[0])


def _norm(db: Database, wall: datetime) -> float | None:
    """The last hour lies in two hours of the clock: the one in which its middle lies is compared."""
    middle = wall.astimezone(UTC) - timedelta(minutes=30)
    (first,) = db.execute("SELECT MIN(hour) FROM hours").fetchone()
    if first is None:
        return None
    days = [middle - timedelta(days=back) for back in range(1, NORM_DAYS + 1)]
    names = [name for name in (f"{day:%Y-%m-%dT%H}" for day in days) if name >= first]
    if len(names) < NORM_LEAST:
        return None
    known = dict(db.execute("SELECT hour, reads FROM hours WHERE hour >= ?", (names[-1],)).fetchall())
    return float(statistics.median(known.get(name, 0) for name in names))
