"""Hot plates, partial plates, what they match backwards, and who sees what of restricted lists."""

from __future__ import annotations

import dataclasses
import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from firmware import hotlist
from hq.hits import corrections
from hq.lists import ageing, manual, masking, partials, retro, versions
from hq.lists.errors import ListRefused
from hq.lists.models import HotList, HotListSource, ListGroup, ManualEntry, PartialPlate, RetroRun, Rules
from hq.log.models import AccessRecord
from hq.people.models import Grant, Person
from hq.records.models import Read, Unit
from hq.site.models import Settings
from plates.lookalike import fold
from plates.words import AlarmClass
from tests.hq.conftest import Clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer() -> Person:
    return Person.objects.create(
        username="officer", full_name="Officer", title="officer", agency="Test PD", state="active"
    )


@pytest.fixture
def approver() -> Person:
    return Person.objects.create(
        username="approver", full_name="Approver", title="commander", agency="Test PD", state="active"
    )


@pytest.fixture
def group() -> ListGroup:
    return ListGroup.objects.create(name="all")


@pytest.fixture
def hot_plate(group: ListGroup, clock: Clock) -> manual.HotPlate:
    return manual.HotPlate(
        group=group,
        plate="tst-001",
        alarm_class="stolen_vehicle",
        reason="reported by its owner",
        case_number="C-1",
        expiry=clock.at.date() + timedelta(days=30),
    )


@pytest.fixture
def remembered(group: ListGroup, clock: Clock) -> partials.Remembered:
    return partials.Remembered(
        group=group,
        pattern="7ab?c*",
        reason="shooting",
        case_number="I-7",
        expiry=clock.at.date() + timedelta(days=30),
        colour="blue",
        make="Testla",
    )


@pytest.fixture
def unit() -> Unit:
    return Unit.objects.create(unit_id="pole-1", state="enrolled")


def reads(unit: Unit, texts: list[str], at: datetime, **changed: object) -> list[Read]:
    rows = [
        Read(
            id=uuid.uuid4(),
            unit=unit,
            store_id=str(uuid.uuid4()),
            sequence=number,
            revision=1,
            captured_at=at,
            received_at=at,
            at=at,
            category="alpr",
            purge_after=at + timedelta(days=365),
            text=text,
            key=text,
            lookalike=fold(text),
            confidence=0.9,
            **{
                "char_confidence": [0.9] * len(text),
                "candidates": [],
                "lat": 34.0,
                "lon": -118.0,
                **changed,
            },
            flags=[],
            camera="front",
            clock={},
            box=[0, 0, 1, 1],
            frame_size=[640, 360],
            detection_score=0.9,
            looks=3,
            agreeing=3,
            parked=False,
            model_hashes=[],
            config_hash="",
            software="test",
            demo=True,
        )
        for number, text in enumerate(texts, 1)
    ]
    return Read.objects.bulk_create(rows)


@pytest.mark.clause("430.2-a")
@pytest.mark.clause("430.2-b")
@pytest.mark.clause("SB 54")
def test_a_hot_plate_has_a_class_of_the_closed_list(hot_plate: manual.HotPlate, officer: Person) -> None:
    for name, clause in (
        ("personal", "430.2-a"),
        ("immigration_violator", "SB 54"),
        ("homeland_security", "430.2-b"),
    ):
        with pytest.raises(ListRefused, match=clause.replace(".", "\\.")):
            manual.enter(
                dataclasses.replace(hot_plate, alarm_class=name), by=officer, purpose="stolen_vehicle"
            )
    entry = manual.enter(hot_plate, by=officer, purpose="stolen_vehicle")
    assert (entry.plate, ManualEntry.objects.count()) == ("TST001", 1)
    record = AccessRecord.objects.get(action="lists.manual")
    assert (record.case, record.purpose, record.elements["plate"]) == ("C-1", "stolen_vehicle", "TST001")


