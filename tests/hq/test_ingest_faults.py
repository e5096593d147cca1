"""HQ's subscriber at a real broker: killed, cut off, locked out or without room, it loses nothing and doubles
nothing, and never receipts what it does not have."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.broker import Broker
from tests.disk import tmpfs
from tests.hq.ingest_sites import Hq, SendingUnit, manage

pytestmark = pytest.mark.slow  # each of them starts a broker, a migrated database and subscribers

KILLS = 50
EXTRA = "max_inflight_messages 1000"
LATER = "2099-01-01 00:00:00"


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HQ's database, migrated and empty."""
    folder = tmp_path_factory.mktemp("empty")
    done = manage(folder, "migrate")
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(folder / "hq.sqlite3")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / "hq.sqlite3"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", persistence=True, extra=EXTRA) as running:
        yield running


@pytest.mark.clause("430.4-b")
def test_a_subscriber_killed_at_random_moments_loses_and_doubles_nothing(
    tmp_path: Path, empty: Path, broker: Broker
) -> None:
    chance = random.Random(430)
    with Hq(tmp_path / "hq", empty, broker.port) as hq, SendingUnit(tmp_path / "unit", broker.port) as unit:
        for _ in range(KILLS):
            unit.add(150)
            hq.start()
            (before,) = hq.ask("SELECT COUNT(*) FROM records_transfer")
            hq.wait_for(lambda b=before: hq.ask("SELECT COUNT(*) FROM records_transfer") != [b], "a commit")
            time.sleep(chance.uniform(0.0, 0.15))
            hq.kill()
            receipted = len(unit.rows()) - unit.waiting()
            ((contiguous,),) = hq.ask("SELECT contiguous FROM records_series")
            assert receipted <= int(str(contiguous)), "a receipt for what is not committed"
        hq.start()
        hq.wait_for(lambda: unit.waiting() == 0, "everything is receipted")
        assert hq.stop() == 0
        hq.check(unit)


@pytest.mark.clause("430.4-b")
@pytest.mark.parametrize("persistence", [True, False])
def test_a_broker_restarted_under_load_loses_nothing(tmp_path: Path, empty: Path, persistence: bool) -> None:
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(tmp_path / "broker", persistence=persistence, extra=EXTRA))
        hq = stack.enter_context(Hq(tmp_path / "hq", empty, broker.port))
        unit = stack.enter_context(SendingUnit(tmp_path / "unit", broker.port))
        hq.start()
        for _ in range(3):
            unit.add(100)
            hq.wait_for(lambda: unit.waiting() < len(unit.rows()) and unit.receipts, "a receipt")
            broker.restart()
        hq.wait_for(lambda: unit.waiting() == 0, "everything is receipted")
        hq.check(unit)


