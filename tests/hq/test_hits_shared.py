"""That open boards share their work, and nothing that one viewer may see and another may not."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from hq.hits import board, corrections, review, shared
from hq.hits.models import Acknowledgement
from hq.lists.models import HotList, HotListSource, ListGroup
from hq.log import chain
from hq.log.models import AccessRecord
from hq.people.models import Grant, Person
from hq.records.models import Hit, Picture, Read, Unit
from hq.site import clock as clock_module
from tests.hq.conftest import Clock
from tests.hq.hits_kept import PLATE, a_hit, answered, looked, reviewed

People = Callable[..., Person]
ClientFor = Callable[..., Client]
ROWS = "/hits/rows/"
QUERIES = 14
"""Of one more board: 6 for who it is and whether they may, their grants, the purposes in use, the board's
facts, and 5 for the access record."""

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def rows(client: Client) -> str:
    answer = client.get(ROWS)
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def source(name: str, data: str) -> HotListSource:
    group, _ = ListGroup.objects.get_or_create(name="all")
    held, _ = HotList.objects.get_or_create(name=name, group=group, classes=["stolen_vehicle"])
    return HotListSource.objects.create(hot_list=held, name=name, format="clew", data=data)


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("CJIS 4.2")
def test_viewers_of_different_grants_never_see_each_others_rows_or_pictures(
    people: People, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes first makes what the others share; so each comes first once."""
    source("CLEW", "clets")
    source("NCIC", "ncic")
    open_to = {
        a_hit("1TST111"): set[str](),
        a_hit("2TST222", alarm_class="sex_offender", reason="registrant"): {"restricted"},
        a_hit("3TST333", source="CLEW", reason="of CLETS"): {"clets"},
        a_hit("4TST444", source="NCIC", reason="of NCIC"): {"ncic"},
    }
    texts = dict(zip(open_to, ("1TST111", "2TST222", "3TST333", "4TST444"), strict=True))
    viewers = [
        (set(grants), client_for(people("officer", grants=grants)))
        for grants in ([], ["restricted"], ["clets"], ["ncic", "restricted"], ["clets", "ncic", "restricted"])
    ]
    for first in range(len(viewers)):
        monkeypatch.setattr(shared, "now", shared._Keeper().now)
        order = [*viewers[first:], *viewers[:first]]
        for held, client in order:
            page = rows(client)
            for hit, needed in open_to.items():
                assert (texts[hit] in page) is (needed <= held), (first, held, needed)
                assert (hit.reason in page) is (needed <= held), (first, held, needed)
            record = AccessRecord.objects.latest("sequence")
            assert record.elements["masked"] == sum(not needed <= held for needed in open_to.values())
            assert set(record.ids) == {str(hit.pk) for hit in open_to}
    for held, client in viewers:
        for hit, needed in open_to.items():
            answer = client.get(reverse("hits:picture", args=[hit.pk, "plate"]))
            assert answer.status_code == (200 if needed <= held else 403), (held, needed)


@pytest.mark.clause("430.3(e)")
def test_grant_or_list_that_changes_counts_from_the_next_page_on(
    people: People, client_for: ClientFor
) -> None:
    held = source("CLEW", "clets")
    a_hit(source="CLEW")
    able, unable = people("officer", grants=["clets"]), client_for(people("officer"))
    client = client_for(able)
    assert PLATE in rows(client)
    assert PLATE not in rows(unable)
    Grant.objects.filter(person=able).update(ended_at=clock_module.now())
    assert PLATE not in rows(client)
    HotListSource.objects.filter(pk=held.pk).update(data="department")
    assert PLATE in rows(client)
    assert PLATE in rows(unable)
    HotList.objects.filter(pk=held.hot_list_id).update(restricted=True)
    assert PLATE not in rows(client)
    assert PLATE not in rows(unable)


