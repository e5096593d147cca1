"""Two tabs of one browser share a session; neither uses the purpose that the other stated."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from hq.lists.models import ListGroup
from hq.site import clock
from tests.hq import kept
from tests.hq.searching import WHY, last

pytestmark = pytest.mark.django_db


def _links(page: str, *parts: str) -> list[str]:
    """The addresses in a page that hold all of these parts, as a browser would ask for them."""
    found = re.findall(r'(?:href|src)="([^"]*)"', page)
    return [html.unescape(one) for one in found if all(part in one for part in parts)]


@pytest.mark.clause("430.3(a)")
@pytest.mark.clause("430.5(b)")
@pytest.mark.parametrize("other", ["search", "purpose page"])
def test_purpose_of_another_tab_is_not_used_for_what_this_tab_opens(investigator: Client, other: str) -> None:
    """Both tabs share one session; each page's links go on under what that page was opened for."""
    kept.read("7ABC123")
    first = investigator.post("/search/results/", WHY | {"plate": "7ABC123"}).content.decode()
    second = {"purpose": "missing_person", "case": "26-200", "on_behalf_of": "Arcadia PD"}
    if other == "search":
        investigator.post(
            "/search/results/", WHY | {**second, "behalf_agency": "Arcadia PD", "plate": "7ABC123"}
        )
    else:
        investigator.post("/people/purpose/", second)
    assert investigator.session["case"] == "26-200"
    (timeline,), (picture,) = _links(first, "/timeline/"), _links(first, "/pictures/")
    opened = next(
        link for link in _links(first, "/search/reads/") if link not in (timeline, picture) and "?" in link
    )
    page = investigator.get(opened).content.decode()
    seen = [last("reads.view")]
    investigator.get(picture)
    seen.append(last("reads.picture"))
    line = investigator.get(timeline).content.decode()
    seen.append(last())
    for link in [*_links(page, "/timeline/"), *_links(line, "/timeline/", "alike")]:
        assert investigator.get(link).status_code == 200
        seen.append(last())
    assert len(seen) == 5
    for row in seen:
        assert (row.purpose, row.case, row.on_behalf_of) == ("criminal_investigation", "26-100", "")
    for shown in (page, line):
        frame = shown[shown.index('class="stated') : shown.index('class="logged"')]
        assert "26-100" in frame
        assert "26-200" not in frame


@pytest.mark.clause("430.3(a)")
def test_search_whose_tab_nobody_knows_asks_for_the_purpose(investigator: Client) -> None:
    """With two purposes stated, an address without a mark, or with one of no statement, has none."""
    row = kept.read("7ABC123")
    address = f"/search/reads/{row.pk}/timeline/"
    investigator.post("/search/results/", WHY | {"plate": "7ABC123"})
    assert investigator.get(address).status_code == 200
    investigator.post("/people/purpose/", {"purpose": "missing_person", "case": "26-200"})
    for asked in (address, f"{address}?alike=&stated=00000000"):
        before = last().sequence
        answer = investigator.get(asked)
        assert answer.url.startswith("/people/purpose/?next=")
        assert last().sequence == before
    back = investigator.post(answer.url, {"purpose": "missing_person", "case": "26-201"})
    assert investigator.get(back.url).status_code == 200
    assert last().case == "26-201"


@pytest.mark.clause("430.3(a)")
def test_link_of_somebody_else_states_no_purpose(investigator: Client) -> None:
    row = kept.read("7ABC123")
    answer = investigator.get(f"/search/reads/{row.pk}/timeline/?purpose=criminal_investigation&case=26-9")
    assert answer.url.startswith("/people/purpose/")


@pytest.mark.clause("430.5(b)")
@pytest.mark.clause("CC-52a")
@pytest.mark.parametrize("kind", ["hot-plates", "partial-plates"])
def test_entry_after_a_search_for_another_agency_is_made_and_matched_under_its_own_case(
    investigator: Client, kind: str
) -> None:
    """No purpose is asked for once more, and what the search was for is not written to the entry's case."""
    kept.read("7ABC123")
    investigator.post("/search/results/", WHY | {"behalf_agency": "Arcadia PD", "plate": "7ABC123"})
    group = ListGroup.objects.create(name="all").pk
    entry = {"plate": "7ABC123", "alarm_class": "stolen_vehicle", "pattern": "7AB?12*", "enter": ""}
    entry |= {"reason": "test", "group": group, "expiry": str(clock.today())}
    answer = investigator.post(f"/lists/{kind}/new/", entry | {"purpose": "stolen_vehicle", "case": "26-300"})
    seen = [last()]
    page = investigator.get(answer.url)
    assert b"Matched stored reads" in page.content
    seen.append(last())
    listed = investigator.get(f"/lists/{kind}/").content.decode()
    (mark,) = set(re.findall(r'name="stated" value="(\w+)"', listed))
    (again,) = re.findall(r'action="(/lists/matches/[^"]+)"', listed)
    answer = investigator.post(again, {"stated": mark})
    seen.append(last())
    assert investigator.get(answer.url).status_code == 200
    seen.append(last())
    assert {(row.purpose, row.case, row.on_behalf_of) for row in seen} == {("stolen_vehicle", "26-300", "")}
    assert "Arcadia" not in listed
