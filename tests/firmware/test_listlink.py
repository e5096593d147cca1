"""Hot lists from HQ: only signed, newer, complete ones, and the old one stays until then."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from firmware.hotlist import HotList, HotListFileError, build, is_usable
from firmware.listen_lists import ListServer, read_entries
from firmware.listen_store import ListenStore
from firmware.listlink import PIECES_PER_REQUEST, ListLink
from mqtt import hotlists, messages
from mqtt.errors import HotListError
from mqtt.fields import time_text
from mqtt.records import ChunkHeader, ChunkRequest, ListEntry, Manifest
from plates.words import CLASS_RULES, AlarmClass, HotListEntry, MatchKind
from tests.broker import Broker
from tests.disk import fill, tmpfs
from tests.firmware.chain import Hq, Unit, wait_for
from tests.firmware.store_samples import NOON

NOW = "2026-03-04T12:00:00.00+00:00"


def entry(plate: str, alarm_class: str = "stolen_vehicle") -> ListEntry:
    return ListEntry(
        plate=plate,
        state="CA",
        alarm_class=alarm_class,
        reason="test",
        source="manual",
        case_number="",
        expiry="2027-12-31",
    )


class Publication:
    """HQ's side without files: versions of a list under one key."""

    def __init__(self) -> None:
        self.key = SigningKey.generate()
        self.public = bytes(self.key.verify_key).hex()

    def publish(
        self, version: str, entries: list[ListEntry], expires: str = "2027-01-01T00:00:00.00+00:00"
    ) -> tuple[Manifest, list[bytes]]:
        pieces = hotlists.pack(entries, per_piece=5)
        issued = f"2026-03-0{version}T00:00:00.00+00:00"
        return hotlists.manifest("test", version, issued, expires, pieces, len(entries), self.key), pieces


class Bench:
    """A unit's list link, its requests and the lists it built."""

    def __init__(self, folder: Path, hq: Publication, classes: tuple[str, ...] = ("stolen_vehicle",)) -> None:
        self.folder = folder
        self.hq = hq
        self.classes = classes
        self.secret = PrivateKey.generate()
        self.asked: list[ChunkRequest] = []
        self.built: list[tuple[str, set[str]]] = []
        self.error: Exception | None = None
        self.wait: Callable[[], object] = lambda: None
        self.time = 0.0
        self.online = True
        self.usable = True
        self.link = self.open()

    def open(self) -> ListLink:
        return ListLink(
            self.folder,
            public_key=self.hq.public,
            secret=self.secret,
            classes=self.classes,
            build=self.build,
            usable=lambda: self.usable,
            ask=self.ask,
            wall=lambda: NOW,
            clock=lambda: self.time,
        )

    def build(self, entries: Iterator[HotListEntry], manifest: Manifest) -> None:
        plates = {entry.plate for entry in entries}
        self.wait()
        if self.error is not None:
            raise self.error
        self.built.append((manifest.version, plates))

    def ask(self, request: ChunkRequest) -> bool:
        if self.online:
            self.asked.append(request)
        return self.online

    def answer(self, manifest: Manifest, pieces: list[bytes]) -> list[int]:
        """Send what was asked for, until nothing more is; returns the numbers."""
        numbers: list[int] = []
        for _ in range(100):
            self.link.step()
            if not self.asked:
                break
            request = self.asked.pop(0)
            numbers += request.numbers
            self.deliver(manifest, pieces, request)
        self.settle()
        return numbers

    def deliver(self, manifest: Manifest, pieces: list[bytes], request: ChunkRequest) -> None:
        """Send the pieces of one request."""
        for number in request.numbers:
            ref = manifest.chunks[number]
            header = ChunkHeader(
                list_id=request.list_id,
                version=request.version,
                number=number,
                sha256=ref.sha256,
                size=ref.size,
            )
            self.link.chunk(header, hotlists.seal(pieces[number], request.public_key))

    def settle(self) -> None:
        """Wait for the building thread."""
        if self.link._builder is not None:
            self.link._builder.join()
            self.link.step()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "pieces", Publication())


PLATES = [f"TST{number:04d}" for number in range(100)]


def test_a_list_is_asked_for_in_parts_built_and_put_into_force(bench: Bench) -> None:
    manifest, pieces = bench.hq.publish("1", [entry(plate) for plate in PLATES])
    bench.link.manifest(manifest)
    assert sorted(bench.answer(manifest, pieces)) == list(range(32))
    assert bench.built == [("1", set(PLATES))]
    assert (bench.link.version, bench.link.fault) == ("1", "")
    assert bench.open().version == "1"


