"""Hot list files as agencies have them, and as they break them."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates.diff import diff, key_of
from plates.errors import HotListFormatError
from plates.parsers import (
    BadLine,
    Defaults,
    Parsed,
    clew_class,
    decode_lines,
    parse_clew,
    parse_csv,
    parse_ncic,
)
from plates.words import AlarmClass, HotListEntry

DEFAULTS = Defaults(source="test", expiry="2026-12-01", alarm_class=AlarmClass.STOLEN_VEHICLE)


def split(parsed: Parsed) -> tuple[list[HotListEntry], list[BadLine]]:
    good, bad = [], []
    for item in parsed:
        (bad if isinstance(item, BadLine) else good).append(item)
    return good, bad  # type: ignore[return-value]


def lines(text: str, encoding: str = "utf-8") -> list[str]:
    return list(decode_lines(io.BytesIO(text.encode(encoding))))


def test_csv_columns_are_mapped_and_a_bad_line_leaves_the_rest() -> None:
    text = (
        "LPN,State,Why,Until,Prio\r\n"
        "abc 123,CA,taken from a car park,2026-12-24,80\r\n"
        ",CA,no plate,2026-12-24,80\r\n"
        "XYZ987,California,long state,2026-12-24,80\r\n"
        "XYZ987,NV,bad date,24.12.2026,80\r\n"
        "XYZ987,NV,bad priority,2026-12-24,101\r\n"
        "XYZ987,NV,one,too,many,cells\r\n"
        "\r\n"
        "XYZ987,us-nv,good,,\r\n"
    )
    mapping = {"plate": "LPN", "reason": "why", "expiry": "Until", "priority": "Prio"}
    good, bad = split(parse_csv("list.csv", lines(text), mapping, DEFAULTS))
    assert [(e.plate, e.state, e.expiry, e.priority) for e in good] == [
        ("ABC123", "CA", "2026-12-24", 80),
        ("XYZ987", "NV", "2026-12-01", 50),
    ]
    assert [b.line for b in bad] == [3, 4, 5, 6, 7]
    assert str(bad[0]) == "list.csv:3: the plate is empty"
    assert not any("XYZ987" in str(b) for b in bad)


@pytest.mark.parametrize(
    ("header", "mapping", "told"),
    [
        ("number,state", {}, "no column holds the plate"),
        ("plate,state", {"plate": "LPN"}, "no column 'LPN'"),
        ("plate,state", {"colour": "state"}, "no field 'colour'"),
        ("", {}, "names no columns"),
    ],
)
def test_csv_that_cannot_be_mapped_says_what_is_missing(
    header: str, mapping: dict[str, str], told: str
) -> None:
    with pytest.raises(HotListFormatError, match=told):
        list(parse_csv("list.csv", [header, "ABC123,CA"], mapping, DEFAULTS))


@pytest.mark.clause("430.7-b")
def test_complaint_about_a_line_or_a_first_line_tells_no_plate() -> None:
    """It goes into logs. Columns slip where a comma is not quoted; a file may have lost its first line."""
    slipped = ["plate,state,class", "7QZX881,CA,8QZX882", "7QZX883,CA,stolen_car"]
    bad = [str(line) for line in parse_csv("a.csv", slipped, {}, DEFAULTS)]
    assert "qzx" not in "".join(bad).casefold()
    assert "unknown class 'stolen_car'" in bad[1]
    without = ["7QZX881,CA,stolen_vehicle"]
    with pytest.raises(HotListFormatError, match="there is no column 'tag'; the file has") as refused:
        list(parse_csv("a.csv", without, {"plate": "tag"}, DEFAULTS))
    assert "7qzx" not in str(refused.value)
    assert "stolen_vehicle" in str(refused.value)


def test_csv_with_a_mark_and_old_encodings_reads_the_same() -> None:
    text = "plate,reason\nABC123,Peña\n"
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        good, bad = split(parse_csv("f", lines(text, encoding), {}, DEFAULTS))
        assert not bad
        assert good[0].reason == "Peña"


def test_partial_plates_need_their_incident() -> None:
    """430.3(c): a partial plate is tied to an incident."""
    text = ["plate,case_number", "7AB*,26-0001", "7AB*,", "?,26-0002"]
    good, bad = split(parse_csv("f", text, {}, DEFAULTS))
    assert [(e.plate, e.partial) for e in good] == [("7AB*", True)]
    assert "430.3(c)" in bad[0].reason
    assert "known characters" in bad[1].reason


def test_stray_quote_costs_its_own_line_and_no_other() -> None:
    text = ["plate,reason", 'ABC0001,"a stray quote', *(f"XYZ{n:04d},sound" for n in range(2000))]
    good, bad = split(parse_csv("f", text, {}, DEFAULTS))
    assert len(good) == 2000
    assert [line.line for line in bad] == [2]


def test_words_of_a_note_of_several_lines_become_no_plates() -> None:
    """As Excel saves it: the officer must not be told of a plate that nobody listed."""
    note = ['ABC0001,CA,"seen with', "8XYZ123", "", 'and gone",26-1']
    text = ["plate,state,reason,case_number", *note, "ABC0002,CA,sound,", "ABC0003"]
    good, bad = split(parse_csv("f", text, {}, DEFAULTS))
    assert [entry.plate for entry in good] == ["ABC0002", "ABC0003"]
    assert [line.line for line in bad] == [2, 3, 5]
    assert bad[1].reason == "may be the rest of line 2, of which a quote is not closed"


def test_partial_plate_that_matches_half_the_traffic_is_refused_with_its_estimate() -> None:
    """430.3(c)-2: no partial entry so wide that it alarms all day; the estimate is shown."""
    good, bad = split(parse_csv("f", ["plate,case_number", "*1*2*,26-0001", "12*,26-0001"], {}, DEFAULTS))
    assert [entry.plate for entry in good] == ["12*"]
    assert "too wide: it would match about 14.7 of 100" in bad[0].reason


def test_clew_file_gives_its_class_and_complains_when_cut_short() -> None:
    whole = ["SVS 20190601", "ABC1234 CA1220190515", "XYZ98   NV  20190101", "TOTAL RECORD 2"]
    good, bad = split(parse_clew("svs.tbl", whole, DEFAULTS))
    assert [(e.plate, e.state) for e in good] == [("ABC1234", "CA"), ("XYZ98", "NV")]
    assert "2019-05-15, county 12" in good[0].reason
    assert not bad
    with pytest.raises(HotListFormatError, match="cut short"):
        list(parse_clew("svs.tbl", whole[:-1], DEFAULTS))
    assert clew_class("SFR.TBL") is AlarmClass.FELONY_VEHICLE
    assert clew_class("other.tbl") is None
    with pytest.raises(HotListFormatError, match="which class"):
        list(parse_clew("other.tbl", whole, Defaults(source="CLEW", expiry="2026-12-01")))


def test_ncic_line_is_read_by_its_columns() -> None:
    text = [
        "HEADER",
        "V123456789LA057020020190509AB123456  CA2009MC2009YAMACYLMCBLK",
        "P123456789LA057020020190509AB123456  C02009MC",
        "Z123456789LA057020020190509AB123456  CA",
        "V123456789LA0570200",
        "V123456789LA057020020199909AB123456  CA",
    ]
    good, bad = split(parse_ncic("VEHEXTRT.txt", text, DEFAULTS))
    assert [(e.plate, e.state, e.alarm_class, e.case_number) for e in good] == [
        ("AB123456", "CA", AlarmClass.STOLEN_VEHICLE, "123456789"),
        ("AB123456", "CO", AlarmClass.STOLEN_PLATE, "123456789"),
    ]
    assert [b.line for b in bad] == [4, 5, 6]


@pytest.mark.parametrize(
    "first",
    ["ABC1234 CA1220190515", "AB      OR0120191231", "7TST123 CA1920260515  "],
)
def test_a_clew_file_without_a_header_loses_no_entry(first: str) -> None:
    good, bad = split(parse_clew("svs.tbl", [first, "TOTAL RECORD 1"], DEFAULTS))
    assert [entry.plate for entry in good] == [first.split()[0]]
    assert not bad
    assert not list(parse_clew("svs.tbl", ["TOTAL RECORD 0"], DEFAULTS))


def test_an_ncic_file_without_a_header_loses_no_entry() -> None:
    first = "V123456789LA057020020190509AB123456  0H2009MC2009YAMACYLMCBLK"
    good, bad = split(parse_ncic("VEHEXTRT.txt", [first], DEFAULTS))
    assert [(entry.plate, entry.state) for entry in good] == [("AB123456", "OH")]
    assert not bad


@pytest.mark.parametrize(
    "header",
    [
        "SVS 20190601",
        "SVS     CA  20190601",
        "STOLEN V CA1920190601",
        "SVS FILE20190601CA1220190515",
        "SVS     CA1920191301",
        "PLATE   STCOLOSSDATE",
        "",
        "\x1a",
        "VEHEXTRT 20190509",
        "VEHEXTRT.TXT       20190509STOLEN VEHCA",
        "H20190509CALIFORNIA20190509EXTRACT OFCA",
        "TRECORD NOAGENCY   DATE    PLATE     ST",
    ],
)
def test_a_header_is_no_plate(header: str) -> None:
    """Its words would alarm on whoever has such a plate."""
    assert not list(parse_clew("svs.tbl", [header, "TOTAL RECORD 0"], DEFAULTS))
    assert not list(parse_ncic("VEHEXTRT.txt", [header], DEFAULTS))


def test_clew_file_that_goes_on_after_its_last_line_is_refused() -> None:
    """Two files joined into one: the second's entries are of another class and must not vanish unsaid."""
    joined = ["SVS 20190601", "ABC1234 CA1220190515", "TOTAL RECORD 1", "SLR", "XYZ98   NV  20190101"]
    with pytest.raises(HotListFormatError, match=r"svs\.tbl:4: goes on after"):
        list(parse_clew("svs.tbl", joined, DEFAULTS))
    assert len(list(parse_clew("svs.tbl", [*joined[:3], "", "\x1a"], DEFAULTS))) == 1


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("over", range(-2, 12))
def test_a_line_that_is_too_long_is_bad_and_takes_no_other_with_it(over: int, end: bytes) -> None:
    """Cut at its length it could lose its last cells, its expiry among them, and be loaded all the same."""
    row = b"ABC1234,2026-01-01,"
    long = row + b"x" * (4096 + over - len(row))
    file = end.join([b"\xef\xbb\xbfplate,expiry,reason", long, b"XYZ987,2026-01-01,y", long * 3, b"QRS55,,z"])
    good, bad = split(parse_csv("f", decode_lines(io.BytesIO(file)), {}, DEFAULTS))
    assert [entry.plate for entry in good] == ["ABC1234"] * (over <= 0) + ["XYZ987", "QRS55"]
    assert [line.line for line in bad] == [2] * (over > 0) + [4]
    assert bad[-1].reason == "is longer than 4096 bytes"


