"""What HQ publishes is what a unit accepts: a real broker, the unit's own publisher and list receiver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.db import connections
from nacl.public import PrivateKey

from firmware.hotlist import HotList as UnitList
from hq.lists import ageing, groups, loading, manual, partials, publish, versions
from hq.lists.models import (
    HotList,
    HotListSource,
    HotListVersion,
    ListGroup,
    Piece,
    Publication,
    UnitListState,
    Upload,
)
from hq.lists.publisher import ListPublisher, note_request, note_status
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.records.models import Unit as Registered
from hq.site import clock as clock_module
from mqtt import hotlists, messages, topics
from mqtt.client import Incoming, Link
from mqtt.errors import HotListError
from mqtt.records import ChunkRequest, Manifest, Status
from mqtt.settings import MqttSettings
from plates.words import MatchKind
from tests.broker import Broker
from tests.firmware.chain import Unit, wait_for
from tests.hq.conftest import Clock

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
ROWS = [f"TST{n:04d},stolen_vehicle,C-{n}" for n in range(3000)]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.DATA = tmp_path / "hq"


def person(name: str) -> Person:
    return Person.objects.create(
        username=name, full_name=name.title(), title="tester", agency="Test PD", state="active"
    )


@pytest.fixture
def people() -> tuple[Person, Person]:
    return person("importer"), person("approver")


@pytest.fixture
def source() -> HotListSource:
    group = ListGroup.objects.create(name="all")
    hot_list = HotList.objects.create(name="county", group=group, classes=["stolen_vehicle"], ttl_days=30)
    return HotListSource.objects.create(hot_list=hot_list, name="county", format="csv")


def in_force(source: HotListSource, rows: list[str], people: tuple[Person, Person]) -> HotListVersion:
    text = "\n".join(["plate,class,case_number", *rows]) + "\n"
    lines = text.encode().splitlines(keepends=True)
    file = versions.SourceFile(source, "county.csv", lines)
    return versions.approve(versions.import_files(source.hot_list, [file], by=people[0]), by=people[1])


def hot_plate(group: ListGroup, plate: str, days: int = 10) -> manual.HotPlate:
    expiry = clock_module.today() + timedelta(days=days)
    return manual.HotPlate(
        group=group,
        plate=plate,
        alarm_class="stolen_vehicle",
        reason="test",
        case_number="C-9",
        expiry=expiry,
    )


@contextmanager
def publisher(port: int) -> Iterator[None]:
    settings = MqttSettings(port=port, backoff_min_s=0.1, backoff_max_s=0.3, keepalive_s=5)
    running, stop, errors = ListPublisher(settings, "hq-lists", publish.signing_key()), threading.Event(), []

    def run() -> None:
        try:
            running.run(stop)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
    assert not errors, errors


@pytest.mark.clause("430.2-a")
@pytest.mark.clause("430.3(c)-2")
def test_a_unit_takes_a_published_list_into_force_and_then_only_what_changed(
    tmp_path: Path, source: HotListSource, people: tuple[Person, Person]
) -> None:
    group, file = source.hot_list.group, tmp_path / "unit" / "hotlist.sqlite"
    groups.put(Registered.objects.create(unit_id="pole-1", state="enrolled"), group, by=people[0])
    version = in_force(source, ROWS, people)
    with Broker(tmp_path / "broker") as broker, publisher(broker.port):
        wait_for(lambda: publish.current(group))
        overrides = (f"mqtt.list_key_file={publish.key_path().with_suffix('.pub')}",)
        with Unit(tmp_path / "unit", broker.port, "pole-1", overrides) as unit:
            first = publish.current(group)
            assert first is not None
            wait_for(lambda: unit.publisher.status().list_version == first.version)
            with UnitList.open(file) as built:
                assert (built.version, built.entries) == (first.version, 3000)
                assert built.match("TST0042")[0].kind == MatchKind.EXACT
            manual.enter(hot_plate(group, "HOT0001"), by=people[0], purpose="stolen_vehicle")
            partials.enter(
                partials.Remembered(
                    group=group,
                    pattern="7AB?C*",
                    reason="shooting",
                    case_number="I-7",
                    expiry=clock_module.today() + timedelta(days=5),
                ),
                by=people[0],
                purpose="criminal_investigation",
            )
            wait_for(lambda: publish.current(group) != first)
            wait_for(lambda: unit.publisher.status().list_version not in ("", first.version))
            wait_for(lambda: unit.publisher.status().list_version == publish.current(group).version)
            with UnitList.open(file) as built:
                assert built.entries == 3002
                assert built.match("HOT0001")[0].entry.source == "manual"
                (lead,) = built.match("7AB1C99")
                assert lead.kind == MatchKind.PARTIAL
                assert lead.score < 1
            unit.publisher.report(
                Status(
                    state="ready",
                    list_version=unit.publisher.status().list_version,
                    list_entries=3002,
                    list_age_s=1.0,
                )
            )
            wait_for(lambda: UnitListState.objects.filter(pk="pole-1", entry_count=3002).exists())
            (told,) = ageing.units()
            assert (told.state.version, told.behind, told.state.group) == (told.wanted, False, group)
    version.refresh_from_db()
    assert version.state == "published"


@pytest.mark.clause("430.2-c")
@pytest.mark.clause("430.3(e)")
def test_a_unit_that_is_not_enrolled_or_of_another_group_gets_no_piece(
    tmp_path: Path, source: HotListSource, people: tuple[Person, Person]
) -> None:
    in_force(source, ROWS[:10], people)
    made = publish.publish_due(source.hot_list.group, publish.signing_key())
    assert made is not None
    detectives = ListGroup.objects.create(name="detectives")
    for name, state, group in (
        ("pole-1", "enrolled", source.hot_list.group),
        ("stolen-trailer", "revoked", source.hot_list.group),
        ("of-another-group", "enrolled", detectives),
    ):
        groups.put(Registered.objects.create(unit_id=name, state=state), group, by=people[0])
    Registered.objects.create(unit_id="of-no-group", state="enrolled")
    with Broker(tmp_path / "broker") as broker, publisher(broker.port):
        assert retained(broker.port) == made.version
        assert asked(broker.port, "pole-1", made) == 1
        assert asked(broker.port, "stolen-trailer", made) == 0
        for name in ("never-heard-of", "of-another-group", "of-no-group"):
            assert asked(broker.port, name, made) == 0
    refused = AccessRecord.objects.filter(action="lists.pieces", outcome="refused")
    assert {(row.username, row.note[:8]) for row in refused} == {
        ("stolen-trailer", "430.2-c:"),
        ("never-heard-of", "430.2-c:"),
        ("of-another-group", "430.3(e)"),
        ("of-no-group", "430.3(e)"),
    }
    assert not UnitListState.objects.exclude(pk="pole-1").exists()


def asked(port: int, unit: str, publication: Publication) -> int:
    """How many pieces come when `unit` asks for the first; its ask is answered before a later one's."""
    got: list[Incoming] = []
    settings = MqttSettings(port=port, backoff_min_s=0.1, backoff_max_s=0.3)
    request = ChunkRequest(
        list_id="all",
        version=publication.version,
        numbers=(0, 99),
        public_key=hotlists.public_key(PrivateKey.generate()),
    )
    link = Link(settings, unit, [topics.everything_down(unit)], on_message=got.append, session_expiry_s=0)
    sent, deadline = False, time.monotonic() + 3
    while time.monotonic() < deadline and not got:
        link.step(0.1)
        if link.connected and not sent:
            sent = link.publish(topics.up(unit, "chunk-request"), messages.encode(request)) is not None
    link.close()
    return len(got)


