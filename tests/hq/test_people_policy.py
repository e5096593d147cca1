"""The one function that says who may do what, tried with every right, role and lapse."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hq.people import policy, purposes
from hq.people.models import Appointment, Completion, Course, Person
from hq.people.policy import COLUMNS, RIGHTS, Refused, check, check_purpose
from hq.site.models import Settings
from plates.words import Purpose

pytestmark = pytest.mark.django_db
People = Callable[..., Person]


@pytest.mark.clause("430.2-d")
@pytest.mark.parametrize("role", COLUMNS)
def test_role_may_what_the_table_says_and_nothing_else(people: People, role: str) -> None:
    person = people(role, grants=["dept_reads", "restricted"])
    for action, right in RIGHTS.items():
        assert policy.may(person, action) == (role in right.marks), action


@pytest.mark.clause("430.3(d)")
@pytest.mark.clause("430.2-e")
@pytest.mark.clause("430.2.1(a)")
@pytest.mark.parametrize(
    ("lapse", "clause"),
    [
        ("untrained", "430.3(d)"),
        ("training expired", "430.3(d)"),
        ("new version of the course", "430.3(d)"),
        ("suspended", "430.2.1(a)"),
        ("proposed", "430.2.1(a)"),
        ("closed", "430.2.1(a)"),
        ("last day passed", "430.2.1(a)"),
        ("appointment ended", None),
        ("appointment run out", None),
        ("appointment not approved", None),
        ("appointment to come", None),
    ],
)
def test_nothing_is_allowed_once_anything_lapsed(
    people: People, clock: Any, lapse: str, clause: str | None
) -> None:
    person = people("commander")
    assert policy.may(person, "accounts.approve")
    day = clock.at.date()
    given = {
        "appointment ended": {"ended_at": clock.at},
        "appointment run out": {"ends_on": day - timedelta(days=1)},
        "appointment not approved": {"approved_at": None},
        "appointment to come": {"starts_on": day + timedelta(days=1)},
    }
    if lapse in given:
        person = people("")
        fields = {"starts_on": day, "approved_at": clock.at, "document": "test"} | given[lapse]
        Appointment.objects.create(person=person, role="commander", **fields)
    elif lapse == "untrained":
        person = people("commander", trained=False)
    elif lapse == "training expired":
        clock.advance(days=366)
    elif lapse == "new version of the course":
        Course.objects.create(code="alpr", version="2", title="ALPR use", document="test", required_from=day)
    elif lapse == "last day passed":
        person.ends_on = day - timedelta(days=1)
    else:
        person.state = lapse
    for action in RIGHTS:
        if lapse in given and action.startswith("self."):
            continue
        with pytest.raises(Refused) as refused:
            check(person, action, purpose=None)
        assert clause in (None, refused.value.clause), action
        assert refused.value.who_can_grant


@pytest.mark.clause("430.5(a)")
def test_nobody_may_do_anything() -> None:
    for action in RIGHTS:
        with pytest.raises(Refused):
            check(None, action)


@pytest.mark.clause("430.3(d)")
def test_course_that_nobody_set_up_opens_nothing(people: People) -> None:
    person = people("officer")
    Course.objects.filter(code="alpr").update(retired_on=policy.clock.today())
    with pytest.raises(Refused, match="no department-approved course"):
        check(person, "hits.board")


@pytest.mark.clause("430.3(d)")
def test_course_for_another_role_is_not_asked_for(people: People) -> None:
    person = people("officer")
    Course.objects.create(code="audit", version="1", title="Audits", document="test", roles=["auditor"])
    assert policy.may(person, "hits.board")
    assert not policy.may(people("auditor"), "audits.run")


@pytest.mark.clause("430.3(e)")
def test_grant_is_needed_beside_the_role_and_runs_out(people: People, clock: Any) -> None:
    person = people("investigator", grants=[])
    with pytest.raises(Refused) as refused:
        check(person, "reads.search", purpose="stolen_vehicle", case="26-1")
    assert refused.value.clause == "430.3(e)"
    person = people("investigator", grants=["dept_reads"])
    check(person, "reads.search", purpose="stolen_vehicle", case="26-1")
    person.grants.update(ended_at=clock.at)
    assert not policy.may(person, "reads.search")
    assert not policy.granted(person, "dept_reads")


@pytest.mark.clause("430.3(a)")
@pytest.mark.clause("430.2-a")
@pytest.mark.clause("430.5(b)")
@pytest.mark.parametrize(
    ("purpose", "case", "clause"),
    [
        ("", "26-1", "430.3(a)"),
        ("curiosity", "26-1", "430.3(a)"),
        ("criminal_investigation", "", "430.5(b)"),
        ("criminal_investigation", "   ", "430.5(b)"),
        ("audit", "7", "430.5(c)"),
        ("patrol_hit", "7", "430.3(b)"),
    ],
)
def test_search_needs_a_purpose_of_the_list_and_a_case(
    people: People, purpose: str, case: str, clause: str
) -> None:
    person = people("investigator")
    check(person, "reads.search", purpose="criminal_investigation", case="26-1")
    with pytest.raises(Refused) as refused:
        check(person, "reads.search", purpose=purpose, case=case)
    assert refused.value.clause == clause


@pytest.mark.clause("430.2-b")
def test_agency_may_switch_a_purpose_off(people: People) -> None:
    check_purpose(["officer"], "homeland_security", "26-1")
    Settings.objects.create(
        agency="a", ori="o", policy_id="430", policy_version="1", reason="test",
        purposes_off=["homeland_security"], approved_at=policy.clock.now(),
    )  # fmt: skip
    with pytest.raises(Refused):
        check_purpose(["officer"], "homeland_security", "26-1")


@pytest.mark.clause("CC-52b")
@pytest.mark.clause("430.3(a)")
def test_purposes_are_the_closed_list_and_none_is_personal() -> None:
    assert set(purposes.ALL) == {p.value for p in Purpose}
    assert not [p for p in purposes.ALL if re.search("other|personal|immigration", p)]


@pytest.mark.clause("SB 54")
def test_class_that_law_forbids_cannot_be_switched_on() -> None:
    Settings.objects.create(
        agency="a", ori="o", policy_id="430", policy_version="1", reason="test",
        classes_on=["immigration_violator", "sex_offender"], approved_at=policy.clock.now(),
    )  # fmt: skip
    held = {c.value for c in purposes.alarm_classes()}
    assert "sex_offender" in held
    assert "immigration_violator" not in held


@pytest.mark.clause("430.2-d")
@pytest.mark.clause("430.8(b)")
def test_second_person_is_another_person(people: People) -> None:
    """Every right that names persons apart refuses each of them and lets another through."""

    class Thing:
        pass

    for action, right in RIGHTS.items():
        roles = list(right.marks)
        one, other = people(roles[0]), people(roles[0])
        for name in right.apart:
            thing: Any = one if name == "self" else Thing()
            if name != "self":
                setattr(thing, name, one)
            if right.grant:
                continue
            assert not policy.may(one, action, obj=thing), (action, name)
            assert policy.may(other, action, obj=thing), (action, name)


@pytest.mark.clause("430.2-e")
def test_designee_holds_the_named_rights_only(people: People) -> None:
    designee = people("designee", rights=["accounts.approve", "training.course"])
    assert policy.may(designee, "accounts.approve")
    assert not policy.may(designee, "grants.approve")
    assert not policy.may(designee, "training.course")  # the Commander does not hold it either


@pytest.mark.clause("2019-118 rec. 11")
def test_training_from_before_a_suspension_does_not_count(people: People, clock: Any) -> None:
    from hq.people import accounts

    person = people("officer")
    clock.advance(days=90)
    accounts.expire(person)
    assert person.state == "suspended"
    accounts.reactivate(person)
    with pytest.raises(Refused, match="taken again"):
        check(person, "hits.board")
    Completion.objects.create(
        person=person, course=Course.objects.get(), completed_on=clock.at.date(),
        expires_on=clock.at.date() + timedelta(days=365), trainer="t", entered_at=clock.at + timedelta(1),
    )  # fmt: skip
    check(person, "hits.board")


TABLE = """
live hit board, acknowledge                     | y | y | - | - | - | y | y | - | -
verify a hit (visual, CLETS result), outcome    | y | y | - | - | - | y | y | - | -
see details of restricted lists (grant needed)  | c | c | - | - | - | c | c | - | -
search reads, see pictures                      | c | c | c | - | - | c | c | - | -
correct a misread (original kept)               | - | y | - | - | - | y | y | - | -
hot plate, manual entry                         | c | c | - | - | - | c | c | - | -
partial plate for a major incident              | c | c | - | - | - | c | - | - | -
hot list import, publish                        | a | y | - | - | - | - | - | - | -
accounts: propose / approve, suspend            | a | y | - | - | - | - | - | - | -
leaving, change of duties: report               | y | y | y | y | y | - | - | - | -
roles and grants                                | a | y | - | - | - | - | - | - | -
appointments                                    | y | - | - | - | - | - | - | - | -
training courses, completions                   | r | r | - | y | r | - | - | - | -
units: register, approve enrolment, revoke      | a | y | - | - | r | - | - | - | r
installation and maintenance records            | r | y | - | - | r | - | - | - | y
deployments for an incident                     | y | y | - | - | r | c | - | - | y
retention schedule                              | a | y | a | - | r | - | - | - | -
destruction: propose / co-sign                  | a | y | a | - | r | - | - | - | -
holds: place / release (two persons)            | y | y | a | - | r | c | - | y | -
evidence package                                | a | - | y | - | r | c | - | y | -
release requests: register / decide / fulfil    | a | - | y | - | r | - | - | y | -
partner agencies                                | a | y | r | - | r | - | - | r | -
access log, log chain                           | r | r | - | - | r | r | r | r | r
audit plan, run, findings, sign-off             | a | - | - | - | y | - | - | - | -
breach register                                 | y | y | y | - | y | - | - | - | -
policy, procedures, transparency page           | a | y | r | - | r | - | - | - | -
system settings, backups                        | a | y | - | - | - | - | - | - | -
"""


@pytest.mark.clause("430.2-d")
def test_rights_are_the_table_cell_by_cell() -> None:
    """The actions of a row together give each role its cell's mark, and none to the others."""
    table = {}
    for line in TABLE.strip().splitlines():
        row, *cells = (part.strip() for part in line.split("|"))
        table[row] = dict(zip([c for c in COLUMNS if c != "dispatcher"], cells, strict=True))
        table[row]["dispatcher"] = table[row]["officer"]
    found: dict[str, dict[str, set[str]]] = {}
    for right in RIGHTS.values():
        for role in COLUMNS:
            found.setdefault(right.row, {}).setdefault(role, set()).add(right.marks.get(role, "-"))
    found.pop("own account")
    assert set(found) == set(table)
    for row, cells in table.items():
        for role, cell in cells.items():
            assert found[row][role] - {"-"} == {cell} - {"-"}, (row, role)
