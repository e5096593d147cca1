"""The hot list in force: built, looked up, replaced, damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from firmware.hotlist import HotList, HotListFileError, build, preview
from plates.words import AlarmClass, HotListEntry, MatchKind


def entry(plate: str, *, state: str = "CA", expiry: str = "2026-12-31", **rest: object) -> HotListEntry:
    made: dict[str, object] = {
        "plate": plate,
        "state": state,
        "alarm_class": AlarmClass.STOLEN_VEHICLE,
        "reason": "taken from a car park",
        "source": "test",
        "case_number": "26-0001",
        "expiry": expiry,
        **rest,
    }
    return HotListEntry(**made)  # type: ignore[arg-type]


ENTRIES = [
    entry("8ABC123"),
    entry("8OPS77"),
    entry("8ABC123", state="NV", priority=90),
    entry("7X?Z*", partial=True, alarm_class=AlarmClass.MAJOR_INCIDENT_PARTIAL),
    entry("OLD123", expiry="2026-11-01"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "hotlist.sqlite"
    build(file, ENTRIES, version="1", issued_at="2026-11-24T00:00:00.00+00:00")
    return file


def test_exact_match_says_so_and_prefers_the_reading_s_state(path: Path) -> None:
    with HotList.open(path) as hot_list:
        found = hot_list.match("8ABC123", state="NV", today=date(2026, 11, 24))
    assert [(m.kind, m.entry.state, m.state_agrees) for m in found] == [
        (MatchKind.EXACT, "NV", True),
        (MatchKind.EXACT, "CA", False),
    ]
    assert all(m.score == 1.0 for m in found)


def test_look_alike_needs_the_ocr_s_own_doubt(path: Path) -> None:
    sure, unsure = [0.999] * 6, [0.6, 0.999, 0.999, 0.999, 0.999, 0.999]
    with HotList.open(path) as hot_list:
        assert hot_list.match("BOPS77", char_confidence=sure) == []
        (found,) = hot_list.match("BOPS77", char_confidence=unsure)
        assert hot_list.match("BOPS77", char_confidence=unsure, substitutions=0) == []
    assert (found.kind, found.entry.plate) == (MatchKind.LOOKALIKE, "8OPS77")
    assert 0.05 <= found.score < 1.0


def test_a_sure_o_matches_a_listed_zero_as_a_look_alike(path: Path) -> None:
    """430.3(f): a lead that the officer compares with the plate, never called exact."""
    build(path, [entry("80PS77")], version="2", issued_at="")
    with HotList.open(path) as hot_list:
        (found,) = hot_list.match("8OPS77", char_confidence=[1.0] * 6, candidates={"8OPS77": 1.0})
        assert hot_list.match("8OPS77", char_confidence=[1.0] * 6, substitutions=0) == []
    assert (found.kind, found.score) == (MatchKind.LOOKALIKE, 0.5)


@pytest.mark.clause("430.3(c)-2")
def test_partial_plate_matches_and_is_never_called_exact(path: Path) -> None:
    """430.3(c): a partial plate is matched, scored and shown as partial."""
    with HotList.open(path) as hot_list:
        (found,) = hot_list.match("7XYZ123")
    assert found.kind is MatchKind.PARTIAL
    assert found.score < 1.0


@pytest.mark.clause("430.3(c)-2")
def test_partial_plate_matches_by_look_alike_with_a_lower_score(path: Path) -> None:
    """430.3(c): confusable classes count for a partial plate, scored and never shown as exact."""
    with HotList.open(path) as hot_list:
        (to_the_letter,) = hot_list.match("7XYZ123")
        (alike,) = hot_list.match("7XY2123")
        assert hot_list.match("7XY2123", substitutions=0) == []
        assert hot_list.match("7VY2123") == []
    assert (alike.kind, alike.score) == (MatchKind.PARTIAL, to_the_letter.score / 2)


def test_expired_entry_no_longer_matches_once_the_date_is_known(path: Path) -> None:
    with HotList.open(path) as hot_list:
        assert hot_list.match("OLD123", today=date(2026, 11, 24)) == []
        assert len(hot_list.match("OLD123", today=date(2026, 11, 1))) == 1
        assert len(hot_list.match("OLD123", today=None)) == 1


def test_age_is_told_from_the_time_of_issue(path: Path) -> None:
    """430.3(f): an alarm says how old its list is."""
    with HotList.open(path) as hot_list:
        assert hot_list.age_s(datetime(2026, 11, 24, 1, tzinfo=UTC)) == 3600.0
        assert (hot_list.version, hot_list.entries) == ("1", 5)


def test_new_list_tells_what_changed_and_twice_the_same_changes_nothing(path: Path) -> None:
    new = [*ENTRIES[1:], entry("NEW1"), entry("8OPS77", reason="another reason")]
    told = preview(path, new)
    assert (told.added, told.changed, told.removed, told.same) == (1, 1, 1, 3)
    assert build(path, new, version="2", issued_at="") == told
    assert build(path, new, version="2", issued_at="").same == 5


def test_open_list_stays_in_force_while_another_takes_its_place(path: Path) -> None:
    with HotList.open(path) as hot_list:
        build(path, [entry("NEW1")], version="2", issued_at="")
        assert hot_list.match("8ABC123")
    with HotList.open(path) as hot_list:
        assert not hot_list.match("8ABC123")


def test_failing_import_leaves_the_old_list_and_no_litter(path: Path) -> None:
    def breaks() -> Iterator[HotListEntry]:
        yield entry("NEW1")
        raise OSError("the stick was pulled out")

    with pytest.raises((HotListFileError, OSError), match="pulled out"):
        build(path, breaks(), version="2", issued_at="")
    with HotList.open(path) as hot_list:
        assert hot_list.version == "1"
    assert os.listdir(path.parent) == [path.name]


def test_of_two_imports_at_a_time_neither_takes_out_what_the_other_brought(path: Path) -> None:
    def keep(kept: HotListEntry) -> bool:
        return kept.source != "slow"

    def slow() -> Iterator[HotListEntry]:
        yield entry("1AAA111", source="slow")
        build(path, [entry("2BBB222", source="quick")], version="2", issued_at="", keep=lambda _: True)

    with pytest.raises(HotListFileError, match="changed meanwhile: import again"):
        build(path, slow(), version="3", issued_at="", keep=keep)
    with HotList.open(path) as hot_list:
        assert hot_list.sources() == {"test": len(ENTRIES), "quick": 1}
    build(path, [entry("1AAA111", source="slow")], version="3", issued_at="", keep=keep)
    with HotList.open(path) as hot_list:
        assert hot_list.sources() == {"test": len(ENTRIES), "quick": 1, "slow": 1}


def test_what_a_killed_import_left_is_swept_by_a_later_one(path: Path) -> None:
    """Such a file holds as many plates as a list and is as large."""
    left, running = path.with_name(f".{path.name}.left"), path.with_name(f".{path.name}.running")
    left.write_bytes(b"plates")
    os.utime(left, (0, 0))
    running.write_bytes(b"plates")
    build(path, ENTRIES, version="2", issued_at="")
    assert (left.exists(), running.exists()) == (False, True)


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "missing", "other"])
def test_damaged_list_is_one_clear_error_that_names_the_file(path: Path, damage: str) -> None:
    whole = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"\x00garbage" * 1000)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "missing":
        path.unlink()
    else:
        path.write_text("plate,state\nABC123,CA\n")
    with pytest.raises(HotListFileError, match=r"hotlist\.sqlite") as caught:
        HotList.open(path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root imports for somebody else")
def test_a_list_that_root_imports_is_its_folders_owners_to_read(path: Path) -> None:
    """`sudo platewarden hotlist import` where root's umask keeps everybody out."""
    os.chown(path.parent, 65534, 65534)
    before = os.umask(0o077)
    try:
        build(path, ENTRIES, version="2", issued_at="")
    finally:
        os.umask(before)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_damaged_entry_is_an_error_of_the_list_and_not_of_the_loop(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"stolen_vehicle", b"stolen_vehiclX"))
    with HotList.open(path) as hot_list, pytest.raises(HotListFileError, match="is damaged"):
        hot_list.match("8ABC123")


