from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqtt import outbox
from mqtt.errors import OutboxError
from mqtt.outbox import Outcome
from mqtt.records import Receipt
from tests.mqtt.samples import AT


@pytest.fixture
def db() -> sqlite3.Connection:
    return fresh()


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    outbox.create_tables(connection)
    connection.commit()
    return connection


def fill(db: sqlite3.Connection, count: int, read_id: str = "r") -> None:
    with db:
        for number in range(count):
            outbox.append(db, "read", f"ref {number}", b"{}", AT, read_id)


def receipt(db: sqlite3.Connection, sequence: int, at: str = AT) -> Outcome:
    with db:
        return outbox.receipt(db, Receipt(store_id=outbox.store_id(db), sequence=sequence, at=AT), at)


def test_two_stores_have_different_ids_and_one_keeps_its_own(tmp_path: Path) -> None:
    first = outbox.open_database(tmp_path / "a.sqlite")
    outbox.create_tables(first)
    first.commit()
    store_id = outbox.store_id(first)
    first.close()
    again = outbox.open_database(tmp_path / "a.sqlite")
    outbox.create_tables(again)
    assert outbox.store_id(again) == store_id != outbox.store_id(fresh())
    assert again.execute("PRAGMA synchronous").fetchone() == (2,)
    assert again.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    again.close()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
@settings(max_examples=50)
def test_committed_numbers_have_no_gap_whatever_is_rolled_back(work: list[tuple[int, bool]]) -> None:
    db = fresh()
    for count, commit in work:
        for _ in range(count):
            outbox.append(db, "read", "ref", b"{}", AT)
        if commit:
            db.commit()
        else:
            db.rollback()
    db.commit()
    rows = outbox.pending(db, 0, 1000)
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))


def test_a_row_that_hq_has_not_receipted_cannot_be_deleted(db: sqlite3.Connection) -> None:
    """430.4-b: what HQ does not have stays, whoever asks."""
    fill(db, 3)
    assert receipt(db, 2) is Outcome.ADVANCED
    for statement in ("DELETE FROM outbox", "DELETE FROM outbox WHERE sequence = 3"):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
        db.rollback()
    with pytest.raises(sqlite3.IntegrityError):
        outbox.forget(db, "r")
    db.rollback()
    assert len(outbox.pending(db, 0, 10)) == 3


def test_insert_or_replace_does_not_pass_the_guard(tmp_path: Path) -> None:
    db = outbox.open_database(tmp_path / "a.sqlite")
    outbox.create_tables(db)
    fill(db, 1)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(
            "INSERT OR REPLACE INTO outbox (sequence, kind, ref, read_id, body) VALUES (1,'loss','','',x'')"
        )
    db.close()


def test_a_read_is_receipted_when_its_last_row_is(db: sqlite3.Connection) -> None:
    fill(db, 3)
    receipt(db, 2, "2026-02-01T00:00:00.00+00:00")
    assert outbox.receipted_since(db, "r") is None
    receipt(db, 3, "2026-02-02T00:00:00.00+00:00")
    assert outbox.receipted_since(db, "r") == "2026-02-02T00:00:00.00+00:00"
    assert outbox.receipted_since(db, "unknown") is None
    assert outbox.forget(db, "r") == 3
    assert outbox.last_sequence(db) == 3


def test_a_lower_receipt_frees_the_rows_above_it_for_sending_again(db: sqlite3.Connection) -> None:
    fill(db, 5)
    receipt(db, 5)
    assert outbox.counts(db).queue == 0
    assert receipt(db, 2) is Outcome.AGAIN
    counts = outbox.counts(db)
    assert (counts.queue, counts.receipted, counts.last) == (3, 2, 5)
    assert counts.oldest_at == AT


TIMES = st.none() | st.sampled_from([f"2026-01-{day:02d}T00:00:00.00+00:00" for day in range(1, 29)])
STEPS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([*outbox.Kind]), TIMES, st.sampled_from(["", "a", "b"])),
    st.tuples(st.just("receipt"), st.integers(0, 20)),
    st.tuples(st.just("replace"), st.integers(1, 20)),
    st.tuples(st.just("forget"), st.sampled_from(["a", "b"])),
)


