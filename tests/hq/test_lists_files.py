"""What of a file goes on a list, and what a version changes against the one before (rec 20/48, 430.2)."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hq.lists import classes, compare
from hq.lists.sift import Layout, Tally, sift
from plates.diff import diff, key_of
from plates.words import CLASS_RULES, AlarmClass, HotListEntry

TODAY = date(2026, 3, 4)
LAST = date(2026, 3, 5)
ON = frozenset(name.value for name, rule in CLASS_RULES.items() if rule.default_on)
CSV = Layout(source="county", format="csv", mapping={"plate": "LPN", "class": "Kind"})


def sifted(text: str, layout: Layout = CSV, file: str = "list.csv") -> tuple[list[HotListEntry], Tally]:
    tally = Tally()
    lines = [line.encode() + b"\n" for line in text.splitlines()]
    got = sift(file, lines, layout, classes=ON, today=TODAY, last_day=LAST, tally=tally)
    return list(got), tally


def entry(plate: str, **changed: object) -> HotListEntry:
    whole = HotListEntry(
        plate=plate,
        state="CA",
        alarm_class=AlarmClass.STOLEN_VEHICLE,
        reason="stolen",
        source="county",
        case_number="",
        expiry="2026-03-05",
    )
    return dataclasses.replace(whole, **changed)  # type: ignore[arg-type]


@pytest.mark.clause("rec 20")
@pytest.mark.clause("rec 48")
def test_no_entry_outlives_its_lists_time_to_live() -> None:
    rows = ["TST001,stolen_plate,2027-01-01", "TST002,stolen_plate,", "TST003,stolen_plate,2026-03-03"]
    text = "\n".join(["LPN,Kind,expiry", *rows])
    entries, tally = sifted(text)
    assert [(e.plate, e.expiry) for e in entries] == [("TST001", "2026-03-05"), ("TST002", "2026-03-05")]
    assert (tally.taken, tally.expired, tally.lines) == (2, 1, 4)


@pytest.mark.clause("SB 54")
@pytest.mark.clause("430.2-a")
@pytest.mark.clause("430.2-b")
def test_classes_that_are_off_and_unknown_ones_are_left_out_and_counted() -> None:
    text = (
        "LPN,Kind\nTST001,immigration_violator\nTST002,sex_offender\nTST003,curious\nTST004,stolen_property\n"
    )
    entries, tally = sifted(text)
    assert [e.plate for e in entries] == ["TST004"]
    assert tally.left_out == Counter(immigration_violator=1, sex_offender=1)
    assert tally.bad == 1
    assert "TST003" not in " ".join(tally.told)


@pytest.mark.clause("SB 54")
def test_no_list_can_hold_immigration_violator() -> None:
    assert set(classes.ALL) == set(AlarmClass) - {"immigration_violator"}
    with pytest.raises(classes.ClassRefused, match="SB 54"):
        classes.check(["immigration_violator"])


@pytest.mark.clause("430.2-a")
@pytest.mark.clause("430.2-b")
def test_the_list_of_classes_is_closed() -> None:
    with pytest.raises(classes.ClassRefused, match="430\\.2-a"):
        classes.check(["personal"])
    assert classes.check(["stolen_plate", "stolen_vehicle"]) == ["stolen_vehicle", "stolen_plate"]


def test_a_clew_file_takes_its_class_from_its_name_and_must_be_whole() -> None:
    layout = Layout(source="CLEW", format="clew")
    whole = "HEADER\nTST1234 CA1220260301\nTOTAL RECORDS 1\n"
    entries, tally = sifted(whole, layout, "svs.tbl")
    assert [(e.alarm_class, e.source) for e in entries] == [(AlarmClass.STOLEN_VEHICLE, "CLEW")]
    assert len(tally.sha256) == 64
    with pytest.raises(ValueError, match="cut short"):
        sifted(whole.replace("TOTAL RECORDS 1\n", ""), layout, "svs.tbl")


_plates = st.text("AB0", min_size=1, max_size=3)
_lists = st.dictionaries(_plates, st.sampled_from(["one reason", "another"]), max_size=30)


@settings(deadline=None)
@given(_lists, _lists)
def test_the_changes_are_those_of_the_shared_diff_and_lead_from_one_list_to_the_other(
    old: dict[str, str], new: dict[str, str]
) -> None:
    before = sorted((entry(p, reason=r) for p, r in old.items()), key=key_of)
    after = sorted((entry(p, reason=r) for p, r in new.items()), key=key_of)
    told: list[tuple[str, HotListEntry]] = []
    found = compare.compare(before, after, lambda kind, one: told.append((kind, one)))
    shared = diff(before, after)
    assert [found.counts[k] for k in ("added", "changed", "removed", "same")] == [
        shared.added,
        shared.changed,
        shared.removed,
        shared.same,
    ]
    applied = {key_of(e): e for e in before}
    for kind, one in told:
        if kind == compare.REMOVED:
            del applied[key_of(one)]
        else:
            applied[key_of(one)] = one
    assert applied == {key_of(e): e for e in after}


def test_a_later_expiry_alone_is_no_change() -> None:
    found = compare.compare([entry("AB1")], [entry("AB1", expiry="2026-03-09")])
    assert found.as_json() == {
        "added": 0,
        "changed": 0,
        "removed": 0,
        "same": 1,
        "by_class": {"stolen_vehicle": {"same": 1}},
    }


def test_what_looks_like_a_cut_or_a_misread_file_is_warned_of() -> None:
    before = [entry(f"AB{n:03d}") for n in range(100)]
    cut = compare.compare(before, before[:70])
    said = compare.warnings(
        cut, lines=70, bad=30, expected=["stolen_vehicle"], present={"stolen_vehicle": 70}
    )
    assert len(said) == 2
    assert "30 of 100" in said[0]
    assert "mapping" in said[1]
    gone = compare.compare(before, [])
    assert (
        "stolen vehicle" in compare.warnings(gone, lines=0, bad=0, expected=["stolen_vehicle"], present={})[1]
    )
    grown = compare.compare(before, sorted([*before, *(entry(f"X{n:03d}") for n in range(60))], key=key_of))
    assert "from 100 to 160" in compare.warnings(grown, lines=160, bad=0, expected=[], present={})[0]
