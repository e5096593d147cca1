"""The public figures: no small number, no plate, and what was destroyed before they were made."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, connection, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from hq.hits.models import Outcome
from hq.log import chain
from hq.people.models import Person
from hq.public import bundle, figures
from hq.public.models import Figures
from hq.public.suppress import SMALL, suppress
from hq.records.models import Hit, Read
from hq.retention import destroyed, purge
from hq.retention.models import Destroyed, Schedule
from hq.site import clock as hq_clock
from hq.site import quarters
from tests.hq import kept, posted
from tests.hq.conftest import Clock

People = Callable[..., Person]
ClientFor = Callable[..., Client]
db = pytest.mark.django_db


@pytest.fixture
def office(people: People) -> kept.Office:
    return kept.Office(people)


@pytest.fixture
def whole(office: kept.Office, people: People, clock: Clock, tmp_path: Path, settings: Any) -> kept.Office:
    return posted.whole(office, people, clock.at, tmp_path / "media", settings)


# Small cells


@pytest.mark.clause("430.7-b")
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 60), min_size=1, max_size=8))
def test_no_cell_under_ten_is_shown_and_never_one_alone_hidden(counts: dict[str, int]) -> None:
    table = suppress(counts, order=lambda label: hashlib.sha256(label.encode()).digest())
    assert set(table.cells) == set(counts)
    for label, shown in table.cells.items():
        assert shown is None or shown == counts[label] >= SMALL
    hidden = [label for label, shown in table.cells.items() if shown is None]
    if table.total is None:
        assert sum(counts.values()) < SMALL
        assert len(hidden) == len(counts)
    elif hidden:
        assert len(hidden) >= 2
        assert table.total - sum(n for n in table.cells.values() if n is not None) >= SMALL
    else:
        assert table.total == sum(counts.values())


@pytest.mark.clause("430.7-b")
@pytest.mark.parametrize("width", [2, 3])
def test_reader_who_knows_the_rule_can_compute_no_hidden_cell(width: int) -> None:
    """Every table under every secret, grouped by what is published: no hidden cell has one value only."""
    labels = "abc"[:width]
    values: dict[Any, list[set[int]]] = defaultdict(lambda: [set() for _ in labels])
    for total in range(34):
        for cells in itertools.product(range(total + 1), repeat=width - 1):
            if sum(cells) > total:
                continue
            counts = dict(zip(labels, (*cells, total - sum(cells)), strict=True))
            for secret in itertools.permutations(labels):
                table = suppress(counts, order=secret.index)
                for seen, count in zip(
                    values[tuple(table.cells.values()), table.total], counts.values(), strict=True
                ):
                    seen.add(count)
    for (shown, _), seen in values.items():
        for cell, possible in zip(shown, seen, strict=True):
            assert cell is not None or len(possible) >= 2


@db
@pytest.mark.clause("430.7-b")
@pytest.mark.clause("430.2.1(g)")
def test_figures_are_of_whole_quarters_made_once_and_hold_no_plate(
    whole: kept.Office, clock: Clock, tmp_path: Path
) -> None:
    april = clock.at - timedelta(days=40)
    for n in range(12):
        row = kept.read(f"7XYZ0{n:02}", at=april, pictures=())
        if n < 11:
            kept.a_hit(row)
    for purpose, count in (("stolen_vehicle", 11), ("training", 3), ("audit", 12)):
        for _ in range(count):
            chain.append(kind="search", person=whole.officer, action="reads.search", purpose=purpose)
    assert figures.publish() == []
    due = datetime(2026, 7, 15, tzinfo=ZoneInfo(django_settings.TIME_ZONE))
    clock.at = due - timedelta(seconds=1)
    assert figures.publish() == []
    clock.at = due
    made = figures.publish()
    assert [(q.starts_on, q.ends_on) for q in made] == [(date(2026, 4, 1), date(2026, 6, 30))]
    tables = {table["title"]: table for table in made[0].tables}
    assert tables["Plates read"] == {"title": "Plates read", "rows": [["reads", 12]], "total": 12}
    by_class = dict(tables["Alarms by class"]["rows"])
    assert set(by_class.values()) <= {None, 11}
    assert list(by_class.values()).count(None) >= 2
    purposes = dict(tables["Searches by purpose"]["rows"])
    assert purposes["Training"] is None
    assert tables["Searches by purpose"]["total"] == 26
    assert tables["Releases by kind of agency"]["total"] is None
    for table in made[0].tables:
        assert all(count is None or count >= SMALL for _, count in table["rows"])

    kept.read("7XYZ999", at=april, pictures=())
    assert figures.publish()[0].tables == made[0].tables
    with pytest.raises(DatabaseError), transaction.atomic():
        Figures.objects.update(tables=[])
    bundle.write(tmp_path / "site")
    for file in (tmp_path / "site").iterdir():
        assert "7XYZ" not in file.read_text()


@db
@pytest.mark.clause("430.7-b")
def test_figures_do_not_tell_by_a_line_of_its_own_that_an_alarm_of_a_class_came(
    whole: kept.Office, clock: Clock
) -> None:
    def labels() -> list[str]:
        tables = {table["title"]: table for table in figures.tables(date(2026, 4, 1))}
        return [label for label, _ in tables["Alarms by class"]["rows"]]

    before = labels()
    for alarm_class in ("sex_offender", "7XYZ001"):
        hit = kept.a_hit(kept.read(pictures=()))
        Hit.objects.filter(pk=hit.pk).update(alarm_class=alarm_class)
    assert labels() == before
    assert before[-1] == "any other class"


@pytest.fixture
def month(office: kept.Office, tmp_path: Path, settings: Any) -> Schedule:
    """An agency that lawfully keeps reads for 30 days."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return office.schedule(30, authority=office.authority("shorter", least_days=30))