@pytest.mark.clause("430.3(f)")
def test_shared_board_is_after_each_change_what_one_made_anew_is(
    people: People, client_for: ClientFor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = people("officer")
    clients = [client_for(officer), client_for(people("dispatcher", grants=["restricted"]))]
    source("CLEW", "clets")
    one, other = a_hit(source="CLEW"), a_hit("8TST456", pictures=False)
    masked = a_hit("9TST789", alarm_class="sex_offender", reason="registrant")
    held: dict[str, Any] = {}

    def late(hit: Hit) -> None:
        """As a second process may: an id given out earlier is committed later."""
        first, last = 10_001, 10_002
        fields = {"read_id": hit.read_id, "by": officer, "at": clock()}
        if "last" not in held:
            held["last"] = Acknowledgement.objects.create(pk=last, hit=other, **fields)
        else:
            Acknowledgement.objects.create(pk=first, hit=hit, **fields)

    changes: dict[str, Callable[[], object]] = {
        "a new hit": lambda: held.update(new=a_hit("5TST555")),
        "its picture": lambda: Picture.objects.create(
            read_id=other.read_id, kind="plate", sha256="a" * 64, size=1, missing=False
        ),
        "acknowledged": lambda: late(one),
        "acknowledged under an earlier id": lambda: late(one),
        "who acknowledged has another name": lambda: Person.objects.filter(pk=officer.pk).update(
            full_name="Officer Renamed"
        ),
        "step 1": lambda: looked(one, officer),
        "step 2": lambda: answered(one, officer),
        "closed": lambda: review.close(reviewed(one), officer, kind="gone"),
        "corrected": lambda: corrections.correct(
            Read.objects.get(pk=other.read_id), officer, corrected="8TSI456", why="picture"
        ),
        "a masked one's step 1": lambda: looked(masked, officer, "differs", read_as="9TSI789"),
        "withdrawn": lambda: Hit.objects.filter(pk=held["new"].pk).update(withdrawn=True),
        "read once more": lambda: Read.objects.filter(pk=held["new"].read_id).update(
            text="5TSI555", digest="b" * 64, revision=2
        ),
        "the unit has a name": lambda: Unit.objects.filter(unit_id="gate-1").update(name="North gate"),
        "time": lambda: clock.advance(minutes=2),
        "one that waits has left the board": lambda: a_hit("6TST666", age_s=50_000),
        "all have left": lambda: clock.advance(hours=12.1),
    }
    before = [rows(client) for client in clients]
    with monkeypatch.context() as patch:
        for name, change in changes.items():
            change()
            if name == "all have left":
                # A session does not last that long.
                clients = [client_for(officer), client_for(people("dispatcher"))]
            kept = [_bare(rows(client)) for client in clients]
            patch.setattr(shared, "now", shared._Keeper().now)
            assert kept == [_bare(rows(client)) for client in clients], name
            patch.undo()
            assert all(now != then for now, then in zip(kept, before, strict=True)), name
            before = kept


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("430.2.1(d)")
def test_each_viewer_of_a_shared_board_is_logged_and_sees_nothing_if_not(
    people: People, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = a_hit()
    viewers = [people("officer") for _ in range(3)]
    clients = [client_for(one) for one in viewers]
    for client in clients * 2:
        rows(client)
    made = AccessRecord.objects.filter(action="hits.board", outcome="done").order_by("sequence")
    assert [row.username for row in made] == [one.username for one in viewers] * 2
    assert all(row.ids == [str(hit.pk)] for row in made)

    def down(**_: Any) -> None:
        raise chain.LogUnavailable("disk full")

    monkeypatch.setattr(chain, "append", down)
    for path in (ROWS, reverse("hits:picture", args=[hit.pk, "plate"])):
        answer = clients[0].get(path)
        assert (answer.status_code, PLATE in answer.content.decode(errors="replace")) == (503, False)


def test_form_on_a_shared_board_takes_its_own_viewers_token_only(
    people: People, client_for: ClientFor
) -> None:
    hit = a_hit()
    path = reverse("hits:acknowledge", args=[hit.pk])
    clients = [client_for(people("officer")), client_for(people("dispatcher"))]
    tokens = [_TOKEN.findall(rows(client)) for client in clients]
    assert [len(found) for found in tokens] == [1, 1]
    for client in clients:
        client.handler.enforce_csrf_checks = True
    assert clients[0].post(path, {"csrfmiddlewaretoken": tokens[1][0]}).status_code == 403
    assert not Acknowledgement.objects.exists()
    assert clients[0].post(path, {"csrfmiddlewaretoken": tokens[0][0]}).status_code == 302
    assert Acknowledgement.objects.exists()


def test_one_more_board_costs_few_queries_however_much_is_on_it(
    people: People, client_for: ClientFor
) -> None:
    """Issue 5: a hit is on every board within 2 s, which fifty boards that each ask for all of it are not."""
    source("CLEW", "clets")
    clients = [client_for(people(role)) for role in ("officer", "dispatcher", "officer")]
    for number in (1, 12):
        for at in range(number):
            a_hit(f"{number % 10}TST{at:03d}", pictures=False, source="CLEW" if at % 2 else "manual")
        rows(clients[0])
        for client in clients[1:]:
            with CaptureQueriesContext(connection) as asked:
                rows(client)
            assert len(asked) <= QUERIES, [one["sql"][:80] for one in asked]


@pytest.mark.django_db(transaction=True)
def test_boards_that_ask_at_once_have_it_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    a_hit(pictures=False)
    made: list[int] = []
    reviews, many = board.reviews, 8

    def counted() -> Any:
        made.append(1)
        return reviews()

    monkeypatch.setattr(board, "reviews", counted)
    keeper, together = shared._Keeper(), threading.Barrier(many)

    def ask(_: int) -> shared.Board:
        try:
            together.wait(20)
            return keeper.now()
        finally:
            connections.close_all()

    def all_ask() -> Iterable[shared.Board]:
        with ThreadPoolExecutor(many) as pool:
            return set(pool.map(ask, range(many)))

    (first,) = all_ask()
    a_hit("8TST456", pictures=False)
    (second,) = all_ask()
    assert len(made) == 2
    assert first.mark != second.mark


_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


def _bare(page: str) -> str:
    """A page without what is new in every one."""
    return _TOKEN.sub("", page)