def test_of_the_next_version_only_the_changed_pieces_are_asked_for(bench: Bench) -> None:
    first = bench.hq.publish("1", [entry(plate) for plate in PLATES])
    bench.link.manifest(first[0])
    bench.answer(*first)
    second = bench.hq.publish("2", [entry(plate) for plate in [*PLATES, "NEW0001"]])
    bench.link.manifest(second[0])
    assert len(bench.answer(*second)) == 1
    assert bench.built[1] == ("2", {*PLATES, "NEW0001"})


def test_an_interrupted_transfer_goes_on_after_a_restart(bench: Bench) -> None:
    manifest, pieces = bench.hq.publish("1", [entry(plate) for plate in PLATES])
    bench.link.manifest(manifest)
    bench.link.step()
    request = bench.asked.pop()
    assert len(request.numbers) == PIECES_PER_REQUEST
    for number in request.numbers[:10]:
        ref = manifest.chunks[number]
        header = ChunkHeader(list_id="test", version="1", number=number, sha256=ref.sha256, size=ref.size)
        bench.link.chunk(header, hotlists.seal(pieces[number], request.public_key))
    bench.link = bench.open()
    bench.link.manifest(manifest)
    assert len(bench.answer(manifest, pieces)) == 22
    assert bench.built == [("1", set(PLATES))]


def test_pieces_that_do_not_come_are_asked_for_again_later(bench: Bench) -> None:
    manifest, _ = bench.hq.publish("1", [entry("TST0001")])
    bench.online = False
    bench.link.manifest(manifest)
    bench.link.step()
    bench.online = True
    bench.link.step()
    bench.link.step()
    assert len(bench.asked) == 1
    bench.time += 21
    bench.link.step()
    assert len(bench.asked) == 2
    bench.time += 21
    bench.link.step()
    assert len(bench.asked) == 2, "patience grows"


def test_an_older_version_is_never_gone_back_to(bench: Bench) -> None:
    old, new = (bench.hq.publish(version, [entry(f"TST000{version}")]) for version in "12")
    bench.link.manifest(new[0])
    bench.answer(*new)
    bench.link.manifest(old[0])
    assert "is not newer than version 2" in bench.link.fault
    assert bench.answer(*old) == []
    bench.link = bench.open()
    bench.link.manifest(old[0])
    assert bench.answer(*old) == []
    assert bench.link.version == "2"
    # The one in force, retained by the broker, is no fault.
    bench.link = bench.open()
    bench.link.manifest(new[0])
    assert bench.link.fault == ""


def test_what_hq_did_not_sign_or_what_has_expired_is_refused(bench: Bench) -> None:
    manifest, _ = bench.hq.publish("1", [entry("TST0001")])
    forged, _ = Publication().publish("1", [entry("TST0001")])
    expired, _ = bench.hq.publish("1", [entry("TST0001")], expires="2026-03-04T11:59:59.99+00:00")
    changed = dataclasses.replace(manifest, entries=2)
    for bad in (forged, changed, dataclasses.replace(manifest, signature=""), expired):
        bench.link.manifest(bad)
        assert bench.link.fault
        bench.link.step()
        bench.link.fault = ""
    assert not bench.asked


def test_a_piece_with_other_bytes_is_refused_and_asked_for_again(bench: Bench) -> None:
    manifest, pieces = bench.hq.publish("1", [entry("TST0001")])
    bench.link.manifest(manifest)
    bench.link.step()
    request = bench.asked.pop()
    ref = manifest.chunks[0]
    header = ChunkHeader(list_id="test", version="1", number=0, sha256=ref.sha256, size=ref.size)
    bench.link.chunk(header, hotlists.seal(b"x" * ref.size, request.public_key))
    assert "hash" in bench.link.fault
    bench.link.chunk(header, pieces[0])
    assert "not sealed for this unit" in bench.link.fault
    bench.link.chunk(dataclasses.replace(header, number=7), pieces[0])
    assert "piece 7" in bench.link.fault
    bench.time += 21
    assert bench.answer(manifest, pieces) == [0]
    assert (bench.link.version, bench.link.fault) == ("1", "")


