"""`platewarden hotlist` over lists as they come from CLEW, NCIC and the agency, and who sees their plates."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import hw
from firmware.commands.hotlist import Importing
from firmware.hotlist import HotList, build
from plates.words import AlarmClass, HotListEntry
from tests.firmware.site import AS_MORA, Site

ENTRY = HotListEntry(
    plate="8ABC123",
    state="CA",
    alarm_class=AlarmClass.STOLEN_VEHICLE,
    reason="taken from a car park",
    source="desk",
    case_number="26-0001",
    expiry="2099-12-31",
)
ENTRIES = (
    ENTRY,
    replace(ENTRY, plate="7XYZ001", alarm_class=AlarmClass.MISSING_PERSON),
    replace(ENTRY, plate="6SEC001", alarm_class=AlarmClass.SEX_OFFENDER),
)


@pytest.fixture
def site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    made = Site(tmp_path, capsys, demo=False)
    monkeypatch.setattr(hw, "open_clock", lambda *_: made.clock)
    with (tmp_path / "unit.toml").open("a") as config:
        config.write('[hotlist]\nfile = "hotlist.sqlite"\n')
    yield made
    made.store.close()


def build_list(site: Site) -> None:
    build(site.folder / "hotlist.sqlite", ENTRIES, version="v7", issued_at="")


def test_a_named_person_with_a_purpose_sees_the_entries_and_is_recorded(site: Site) -> None:
    """430.5(a): the record says how many entries were shown."""
    build_list(site)
    lines = site.command("hotlist", "show", *AS_MORA)
    assert site.code == 0, site.err
    assert [line.split()[0] for line in lines[-3:-1]] == ["7XYZ001", "8ABC123"]
    (record,) = site.recorded()
    assert (record.person, record.purpose, record.case_number) == ("A. Mora", "stolen_vehicle", "26-1")
    assert (record.action, record.query) == ("hotlist show", "hot list version v7")
    assert (record.results, record.ids, record.outcome) == (2, (), "shown")


def test_entries_of_restricted_classes_are_counted_and_not_shown(site: Site) -> None:
    """430.3(e), CJIS 4.2.2."""
    build_list(site)
    text = "\n".join(site.command("hotlist", "show", *AS_MORA))
    assert "1 entries of restricted classes are not shown" in text
    assert "6SEC001" not in text


def test_entries_are_shown_as_json(site: Site) -> None:
    build_list(site)
    shown = [json.loads(line) for line in site.command("hotlist", "show", "--json", *AS_MORA)[1:]]
    assert [entry["plate"] for entry in shown] == ["7XYZ001", "8ABC123"]
    assert shown[1]["case_number"] == "26-0001"


@pytest.mark.parametrize(
    "who",
    [
        ("--person", "late", "--purpose", "audit", "--case", "1"),
        ("--person", "mora", "--purpose", "audit"),
        ("--purpose", "audit", "--case", "1"),
    ],
)
def test_a_refused_person_sees_nothing_not_even_counts(site: Site, who: tuple[str, ...]) -> None:
    """430.3(d), 430.5(b): the attempt is recorded before anything is printed."""
    build_list(site)
    assert site.command("hotlist", "show", *who) == []
    assert site.code == 1
    assert [(record.outcome, record.results) for record in site.recorded()] == [("refused", 0)]


def test_if_the_record_cannot_be_written_nothing_is_shown(site: Site) -> None:
    """430.2.1(d): fail closed."""
    build_list(site)
    site.store._db.execute("BEGIN IMMEDIATE")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("firmware.store_db.BUSY_MS", 50)
        assert site.command("hotlist", "show", *AS_MORA) == []
    site.store._db.execute("ROLLBACK")
    assert site.code == 5


def test_a_damaged_list_shows_nothing(site: Site) -> None:
    build_list(site)
    path = site.folder / "hotlist.sqlite"
    path.write_bytes(path.read_bytes().replace(b"stolen_vehicle", b"stolen_vehiclX"))
    assert site.command("hotlist", "show", *AS_MORA) == []
    assert site.code == 5
    assert "hotlist.sqlite: is damaged" in site.err


def today_of(site: Site) -> date:
    """The unit's day where the command runs, which is not the machine's: its own clock may stand."""
    now = site.clock.now().wall
    assert now is not None
    return now.astimezone().date()


def test_clew_and_ncic_files_are_in_force_beside_one_another(site: Site) -> None:
    """430.2-a: the layouts as they come, a bad line told, each entry good for so many of the unit's days."""
    stolen, plates, ncic = (site.folder / name for name in ("svs.tbl", "slr.tbl", "VEHEXTRT.txt"))
    stolen.write_text("SVS 20261101\n8ABC124 CA1920260515\n8ABC125 NV19no date!\nTOTAL RECORD 2\n")
    plates.write_text("SLR 20261101\n7XYZ002 CA1920260301\nTOTAL RECORD 1\n")
    ncic.write_text(
        "HEADER\n"
        + f"V{'123456789'}{'CA0190000'}{'20260401'}{'6DEF003':<10}C0{'':6}{'2019'}{'TOYT'}{'CAM'}{'':2}BLU\n"
        + f"X{'987654321'}{'CA0190000'}{'20260401'}{'6DEF004':<10}CA\n"
    )
    site.command("hotlist", "import", stolen, plates, "--format", "clew", "--expires", 3)
    assert site.code == 1
    assert site.err.splitlines()[0] == f"platewarden: {stolen}:3: columns 13 to 20 are no date YYYYMMDD"
    lines = site.command("hotlist", "import", ncic, "--format", "ncic", "--source", "NCIC daily")
    assert site.code == 0, site.err
    assert lines[:3] == [
        "source NCIC daily: is new",
        "source CLEW: stays in force",
        "1 are added, 0 changed, 0 removed, 2 same",
    ]
    assert "1 left out: sex_offender is not among hotlist.classes (CJIS 4.2)" in lines
    with HotList.open(site.folder / "hotlist.sqlite") as hot_list:
        found = {entry.plate: entry for entry in hot_list.all_entries()}
    assert {plate: (e.source, e.state, e.alarm_class) for plate, e in found.items()} == {
        "8ABC124": ("CLEW", "CA", AlarmClass.STOLEN_VEHICLE),
        "7XYZ002": ("CLEW", "CA", AlarmClass.STOLEN_PLATE),
        "6DEF003": ("NCIC daily", "CO", AlarmClass.STOLEN_VEHICLE),
    }
    assert found["6DEF003"].case_number == "123456789"
    today = today_of(site)
    assert found["8ABC124"].expiry == (today + timedelta(days=3)).isoformat()


