"""That threads which write the access log at the same moment share a commit and nothing else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from hq.log import chain
from hq.log import group as group_module
from hq.log.group import Group, NoTurn
from hq.log.models import AccessRecord
from hq.people.models import Person

People = Callable[..., Person]
ClientFor = Callable[..., Client]
ROOT = Path(__file__).resolve().parent.parent.parent
OWN = "/log/own/"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """For fifty threads to come on a busy machine; the bounds have a test of their own."""
    monkeypatch.setattr(group_module, "WAIT_S", 120.0)
    monkeypatch.setattr(chain._together, "_wait_s", 120.0)


def waits(group: Group[Any], count: int) -> None:
    end = time.monotonic() + 100
    while len(group._queue) < count:
        assert time.monotonic() < end, "they do not come"
        time.sleep(0.002)


class Commits:
    """Counts commits of all threads, and while it is told to fails those of all but the test's own."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count, self.broken = 0, False
        self._lock, self._commit = threading.Lock(), BaseDatabaseWrapper._commit
        patch.setattr(BaseDatabaseWrapper, "_commit", lambda wrapper: self._one(wrapper))

    def _one(self, wrapper: BaseDatabaseWrapper) -> None:
        with self._lock:
            self.count += 1
        if self.broken and threading.current_thread() is not threading.main_thread():
            raise OperationalError("disk I/O error")
        self._commit(wrapper)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    return Commits(monkeypatch)


@contextmanager
def together(tasks: list[Callable[[], Any]]) -> Iterator[list[Future[Any]]]:
    """Tasks in threads of their own, which come one after another while the block holds the log's lock."""
    found: list[Future[Any]] = []

    def run(task: Callable[[], Any]) -> Any:
        try:
            return task()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tasks)) as pool, transaction.atomic():
        chain._locked_head()
        for task in tasks:
            found.append(pool.submit(run, task))
            waits(chain._together, len(found))
        yield found
        assert not any(one.done() for one in found), "somebody did not wait for the open transaction"


def writing(number: int, person: Person | None = None) -> Callable[[], tuple[int, int]]:
    """Appends a row, and says its sequence and how many of it are committed at that moment."""

    def write() -> tuple[int, int]:
        row = chain.append(kind="test", person=person, action="log.own", elements={"n": number})
        return row.sequence, AccessRecord.objects.filter(pk=row.sequence, elements={"n": number}).count()

    return write


def numbers() -> list[Any]:
    return [row.elements.get("n") for row in AccessRecord.objects.order_by("sequence")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.2.1(d)")
@pytest.mark.clause("CC-52a")
def test_fifty_at_once_get_each_their_own_record_with_one_commit(commits: Commits) -> None:
    with together([writing(number) for number in range(50)]) as found:
        before = commits.count
    assert commits.count - before == 2, "the transaction that held them up, and theirs"
    assert [one.result() for one in found] == [(number + 1, 1) for number in range(50)]
    assert numbers() == list(range(50)), "the order in which they came"
    assert chain.verify() is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.5(a)")
def test_record_that_the_database_refuses_spoils_no_other() -> None:
    """A person that is no row, which the database notices no sooner than at the commit."""
    nobody = Person(pk=10**6, username="nobody")
    with together([writing(n, nobody if n == 2 else None) for n in range(5)]) as found:
        pass
    with pytest.raises(chain.LogUnavailable):
        found[2].result()
    assert sorted(found[n].result() for n in (0, 1, 3, 4)) == [(n, 1) for n in (1, 2, 3, 4)]
    assert sorted(numbers()) == [0, 1, 3, 4]
    assert chain.verify() is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.2.1(d)")
@pytest.mark.clause("430.5(a)")
def test_commit_that_fails_shows_nothing_to_whoever_was_in_it_and_only_to_them(
    people: People, client_for: ClientFor, commits: Commits
) -> None:
    viewers = [people("auditor") for _ in range(4)]
    clients = [client_for(viewer) for viewer in viewers]
    for number, viewer in enumerate(viewers):
        chain.append(kind="test", person=viewer, action="log.own", case=f"SHOWN-{number}")
    with together([lambda one=one: one.get(OWN) for one in clients[:3]]) as found:  # type: ignore[misc]
        commits.broken = True
    for one in found:
        assert one.result().status_code == 503
        assert b"SHOWN" not in one.result().content
    assert AccessRecord.objects.count() == len(viewers)
    commits.broken = False
    with together([lambda one=one: one.get(OWN) for one in clients[1:]]) as found:  # type: ignore[misc]
        pass
    for number, one in enumerate(found, 1):
        assert one.result().status_code == 200
        assert f"SHOWN-{number}".encode() in one.result().content
    written = AccessRecord.objects.filter(kind="log").order_by("sequence").values_list("person_id", flat=True)
    assert list(written) == [viewer.pk for viewer in viewers[1:]]
    assert chain.verify() is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("undone", [False, True])
def test_row_of_an_open_transaction_goes_with_it_and_waits_for_nobody(undone: bool) -> None:
    with together([writing(1), writing(2)]) as found:
        row = chain.append(kind="test", person=None, action="log.own", elements={"n": 0})
        assert row.sequence == 1
        transaction.set_rollback(undone)
    assert [one.result()[1] for one in found] == [1, 1]
    assert numbers() == ([1, 2] if undone else [0, 1, 2])
    assert chain.verify() is None


@pytest.mark.django_db(transaction=True)
def test_transactions_and_pages_at_once_make_one_chain(commits: Commits) -> None:
    def write(number: int) -> None:
        try:
            for _ in range(10):
                if number % 4:
                    chain.append(kind="test", person=None, action="log.own")
                else:
                    with transaction.atomic():
                        chain.append(kind="test", person=None, action="log.own")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(write, range(12)))
    assert AccessRecord.objects.count() == 120
    assert chain.verify() is None
    assert commits.count < 120


