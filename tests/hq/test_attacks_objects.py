"""Another's object by its guessed number: it opens nothing, changes nothing, and the refusal is logged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from hq.api import tokens
from hq.lists import manual, retro
from hq.lists.models import HotList, HotListEntry, HotListSource, HotListVersion, ListGroup, RetroRun
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.site.models import Settings
from tests.hq import kept

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]
PLATE = "7QQX471"
WHY = {"purpose": "criminal_investigation", "case": "26-1"}


@pytest.fixture
def group() -> ListGroup:
    return ListGroup.objects.create(name="all")


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("CJIS 4.2.2")
@pytest.mark.parametrize("granted", [False, True])
def test_a_masked_hot_plate_is_not_told_by_what_it_matches(
    people: People, client_for: ClientFor, group: ListGroup, clock: Any, granted: bool
) -> None:
    """The list hides it, so its number is guessed: in the run that matched it, anew, or by taking it off."""
    kept.read(PLATE, pictures=())
    Settings.objects.create(
        agency="Test PD",
        ori="CA0190000",
        policy_id="430",
        policy_version="1",
        reason="test",
        classes_on=["sex_offender"],
        approved_by=people("commander"),
        approved_at=clock.at,
    )
    given = manual.HotPlate(
        group=group,
        plate=PLATE,
        alarm_class="sex_offender",
        reason="test",
        case_number="26-1",
        expiry=clock.at.date() + timedelta(days=9),
    )
    owner = people("investigator")
    entry = manual.enter(given, by=owner, purpose=WHY["purpose"])
    run = retro.run_manual(entry, by=owner, **WHY)
    grants = ("dept_reads", "wide_search", *(("restricted",) if granted else ()))
    client = client_for(people("investigator", grants=grants), **WHY)
    shown = client.get(f"/lists/matches/{run.pk}/")
    again = client.post(f"/lists/matches/manual/{entry.pk}/", WHY)
    off = client.post(f"/lists/hot-plates/{entry.pk}/withdraw/", {"why": "guessed"})
    entry.refresh_from_db()
    if granted:
        assert PLATE in shown.content.decode()
        assert (again.status_code, off.status_code) == (302, 302)
        return
    for answer in (shown, again, off):
        assert answer.status_code == 403
        assert PLATE not in answer.content.decode()
        assert "430.3(e)" in answer.content.decode()
    assert RetroRun.objects.count() == 1
    assert entry.withdrawn_at is None
    assert AccessRecord.objects.filter(outcome="refused", note__startswith="430.3(e)").count() == 3


@pytest.mark.clause("430.3(e)")
def test_a_restricted_version_is_not_told_by_what_it_matches(
    people: People, client_for: ClientFor, group: ListGroup, clock: Any
) -> None:
    kept.read(PLATE, pictures=())
    owner = people("investigator")
    hot_list = HotList.objects.create(
        name="task force", group=group, classes=["stolen_vehicle"], restricted=True
    )
    source = HotListSource.objects.create(hot_list=hot_list, name="task force", format="csv")
    version = HotListVersion.objects.create(
        hot_list=hot_list,
        number=1,
        state="approved",
        prepared_by=owner,
        prepared_at=clock.at,
        approved_by=people("commander"),
        approved_at=clock.at,
    )
    HotListEntry.objects.create(
        version=version,
        source=source,
        source_name="task force",
        plate=PLATE,
        alarm_class="stolen_vehicle",
        expiry=clock.at.date() + timedelta(days=9),
    )
    run = retro.run_version(version, by=owner, **WHY)
    client = client_for(people("investigator", grants=("dept_reads", "wide_search")), **WHY)
    for answer in (
        client.get(f"/lists/matches/{run.pk}/"),
        client.post(f"/lists/versions/{version.pk}/match/", WHY),
    ):
        assert answer.status_code == 403
        assert PLATE not in answer.content.decode()
    assert RetroRun.objects.count() == 1


@pytest.mark.clause("430.5(a)")
def test_a_token_is_neither_collected_nor_ended_by_a_colleague(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    owner, boss, commander = people("investigator"), people("ALPR administrator"), people("Commander")
    token = tokens.propose(owner, "case system", 30, boss)
    token.approved_by, token.approved_at = commander, clock.at
    token.save()
    colleague = client_for(people("investigator"), **WHY)
    for act in ("collect", "revoke"):
        assert colleague.post(f"/api/own/{token.pk}/{act}/").status_code == 404
    token.refresh_from_db()
    assert (token.digest or "", token.revoked_at) == ("", None)
    assert "case system" not in colleague.get("/api/own/").content.decode()
    assert client_for(owner).post(f"/api/own/{token.pk}/collect/").status_code == 200


@pytest.mark.clause("430.8(b)")
@pytest.mark.clause("430.4-e")
def test_a_package_that_was_not_made_has_nothing_to_download(
    people: People, client_for: ClientFor, clock: Any
) -> None:
    """By the numbers of packages and releases that wait, or of none."""
    from hq.evidence import packages
    from hq.retention.scope import Scope

    office = kept.Office(people)
    asked = packages.request(
        office.investigator,
        case="26-1",
        reason="x",
        scope=Scope(plate=PLATE),
        purpose="criminal_investigation",
    )
    clerk = client_for(office.records_clerk, purpose="evidence", case="P-1")
    for number in (asked.pk, asked.pk + 1, 0, 10**18):
        assert clerk.get(f"/evidence/{number}/download/").status_code == 404
        assert clerk.get(f"/releases/{number}/download/").status_code == 404
    assert not AccessRecord.objects.filter(kind="export", outcome="done").exists()
