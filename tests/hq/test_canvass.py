"""The canvass of a deployment: each plate once with its stays, whole or not at all, for who may see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from hq.people.models import Person
from hq.records.models import Read
from hq.search import canvass, finding
from hq.search.asked import Asked
from hq.search.finding import Reach
from tests.hq import kept
from tests.hq.searching import WHY, WINDOW, last

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]


@pytest.mark.clause("430.3(c)-1")
def test_canvass_lists_each_plate_once_with_its_stays(investigator: Client, clock: Any) -> None:
    def seen(text: str, *minutes: int) -> None:
        for minute in minutes:
            kept.read(text, at=clock.at - timedelta(hours=4) + timedelta(minutes=minute), deployment="D-7")

    kept.deployment("D-7")
    seen("7STAY11", 0, 10, 25)
    seen("7BACK11", 0, 5, 90, 100)
    seen("8ABO123", 3)
    seen("8AB0123", 4)
    kept.read("7OTHER1", deployment="D-8")
    page = investigator.post("/search/canvass/report/", WHY | {"deployment": "D-7"}).content.decode()
    record = last("deployments.canvass")
    assert (record.result_count, len(record.ids), record.elements["deployment"]) == (4, 9, "D-7")
    assert "4 plates" in page
    assert "7OTHER1" not in page
    rows = {row.plate: row for row in canvass.report(Read.objects.filter(deployment="D-7"))}
    assert rows["7STAY11"].stayed == timedelta(minutes=25)
    assert [stay.reads for stay in rows["7BACK11"].stays] == [2, 2]
    assert rows["7BACK11"].stayed == timedelta(minutes=15)
    assert rows["8ABO123"].alike == ["8AB0123"]


def test_canvass_needs_a_place_and_is_whole_or_not_at_all(
    investigator: Client, people: People, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.deployment("D-7")
    for _ in range(4):
        kept.read("7ABC123", deployment="D-7")
    assert investigator.get("/search/canvass/").status_code == 200
    page = investigator.post("/search/canvass/report/", WHY | WINDOW).content.decode()
    assert "Give the deployment, or an area" in page
    monkeypatch.setattr(canvass, "MOST", 3)
    page = investigator.post("/search/canvass/report/", WHY | {"deployment": "D-7"}).content.decode()
    assert "half a canvass is none" in page
    assert last("deployments.canvass").ids == []
    officer = client_for(people("Officer"))
    assert officer.post("/search/canvass/report/", WHY | {"deployment": "D-7"}).status_code == 403


@pytest.mark.clause("430.3(c)-1")
def test_canvass_is_of_a_deployment_that_is_there_of_the_incident_and_the_persons_to_see(
    investigator: Client, people: People, client_for: ClientFor
) -> None:
    kept.deployment("D-7", incident="26-100")
    kept.deployment("D-8", incident="26-200")
    row = kept.read("7ABC123", deployment="D-7")
    kept.read("7ABC123", deployment="D-8")
    kept.read("7ABC123", deployment="D-9")  # a code that nobody opened

    def canvassed(code: str, client: Client = investigator) -> str:
        return client.post("/search/canvass/report/", WHY | {"deployment": code}).content.decode()

    assert "1 plate" in canvassed("D-7")
    assert last("deployments.canvass").ids == [str(row.pk)]
    for code, why in (
        ("D-8", "another incident"),
        ("D-9", "no such deployment"),
        ("D", "no such deployment"),
    ):
        assert why in canvassed(code)
        assert last("deployments.canvass").ids == []
    # The same without a plate as a search; beside a plate the deployment only narrows it.
    assert (
        "another incident"
        in investigator.post("/search/results/", WHY | {"deployment": "D-8"}).content.decode()
    )
    investigator.post("/search/results/", WHY | {"deployment": "D-8", "plate": "7ABC123"})
    assert len(last().ids) == 1
    # An officer sees no deployments, so names none.
    officer = client_for(people("Officer", grants=["dept_reads", "wide_search"]))
    asked = WHY | {"deployment": "D-7", "plate": "7ABC123"}
    assert "none that you may see" in officer.post("/search/results/", asked).content.decode()


@pytest.mark.clause("430.3(c)-1")
def test_canvass_finds_what_the_units_read_without_the_code_while_they_stood(
    investigator: Client, clock: Any
) -> None:
    trailer = kept.unit("trailer-1")
    hour = timedelta(hours=1)
    kept.deployment(on=[trailer], started_at=clock.at - 3 * hour, stopped_at=clock.at - hour)
    inside = kept.read("7ABC123", on=trailer, at=clock.at - 2 * hour)
    coded = kept.read("7ABC124", deployment="D-7", at=clock.at - 5 * hour)
    kept.read("7ABC125", on=trailer, at=clock.at)
    kept.read("7ABC126", at=clock.at - 2 * hour)
    investigator.post("/search/canvass/report/", WHY | {"deployment": "D-7"})
    assert set(last("deployments.canvass").ids) == {str(inside.pk), str(coded.pk)}
    plan = finding.query(Asked(deployment="D-7"), Reach()).order_by("-at", "-id")[:25].explain()
    if connection.vendor == "sqlite":
        assert "read_deployment (deployment=?)" in plan
        assert "read_unit" in plan
        assert "SCAN" not in plan


def test_deployment_page_leads_to_its_canvass(people: People, client_for: ClientFor) -> None:
    kept.deployment("D-7", incident="26-321")
    client = client_for(people("Investigator"), purpose="criminal_investigation", case="26-1")
    assert "/search/canvass/?deployment=D-7" in client.get("/units/deployments/").content.decode()
    page = client.get("/search/canvass/?deployment=D-7").content.decode()
    assert 'value="D-7"' in page
    assert 'value="26-321"' in page
