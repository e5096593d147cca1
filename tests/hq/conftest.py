"""What every HQ test needs: people of every role, a client that is logged in, a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.test import TransactionTestCase

from hq.log import triggers
from hq.site import clock as clock_module


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as in life: the shared memory database knows no WAL and no waiting writers."""
    held = connections["default"].settings_dict
    if held["ENGINE"].endswith("sqlite3"):
        held["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "hq.sqlite3")
        held["OPTIONS"]["init_command"] = held["OPTIONS"]["init_command"].replace("=FULL", "=OFF")


class Clock:
    """The time that HQ sees; it moves only when told."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **parts: float) -> datetime:
        self.at += timedelta(**parts)
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Holds HQ's clock at noon of a working day."""
    held = Clock(datetime(2026, 6, 3, 19, 0, 0, 123456, tzinfo=UTC))
    monkeypatch.setattr(clock_module, "source", held)
    return held


def _lift(alias: str) -> None:
    connection = connections[alias]
    with connection.cursor() as cursor:
        for table in triggers.tables():
            for statement in triggers.drops(connection, table):
                cursor.execute(statement)


@pytest.fixture(autouse=True, scope="session")
def _empties_protected_tables() -> Iterator[None]:
    """Transactional tests empty every table afterwards, which the triggers rightly refuse."""
    teardown = TransactionTestCase._fixture_teardown

    def emptied(self: TransactionTestCase) -> None:
        for alias in self._databases_names(include_mirrors=False):
            _lift(alias)
        teardown(self)
        for alias in self._databases_names(include_mirrors=False):
            triggers.install(connections[alias])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptied)
        yield
