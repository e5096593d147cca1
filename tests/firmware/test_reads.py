"""`platewarden reads` and `purge`: what they show, to whom, and what is recorded of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import hw
from firmware.status_file import write_status
from hw.clock import BOOT_ID, Discipline, SystemClock
from hw.protocols import Timestamp
from hw.settings import ClockSettings
from mqtt.fields import time_text
from mqtt.records import ClockState, Status
from tests.disk import fill, tmpfs
from tests.firmware.site import AS_MORA, Site
from tests.firmware.store_samples import files, hit, pair, read, receipt


@pytest.fixture
def make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[bool], Site]]:
    made: list[Site] = []

    def build(demo: bool) -> Site:
        site = Site(tmp_path, capsys, demo=demo)
        monkeypatch.setattr(hw, "open_clock", lambda *_: site.clock)
        made.append(site)
        return site

    yield build
    for site in made:
        site.store.close()


@pytest.fixture
def site(make: Callable[[bool], Site]) -> Site:
    return make(False)


def test_a_named_person_with_a_purpose_sees_plates_and_is_recorded(site: Site) -> None:
    """430.5(a), 430.3-0."""
    lines = site.command("reads", "list", "--plate", "test12?", *AS_MORA)
    assert site.code == 0, site.err
    assert ["TEST124" in lines[0], "TEST123" in lines[1], len(lines)] == [True, True, 3]
    assert "HIT stolen_vehicle exact UNVERIFIED" in lines[1]
    (record,) = site.recorded()
    assert (record.person, record.purpose, record.case_number) == ("A. Mora", "stolen_vehicle", "26-1")
    assert (record.action, record.query, record.outcome) == ("reads list", "plate=TEST12? limit=50", "shown")
    assert set(record.ids) == {one.read_id for one in site.reads[:2]}


def test_a_unit_that_has_its_time_from_gps_alone_lets_a_trained_person_in(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """430.3(d): a trailer out of coverage knows the time; the command beside it was told by nobody."""
    monkeypatch.setattr(hw, "open_clock", unsynchronised)
    assert site.command("reads", "list", *AS_MORA) == []
    assert "the clock is not set" in site.err
    now = site.clock.now()
    assert now.wall is not None
    boot = BOOT_ID.read_text().strip()
    clock = ClockState(quality="gps", boot_id=boot, boottime=time.clock_gettime(time.CLOCK_BOOTTIME))
    write_status(site.folder / "store", Status(state="ready", at=time_text(now.wall), clock=clock))
    lines = site.command("reads", "list", *AS_MORA)
    assert site.code == 0, site.err
    assert "TEST124" in lines[1]
    assert site.command("purge", "--dry-run")[0].startswith("would delete")


def unsynchronised(settings: ClockSettings, told: Timestamp | None = None) -> SystemClock:
    """`hw.open_clock` of a machine whose kernel no network has told the time."""
    return SystemClock(settings, known=told, discipline=lambda: Discipline(False, 16_000.0))


def test_anybody_else_sees_counts_and_ids(site: Site) -> None:
    """430.7-b."""
    text = "\n".join(site.command("reads", "list") + site.command("reads", "list", "--json"))
    text += "\n".join(site.command("reads", "show", site.reads[0].read_id))
    text += "\n".join(site.command("reads", "show", site.reads[0].read_id, "--json"))
    for one in site.reads:
        assert one.plate not in text
        assert one.read_id in text
    assert "stolen" not in text
    assert "3 reads" in text
    assert site.recorded() == []


def test_a_search_by_plate_is_an_answer_about_a_plate(site: Site) -> None:
    """430.7-b: even its count is not for everybody."""
    assert site.command("reads", "list", "--plate", "TEST123") == []
    assert site.code == 1
    assert "named person" in site.err


@pytest.mark.parametrize(
    "who",
    [
        ("--person", "late", "--purpose", "audit", "--case", "1"),
        ("--person", "mora", "--purpose", "audit"),
        ("--person", "mora", "--case", "1"),
        ("--purpose", "audit", "--case", "1"),
        ("--person", "x", "--purpose", "audit", "--case", "1"),
    ],
)
@pytest.mark.parametrize("command", ["list", "show"])
def test_a_refused_attempt_shows_nothing_and_is_recorded(
    site: Site, who: tuple[str, ...], command: str
) -> None:
    """430.3(d), 430.5(b)."""
    what = ("list",) if command == "list" else ("show", site.reads[0].read_id)
    assert site.command("reads", *what, *who) == []
    assert site.code == 1
    assert "refused" in site.err
    assert [record.outcome for record in site.recorded()] == ["refused"]


def test_if_the_record_cannot_be_written_nothing_is_shown(site: Site) -> None:
    """430.2.1(d): fail closed."""
    site.store._db.execute("BEGIN IMMEDIATE")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("firmware.store_db.BUSY_MS", 50)
        assert site.command("reads", "list", *AS_MORA) == []
    site.store._db.execute("ROLLBACK")
    assert site.code == 5
    assert site.recorded() == []


def test_a_read_is_shown_whole_and_its_pictures_copied(site: Site, tmp_path: Path) -> None:
    one = site.reads[0]
    (line,) = site.command("reads", "show", one.read_id, "--json", "--pictures", tmp_path / "out", *AS_MORA)
    assert site.code == 0
    shown = json.loads(line)
    assert (shown["plate"], shown["captured_at"]) == ("TEST123", one.captured_at)
    assert shown["hits"][0]["entry_plate"] == "TEST123"
    assert sorted(file.read_bytes() for file in (tmp_path / "out").iterdir()) == sorted(pair().values())
    assert [record.ids for record in site.recorded()] == [(one.read_id,)]


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("CJIS 4.2.2")
def test_the_detail_of_a_restricted_class_is_masked(site: Site) -> None:
    """430.3(e), CJIS 4.2.2."""
    one = read(site.clock, "TEST125")
    site.store.add(one, [hit(one, alarm_class="sex_offender", reason="secret", case_number="S-9")])
    text = "\n".join(
        site.command("reads", "show", one.read_id, *AS_MORA) + site.command("reads", "list", *AS_MORA)
    )
    assert "restricted, ask dispatch" in text
    assert not any(word in text for word in ("sex_offender", "secret", "S-9"))


def test_pictures_are_not_copied_for_nobody(site: Site, tmp_path: Path) -> None:
    site.command("reads", "show", site.reads[0].read_id, "--pictures", tmp_path / "out")
    assert site.code == 1
    assert not (tmp_path / "out").exists()


def test_a_damaged_picture_is_told_and_the_other_is_copied(site: Site, tmp_path: Path) -> None:
    damaged = next(iter(sorted(files(site.store))))
    (site.store.directory / damaged).write_bytes(b"x")
    for one in site.reads:
        site.command("reads", "show", one.read_id, "--pictures", tmp_path / "out", *AS_MORA)
        if damaged.split("/")[-1].startswith(one.read_id):
            assert site.code == 1
            assert "picture file is damaged" in site.err
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_an_unknown_read_is_told_and_the_question_recorded(site: Site) -> None:
    site.command("reads", "show", "00000000-0000-0000-0000-000000000000", *AS_MORA)
    assert site.code == 1
    assert "no read" in site.err
    assert [record.results for record in site.recorded()] == [0]


def test_times_on_the_command_line_choose_reads(site: Site) -> None:
    first = site.reads[0].captured_at
    assert site.command("reads", "list", "--until", first)[-2] == "1 reads"
    assert site.command("reads", "list", "--limit", "1")[-2] == "3 reads, the newest 1 are above"
    with pytest.raises(SystemExit):
        site.command("reads", "list", "--since", "yesterday")


@pytest.mark.parametrize(
    "words",
    [("show",), ("list", "some-id"), ("list", "--pictures", "x"), ("show", "some-id", "--plate", "X")],
)
def test_words_that_do_not_fit_are_a_usage_error(site: Site, words: tuple[str, ...]) -> None:
    site.command("reads", *words, *AS_MORA)
    assert site.code == 2
    assert site.err.count("\n") == 1
    assert site.recorded() == []


def test_a_demonstration_shows_what_it_made_to_anyone(make: Callable[[bool], Site]) -> None:
    site = make(True)
    real = read(site.clock, "REAL123", demo=False)
    site.store.add(real)
    text = "\n".join(site.command("reads", "list", "--demo", "--plate", "*"))
    assert "TEST123" in text
    assert "REAL123" not in text
    assert "3 reads" in text
    site.command("reads", "show", real.read_id, "--demo")
    assert site.code == 2


def test_demo_is_refused_where_the_site_is_real(site: Site) -> None:
    assert site.command("reads", "list", "--demo") == []
    assert site.code == 2
    assert "not marked as a demonstration" in site.err


def test_purge_says_what_goes_and_what_cannot(site: Site) -> None:
    """430.4-b."""
    receipt(site.store, site.clock, 4)
    assert site.command("purge") == [
        "deleted: 0 reads, 0 pictures (0.0 MB)",
        "deleted: 0 losses and access records",
        "kept: 2 reads that HQ has not receipted",
        "kept: 1 reads within 48 hours of HQ's receipt; the first may go at 2026-03-06T12:30:00.00+00:00",
    ]
    site.clock.advance(timedelta(hours=48))
    dry = site.command("purge", "--dry-run")
    assert dry[0].startswith("would delete: 1 reads, 2 pictures")
    assert len(files(site.store)) == 6
    assert site.command("purge")[0].startswith("deleted: 1 reads, 2 pictures")
    assert len(files(site.store)) == 4
    assert site.code == 0


@pytest.mark.parametrize("command", [("reads", "list"), ("purge",)])
def test_without_a_store_there_is_one_line(site: Site, command: tuple[str, ...], tmp_path: Path) -> None:
    site.command("--set", f"store.directory={tmp_path / 'none'}", *command)
    assert site.code == 5
    assert "no store is here yet" in site.err
    assert not (tmp_path / "none").exists()


def test_a_picture_for_which_there_is_no_room_is_told_in_one_line_and_not_left_half(
    site: Site, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "stick", "64k") as stick:
        fill(stick)
        site.command("reads", "show", site.reads[0].read_id, "--pictures", stick, *AS_MORA)
        assert site.code == 4
        assert site.err.endswith(": No space left on device\n")
        assert [path.name for path in stick.iterdir()] == ["filler"]