def test_a_file_without_line_ends_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    with path.open("rb") as lines:
        assert [len(line) for line in decode_lines(lines)] == [4096]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("parse", [partial(parse_csv, mapping={}), parse_clew, parse_ncic])
def test_a_spreadsheets_unicode_text_is_named_as_what_it_is(parse: Callable[..., Parsed]) -> None:
    data = "plate,class\nABC1234,stolen_plate\n".encode("utf-16")
    with pytest.raises(HotListFormatError, match=r"svs\.tbl: is UTF-16; save it as UTF-8"):
        list(parse("svs.tbl", decode_lines(io.BytesIO(data)), defaults=DEFAULTS))


def test_what_steers_a_terminal_does_not_get_into_an_entry() -> None:
    text = ["plate,reason,source,case_number", "ABC1234,a\x1b[2Jb,c\x9bd,e\x07f"]
    good, _ = split(parse_csv("f", text, {}, DEFAULTS))
    assert (good[0].reason, good[0].source, good[0].case_number) == ("a [2Jb", "c d", "e f")


@given(st.binary(max_size=400), st.sampled_from(["csv", "clew", "ncic"]))
def test_no_bytes_break_a_parser(data: bytes, kind: str) -> None:
    """A list of garbage ends in bad lines or in one clear error, never in a crash."""
    text = decode_lines(io.BytesIO(data))
    try:
        if kind == "csv":
            _, bad = split(parse_csv("f", text, {}, DEFAULTS))
        elif kind == "clew":
            _, bad = split(parse_clew("f", text, DEFAULTS))
        else:
            _, bad = split(parse_ncic("f", text, DEFAULTS))
    except HotListFormatError as error:
        assert str(error).startswith("f: ")
        return
    assert all(line.reason and "\n" not in line.reason for line in bad)