CHILD = """
import sys, django
from concurrent.futures import ThreadPoolExecutor
django.setup()
from hq.log import chain
def write(number):
    for _ in range(10):
        chain.append(kind="test", person=None, action="log.own", note=sys.argv[1])
sys.stdin.readline()
with ThreadPoolExecutor(6) as pool:
    list(pool.map(write, range(6)))
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the database's address is made for SQLite")
def test_processes_on_one_database_make_one_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{connection.settings_dict['NAME']}")
    command = [sys.executable, "-c", CHILD]
    children = [
        subprocess.Popen([*command, str(n)], cwd=ROOT, stdin=subprocess.PIPE, text=True) for n in range(2)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.close()
    assert [child.wait(120) for child in children] == [0, 0]
    assert (
        AccessRecord.objects.filter(note="0").count() == AccessRecord.objects.filter(note="1").count() == 60
    )
    assert chain.verify() is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8), st.lists(st.booleans(), max_size=6), st.booleans())
def test_each_learns_what_became_of_its_own(good: list[bool], later: list[bool], locked: bool) -> None:
    """One bad in a batch undoes it and no other; a lock that is not got is the error of who led alone."""
    kept: list[tuple[int, bool]] = []
    gates = [threading.Event(), threading.Event()]
    begun = threading.Event()
    calls: list[int] = []

    def write(take: Callable[[], list[tuple[int, bool]]]) -> None:
        calls.append(1)
        begun.set()
        gates[0].wait(10)
        if locked and len(calls) == 1:
            raise OperationalError("database is locked")
        found = take()
        gates[1].wait(10)
        if not all(fine for _, fine in found):
            raise OperationalError("one is bad")
        kept.extend(found)

    group: Group[tuple[int, bool]] = Group(write)
    with ThreadPoolExecutor(16) as pool:
        asked = []
        for number, fine in enumerate(good):
            asked.append(pool.submit(group.join, (number, fine)))
            waits(group, number + 1)
        begun.wait(10)
        gates[0].set()
        for number, fine in enumerate(later, len(good)):
            asked.append(pool.submit(group.join, (number, fine)))
        gates[1].set()
        failed = [n for n, one in enumerate(asked) if isinstance(one.exception(10), OperationalError)]
        written = [n for n, one in enumerate(asked) if n not in failed and one.result()]
    assert failed == ([0] if locked else [])
    assert sorted(number for number, _ in kept) == written
    assert all((good + later)[n] for n in written)
    if all(good + later):
        assert len(written) + len(failed) == len(asked)
    if not locked and not later:
        assert kept == ([(n, True) for n in range(len(good))] if all(good) else [])
        assert len(calls) == 1
    assert not group._queue


def test_who_waits_in_vain_is_told_so_and_the_next_is_served() -> None:
    gates = {"lock": threading.Event(), "commit": threading.Event()}
    taken = threading.Event()
    kept: list[str] = []

    def write(take: Callable[[], list[str]]) -> None:
        gates["lock"].wait(10)
        found = take()
        taken.set()
        gates["commit"].wait(10)
        kept.extend(found)

    group: Group[str] = Group(write, wait_s=0.05)
    with ThreadPoolExecutor(4) as pool:
        leads = pool.submit(group.join, "leads")
        waits(group, 1)
        with pytest.raises(NoTurn, match="no turn within"):
            group.join("in vain")
        within = pool.submit(group.join, "within")
        waits(group, 2)
        gates["lock"].set()
        taken.wait(10)
        with pytest.raises(NoTurn, match="not committed within"):
            within.result(10)
        gates["commit"].set()
        assert leads.result(10)
        assert group.join("next")
    assert kept == ["leads", "within", "next"]