def test_a_manifest_comes_back_after_the_broker_lost_it(
    tmp_path: Path, source: HotListSource, people: tuple[Person, Person]
) -> None:
    in_force(source, ROWS[:10], people)
    made = publish.publish_due(source.hot_list.group, publish.signing_key())
    assert made is not None
    with Broker(tmp_path / "broker") as broker, publisher(broker.port):
        assert retained(broker.port) == made.version
        broker.restart()
        assert retained(broker.port) == made.version


def retained(port: int) -> str:
    got: list[Incoming] = []
    link = Link(
        MqttSettings(port=port, backoff_min_s=0.1, backoff_max_s=0.3),
        "looker",
        [topics.hotlist("all")],
        on_message=got.append,
        session_expiry_s=0,
    )
    deadline = time.monotonic() + 10
    while not got:
        link.step(0.1)
        assert time.monotonic() < deadline
    link.close()
    record = messages.decode("hotlist", got[0].payload).record
    assert isinstance(record, Manifest)
    hotlists.verify(record, hotlists.read_public_key(publish.key_path().with_suffix(".pub")))
    return record.version


def entries_of(publication: Publication) -> dict[str, date]:
    """What a unit would build."""
    found = {}
    for number in range(len(publish.manifest_of(publication).chunks)):
        piece = publish.piece(publication, number)
        assert piece is not None
        found.update((one.plate, date.fromisoformat(one.expiry)) for one in hotlists.unpack(piece))
    assert len(found) == publication.entry_count
    return found


