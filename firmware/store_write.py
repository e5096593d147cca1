"""What is written within one transaction of the unit's store: reads, hits, pictures, losses.

Owns the rows that belong together: whatever HQ must hear of gets its outbox row here, in the transaction
that changes the table. The caller begins and commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlite_utils import Database

from firmware import store_queries
from firmware.store_rows import StoredPicture, hit_row, in_order, picture_row, read_row, row_hit, row_read
from mqtt import outbox
from mqtt.messages import encode_record
from mqtt.outbox import Kind
from mqtt.records import Hit, Loss, PictureHeader, Read


def put_read(
    db: Database, read: Read, hits: Sequence[Hit], pictures: Sequence[StoredPicture], revising: bool
) -> Read:
    """Write a read, its hits and its pictures with their outbox rows, and return the read as stored.

    Args:
        read: where `revising`, its revision becomes one more than the stored one's, and a time that a set
            clock gave to the same look is kept. A read that is not there (it was lost, or purged while
            the vehicle stood) is stored as it comes.
        hits: new ones, and stored ones that changed; an unchanged one writes nothing.
        pictures: files that are in place; each becomes the read's picture of its kind.
    """
    before = store_queries.row_of(db, read.read_id) if revising else None
    current = {} if before is None else {p.ref.kind: p.ref for p in store_queries.pictures(db, read.read_id)}
    current |= {picture.ref.kind: picture.ref for picture in pictures}
    stored = replace(read, pictures=in_order(current.values()))
    if before is None:
        db.table("reads").insert(read_row(stored))
        _count_hour(db, stored.captured_at, 1)
    else:
        old = row_read(before, ())
        stored = replace(stored, revision=old.revision + 1)
        if stored.captured_at is None and _same_moment(stored, old):
            stored = replace(stored, captured_at=old.captured_at, clock=old.clock)
        _count_hour(db, old.captured_at, -1)
        _count_hour(db, stored.captured_at, 1)
        db.table("reads").update(stored.read_id, {**read_row(stored), "purging": False})
    _queue(db, Kind.READ, stored.read_id, stored, stored)
    for hit in hits:
        _put_hit(db, stored, replace(hit, read_revision=stored.revision))
    for picture in pictures:
        _put_picture(db, stored, picture)
    return stored


def set_time(db: Database, read: Read) -> None:
    """Write a new revision of a stored read that differs in its time only."""
    db.table("reads").update(read.read_id, read_row(read))
    _count_hour(db, read.captured_at, 1)
    _queue(db, Kind.READ, read.read_id, read, read)


def put_losses(db: Database, losses: Iterable[Loss]) -> None:
    """Count losses and tell HQ each of them."""
    for loss in losses:
        db.execute(
            """INSERT INTO losses (kind, reason, count, since, until) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (kind, reason) DO UPDATE SET count = count + excluded.count,
                    since = COALESCE(since, excluded.since), until = COALESCE(excluded.until, until)""",
            (loss.kind, loss.reason, loss.count, loss.since, loss.until),
        )
        # A row of a read is forgotten with it, so it must not name one that is not here.
        known = bool(loss.read_id) and store_queries.row_of(db, loss.read_id) is not None
        outbox.append(
            db.conn, Kind.LOSS, loss.kind, encode_record(loss), loss.until, loss.read_id if known else ""
        )


def lose_picture(db: Database, picture: StoredPicture, loss: Loss) -> None:
    """Mark a stored picture as lost and count it once: in the place of its own outbox row while HQ has
    not receipted that, in a row of its own after."""
    db.execute("UPDATE pictures SET lost = 1 WHERE path = ?", (picture.path,))
    rows = db.execute(
        "SELECT sequence, kind, receipted_at FROM outbox WHERE ref = ? ORDER BY sequence DESC",
        (picture.path,),
    ).fetchall()
    if any(kind == Kind.LOSS for _, kind, _ in rows):
        return  # Whoever could not send it has counted it.
    if rows and rows[0][2] is None:
        outbox.replace(db.conn, rows[0][0], encode_record(loss))
    else:
        put_losses(db, [loss])


def _put_hit(db: Database, read: Read, hit: Hit) -> None:
    rows = list(db.query("SELECT * FROM hits WHERE hit_id = ?", (hit.hit_id,)))
    if rows:
        old = row_hit(rows[0])
        if replace(old, read_revision=hit.read_revision) == hit:
            return
        db.table("hits").update(hit.hit_id, hit_row(hit))
    else:
        db.table("hits").insert(hit_row(hit))
    _queue(db, Kind.HIT, hit.hit_id, hit, read)


def _put_picture(db: Database, read: Read, picture: StoredPicture) -> None:
    db.execute(
        "UPDATE pictures SET current = 0 WHERE read_id = ? AND kind = ?", (read.read_id, picture.ref.kind)
    )
    known = db.execute("SELECT lost FROM pictures WHERE path = ?", (picture.path,)).fetchone()
    if known is None:
        db.table("pictures").insert(picture_row(picture))
    else:
        db.execute("UPDATE pictures SET current = 1, lost = 0 WHERE path = ?", (picture.path,))
        if not known[0]:
            return  # The same picture as before: HQ hears of it once.
    ref = picture.ref
    header = PictureHeader(read_id=read.read_id, kind=ref.kind, sha256=ref.sha256, size=ref.size)
    _queue(db, Kind.PICTURE, picture.path, header, read)


def _queue(db: Database, kind: Kind, ref: str, record: object, read: Read) -> None:
    outbox.append(db.conn, kind, ref, encode_record(record), read.captured_at, read.read_id)


def _same_moment(one: Read, other: Read) -> bool:
    return (one.clock.boot_id, one.clock.boottime) == (other.clock.boot_id, other.clock.boottime)


def _count_hour(db: Database, captured_at: str | None, count: int) -> None:
    if captured_at is not None:
        db.execute(
            """INSERT INTO hours (hour, reads) VALUES (?, MAX(?, 0))
                ON CONFLICT (hour) DO UPDATE SET reads = MAX(reads + ?, 0)""",
            (captured_at[:13], count, count),
        )