@pytest.mark.clause("430.3(c)-2")
@pytest.mark.parametrize("plate", ["7ABC*", "7AB?C", "*", "7ABC＊"])
def test_a_partial_plate_is_not_taken_for_a_hot_plate(
    hot_plate: manual.HotPlate, officer: Person, plate: str
) -> None:
    """Without its star 7ABC* would be watched for as the whole plate 7ABC, which no vehicle has."""
    with pytest.raises(ListRefused, match="is a partial plate"):
        manual.enter(dataclasses.replace(hot_plate, plate=plate), by=officer, purpose="stolen_vehicle")
    assert not ManualEntry.objects.exists()


@pytest.mark.clause("rec 20")
@pytest.mark.clause("rec 48")
def test_a_hot_plate_ends_within_thirty_days_and_cannot_be_prolonged(
    hot_plate: manual.HotPlate, officer: Person, clock: Clock
) -> None:
    today = clock.at.date()
    for days in (-1, 31):
        late = dataclasses.replace(hot_plate, expiry=today + timedelta(days=days))
        with pytest.raises(ListRefused, match="rec 20/48"):
            manual.enter(late, by=officer, purpose="stolen_vehicle")
    entry = manual.enter(hot_plate, by=officer, purpose="stolen_vehicle")
    with pytest.raises(IntegrityError), transaction.atomic():
        ManualEntry.objects.update(expiry=today + timedelta(days=300))
    clock.advance(days=28)
    assert ageing.ending() == [entry]
    assert entry.live(clock.at.date())
    clock.advance(days=3)
    assert not entry.live(clock.at.date())


@pytest.mark.clause("430.5(b)")
def test_a_hot_plate_needs_a_case_and_a_reason(hot_plate: manual.HotPlate, officer: Person) -> None:
    for missing in ("case_number", "reason"):
        with pytest.raises(ListRefused):
            manual.enter(
                dataclasses.replace(hot_plate, **{missing: " "}), by=officer, purpose="stolen_vehicle"
            )
    entry = manual.enter(hot_plate, by=officer, purpose="stolen_vehicle")
    with pytest.raises(ListRefused):
        manual.withdraw(entry, by=officer, why="")
    manual.withdraw(entry, by=officer, why="found")
    manual.withdraw(entry, by=officer, why=" found ")  # a second press on a slow network
    with pytest.raises(ListRefused, match="already"):
        manual.withdraw(entry, by=officer, why="again")
    assert AccessRecord.objects.filter(action="lists.manual", elements__withdrawn=True).count() == 1


@pytest.mark.clause("rec 20")
def test_an_entry_that_is_sent_twice_is_taken_off_once(
    hot_plate: manual.HotPlate, remembered: partials.Remembered, officer: Person, approver: Person
) -> None:
    """A second press on a slow network: of two alike, one would alarm on after the other was taken off."""
    first = manual.enter(hot_plate, by=officer, purpose="stolen_vehicle")
    assert manual.enter(hot_plate, by=officer, purpose="stolen_vehicle") == first
    part = partials.enter(remembered, by=officer, purpose="criminal_investigation")
    assert partials.enter(remembered, by=officer, purpose="criminal_investigation") == part
    for other in (
        dataclasses.replace(hot_plate, case_number="C-2"),
        dataclasses.replace(hot_plate, state="NV"),
    ):
        assert manual.enter(other, by=officer, purpose="stolen_vehicle") != first
    assert manual.enter(hot_plate, by=approver, purpose="stolen_vehicle") != first, "another's own act"
    manual.withdraw(first, by=officer, why="recovered")
    assert manual.enter(hot_plate, by=officer, purpose="stolen_vehicle") != first, "stolen once more"
    assert AccessRecord.objects.filter(action="lists.manual").count() == 6
    assert PartialPlate.objects.count() == 1


