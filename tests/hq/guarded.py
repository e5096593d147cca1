"""What the database itself refuses to delete, and a purge that is about to delete."""

from __future__ import annotations

import sqlite3

from django.db import DatabaseError, IntegrityError, connection, transaction

from hq.records.models import Read
from hq.retention.models import Batch
from tests.hq import kept


def refused_by_database(sql: str, params: object = ()) -> bool:
    """Whether the database refuses a statement that no code of ours stands before."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, params)  # type: ignore[arg-type]
    except (IntegrityError, DatabaseError, sqlite3.Error):
        return True
    return False


def raw_id(read: Read) -> str:
    return read.id.hex if connection.vendor == "sqlite" else str(read.id)


def into_journal(office: kept.Office, *reads: Read) -> Batch:
    """As if a signed purge were about to delete these reads."""
    kept.read("8XYZ987", days=900)
    proposal = office.signed()
    batch = Batch.objects.create(proposal=proposal, reads=len(reads), ids_sha256="", state="moved")
    for read in reads:
        batch.items.create(read_id=read.id)
    return batch
