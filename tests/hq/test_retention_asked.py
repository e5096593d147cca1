"""What an open evidence package or release request asks for is kept from destruction (430.4-d)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from hq.evidence import packages
from hq.evidence.models import Package
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Hit, Picture, Read
from hq.releases import partners, requests
from hq.releases.models import ReleaseRequest
from hq.retention import holds, purge, selection
from hq.retention.alarms import alarms
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from tests.hq import kept
from tests.hq.guarded import into_journal, raw_id, refused_by_database

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: object) -> None:
    settings.MEDIA_ROOT = tmp_path / "pictures"  # type: ignore[attr-defined]


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


OPENED = datetime(2025, 1, 1, tzinfo=UTC)


def ask_package(office: kept.Office, scope: Scope) -> Package:
    return packages.request(
        office.investigator, case="26-1234", reason="burglary", scope=scope, purpose="criminal_investigation"
    )


def ask_release(office: kept.Office, scope: Scope) -> ReleaseRequest:
    until = hq_clock.today() + timedelta(days=100)
    proposed = partners.propose(office.administrator, kind="ca_law", agency="Next PD", valid_until=until)
    partner = partners.approve(office.commander, proposed.pk)
    return requests.register(
        office.records_clerk,
        kind="agency",
        partner=partner,
        agency="Next PD",
        person_name="B. Ask",
        person_title="Detective",
        person_contact="ask@next.example",
        purpose="criminal_investigation",
        purpose_text="burglary series",
        case="N-77",
        document=ContentFile(b"%PDF- We ask for ...", "letter.pdf"),
        received_at=hq_clock.now(),
        scope=scope,
    )


def approve_release(office: kept.Office, row: ReleaseRequest) -> None:
    requests.review(office.commander, row.pk, "in order")
    requests.approve(office.commander, row.pk, row.asked, pictures=False, reason="case shown")


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.4-e")
def test_a_purge_leaves_what_an_open_package_asks_for_until_it_is_made(office: kept.Office) -> None:
    wanted, other = kept.read(days=400, hit=True), kept.read("8XYZ987", days=400)
    package = ask_package(office, Scope(plate="7ABC123"))
    schedule = office.schedule()
    counts = selection.count(schedule, hq_clock.now())
    assert (counts.reads, counts.held) == (1, 1)
    packages.approve(office.commander, package.pk)
    certificate = purge.run(office.signed(schedule).pk, run_by="test")
    assert certificate.reads == 1
    assert (
        "Kept by holds and open requests when proposed: 1; by holds, requests or schedules that came since: 0"
        in certificate.text
    )
    assert list(Read.objects.all()) == [wanted] != [other]
    assert (Hit.objects.count(), Picture.objects.count()) == (1, 2)
    made = packages.prepare(office.records_clerk, package.pk)
    assert (made.reads, made.pictures) == (1, 2)
    purge.run(office.signed(schedule).pk, run_by="test")
    assert not Read.objects.exists()


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("end", ["refused", "taken back"])
def test_a_package_that_is_refused_or_taken_back_keeps_nothing(office: kept.Office, end: str) -> None:
    read = kept.read(days=400)
    package = ask_package(office, Scope(reads=(read.id,)))
    schedule = office.schedule()
    with pytest.raises(Refused, match="no hold or open request keeps"):
        office.signed(schedule)
    if end == "taken back":
        packages.approve(office.commander, package.pk)
        with pytest.raises(Refused, match="no hold or open request keeps"):
            office.signed(schedule)
    packages.refuse(office.commander, package.pk, "no longer needed")
    purge.run(office.signed(schedule).pk, run_by="test")
    assert not Read.objects.exists()


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.8(c)")
@pytest.mark.parametrize("end", ["fulfilled", "denied", "closed"])
def test_a_purge_leaves_what_an_agency_asks_for_in_writing_until_it_is_answered(
    office: kept.Office, end: str
) -> None:
    kept.read(days=400)
    row = ask_release(office, Scope(plate="7ABC123"))
    schedule = office.schedule()
    assert selection.count(schedule, hq_clock.now()).held == 1
    if end == "denied":
        requests.review(office.commander, row.pk, "in order")
        requests.deny(office.commander, row.pk, "no case shown")
    else:
        approve_release(office, row)
        assert selection.count(schedule, hq_clock.now()).held == 1
        if end == "fulfilled":
            assert requests.fulfil(office.custodian, row.pk).reads == 1
        else:
            with pytest.raises(Refused, match="why nothing is handed out is empty"):
                requests.close(office.custodian, row.pk, " ")
            assert requests.close(office.custodian, row.pk, "the agency withdrew it").state == "closed"
    purge.run(office.signed(schedule).pk, run_by="test")
    assert not Read.objects.exists()


@pytest.mark.clause("430.4-d")
def test_what_was_asked_for_when_a_destruction_was_proposed_stays_out_of_it(
    office: kept.Office, clock: Any
) -> None:
    """A proposal's selection can only shrink, also when the package is made before the purge."""
    wanted = kept.read(days=400)
    kept.read("8XYZ987", days=400)
    package = ask_package(office, Scope(plate="7ABC123"))
    proposal = office.signed()
    clock.advance(hours=1)
    packages.approve(office.commander, package.pk)
    packages.prepare(office.records_clerk, package.pk)
    assert purge.run(proposal.pk, run_by="test").reads == 1
    assert list(Read.objects.all()) == [wanted]