def test_a_piece_that_was_damaged_on_the_card_is_fetched_again(bench: Bench) -> None:
    manifest, pieces = bench.hq.publish("1", [entry(plate) for plate in PLATES])
    bench.link.manifest(manifest)
    bench.error = OSError("disk full")
    bench.answer(manifest, pieces)
    assert "disk full" in bench.link.fault
    assert bench.link.version == ""
    path = bench.folder / f"{manifest.chunks[3].sha256}.piece"
    path.write_bytes(b"x" * manifest.chunks[3].size)
    bench.error = None
    bench.time += 1000
    assert bench.answer(manifest, pieces) == []
    bench.time += 1000
    assert bench.answer(manifest, pieces) == [3]
    assert bench.built == [("1", set(PLATES))]


def test_classes_that_are_off_are_left_out_and_one_can_never_be_on(tmp_path: Path) -> None:
    """430.2-b switches classes; SB 54: immigration_violator is never loaded."""
    bench = Bench(tmp_path, Publication(), classes=tuple(CLASS_RULES))
    entries = [entry("TST0001"), entry("TST0002", "immigration_violator"), entry("TST0003", "amber_alert")]
    manifest, pieces = bench.hq.publish("1", entries)
    bench.link.manifest(manifest)
    bench.answer(manifest, pieces)
    assert bench.built == [("1", {"TST0001", "TST0003"})]


@pytest.mark.clause("430.2-b")
def test_a_list_is_loaded_anew_when_other_classes_of_it_are_on(bench: Bench) -> None:
    """HQ has nothing newer: a class that was switched off would sound on, one switched on would not."""
    manifest, pieces = bench.hq.publish("1", [entry("TST0001"), entry("TST0002", "violent_person")])
    for classes, loaded in (
        (("stolen_vehicle",), {"TST0001"}),
        (("stolen_vehicle", "violent_person"), {"TST0001", "TST0002"}),
        (("violent_person",), {"TST0002"}),
    ):
        bench.classes = classes
        bench.link = bench.open()
        bench.link.manifest(manifest)
        bench.answer(manifest, pieces)
        assert bench.built[-1] == ("1", loaded)
    bench.link = bench.open()
    bench.link.manifest(manifest)
    bench.answer(manifest, pieces)
    assert len(bench.built) == 3


def test_a_version_that_comes_while_an_older_one_is_built_is_not_taken_for_it(bench: Bench) -> None:
    """430.3(f): what is told to be in force is what alarms, however long a list takes to build."""
    first, second = (bench.hq.publish(version, [entry(f"TST000{version}")]) for version in "12")
    go_on = threading.Event()
    bench.wait = lambda: go_on.wait(10)
    bench.link.manifest(first[0])
    bench.link.step()
    bench.deliver(first[0], first[1], bench.asked.pop())
    bench.link.step()
    bench.link.manifest(second[0])
    go_on.set()
    bench.settle()
    assert bench.link.version == "1"
    bench.answer(*second)
    assert bench.built == [("1", {"TST0001"}), ("2", {"TST0002"})]
    assert bench.link.version == bench.open().version == "2"


def test_a_disk_too_full_for_a_piece_is_told_and_the_unit_goes_on(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "1m") as disk:
        bench = Bench(disk / "pieces", Publication())
        manifest, pieces = bench.hq.publish("1", [entry("TST0001")])
        bench.link.manifest(manifest)
        bench.link.step()
        filler = fill(disk)
        bench.deliver(manifest, pieces, bench.asked.pop())
        assert "piece 0 cannot be kept: No space left on device" in bench.link.fault
        filler.unlink()
        bench.time += 21
        bench.answer(manifest, pieces)
        assert (bench.link.version, bench.link.fault) == ("1", "")


def test_a_broken_record_of_the_version_in_force_does_not_stop_the_unit(bench: Bench) -> None:
    (bench.folder / "in-force.json").write_text("{")
    assert bench.open().version == ""


def test_a_server_keeps_the_version_of_an_unchanged_list(tmp_path: Path) -> None:
    first = ListServer(tmp_path, "all", "test", [entry("TST0001"), entry("TST0001")], NOON)
    again = ListServer(tmp_path, "all", "test", [entry("TST0001")], NOON + timedelta(hours=1))
    assert again.manifest == first.manifest
    with pytest.raises(HotListError, match="later than this clock says"):
        ListServer(tmp_path, "all", "test", [entry("TST0002")], NOON - timedelta(hours=1))
    changed = ListServer(tmp_path, "all", "test", [entry("TST0002")], NOON + timedelta(hours=1))
    assert changed.manifest.version > first.manifest.version
    hotlists.verify(changed.manifest, hotlists.read_public_key(tmp_path / "hq.pub"))