@pytest.mark.clause("430.3(c)-2")
def test_a_partial_plate_needs_an_incident_and_an_expiry(
    remembered: partials.Remembered, officer: Person
) -> None:
    for field, empty in (("case_number", " "), ("expiry", None), ("reason", "")):
        with pytest.raises(ListRefused):
            partials.enter(
                dataclasses.replace(remembered, **{field: empty}),
                by=officer,
                purpose="criminal_investigation",
            )
    at = datetime(2026, 6, 3, tzinfo=UTC)
    with pytest.raises(ListRefused, match="ends before it begins"):
        partials.enter(
            dataclasses.replace(remembered, seen_from=at, seen_until=at - timedelta(hours=1)),
            by=officer,
            purpose="criminal_investigation",
        )
    row = partials.enter(remembered, by=officer, purpose="criminal_investigation")
    assert row.value().reason == "shooting (blue Testla)"
    assert (row.value().alarm_class, row.value().partial) == (AlarmClass.MAJOR_INCIDENT_PARTIAL, True)
    with pytest.raises(IntegrityError), transaction.atomic():
        PartialPlate.objects.create(
            group=remembered.group,
            pattern="7A*",
            case_number="",
            expiry=remembered.expiry,
            matched=0,
            of_reads=0,
            share=0,
            entered_by=officer,
            entered_at=row.entered_at,
        )


@pytest.mark.clause("430.2-b")
def test_no_partial_plate_is_entered_while_the_agency_has_its_class_off(
    remembered: partials.Remembered, officer: Person, clock: Clock
) -> None:
    Settings.objects.create(
        agency="Test PD",
        ori="CA0000000",
        policy_id="430",
        policy_version="1",
        reason="test",
        classes_off=["major_incident_partial"],
        approved_at=clock.at,
    )
    with pytest.raises(ListRefused, match="is off"):
        partials.enter(remembered, by=officer, purpose="criminal_investigation")


@pytest.mark.clause("430.3(c)-2")
def test_a_partial_plate_is_refused_where_it_matches_too_many_recent_reads(
    remembered: partials.Remembered, officer: Person, approver: Person, unit: Unit, clock: Clock
) -> None:
    others = [f"{random.Random(n).randint(100, 999)}XYZ" for n in range(970)]
    reads(unit, [*others, *["7AB1C22"] * 30], clock.at - timedelta(days=1))
    reads(unit, ["7AB1C22"] * 500, clock.at - timedelta(days=40))
    found = partials.estimate(partials.compiled(remembered.pattern))
    assert (found.matched, found.of_reads, found.measured, found.share) == (30, 1000, True, 0.03)
    with pytest.raises(ListRefused, match=r"3\.00%"):
        partials.enter(remembered, by=officer, purpose="criminal_investigation")
    Rules.objects.create(
        partial_share=0.05,
        reason="test",
        proposed_by=officer,
        proposed_at=clock.at,
        approved_by=approver,
        approved_at=clock.at,
    )
    row = partials.enter(remembered, by=officer, purpose="criminal_investigation")
    assert (row.matched, row.of_reads, row.share) == (30, 1000, 0.03)


@pytest.mark.clause("430.3(c)-2")
def test_where_reads_are_few_a_wide_pattern_is_refused_by_its_form(
    remembered: partials.Remembered, officer: Person
) -> None:
    with pytest.raises(ListRefused, match="too wide"):
        partials.enter(
            dataclasses.replace(remembered, pattern="*7*A*"), by=officer, purpose="criminal_investigation"
        )
    for bad in ("7ABC123", "?*", "7Ä*"):
        with pytest.raises(ListRefused, match=r"430\.3"):
            partials.enter(
                dataclasses.replace(remembered, pattern=bad), by=officer, purpose="criminal_investigation"
            )


