"""Two who enter the same at the same moment: one does, and the other is told so on the form."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import Client

from hq.log import chain
from hq.log.models import AccessRecord
from hq.people import accounts
from hq.people.models import Person
from hq.retention.models import Hold, Proposal, Schedule
from hq.site import clock as hq_clock
from tests.hq import kept
from tests.hq.conftest import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)
People = Callable[..., Person]
Clients = Callable[..., Client]


def _wait(count: int) -> None:
    """Until so many wait for the test's own transaction or each other; SQLite tells nobody, nor needs it."""
    end = time.monotonic() + 20
    while connection.vendor == "postgresql" and time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.01)


def _together(*tasks: Callable[[], Any]) -> list[Any]:
    """What they answer, all begun before the first of them can write its record."""
    found: list[Any] = [None] * len(tasks)

    def run(number: int) -> None:
        try:
            found[number] = tasks[number]()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(tasks))]
    with transaction.atomic():
        chain._locked_head()
        for number, one in enumerate(threads):
            one.start()
            _wait(number + 1)
    for one in threads:
        one.join(60)
    return found


@pytest.mark.clause("430.2.1(a)")
@pytest.mark.clause("CJIS AC-2")
@pytest.mark.clause("430.6")
def test_second_of_two_who_enter_the_same_is_told_on_the_form(people: People, client_for: Clients) -> None:
    account = {"username": "nbaker", "full_name": "Nia Baker", "kind": "member", "agency": "Test PD"}
    course = {
        "code": "radar", "version": "1", "title": "Radar", "document": "x", "validity_months": 12,
        "required_from": str(hq_clock.today() + timedelta(days=30)),
    }  # fmt: skip
    notice = {"person": people("officer").pk, "kind": "left", "on": str(hq_clock.today())}
    for role, path, fields, differs in (
        ("administrator", "/people/propose/", account, "title"),
        ("training_sergeant", "/people/training/course/", course, "title"),
        ("custodian", "/people/leaving/report/", notice, "note"),
    ):
        clients = [client_for(people(role)) for _ in range(2)]
        sent = [fields | {differs: words} for words in ("Detective", "Officer")]
        answers = _together(
            *[partial(client.post, path, words) for client, words in zip(clients, sent, strict=True)]
        )
        states = sorted(answer.status_code for answer in answers)
        assert states in ([200, 302], [302, 422]), (path, states)
    assert chain.verify() is None


@pytest.mark.clause("430.2-d")
def test_two_schedules_proposed_at_once_are_two_versions(people: People, client_for: Clients) -> None:
    kept.Office(people).schedule()
    fields = {"category": "unit_records", "days": 900, "grace_days": 30, "basis": "GC 34090.6", "reason": "x"}
    clients = [client_for(people("administrator")) for _ in range(2)]
    answers = _together(*[partial(one.post, "/retention/schedules/new/", fields) for one in clients])
    assert [answer.status_code for answer in answers] == [302, 302]
    made = Schedule.objects.filter(category="unit_records")
    assert sorted(made.values_list("version", flat=True)) == [1, 2]


@pytest.mark.clause("430.2.1(f)")
def test_one_of_two_destructions_of_the_same_reads_is_proposed(people: People, client_for: Clients) -> None:
    office = kept.Office(people)
    kept.read(days=800)
    fields = {"schedule": office.schedule().pk, "authority": office.authority().pk}
    clients = [client_for(people("administrator")) for _ in range(2)]
    answers = _together(*[partial(one.post, "/retention/destruction/propose/", fields) for one in clients])
    assert sorted(answer.status_code for answer in answers) == [302, 403]
    assert Proposal.objects.count() == 1


@pytest.mark.clause("CJIS AC-2")
@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize("act", ["suspended", "set back"])
def test_form_that_is_under_way_while_its_account_is_shut_enters_nothing(
    people: People, client_for: Clients, act: str
) -> None:
    clerk = people("records_clerk")
    client = client_for(clerk)
    known, go_on = threading.Event(), threading.Event()
    hold = {
        "kind": "criminal_evidence", "case": "26-1234", "requester": "x", "reason": "x", "plate": "7ABC123",
        "review_on": str(hq_clock.today() + timedelta(days=30)),
    }  # fmt: skip
    words = {
        "current": PASSWORD,
        "new_password1": "another horse 7788",
        "new_password2": "another horse 7788",
    }
    for path, fields in (("/retention/holds/new/", hold), ("/people/password/", words)):
        known.clear()
        go_on.clear()

        def held_up(execute: Any, sql: str, *rest: Any) -> Any:
            found = execute(sql, *rest)
            if 'FROM "people_person"' in sql and not known.is_set():
                known.set()
                go_on.wait(20)
            return found

        def send(mine: Client = client, path: str = path, fields: dict[str, str] = fields) -> int:
            try:
                with connection.execute_wrapper(held_up):
                    return mine.post(path, fields).status_code
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(send)
            assert known.wait(20)
            held = Person.objects.get(pk=clerk.pk)
            if act == "suspended":
                accounts.suspend(held, "card stolen")
            else:
                held.session_key = ""
                accounts.once(held)
            go_on.set()
            assert answer.result(60) == 403
        held.refresh_from_db()
        assert (held.state, held.check_password(words["new_password1"])) == (
            "suspended" if act == "suspended" else "active",
            False,
        )
        assert not Hold.objects.exists()
        assert AccessRecord.objects.latest("sequence").outcome == "refused"
        Person.objects.filter(pk=clerk.pk).update(
            state="active", password_once=False, password=clerk.password
        )
        client = client_for(Person.objects.get(pk=clerk.pk))