@pytest.mark.clause("rec 20")
@pytest.mark.clause("rec 48")
def test_what_expires_or_is_taken_back_leaves_the_published_list(
    source: HotListSource, people: tuple[Person, Person], clock: Clock
) -> None:
    group, key = source.hot_list.group, publish.signing_key()
    version = in_force(source, ROWS[:3], people)
    entry = manual.enter(hot_plate(group, "HOT0001", days=2), by=people[0], purpose="stolen_vehicle")
    first = publish.publish_due(group, key)
    assert first is not None
    assert set(entries_of(first)) == {"TST0000", "TST0001", "TST0002", "HOT0001"}
    clock.advance(seconds=1)
    assert publish.publish_due(group, key) is None
    clock.advance(days=3)
    second = publish.publish_due(group, key)
    assert second is not None
    assert "HOT0001" not in entries_of(second)
    assert not entry.live(clock_module.today())
    versions.withdraw(version, by=people[1], why="wrong file")
    clock.advance(seconds=1)
    third = publish.publish_due(group, key)
    assert third is not None
    assert (entries_of(third), third.entry_count) == ({}, 0)


@pytest.mark.clause("430.2-b")
@pytest.mark.clause("SB 54")
def test_a_class_that_is_switched_off_leaves_the_units_at_the_next_publication(
    source: HotListSource, people: tuple[Person, Person], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, key = source.hot_list.group, publish.signing_key()
    in_force(source, ROWS[:3], people)
    first = publish.publish_due(group, key)
    assert first is not None
    assert first.entry_count == 3
    clock.advance(seconds=1)
    monkeypatch.setattr(publish, "classes_on", lambda: frozenset({"stolen_plate"}))
    second = publish.publish_due(group, key)
    assert second is not None
    assert second.entry_count == 0


def test_publications_are_newer_each_time_or_not_made(
    source: HotListSource, people: tuple[Person, Person], clock: Clock
) -> None:
    group, key = source.hot_list.group, publish.signing_key()
    in_force(source, ROWS[:3], people)
    first = publish.publish_due(group, key)
    assert first is not None
    manual.enter(hot_plate(group, "HOT0001"), by=people[0], purpose="stolen_vehicle")
    with pytest.raises(HotListError, match="later than this clock"):
        publish.publish_due(group, key)
    clock.advance(days=24)
    second = publish.publish_due(group, key)
    assert second is not None
    assert second.version > first.version
    old = publish.manifest_of(first)
    assert publish.manifest_of(second).issued_at > old.issued_at
    manifest = publish.manifest_of(second)
    hotlists.verify(manifest, bytes(key.verify_key).hex())
    assert "HOT0001" not in second.manifest


def test_a_manifest_is_issued_anew_before_it_runs_out_and_old_pieces_go(
    source: HotListSource, people: tuple[Person, Person], clock: Clock
) -> None:
    group, key = source.hot_list.group, publish.signing_key()
    for n in range(4):
        in_force(source, ROWS[n : n + 3], people)
        assert publish.publish_due(group, key)
        clock.advance(minutes=1)
    assert Piece.objects.count() == publish.KEPT
    clock.advance(days=24)
    assert publish.publish_due(group, key) is not None


def test_everything_of_a_publication_is_committed_or_nothing(
    source: HotListSource, people: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = in_force(source, ROWS[:3], people)

    def broken(**parts: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(publish.chain, "append", broken)
        with pytest.raises(OSError, match="disk full"):
            publish.publish_due(source.hot_list.group, publish.signing_key())
    version.refresh_from_db()
    assert (version.state, Piece.objects.count(), Publication.objects.count()) == ("approved", 0, 0)
    made = publish.publish_due(source.hot_list.group, publish.signing_key())
    assert made is not None
    assert AccessRecord.objects.filter(action="lists.publish").count() == 1
    assert publish.origins([(made.version, "county")]) == {(made.version, "county"): version}


def test_a_hit_can_be_told_how_old_its_lists_data_was_though_the_list_was_published_again(
    source: HotListSource, people: tuple[Person, Person], clock: Clock
) -> None:
    key = publish.signing_key()
    version = in_force(source, ROWS[:3], people)
    assert publish.publish_due(source.hot_list.group, key)
    clock.advance(days=5)
    manual.enter(hot_plate(source.hot_list.group, "HOT0001"), by=people[0], purpose="stolen_vehicle")
    made = publish.publish_due(source.hot_list.group, key)
    assert made is not None
    assert publish.origins([(made.version, "county")]) == {(made.version, "county"): version}
    assert [one.hot_list.name for one in ageing.stale()] == ["county"]


def test_an_offline_unit_keeps_the_version_that_it_last_told() -> None:
    Registered.objects.create(unit_id="pole-1", state="enrolled")
    note_status("pole-1", Status(state="ready", list_version="v1", list_entries=3))
    note_status("pole-1", Status(state="offline"))
    note_status("stranger", Status(state="ready", list_version="v1"))
    assert [(one.pk, one.version) for one in UnitListState.objects.all()] == [("pole-1", "v1")]
    request = ChunkRequest(list_id="all", version="none", numbers=(0,), public_key="0" * 64)
    assert note_request("pole-1", request) is None


@pytest.mark.clause("430.5-0")
def test_the_key_is_readable_by_its_owner_alone_or_not_used() -> None:
    publish.signing_key()
    assert publish.key_path().stat().st_mode & 0o777 == 0o600
    assert publish.key_path().parent.stat().st_mode & 0o777 == 0o700
    publish.key_path().chmod(0o644)
    with pytest.raises(HotListError, match="others can read"):
        publish.signing_key()


def test_the_command_loads_publishes_and_ends_at_a_signal(
    tmp_path: Path, source: HotListSource, people: tuple[Person, Person]
) -> None:
    upload = loading.keep(source, "county.csv", [b"plate,class\nTST001,stolen_vehicle\n"], by=people[0])
    Upload.objects.filter(pk=upload.pk).update(state="waiting")
    with Broker(tmp_path / "broker") as broker, command(tmp_path, broker.port) as process:
        wait_for(lambda: HotListVersion.objects.filter(state="draft").exists(), 90)
        versions.approve(HotListVersion.objects.get(), by=people[1])
        wait_for(lambda: HotListVersion.objects.get().state == "published", 60)
        assert retained(broker.port) == Publication.objects.get().version
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@contextmanager
def command(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`publish_lists` as a process of its own on the test's database."""
    held = connections["default"].settings_dict
    url = f"sqlite:///{held['NAME']}"
    if not held["ENGINE"].endswith("sqlite3"):
        place = f"{held['HOST']}:{held['PORT'] or 5432}/{held['NAME']}"
        url = f"postgres://{held['USER']}:{held['PASSWORD']}@{place}"
    environ = os.environ | {
        "DATABASE_URL": url,
        "PLATEWARDEN_HQ_DATA": str(folder / "hq"),
        "DJANGO_SETTINGS_MODULE": "hq.settings",
    }
    arguments = [sys.executable, "-m", "django", "publish_lists", "--port", str(port)]
    process = subprocess.Popen(arguments, env=environ, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.clause("rec 20")
@pytest.mark.clause("rec 48")
def test_loaded_entries_that_ran_out_are_not_published_again(
    source: HotListSource, people: tuple[Person, Person], clock: Clock
) -> None:
    group, key = source.hot_list.group, publish.signing_key()
    HotList.objects.update(ttl_days=1)
    source.hot_list.refresh_from_db()
    in_force(source, ROWS[:3], people)
    assert publish.publish_due(group, key)
    clock.advance(days=2)
    manual.enter(hot_plate(group, "HOT0001"), by=people[0], purpose="stolen_vehicle")
    made = publish.publish_due(group, key)
    assert made is not None
    assert set(entries_of(made)) == {"HOT0001"}
