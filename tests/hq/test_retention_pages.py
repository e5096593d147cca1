"""The custodian's day in the pages: schedule, hold, destruction, evidence, release, each by its persons."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from hq.evidence.models import Package
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Read
from hq.releases.models import Override, Partner, ReleaseRequest
from hq.retention import proposals, purge, selection
from hq.retention.models import Authority, Certificate, Hold, Proposal, Schedule
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from tests.hq import kept

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path
    settings.SECURE_SSL_REDIRECT = False


@pytest.fixture
def as_(people: Callable[..., Person], client_for: Callable[..., Client]) -> Callable[[str], Client]:
    """A logged-in client for a role; the same person each time."""
    made: dict[str, Client] = {}

    def client(role: str) -> Client:
        if role not in made:
            stated = {"purpose": "criminal_investigation", "case": "26-1"} if role == "investigator" else {}
            made[role] = client_for(people(role), **stated)
        return made[role]

    return client


def scan(name: str = "signed.pdf") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"%PDF- signed", "application/pdf")


def day(ahead: int) -> str:
    return str(hq_clock.today() + timedelta(days=ahead))


def post(client: Client, name: str, *args: object, **fields: object) -> Any:
    """Post to a page, which must take it."""
    answer = client.post(reverse(name, args=args), fields)
    told = re.findall(r'class="errors".*?</ul>', answer.content.decode(), re.DOTALL)
    assert answer.status_code == 302, (answer.status_code, told)
    return answer


def see(client: Client, name: str, *args: object) -> str:
    answer = client.get(reverse(name, args=args))
    assert answer.status_code == 200, answer.status_code
    return answer.getvalue().decode("latin-1") if answer.streaming else answer.content.decode()


@pytest.mark.clause("430.2.1(f)")
def test_from_schedule_to_certificate(as_: Callable[[str], Client]) -> None:
    kept.read(days=400)
    kept.read("8XYZ987", days=400)
    administrator, commander, custodian = (as_(role) for role in ("administrator", "commander", "custodian"))
    authority = {
        "kind": "destruction", "title": "Standing authority", "council_resolution": "R 1",
        "resolution_on": day(-99), "attorney": "T. A.", "consent_on": day(-99), "signed_by": "Mayor",
        "least_days": 365, "valid_from": day(-9), "valid_until": day(300), "document": scan(),
    }  # fmt: skip
    post(administrator, "retention:new_authority", **authority)
    assert "signed" in see(custodian, "retention:authority_document", Authority.objects.get().pk)
    schedule = {"category": "alpr", "days": 365, "grace_days": 30, "basis": "Schedule 12", "reason": "first"}
    below = administrator.post(reverse("retention:new_schedule"), {**schedule, "days": 30})
    assert below.status_code == 403
    assert "430.4-c" in below.content.decode()
    post(administrator, "retention:new_schedule", **schedule)
    row = Schedule.objects.get()
    assert "Waiting for signatures" in see(custodian, "retention:calendar")
    post(commander, "retention:approve_schedule", row.pk)
    post(custodian, "retention:cosign_schedule", row.pk)
    assert "Kept too long" in see(custodian, "retention:calendar")

    hold = {
        "kind": "discovery", "case": "26-7", "requester": "DA", "reason": "trial", "plate": "8XYZ987",
        "review_on": day(30),
    }  # fmt: skip
    post(as_("records_clerk"), "retention:new_hold", **hold)
    post(
        administrator, "retention:propose_destruction", schedule=row.pk, authority=Authority.objects.get().pk
    )
    proposal = Proposal.objects.get()
    assert (proposal.reads, proposal.held) == (1, 1)
    assert "Kept by holds" in see(custodian, "retention:proposals")
    assert "due reads that holds keep" in see(custodian, "retention:proposal", proposal.pk).lower()
    early = custodian.post(reverse("retention:cosign_destruction", args=[proposal.pk]))
    assert early.status_code == 403
    post(commander, "retention:approve_destruction", proposal.pk)
    post(custodian, "retention:cosign_destruction", proposal.pk)
    call_command("purge")
    assert Read.objects.get().key == "8XYZ987"
    certificate = Certificate.objects.get()
    assert certificate.number in see(custodian, "retention:proposals")
    assert "Certificate of destruction" in see(as_("auditor"), "retention:certificate", certificate.pk)
    log = set(AccessRecord.objects.filter(outcome="done").values_list("action", flat=True))
    assert {"retention.cosign", "holds.place", "destruction.cosign", "destruction.run"} <= log


@pytest.mark.clause("430.4-d")
def test_a_hold_from_its_placing_to_its_release(as_: Callable[[str], Client]) -> None:
    kept.read()
    hold = {
        "kind": "criminal_evidence", "case": "26-7", "requester": "DA", "reason": "trial", "plate": "7ABC123",
        "review_on": day(30),
    }  # fmt: skip
    assert as_("investigator").post(reverse("retention:new_hold"), {**hold, "plate": ""}).status_code == 200
    never = {**hold, "review_on": day(367)}
    assert as_("investigator").post(reverse("retention:new_hold"), never).status_code == 200, (
        "no review in time"
    )
    post(as_("investigator"), "retention:new_hold", **hold)
    row = Hold.objects.get()
    assert "Reads kept now</dt><dd>1" in see(as_("custodian"), "retention:hold", row.pk)
    clerk, commander, custodian = as_("records_clerk"), as_("commander"), as_("custodian")
    post(clerk, "retention:review_hold", row.pk, finding="trial goes on", next_on=day(60))
    assert custodian.post(reverse("retention:release_hold", args=[row.pk])).status_code == 403
    post(commander, "retention:ask_release", row.pk, why="sentence is final")
    assert commander.post(reverse("retention:release_hold", args=[row.pk])).status_code == 403
    assert "release asked for" in see(custodian, "retention:holds")
    post(custodian, "retention:release_hold", row.pk)
    row.refresh_from_db()
    assert row.released_at
    assert AccessRecord.objects.filter(action="holds.approve_release", outcome="refused").count() == 2


@pytest.mark.clause("430.4-d")
def test_second_one_to_ask_for_a_release_does_not_take_the_place_of_the_first(
    people: Callable[..., Person], client_for: Callable[..., Client], clock: object
) -> None:
    office = kept.Office(people)
    row, other = office.place(Scope(plate="7ABC123")), people("administrator")
    commander, administrator = client_for(office.commander), client_for(other)
    for _ in range(2):  # a second press
        post(commander, "retention:ask_release", row.pk, why="sentence is final")
    refused = administrator.post(reverse("retention:ask_release", args=[row.pk]), {"why": "no use"})
    assert refused.status_code == 403
    assert office.commander.full_name in refused.content.decode()
    row.refresh_from_db()
    assert (row.release_by, row.release_reason) == (office.commander, "sentence is final")
    withdraw = reverse("retention:withdraw_release", args=[row.pk])
    assert "Ask for its release" not in see(administrator, "retention:hold", row.pk)
    assert withdraw not in see(administrator, "retention:hold", row.pk)
    assert administrator.post(withdraw, {"why": "not mine"}).status_code == 403
    assert withdraw in see(commander, "retention:hold", row.pk)
    assert commander.post(withdraw, {"why": " "}).status_code == 403
    post(commander, "retention:withdraw_release", row.pk, why="an appeal")
    assert (
        client_for(office.custodian).post(reverse("retention:release_hold", args=[row.pk])).status_code == 403
    )
    notes = [one.note for one in AccessRecord.objects.filter(kind="hold", action="holds.release")]
    assert any("sentence is final" in note for note in notes)
    assert any("an appeal" in note for note in notes)
    post(administrator, "retention:ask_release", row.pk, why="no use")
    Person.objects.filter(pk=other.pk).update(state="closed")
    post(commander, "retention:withdraw_release", row.pk, why="asked by one who left")


@pytest.mark.clause("430.4-d")
def test_who_wanted_a_hold_does_not_release_it(as_: Callable[[str], Client]) -> None:
    clerk, commander, custodian = as_("records_clerk"), as_("commander"), as_("custodian")
    wanted_by = Person.objects.get(appointments__role="custodian")
    post(
        clerk, "retention:new_hold", kind="civil_evidence", case="26-7", requester=wanted_by.full_name,
        requested_by=wanted_by.pk, reason="claim", plate="7ABC123", review_on=day(30),
    )  # fmt: skip
    row = Hold.objects.get()
    assert "has an account here" in see(custodian, "retention:hold", row.pk)
    post(commander, "retention:ask_release", row.pk, why="claim is settled")
    assert custodian.post(reverse("retention:release_hold", args=[row.pk])).status_code == 403


@pytest.mark.clause("430.4-d")
def test_a_hold_that_cannot_be_read_is_shown_and_the_custodian_told(
    as_: Callable[[str], Client], people: Callable[..., Person]
) -> None:
    kept.read(days=400)
    office = kept.Office(people)
    proposal = proposals.propose(office.administrator, office.schedule(), office.authority())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO retention_hold (kind, "case", requester, reason, placed_by_id, placed_at,'
            " review_on, by_scope, plate, plate_like, release_reason) VALUES ('discovery', '26-7', 'DA',"
            " 'trial', %s, %s, %s, %s, '7AB%%123', '7ABX123', '')",
            [office.administrator.pk, hq_clock.now(), hq_clock.today() + timedelta(days=30), True],
        )
    hold, custodian = Hold.objects.get(), as_("custodian")
    told = f"pattern cannot be read: hold {hold.pk}"
    assert "pattern cannot be read" in see(custodian, "retention:holds")
    assert "pattern cannot be read" in see(custodian, "retention:hold", hold.pk)
    assert told in see(custodian, "retention:calendar")
    assert 'Due and on no hold or open request</p><p class="count">0' in see(custodian, "retention:proposals")
    see(custodian, "retention:proposal", proposal.pk)
    assert "holds whose pattern cannot be read" in see(custodian, "site:home")
    refused = as_("administrator").post(
        reverse("retention:propose_destruction"),
        {"schedule": proposal.schedule_id, "authority": proposal.authority_id},
    )
    assert refused.status_code == 403
    post(as_("commander"), "retention:approve_destruction", proposal.pk)
    refused = custodian.post(reverse("retention:cosign_destruction", args=[proposal.pk]))
    assert (refused.status_code, told[1:] in refused.content.decode()) == (403, True), "told by its name"
    see(as_("investigator"), "evidence:new")
    assert as_("investigator").get(reverse("evidence:new"), {"hold": hold.pk}).status_code == 200
    post(as_("commander"), "retention:ask_release", hold.pk, why="placed again")
    post(custodian, "retention:release_hold", hold.pk)
    assert told not in see(custodian, "retention:calendar")
    assert "pattern cannot be read" in see(custodian, "retention:hold", hold.pk)


def bounded(office: kept.Office, **ahead: int) -> Proposal:
    """A co-signed proposal whose authority ends in so many days."""
    authority = office.authority(valid_until=hq_clock.today() + timedelta(**ahead))
    made = proposals.propose(office.administrator, office.schedule(), authority)
    proposals.approve(office.commander, made.pk)
    return proposals.cosign(office.custodian, made.pk)


@pytest.mark.clause("GC-34090.6")
@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("role", ["administrator", "commander", "custodian"])
def test_a_destruction_whose_authority_ran_out_is_withdrawn_and_proposed_anew(
    as_: Callable[[str], Client], people: Callable[..., Person], clock: Any, role: str
) -> None:
    kept.read(days=400)
    office = kept.Office(people)
    old = bounded(office, days=1)
    clock.advance(days=2)
    with pytest.raises(CommandError, match="does not allow a destruction today"):
        call_command("purge")
    assert f"proposal {old.pk} was not begun" in see(as_("custodian"), "retention:calendar")
    again = {"schedule": old.schedule_id, "authority": office.authority().pk}
    blocked = as_("administrator").post(reverse("retention:propose_destruction"), again)
    assert (blocked.status_code, "is open already" in blocked.content.decode()) == (403, True)

    address = reverse("retention:withdraw_destruction", args=[old.pk])
    assert address not in see(as_("auditor"), "retention:proposal", old.pk)
    assert as_("auditor").post(address, {"why": "x"}).status_code == 403
    assert address in see(as_(role), "retention:proposal", old.pk)
    assert as_(role).post(address, {"why": " "}).status_code == 403, "no reason"
    post(as_(role), "retention:withdraw_destruction", old.pk, why="the authority has run out")
    page = see(as_("auditor"), "retention:proposal", old.pk)
    assert '<span class="tag">withdrawn</span>' in page
    assert "the authority has run out" in page
    assert address not in see(as_(role), "retention:proposal", old.pk)
    told = AccessRecord.objects.get(action="destruction.withdraw", outcome="done")
    assert (told.ids, told.elements["reason"]) == ([str(old.pk)], "the authority has run out")

    post(as_("administrator"), "retention:propose_destruction", **again)
    call_command("purge")
    assert Read.objects.count() == 1, "neither the withdrawn one nor the one that nobody signed"
    new = Proposal.objects.exclude(pk=old.pk).get()
    post(as_("commander"), "retention:approve_destruction", new.pk)
    post(as_("custodian"), "retention:cosign_destruction", new.pk)
    call_command("purge")
    assert (Read.objects.count(), Certificate.objects.get().proposal) == (0, new)


@pytest.mark.clause("430.4-d")
def test_who_proposed_a_destruction_withdraws_it_before_it_is_signed(
    as_: Callable[[str], Client], people: Callable[..., Person]
) -> None:
    kept.read(days=400)
    office = kept.Office(people)
    row = proposals.propose(office.administrator, office.schedule(), office.authority())
    assert ">Withdraw<" not in see(as_("custodian"), "retention:proposal", row.pk), "who signs refuses it"
    assert ">Withdraw<" in see(as_("administrator"), "retention:proposal", row.pk)
    post(as_("administrator"), "retention:withdraw_destruction", row.pk, why="wrong schedule")
    late = as_("commander").post(reverse("retention:approve_destruction", args=[row.pk]))
    assert (late.status_code, "is withdrawn" in late.content.decode()) == (403, True)


@pytest.mark.clause("GC-34090.6")
@pytest.mark.clause("430.4-d")
def test_a_destruction_begun_in_time_is_finished_after_its_authority_and_never_withdrawn(
    as_: Callable[[str], Client], people: Callable[..., Person], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 1)
    for text in ("7ABC123", "8ABC123", "9ABC123"):
        kept.read(text, days=400)
    row = bounded(kept.Office(people), days=0)

    def stop(word: str) -> None:
        if word == "dropped":
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        purge.run(row.pk, run_by="test", step=stop)
    clock.advance(days=2)
    administrator = as_("administrator")
    for _ in ("cut off", "recovered"):
        assert ">Withdraw<" not in see(administrator, "retention:proposal", row.pk)
        refused = administrator.post(reverse("retention:withdraw_destruction", args=[row.pk]), {"why": "x"})
        assert (refused.status_code, "can only be finished" in refused.content.decode()) == (403, True)
        call_command("purge", "--recover")
    assert Read.objects.count() == 2
    call_command("purge")
    certificate = Certificate.objects.get()
    assert (Read.objects.count(), certificate.reads) == (0, 3)
    text = see(as_("auditor"), "retention:certificate", certificate.pk)
    assert re.search(r"begun at 2026-06-03 .*; finished at 2026-06-05 ", text)


@pytest.mark.clause("GC-34090.6")
def test_a_purge_goes_on_over_midnight_of_its_authoritys_last_day(
    people: Callable[..., Person], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 1)
    for text in ("7ABC123", "8ABC123"):
        kept.read(text, days=400)
    row = bounded(kept.Office(people), days=0)
    assert purge.run(row.pk, run_by="test", step=lambda word: clock.advance(hours=8)).reads == 2


@pytest.mark.clause("430.4-d")
def test_a_withdrawal_and_a_purge_at_a_time_do_not_both_count(
    as_: Callable[[str], Client], people: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.read(days=400)
    row = kept.Office(people).signed()
    client, address = as_("custodian"), reverse("retention:withdraw_destruction", args=[row.pk])
    answers: list[int] = []

    def step(word: str) -> None:
        answers.append(client.post(address, {"why": "x"}).status_code)
        if word == "marked":
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        purge.run(row.pk, run_by="test", step=step)
    assert (answers, Read.objects.count()) == ([403], 1)
    # Withdrawn once the purge has looked at it and before it marks a batch; it first undoes the one above.
    select = selection.of_proposal

    def selected(proposal: Proposal) -> Any:
        answers.append(client.post(address, {"why": "x"}).status_code)
        return select(proposal)

    monkeypatch.setattr(selection, "of_proposal", selected)
    with pytest.raises(Refused, match="is withdrawn, not co-signed"):
        purge.run(row.pk, run_by="test")
    assert (answers, Read.objects.count()) == ([403, 302], 1)
    assert not Certificate.objects.exists()


@pytest.mark.clause("430.4-e")
def test_a_package_from_its_request_to_the_property_room(as_: Callable[[str], Client]) -> None:
    read = kept.read(hit=True)
    clerk = as_("records_clerk")
    post(as_("investigator"), "evidence:new", case="26-7", reason="burglary", plate="7ABC123", pictures="on")
    row = Package.objects.get()
    assert clerk.post(reverse("evidence:prepare", args=[row.pk])).status_code == 403
    post(as_("commander"), "evidence:approve", row.pk)
    post(clerk, "evidence:prepare", row.pk)
    row.refresh_from_db()
    assert row.sha256 in see(clerk, "evidence:package", row.pk)
    assert "Not in the property room yet" in see(as_("custodian"), "evidence:packages")
    assert str(read.id) in see(clerk, "evidence:download", row.pk)
    assert as_("investigator").get(reverse("evidence:download", args=[row.pk])).status_code == 403
    booking = {
        "medium": "stick", "medium_serial": "S1", "evidence_number": "E1", "booked_where": "L4",
        "booked_name": "R. O.", "booked_on": "2020-01-01T10:00",
    }  # fmt: skip
    lacking = clerk.post(reverse("evidence:book", args=[row.pk]), {**booking, "medium_serial": ""})
    assert lacking.status_code == 200
    post(clerk, "evidence:book", row.pk, **booking)
    assert "Not in the property room yet" not in see(clerk, "evidence:packages")
    export = AccessRecord.objects.get(kind="export", outcome="done")
    assert (export.ids, export.elements["sha256"]) == ([row.number, str(read.id)], row.sha256)
    assert "minisign -V -P" in see(clerk, "evidence:key")


@pytest.mark.clause("430.8(b)")
def test_a_release_from_the_letter_to_the_hand_over(as_: Callable[[str], Client]) -> None:
    read = kept.read()
    administrator, commander, clerk = (as_(r) for r in ("administrator", "commander", "records_clerk"))
    post(administrator, "releases:new_partner", agency="Neighbour PD", kind="ca_law", valid_until=day(99))
    partner = Partner.objects.get()
    post(commander, "releases:approve_partner", partner.pk)
    letter = {
        "kind": "agency", "partner": partner.pk, "agency": "Neighbour PD", "person_name": "B. Ask",
        "person_title": "Detective", "person_contact": "ask@neighbour.example",
        "purpose": "stolen_vehicle", "purpose_text": "series", "case": "N-1",
        "received_at": "2020-01-01T10:00", "plate": "7ABC123", "pictures": "on",
    }  # fmt: skip
    assert clerk.post(reverse("releases:new"), letter).status_code == 200  # no letter
    assert not ReleaseRequest.objects.exists()
    post(clerk, "releases:new", document=scan(), **letter)
    row = ReleaseRequest.objects.get()
    assert "signed" in see(commander, "releases:document", row.pk)
    assert clerk.post(reverse("releases:fulfil", args=[row.pk])).status_code == 403
    post(commander, "releases:review", row.pk, note="in order")
    wider = commander.post(reverse("releases:approve", args=[row.pk]), {"plate": "7*", "reason": "x"})
    assert wider.status_code == 403
    post(commander, "releases:approve", row.pk, plate="7ABC123", reason="case shown")
    assert commander.post(reverse("releases:fulfil", args=[row.pk])).status_code == 403
    post(clerk, "releases:fulfil", row.pk)
    assert str(read.id) in see(clerk, "releases:download", row.pk)
    register = see(as_("auditor"), "releases:register_csv")
    row.refresh_from_db()
    assert row.sha256 in register
    assert "7ABC123" not in register
    assert row.number in see(as_("auditor"), "releases:requests")
    handed = AccessRecord.objects.filter(action="releases.fulfil", outcome="done").first()
    assert handed is not None
    assert (handed.on_behalf_of, handed.case) == ("Neighbour PD", row.number)


@pytest.mark.clause("CC-55b")
def test_a_federal_agency_is_refused_on_the_page_until_the_commander_allows(
    as_: Callable[[str], Client],
) -> None:
    administrator, commander, clerk = (as_(r) for r in ("administrator", "commander", "records_clerk"))
    post(administrator, "releases:new_partner", agency="Bureau", kind="federal", valid_until=day(99))
    partner = Partner.objects.get()
    post(commander, "releases:approve_partner", partner.pk)
    letter = {
        "kind": "agency", "partner": partner.pk, "agency": "Bureau", "person_name": "B. Ask",
        "person_title": "Agent", "person_contact": "ask@bureau.example",
        "purpose": "stolen_vehicle", "purpose_text": "series", "case": "N-1",
        "received_at": "2020-01-01T10:00", "plate": "7ABC123",
    }  # fmt: skip
    answer = clerk.post(reverse("releases:new"), {**letter, "document": scan()})
    assert answer.status_code == 403
    assert "CC-55b" in answer.content.decode()
    post(
        administrator,
        "releases:new_override",
        partner.pk,
        citation="Order 1",
        valid_until=day(9),
        document=scan(),
    )
    override = Override.objects.get()
    assert administrator.post(reverse("releases:approve_override", args=[override.pk])).status_code == 403
    post(commander, "releases:approve_override", override.pk)
    assert "signed" in see(commander, "releases:override_document", override.pk)
    post(clerk, "releases:new", document=scan(), **letter)
    assert commander.post(reverse("releases:end_partner", args=[partner.pk])).status_code == 403
    post(commander, "releases:end_partner", partner.pk, why="agreement withdrawn")
    assert "agreement withdrawn" in see(commander, "releases:partners")
    told = AccessRecord.objects.filter(kind="partner", outcome="done").latest("sequence").elements
    assert told["reason"] == "agreement withdrawn"
    assert "ended" in see(clerk, "releases:partners")


@pytest.mark.clause("430.8-z")
def test_anybody_else_goes_to_the_custodian_on_the_page(as_: Callable[[str], Client]) -> None:
    letter = {
        "kind": "other", "agency": "private", "person_name": "C. Curious",
        "purpose": "criminal_investigation", "purpose_text": "wants to know",
        "received_at": "2020-01-01T10:00", "document": scan(),
    }  # fmt: skip
    post(as_("records_clerk"), "releases:new", **letter)
    row = ReleaseRequest.objects.get()
    page = see(as_("custodian"), "releases:request", row.pk)
    assert "late" in page
    assert "Make the package" not in page
    assert as_("custodian").post(reverse("releases:fulfil", args=[row.pk])).status_code == 403
    post(as_("custodian"), "releases:close", row.pk, note="answered by letter")


@pytest.mark.parametrize(
    "name", ["retention:calendar", "retention:holds", "retention:proposals", "evidence:packages",
             "releases:requests", "releases:partners"]
)  # fmt: skip
def test_a_page_is_refused_to_who_has_no_right_and_the_refusal_is_logged(
    as_: Callable[[str], Client], name: str
) -> None:
    assert as_("officer").get(reverse(name)).status_code == 403
    assert AccessRecord.objects.filter(outcome="refused").count() == 1
    assert Client().get(reverse(name)).status_code == 302