def test_days_are_the_units_own_in_the_evening_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """430.2-a: at 22:30 in California it is tomorrow in UTC, and an entry good for a day ends tomorrow."""
    file = site.folder / "svs.tbl"
    file.write_text("SVS 20261101\n8ABC124 CA1920260515\nTOTAL RECORD 1\n")
    args = argparse.Namespace(
        files=[file], format="clew", alarm_class=None, source="", expires=1, case="", map=[], delimiter=","
    )
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        evening = datetime(2026, 11, 28, 6, 30, tzinfo=UTC)
        (entry,) = Importing(args, ["stolen_vehicle"], evening, sys.stderr).entries()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert entry.expiry == "2026-11-28"


@pytest.mark.parametrize("dry", [False, True])
def test_what_has_expired_is_counted_and_not_loaded(site: Site, dry: bool) -> None:
    """While the clock is not set every entry matches: a cancelled lead would stop an innocent driver."""
    build_list(site)
    today = today_of(site)
    yesterday = (today - timedelta(days=1)).isoformat()
    listed = site.folder / "list.csv"
    listed.write_text(
        f"plate,class,source,expiry\n8ABC124,stolen_vehicle,state,{yesterday}\n"
        f"8ABC125,stolen_vehicle,state,{today}\n8ABC126,stolen_vehicle,desk,{yesterday}\n"
    )
    lines = site.command("hotlist", "import", listed, *(["--dry-run"] if dry else []))
    assert site.code == 0, site.err
    assert [line.replace("would be", "is").replace("are added", "is added") for line in lines[:4]] == [
        "source desk: is without entries: all have expired",
        "source state: is new",
        "1 is added, 0 changed, 3 removed, 0 same",
        "2 left out: expired",
    ]
    with HotList.open(site.folder / "hotlist.sqlite") as hot_list:
        assert hot_list.sources() == ({"desk": 3} if dry else {"state": 1})


def test_a_file_of_which_all_has_expired_leaves_the_list_in_force(site: Site) -> None:
    build_list(site)
    (site.folder / "list.csv").write_text(
        "plate,class,source,expiry\n8ABC124,stolen_vehicle,desk,2020-01-01\n"
    )
    site.command("hotlist", "import", site.folder / "list.csv")
    assert site.code == 1
    assert "no entry could be loaded: all 1 have expired; the list in force stays" in site.err
    with HotList.open(site.folder / "hotlist.sqlite") as hot_list:
        assert hot_list.sources() == {"desk": 3}


@pytest.mark.parametrize("there", [False, True])
def test_a_dry_run_writes_nothing(site: Site, there: bool) -> None:
    """Neither the folder that is missing, nor into it, nor what a build left there that was killed."""
    folder = site.folder / "lists"
    if there:
        folder.mkdir()
        build(folder / "hotlist.sqlite", ENTRIES, version="v7", issued_at="")
        left = folder / ".hotlist.sqlite.killed"
        left.touch()
        os.utime(left, (0, 0))
    (site.folder / "list.csv").write_text("plate,class\n8ABC124,stolen_vehicle\n")
    before = {path: path.stat().st_mtime_ns for path in site.folder.rglob("*") if "store" not in path.parts}
    file = f"hotlist.file={folder / 'hotlist.sqlite'}"
    lines = site.command("--set", file, "hotlist", "import", site.folder / "list.csv", "--dry-run")
    assert site.code == 0, site.err
    # One of the three in force is of a class that is not loaded.
    assert f"1 would be added, 0 changed, {'1 removed, 2' if there else '0 removed, 0'} same" in lines
    after = {path: path.stat().st_mtime_ns for path in site.folder.rglob("*") if "store" not in path.parts}
    assert after == before


@pytest.mark.parametrize("as_whom", [(), AS_MORA])
def test_every_line_of_json_is_json(site: Site, as_whom: tuple[str, ...]) -> None:
    build_list(site)
    head, *entries = [json.loads(line) for line in site.command("hotlist", "show", "--json", *as_whom)]
    assert (head["version"], head["entries"], head["sources"]["desk"]["entries"]) == ("v7", 3, 3)
    assert [entry["plate"] for entry in entries] == (["7XYZ001", "8ABC123"] if as_whom else [])


@pytest.mark.parametrize(
    "options", [("--map", "plate"), ("--map", "plates=LPN"), ("--format", "clew", "--map", "plate=LPN")]
)
def test_a_wrong_mapping_is_wrong_usage(site: Site, options: tuple[str, ...]) -> None:
    (site.folder / "list.csv").write_text("LPN\n8ABC123\n")
    site.command("hotlist", "import", str(site.folder / "list.csv"), *options)
    assert site.code == 2
    assert "--map" in site.err