def test_a_manifest_is_on_the_disk_before_it_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut the same version must not be given to another list."""
    done: list[tuple[str, bool]] = []
    real, manifest = os.fsync, tmp_path / "manifest.json"

    def fsync(handle: int) -> None:
        real(handle)
        done.append((Path(f"/proc/self/fd/{handle}").readlink().name, manifest.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    ListServer(tmp_path, "all", "test", [entry("TST0001")], NOON)
    assert done[-2:] == [("manifest.new", False), (tmp_path.name, True)]


def test_a_server_answers_for_its_own_version_and_its_own_pieces_only(tmp_path: Path) -> None:
    server = ListServer(tmp_path, "all", "test", [entry("TST0001")], NOON)
    key = PrivateKey.generate()
    good = ChunkRequest(
        list_id="test",
        version=server.manifest.version,
        numbers=(0, 1, 99),
        public_key=hotlists.public_key(key),
    )
    (payload,) = server.answers(good)
    message = messages.decode("chunk", payload)
    piece = hotlists.unseal(message.data, key)
    assert [entry.plate for entry in hotlists.unpack(piece)] == ["TST0001"]
    assert not list(server.answers(dataclasses.replace(good, version="0")))
    assert not list(server.answers(dataclasses.replace(good, public_key="0" * 64)))


def test_a_server_with_a_broken_manifest_file_says_which(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(HotListError, match=r"manifest\.json"):
        ListServer(tmp_path, "all", "test", [entry("TST0001")], NOON)


CSV = (
    "plate,class,state,expiry,case_number\n"
    "TST0001,stolen_vehicle,CA,2099-12-31,\n"
    "TST0002,stolen_vehicle,CA,,\n"
    "TST0003,nonsense,CA,2099-12-31,\n"
    "TST00?4,major_incident_partial,CA,2099-12-31,T-1\n"
)


def test_a_csv_file_is_served_without_its_bad_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list.csv"
    path.write_text(CSV)
    assert [(entry.plate, entry.partial) for entry in read_entries(path, NOON.date())] == [
        ("TST0001", False),
        ("TST00?4", True),
    ]
    assert "list.csv:4: unknown class" in caplog.text
    assert "1 entries without an expiry" in caplog.text
    assert "TST0" not in caplog.text


@pytest.mark.parametrize("built", [False, True])
def test_what_has_expired_is_counted_and_not_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, built: bool
) -> None:
    """A unit whose clock is not set lets every entry match: a dead lead would stop an innocent driver."""
    days = {"TST0001": "2026-11-27", "TST0002": "2026-11-26", "TST0003": "2026-11-28"}
    if built:
        path = tmp_path / "list.sqlite"
        entries = [
            HotListEntry(
                plate=plate,
                state="CA",
                alarm_class=AlarmClass.STOLEN_VEHICLE,
                reason="test",
                source="manual",
                case_number="",
                expiry=day,
            )
            for plate, day in days.items()
        ]
        build(path, entries, version="1", issued_at="")
    else:
        path = tmp_path / "list.csv"
        rows = "".join(f"{plate},stolen_vehicle,{day}\n" for plate, day in days.items())
        path.write_text(f"plate,class,expiry\n{rows}")
    found = {entry.plate for entry in read_entries(path, date(2026, 11, 27))}
    assert found == {"TST0001", "TST0003"}, "the last day still counts"
    (line,) = caplog.messages
    assert line == f"{path.name}: 1 entries that have expired were left out"


def test_a_list_goes_from_a_file_at_hq_into_force_on_a_unit(tmp_path: Path) -> None:
    source = tmp_path / "list.csv"
    source.write_text(CSV)
    hq, folder = tmp_path / "hq", tmp_path / "unit"
    with Broker(tmp_path / "broker") as broker:
        with closing(ListenStore(hq)):
            lists = ListServer(hq, "all", "list", read_entries(source, NOON.date()), datetime.now(UTC))
        overrides = [f"mqtt.list_key_file={hq / 'hq.pub'}"]
        with (
            Hq(hq, broker.port, lists=lists) as listener,
            Unit(folder, broker.port, overrides=overrides) as unit,
        ):
            wait_for(lambda: unit.publisher.status().list_version == lists.manifest.version)
            with HotList.open(folder / "hotlist.sqlite") as built:
                assert built.version == lists.manifest.version
                assert [match.entry.plate for match in built.match("TST0001")] == ["TST0001"]
                assert [match.kind for match in built.match("TST0014")] == [MatchKind.PARTIAL]
            assert unit.publisher.status().faults == ()
            assert any("was sent 1 pieces" in line for line in listener.lines)
            assert "TST0" not in "".join(listener.lines)


@pytest.mark.parametrize("loss", [Path.unlink, lambda file: os.truncate(file, 5000)])
def test_a_list_that_was_lost_on_the_unit_is_built_again_at_the_next_connection(
    tmp_path: Path, loss: Callable[[Path], None]
) -> None:
    """HQ has nothing newer to publish for days, and until then nothing would alarm."""
    hq, folder = tmp_path / "hq", tmp_path / "unit"
    file, overrides = folder / "hotlist.sqlite", [f"mqtt.list_key_file={hq / 'hq.pub'}"]
    with Broker(tmp_path / "broker") as broker:
        with closing(ListenStore(hq)):
            lists = ListServer(hq, "all", "list", [entry(plate) for plate in PLATES], datetime.now(UTC))
        with Hq(hq, broker.port, lists=lists), Unit(folder, broker.port, overrides=overrides) as unit:
            wait_for(lambda: unit.publisher.status().list_version == lists.manifest.version)
            unit.stop()
            loss(file)
            unit.start()
            wait_for(lambda: is_usable(file))
            with HotList.open(file) as built:
                assert (built.version, built.entries) == (lists.manifest.version, len(PLATES))
            built_at = file.stat().st_mtime_ns
            unit.stop()
            unit.start()
            wait_for(lambda: unit.publisher.status().connected)
            unit.stop()
            assert file.stat().st_mtime_ns == built_at, "a list that can be used is left as it is"


@pytest.mark.clause("430.2-a")
def test_an_entry_that_expires_while_the_subscriber_runs_no_longer_sounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscriber runs for weeks, and a unit whose clock is not set lets every entry match."""
    monkeypatch.setattr("firmware.listen._RENEW_S", 0.05)
    hq, folder, now = tmp_path / "hq", tmp_path / "unit", NOON
    today = dataclasses.replace(entry("TST0001"), expiry=NOON.date().isoformat())
    with Broker(tmp_path / "broker") as broker:
        with closing(ListenStore(hq)):
            lists = ListServer(hq, "all", "list", [today, entry("TST0002")], NOON)
        first = lists.manifest.version
        overrides = [f"mqtt.list_key_file={hq / 'hq.pub'}"]
        with (
            Hq(hq, broker.port, lists=lists, now=lambda: now),
            Unit(folder, broker.port, overrides=overrides) as unit,
        ):
            wait_for(lambda: unit.publisher.status().list_version == first)
            now += timedelta(days=1)
            wait_for(lambda: unit.publisher.status().list_version not in ("", first))
            with HotList.open(folder / "hotlist.sqlite") as built:
                assert [one.plate for one in built.all_entries()] == ["TST0002"]
                assert built.match("TST0001", today=None, substitutions=0) == []
            assert unit.publisher.status().faults == ()


