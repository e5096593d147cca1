"""Courses that are needed no more: retired for a reason, and no role ever left without one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client

from hq.log.models import AccessRecord
from hq.mail import alarms
from hq.people import policy
from hq.people.models import Completion, Course, Person
from hq.site import clock as hq_clock

pytestmark = [pytest.mark.django_db, pytest.mark.clause("430.3(d)"), pytest.mark.clause("430.6")]
People = Callable[..., Person]
Clients = Callable[..., Client]


@pytest.fixture
def sergeant(people: People, client_for: Clients, clock: Any) -> Client:
    return client_for(people("training_sergeant"))


def _in(days: int) -> date:
    return hq_clock.today() + timedelta(days=days)


def _course(code: str, *roles: str, version: str = "1", needed: int = -30) -> Course:
    return Course.objects.create(
        code=code,
        version=version,
        title=code.title(),
        document="x",
        roles=list(roles),
        required_from=_in(needed),
    )


def _retire(client: Client, course: Course, on: date, why: str = "no longer taught") -> Any:
    fields = {"retired_on": str(on), "retired_why": why}
    return client.post(f"/people/training/course/{course.pk}/retire/", fields)


def test_course_that_exists_no_more_stops_blocking_from_its_day_and_keeps_its_completions(
    people: People, sergeant: Client, client_for: Clients, clock: Any
) -> None:
    officer, course = people("officer"), _course("radar", "officer")
    Completion.objects.create(
        person=officer, course=course, completed_on=_in(-400), expires_on=_in(-35), trainer="T. Rainer"
    )
    assert not policy.may(officer, "hits.board")
    assert (
        f"/people/training/course/{course.pk}/retire/" in sergeant.get("/people/training/").content.decode()
    )
    assert _retire(sergeant, course, _in(1), " ").status_code == 200, "no reason"
    assert "has passed" in _retire(sergeant, course, _in(-1)).content.decode()
    for _ in range(2):  # a second press
        assert _retire(sergeant, course, _in(1)).status_code == 302
    assert _retire(sergeant, course, _in(5)).status_code == 403, "what stands is not moved"
    assert not policy.may(Person.objects.get(pk=officer.pk), "hits.board"), "until that day it is needed"
    clock.advance(days=1)
    assert policy.may(Person.objects.get(pk=officer.pk), "hits.board")
    assert Completion.objects.filter(course=course).count() == 1
    told = AccessRecord.objects.filter(
        action="training.course", outcome="done", note__contains="retired from"
    )
    assert all("no longer taught" in row.note for row in told)
    assert told
    page = client_for(people("auditor")).get("/people/training/").content.decode()
    assert "no longer taught" in page
    assert "/retire/" not in page, "an auditor retires nothing"


def test_only_who_manages_courses_retires_one(people: People, client_for: Clients, clock: Any) -> None:
    people("officer")
    course = _course("radar", "officer")
    for role in ("commander", "administrator", "auditor", "officer"):
        assert _retire(client_for(people(role)), course, _in(1)).status_code == 403
    course.refresh_from_db()
    assert course.retired_on is None


def test_no_role_is_left_without_a_course_on_any_day(people: People, sergeant: Client, clock: Any) -> None:
    people("officer")
    alpr = Course.objects.get(code="alpr")
    stops = _course("stops", "officer")
    refused = _retire(sergeant, alpr, _in(1))
    assert refused.status_code == 200
    assert "no course would be needed" in refused.content.decode()
    assert "Records clerk" in refused.content.decode()
    assert AccessRecord.objects.latest("sequence").outcome == "refused"
    # Another course for all makes it possible, on the very day from which that one is needed, not before.
    _course("basics", needed=10)
    assert _retire(sergeant, alpr, _in(9)).status_code == 200
    assert _retire(sergeant, alpr, _in(10)).status_code == 302
    assert _retire(sergeant, stops, _in(2)).status_code == 302
    # That one is the last for most roles from then on.
    assert _retire(sergeant, Course.objects.get(code="basics"), _in(20)).status_code == 200
    for days in range(30):
        for role in policy.COLUMNS:
            assert policy.courses_on(_in(days), [role], Course.objects.all()), (days, role)


def test_new_version_for_fewer_roles_leaves_none_without_a_course(
    people: People, sergeant: Client, clock: Any
) -> None:
    fields = {
        "code": "alpr", "version": "2", "title": "ALPR use", "document": "x", "validity_months": 12,
        "required_from": str(_in(30)), "roles": ["officer"],
    }  # fmt: skip
    refused = sergeant.post("/people/training/course/", fields)
    assert "no course would be needed" in refused.content.decode()
    assert not Course.objects.filter(version="2").exists()
    assert sergeant.post("/people/training/course/", fields | {"roles": []}).status_code == 302


def test_version_entered_by_mistake_is_taken_back_before_its_day(
    people: People, sergeant: Client, clock: Any
) -> None:
    officer = people("officer")
    wrong = _course("alpr", version="9", needed=5)
    assert [one for one in alarms.standing() if one.alarm.clause == "430.6"]
    assert _retire(sergeant, wrong, _in(0), "meant for another department").status_code == 302
    assert not [one for one in alarms.standing() if one.alarm.clause == "430.6"]
    clock.advance(days=6)
    assert policy.may(officer, "hits.board"), "the version before it stays in force"
    assert [course.version for course in policy.courses_for(["officer"])] == ["1"]
