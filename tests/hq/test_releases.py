"""Records leave the department on a written request, approved by one and fulfilled by another."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client

from hq.hits import corrections
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.public import figures
from hq.records.models import Read
from hq.releases import partners, requests
from hq.releases.forms import RegisterForm
from hq.releases.models import Partner, ReleaseRequest
from hq.retention import purge, schedules
from hq.retention.scope import Scope, ScopeError
from hq.site import clock as hq_clock
from tests.hq import kept
from tests.hq.test_evidence import inside, rows

pytestmark = pytest.mark.django_db

LETTER = b"%PDF- We ask for ..."


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


def partner(office: kept.Office, kind: str = "ca_law", **fields: Any) -> Partner:
    values = {"agency": f"Neighbour {kind}", "valid_until": hq_clock.today() + timedelta(days=100), **fields}
    return partners.approve(office.commander, partners.propose(office.administrator, kind=kind, **values).pk)


def ask(office: kept.Office, **fields: Any) -> ReleaseRequest:
    values = {
        "kind": "agency",
        "person_name": "B. Ask",
        "person_title": "Detective",
        "person_contact": "ask@neighbour.example",
        "purpose": "criminal_investigation",
        "purpose_text": "burglary series",
        "case": "N-77",
        "document": ContentFile(LETTER, "letter.pdf"),
        "received_at": hq_clock.now(),
        "scope": Scope(plate="7ABC123", since=datetime(2020, 1, 1, tzinfo=UTC)),
        "pictures": True,
        **fields,
    }
    if "partner" not in values and values["kind"] == "agency":
        values["partner"] = Partner.objects.first() or partner(office)
    values.setdefault("agency", getattr(values.get("partner"), "agency", "Neighbour PD"))
    return requests.register(values.pop("by", office.records_clerk), **values)


def approved(office: kept.Office, **fields: Any) -> ReleaseRequest:
    row = ask(office, **fields)
    requests.review(office.commander, row.pk, "in order")
    return requests.approve(office.commander, row.pk, row.asked, pictures=True, reason="case shown")


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.8(c)")
def test_an_approved_request_that_the_agency_withdraws_is_closed_on_its_page_and_stays_on_file(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    row, received = approved(office), ask(office, case="N-78")
    clerk = client_for(office.records_clerk)
    assert b"Why nothing is handed out" in clerk.get(f"/releases/{row.pk}/").content
    assert b"close/" not in clerk.get(f"/releases/{received.pk}/").content
    assert clerk.post(f"/releases/{row.pk}/close/", {"note": "withdrawn by letter"}).status_code == 302
    content = clerk.get(f"/releases/{row.pk}/").content
    assert b"withdrawn by letter" in content
    assert b"fulfil/" not in content
    with pytest.raises(Refused, match="not approved"):
        requests.fulfil(office.custodian, row.pk)


@pytest.mark.clause("430.8(b)")
@pytest.mark.clause("430.8(c)")
def test_an_approved_request_of_an_agency_whose_agreement_has_ended_is_denied_after_all(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    row = approved(office)
    assert row.partner
    partners.end(office.commander, row.partner.pk, "agreement ran out")
    with pytest.raises(Refused, match="no longer in date"):
        requests.fulfil(office.custodian, row.pk)
    clerk, commander = client_for(office.records_clerk), client_for(office.commander)
    deny = f"/releases/{row.pk}/deny/"
    assert deny.encode() not in clerk.get(f"/releases/{row.pk}/").content
    assert clerk.post(deny, {"reason": "x"}).status_code == 403, "a clerk decides nothing"
    assert deny.encode() in commander.get(f"/releases/{row.pk}/").content
    assert commander.post(deny, {"reason": " "}).status_code == 403
    assert commander.post(deny, {"reason": "the agreement has ended"}).status_code == 302
    content = clerk.get(f"/releases/{row.pk}/").content.decode()
    assert "Denied after the approval" in content
    assert "the agreement has ended" in content
    assert "case shown" in content, "the approval stays on file"
    assert not re.search("fulfil/|close/|deny/", content)
    for again in (
        lambda: requests.deny(office.commander, row.pk, "again"),
        lambda: requests.close(office.custodian, row.pk, "again"),
        lambda: requests.fulfil(office.custodian, row.pk),
    ):
        with pytest.raises(Refused, match="is denied"):
            again()
    row.refresh_from_db()
    assert (row.state, row.closing_note, row.decision_reason) == (
        "denied",
        "the agreement has ended",
        "case shown",
    )


# Who may receive at all


@pytest.mark.clause("430.8-0")
@pytest.mark.parametrize("kind", ["ca_law", "ca_prosecutor"])
def test_california_law_enforcement_and_prosecutors_may_ask(office: kept.Office, kind: str) -> None:
    assert ask(office, partner=partner(office, kind)).state == "received"


@pytest.mark.clause("CC-55b")
@pytest.mark.clause("CC-5")
@pytest.mark.clause("430.8-0")
@pytest.mark.parametrize("kind", ["ca_other", "out_of_state", "federal", "private"])
def test_all_others_are_refused_without_authority_and_commander(office: kept.Office, kind: str) -> None:
    them = partner(office, kind)
    with pytest.raises(Refused) as refused:
        ask(office, partner=them)
    assert refused.value.clause == "CC-55b"
    override = partners.propose_override(
        office.administrator,
        them,
        citation="Court order 12-345",
        document=ContentFile(b"order", "order.pdf"),
        valid_until=hq_clock.today() + timedelta(days=10),
    )
    with pytest.raises(Refused):
        ask(office, partner=them)
    with pytest.raises(Refused):
        partners.approve_override(office.administrator, override.pk)
    partners.approve_override(office.commander, override.pk)
    assert ask(office, partner=them).state == "received"


@pytest.mark.clause("430.8-0")
def test_an_agreement_that_ran_out_is_followed_by_a_newer_one(
    office: kept.Office, client_for: Callable[..., Client], clock: Any
) -> None:
    old = partner(office, agency="O'Neill County Sheriff", valid_until=hq_clock.today())
    clock.advance(days=2)
    newer = {
        "agency": "o'neill county sheriff",
        "kind": "ca_law",
        "valid_until": f"{hq_clock.today() + timedelta(days=365)}",
    }
    admin, chief = client_for(office.administrator), client_for(office.commander)
    shown = admin.post("/releases/partners/new/", newer).content.decode()
    assert "the Commander ends the older one first" in shown
    assert Partner.objects.get() == old
    chief.post(f"/releases/partners/{old.pk}/end/", {"why": "a newer agreement"})
    assert admin.post("/releases/partners/new/", newer).status_code == 302
    made = Partner.objects.latest("pk")
    assert chief.post(f"/releases/partners/{made.pk}/approve/").status_code == 302
    made.refresh_from_db()
    assert ask(office, partner=made).state == "received"


@pytest.mark.clause("430.8-0")
def test_a_partner_is_approved_in_date_and_not_ended(office: kept.Office, clock: Any) -> None:
    proposed = partners.propose(
        office.administrator, agency="New PD", kind="ca_law", valid_until=hq_clock.today() + timedelta(days=5)
    )
    with pytest.raises(Refused):
        ask(office, partner=proposed)
    with pytest.raises(Refused):
        ask(office, partner=None)
    live = partner(office, valid_until=hq_clock.today() + timedelta(days=5))
    row = approved(office, partner=live)
    clock.advance(days=6)
    kept.read()
    with pytest.raises(Refused):
        requests.fulfil(office.custodian, row.pk)
    ended = partner(office, "ca_prosecutor")
    with pytest.raises(Refused, match="reason of the end is empty"):
        partners.end(office.commander, ended.pk, " ")
    ended = partners.end(office.commander, ended.pk, "agreement withdrawn")
    assert Partner.objects.get(pk=ended.pk).ended_why == "agreement withdrawn"
    with pytest.raises(Refused):
        ask(office, partner=ended)
    for decided in (live, ended):
        with pytest.raises(Refused, match="does not wait for approval"):
            partners.approve(office.commander, decided.pk)


@pytest.mark.clause("430.8-0")
@pytest.mark.clause("CC-55b")
def test_a_partner_or_authority_is_decided_once_and_good_until_its_day(
    office: kept.Office, clock: Any
) -> None:
    today = hq_clock.today()
    for wrong in ({"kind": "friend"}, {"agency": "x" * 201}):
        with pytest.raises(ValidationError):
            partners.propose(
                office.administrator, **{"agency": "A", "kind": "ca_law", "valid_until": today, **wrong}
            )
    declined = partners.propose(office.administrator, agency="A PD", kind="ca_law", valid_until=today)
    partners.end(office.commander, declined.pk, "no agreement")
    with pytest.raises(Refused, match="does not wait for approval"):
        partners.approve(office.commander, declined.pk)
    with pytest.raises(Refused, match="has ended"):
        partners.end(office.commander, declined.pk, "again")
    them = partner(office, "federal")
    law = {"document": ContentFile(b"order", "order.pdf"), "valid_until": today + timedelta(days=10)}
    with pytest.raises(ValidationError):
        partners.propose_override(office.administrator, them, citation="x" * 1000, **law)
    override = partners.propose_override(office.administrator, them, citation="Court order 12", **law)
    partners.approve_override(office.commander, override.pk)
    with pytest.raises(Refused, match="approved before"):
        partners.approve_override(office.commander, override.pk)
    row = ask(office, partner=them)
    requests.review(office.commander, row.pk, "in order")
    clock.advance(days=11)
    with pytest.raises(Refused, match="without a legal authority"):
        requests.approve(office.commander, row.pk, row.asked, pictures=False, reason="x")


# What a request must hold


@pytest.mark.parametrize(
    ("clause", "missing"),
    [
        pytest.param("430.8(a)1", {"agency": " "}, marks=pytest.mark.clause("430.8(a)1")),
        pytest.param("430.8(a)1", {"agency": "Bureau"}, marks=pytest.mark.clause("430.8(a)1")),
        pytest.param("430.8(a)2", {"person_name": ""}, marks=pytest.mark.clause("430.8(a)2")),
        pytest.param("430.8(a)2", {"person_title": " "}, marks=pytest.mark.clause("430.8(a)2")),
        pytest.param("430.8(a)2", {"person_contact": ""}, marks=pytest.mark.clause("430.8(a)2")),
        pytest.param("430.8(a)3", {"purpose_text": ""}, marks=pytest.mark.clause("430.8(a)3")),
        pytest.param("430.8(a)3", {"purpose": "curiosity"}, marks=pytest.mark.clause("430.8(a)3")),
        pytest.param("430.8(a)3", {"case": ""}, marks=pytest.mark.clause("430.8(a)3")),
        pytest.param("430.8(a)", {"document": None}, marks=pytest.mark.clause("430.8(a)")),
        pytest.param("430.8(a)", {"document": ContentFile(b"", "x")}, marks=pytest.mark.clause("430.8(a)")),
    ],
    ids=[
        "agency",
        "agency that is not the partner",
        "person",
        "title",
        "contact",
        "purpose",
        "purpose not of the list",
        "case",
        "no letter",
        "empty letter",
    ],
)
def test_a_request_without_it_is_refused(office: kept.Office, clause: str, missing: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        ask(office, **missing)
    assert refused.value.clause == clause
    assert not ReleaseRequest.objects.exists()


@pytest.mark.clause("430.8(a)")
def test_the_letter_is_stored_with_its_hash(office: kept.Office) -> None:
    row = ask(office)
    assert row.document.open().read() == LETTER
    assert row.document_sha256 == hashlib.sha256(LETTER).hexdigest()
    for values in ({"document_sha256": ""}, {"agency": ""}, {"person_name": ""}, {"purpose_text": ""}):
        with pytest.raises(DatabaseError), transaction.atomic():
            ReleaseRequest.objects.filter(pk=row.pk).update(**values)


# Approved before fulfilled


@pytest.mark.clause("430.8(b)")
def test_received_reviewed_approved_fulfilled_in_this_order_only(office: kept.Office) -> None:
    kept.read()
    row = ask(office)
    with pytest.raises(Refused):
        requests.fulfil(office.custodian, row.pk)
    with pytest.raises(Refused):
        requests.approve(office.commander, row.pk, row.asked, pictures=False, reason="x")
    requests.review(office.commander, row.pk, "in order")
    with pytest.raises(Refused):
        requests.fulfil(office.custodian, row.pk)
    requests.approve(office.commander, row.pk, row.asked, pictures=True, reason="x")
    assert requests.fulfil(office.custodian, row.pk).state == "fulfilled"
    with pytest.raises(Refused):
        requests.fulfil(office.custodian, row.pk)
    assert len(rows(inside(ReleaseRequest.objects.get()), "reads")) == 1  # type: ignore[arg-type]


@pytest.mark.clause("430.8(b)")
@pytest.mark.parametrize("state", ["approved", "fulfilled"])
def test_the_database_refuses_a_skipped_step(office: kept.Office, state: str) -> None:
    row = ask(office)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReleaseRequest.objects.filter(pk=row.pk).update(
            state=state, file="x", sha256="x", fulfilled_by=office.custodian
        )


@pytest.mark.clause("430.8(b)")
def test_a_denied_request_is_never_fulfilled(office: kept.Office) -> None:
    row = ask(office)
    requests.review(office.commander, row.pk, "no case shown")
    requests.deny(office.commander, row.pk, "no case shown")
    with pytest.raises(Refused):
        requests.fulfil(office.custodian, row.pk)


@pytest.mark.clause("430.8(b)")
def test_nothing_is_reviewed_or_approved_without_saying_why(office: kept.Office) -> None:
    row = ask(office)
    with pytest.raises(Refused, match="what the review found is empty"):
        requests.review(office.commander, row.pk, " \t")
    requests.review(office.commander, row.pk, "in order")
    with pytest.raises(Refused, match="the reason of the approval is empty"):
        requests.approve(office.commander, row.pk, row.asked, pictures=True, reason=" ")
    assert ReleaseRequest.objects.get(pk=row.pk).state == "reviewed"


@pytest.mark.clause("430.8(b)")
@pytest.mark.clause("430.8(c)")
def test_nothing_is_denied_without_a_reason_nor_closed_without_an_answer(office: kept.Office) -> None:
    row = ask(office)
    requests.review(office.commander, row.pk, "seen")
    other = ask(office, kind="other", agency="private person", case="", scope=None, partner=None)
    for words in ("", " \n"):
        with pytest.raises(Refused, match="the reason of the denial is empty"):
            requests.deny(office.commander, row.pk, words)
        with pytest.raises(Refused, match="how it was answered is empty"):
            requests.close(office.custodian, other.pk, words)
    states = dict(ReleaseRequest.objects.values_list("pk", "state"))
    assert states == {row.pk: "reviewed", other.pk: "routed"}


@pytest.mark.clause("430.8(b)")
def test_the_approver_neither_registered_nor_asked_nor_fulfils(
    office: kept.Office, people: Callable[..., Person]
) -> None:
    kept.read()
    both = people(["commander", "custodian"])
    for fields in ({"by": both}, {"requested_by": both}):
        row = ask(office, **fields)
        with pytest.raises(Refused):
            requests.review(both, row.pk, "mine")
        requests.review(office.commander, row.pk, "in order")
        with pytest.raises(Refused):
            requests.approve(both, row.pk, row.asked, pictures=False, reason="mine")
        with pytest.raises(IntegrityError), transaction.atomic():
            ReleaseRequest.objects.filter(pk=row.pk).update(decided_by=both)
    row = ask(office)
    requests.review(both, row.pk, "in order")
    requests.approve(both, row.pk, row.asked, pictures=False, reason="x")
    with pytest.raises(Refused):
        requests.fulfil(both, row.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReleaseRequest.objects.filter(pk=row.pk).update(fulfilled_by=both)


@pytest.mark.clause("430.8(b)")
def test_only_a_commander_or_designee_decides(office: kept.Office, people: Callable[..., Person]) -> None:
    for role in ("custodian", "records_clerk", "administrator", "auditor", "investigator"):
        row = ask(office, by=people("records_clerk"))
        with pytest.raises(Refused):
            requests.review(people(role), row.pk, "x")
    row = ask(office)
    designee = people("designee", rights=["releases.decide"])
    requests.review(designee, row.pk, "in order")
    assert requests.approve(designee, row.pk, row.asked, pictures=False, reason="x").state == "approved"


@pytest.mark.clause("430.8(b)")
@pytest.mark.parametrize(
    "wider",
    [
        Scope(plate="7ABC123"),
        Scope(plate="7ABC12?", since=datetime(2020, 1, 1, tzinfo=UTC)),
        Scope(plate="7ABC123", since=datetime(2019, 12, 31, tzinfo=UTC)),
        Scope(plate="7ABC123", since=datetime(2020, 1, 1, tzinfo=UTC), lookalikes=True),
        Scope(unit="gate-1", since=datetime(2020, 1, 1, tzinfo=UTC)),
    ],
    ids=["any time", "more plates", "longer", "look-alikes", "any plate of a unit"],
)
def test_neither_approval_nor_export_may_be_wider(office: kept.Office, wider: Scope) -> None:
    kept.read()
    row = ask(office)
    requests.review(office.commander, row.pk, "x")
    with pytest.raises(Refused):
        requests.approve(office.commander, row.pk, wider, pictures=False, reason="x")
    requests.approve(office.commander, row.pk, row.asked, pictures=False, reason="x")
    for fields in ({"scope": wider}, {"pictures": True}):
        with pytest.raises(Refused) as refused:
            requests.fulfil(office.custodian, row.pk, **fields)  # type: ignore[arg-type]
        assert refused.value.clause == "430.8(b)"


@pytest.mark.clause("430.8(b)")
def test_a_scope_of_nothing_is_neither_asked_for_nor_approved(office: kept.Office) -> None:
    with pytest.raises(ScopeError):
        ask(office, scope=None)
    with pytest.raises(ValidationError):
        ask(office, person_name="x" * 500)
    row = ask(office, pictures=False)
    requests.review(office.commander, row.pk, "in order")
    since = row.asked.since
    empty = Scope(plate="7ABC123", since=since, until=since)
    with pytest.raises(ScopeError, match="until"):
        requests.approve(office.commander, row.pk, empty, pictures=False, reason="x")
    with pytest.raises(Refused, match="more than the written request asks for"):
        requests.approve(office.commander, row.pk, row.asked, pictures=True, reason="x")


BOUNDS: dict[str, Any] = {
    "plate": "7ABC123",
    "unit": "gate-1",
    "since": datetime(2026, 1, 1, tzinfo=UTC),
    "until": datetime(2026, 2, 1, tzinfo=UTC),
    "area": (34.0, -119.0, 35.0, -118.0),
    "reads": (UUID(int=1), UUID(int=2)),
}


@pytest.mark.clause("430.8(b)")
@pytest.mark.parametrize(
    ("bound", "wider", "narrower"),
    [
        ("plate", "7ABC12?", None),
        ("unit", "gate-2", None),
        ("since", datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        ("until", datetime(2026, 2, 2, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)),
        ("area", (33.0, -119.0, 35.0, -118.0), None),
        ("reads", (UUID(int=1), UUID(int=3)), (UUID(int=1),)),
    ],
)
def test_no_bound_of_a_request_may_be_left_out_or_widened(bound: str, wider: Any, narrower: Any) -> None:
    asked = Scope(**BOUNDS)
    assert asked.within(asked)
    assert not Scope(**BOUNDS | {bound: wider}).within(asked)
    assert not Scope(**{name: value for name, value in BOUNDS.items() if name != bound}).within(asked)
    assert narrower is None or Scope(**BOUNDS | {bound: narrower}).within(asked)


@pytest.mark.clause("430.8(b)")
def test_who_decided_takes_nothing_out(
    office: kept.Office, people: Callable[..., Person], client_for: Callable[..., Client]
) -> None:
    kept.read()
    both = people(["commander", "custodian"])
    row = ask(office)
    requests.review(both, row.pk, "in order")
    requests.approve(both, row.pk, row.asked, pictures=False, reason="x")
    requests.fulfil(office.custodian, row.pk)
    address = f"/releases/{row.pk}/download/"
    assert client_for(both).get(address).status_code == 403
    assert client_for(office.custodian).get(address).status_code == 200


@pytest.mark.clause("CC-52a")
def test_taking_it_out_is_recorded_with_its_purpose_and_its_reads(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    read = kept.read()
    row = requests.fulfil(office.custodian, approved(office).pk)
    assert client_for(office.records_clerk).get(f"/releases/{row.pk}/download/").status_code == 200
    taken = AccessRecord.objects.get(action="releases.fulfil", person=office.records_clerk)
    assert (taken.purpose, taken.case) == ("records_request", row.number)
    assert (taken.ids, taken.result_count) == ([row.number, str(read.id)], 1)


@pytest.mark.clause("430.8(b)")
def test_who_asks_and_has_an_account_here_decides_nothing(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    them = partner(office)
    written = {
        "kind": "agency",
        "partner": them.pk,
        "agency": them.agency,
        "person_name": office.commander.full_name,
        "person_title": office.commander.title,
        "person_contact": "555-0100",
        "requested_by": office.commander.pk,
        "purpose": "criminal_investigation",
        "purpose_text": "burglary series",
        "case": "26-77",
        "document": ContentFile(LETTER, "letter.pdf"),
        "received_at": "2020-01-01T00:00",
        "plate": "7ABC123",
    }
    assert client_for(office.records_clerk).post("/releases/new/", written).status_code == 302
    row = ReleaseRequest.objects.get()
    chief = client_for(office.commander)
    assert "has an account here" in chief.get(f"/releases/{row.pk}/").content.decode()
    assert chief.post(f"/releases/{row.pk}/review/", {"note": "in order"}).status_code == 403


@pytest.mark.clause("430.8(a)1")
@pytest.mark.clause("430.8(a)2")
def test_the_form_says_what_an_agencys_request_lacks(office: kept.Office) -> None:
    """Beside its field; the service would refuse the whole form."""
    them = partner(office)
    sent = {"kind": "agency", "partner": them.pk, "agency": "Bureau", "received_at": "2100-01-01T00:00"}
    assert {"person_title", "person_contact", "agency", "received_at"} <= set(RegisterForm(sent).errors)
    honest = {
        "person_title": "Sergeant",
        "person_contact": "x",
        "agency": them.agency,
        "received_at": "2020-01-01T00:00",
    }
    assert not set(honest) & set(RegisterForm(sent | honest).errors)


@pytest.mark.clause("430.8(b)")
def test_the_export_holds_what_was_approved_and_no_more(office: kept.Office) -> None:
    inside_scope = kept.read(hit=True)
    kept.read("7A8C123")
    kept.read("8XYZ987")
    kept.read(days=3000)
    another = kept.read()
    corrections.correct(another, office.investigator, corrected="7ABC128", why="the picture shows it")
    row = ask(office)
    requests.review(office.commander, row.pk, "x")
    requests.approve(office.commander, row.pk, row.asked, pictures=False, reason="x")
    done = requests.fulfil(office.custodian, row.pk)
    files = inside(done)  # type: ignore[arg-type]
    assert [read["id"] for read in rows(files, "reads")] == [str(inside_scope.id)]
    assert not [name for name in files if "pictures/" in name]
    assert rows(files, "hits") == rows(files, "access-log") == []
    # The read has a hit, and was seen: the paper must not tell the other agency that there is nothing.
    told = "That this package has none does not say that there are none."
    assert told in files["index.html"].decode()
    assert "None in this package." in files["index.html"].decode()
    about = json.loads(files["data/package.json"])
    assert (about["number"], about["recipient"]) == (done.number, "B. Ask, Neighbour ca_law")
    assert done.manifest_sha256


# Kept on file


@pytest.mark.clause("430.8(c)")
def test_a_request_is_never_deleted_nor_rewritten(office: kept.Office) -> None:
    row = approved(office)
    with pytest.raises(DatabaseError), transaction.atomic():
        row.delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        ReleaseRequest.objects.all().delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        ReleaseRequest.objects.filter(pk=row.pk).update(scope_asked=Scope(plate="9*").to_json())
    with pytest.raises(DatabaseError), transaction.atomic():
        Partner.objects.all().delete()


@pytest.mark.clause("430.8(c)")
def test_a_decision_and_what_was_handed_over_stay_on_file_as_they_were(
    office: kept.Office, people: Callable[..., Person]
) -> None:
    """Each step is written once; the letter outlives the reads that went out, the package for a month."""
    read = kept.read(days=800)
    row = requests.fulfil(office.records_clerk, approved(office).pk)
    denied = ask(office)
    requests.review(office.commander, denied.pk, "seen")
    denied = requests.deny(office.commander, denied.pk, "no case shown")
    for pk, field, value in (
        (denied.pk, "decision_reason", "another"), (denied.pk, "decided_by", people("commander").pk),
        (denied.pk, "review_note", "x"), (row.pk, "decided_at", None), (row.pk, "pictures_approved", False),
        (row.pk, "scope_approved", Scope(plate="9*").to_json()), (row.pk, "manifest_sha256", "0" * 64),
        (row.pk, "file", "packages/other.zip"), (row.pk, "fulfilled_by", office.custodian.pk),
    ):  # fmt: skip
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            ReleaseRequest.objects.filter(pk=pk).update(**{field: value})
    purge.run(office.signed().pk, run_by="test")
    call_command("sweep_files", stdout=io.StringIO())
    assert not Read.objects.filter(pk=read.pk).exists()
    row = ReleaseRequest.objects.get(pk=row.pk)
    assert hashlib.sha256(row.document.read()).hexdigest() == row.document_sha256
    assert rows(inside(row), "reads")[0]["id"] == str(read.pk)  # type: ignore[arg-type]


@pytest.mark.clause("430.8(c)")
def test_requests_are_kept_no_shorter_than_reads_and_log(office: kept.Office) -> None:
    office.schedule(days=800)
    values = {"category": "release_requests", "basis": "x", "reason": "x"}
    with pytest.raises(Refused, match="799 days are fewer than the 800 of alpr"):
        schedules.propose(office.administrator, days=799, **values)
    waits = schedules.propose(office.administrator, days=800, **values)
    office.schedule(days=900, category="access_log")
    schedules.approve(office.commander, waits.pk)
    with pytest.raises(Refused, match="900 of access_log"):
        schedules.cosign(office.custodian, waits.pk)


@pytest.mark.clause("430.8-z")
def test_anybody_else_is_routed_to_the_custodian_with_a_due_date(office: kept.Office, clock: Any) -> None:
    kept.read()
    row = ask(office, kind="other", agency="private person", case="", scope=None, partner=None)
    assert (row.state, row.due_on) == ("routed", hq_clock.today() + timedelta(days=10))
    with pytest.raises(Refused, match=r"430\.8-z"):
        requests.fulfil(office.records_clerk, row.pk)
    for act in (
        lambda: requests.review(office.commander, row.pk, "x"),
        lambda: requests.approve(office.commander, row.pk, Scope(plate="7*"), pictures=False, reason="x"),
    ):
        with pytest.raises(Refused):
            act()
    for values in ({"file": "packages/x.zip"}, {"state": "approved"}, {"state": "fulfilled"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            ReleaseRequest.objects.filter(pk=row.pk).update(**values)
    assert not requests.late().exists()
    clock.advance(days=12)
    assert requests.late().get() == row
    requests.close(office.custodian, row.pk, "answered by letter")
    assert not requests.waiting().exists()


# What the public is told


@pytest.mark.clause("430.2.1(g)")
def test_a_release_is_published_in_the_quarter_in_which_it_was_made(office: kept.Office, clock: Any) -> None:
    clock.at = datetime(2026, 3, 20, 20, tzinfo=UTC)
    kept.read("7ABC123")
    rows = [approved(office) for _ in range(10)]
    clock.at = datetime(2026, 4, 20, 20, tzinfo=UTC)
    figures.publish()
    for row in rows:
        requests.fulfil(office.custodian, row.pk)
    clock.at = datetime(2026, 7, 20, 20, tzinfo=UTC)
    tables = [
        {table["title"]: table["total"] for table in quarter.tables}["Releases by kind of agency"]
        for quarter in figures.publish()
    ]
    assert tables == [10, None]
