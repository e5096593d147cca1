"""Who owns the database and lifts its guards: each guard that is gone is told, and changed rows show."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core import checks
from django.db import connection

from hq.people.models import Person
from hq.site import doctor

pytestmark = pytest.mark.django_db
People = Callable[..., Person]


def _triggers() -> dict[str, str]:
    """The database's triggers and the table of each."""
    listing = (
        "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
    )
    with connection.cursor() as cursor:
        cursor.execute(listing)
        return dict(cursor.fetchall())


def _lift() -> dict[str, str]:
    standing = _triggers()
    with connection.cursor() as cursor:
        for name, table in standing.items():
            on = "" if connection.vendor == "sqlite" else f' ON "{table}"'
            cursor.execute(f'DROP TRIGGER "{name}"{on}')
    return standing


@pytest.mark.clause("CJIS AU-9")
@pytest.mark.clause("430.4-c")
@pytest.mark.clause("430.3(f)")
def test_every_guard_of_the_database_is_missed_when_it_is_gone() -> None:
    """By `doctor`, without which no production site starts, and by the checks that run with every command."""
    gone = _lift()
    assert len(gone) > 60
    told = " ".join(finding.what for finding in doctor.findings() if finding.error)
    checked = " ".join(str(message.msg) for message in checks.run_checks(databases=["default"]))
    assert [name for name in gone if name not in checked] == []
    assert [name for name in gone if name not in told] == []