@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=30))
def test_the_counted_queue_is_the_queue_whatever_happens(steps: list[tuple[tuple[Any, ...], bool]]) -> None:
    db = fresh()
    for (what, *rest), taken_back in steps:
        with suppress(sqlite3.IntegrityError):
            if what == "append":
                kind, at, read_id = rest
                outbox.append(db, kind, "ref", b"{}", at, read_id)
            elif what == "receipt":
                outbox.receipt(db, Receipt(store_id=outbox.store_id(db), sequence=rest[0], at=AT), AT)
            elif what == "replace":
                outbox.replace(db, rest[0], b"{}")
            else:
                outbox.forget(db, rest[0])
        db.rollback() if taken_back else db.commit()
        counts = outbox.counts(db)
        counted = "SELECT COUNT(*), MIN(at) FROM outbox WHERE receipted_at IS NULL"
        assert (counts.queue, counts.oldest_at) == db.execute(counted).fetchone()


def test_a_long_queue_is_counted_as_quickly_as_a_short_one(db: sqlite3.Connection) -> None:
    """The publisher asks twice a second, and a unit without a network has millions of rows."""

    def cost() -> int:
        steps = []
        db.set_progress_handler(lambda: steps.append(0), 1)
        outbox.counts(db)
        db.set_progress_handler(None, 1)
        return len(steps)

    fill(db, 10)
    few = cost()
    fill(db, 5000)
    assert cost() <= few + 10


def test_rows_of_an_earlier_version_are_counted(db: sqlite3.Connection) -> None:
    for name in ("TRIGGER outbox_waits", "TRIGGER outbox_waits_not", "TABLE outbox_waiting"):
        db.execute(f"DROP {name}")
    fill(db, 5)
    receipt(db, 2)
    outbox.create_tables(db)
    fill(db, 1)
    assert outbox.counts(db).queue == 4


def test_a_receipt_for_another_store_changes_nothing(db: sqlite3.Connection) -> None:
    fill(db, 2)
    assert outbox.receipt(db, Receipt(store_id="f" * 32, sequence=2, at=AT), AT) is Outcome.OTHER_STORE
    assert outbox.counts(db).queue == 2


def test_a_receipt_above_the_last_number_moves_the_queue_behind_it(db: sqlite3.Connection) -> None:
    """A store that lost commits which HQ has must not give their numbers to other records."""
    fill(db, 4)
    receipt(db, 2)
    assert receipt(db, 3000) is Outcome.RENUMBERED
    assert [(row.sequence, row.ref) for row in outbox.pending(db, 2, 10)] == [
        (3001, "ref 2"),
        (3002, "ref 3"),
    ]
    assert outbox.append(db, "read", "new", b"{}", AT) == 3003


def test_a_receipt_above_an_empty_outbox_starts_behind_it(db: sqlite3.Connection) -> None:
    assert receipt(db, 7) is Outcome.RENUMBERED
    assert outbox.append(db, "read", "new", b"{}", AT) == 8


def test_losses_and_access_records_go_by_age_once_receipted(db: sqlite3.Connection) -> None:
    with db:
        outbox.append(db, "loss", "", b"{}", AT)
        outbox.append(db, "access", "a", b"{}", AT)
        outbox.append(db, "access", "b", b"{}", AT)
    receipt(db, 2, "2026-02-01T00:00:00.00+00:00")
    assert outbox.forget_others(db, "2026-01-01T00:00:00.00+00:00") == 0
    assert outbox.forget_others(db, "2026-03-01T00:00:00.00+00:00") == 2
    assert outbox.forget(db, "") == 0
    assert [row.ref for row in outbox.pending(db, 0, 9)] == ["b"]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "garbage.sqlite"
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(OutboxError, match="garbage"):
        outbox.open_database(path)
