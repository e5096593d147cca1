"""No page, command or model deletes a read under the floor."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command, get_commands
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from hq.people.models import Person
from hq.people.policy import COLUMNS
from hq.records.models import Hit, Picture, Read, Revision
from hq.retention import checks
from tests.hq import kept

pytestmark = pytest.mark.django_db

BLOCKING = frozenset({"serve", "subscribe", "publish_lists", "demo"})
"""Commands that go on until they are stopped or start others; what they call is walked by its own name."""


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path
    settings.SECURE_SSL_REDIRECT = False


@pytest.fixture
def young() -> Read:
    return kept.read(days=10, hit=True)


def everything_is_here(read: Read) -> bool:
    return (
        Read.objects.filter(pk=read.pk).exists()
        and Picture.objects.filter(read=read, missing=False).count() == 2
        and Hit.objects.filter(read=read).exists()
        and Revision.objects.filter(record=read.pk).exists()
        and len(kept.files()) == 2
    )


def patterns(resolver: Any, prefix: str = "") -> Iterator[str]:
    """Every address, with its parameters as <kind:name>."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        elif isinstance(entry, URLPattern):
            yield route


def addresses(read: Read) -> Iterator[str]:
    """Every address filled with the ids that lead to the read."""
    hit = Hit.objects.get(read=read)
    for route in patterns(get_resolver()):
        for uuid in (read.id, hit.id):
            filled = ""
            for part in route.replace("<", "\0<").replace(">", ">\0").split("\0"):
                if not part.startswith("<"):
                    filled += part
                else:
                    kind = part.strip("<>").split(":")[0]
                    filled += str(uuid) if kind == "uuid" else "1" if kind == "int" else read.unit_id
            yield "/" + filled.lstrip("^").rstrip("$")
            if "uuid" not in route:
                break


@pytest.mark.slow
@pytest.mark.clause("430.4-c")
def test_no_page_deletes_a_young_read(
    young: Read, people: Callable[..., Person], client_for: Callable[..., Client]
) -> None:
    person = people(list(COLUMNS))
    tried = 0
    for address in addresses(young):
        if address.startswith(("/people/log", "/people/lock")):
            continue
        client = client_for(person, purpose="criminal_investigation", case="26-1")
        client.raise_request_exception = False
        body = {
            "id": str(young.id),
            "read": str(young.id),
            "pk": "1",
            "delete": "1",
            "confirm": "yes",
            "why": "x",
        }
        for send in (client.get, client.post, client.delete, client.put):
            try:
                with transaction.atomic():
                    send(address, body if send == client.post else {})
            except DatabaseError:
                pass
            tried += 1
    assert tried > 200
    assert everything_is_here(young)


@pytest.mark.clause("430.4-c")
@pytest.mark.parametrize(
    "command",
    sorted(name for name, app in get_commands().items() if app.startswith("hq.") and name not in BLOCKING),
)
def test_no_command_deletes_a_young_read(
    young: Read, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deleted = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().upper().startswith("DELETE") and '"records_' in sql and "trigram" not in sql:
            deleted.append(sql)
        return execute(sql, params, many, context)

    # A command that lacks its arguments has done nothing.
    with connection.execute_wrapper(watch), contextlib.suppress(Exception, SystemExit):
        call_command(command)
    assert deleted == []
    assert everything_is_here(young)


@pytest.mark.clause("430.4-c")
@pytest.mark.parametrize("model", apps.get_models(), ids=lambda model: model._meta.label)
def test_emptying_any_table_deletes_no_young_read(young: Read, model: type[Any]) -> None:
    """Neither the table's own rows nor what cascades from them."""
    for delete in (
        lambda: model._base_manager.all().delete(),
        lambda: model._base_manager.all()._raw_delete("default"),
    ):
        point = transaction.savepoint()
        try:
            with transaction.atomic():
                delete()
        except Exception:
            pass  # refused
        assert everything_is_here(young)
        transaction.savepoint_rollback(point)


@pytest.mark.clause("430.4-d")
def test_no_relation_can_hold_a_read_back_or_keep_its_plate() -> None:
    assert checks.relations() == []
