"""What stands for a case: a number of the agency's form, or the id of what table B7 names (430.5(b))."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from hq.audits.models import Audit, Plan
from hq.evidence import packages
from hq.hits.models import Outcome
from hq.lists import manual
from hq.lists.errors import ListRefused
from hq.people import cases, purposes
from hq.people.models import Course, Person
from hq.people.policy import Refused, check_purpose
from hq.releases.models import ReleaseRequest
from hq.retention.scope import Scope
from hq.site import clock as clock_module
from hq.site.forms import SettingsForm
from hq.site.models import Settings
from tests.hq import kept

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
OWNERS = {
    "officer": ("hit",),
    "administrator": ("audit", "course", "unit", "read"),
    "custodian": ("request", "package", "proposal"),
}


def agency(**fields: Any) -> Settings:
    return Settings.objects.create(
        agency="a", ori="o", policy_id="430", policy_version="1", reason="test",
        approved_at=clock_module.now(), **fields,
    )  # fmt: skip


@pytest.fixture
def ids(people: People) -> dict[str, str]:
    """One thing of each kind that table B7 lets stand for a case, by kind."""
    office = kept.Office(people)
    row = kept.read("7ABC123", days=400)
    kept.read("8XYZ999", days=400)  # due, and asked for by nobody
    package = packages.request(office.custodian, case="26-1", reason="x", scope=Scope(plate="7ABC123"))
    plan = Plan.objects.create(
        auditor=office.auditor, other_auditor=people("auditor"), reviewer=office.commander,
        proposed_by=office.administrator, areas=["searches"], document="GO 7",
    )  # fmt: skip
    now = clock_module.now()
    audit = Audit.objects.create(
        plan=plan, since=now - timedelta(days=9), until=now, seed="a", population={}, auditor=office.auditor
    )
    request = ReleaseRequest.objects.create(
        number="R-2026-00001", kind="other", state="routed", agency="a", person_name="p", purpose="x",
        purpose_text="x", document="x", document_sha256="0" * 64, received_at=now,
        registered_by=office.custodian, due_on=now.date(),
    )  # fmt: skip
    return {
        "hit": str(kept.a_hit(row).pk),
        "audit": str(audit.pk),
        "course": Course.objects.get().code,
        "unit": row.unit_id,
        "read": str(row.pk),
        "request": str(request.number),
        "package": str(package.number),
        "proposal": str(office.signed().pk),
    }


def test_every_kind_of_the_table_can_be_found() -> None:
    assert {one.case for one in purposes.ALL.values()} - {"required"} == cases.known()


@pytest.mark.clause("430.5(b)")
def test_the_id_of_the_right_thing_stands_for_a_case_and_no_other(ids: dict[str, str]) -> None:
    for purpose in purposes.ALL.values():
        if purpose.case == "required":
            continue
        role = [role for role, kinds in OWNERS.items() if purpose.case in kinds]
        check_purpose(role, purpose.code, f" {ids[purpose.case]} ")
        for wrong in (
            "26-1",
            "x",
            "",
            str(uuid.uuid4()),
            "9" * 40,
            "-1",
            "٣",
            "1\0",
            ids[purpose.case] + "9",
        ):
            with pytest.raises(Refused) as refused:
                check_purpose(role, purpose.code, wrong)
            assert refused.value.clause == "430.5(b)"
            assert len(wrong) < 3 or wrong not in str(refused.value)


@pytest.mark.clause("430.3(b)")
def test_a_hit_stands_for_a_case_while_somebody_may_be_handling_it(people: People, clock: Any) -> None:
    row = kept.read("7ABC123")
    hit = kept.a_hit(row)
    clock.advance(days=3)
    check_purpose(["officer"], "patrol_hit", str(hit.pk))
    Outcome.objects.create(hit=hit, read=row, by=people("Officer"), at=clock.at, kind="no_action")
    with pytest.raises(Refused):
        check_purpose(["officer"], "patrol_hit", str(hit.pk))


@pytest.mark.clause("430.5(b)")
@pytest.mark.parametrize("case", ["26-1", "I-7", "SP 26/0012", "7", "26.4417#2"])
def test_without_a_form_of_the_agency_a_number_has_a_digit(case: str) -> None:
    check_purpose(["officer"], "stolen_vehicle", case)


@pytest.mark.clause("430.5(b)")
@pytest.mark.parametrize("case", ["none", "n/a", "test", "-", ".", "?1", "1\n2", "<1>", "1" + "\u200b"])
def test_what_is_no_number_is_refused(case: str) -> None:
    with pytest.raises(Refused, match="has a digit"):
        check_purpose(["officer"], "stolen_vehicle", case)


@pytest.mark.clause("430.5(b)")
def test_the_agencys_own_form_rules_wherever_a_case_is_asked_for(people: People) -> None:
    office = kept.Office(people)
    agency(case_pattern="##-#+, SP@##")
    for right in ("26-1", "26-123456", "SPx07", "spQ99"):
        check_purpose(["officer"], "stolen_vehicle", right)
    plate = manual.HotPlate(
        group=None, plate="7ABC123", state="", alarm_class="stolen_vehicle", reason="x",  # type: ignore[arg-type]
        case_number="SP1999", expiry=date.max,
    )  # fmt: skip
    for wrong in ("26-", "2-11", "SP1999", "I-7"):
        with pytest.raises(Refused, match="looks like ##-#"):
            check_purpose(["officer"], "stolen_vehicle", wrong)
        with pytest.raises(Refused, match="looks like"):
            packages.request(office.custodian, case=wrong, reason="x", scope=Scope(plate="7ABC123"))
    with pytest.raises(ListRefused, match="looks like"):
        manual.enter(plate, by=office.officer, purpose="stolen_vehicle")
    # A court's number is its own.
    assert cases.number_fault("BC-1999", own=False) == ""


@pytest.mark.parametrize("pattern", ["@@", "##-(a+)+", "##++", "#+#", "@+@", "[0-9]", "A*1"])
def test_a_form_that_no_number_or_too_much_would_fit_is_not_taken(pattern: str) -> None:
    with pytest.raises(ValidationError):
        cases.validate_pattern(pattern + ",##-#+")
    form = SettingsForm({"case_pattern": pattern})
    form.is_valid()
    assert "case_pattern" in form.errors


@given(st.lists(st.sampled_from(["#", "@", "#+", "@+", "-", "A", "7", " ", "/"]), min_size=1, max_size=12))
def test_a_form_that_is_taken_is_met_by_numbers_made_of_it(parts: list[str]) -> None:
    mask = "".join(parts).strip()
    try:
        cases.validate_pattern(mask)
    except ValidationError:
        return
    made = mask.replace("#+", "1234").replace("@+", "xyz").replace("#", "5").replace("@", "k")
    if mask:
        assert cases.expression(mask).fullmatch(made)
        assert not cases.expression(mask).fullmatch(made + "?")