def test_a_list_is_renewed_for_a_reason_only_and_before_its_manifest_runs_out(tmp_path: Path) -> None:
    server = ListServer(tmp_path, "all", "test", [entry("TST0001")], NOON)
    key, first = hotlists.read_public_key(tmp_path / "hq.pub"), server.manifest
    renewed = []
    for day in range(1, 70):
        now = NOON + timedelta(days=day)
        if server.renew(now, now.date()):
            renewed.append(day)
        # A unit that comes back after weeks finds a manifest that it may follow.
        hotlists.verify(server.manifest, key)
        assert server.manifest.expires_at > time_text(now)
    assert renewed == [29, 58]
    assert (server.manifest.sha256, server.manifest.entries) == (first.sha256, 1)
    assert server.renew(now, date(2028, 1, 1)), "its last entry has expired"
    assert server.manifest.entries == 0
    assert not server.renew(now, date(2028, 1, 2))


def test_a_list_of_garbage_leaves_the_old_one_in_force(bench: Bench) -> None:
    manifest, pieces = bench.hq.publish("1", [entry("TST0001")])
    bench.link.manifest(manifest)
    bench.error = HotListFileError("the new list cannot be written")
    bench.answer(manifest, pieces)
    assert "cannot be written" in bench.link.fault
    assert bench.link.version == ""


def test_a_defect_in_the_building_ends_the_task(bench: Bench) -> None:
    manifest, pieces = bench.hq.publish("1", [entry("TST0001")])
    bench.link.manifest(manifest)
    bench.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        bench.answer(manifest, pieces)