@pytest.mark.clause("430.4-d")
def test_a_package_asked_for_after_the_signatures_still_keeps_its_reads(office: kept.Office) -> None:
    wanted = kept.read(days=400)
    kept.read("8XYZ987", days=400)
    proposal = office.signed()
    ask_package(office, Scope(plate="7ABC123"))
    certificate = purge.run(proposal.pk, run_by="test")
    assert (certificate.reads, certificate.held_since) == (1, 1)
    assert list(Read.objects.all()) == [wanted]


WITHIN = [
    Scope(plate="7ABC123"),
    Scope(plate="7A8CI23", lookalikes=True),
    Scope(plate="7?bc 1*"),
    Scope(unit="gate-1"),
    Scope(since=OPENED),
    Scope(until=OPENED + timedelta(milliseconds=10)),
    Scope(area=(34.0, -119.0, 35.0, -118.0)),
    Scope(plate="7A*", unit="gate-1", since=OPENED, area=(34.0, -119.0, 35.0, -118.0), lookalikes=True),
]
OUTSIDE = [
    Scope(plate="7A8CI23"),
    Scope(plate="7ABC12?4"),
    Scope(unit="gate-2"),
    Scope(since=OPENED + timedelta(milliseconds=10)),
    Scope(until=OPENED),
    Scope(area=(35.0, -119.0, 36.0, -118.0)),
    Scope(plate="7ABC123", unit="gate-2"),
]


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("asks", [ask_package, ask_release])
def test_the_database_and_the_query_agree_on_what_is_asked_for(office: kept.Office, asks: Any) -> None:
    kept.unit("gate-2")
    assert all((office.administrator, office.commander, office.investigator, office.records_clerk))
    old = kept.read(days=0, lat=34.1, lon=-118.15, at=OPENED)
    other = kept.read("8XYZ987", days=0, lat=34.1, lon=-118.15, at=OPENED)
    into_journal(office, old, other)
    statement = "DELETE FROM records_read WHERE id = %s"
    within = [(scope, True) for scope in [*WITHIN, Scope(reads=(old.id,))]]
    outside = [(scope, False) for scope in [*OUTSIDE, Scope(reads=(other.id,))]]
    for scope, keeps in within + outside:
        point = transaction.savepoint()
        asks(office, scope)
        assert Read.objects.filter(holds.held(), id=old.id).exists() == keeps, scope
        assert Read.objects.exclude(holds.held()).filter(id=old.id).exists() != keeps, scope
        assert refused_by_database(statement, [raw_id(old)]) == keeps, scope
        transaction.savepoint_rollback(point)


@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("plate", ["7ABC123", ""])
def test_what_an_older_version_stored_without_its_pattern_may_mean_any_plate(
    office: kept.Office, plate: str
) -> None:
    here, there = (kept.read(days=800, on=kept.unit(name), at=datetime.now(UTC)) for name in ("a", "b"))
    into_journal(office, here, there)
    stored = Scope(plate=plate, unit="a").to_json()
    del stored["like"]
    Package.objects.create(
        case="26-1", purpose="evidence", reason="x", scope_json=stored, requested_by=office.investigator
    )
    assert list(Read.objects.filter(holds.held())) == [here]
    assert refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(here)])
    assert not refused_by_database("DELETE FROM records_read WHERE id = %s", [raw_id(there)])