entries = st.builds(
    HotListEntry,
    plate=st.text("ABC123", min_size=2, max_size=3),
    state=st.sampled_from(["", "CA"]),
    alarm_class=st.sampled_from([AlarmClass.STOLEN_PLATE, AlarmClass.AMBER_ALERT]),
    reason=st.sampled_from(["a", "b"]),
    source=st.just("test"),
    case_number=st.just(""),
    expiry=st.just(date(2026, 12, 1).isoformat()),
)
lists = st.lists(entries, unique_by=key_of).map(lambda found: sorted(found, key=key_of))


@given(lists, lists)
def test_diff_counts_every_entry_once(old: list[HotListEntry], new: list[HotListEntry]) -> None:
    found = diff(old, new)
    before, after = {key_of(e): e for e in old}, {key_of(e): e for e in new}
    assert found.removed == len(before.keys() - after.keys())
    assert found.added == len(after.keys() - before.keys())
    assert found.same == sum(before[k] == after[k] for k in before.keys() & after.keys())
    assert found.changed + found.same == len(before.keys() & after.keys())


def test_diff_refuses_lists_out_of_order() -> None:
    a, b = _two()
    with pytest.raises(ValueError, match="sorted"):
        diff([b, a], [])


def _two() -> tuple[HotListEntry, HotListEntry]:
    made = [
        HotListEntry(
            plate=plate,
            state="",
            alarm_class=AlarmClass.STOLEN_PLATE,
            reason="",
            source="",
            case_number="",
            expiry="2026-12-01",
        )
        for plate in ("A1", "B1")
    ]
    return made[0], made[1]
