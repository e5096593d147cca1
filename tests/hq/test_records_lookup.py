"""Reads found by plate: what a search answers, and that an index answers it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hq.records import lookup
from hq.records.intake import Intake, Source
from hq.records.lookup import Span
from hq.records.models import Unit
from hq.records.pictures import Files
from mqtt.fields import time_text
from plates.errors import PatternError
from plates.pattern import compile_pattern
from tests.hq.ingest_site import UNIT, received
from tests.mqtt import samples

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLATES = ("7TST123", "7T5T123", "7TST128", "7VST123", "9ABC456", "ABC456", "8XYZ", "XYZ9", "AB", "7TST123")

pytestmark = pytest.mark.django_db


@pytest.fixture
def reads(tmp_path: Path) -> Iterator[list[str]]:
    """PLATES, one a day."""
    Unit.objects.create(unit_id=UNIT, state=Unit.State.ENROLLED)
    intake = Intake(Files(FileSystemStorage(location=tmp_path)))
    for day, plate in enumerate(PLATES):
        read = replace(samples.read(plate=plate), captured_at=time_text(NOON + timedelta(days=day)))
        intake.take([received(read, day + 1)], Source("mqtt", "test"))
    yield list(PLATES)
    intake.close()


def texts(found: object) -> list[str]:
    return [read.text for read in found]  # type: ignore[attr-defined]


def test_exact_search_is_newest_first_and_within_its_span(reads: list[str]) -> None:
    assert [read.at.day for read in lookup.exact("7TST123")] == [10, 1]
    assert [read.at.day for read in lookup.exact("7TST123", Span(end=NOON + timedelta(days=9)))] == [1]
    assert not lookup.exact("7TST12")


def test_lookalike_search_takes_a_class_anywhere_and_one_weak_confusion(reads: list[str]) -> None:
    assert sorted(texts(lookup.lookalike("7TST123"))) == ["7T5T123", "7TST123", "7TST123", "7TST128"]
    assert "7VST123" not in texts(lookup.lookalike("7TST123"))


@given(pattern=st.text("?*7TSABC1X", min_size=2, max_size=7), days=st.integers(0, 10))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_partial_search_finds_what_the_pattern_fits_and_nothing_else(
    pattern: str, days: int, reads: list[str]
) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        assume(False)
    span = Span(start=NOON + timedelta(days=days))
    wanted = [plate for plate in reversed(reads[days:]) if compiled.matches(plate)]
    assert texts(lookup.partial(compiled, span)) == wanted
    assert texts(lookup.partial(compiled, span, limit=2)) == wanted[:2]


@pytest.mark.parametrize(
    ("pattern", "scans"),
    [("?TST*", False), ("*123", False), ("7T?T*", False), ("*A?C*", True), ("?A?4*", True)],
)
def test_a_search_says_beforehand_when_no_index_answers_it(pattern: str, scans: bool) -> None:
    compiled = compile_pattern(pattern)
    assert lookup.needs_scan(compiled) is scans
    assert not lookup.needs_scan(compiled, Span(start=NOON))


@pytest.mark.parametrize("what", ["exact", "lookalike", "run", "beginning", "span"])
def test_every_search_goes_by_an_index(reads: list[str], what: str) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        match what:
            case "exact":
                list(lookup.exact("7TST123")[:50])
            case "lookalike":
                list(lookup.lookalike("7TST123")[:50])
            case "run":
                lookup.partial(compile_pattern("?TST*"))
            case "beginning":
                lookup.partial(compile_pattern("7T?T*"))
            case "span":
                lookup.partial(compile_pattern("*A?C*"), Span(start=NOON + timedelta(days=3)))
    if connection.vendor != "sqlite":
        pytest.skip("the plan of an empty table says nothing on PostgreSQL")
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            if query["sql"].startswith("SELECT"):
                cursor.execute("EXPLAIN QUERY PLAN " + query["sql"].replace("%", "%%"))
                plan = [row[3] for row in cursor.fetchall()]
                assert not [step for step in plan if step.startswith("SCAN") and "INDEX" not in step], plan
