"""The database's own refusal to close a hit as acted on without its step 2 (430.3(f)).

Owns that one trigger, which names other tables than its own and so is not among `hq.log.triggers`. It holds
for whatever writes to the table, SQL typed by hand included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.core.checks import CheckMessage, Critical, Tags, register
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from hq.hits.models import PERMANENT, Outcome
from hq.log import triggers

NAME: Final = "hq_acted_hits_outcome"
_TABLE: Final = Outcome._meta.db_table
_REFUSAL: Final = "430.3(f): acted on without a CLETS result or the reason why there is none"
_UNPROVED: Final = """NEW.kind = 'acted_on' AND NOT EXISTS (
    SELECT 1 FROM hits_clets c JOIN hits_visual v ON v.id = c.visual_id
    WHERE c.id = NEW.clets_id AND c.hit_id = NEW.hit_id AND v.hit_id = NEW.hit_id
    AND (c.result IN ('confirmed', 'not_found', 'cancelled')
        OR (c.result = 'not_practicable' AND TRIM(c.reason) <> '')))"""
_SQLITE: Final = (
    f'CREATE TRIGGER "{NAME}" BEFORE INSERT ON "{_TABLE}" WHEN {_UNPROVED} '
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
)
_BODY: Final = f"""
BEGIN
  IF {_UNPROVED} THEN
    RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the trigger, if its table exists."""
    if _TABLE not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        cursor.execute(_drop(connection))
        if connection.vendor == "sqlite":
            cursor.execute(_SQLITE)
            return
        cursor.execute(
            f'CREATE OR REPLACE FUNCTION "{NAME}"() RETURNS trigger LANGUAGE plpgsql AS $hq${_BODY}$hq$'
        )
        cursor.execute(
            f'CREATE TRIGGER "{NAME}" BEFORE INSERT ON "{_TABLE}" FOR EACH ROW EXECUTE FUNCTION "{NAME}"()'
        )


def lift(connection: BaseDatabaseWrapper) -> None:
    """Take the guards away for a migration: SQLite remakes no table that another's trigger names."""
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        if _TABLE in tables:
            cursor.execute(_drop(connection))
        for model in PERMANENT:
            if model._meta.db_table in tables:
                for statement in triggers.drops(connection, model._meta.db_table):
                    cursor.execute(statement)


def stands(connection: BaseDatabaseWrapper) -> bool:
    """Whether the trigger is there and says what it should; True where its table does not exist yet."""
    if _TABLE not in connection.introspection.table_names():
        return True
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = %s", [NAME])
            return bool(cursor.fetchone() == (_SQLITE,))
        cursor.execute(
            "SELECT p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgname = %s AND t.tgenabled <> 'D' "
            "AND c.relnamespace = current_schema()::regnamespace",
            [NAME],
        )
        return bool(cursor.fetchone() == (_BODY,))


@register(Tags.database)
def check_guard(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """System check: the trigger stands."""
    return [
        Critical(
            f"the trigger {NAME} is missing or changed", hint="platewarden-hq migrate", id="hq.hits.E001"
        )
        for alias in databases or ()
        if not stands(connections[alias])
    ]


def _drop(connection: BaseDatabaseWrapper) -> str:
    where = f' ON "{_TABLE}"' if connection.vendor == "postgresql" else ""
    return f'DROP TRIGGER IF EXISTS "{NAME}"{where}'