def test_what_is_kept_keeps_its_age(path: Path) -> None:
    """430.3(f): a fresh source does not make the entries of another one look fresh."""
    issued = "2026-11-24T06:00:00.00+00:00"
    new = [entry("NEW1", source="other")]
    changes = build(path, new, version="2", issued_at=issued, keep=lambda e: e.source != "other")
    assert (changes.added, changes.removed, changes.same) == (1, 0, 5)
    now = datetime(2026, 11, 24, 7, tzinfo=UTC)
    with HotList.open(path) as hot_list:
        assert hot_list.sources() == {"other": 1, "test": 5}
        assert [hot_list.age_s(now, source) for source in (None, "test", "other")] == [25200, 25200, 3600]
    build(path, new, version="3", issued_at="2026-11-24T06:30:00.00+00:00", keep=lambda e: e.source == "test")
    with HotList.open(path) as hot_list:
        assert [hot_list.age_s(now, source) for source in (None, "test", "other")] == [25200, 25200, 1800]


def test_damage_inside_the_old_list_is_no_obstacle_unless_it_is_to_be_kept(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"stolen_vehicle", b"stolen_vehiclX"))
    with pytest.raises(HotListFileError, match="is damaged"):
        build(path, [entry("NEW1")], version="2", issued_at="", keep=lambda e: True)
    assert build(path, [entry("NEW1")], version="2", issued_at="").added == 1


