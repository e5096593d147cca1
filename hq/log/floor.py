"""Which rows of the access log may go one day, as the database itself guards it.

Owns the SQL condition under which a row may be deleted at all:

- it has passed its schedule's days and the floor of two years, by the database's own clock (CJIS AU-11),
- a removal that three persons signed names it, and its signed anchor stands in the chain,
- nothing keeps it: a freeze of an open breach from that row on, an open hold on its case, what keeps a read
  that it tells of (a hold, a package or release that is asked for), an audit of its time that is not signed
  off, whose sample must be drawn again from the same rows, whatever table points to it, as an audit's sample
  does for ever.
"""

from __future__ import annotations

from django.db.models import ForeignObjectRel

from hq.log.models import AccessRecord
from hq.log.triggers import protect
from hq.retention import floor as reads

FLOOR_DAYS = 730

_AGE = {
    "sqlite": "julianday('now') - julianday(OLD.at)",
    "postgresql": "EXTRACT(EPOCH FROM now() - OLD.at) / 86400",
}
# The ids of a row as uuids, which SQLite keeps without hyphens.
_IDS = {
    "sqlite": "SELECT replace(e.value, '-', '') FROM json_each({row}.ids) e WHERE length(e.value) = 36",
    "postgresql": "SELECT CASE WHEN e.value ~ '^[0-9a-fA-F]{{8}}(-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}$' "
    "THEN e.value::uuid END FROM jsonb_array_elements_text({row}.ids) e(value)",
}
# The reads that a row tells of: by their own ids, or by those of their hits, as the board's rows do.
_READS = {
    vendor: f"{ids} UNION ALL SELECT t.read_id FROM records_hit t WHERE t.id IN ({ids})"
    for vendor, ids in _IDS.items()
}


def keeps(vendor: str, row: str) -> str:
    """SQL: whether something keeps the row, whose alias is `row`, whatever its age."""
    sampled = "".join(
        f"""
        OR EXISTS (SELECT 1 FROM {table} t WHERE t.{column} = {row}.sequence)"""
        for table, column in _references()
    )
    return f"""(EXISTS (SELECT 1 FROM audits_freeze f JOIN audits_breach b ON b.id = f.breach_id
            WHERE b.closed_at IS NULL AND f.first <= {row}.sequence)
        OR EXISTS (SELECT 1 FROM audits_audit a
            WHERE a.approved_at IS NULL AND a.since <= {row}.at AND {row}.at < a.until)
        OR EXISTS (SELECT 1 FROM retention_hold h
            WHERE h.released_at IS NULL AND lower(h."case") = lower({row}."case"))
        OR EXISTS (SELECT 1 FROM records_read r
            WHERE r.id IN ({_READS[vendor].format(row=row)}) AND {reads.kept(vendor)}){sampled})"""


def _references() -> list[tuple[str, str]]:
    """Table and column of everything that points to a row, as an audit's sample does."""
    return sorted(
        (field.related_model._meta.db_table, str(field.field.column))
        for field in AccessRecord._meta.get_fields(include_hidden=True)
        if isinstance(field, ForeignObjectRel)
    )


def _may_go(vendor: str) -> str:
    most = "MAX" if vendor == "sqlite" else "GREATEST"
    return f"""EXISTS (SELECT 1 FROM log_removed a
        JOIN log_removal p ON p.id = a.removal_id
        JOIN retention_schedule s ON s.id = p.schedule_id
        WHERE OLD.sequence BETWEEN a.first AND a.last AND p.state = 'cosigned' AND OLD.at < p.before
        AND {_AGE[vendor]} >= {most}({FLOOR_DAYS}, s.days))
    AND NOT {keeps(vendor, "OLD")}"""


def guard() -> None:
    """Register the guard of the access log, once every app's models are there."""
    protect(AccessRecord, delete_when={vendor: _may_go(vendor) for vendor in _AGE})
