"""Who sees hits whose source HQ does not know by name: a CSV line's own, or of a list imported on a unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from hq.hits import wording
from hq.lists import masking, publish, versions
from hq.lists.models import HotList, HotListEntry, HotListSource, ListGroup
from hq.people.models import Person
from tests.hq.conftest import Clock
from tests.hq.hits_kept import PLATE, a_hit

People = Callable[..., Person]
ClientFor = Callable[..., Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.clause("430.3(e)")]

LINES_OWN = "SVS of the state"
"""What a CSV file's column `source` said, under which earlier versions stored an entry and its hits."""


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> None:
    settings.DATA = settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def published(people: People, clock: Clock) -> Callable[..., str]:
    """Load and publish a list of one source, its entries under another name as earlier versions kept them."""
    group, prepares, approves = ListGroup.objects.create(name="all"), people("ALPR administrator"), []

    def make(data: str, *, name: str = "county", restricted: bool = False) -> str:
        approves.extend([] if approves else [people("Commander")])
        held = HotList.objects.create(
            name=name, group=group, classes=["stolen_vehicle"], restricted=restricted, ttl_days=30
        )
        source = HotListSource.objects.create(hot_list=held, name=name, format="csv", data=data)
        lines = [b"plate,class\n", f"{PLATE},stolen_vehicle\n".encode()]
        draft = versions.import_files(held, [versions.SourceFile(source, "a.csv", lines)], by=prepares)
        HotListEntry.objects.filter(version=draft).update(source_name=LINES_OWN)
        versions.approve(draft, by=approves[0])
        return publish_now(clock)

    return make


def publish_now(clock: Clock) -> str:
    clock.advance(seconds=60)
    made = publish.publish_due(ListGroup.objects.get(), publish.signing_key())
    assert made is not None
    return made.version


def seen(client: Client, hit: Any) -> bool:
    """Whether the board, the hit's page and the page of its read tell it whole; they must agree."""
    board = client.get("/hits/").content.decode()
    page = client.get(reverse("hits:hit", args=[hit.pk])).content.decode()
    assert (wording.MASKED in board) == (wording.MASKED in page) == (PLATE not in board)
    return PLATE in board


@pytest.mark.parametrize(
    ("data", "restricted", "grant"),
    [
        ("clets", False, "clets"),
        ("ncic", False, "ncic"),
        ("partner", False, "partner"),
        ("department", True, "restricted"),
    ],
)
def test_a_hit_under_its_lines_own_source_needs_the_grant_of_the_list_it_came_from(
    published: Callable[..., str],
    people: People,
    client_for: ClientFor,
    data: str,
    restricted: bool,
    grant: str,
) -> None:
    hit = a_hit(source=LINES_OWN, list_version=published(data, restricted=restricted))
    assert not seen(client_for(people("officer")), hit)
    assert seen(client_for(people("officer", grants=[grant])), hit)


def test_a_hit_under_its_lines_own_source_of_the_departments_list_is_told(
    published: Callable[..., str], people: People, client_for: ClientFor
) -> None:
    version = published("department")
    assert seen(client_for(people("officer")), a_hit(source=LINES_OWN, list_version=version))


def test_of_several_lists_under_one_version_the_one_most_closely_kept_counts(
    published: Callable[..., str],
) -> None:
    """The row does not tell which of them it was; where one has a source of the name, it does."""
    published("clets", name="state")
    version = published("department")
    lacking = {
        name: masking.lacking_for_hit(frozenset(), "stolen_vehicle", name, version)
        for name in (LINES_OWN, "state", "county")
    }
    assert lacking == {LINES_OWN: "clets", "state": "clets", "county": ""}


def test_a_hot_plate_is_the_departments_beside_whatever_list(
    published: Callable[..., str], people: People, client_for: ClientFor, clock: Clock
) -> None:
    version = published("clets")
    assert masking.lacking_for_hit(frozenset(), "stolen_vehicle", "manual", version) == "clets", (
        "there is no hot plate in it: a line's own word"
    )
    group, client = ListGroup.objects.get(), client_for(people("officer"))
    fields = {"plate": "8TST456", "alarm_class": "stolen_vehicle", "priority": 50, "reason": "seen"}
    stated = {"purpose": "stolen_vehicle", "case": "26-1", "case_number": "26-1", "expiry": "2026-06-20"}
    answer = client.post("/lists/hot-plates/new/", fields | stated | {"group": group.pk})
    assert answer.status_code == 302, answer.content.decode()
    assert masking.lacking_for_hit(frozenset(), "stolen_vehicle", "manual", publish_now(clock)) == ""


@pytest.mark.parametrize(
    ("source", "needed"),
    [("CLEW", "clets"), ("NCIC", "ncic"), ("County file", "restricted"), ("", "restricted"), ("manual", "")],
)
def test_a_list_that_hq_did_not_publish_is_restricted_where_its_source_does_not_tell(
    source: str, needed: str
) -> None:
    """Of lists that were imported on the unit HQ knows the names alone."""
    assert masking.lacking_for_hit(frozenset(), "stolen_vehicle", source, "local-4") == needed


def test_nobody_opens_such_hits_by_registering_a_source_of_their_name(
    published: Callable[..., str], people: People, client_for: ClientFor
) -> None:
    hit = a_hit(source=LINES_OWN, list_version=published("clets"))
    local = a_hit("9TST789", source="County file", list_version="local-4")
    administrator, officer = people("ALPR administrator"), client_for(people("officer"))
    held = HotList.objects.get()
    for target in (
        f"/lists/{held.pk}/sources/new/",
        f"/lists/{HotList.objects.create(name='own', group=held.group).pk}/sources/new/",
    ):
        for name in (LINES_OWN, "County file"):
            fields = {"name": name, "format": "csv", "data": "department"}
            assert client_for(administrator).post(target, fields).status_code == 403, name
    assert not seen(officer, hit)
    assert masking.lacking_for_hit(frozenset(), local.alarm_class, local.source, local.list_version)

    granted = client_for(people("ALPR administrator", grants=["restricted"]))
    fields = {"name": "County file", "format": "csv", "data": "department"}
    assert granted.post(target, fields).status_code == 302, "whoever may see them may say whose they are"
    assert not masking.lacking_for_hit(frozenset(), local.alarm_class, local.source, local.list_version)