def test_new_list_replaces_a_damaged_one(path: Path) -> None:
    path.write_bytes(b"garbage")
    assert build(path, ENTRIES, version="2", issued_at="").added == 5


def platewarden(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = [f"hotlist.file={tmp_path / 'hotlist.sqlite'}", f"store.directory={tmp_path / 'store'}"]
    config = tmp_path / "unit.toml"
    config.write_text('[unit]\nid = "test-1"\n')
    sets = [word for setting in settings for word in ("--set", setting)]
    return subprocess.run(
        [sys.executable, "-m", "firmware.cli", "--config", str(config), *sets, *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_replaces_the_sources_of_its_files_and_leaves_the_others(tmp_path: Path) -> None:
    """430.2-a: a list of the agency's own and the state's are in force together."""
    manual, clew = tmp_path / "list.csv", tmp_path / "svs.tbl"
    manual.write_text("plate,class\n8ABC123,stolen_vehicle\n7XYZ001,missing_person\n")
    clew.write_text("SVS\n8ABC124 CA1220260515\nTOTAL RECORD 1\n")
    assert platewarden(tmp_path, "hotlist", "import", str(manual)).returncode == 0
    done = platewarden(tmp_path, "hotlist", "import", str(clew), "--format", "clew")
    assert done.stdout.splitlines()[:3] == [
        "source CLEW: is new",
        "source manual: stays in force",
        "1 are added, 0 changed, 0 removed, 2 same",
    ]
    manual.write_text("plate,class,source\n8ABC125,stolen_vehicle,\n8ABC126,stolen_vehicle,desk\n")
    dry = platewarden(tmp_path, "hotlist", "import", str(manual), "--dry-run")
    assert dry.stdout.splitlines()[:4] == [
        "source desk: would be new",
        "source manual: would be replaced",
        "source CLEW: stays in force",
        "2 would be added, 0 changed, 2 removed, 1 same",
    ]
    with HotList.open(tmp_path / "hotlist.sqlite") as hot_list:
        assert hot_list.sources() == {"CLEW": 1, "manual": 2}
        assert [bool(hot_list.match(plate)) for plate in ("8ABC123", "8ABC124", "8ABC125")] == [
            True,
            True,
            False,
        ]


def test_a_class_that_was_switched_off_goes_with_the_next_import(tmp_path: Path) -> None:
    """430.2-b: what the agency no longer loads does not stay in force beside another source."""
    build(tmp_path / "hotlist.sqlite", ENTRIES, version="v7", issued_at="")
    (tmp_path / "list.csv").write_text("plate,class\n8ABC124,missing_person\n")
    classes = 'hotlist.classes=["missing_person"]'
    done = platewarden(tmp_path, "--set", classes, "hotlist", "import", str(tmp_path / "list.csv"))
    assert "1 are added, 0 changed, 5 removed, 0 same" in done.stdout


def test_clear_takes_one_source_away(tmp_path: Path) -> None:
    path = tmp_path / "hotlist.sqlite"
    build(path, [*ENTRIES, entry("NEW1", source="desk")], version="v7", issued_at="")
    wrong = platewarden(tmp_path, "hotlist", "clear", "--source", "CLEW")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert platewarden(tmp_path, "hotlist", "clear", "--source", "test").returncode == 0
    with HotList.open(path) as hot_list:
        assert hot_list.sources() == {"desk": 1}
    assert platewarden(tmp_path, "hotlist", "clear", "--source", "desk").returncode == 0
    assert not path.exists()


def test_import_reports_bad_lines_and_loads_the_rest(tmp_path: Path) -> None:
    """SB 54: a class that may never be on is left out and counted, whatever the file says."""
    file = tmp_path / "list.csv"
    file.write_text(
        "LPN,class,expiry\n8ABC123,stolen_vehicle,2099-01-01\n??,stolen_vehicle,2099-01-01\n"
        "7XYZ001,immigration_violator,2099-01-01\n7XYZ002,sex_offender,2099-01-01\n"
    )
    done = platewarden(tmp_path, "hotlist", "import", str(file), "--map", "plate=LPN", "--version", "v1")
    assert done.returncode == 1
    assert f"{file}:3: " in done.stderr
    assert "1 are added" in done.stdout
    assert "1 left out: immigration_violator is never loaded (SB 54)" in done.stdout
    assert "1 left out: sex_offender is not among hotlist.classes" in done.stdout
    assert "8ABC123" not in done.stdout + done.stderr
    with HotList.open(tmp_path / "hotlist.sqlite") as hot_list:
        assert hot_list.match("8ABC123")
        assert not hot_list.match("7XYZ001")


def test_show_gives_counts_only_without_a_person_and_a_purpose(tmp_path: Path) -> None:
    """430.5(a): no plate without a named person."""
    build(tmp_path / "hotlist.sqlite", ENTRIES, version="v7", issued_at="")
    done = platewarden(tmp_path, "hotlist", "show")
    assert done.returncode == 0
    assert "version v7, 5 entries" in done.stdout
    assert "source test: 5 entries, of unknown age" in done.stdout
    assert "8ABC123" not in done.stdout + done.stderr


def test_clear_takes_the_list_away(tmp_path: Path) -> None:
    build(tmp_path / "hotlist.sqlite", ENTRIES, version="v7", issued_at="")
    assert platewarden(tmp_path, "hotlist", "clear").returncode == 0
    assert not (tmp_path / "hotlist.sqlite").exists()
    assert platewarden(tmp_path, "hotlist", "clear").returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "extra"),
    [
        ("list.csv", "plate,class\n", []),
        ("list.csv", "plate,class\n8ABC123,immigration_violator\n", []),
        ("svs.tbl", "SVS 20261101\nABC1234 CA1220190515\n", ["--format", "clew"]),
    ],
    ids=["empty", "nothing allowed", "cut short"],
)
def test_import_that_brings_nothing_leaves_the_old_list_in_force(
    tmp_path: Path, name: str, content: str, extra: list[str]
) -> None:
    build(tmp_path / "hotlist.sqlite", ENTRIES, version="v7", issued_at="")
    (tmp_path / name).write_text(content)
    done = platewarden(tmp_path, "hotlist", "import", str(tmp_path / name), *extra)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    with HotList.open(tmp_path / "hotlist.sqlite") as hot_list:
        assert (hot_list.version, hot_list.entries) == ("v7", 5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["missing.csv"], "missing.csv"),
        (["empty.csv"], "names no columns"),
        (["empty.csv", "--map", "plate"], "FIELD=COLUMN"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, words: list[str], told: str) -> None:
    (tmp_path / "empty.csv").touch()
    done = platewarden(tmp_path, "hotlist", "import", str(tmp_path / words[0]), *words[1:])
    assert done.returncode not in (0, 1) or "Traceback" not in done.stderr
    assert done.returncode != 0
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