@db
@pytest.mark.clause("430.2.1(g)")
@pytest.mark.clause("GC-34090.6")
def test_figures_count_what_was_lawfully_destroyed_before_they_were_made(
    office: kept.Office, month: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The floor goes by the database's own clock: quarters that are over, as of today.
    start = quarters.start_of(quarters.start_of(hq_clock.today() - timedelta(days=120)) - timedelta(days=1))
    since, until = quarters.bounds(start)
    for n in range(41):
        row = kept.read(at=until - timedelta(seconds=1) if n else since, pictures=())
        if n < 25:
            hit = kept.a_hit(row)
            Hit.objects.filter(pk=hit.pk).update(
                withdrawn=n < 4, alarm_class="7XYZ001" if n == 4 else "amber_alert"
            )
            for kind in ("no_action", "gone") if n % 2 else ():
                Outcome.objects.create(hit=hit, read=row, by=office.officer, at=row.received_at, kind=kind)
    for _ in range(12):
        kept.read("8XYZ987", at=until, pictures=())
    whole = [figures.tables(start), figures.tables(quarters.after(start))]
    totals = {table["title"]: table["total"] for table in whole[0]}
    assert (totals["Plates read"], totals["Alarms by class"], totals["Alarms by outcome"]) == (41, 21, 21)

    monkeypatch.setattr(purge, "BATCH", 7)
    assert purge.run(office.signed(month).pk, run_by="test").reads == 53
    assert not Read.objects.exists()
    assert [figures.tables(start), figures.tables(quarters.after(start))] == whole
    assert [(made.starts_on, made.tables) for made in reversed(figures.publish())][:2] == [
        (start, whole[0]), (quarters.after(start), whole[1]),
    ]  # fmt: skip
    gone = destroyed.of_quarter(start)
    assert (gone.classes, gone.outcomes) == ({"amber_alert": 20, "other": 1}, {"gone": 10, "": 11})
    assert "7XYZ" not in str(list(Destroyed.objects.values()))
    with pytest.raises(DatabaseError), transaction.atomic():
        Destroyed.objects.all().delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        Destroyed.objects.update(reads=0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.clause("430.2.1(g)")
def test_read_that_is_destroyed_while_the_figures_are_made_counts_once(
    office: kept.Office, month: Schedule
) -> None:
    at = hq_clock.now() - timedelta(days=120)
    start = quarters.start_of(hq_clock.day_of(at))
    kept.read(at=at, pictures=())
    proposal = office.signed(month)
    steps: Queue[str] = Queue()

    def destroy() -> None:
        purge.run(proposal.pk, run_by="test", step=steps.put)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            destroyed.hold_still()
            here = Read.objects.count()
            done = pool.submit(destroy)
            with contextlib.suppress(Empty):
                while steps.get(timeout=0.3) != "deleted":
                    pass
            gone = destroyed.of_quarter(start).reads
        done.result()
    assert (here, gone) == (1, 0)
    assert (Read.objects.count(), destroyed.of_quarter(start).reads) == (0, 1)


@db
@pytest.mark.clause("430.2.1(g)")
def test_figures_count_a_search_once_and_not_the_form(
    whole: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    kept.deployment("D-7", "26-100", [kept.unit()])
    for n in range(60):
        kept.read(f"7XYZ0{n:02}", pictures=())
    client = client_for(whole.investigator)
    asked = {"plate": "7XYZ*", "since": "2026-06-01 00:00", "until": "2026-06-04 00:00"}
    stated = {"purpose": "stolen_vehicle", "case": "26-1"}
    for _ in range(10):
        assert client.get("/search/").status_code == 200
        for page in ("1", "2"):
            sent = client.post("/search/results/", {**asked, **stated, "page": page})
            assert sent.context["number"] == int(page)
            assert client.get(sent.context["stands_at"]).context["number"] == int(page)
    canvass = {"since": "2026-06-01 00:00", "until": "2026-06-04 00:00", "deployment": "D-7", **stated}
    assert client.post("/search/canvass/report/", canvass).status_code == 200
    (table,) = (one for one in figures.tables(date(2026, 4, 1)) if one["title"] == "Searches by purpose")
    assert table["total"] == 11
