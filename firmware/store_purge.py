"""Deletion on the unit: only what HQ has receipted, and only after a grace period (430.4-b).

Owns the three steps that a crash may come between: rows are marked, files are removed, rows are removed.
The next purge, or the next start, finishes what was marked. The database's own triggers refuse the
deletion of what HQ has not receipted, whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlite_utils import Database

from firmware import store_queries
from firmware.store_db import transaction
from firmware.store_pictures import PictureFiles
from firmware.store_rows import StoredPicture, row_picture
from firmware.store_write import lose_picture
from mqtt import outbox
from mqtt.fields import time_text
from mqtt.records import Loss

BATCH: Final = 100
"""Reads in one round, so that the loop never waits long for the write lock."""

_STANDING: Final = """
    SELECT reads.read_id, COALESCE(MAX(outbox.receipted_at IS NULL), 1) AS waiting,
        MAX(outbox.receipted_at) AS receipted_at
    FROM reads LEFT JOIN outbox ON outbox.read_id = reads.read_id GROUP BY reads.read_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """What a purge deleted, or would delete, and what it kept.

    Attributes:
        reads, pictures: deleted.
        bytes: size of the deleted pictures.
        records: deleted losses and access records, which HQ has too.
        unreceipted: reads kept because HQ has not receipted all of them.
        in_grace: reads kept because the grace period is not over.
        next_at: when the first of those may go (mqtt.fields.Time), None without any.
    """

    reads: int
    pictures: int
    bytes: int
    records: int
    unreceipted: int
    in_grace: int
    next_at: str | None


def plan(db: Database, now: datetime | None, grace: timedelta) -> Purge:
    """What `purge` would do; changes nothing. Without a clock nothing may go."""
    cutoff = "" if now is None else time_text(now - grace)
    row = db.execute(
        f"""WITH standing AS ({_STANDING})
            SELECT COALESCE(SUM(NOT waiting AND receipted_at <= :cutoff), 0),
                COALESCE(SUM(waiting), 0),
                COALESCE(SUM(NOT waiting AND receipted_at > :cutoff), 0),
                MIN(CASE WHEN NOT waiting AND receipted_at > :cutoff THEN receipted_at END)
            FROM standing""",
        {"cutoff": cutoff},
    ).fetchone()
    pictures = db.execute(
        f"""SELECT COUNT(*), COALESCE(SUM(size), 0) FROM pictures WHERE read_id IN
            (SELECT read_id FROM ({_STANDING}) WHERE NOT waiting AND receipted_at <= ?)""",
        (cutoff,),
    ).fetchone()
    (records,) = db.execute(
        "SELECT COUNT(*) FROM outbox WHERE read_id = '' AND receipted_at < ?", (cutoff,)
    ).fetchone()
    next_at = None if row[3] is None else time_text(datetime.fromisoformat(row[3]) + grace)
    return Purge(
        reads=row[0],
        pictures=pictures[0],
        bytes=pictures[1],
        records=records,
        unreceipted=row[1],
        in_grace=row[2],
        next_at=next_at,
    )


def purge(db: Database, files: PictureFiles, now: datetime, grace: timedelta) -> Purge:
    """Delete what may go; the result tells what was deleted and what was kept.

    Raises sqlite3.Error or OSError; what was deleted until then stays deleted, the rest is finished by
    the next purge.
    """
    cutoff = time_text(now - grace)
    done = finish(db, files)
    due = db.execute(
        f"SELECT read_id FROM ({_STANDING}) WHERE NOT waiting AND receipted_at <= ?", (cutoff,)
    ).fetchall()
    for start in range(0, len(due), BATCH):
        batch = _mark(db, [read_id for (read_id,) in due[start : start + BATCH]])
        done = _sum(done, _carry_out(db, files, batch))
    with transaction(db):
        db.execute(
            """DELETE FROM access WHERE access_id IN
                (SELECT ref FROM outbox WHERE kind = 'access' AND receipted_at < ?)""",
            (cutoff,),
        )
        records = outbox.forget_others(db.conn, cutoff)
        oldest = now - timedelta(days=2 * store_queries.NORM_DAYS)
        db.execute("DELETE FROM hours WHERE hour < ?", (time_text(oldest)[:13],))
    kept = plan(db, now, grace)
    return Purge(
        reads=done[0],
        pictures=done[1],
        bytes=done[2],
        records=records,
        unreceipted=kept.unreceipted,
        in_grace=kept.in_grace,
        next_at=kept.next_at,
    )


def finish(db: Database, files: PictureFiles) -> tuple[int, int, int]:
    """Carry out what an interrupted purge had marked; reads, pictures and bytes deleted."""
    marked = [read_id for (read_id,) in db.execute("SELECT read_id FROM reads WHERE purging").fetchall()]
    done = (0, 0, 0)
    for start in range(0, len(marked), BATCH):
        done = _sum(done, _carry_out(db, files, marked[start : start + BATCH]))
    return done


def _mark(db: Database, batch: list[str]) -> list[str]:
    """Mark those that are still receipted, and return them."""
    with transaction(db):
        due = [read_id for read_id in batch if outbox.receipted_since(db.conn, read_id) is not None]
        for read_id in due:
            db.execute("UPDATE reads SET purging = 1 WHERE read_id = ?", (read_id,))
    return due


def _carry_out(db: Database, files: PictureFiles, batch: list[str]) -> tuple[int, int, int]:
    pictures = {read_id: _all_pictures(db, read_id) for read_id in batch}
    files.remove(picture.path for some in pictures.values() for picture in some)
    done = (0, 0, 0)
    with transaction(db):
        for read_id in batch:
            row = store_queries.row_of(db, read_id)
            if row is None:
                continue  # Another purge, by hand, was faster.
            if row["purging"] and outbox.receipted_since(db.conn, read_id) is not None:
                for table in ("pictures", "hits", "reads"):
                    db.execute(f"DELETE FROM {table} WHERE read_id = ?", (read_id,))
                outbox.forget(db.conn, read_id)
                size = sum(picture.ref.size for picture in pictures[read_id])
                done = _sum(done, (1, len(pictures[read_id]), size))
            else:
                _revive(db, read_id, pictures[read_id])
    return done


def _revive(db: Database, read_id: str, pictures: list[StoredPicture]) -> None:
    """Keep a read after all, without the pictures whose files are gone: since it was marked the vehicle
    has moved on (a revision), or HQ was restored and wants it again."""
    db.execute("UPDATE reads SET purging = 0 WHERE read_id = ?", (read_id,))
    for picture in pictures:
        lose_picture(
            db,
            picture,
            Loss(
                kind="picture",
                count=1,
                reason="purged after HQ's receipt, before its read was changed or asked for again",
                since=None,
                until=None,
                read_id=read_id,
            ),
        )


def _all_pictures(db: Database, read_id: str) -> list[StoredPicture]:
    return [row_picture(row) for row in db.query("SELECT * FROM pictures WHERE read_id = ?", (read_id,))]


def _sum(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])
