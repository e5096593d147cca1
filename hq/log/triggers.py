"""Keeps rows from change in the database itself, for what the code forgets.

Models register with `protect`; the triggers are put in after every migrate (Django's SQLite table remakes
drop them silently) and checked at start-up. They stop mistakes and injected SQL, not the database's owner:
for that the chain is signed and copied off the machine, and on PostgreSQL the application's role should not
own the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.checks import CheckMessage, Critical, Tags, register
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True)
class Protection:
    """What may still happen to a table's rows; everything else is refused."""

    model: type[models.Model]
    allow: tuple[str, ...]
    delete_when: Mapping[str, str]
    guard_insert: bool
    once: Mapping[str, tuple[str, ...]]


_registry: dict[str, Protection] = {}


def protect(
    model: type[models.Model],
    *,
    allow: Sequence[str] = (),
    delete_when: str | Mapping[str, str] = "",
    guard_insert: bool = True,
    once: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Refuse UPDATE, DELETE, TRUNCATE and an INSERT under a known id or unique value.

    `allow` names the fields that may change. `delete_when` is an SQL condition on OLD (one for all databases,
    or by vendor: "sqlite", "postgresql") under which a row may go. `guard_insert=False` lets INSERT OR IGNORE
    pass on SQLite; INSERT OR REPLACE is then stopped by the DELETE trigger, which needs
    recursive_triggers=ON (settings). `once` names by the field of a moment those that are written with it:
    once the moment stands, neither it nor they change.
    """
    if isinstance(delete_when, str):
        delete_when = {"sqlite": delete_when, "postgresql": delete_when}
    settled = {moment: tuple(fields) for moment, fields in (once or {}).items()}
    allow = (*allow, *settled, *(name for fields in settled.values() for name in fields))
    _registry[model._meta.db_table] = Protection(
        model, tuple(allow), dict(delete_when), guard_insert, settled
    )


def tables() -> list[str]:
    """The protected tables."""
    return sorted(_registry)


def install(connection: BaseDatabaseWrapper, known: Iterable[str] | None = None) -> None:
    """Put the triggers of every protected table that exists; any older ones of ours give way."""
    present = set(known if known is not None else connection.introspection.table_names())
    with connection.cursor() as cursor:
        for table in tables():
            if table in present:
                for statement in [*drops(connection, table), *_creates(connection, table)]:
                    cursor.execute(statement)


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The triggers that should be there and are not, are disabled or say something else."""
    present = set(connection.introspection.table_names())
    installed = _sqlite_installed(connection) if connection.vendor == "sqlite" else _pg_installed(connection)
    return [
        name
        for table in tables()
        if table in present
        for name, body in _expected(connection, table).items()
        if installed.get(name) != body
    ]


def after_migrate(using: str, **_: Any) -> None:
    """Handler of post_migrate."""
    install(connections[using])


@register(Tags.database)
def check_triggers(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """System check: every protection stands."""
    return [
        Critical(
            f"the append-only trigger {name} is missing or changed",
            hint="platewarden-hq migrate",
            id="hq.E001",
        )
        for alias in databases or ()
        for name in missing(connections[alias])
    ]


def drops(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """The statements that take a table's triggers away."""
    where = f' ON "{table}"' if connection.vendor == "postgresql" else ""
    return [f'DROP TRIGGER IF EXISTS "{name}"{where}' for name in _names(connection, table)]


def _names(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    kinds = ("row", "truncate") if connection.vendor == "postgresql" else ("update", "delete", "insert")
    return [f"hq_{kind}_{table}" for kind in kinds]


def _creates(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    if connection.vendor == "sqlite":
        return list(_sqlite(table).values())
    function = f'"hq_guard_{table}"'
    return [
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
        f"AS $hq${_pg_body(table)}$hq$",
        f'CREATE TRIGGER "hq_row_{table}" BEFORE UPDATE OR DELETE ON "{table}" '
        f"FOR EACH ROW EXECUTE FUNCTION {function}()",
        f'CREATE TRIGGER "hq_truncate_{table}" BEFORE TRUNCATE ON "{table}" '
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
    ]


def _expected(connection: BaseDatabaseWrapper, table: str) -> dict[str, str]:
    if connection.vendor == "sqlite":
        return _sqlite(table)
    return {name: _pg_body(table) for name in _names(connection, table)}


def _columns(protection: Protection) -> list[str]:
    """The columns that may not change."""
    free = {_column(protection.model, name) for name in protection.allow}
    return [str(f.column) for f in protection.model._meta.local_concrete_fields if f.column not in free]


def _settled(protection: Protection) -> list[tuple[str, list[str]]]:
    """The column of each moment, with those that are fixed once it stands, itself among them."""
    model = protection.model
    return [
        (_column(model, moment), [_column(model, name) for name in (moment, *fields)])
        for moment, fields in protection.once.items()
    ]


def _column(model: type[models.Model], name: str) -> str:
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field) or field.column is None:
        raise TypeError(f"{model.__name__}.{name} has no column to protect")
    return field.column


def _unique_sets(model: type[models.Model]) -> list[list[str]]:
    singles = [[str(f.column)] for f in model._meta.local_concrete_fields if f.unique]
    constraints = [
        [_column(model, name) for name in c.fields]
        for c in model._meta.constraints
        if isinstance(c, models.UniqueConstraint) and c.fields and c.condition is None
    ]
    return singles + constraints


def _sqlite(table: str) -> dict[str, str]:
    protection = _registry[table]
    refuse = f"BEGIN SELECT RAISE(ABORT, 'append-only: {table}'); END"
    condition = protection.delete_when.get("sqlite", "")
    changed = " OR ".join(f'OLD."{c}" IS NOT NEW."{c}"' for c in _columns(protection))
    for moment, columns in _settled(protection):
        later = " OR ".join(f'OLD."{c}" IS NOT NEW."{c}"' for c in columns)
        changed += f' OR (OLD."{moment}" IS NOT NULL AND ({later}))'
    same = " OR ".join(
        "(" + " AND ".join(f'"{c}" = NEW."{c}"' for c in unique) + ")"
        for unique in _unique_sets(protection.model)
    )
    when_update = f" WHEN {changed}" if protection.allow else ""
    when_delete = f" WHEN NOT COALESCE(({condition}), 0)" if condition else ""
    made = {
        "update": f'BEFORE UPDATE ON "{table}"{when_update}',
        "delete": f'BEFORE DELETE ON "{table}"{when_delete}',
    }
    if protection.guard_insert:
        made["insert"] = f'BEFORE INSERT ON "{table}" WHEN EXISTS (SELECT 1 FROM "{table}" WHERE {same})'
    return {
        f"hq_{kind}_{table}": f'CREATE TRIGGER "hq_{kind}_{table}" {event} {refuse}'
        for kind, event in made.items()
    }


def _pg_body(table: str) -> str:
    protection = _registry[table]
    condition = protection.delete_when.get("postgresql", "") or "false"
    fixed = _columns(protection)
    old, new = (", ".join(f'{row}."{c}"' for c in fixed) for row in ("OLD", "NEW"))
    unchanged = f"ROW({old}) IS NOT DISTINCT FROM ROW({new})" if protection.allow else "false"
    for moment, columns in _settled(protection):
        then, now = (", ".join(f'{row}."{c}"' for c in columns) for row in ("OLD", "NEW"))
        unchanged += f' AND (OLD."{moment}" IS NULL OR ROW({then}) IS NOT DISTINCT FROM ROW({now}))'
    return (
        "\nBEGIN\n"
        "  IF TG_OP = 'DELETE' THEN\n"
        f"    IF ({condition}) THEN RETURN OLD; END IF;\n"
        "  ELSIF TG_OP = 'UPDATE' THEN\n"
        f"    IF {unchanged} THEN RETURN NEW; END IF;\n"
        "  END IF;\n"
        f"  RAISE EXCEPTION 'append-only: {table}' USING ERRCODE = 'integrity_constraint_violation';\n"
        "END\n"
    )


def _sqlite_installed(connection: BaseDatabaseWrapper) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return dict(cursor.fetchall())


def _pg_installed(connection: BaseDatabaseWrapper) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE t.tgenabled <> 'D' AND c.relnamespace = current_schema()::regnamespace"
        )
        return dict(cursor.fetchall())
