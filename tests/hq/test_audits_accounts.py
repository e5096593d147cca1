"""The yearly review of accounts: all of them but the own, kept as they were, late only once a year."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from hq.audits import accounts
from hq.audits.alarms import alarms
from hq.audits.models import AccountReview
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.site import clock as clock_module
from tests.hq.conftest import Clock

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.clause("CJIS AC-2")]
People = Callable[..., Person]


def late() -> bool:
    return any("accounts are to be reviewed" in one.text for one in alarms())


def test_accounts_nobody_reviewed_for_a_year_are_an_alarm(people: People, clock: Clock) -> None:
    auditor = people("auditor", approved_at=clock_module.now())
    people("officer", approved_at=clock_module.now())
    assert not late()
    clock.advance(days=365)
    assert late()
    accounts.review(auditor, "all needed")
    assert not late()
    clock.advance(days=364)
    assert not late()
    clock.advance(days=1)
    assert late()


def test_a_review_keeps_what_every_other_account_had_and_is_never_changed(
    people: People, clock: Clock
) -> None:
    auditor = people("auditor")
    officer = people("officer", grants=("ncic",), full_name="Olive Officer")
    people("investigator", state="closed")
    made = accounts.review(auditor, "one grant too many")
    (kept,) = made.accounts
    assert (kept["username"], kept["roles"], kept["grants"]) == (
        officer.username,
        ["Officer"],
        ["NCIC list data"],
    )
    with pytest.raises(DatabaseError), transaction.atomic():
        AccountReview.objects.update(conclusion="nothing")
    with pytest.raises(DatabaseError), transaction.atomic():
        AccountReview.objects.all().delete()


def test_what_wants_a_look_is_said(people: People, clock: Clock) -> None:
    today = clock_module.today()
    people("officer", full_name="A Used", seen_at=clock_module.now(), approved_at=clock_module.now())
    people("officer", full_name="B Idle", seen_at=clock_module.now() - timedelta(days=61))
    people("officer", full_name="C Never", approved_at=clock_module.now() - timedelta(days=61), seen_at=None)
    people("", full_name="D Idle hands", seen_at=clock_module.now())
    people("officer", full_name="E Suspended", state="suspended", state_reason="on leave")
    people("officer", full_name="F Past", seen_at=clock_module.now(), ends_on=today - timedelta(days=1))
    odd = {one.person.full_name[0]: one.odd for one in accounts.held()}
    assert odd["A"] == []
    assert odd["B"] == [f"not used since {today - timedelta(days=61)}"]
    assert odd["C"] == ["never used"]
    assert odd["D"] == ["no role in force"]
    assert odd["E"] == ["suspended: on leave"]
    assert odd["F"] == [f"last day was {today - timedelta(days=1)}"]


def test_only_an_auditor_signs_and_never_for_the_own_account_alone(people: People) -> None:
    auditor = people("auditor")
    with pytest.raises(Refused, match="no account but your own"):
        accounts.review(auditor, "fine")
    administrator = people("administrator")
    with pytest.raises(Refused):
        accounts.review(administrator, "fine")
    with pytest.raises(Refused, match="empty"):
        accounts.review(auditor, "  ")


def test_the_page_shows_the_accounts_and_records_who_signed(
    people: People, client_for: Callable[..., Client]
) -> None:
    auditor = people("auditor")
    people("officer", full_name="Olive Officer", state="suspended", state_reason="on leave")
    client = client_for(auditor)
    page = client.get("/audits/accounts/").content.decode()
    assert "Olive Officer" in page
    assert "suspended: on leave" in page
    assert client.post("/audits/accounts/", {"words": ""}).status_code == 200
    assert client.post("/audits/accounts/", {"words": "Olive is back in June"}).status_code == 302
    assert AccountReview.objects.get().by == auditor
    assert "Olive is back in June" in client.get("/audits/").content.decode()
    assert AccessRecord.objects.filter(note="accounts reviewed", username=auditor.username).exists()
