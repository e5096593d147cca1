"""Another's object by its guessed number: it opens nothing, changes nothing, and the refusal is logged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from hq.api import tokens
from hq.lists import retro
from hq.lists.models import HotList, HotListEntry, HotListSource, HotListVersion, ListGroup, RetroRun
from hq.people.models import Person
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