@pytest.mark.clause("430.4-b")
def test_a_locked_database_holds_everything_up_and_loses_nothing(
    tmp_path: Path, empty: Path, broker: Broker
) -> None:
    """Nothing is acknowledged meanwhile, and the subscriber goes on by itself."""
    with Hq(tmp_path / "hq", empty, broker.port) as hq, SendingUnit(tmp_path / "unit", broker.port) as unit:
        hq.start()
        unit.add(20)
        hq.wait_for(lambda: unit.waiting() == 0, "the first are receipted")
        with closing(sqlite3.connect(hq.database, isolation_level=None)) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            receipted = unit.receipts[-1]
            unit.add(50)
            hq.wait_for(lambda: "database is locked" in hq.log(), "the lock is told", 40)
            assert unit.receipts[-1] == receipted
            assert unit.waiting() > 0
            lock.execute("ROLLBACK")
        hq.wait_for(lambda: unit.waiting() == 0, "everything is receipted")
        assert hq.stop() == 0
        hq.check(unit)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB, for root only."""
    with tmpfs(tmp_path / "small", "8m") as folder:
        yield folder


@pytest.mark.clause("430.4-b")
def test_a_full_disk_holds_everything_up_and_loses_nothing(
    tmp_path: Path, empty: Path, broker: Broker, small_disk: Path
) -> None:
    """Pictures, rows and the log of SQLite share the full disk; with room again all of it is kept."""
    ballast = small_disk / "ballast"
    with ExitStack() as stack:
        hq = stack.enter_context(Hq(small_disk / "hq", empty, broker.port, logs=tmp_path))
        unit = stack.enter_context(SendingUnit(tmp_path / "unit", broker.port))
        hq.start()
        unit.add(20)
        hq.wait_for(lambda: unit.waiting() == 0, "the first are receipted")
        try:
            with ballast.open("wb") as file:
                while file.write(bytes(65536)):
                    file.flush()
        except OSError:
            pass
        unit.add(100)
        hq.wait_for(lambda: "cannot be kept" in hq.log(), "the full disk is told")
        time.sleep(1.0)
        committed = hq.ask("SELECT contiguous FROM records_series")
        assert unit.receipts[-1] == committed[0][0]
        assert unit.waiting() > 0
        ballast.unlink()
        hq.wait_for(lambda: unit.waiting() == 0, "everything is receipted")
        assert hq.stop() == 0
        hq.check(unit)


@pytest.mark.clause("430.4-b")
@pytest.mark.parametrize("dies", [False, True])
def test_several_subscribers_share_the_load_and_one_of_them_may_die(
    tmp_path: Path, empty: Path, broker: Broker, dies: bool
) -> None:
    names = ("hq-1", "hq-2")
    with ExitStack() as stack:
        hq = stack.enter_context(Hq(tmp_path / "hq", empty, broker.port, ("unit-1", "unit-2")))
        units = [
            stack.enter_context(SendingUnit(tmp_path / name, broker.port, name))
            for name in ("unit-1", "unit-2")
        ]
        for name in names:
            hq.start(name, "--share")
        for unit in units:
            unit.add(200)
        question = "SELECT subscriber, SUM(messages) FROM records_transfer GROUP BY subscriber"
        hq.wait_for(lambda: len(hq.ask(question)) == 2, "both take their part")
        if dies:
            hq.kill("hq-1")
        for unit in units:
            unit.add(50)
        hq.wait_for(lambda: all(unit.waiting() == 0 for unit in units), "everything is receipted", 150)
        for name in names[dies:]:
            assert hq.stop(name) == 0
        hq.check(*units)


@pytest.mark.clause("430.2-c")
@pytest.mark.clause("430.4-b")
def test_what_came_before_the_enrolment_is_taken_in_by_the_running_subscriber_though_it_is_killed(
    tmp_path: Path, empty: Path, broker: Broker
) -> None:
    """The unit was receipted for what lies in quarantine, and sends none of it again."""
    with Hq(tmp_path / "hq", empty, broker.port) as hq, SendingUnit(tmp_path / "unit", broker.port) as unit:
        hq.change("UPDATE records_unit SET state = 'proposed'")
        hq.start()
        unit.add(200)
        hq.wait_for(lambda: unit.waiting() == 0, "everything is receipted")
        ((count,),) = hq.ask("SELECT COUNT(*) FROM records_quarantined")
        assert count == len(unit.rows())
        receipts = len(unit.receipts)
        hq.change("UPDATE records_unit SET state = 'enrolled'")
        for name in ("a", "b"):
            hq.change(
                "INSERT INTO people_person (password, username, full_name, title, kind, employer, agency,"
                " badge, email, state, state_reason, state_at, proposed_at, password_once, session_key)"
                " VALUES ('', ?, 'A. Test', 'tester', 'member', '', 'Test PD', '', '', 'active', '', ?, ?, 0,"
                " '')",
                *(name, LATER, LATER),
            )
        hq.change(
            "INSERT INTO records_admission (unit_id, reason, messages, sha256, proposed_by_id, proposed_at,"
            " approved_by_id, approved_at, declined_why) VALUES ('unit-1', 'test', ?, '', 1, ?, 2, ?, '')",
            *(count, LATER, LATER),
        )
        tried = "SELECT COUNT(*) FROM records_quarantined WHERE admission_id IS NOT NULL"
        hq.wait_for(lambda: hq.ask(tried) != [(0,)], "the first batch")
        hq.kill()
        hq.start()
        hq.wait_for(lambda: hq.ask("SELECT done_at FROM records_admission") != [(None,)], "all were tried")
        assert hq.stop() == 0
        hq.check(unit, quarantined=count)
        assert len(unit.receipts) <= receipts + 3, "receipts told again at each connection, nothing else"


def test_a_subscriber_that_may_not_connect_says_so_in_a_line(tmp_path: Path, empty: Path) -> None:
    hq = Hq(tmp_path / "hq", empty, 1)
    done = manage(hq.folder, "subscribe", "--host", "broker.example")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("CommandError: --host broker.example: plain MQTT")
    assert line.endswith("set --ca, or --allow-plain on a closed test network")