@pytest.mark.clause("430.3(c)-2")
@pytest.mark.clause("CC-52a")
def test_a_partial_plate_is_matched_backwards_in_its_time_and_area_and_logged_as_a_search(
    remembered: partials.Remembered, officer: Person, unit: Unit, clock: Clock
) -> None:
    (hit,) = reads(unit, ["7AB1C22"], clock.at - timedelta(hours=2))
    (alike,) = reads(unit, ["7A81C22"], clock.at - timedelta(hours=3))
    reads(unit, ["7AB1C22"], clock.at - timedelta(hours=30))
    reads(unit, ["7AB1C22"], clock.at - timedelta(hours=2), lat=35.0)
    (unplaced,) = reads(unit, ["7AB9C"], clock.at - timedelta(hours=2), lat=None, lon=None)
    reads(unit, ["7AB1D22"], clock.at - timedelta(hours=2))
    narrowed = dataclasses.replace(
        remembered,
        seen_from=clock.at - timedelta(hours=5),
        seen_until=clock.at,
        area=partials.Area(latitude=34.01, longitude=-118.0, radius_m=2000),
    )
    row = partials.enter(narrowed, by=officer, purpose="criminal_investigation")
    run = retro.run_partial(row, by=officer, purpose="criminal_investigation", case="I-7")
    matches = list(run.matches.all())
    assert [one.read_id for one in matches] == [unplaced.pk, hit.pk, alike.pk]
    assert {one.kind for one in matches} == {"partial"}
    assert [one.score < 1 for one in matches] == [True] * 3
    record = AccessRecord.objects.get(action="reads.search")
    assert (record.kind, record.purpose, record.case) == ("search", "criminal_investigation", "I-7")
    assert (record.result_count, set(record.ids)) == (3, {str(one.read_id) for one in matches})
    assert record.elements["pattern"] == "7AB?C*"


@pytest.mark.clause("CC-52a")
def test_a_hot_plate_is_matched_backwards_exactly_and_where_the_camera_doubted(
    hot_plate: manual.HotPlate, officer: Person, unit: Unit, clock: Clock
) -> None:
    at = clock.at - timedelta(days=2)
    (exact,) = reads(unit, ["TST018"], at)
    (doubted,) = reads(unit, ["TST01B"], at, char_confidence=[0.9, 0.9, 0.9, 0.9, 0.9, 0.4])
    reads(unit, ["TST01B"], at, char_confidence=[1.0] * 6)
    reads(unit, ["TST018"], clock.at - timedelta(days=31))
    entry = manual.enter(dataclasses.replace(hot_plate, plate="TST018"), by=officer, purpose="stolen_vehicle")
    run = retro.run_manual(entry, by=officer, purpose="stolen_vehicle", case="C-1")
    found = [(one.read_id, one.kind) for one in run.matches.all()]
    assert found == [(exact.pk, "exact"), (doubted.pk, "lookalike")]


@pytest.mark.clause("430.2-a")
@pytest.mark.parametrize(
    ("plate", "text"), [("TST013", "TST018"), ("TST01V", "TST01Y"), ("TST017", "TST01Z")]
)
@pytest.mark.parametrize("doubt", [0.6, 0.01])
def test_a_hot_plate_is_matched_backwards_where_a_unit_would_alarm(
    hot_plate: manual.HotPlate,
    officer: Person,
    unit: Unit,
    clock: Clock,
    tmp_path: Path,
    plate: str,
    text: str,
    doubt: float,
) -> None:
    """Also where the characters are alike only when they are small or blurred."""
    sure = [0.9] * 5 + [1.0 - doubt]
    reads(unit, [text], clock.at - timedelta(days=2), char_confidence=sure)
    entry = manual.enter(dataclasses.replace(hot_plate, plate=plate), by=officer, purpose="stolen_vehicle")
    run = retro.run_manual(entry, by=officer, purpose="stolen_vehicle", case="C-1")
    hotlist.build(tmp_path / "list", [entry.value()], version="1", issued_at="")
    with hotlist.HotList.open(tmp_path / "list") as on_the_unit:
        alarms = [(one.kind.value, one.score) for one in on_the_unit.match(text, char_confidence=sure)]
    assert [(one.kind, one.score) for one in run.matches.all()] == alarms
    assert bool(alarms) is (doubt > 0.5)


