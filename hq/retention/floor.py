"""The floor under reads and the holds on them, as the database itself guards it (430.4-c, 430.4-d).

Owns the SQL condition under which a row of a read, its pictures, hits and revisions may be deleted at all:

- the read has passed its schedule's days, and the year where no schedule with authority says less,
- no open hold reaches it, nor what is asked for and not handed out yet (`hq.retention.asked`),
- it is part of a purge whose proposal was signed and whose files are aside.

The times are the database's own, so that a clock held by the program does not shorten the floor.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from hq.log.triggers import drops, protect, tables
from hq.records import models as records
from hq.records.keeping import FLOOR_DAYS
from hq.retention import asked

_LATER = {
    # Days gone by since capture or receipt, whichever is later; purge_after is FLOOR_DAYS past it.
    "sqlite": f"""
        MIN(julianday('now') - julianday(r.purge_after) + {FLOOR_DAYS},
            julianday('now') - julianday(r.received_at))""",
    "postgresql": f"""
        EXTRACT(EPOCH FROM LEAST(now() - r.purge_after + interval '{FLOOR_DAYS} days', now() - r.received_at))
            / 86400""",
}
_TODAY = {"sqlite": "date('now')", "postgresql": "CURRENT_DATE"}


def when(read: str) -> dict[str, str]:
    """What `protect(delete_when=...)` takes: a row may go with the read whose id is the SQL in `read`."""
    return {vendor: _may_go(vendor, read) for vendor in _LATER}


def _may_go(vendor: str, read: str) -> str:
    return f"""EXISTS (SELECT 1 FROM records_read r WHERE r.id = {read}
    AND {_LATER[vendor]} >= {_days(vendor)}
    AND NOT {kept(vendor)}
    AND EXISTS (SELECT 1 FROM retention_batchitem i
        JOIN retention_batch b ON b.id = i.batch_id
        JOIN retention_proposal p ON p.id = b.proposal_id
        WHERE i.read_id = r.id AND b.state = 'moved' AND p.state = 'cosigned'))"""


def _days(vendor: str) -> str:
    """The days of the schedule in force for read r, the unit's own before its category's; else the year.

    One whose authority ran out counts as a year, as in `hq.retention.schedules`.
    """
    own, common = (
        f"""(SELECT CASE WHEN s.days >= {FLOOR_DAYS} OR (a.kind = 'shorter' AND a.least_days <= s.days
            AND {_TODAY[vendor]} BETWEEN a.valid_from AND a.valid_until) THEN s.days ELSE {FLOOR_DAYS} END
        FROM retention_schedule s LEFT JOIN retention_authority a ON a.id = s.authority_id
        WHERE s.state = 'in_force' AND s.category = r.category AND {source})"""
        for source in ("s.unit_id = r.unit_id", "s.unit_id IS NULL")
    )
    return f"COALESCE({own}, {common}, {FLOOR_DAYS})"


def kept(vendor: str) -> str:
    """SQL: whether something keeps read r past its days; the same as `holds.held()`."""
    return f"""(EXISTS (SELECT 1 FROM retention_hold h WHERE h.released_at IS NULL AND {_reaches()})
        OR {asked.sql(vendor)})"""


def _reaches() -> str:
    """SQL: whether hold h reaches read r; the same as `Hold.scope.q()`."""
    return """(
        EXISTS (SELECT 1 FROM retention_heldread n WHERE n.hold_id = h.id AND n.read_id = r.id)
        OR (h.by_scope
            AND (h.plate_like = '' OR r.lookalike LIKE h.plate_like OR EXISTS (
                SELECT 1 FROM hits_correction c WHERE c.read_id = r.id AND c.lookalike LIKE h.plate_like))
            AND (h.unit_id IS NULL OR r.unit_id = h.unit_id)
            AND (h.since IS NULL OR r.at >= h.since)
            AND (h.until IS NULL OR r.at < h.until)
            AND (h.south IS NULL
                OR (r.lat BETWEEN h.south AND h.north AND r.lon BETWEEN h.west AND h.east))))"""


# What a later revision or a late picture may change; everything else of a row stays as it came.
_FIXED = {
    records.Read: {"id", "unit", "received_at"},
    records.Picture: {"id", "read", "kind", "sha256"},
    records.Hit: {"id", "read", "unit", "received_at"},
    records.Revision: {field.name for field in records.Revision._meta.local_concrete_fields},
}
_READ_OF = {
    records.Read: "OLD.id",
    records.Picture: "OLD.read_id",
    records.Hit: "OLD.read_id",
    records.Revision: "(CASE OLD.kind WHEN 'read' THEN OLD.record "
    "ELSE (SELECT h.read_id FROM records_hit h WHERE h.id = OLD.record) END)",
}


def guard() -> None:
    """Register the guards, which `hq.log.triggers` puts in after every migrate and checks at the start."""
    for model, fixed in _FIXED.items():
        protect(
            model,
            allow=[f.name for f in model._meta.local_concrete_fields if f.name not in fixed],
            delete_when=when(_READ_OF[model]),
            # INSERT OR REPLACE is stopped by the guard of deletion; a look at each new row costs too much.
            guard_insert=False,
        )


def lift(connection: BaseDatabaseWrapper) -> None:
    """Take all guards away for a migration: SQLite remakes no table that another's trigger names.

    `hq.log.triggers` puts them back when it is done, and the check at the start tells if it was not.
    """
    if connection.vendor != "sqlite":
        return
    present = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for table in tables():
            if table in present:
                for statement in drops(connection, table):
                    cursor.execute(statement)
