"""Writes many rows at once, with a fraction of the work that Django's bulk_create and bulk_update have.

Owns the statements: COPY on PostgreSQL, one prepared INSERT on SQLite, one prepared UPDATE on both. Runs in
the caller's transaction; what the database refuses is raised as by any other statement of Django's. Keys that
the database counts are not told, defaults of models are not looked at, a row that is here is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

_PLAIN: Final = (
    models.CharField,
    models.TextField,
    models.IntegerField,
    models.FloatField,
    models.BooleanField,
)
_AS_IS: Final = frozenset({str, int, float, bool})
"""Values of these types go as they are into fields of those, which is most of a row."""


def insert(rows: Collection[models.Model]) -> None:
    """Insert new rows of one model."""
    for model in {type(row) for row in rows}:
        fields = [field for field in model._meta.local_concrete_fields if not _counted(field)]
        insert_values(model, [str(field.column) for field in fields], _values(rows, fields, new=True))


def update(rows: Collection[models.Model], names: Sequence[str]) -> None:
    """Write these fields of rows of one model that are here."""
    quote = connection.ops.quote_name
    for model in {type(row) for row in rows}:
        held = {field.name: field for field in model._meta.local_concrete_fields}
        key = next(field for field in held.values() if field.primary_key)
        fields = [held[name] for name in names]
        sets = ", ".join(f"{quote(str(field.column))} = %s" for field in fields)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {quote(model._meta.db_table)} SET {sets} WHERE {quote(str(key.column))} = %s",
                list(_values(rows, [*fields, key], new=False)),
            )


def insert_values(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows given as their columns' values, each as `preparers` makes it."""
    quote = connection.ops.quote_name
    table, names = quote(model._meta.db_table), ", ".join(map(quote, columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with (
                connection.wrap_database_errors,
                cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(row)
            return
        places = ", ".join(["%s"] * len(columns))
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", list(rows))


def preparers(fields: Iterable[models.Field[Any, Any]]) -> list[Callable[[Any], Any]]:
    """For each field what makes a value, not None, into one that `insert_values` takes."""
    # Not by way of the proxy, which looks up the thread's connection at each touch.
    link = connections[DEFAULT_DB_ALIAS]
    make = _copied if link.vendor == "postgresql" else _prepare
    return [make(field, link) for field in fields]


def _values(
    rows: Iterable[models.Model], fields: Sequence[models.Field[Any, Any]], *, new: bool
) -> Iterator[Sequence[Any]]:
    link = connections[DEFAULT_DB_ALIAS]
    prepared = preparers(fields) if new else [_prepare(field, link) for field in fields]
    how = [
        (field.attname, prepare, isinstance(field, _PLAIN))
        for field, prepare in zip(fields, prepared, strict=True)
    ]
    for row in rows:
        yield [
            value if value is None or (plain and type(value) in _AS_IS) else prepare(value)
            for name, prepare, plain in how
            for value in (getattr(row, name),)
        ]


def _prepare(field: models.Field[Any, Any], link: BaseDatabaseWrapper) -> Callable[[Any], Any]:
    if isinstance(field, models.JSONField):
        return partial(link.ops.adapt_json_value, encoder=field.encoder)
    return partial(field.get_db_prep_save, connection=link)


def _copied(field: models.Field[Any, Any], link: BaseDatabaseWrapper) -> Callable[[Any], Any]:
    """As `_prepare`, but as text, which COPY reads as the column's type: psycopg's own way costs more."""
    if isinstance(field, models.JSONField):
        return partial(json.dumps, cls=field.encoder) if field.encoder else json.dumps
    prepare = _prepare(field, link)
    kind = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(kind, models.UUIDField):
        return lambda value: value.hex if type(value) is UUID else prepare(value)
    if isinstance(kind, models.DateTimeField):
        return lambda value: str(value if value.tzinfo is not None else prepare(value))
    return prepare


def _counted(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.AutoField | models.BigAutoField)
