"""The services below the pages ask policy themselves, for pages, commands and imports are not their only way.

The pages refuse first, so nothing else proves this layer. Who calls here is trained and holds an office, but
none that allows the act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from hq.evidence import packages
from hq.evidence.models import Package
from hq.lists import standing
from hq.lists.models import HotList, HotListSource, ListGroup, StandingApproval
from hq.people import leaving
from hq.people.models import Departure, Person
from hq.people.policy import Refused
from hq.releases import partners, requests
from hq.releases.models import Override, Partner, ReleaseRequest
from hq.retention import holds, proposals, schedules
from hq.retention.models import Authority
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from tests.hq import kept, test_evidence, test_releases

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
Act = tuple[str, Callable[[], object]]

PLATE = Scope(plate="7ABC123")


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path


@pytest.fixture
def office(people: People) -> kept.Office:
    return kept.Office(people)


def of_retention(office: kept.Office, by: Person) -> Iterator[Act]:
    soon = hq_clock.today() + timedelta(days=30)
    kept.read(days=800)
    schedule, authority, hold = office.schedule(), office.authority(), office.place(Scope(plate="8XYZ987"))
    version = schedules.propose(office.administrator, category="alpr", days=400, basis="x", reason="x").pk
    made = proposals.propose(office.administrator, schedule, authority)
    yield (
        "retention.propose",
        lambda: schedules.store_authority(by, Authority(), ContentFile(b"signed", "a.pdf")),
    )
    yield (
        "retention.propose",
        lambda: schedules.propose(by, category="alpr", days=500, basis="x", reason="x"),
    )
    yield "retention.approve", lambda: schedules.approve(by, version)
    yield "retention.cosign", lambda: schedules.cosign(by, version)
    yield "retention.cosign", lambda: schedules.refuse(by, version, "too long")
    yield (
        "holds.place",
        lambda: holds.place(
            by,
            kind="other",
            case="26-1",
            requester="DA",
            reason="x",
            review_on=soon,
            scope=PLATE,
            purpose="criminal_investigation",
        ),
    )
    yield "holds.place", lambda: holds.review(by, hold.pk, "still needed", soon)
    yield "holds.release", lambda: holds.ask_release(by, hold.pk, "closed")
    holds.ask_release(office.commander, hold.pk, "closed")
    yield "holds.approve_release", lambda: holds.release(by, hold.pk)
    yield "destruction.propose", lambda: proposals.propose(by, schedule, authority)
    yield "destruction.approve", lambda: proposals.approve(by, made.pk)
    yield "destruction.cosign", lambda: proposals.refuse(by, made.pk, "claim expected")
    yield "destruction.withdraw", lambda: proposals.withdraw(by, made.pk, "claim expected")
    proposals.approve(office.commander, made.pk)
    yield "destruction.cosign", lambda: proposals.cosign(by, made.pk)


def of_evidence(office: kept.Office, by: Person) -> Iterator[Act]:
    kept.read()
    package: Package = test_evidence.ask(office)
    yield (
        "evidence.request",
        lambda: packages.request(by, case="26-1", reason="x", scope=PLATE, purpose="criminal_investigation"),
    )
    yield "evidence.approve", lambda: packages.approve(by, package.pk)
    yield "evidence.approve", lambda: packages.refuse(by, package.pk, "no case")
    packages.approve(office.commander, package.pk)
    yield "evidence.prepare", lambda: packages.prepare(by, package.pk)
    packages.prepare(office.records_clerk, package.pk)
    booking = dict.fromkeys(("medium", "medium_serial", "evidence_number", "booked_where"), "x")
    yield (
        "evidence.book",
        lambda: packages.book(by, package.pk, booked_name="x", booked_on=hq_clock.now(), **booking),
    )


def of_releases(office: kept.Office, by: Person) -> Iterator[Act]:
    kept.read()
    ahead = hq_clock.today() + timedelta(days=30)
    partner: Partner = test_releases.partner(office)
    fields = {"kind": "federal", "agency": "Bureau", "valid_until": ahead}
    waits = partners.propose(office.administrator, **fields)  # type: ignore[arg-type]
    law = {"citation": "Title 1", "document": ContentFile(b"law", "law.pdf"), "valid_until": ahead}
    override: Override = partners.propose_override(office.administrator, waits, **law)  # type: ignore[arg-type]
    yield "partners.propose", lambda: partners.propose(by, **fields)  # type: ignore[arg-type]
    yield "partners.propose", lambda: partners.propose_override(by, waits, **law)  # type: ignore[arg-type]
    yield "partners.approve", lambda: partners.approve(by, waits.pk)
    yield "partners.approve", lambda: partners.approve_override(by, override.pk)
    yield "partners.approve", lambda: partners.end(by, partner.pk, "over")
    row: ReleaseRequest = test_releases.ask(office, partner=partner)
    other = test_releases.ask(office, kind="other", agency="A. Doe", case="", scope=None, partner=None)
    yield "releases.register", lambda: test_releases.ask(office, by=by, partner=partner)
    yield "releases.register", lambda: requests.close(by, other.pk, "answered")
    yield "releases.decide", lambda: requests.review(by, row.pk, "in order")
    requests.review(office.commander, row.pk, "in order")
    yield "releases.decide", lambda: requests.approve(by, row.pk, row.asked, pictures=False, reason="x")
    yield "releases.decide", lambda: requests.deny(by, row.pk, "no case")
    requests.approve(office.commander, row.pk, row.asked, pictures=False, reason="x")
    yield "releases.fulfil", lambda: requests.fulfil(by, row.pk)


def of_lists_and_people(office: kept.Office, by: Person) -> Iterator[Act]:
    hot_list = HotList.objects.create(
        name="state", group=ListGroup.objects.create(name="all"), classes=["stolen_vehicle"], ttl_days=2
    )
    source = HotListSource.objects.create(
        hot_list=hot_list, name="SVS", format="csv", mapping={"plate": "plate"}
    )
    bounds = {
        "most_entries": 120,
        "most_change": 10,
        "reason": "order 26-7",
        "ends_on": hq_clock.today() + timedelta(days=90),
    }
    held = standing.propose(office.administrator, StandingApproval(source=source, **bounds))
    yield "lists.import", lambda: standing.propose(by, StandingApproval(source=source, **bounds))
    yield "lists.approve", lambda: standing.approve(by, held.pk)
    yield "lists.view", lambda: standing.end(by, held.pk, "over")
    gone = {"person": office.officer, "kind": Departure.Kind.LEFT, "on": hq_clock.today()}
    yield "leaving.report", lambda: leaving.report(by, Departure(**gone))
    notice = leaving.report(office.commander, Departure(**gone))
    yield "accounts.suspend", lambda: leaving.end(by, notice.pk)
    yield "accounts.suspend", lambda: leaving.answer(by, notice.pk, "a mistake", mistaken=True)


@pytest.mark.clause("430.2-d")
@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.4-e")
@pytest.mark.clause("430.8(b)")
@pytest.mark.parametrize("subject", [of_retention, of_evidence, of_releases, of_lists_and_people])
def test_service_refuses_whoever_policy_gives_no_right(
    office: kept.Office, people: People, subject: Callable[[kept.Office, Person], Iterator[Act]]
) -> None:
    # Of two offices that between them may do none of this.
    outsider = people(["technician", "dispatcher"], grants=["dept_reads"])
    done = []
    for action, act in subject(office, outsider):
        try:
            act()
        except Refused as refused:
            assert f"({action})" in refused.why, (action, refused.why)
        else:
            done.append(action)
    assert not done
