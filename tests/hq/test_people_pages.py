"""The pages of accounts, roles, grants and training: every change takes two persons, and is logged."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction
from django.test import Client

from hq.log.models import AccessRecord
from hq.mail import alarms
from hq.people import accounts, policy
from hq.people.forms import expiry
from hq.people.models import Appointment, Completion, Course, Grant, Person

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
Clients = Callable[..., Client]
NEW = {
    "username": "nbaker",
    "full_name": "Nia Baker",
    "title": "Detective",
    "kind": "member",
    "agency": "Test Police Department",
}


def _propose(people: People, client_for: Clients, **fields: str) -> Person:
    client_for(people("administrator")).post("/people/propose/", NEW | fields)
    return Person.objects.get(username="nbaker")


@pytest.mark.clause("430.2.1(a)")
@pytest.mark.clause("2019-118 rec. 11")
def test_account_is_proposed_by_one_and_approved_by_another(people: People, client_for: Clients) -> None:
    person = _propose(people, client_for)
    assert person.state == "proposed"
    answer = client_for(people("commander")).post(f"/people/{person.pk}/approve/")
    person.refresh_from_db()
    assert person.state == "active"
    assert person.approved_by != person.proposed_by
    once = answer.content.decode().split('<code class="secret">')[1].split("<")[0]
    assert person.check_password(once)
    logged = " ".join(f"{r.note} {r.elements}" for r in AccessRecord.objects.all())
    assert once not in logged
    assert [r.action for r in AccessRecord.objects.filter(kind="account")] == [
        "accounts.approve",
        "accounts.propose",
    ]


@pytest.mark.clause("430.2-d")
def test_one_who_is_both_administrator_and_commander_cannot_approve_the_own_proposal(
    people: People, client_for: Clients
) -> None:
    both = people(["administrator", "commander"])
    client = client_for(both)
    client.post("/people/propose/", NEW)
    person = Person.objects.get(username="nbaker")
    assert client.post(f"/people/{person.pk}/approve/").status_code == 403
    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.filter(pk=person.pk).update(approved_by=both)


@pytest.mark.clause("430.2.1(a)")
@pytest.mark.parametrize("lack", ["title", "full_name", "employer", "ends_on"])
def test_account_needs_name_and_title_and_a_contractor_employer_and_last_day(
    people: People, client_for: Clients, lack: str
) -> None:
    given = NEW | {"kind": "contractor", "employer": "Maker Inc.", "ends_on": "2027-01-01", lack: ""}
    client_for(people("administrator")).post("/people/propose/", given)
    assert not Person.objects.filter(username="nbaker").exists()
    given.pop("ends_on" if lack != "ends_on" else lack)
    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.create(**{k: v for k, v in given.items() if v})


@pytest.mark.clause("430.2-e")
@pytest.mark.clause("430.2-d")
def test_role_and_grant_are_proposed_and_approved_and_then_open_pages(
    people: People, client_for: Clients
) -> None:
    administrator, commander = client_for(people("administrator")), client_for(people("commander"))
    person = people("", grants=[])
    day = policy.clock.today().isoformat()
    administrator.post(
        f"/people/{person.pk}/role/", {"role": "investigator", "starts_on": day, "document": "GO 1"}
    )
    administrator.post(
        f"/people/{person.pk}/grant/", {"code": "dept_reads", "starts_on": day, "document": "GO 2"}
    )
    assert not policy.may(person, "reads.search")
    role, grant = Appointment.objects.get(person=person), Grant.objects.get(person=person)
    assert administrator.post(f"/people/roles/{role.pk}/approve/").status_code == 403
    commander.post(f"/people/roles/{role.pk}/approve/")
    assert not policy.may(person, "reads.search")
    commander.post(f"/people/grants/{grant.pk}/approve/")
    assert policy.may(Person.objects.get(pk=person.pk), "reads.search")
    for words in ("", " \t"):
        assert commander.post(f"/people/grants/{grant.pk}/end/", {"reason": words}).status_code == 403
        assert commander.post(f"/people/roles/{role.pk}/end/", {"reason": words}).status_code == 403
    assert policy.may(Person.objects.get(pk=person.pk), "reads.search")
    commander.post(f"/people/grants/{grant.pk}/end/", {"reason": "case closed"})
    assert not policy.may(Person.objects.get(pk=person.pk), "reads.search")
    grant.refresh_from_db()
    assert (grant.ended_why, grant.ended_by is not None, grant.ended_at is not None) == (
        "case closed",
        True,
        True,
    )
    told = AccessRecord.objects.filter(action="grants.end", outcome="done").get()
    assert "case closed" in told.note
    second = administrator.post(f"/people/grants/{grant.pk}/end/", {"reason": "left the unit"})
    assert second.status_code == 403, "a reason that goes nowhere is not told to be kept"
    assert "ended already by" in second.content.decode()


@pytest.mark.clause("430.2-d")
def test_nobody_gives_themselves_anything(people: People, client_for: Clients) -> None:
    me = people(["administrator", "commander"])
    client, day = client_for(me), policy.clock.today().isoformat()
    before = (Appointment.objects.count(), Grant.objects.count())
    for path, fields in (
        ("role", {"role": "investigator"}),
        ("grant", {"code": "ncic"}),
        ("appoint", {"role": "auditor"}),
    ):
        answer = client.post(f"/people/{me.pk}/{path}/", fields | {"starts_on": day, "document": "GO 1"})
        assert answer.status_code == 403, path
    assert (Appointment.objects.count(), Grant.objects.count()) == before
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.create(person=me, code="ncic", approved_by=me, document="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        Appointment.objects.create(person=me, role="auditor", approved_by=me, document="x")


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize(
    ("model", "what", "fields"),
    [(Appointment, "roles", {"role": "investigator"}), (Grant, "grants", {"code": "ncic"})],
)
def test_nobody_decides_about_what_they_proposed_or_hold(
    people: People, client_for: Clients, model: Any, what: str, fields: dict[str, str]
) -> None:
    me, other = people(["administrator", "commander"]), people("")
    client = client_for(me)
    given = fields | {"starts_on": policy.clock.today(), "document": "GO 1"}
    proposed = model.objects.create(person=other, proposed_by=me, **given)
    mine = model.objects.create(person=me, proposed_by=people("administrator"), **given)
    for row in (proposed, mine):
        assert client.post(f"/people/{what}/{row.pk}/approve/").status_code == 403
        assert "it takes a second person" in AccessRecord.objects.latest("sequence").note
    commander = people("commander")
    assert client_for(commander).post(f"/people/{what}/{mine.pk}/approve/").status_code == 302
    assert client_for(commander).post(f"/people/{what}/{mine.pk}/approve/").status_code == 403, "once only"
    assert client.post(f"/people/{what}/{mine.pk}/end/", {"reason": "no need"}).status_code == 403
    mine.refresh_from_db()
    assert (mine.approved_by, mine.ended_at) == (commander, None)


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize(
    ("model", "path", "fields"),
    [(Appointment, "role", {"role": "investigator"}), (Grant, "grant", {"code": "ncic"})],
)
def test_role_or_grant_is_proposed_once_until_it_is_decided(
    people: People, client_for: Clients, clock: Any, model: Any, path: str, fields: dict[str, str]
) -> None:
    person, first, second = people("", grants=[]), people("administrator"), people("administrator")
    given = fields | {"starts_on": policy.clock.today(), "document": "GO 1"}
    for _ in range(2):  # a second press leads to the same page
        assert client_for(first).post(f"/people/{person.pk}/{path}/", given).status_code == 302
    for again in (given, given | {"document": "GO 2"}):
        refused = client_for(second).post(f"/people/{person.pk}/{path}/", again)
        assert refused.status_code == 422
        assert f"proposed already by {first.full_name}" in refused.content.decode()
    waiting = model.objects.get(person=person)
    what = f"/people/{path}s/{waiting.pk}"
    assert client_for(people("commander")).post(f"{what}/end/", {"reason": "not now"}).status_code == 302
    assert client_for(second).post(f"/people/{person.pk}/{path}/", given).status_code == 302
    assert (
        client_for(second).post(f"/people/{person.pk}/role/", {**given, "role": "officer"}).status_code == 302
    )


@pytest.mark.clause("430.2-e")
def test_office_is_filled_once_by_a_button_that_is_pressed_twice(people: People, client_for: Clients) -> None:
    person, commander = people(""), client_for(people("commander"))
    office = {"role": "designee", "starts_on": policy.clock.today(), "document": "GO 1"}
    for rights in ("releases.decide", "releases.decide", "accounts.approve"):
        given = office | {"rights": [rights]}
        assert commander.post(f"/people/{person.pk}/appoint/", given).status_code == 302
    assert Appointment.objects.filter(person=person).count() == 2


@pytest.mark.clause("430.2.1(a)")
def test_closed_account_is_given_nothing(people: People, client_for: Clients) -> None:
    person = people("", grants=[], state="closed")
    administrator, commander = client_for(people("administrator")), client_for(people("commander"))
    given = {"starts_on": policy.clock.today(), "document": "GO 1"}
    for client, path, fields in (
        (administrator, "role", {"role": "officer"}),
        (administrator, "grant", {"code": "ncic"}),
        (commander, "appoint", {"role": "custodian"}),
    ):
        assert client.post(f"/people/{person.pk}/{path}/", given | fields).status_code == 403
        assert "the account is closed" in AccessRecord.objects.latest("sequence").note
        assert f"/people/{person.pk}/{path}/" not in client.get(f"/people/{person.pk}/").content.decode()
    assert not person.appointments.exists()
    assert not person.grants.exists()


@pytest.mark.clause("430.2-e")
def test_office_is_neither_given_nor_ended_as_an_ordinary_role(people: People, client_for: Clients) -> None:
    custodian = people("custodian")
    held = custodian.appointments.get()
    waits = Appointment.objects.create(
        person=people(""),
        role="commander",
        starts_on=policy.clock.today(),
        document="x",
        proposed_by=people("administrator"),
    )
    commander = client_for(people("commander"))
    assert commander.post(f"/people/roles/{held.pk}/end/", {"reason": "over"}).status_code == 403
    assert commander.post(f"/people/roles/{waits.pk}/approve/").status_code == 403
    assert "430.2-e" in AccessRecord.objects.latest("sequence").note
    assert commander.post(f"/people/appointments/{held.pk}/end/", {"reason": "over"}).status_code == 302
    assert custodian.roles() == []


@pytest.mark.clause("430.2.1(a)")
@pytest.mark.parametrize(
    ("state", "act"),
    [("active", "approve"), ("closed", "approve"), ("closed", "reactivate"), ("proposed", "suspend")],
)
def test_account_is_only_acted_on_in_a_state_for_it(
    people: People, client_for: Clients, state: str, act: str
) -> None:
    person = people("officer", state=state)
    commander = client_for(people("commander"))
    assert commander.post(f"/people/{person.pk}/{act}/", {"reason": "why not"}).status_code == 403
    assert "the account is" in AccessRecord.objects.latest("sequence").note
    person.refresh_from_db()
    assert person.state == state


@pytest.mark.clause("430.2-e")
@pytest.mark.clause("430.3(d)")
def test_what_ends_before_it_begins_or_was_not_done_yet_is_not_taken(
    people: People, client_for: Clients
) -> None:
    person, today = people(""), policy.clock.today()
    commander = client_for(people("commander"))
    office = {"role": "designee", "rights": ["releases.decide"], "starts_on": today, "document": "GO 1"}
    for wrong in ({"ends_on": today - timedelta(days=1)}, {"rights": []}):
        assert commander.post(f"/people/{person.pk}/appoint/", office | wrong).status_code == 422
    assert commander.post(f"/people/{person.pk}/appoint/", office).status_code == 302
    done = {"person": person.pk, "course": Course.objects.get().pk, "trainer": "A Trainer"}
    sergeant = client_for(people("training_sergeant"))
    sergeant.post("/people/training/completion/", done | {"completed_on": today + timedelta(days=1)})
    assert not Completion.objects.filter(person=person, trainer="A Trainer").exists()


@pytest.mark.clause("430.2-e")
def test_office_cannot_be_slipped_in_as_an_ordinary_role(people: People, client_for: Clients) -> None:
    person, day = people(""), policy.clock.today().isoformat()
    fields = {"role": "commander", "starts_on": day, "document": "GO 1"}
    assert client_for(people("administrator")).post(f"/people/{person.pk}/role/", fields).status_code == 422
    answer = client_for(people("commander")).post(
        f"/people/{person.pk}/appoint/", fields | {"role": "custodian"}
    )
    assert answer.status_code == 302
    assert Person.objects.get(pk=person.pk).roles() == ["custodian"]


@pytest.mark.clause("CJIS AC-2")
@pytest.mark.parametrize("act", ["suspend", "close"])
def test_account_is_shut_with_a_reason_by_another(people: People, client_for: Clients, act: str) -> None:
    person, administrator = people("officer"), people("administrator")
    client = client_for(administrator)
    client.post(f"/people/{person.pk}/{act}/", {"reason": ""})
    assert Person.objects.get(pk=person.pk).state == "active"
    fields = {"reason": "left the department", "left_on": policy.clock.today()}
    client.post(f"/people/{person.pk}/{act}/", fields)
    person.refresh_from_db()
    assert (person.state, person.state_reason) == (
        {"suspend": "suspended", "close": "closed"}[act],
        "left the department",
    )
    assert client.post(f"/people/{administrator.pk}/{act}/", {"reason": "x"}).status_code == 403


@pytest.mark.clause("2019-118 rec. 11")
def test_suspended_account_comes_back_only_after_new_training(
    people: People, client_for: Clients, clock: Any
) -> None:
    person = people("officer")
    clock.advance(days=30)
    client_for(people("administrator")).post(f"/people/{person.pk}/suspend/", {"reason": "unused"})
    clock.advance(minutes=5)
    commander = client_for(people("commander"))
    refused = commander.post(f"/people/{person.pk}/reactivate/")
    assert refused.status_code == 403
    assert b"2019-118 rec. 11" in refused.content
    course, sergeant = Course.objects.get(), client_for(people("training_sergeant"))
    done = {
        "person": person.pk,
        "course": course.pk,
        "completed_on": policy.clock.today(),
        "trainer": "A Trainer",
    }
    before = done | {"completed_on": policy.clock.today() - timedelta(days=1)}
    assert sergeant.post("/people/training/completion/", before).status_code == 302
    assert commander.post(f"/people/{person.pk}/reactivate/").status_code == 403
    assert sergeant.post("/people/training/completion/", done).status_code == 302
    assert commander.post(f"/people/{person.pk}/reactivate/").status_code == 200
    person.refresh_from_db()
    policy.check_entry(person)


@pytest.mark.clause("430.6")
def test_a_new_course_shuts_nobody_out_before_anybody_could_complete_it(
    people: People, client_for: Clients, clock: Any
) -> None:
    first, second = people("training_sergeant"), people("training_sergeant")
    client, today = client_for(first), policy.clock.today()
    course = {"code": "alpr", "version": "2", "title": "ALPR use", "document": "x", "validity_months": 12}
    shown = client.post("/people/training/course/", course | {"required_from": today}).content.decode()
    assert "From tomorrow at the earliest" in shown
    assert client.get("/people/training/").status_code == 200
    fields = course | {"required_from": today + timedelta(days=1)}
    assert client.post("/people/training/course/", fields).status_code == 302
    told = [one for one in alarms.standing() if one.alarm.clause == "430.6"]
    assert "completed by no Training Sergeant" in told[0].alarm.text
    assert "training_sergeant" in told[0].roles
    done = {
        "person": second.pk,
        "course": Course.objects.latest("pk").pk,
        "completed_on": today,
        "trainer": "T",
    }
    assert client.post("/people/training/completion/", done).status_code == 302
    assert not [one for one in alarms.standing() if one.alarm.clause == "430.6"]
    clock.advance(days=1)
    assert client_for(second).get("/people/training/completion/").status_code == 200


@pytest.mark.clause("430.6")
@pytest.mark.clause("430.3(d)")
def test_nobody_certifies_the_own_training(people: People, client_for: Clients) -> None:
    sergeant, other = people("training_sergeant"), people("officer", trained=False)
    client, course = client_for(sergeant), Course.objects.get()
    done = {"course": course.pk, "completed_on": policy.clock.today(), "trainer": "A Trainer"}
    assert client.post("/people/training/completion/", done | {"person": sergeant.pk}).status_code == 403
    client.post("/people/training/completion/", done | {"person": other.pk})
    assert policy.may(other, "hits.board")
    with pytest.raises(IntegrityError), transaction.atomic():
        Completion.objects.create(
            person=sergeant, course=course, completed_on=date(2026, 1, 1), expires_on=date(2027, 1, 1),
            trainer="x", entered_by=sergeant,
        )  # fmt: skip


@pytest.mark.clause("430.6")
def test_matrix_tells_who_lacks_what(people: People, client_for: Clients, clock: Any) -> None:
    people("officer", full_name="Valid Person")
    people("officer", full_name="Missing Person", trained=False)
    Course.objects.create(code="audit", version="1", title="Audits", document="x", roles=["auditor"])
    text = client_for(people("training_sergeant")).get("/people/training/").content.decode()
    rows = {name: text.split(name)[1].split("</tr>")[0] for name in ("Valid Person", "Missing Person")}
    assert ">valid<" in rows["Valid Person"]
    assert ">missing<" in rows["Missing Person"]


@pytest.mark.clause("CJIS AT-2")
@pytest.mark.parametrize(
    ("done", "months", "last"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 27)),
        (date(2024, 2, 29), 12, date(2025, 2, 27)),
        (date(2026, 6, 3), 12, date(2027, 6, 2)),
        (date(2026, 12, 1), 1, date(2026, 12, 31)),
    ],
)
def test_training_ends_the_day_before_its_return(done: date, months: int, last: date) -> None:
    assert expiry(done, months) == last


@pytest.mark.clause("CJIS AT-2")
def test_course_holds_a_year_at_most(people: People, client_for: Clients) -> None:
    fields = {"code": "x", "version": "1", "title": "X", "document": "x", "required_from": "2026-07-01"}
    client_for(people("training_sergeant")).post("/people/training/course/", fields | {"validity_months": 13})
    assert not Course.objects.filter(code="x").exists()


@pytest.mark.clause("430.3(a)")
def test_purpose_is_stated_once_shown_on_every_page_and_logged(people: People, client_for: Clients) -> None:
    client = client_for(people("investigator"))
    stated = {"purpose": "missing_person", "case": "26-77", "on_behalf_of": "Arcadia PD"}
    assert client.post("/people/purpose/?next=/people/me/", stated).url == "/people/me/"
    text = client.get("/people/me/").content.decode()
    for word in ("Missing person", "26-77", "Arcadia PD"):
        assert word in text
    row = AccessRecord.objects.first()
    assert row is not None
    assert (row.purpose, row.case, row.on_behalf_of) == ("missing_person", "26-77", "Arcadia PD")
    client.post("/people/purpose/", {"purpose": "audit", "case": "1"})
    assert client.session["purpose"] == "missing_person"


@pytest.mark.clause("430.5(b)")
def test_case_that_does_not_do_is_told_at_its_field_and_what_was_typed_stays(
    people: People, client_for: Clients
) -> None:
    client = client_for(people("investigator"))
    stated = {"purpose": "missing_person", "case": "no number", "on_behalf_of": "Arcadia PD"}
    answer = client.post("/people/purpose/?next=/people/me/", stated)
    page = answer.content.decode()
    assert answer.status_code == 403
    for there in ('value="no number"', 'value="Arcadia PD"', 'value="missing_person" selected'):
        assert there in page
    error = re.search(r'id="id_case_error">(.*?)</ul>', page)
    assert error is not None
    assert "has a digit" in error[1]
    assert "430.5(b)" in error[1]
    row = AccessRecord.objects.latest("sequence")
    assert (row.action, row.outcome) == ("self.purpose", "refused")
    assert "purpose" not in client.session
    assert client.post("/people/purpose/?next=/people/me/", stated | {"case": "26-7"}).url == "/people/me/"


@pytest.mark.clause("AU-11")
@pytest.mark.parametrize("model", [Person, Appointment, Grant, Course, Completion])
def test_nothing_about_people_is_ever_deleted(people: People, model: type[Any]) -> None:
    people("investigator")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.all()._raw_delete("default")
    assert model.objects.exists()


@pytest.mark.clause("430.2.1(a)")
def test_contractor_is_out_after_the_last_day(people: People, client_for: Clients, clock: Any) -> None:
    """In the middle of a session in use, and at the agency's midnight."""
    last = policy.clock.today()
    person = people("technician", kind="contractor", employer="Maker", ends_on=last)
    midnight = datetime.combine(last + timedelta(days=1), time(), ZoneInfo(settings.TIME_ZONE))
    clock.at = midnight - timedelta(minutes=1)
    client = client_for(person)
    assert client.get("/").status_code == 200
    clock.at = midnight
    assert client.get("/").url == "/people/login/?next=%2F", "nobody is logged in any more"
    with pytest.raises(policy.Refused, match=f"the account ended on {last}"):
        policy.check_entry(person)
    assert accounts.expire_all() == 1
    person.refresh_from_db()
    assert person.state == "closed"


@pytest.mark.clause("430.2-d")
def test_administrator_sets_no_office_back_while_another_may(people: People, client_for: Clients) -> None:
    """Else the password handed out would approve, as the Commander, what the administrator proposed."""
    administrator, commander = people("administrator"), people("commander")
    auditor, officer = people("auditor"), people("officer")
    client = client_for(administrator)
    for person in (auditor, officer, commander):
        before = person.password
        answer = client.post(f"/people/{person.pk}/new-start/")
        person.refresh_from_db()
        # The only Commander must not be shut out for good: the offices are told of it by mail.
        allowed = person in (officer, commander)
        assert (answer.status_code == 200) == allowed, person
        assert (person.password != before) == allowed, person
    deputy = people("commander")
    assert client.post(f"/people/{commander.pk}/new-start/").status_code == 403
    assert "new-start" not in client.get(f"/people/{commander.pk}/").content.decode()
    other = client_for(deputy)
    assert f"/people/{commander.pk}/new-start/" in other.get(f"/people/{commander.pk}/").content.decode()
    assert other.post(f"/people/{commander.pk}/new-start/").status_code == 200
    assert other.post(f"/people/{deputy.pk}/new-start/").status_code == 403
