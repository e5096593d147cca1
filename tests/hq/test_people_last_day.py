"""A contractor's last day: moved by two persons while the account is open, and never past its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from hq.log.models import AccessRecord
from hq.people import accounts
from hq.people.models import LastDay, Person
from hq.site import clock as hq_clock

pytestmark = [pytest.mark.django_db, pytest.mark.clause("430.2.1(a)")]
People = Callable[..., Person]
Clients = Callable[..., Client]


@pytest.fixture
def contractor(people: People, clock: Any) -> Person:
    return people("technician", kind="contractor", employer="Maker Inc.", ends_on=_in(10))


@pytest.fixture
def administrator(people: People, client_for: Clients, clock: Any) -> Client:
    return client_for(people("administrator"))


@pytest.fixture
def commander(people: People, client_for: Clients, clock: Any) -> Client:
    return client_for(people("commander"))


def _in(days: int) -> date:
    return hq_clock.today() + timedelta(days=days)


def _propose(client: Client, person: Person, on: date, why: str = "contract prolonged") -> Any:
    fields = {"ends_on": str(on), "document": "Contract 26-7, amendment 1", "note": why}
    return client.post(f"/people/{person.pk}/last-day/", fields)


def test_last_day_is_proposed_and_approved_and_logged_with_before_and_after(
    contractor: Person, administrator: Client, commander: Client
) -> None:
    assert "Propose another last day" in administrator.get(f"/people/{contractor.pk}/").content.decode()
    assert _propose(administrator, contractor, _in(100)).status_code == 302
    moved = LastDay.objects.get()
    contractor.refresh_from_db()
    assert contractor.ends_on == _in(10), "nothing changes before it is approved"
    assert administrator.post(f"/people/last-days/{moved.pk}/approve/").status_code == 403
    assert b"last days to approve" in commander.get("/").content
    assert commander.post(f"/people/last-days/{moved.pk}/approve/").status_code == 302
    contractor.refresh_from_db()
    assert (contractor.ends_on, contractor.state) == (_in(100), "active")
    told = AccessRecord.objects.filter(kind="account", action="roles.approve", outcome="done").get()
    assert (told.elements["before"], told.elements["after"]) == (str(_in(10)), str(_in(100)))
    assert "contract prolonged" in told.note
    page = commander.get(f"/people/{contractor.pk}/").content.decode()
    assert "contract prolonged" in page
    assert commander.post(f"/people/last-days/{moved.pk}/approve/").status_code == 403, "once only"
    assert _propose(administrator, contractor, _in(3), "contract cut short").status_code == 302
    commander.post(f"/people/last-days/{LastDay.objects.latest('pk').pk}/approve/")
    contractor.refresh_from_db()
    assert contractor.ends_on == _in(3)


@pytest.mark.clause("430.2-d")
def test_nobody_moves_the_own_last_day_or_approves_the_own_proposal(
    people: People, client_for: Clients, contractor: Person
) -> None:
    fields = {"kind": "contractor", "employer": "Maker Inc.", "ends_on": _in(10)}
    me = people(["administrator", "commander"], **fields)
    client = client_for(me)
    assert _propose(client, me, _in(20)).status_code == 403
    _propose(client, contractor, _in(20))
    mine = LastDay.objects.create(
        person=me, was=_in(10), ends_on=_in(20), note="x", document="x", proposed_by=people("administrator")
    )
    for moved in LastDay.objects.all():
        assert client.post(f"/people/last-days/{moved.pk}/approve/").status_code == 403
        with pytest.raises(IntegrityError), transaction.atomic():
            LastDay.objects.filter(pk=moved.pk).update(approved_by=me)
    assert client.post(f"/people/last-days/{mine.pk}/end/", {"reason": "x"}).status_code == 403


def test_day_that_has_passed_is_refused_or_locks_at_once(
    contractor: Person, administrator: Client, commander: Client, client_for: Clients, clock: Any
) -> None:
    refused = _propose(administrator, contractor, _in(-1), "cut short")
    assert refused.status_code == 422
    assert "close the account instead" in refused.content.decode()
    assert _propose(administrator, contractor, _in(10)).status_code == 422, "the day that it is already"
    assert _propose(administrator, contractor, _in(20), " ").status_code == 422, "no reason"
    assert _propose(administrator, contractor, _in(0), "cut short").status_code == 302
    clock.advance(days=1)
    working = client_for(contractor)
    assert working.get("/").status_code == 200
    commander = client_for(Person.objects.get(appointments__role="commander"))
    assert commander.post(f"/people/last-days/{LastDay.objects.get().pk}/approve/").status_code == 302
    contractor.refresh_from_db()
    assert (contractor.state, contractor.roles()) == ("closed", [])
    assert working.get("/").status_code == 302, "the session is over with the next request"


def test_account_that_is_over_is_not_revived(
    contractor: Person, administrator: Client, commander: Client, client_for: Clients, clock: Any
) -> None:
    _propose(administrator, contractor, _in(100))
    moved = LastDay.objects.get()
    clock.advance(days=11)
    administrator, commander = (
        client_for(Person.objects.get(appointments__role=role)) for role in ("administrator", "commander")
    )
    path = f"/people/last-days/{moved.pk}/approve/"
    assert commander.post(path).status_code == 403, "its last day has passed, whether or not it is closed yet"
    assert accounts.expire_all() == 1
    assert commander.post(path).status_code == 403
    assert _propose(administrator, contractor, _in(100)).status_code == 403
    assert "Propose another last day" not in administrator.get(f"/people/{contractor.pk}/").content.decode()
    contractor.refresh_from_db()
    moved.refresh_from_db()
    assert (contractor.state, moved.state) == ("closed", "ended")


def test_one_proposal_at_a_time_which_can_be_dropped_for_a_reason(
    contractor: Person, administrator: Client, commander: Client
) -> None:
    for _ in range(2):  # a second press
        assert _propose(administrator, contractor, _in(20)).status_code == 302
    again = _propose(administrator, contractor, _in(30))
    assert again.status_code == 422
    assert f"{_in(20)} is proposed already" in again.content.decode()
    moved = LastDay.objects.get()
    assert commander.post(f"/people/last-days/{moved.pk}/end/", {"reason": " "}).status_code == 403
    assert commander.post(f"/people/last-days/{moved.pk}/end/", {"reason": "not needed"}).status_code == 302
    assert commander.post(f"/people/last-days/{moved.pk}/approve/").status_code == 403
    assert _propose(administrator, contractor, _in(30)).status_code == 302
    # What it was proposed in place of is no longer so: the contractor has left meanwhile.
    Person.objects.filter(pk=contractor.pk).update(ends_on=_in(2))
    refused = commander.post(f"/people/last-days/{LastDay.objects.latest('pk').pk}/approve/")
    assert refused.status_code == 403
    assert f"last day is {_in(2)} by now" in refused.content.decode()


def test_account_without_a_last_day_gets_none_here(people: People, administrator: Client) -> None:
    member = people("officer")
    assert "Propose another last day" not in administrator.get(f"/people/{member.pk}/").content.decode()
    assert _propose(administrator, member, _in(20)).status_code == 403