@pytest.mark.clause("CC-51b2F")
def test_a_misread_is_matched_backwards_by_the_right_text_and_by_what_was_read(
    hot_plate: manual.HotPlate,
    remembered: partials.Remembered,
    officer: Person,
    unit: Unit,
    clock: Clock,
) -> None:
    row, _ = reads(unit, ["1MMM777", "FREE01"], clock.at - timedelta(hours=2))
    corrections.correct(row, officer, corrected="7AB1C22", why="the picture shows it")
    for plate in ("7AB1C22", "1MMM777"):
        entry = manual.enter(
            dataclasses.replace(hot_plate, plate=plate), by=officer, purpose="stolen_vehicle"
        )
        run = retro.run_manual(entry, by=officer, purpose="stolen_vehicle", case="C-1")
        assert [(one.read_id, one.kind) for one in run.matches.all()] == [(row.pk, "exact")]
    partial = partials.enter(remembered, by=officer, purpose="criminal_investigation")
    run = retro.run_partial(partial, by=officer, purpose="criminal_investigation", case="I-7")
    assert [(one.read_id, one.kind) for one in run.matches.all()] == [(row.pk, "partial")]


@pytest.mark.clause("CC-52a")
def test_what_a_version_added_is_matched_backwards(
    group: ListGroup, officer: Person, approver: Person, unit: Unit, clock: Clock
) -> None:
    hot_list = HotList.objects.create(name="county", group=group, classes=["stolen_vehicle"])
    source = HotListSource.objects.create(
        hot_list=hot_list, name="county", format="csv", alarm_class="stolen_vehicle"
    )

    def load(*plates: str) -> None:
        lines = [f"{text}\n".encode() for text in ("plate", *plates)]
        made = versions.import_files(hot_list, [versions.SourceFile(source, "a.csv", lines)], by=officer)
        versions.approve(made, by=approver)

    reads(unit, ["OLD001", "NEW001", "NEW001", "FREE01"], clock.at - timedelta(days=1))
    load("OLD001")
    load("OLD001", "NEW001")
    version = versions.in_force(hot_list)
    assert version is not None
    run = retro.run_version(version, by=officer, purpose="stolen_vehicle", case="C-1")
    assert {one.read.key for one in run.matches.all()} == {"NEW001"}
    assert (run.found, run.searched, RetroRun.objects.count()) == (2, 4, 1)


@pytest.mark.clause("430.3(e)")
@pytest.mark.clause("CJIS 4.2.2")
def test_restricted_lists_and_others_data_are_masked_without_the_grant(
    group: ListGroup, officer: Person, approver: Person, clock: Clock
) -> None:
    whole = HotList.objects.create(
        name="task force", group=group, classes=["stolen_vehicle"], restricted=True
    )
    HotListSource.objects.create(hot_list=whole, name="task force", format="csv")
    plain = HotList.objects.create(name="state", group=group, classes=["stolen_vehicle"])
    HotListSource.objects.create(hot_list=plain, name="NCIC", format="ncic", data="ncic")
    held = masking.grants_of(officer)
    assert masking.lacking_for_hit(held, "stolen_vehicle", "manual", "") == ""
    assert masking.lacking_for_hit(held, "stolen_vehicle", "NCIC", "") == "ncic"
    assert masking.lacking_for_hit(held, "stolen_vehicle", "task force", "") == "restricted"
    for name in ("sex_offender", "homeland_security", "immigration_violator", "unheard of"):
        assert masking.lacking_for_hit(held, name, "manual", "") == "restricted"
    for code in (Grant.Code.NCIC, Grant.Code.RESTRICTED):
        Grant.objects.create(
            person=officer,
            code=code,
            document="memo",
            starts_on=clock.at.date(),
            proposed_by=officer,
            approved_by=approver,
            approved_at=clock.at,
        )
    held = masking.grants_of(officer)
    assert masking.lacking_for_hit(held, "stolen_vehicle", "NCIC", "") == ""
    assert masking.lacking_for_hit(held, "sex_offender", "task force", "") == ""