def alarms_of_open() -> list[tuple[str, str]]:
    return [(one.clause, one.text) for one in alarms() if " is open for " in one.text]


@pytest.mark.clause("430.4-d")
def test_what_keeps_due_reads_is_named_where_a_destruction_is_proposed(
    office: kept.Office, clock: Any, client_for: Callable[..., Client], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is open and keeps nothing that is due is not."""
    kept.read(days=400)
    kept.read(days=500)
    kept.read("8XYZ987", days=1)
    first = ask_package(office, Scope(plate="7ABC123"))
    clock.advance(days=5)
    second = ask_release(office, Scope(plate="7A*"))
    ask_package(office, Scope(plate="8XYZ987"))
    schedule = office.schedule()
    with pytest.raises(Refused) as refused:
        office.signed(schedule)
    assert refused.value.why.endswith(f"no hold or open request keeps; still open: {first}, {second}")
    kept.read("9ZZZ999", days=400)
    proposal = office.signed(schedule)
    for address in ("/retention/destruction/", f"/retention/destruction/{proposal.pk}/"):
        page = client_for(office.administrator).get(address).content.decode()
        rows = re.findall(r'<tr><th scope="row">(\w+ \w+ [\w-]+)</th>.*?class="number">(\d+)</td></tr>', page)
        assert rows[:2] == [(f"Evidence package {first}", "2"), (f"Release request {second}", "2")]
        assert f"/evidence/{first.pk}/" not in page, "the administrator may not see packages"
        page = client_for(office.commander).get(address).content.decode()
        assert f'<a href="/evidence/{first.pk}/">Evidence package {first}</a>' in page
    with pytest.raises(SystemExit):
        call_command("retention")
    assert f"  evidence package {first} is open for 5 days and keeps due reads" in capsys.readouterr().out


@pytest.mark.clause("430.4-d")
def test_no_more_than_ten_are_named(office: kept.Office) -> None:
    kept.read(days=400)
    asked = [ask_package(office, Scope(plate="7ABC123")) for _ in range(11)]
    with pytest.raises(Refused) as refused:
        office.signed()
    assert refused.value.why.count(", P-") == 9
    assert str(asked[-1]) not in refused.value.why


@pytest.mark.clause("430.4-e")
@pytest.mark.clause("430.8(b)")
def test_one_that_keeps_due_reads_for_more_than_two_months_is_an_alarm(
    office: kept.Office, clock: Any
) -> None:
    kept.read(days=400)
    kept.read("8XYZ987", days=1)
    office.schedule()
    package = ask_package(office, Scope(plate="7ABC123"))
    row = ask_release(office, Scope(plate="7ABC123"))
    ask_package(office, Scope(plate="8XYZ987"))
    clock.advance(days=60)
    assert alarms_of_open() == []
    clock.advance(days=1)
    told = "is open for 61 days and keeps due reads from destruction: 1"
    assert alarms_of_open() == [
        ("430.4-e", f"evidence package {package} {told}"),
        ("430.8(b)", f"release request {row} {told}"),
    ]
    packages.approve(office.commander, package.pk)
    packages.prepare(office.records_clerk, package.pk)
    requests.review(office.commander, row.pk, "in order")
    requests.deny(office.commander, row.pk, "no case shown")
    assert alarms_of_open() == []


@pytest.mark.clause("430.4-d")
def test_one_of_an_older_version_that_stops_all_destruction_says_so(office: kept.Office) -> None:
    kept.read("8XYZ987", days=800)
    stored = Scope(plate="7ABC123").to_json()
    del stored["like"]
    Package.objects.create(
        case="26-1", purpose="evidence", reason="x", scope_json=stored, requested_by=office.investigator,
        number="P-2026-00001", requested_at=hq_clock.now() - timedelta(days=100),
    )  # fmt: skip
    with pytest.raises(Refused, match="still open: P-2026-00001"):
        office.signed()
    ((_, text),) = alarms_of_open()
    assert text.endswith("from destruction, as any plate may be meant by it: 1")
