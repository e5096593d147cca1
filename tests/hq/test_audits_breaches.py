"""Breaches: how far they reached, who must be told, what was done, and a log that an outsider can verify."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from hq.audits import breaches
from hq.audits.alarms import alarms
from hq.audits.models import Affected, Breach, Export, Freeze, Notice, Step
from hq.evidence import packages
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import AccessReceived
from hq.retention import purge
from hq.retention.scope import Scope, ScopeError
from tests.hq import kept
from tests.hq.conftest import Clock

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.clause("430.5-z")]
ClientFor = Callable[..., Client]
READ_THE_LOG = ("commander", "auditor")


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT, settings.DATA = tmp_path / "pictures", tmp_path


@pytest.fixture(autouse=True)
def _whole_second(clock: Clock) -> None:
    clock.at = clock.at.replace(microsecond=0)


@pytest.fixture
def office(people: Callable[..., Person]) -> kept.Office:
    return kept.Office(people)


def entered(office: kept.Office) -> Breach:
    now = kept.clock.now()
    return breaches.record(
        office.administrator, Breach(what="laptop stolen", told_by="the officer", detected_at=now)
    )


def lines() -> list[str]:
    return [alarm.text for alarm in alarms() if alarm.clause == "430.5-z"]


def test_extent_is_counted_by_scope(office: kept.Office, clock: Clock) -> None:
    breach = entered(office)
    gate = kept.unit("gate-2")
    for n in range(3):
        kept.read(f"7XYZ00{n}", days=n, on=gate)
    kept.read("7XYZ000", days=0.5, on=gate, hit=True)
    kept.read("7XYZ009", days=1)
    made = breaches.affected(office.auditor, breach, Scope(unit="gate-2", since=clock.at - timedelta(days=1)))
    assert made.counts == {"reads": 3, "plates": 2, "pictures": 6, "hits": 1, "units": 1}
    with pytest.raises(ScopeError):
        breaches.affected(office.auditor, breach, Scope())
    with pytest.raises(DatabaseError), transaction.atomic():
        Affected.objects.update(counts={})


def test_extent_of_a_misused_account_is_what_it_saw(office: kept.Office, clock: Clock) -> None:
    breach = entered(office)
    seen, again, unseen = (kept.read(f"7XYZ00{n}", pictures=("plate",)) for n in range(3))
    thief = office.officer
    since = clock.at

    def log(person: Person, *reads: Any, outcome: str = "done") -> None:
        ids = [read.pk for read in reads]
        chain.append(kind="view", person=person, action="reads.view", ids=ids, outcome=outcome)

    log(thief, seen, again)
    log(thief, again)
    log(office.investigator, unseen)
    log(thief, unseen, outcome="refused")
    until = clock.advance(hours=1)
    log(thief, unseen)
    made = breaches.affected(office.auditor, breach, Scope(since=since, until=until), [thief.username])
    assert made.counts == {
        "log_rows": 2, "reads": 2, "pictures": 2, "hits": 0, "plates": 2, "records_destroyed_since": 0,
    }  # fmt: skip


@pytest.mark.clause("CC-52a")
def test_extent_of_a_misused_account_counts_hits_and_packages(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    breach, since = entered(office), clock.at
    kept.a_hit(kept.read("7XYZ000"))
    kept.read("7XYZ001")
    asked = {"case": "26-1", "reason": "burglary", "scope": Scope(plate="7XYZ001")}
    package = packages.request(office.custodian, **asked)
    packages.approve(office.commander, package.pk)
    packages.prepare(office.custodian, package.pk)
    assert client_for(office.officer).get("/hits/").status_code == 200
    assert client_for(office.records_clerk).get(f"/evidence/{package.pk}/download/").status_code == 200
    within = Scope(since=since, until=clock.advance(hours=1))
    for thief, hits in ((office.officer, 1), (office.records_clerk, 0)):
        made = breaches.affected(office.auditor, breach, within, [thief.username])
        assert made.counts == {
            "log_rows": 1, "reads": 1, "pictures": 2, "hits": hits, "plates": 1, "records_destroyed_since": 0,
        }  # fmt: skip


@pytest.mark.clause("430.4-d")
def test_extent_of_a_misused_account_counts_what_was_destroyed_since_it_was_seen(
    office: kept.Office, client_for: ClientFor
) -> None:
    breach, since = entered(office), kept.clock.now()
    stays = kept.read("7XYZ000")
    gone = [kept.read(f"7XYZ00{n}", days=900, hit=n == 1) for n in (1, 2)]
    seen = [stays.pk, *(read.pk for read in gone), gone[0].hits.get().pk]
    chain.append(kind="search", person=office.officer, action="reads.search", ids=seen)
    record = AccessReceived.objects.create(
        id=uuid4(), unit=stays.unit, store_id="s", sequence=1, received_at=since, clock={}, results=0, ids=[]
    )
    chain.append(kind="audit", person=office.officer, action="audits.run", ids=[record.pk])
    purge.run(office.signed().pk, run_by="test")
    scope = Scope(since=since - timedelta(seconds=1), plate="7XYZ000")
    made = breaches.affected(office.auditor, breach, scope, [office.officer.username])
    assert (made.counts["reads"], made.counts["records_destroyed_since"]) == (1, 3)
    shown = client_for(office.auditor).get(f"/audits/breaches/{breach.pk}/").content.decode()
    assert "records destroyed since 3" in shown


def test_breach_closes_contained_and_with_everybody_told(office: kept.Office, clock: Clock) -> None:
    breach = entered(office)
    due = clock.at.date() + timedelta(days=10)
    notice = breaches.notice(
        office.custodian, breach, to="Attorney General", basis="Civil Code 1798.29(e)", due_on=due
    )
    assert any("due 2026-06-13" in line for line in lines())
    clock.advance(days=11)
    assert any("overdue since" in line for line in lines())
    assert any("no containment" in line for line in lines())
    with pytest.raises(Refused, match="1 notices are not sent"):
        breaches.close(office.administrator, breach.pk, "done")
    breaches.sent(office.custodian, notice.pk, "letter 3")
    with pytest.raises(Refused, match="no containment"):
        breaches.close(office.administrator, breach.pk, "done")
    breaches.step(office.administrator, breach, "containment", "account closed")
    breaches.close(office.administrator, breach.pk, "laptop found, disk encrypted")
    assert lines() == []
    breach.refresh_from_db()
    with pytest.raises(Refused, match="closed"):
        breaches.step(office.administrator, breach, "finding", "x")


def test_nothing_empty_goes_into_the_register(office: kept.Office, clock: Clock) -> None:
    breach, due = entered(office), clock.at.date()
    for to, basis in ((" ", "Civil Code 1798.29"), ("Attorney General", "")):
        with pytest.raises(Refused, match="is empty"):
            breaches.notice(office.custodian, breach, to=to, basis=basis, due_on=due)
    with pytest.raises(Refused, match="what was done or learned is empty"):
        breaches.step(office.administrator, breach, "containment", "\n")
    assert not breach.steps.exists()
    notice = breaches.notice(office.custodian, breach, to="x", basis="y", due_on=due)
    with pytest.raises(Refused, match="the reference of what was sent is empty"):
        breaches.sent(office.custodian, notice.pk, "")
    breaches.sent(office.custodian, notice.pk, "letter 3")
    breaches.step(office.administrator, breach, "containment", "account closed")
    with pytest.raises(Refused, match="how the breach ended is empty"):
        breaches.close(office.administrator, breach.pk, " ")
    assert Breach.objects.get().closed_at is None


@pytest.mark.parametrize("model", [Breach, Step, Notice, Freeze])
def test_database_keeps_the_register(office: kept.Office, clock: Clock, model: Any) -> None:
    breach = entered(office)
    breaches.step(office.administrator, breach, "containment", "account closed")
    breaches.notice(office.custodian, breach, to="x", basis="x", due_on=clock.at.date())
    chain.append(kind="view", person=office.officer, action="reads.view")
    breaches.freeze(office.auditor, breach, clock.at - timedelta(1), clock.at + timedelta(1))
    with pytest.raises(DatabaseError), transaction.atomic():
        model.objects.all().delete()
    fixed = {Breach: "what", Step: "what", Notice: "basis", Freeze: "head"}[model]
    with pytest.raises(DatabaseError), transaction.atomic():
        model.objects.update(**{fixed: "nothing"})


def test_who_has_no_right_neither_sees_nor_enters(office: kept.Office, client_for: ClientFor) -> None:
    with pytest.raises(Refused):
        breaches.record(office.officer, Breach())
    assert client_for(office.officer).get("/audits/breaches/").status_code == 403


@pytest.mark.clause("CJIS AU-9")
def test_exported_log_can_be_verified_without_this_program(office: kept.Office, clock: Clock) -> None:
    breach = entered(office)
    since = clock.at
    for n in range(5):
        chain.append(
            kind="search",
            person=office.officer,
            action="reads.search",
            elements={"plate": f"7XYZ00{n}", "ä": n},
        )
        clock.advance(minutes=1)
    held = breaches.freeze(office.auditor, breach, since + timedelta(seconds=30), clock.at)
    assert (held.last - held.first + 1, held.chain[:5]) == (4, "whole")
    assert breaches.frozen_from() == held.first
    with zipfile.ZipFile(io.BytesIO(breaches.export(office.auditor, held))) as archive:
        rows, manifest = archive.read("access-log.jsonl"), json.loads(archive.read("manifest.json"))
    assert manifest["rows_sha256"] == hashlib.sha256(rows).hexdigest()
    assert manifest["chain_when_frozen"] == held.chain
    previous = None
    for line in rows.decode().splitlines():
        body = json.loads(line)
        said = body.pop("hash")
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == said
        assert previous in (None, body["previous"])
        previous = said
    assert previous == manifest["head"]
    assert Export.objects.get().size > 0
    with pytest.raises(Refused, match="no row"):
        breaches.freeze(office.auditor, breach, since - timedelta(days=9), since - timedelta(days=8))


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("CJIS AU-9")
@pytest.mark.parametrize("who", ["administrator", "custodian", "commander", "auditor"])
def test_breach_opens_the_log_to_nobody_who_may_not_read_it(
    office: kept.Office, client_for: ClientFor, clock: Clock, who: str
) -> None:
    person: Person = getattr(office, who)
    chain.append(kind="search", person=office.officer, action="reads.search", elements={"plate": "7XYZ001"})
    clock.advance(minutes=1)
    held = breaches.freeze(person, entered(office), clock.at - timedelta(hours=1), clock.at)
    client = client_for(person)
    answer = client.post(f"/audits/breaches/freezes/{held.pk}/export/")
    assert answer.status_code == client.get("/log/").status_code == (200 if who in READ_THE_LOG else 403)
    assert Export.objects.count() == (who in READ_THE_LOG)
    assert ("Export these rows" in client.get(f"/audits/breaches/{held.breach_id}/").content.decode()) == (
        who in READ_THE_LOG
    )


def test_breach_is_kept_in_the_pages(office: kept.Office, client_for: ClientFor, clock: Clock) -> None:
    kept.read("7XYZ000")
    client = client_for(office.administrator)
    fields = {"what": "laptop stolen", "told_by": "the officer", "detected_at": "2026-06-03T11:00"}
    assert (
        client.post("/audits/breaches/new/", fields | {"detected_at": "2026-06-04T11:00"}).status_code == 200
    )
    assert client.post("/audits/breaches/new/", fields).status_code == 302
    breach = Breach.objects.get()
    base = f"/audits/breaches/{breach.pk}"
    assert client.post(f"{base}/step/", {"kind": "containment", "what": "closed it"}).status_code == 302
    assert client.post(f"{base}/affected/", {}).status_code == 422
    assert client.post(f"{base}/affected/", {"plate": "7XYZ0*"}).status_code == 302
    assert Affected.objects.get().counts["reads"] == 1
    notice = {"to": "the owner", "basis": "Civil Code 1798.29", "due_on": "2026-06-20"}
    assert client.post(f"{base}/notice/", notice).status_code == 302
    sent = Notice.objects.get()
    assert client.post(f"{base}/close/", {"words": "x"}).status_code == 403
    assert client.post(f"/audits/breaches/notices/{sent.pk}/sent/", {"words": "letter 1"}).status_code == 302
    period = {"since": "2026-06-03T00:00", "until": "2026-06-04T00:00"}
    assert client.post(f"{base}/freeze/", period).status_code == 302
    assert "Export these rows" not in client.get(f"{base}/").content.decode()
    answer = client_for(office.auditor).post(f"/audits/breaches/freezes/{Freeze.objects.get().pk}/export/")
    assert answer["Content-Type"] == "application/zip"
    assert "attachment" in answer["Content-Disposition"]
    shown = client.get(f"{base}/").content.decode()
    assert "letter 1" in shown
    assert Export.objects.get().sha256 in shown
    assert client.post(f"{base}/close/", {"words": "found"}).status_code == 302
    asked = AccessRecord.objects.get(action="breaches.record", elements__plate="7XYZ0*")
    assert asked.result_count == 1
