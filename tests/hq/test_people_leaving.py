"""Who left or changed duties: told at once to those who run accounts, late plainly, shut within a week."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import Client
from hypothesis import example, given
from hypothesis import strategies as st

from hq.audits import accounts as reviewed
from hq.audits import reviews
from hq.audits.alarms import alarms as of_audits
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people import accounts
from hq.people.models import Departure, Person
from hq.site import clock as clock_module
from tests.hq.conftest import Clock
from tests.hq.smtp_sink import Sink, serving

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.clause("CJIS AC-2")]
People = Callable[..., Person]
Clients = Callable[..., Client]
LEAVING = "/people/leaving/"


@pytest.fixture
def sink(settings: Any, tmp_path: Path) -> Iterator[Sink]:
    with serving() as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.DEFAULT_FROM_EMAIL = "HQ <hq@police.example>"
        settings.DATA = tmp_path
        yield sink


def day(ago: int) -> date:
    return clock_module.today() - timedelta(days=ago)


def report(client: Client, person: Person, ago: int, kind: str = "left") -> Departure:
    """Tell on the page that the last day was so many days ago."""
    fields = {"person": person.pk, "kind": kind, "on": day(ago), "told_by": "Personnel", "note": ""}
    answer = client.post(f"{LEAVING}report/", fields)
    assert answer.status_code == 302, answer.content
    return Departure.objects.latest("pk")


def late() -> list[str]:
    return [one.text for one in of_audits() if "days after the last day" in one.text]


def test_who_runs_accounts_is_told_at_once_on_the_page_and_by_mail_without_the_name(
    people: People, client_for: Clients, sink: Sink
) -> None:
    officer = people("officer", full_name="Olive Officer", email="olive@police.example")
    administrator = people("administrator", email="admin@police.example")
    people("commander", email="chief@police.example")
    people("auditor", email="auditor@police.example")
    call_command("mail")
    sink.mails.clear()
    notice = report(client_for(people("custodian")), officer, 0)
    other = report(client_for(people("auditor")), people("technician"), 1, "duties")
    assert (notice.reported_at, notice.on) == (clock_module.now(), day(0))

    desk = client_for(administrator)
    assert "people who left or changed duties" in desk.get("/").content.decode()
    assert "Olive Officer" in desk.get(LEAVING).content.decode()
    assert "not seen to" in desk.get(f"/people/{officer.pk}/").content.decode()
    call_command("mail")
    assert {mail["To"] for mail in sink.mails} == {"admin@police.example", "chief@police.example"}
    for mail in sink.mails:
        text = str(mail.get_content())
        assert f"{notice}: somebody left, last day {day(0)}" in text
        assert f"{other}: somebody changed duties" in text
        assert "Olive" not in text
        assert officer.username not in text
    assert late() == []

    desk.post(f"{LEAVING}{other.pk}/answer/", {"words": "the role is ended"})
    desk.post(f"{LEAVING}{notice.pk}/end/")
    assert "people who left or changed duties" not in desk.get("/").content.decode()


@pytest.mark.parametrize("ago", [1, 0, -3])
def test_account_of_one_who_left_ends_with_the_notice_on_the_last_day_or_after_it(
    people: People, client_for: Clients, clock: Clock, ago: int
) -> None:
    officer, administrator = people("officer"), people("administrator")
    notice = report(client_for(people("training_sergeant")), officer, ago)
    assert client_for(administrator).post(f"{LEAVING}{notice.pk}/end/").status_code == 302
    clock.advance(days=1 - min(ago, 1))
    accounts.expire_all()
    officer.refresh_from_db()
    notice.refresh_from_db()
    assert (officer.state, officer.roles()) == ("closed", [])
    assert notice.seen_to_by == administrator
    with pytest.raises(DatabaseError), transaction.atomic():
        Departure.objects.update(answer="something else")
    with pytest.raises(DatabaseError), transaction.atomic():
        Departure.objects.update(on=day(-9))


def test_account_of_one_who_left_is_shut_within_a_week_though_nobody_sees_to_it(
    people: People, client_for: Clients, clock: Clock
) -> None:
    officer, stays, wrong = people("officer"), people("officer"), people("officer")
    custodian, chief = client_for(people("custodian")), client_for(people("commander"))
    report(custodian, officer, 1)
    report(custodian, stays, 1, "duties")
    mistake = report(custodian, wrong, 1)
    assert chief.post(f"{LEAVING}{mistake.pk}/answer/", {"words": "she is back"}).status_code == 403
    chief.post(f"{LEAVING}{mistake.pk}/answer/", {"words": "she is back", "mistaken": "1"})
    clock.advance(days=5)
    assert accounts.expire_all() == 0
    clock.advance(days=1)
    assert accounts.expire_all() == 1
    officer.refresh_from_db()
    assert officer.state == "suspended"
    assert "left on 2026-06-02" in officer.state_reason
    assert chain.verify() is None


@example(after=1)
@example(after=2)
@given(after=st.integers(-40, 400))
def test_notice_is_late_from_the_second_day_on(after: int) -> None:
    at = clock_module.now()
    notice = Departure(on=clock_module.day_of(at) - timedelta(days=after), reported_at=at)
    assert notice.late == (after >= 2)


def test_late_notice_is_told_and_counted_until_the_auditor_has_reviewed_its_week(
    people: People, client_for: Clients, clock: Clock
) -> None:
    auditor = people("auditor")
    custodian = client_for(people("custodian"))
    report(custodian, people("officer"), 1)
    assert late() == []
    notice = report(custodian, people("officer", full_name="Olive Officer"), 2)
    assert late() == [f"{notice} came 2 days after the last day, and a day is allowed"]
    assert "late: 2 days after" in custodian.get(LEAVING).content.decode()
    desk = client_for(auditor)
    page = " ".join(desk.get("/audits/").content.decode().split())
    assert f"{notice} came 2 days after" in page
    week = reviews.bounds(date(2026, 6, 1))
    assert reviewed.told(*week) == (2, 1)
    held = {one.person.full_name: one.odd for one in reviewed.held()}
    assert f"left, last day {day(2)}: nobody has seen to it" in held["Olive Officer"]

    clock.advance(days=7)
    page = client_for(auditor).get("/audits/week/?week=2026-06-01").content.decode()
    assert "2 notices, 1 later than a day after" in page
    made = reviews.review(auditor, date(2026, 6, 1), "one came late")
    assert (made.figures["notices_of_leaving"], made.figures["late_notices_of_leaving"]) == (2, 1)
    assert late() == []


def test_closing_an_account_says_since_when_it_is_not_needed(people: People, client_for: Clients) -> None:
    officer, administrator = people("officer"), people("administrator")
    client = client_for(administrator)
    for wrong in ({}, {"left_on": day(-1)}):
        client.post(f"/people/{officer.pk}/close/", {"reason": "left", **wrong})
        officer.refresh_from_db()
        assert officer.state == "active"
    client.post(f"/people/{officer.pk}/close/", {"reason": "left", "left_on": day(5)})
    notice = Departure.objects.get()
    assert (notice.person, notice.on, notice.reported_by) == (officer, day(5), administrator)
    assert (notice.seen_to_by, notice.answer) == (administrator, "account closed: left")
    assert late() != []


def test_change_of_duties_shows_what_was_ended_since(people: People, client_for: Clients) -> None:
    officer = people(["officer", "records_clerk"])
    desk = client_for(people("administrator"))
    notice = report(desk, officer, 0, "duties")
    role = officer.appointments.get(role="officer")
    desk.post(f"/people/roles/{role.pk}/end/", {"reason": "now in records"})
    assert desk.post(f"{LEAVING}{notice.pk}/end/").status_code == 403
    assert desk.post(f"{LEAVING}{notice.pk}/answer/", {"words": " "}).status_code == 403
    assert desk.post(f"{LEAVING}{notice.pk}/answer/", {"words": "keeps records"}).status_code == 302
    page = desk.get(LEAVING).content.decode()
    assert "ended since the notice: Officer" in page
    assert "keeps records" in page
    assert AccessRecord.objects.filter(note="seen to: keeps records", ids=[str(officer.pk)]).exists()
    assert desk.post(f"{LEAVING}{notice.pk}/answer/", {"words": "once more"}).status_code == 403


def test_nobody_sees_to_the_own_leaving_and_the_same_is_not_told_twice(
    people: People, client_for: Clients
) -> None:
    administrator, custodian = people("administrator"), client_for(people("custodian"))
    notice = report(custodian, administrator, 0)
    own = client_for(administrator)
    assert own.post(f"{LEAVING}{notice.pk}/end/").status_code == 403
    wrong = {"words": "I stay", "mistaken": "1"}
    assert own.post(f"{LEAVING}{notice.pk}/answer/", wrong).status_code == 403
    assert custodian.post(f"{LEAVING}{notice.pk}/end/").status_code == 403
    again = {"person": administrator.pk, "kind": "left", "on": day(3)}
    answer = custodian.post(f"{LEAVING}report/", again)
    assert answer.status_code == 422
    assert f"Notice {notice.pk} says so already" in answer.content.decode()
    assert client_for(people("officer")).get(LEAVING).status_code == 403
