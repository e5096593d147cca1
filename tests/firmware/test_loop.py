"""The loop on a scripted board with a real store: order, idling, failures, the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from detector.types import Detection, PlateText
from firmware import loop
from firmware.store import Store
from firmware.store_queries import ReadQuery
from hw.protocols import CameraError, Pixels
from mqtt.records import PictureKind, Read
from tests.firmware import store_samples as samples
from tests.firmware.board import Car, Unit, passage

ALL = ReadQuery()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "BACKOFF_S", (0.0,))


def test_each_passage_is_one_stored_read_with_both_pictures(tmp_path: Path) -> None:
    unit = Unit(tmp_path, [*passage("TEST123"), *passage("DEMO456")])
    loop.run(unit.parts, unit.stop)
    reads = unit.store.reads(ALL)
    assert {read.plate for read in reads} == {"TEST123", "DEMO456"}
    for read in reads:
        assert {picture.kind for picture in read.pictures} == {PictureKind.PLATE, PictureKind.SCENE}
        for picture in unit.store.pictures(read.read_id):
            assert unit.store.picture_bytes(picture)
    assert unit.wakes == len(unit.kept) >= 2


def test_the_alarm_comes_after_the_commit(tmp_path: Path) -> None:
    """Design step 8: what the officer hears about is on the disk."""
    unit = Unit(tmp_path, passage("TEST123"))
    unit.matches = lambda read: [samples.hit(read)]
    committed: list[int] = []
    unit.lamps.told = lambda: committed.append(
        sum(len(unit.store.hits(read.read_id)) for read in unit.store.reads(ALL))
    )
    loop.run(unit.parts, unit.stop)
    assert committed == [1]


def test_the_picture_shows_the_plate_that_was_read(tmp_path: Path) -> None:
    unit = Unit(tmp_path, [(Car("TEST123", x=600, width=120),)] * 3 + [()] * 30)
    loop.run(unit.parts, unit.stop)
    (read,) = unit.store.reads(ALL)
    sizes = {picture.kind: (picture.width, picture.height) for picture in read.pictures}
    assert sizes[PictureKind.SCENE] == (1280, 720)
    assert 120 < sizes[PictureKind.PLATE][0] < 200
    assert read.box == (600, 400, 120, 60)
    assert read.frame_size == (1280, 720)


@pytest.mark.clause("430.7-a")
@pytest.mark.parametrize(("scene", "kinds"), [("none", {"plate"}), ("vehicle", {"plate", "scene"})])
def test_the_scene_can_be_cut_or_left_out(tmp_path: Path, scene: str, kinds: set[str]) -> None:
    """430.7: what the camera saw beside the vehicle need not be kept."""
    unit = Unit(tmp_path, passage("TEST123"), f"store.scene={scene}")
    loop.run(unit.parts, unit.stop)
    (read,) = unit.store.reads(ALL)
    assert {picture.kind.value for picture in read.pictures} == kinds
    for picture in read.pictures:
        if picture.kind is PictureKind.SCENE:
            assert picture.width < 1280
            assert picture.height < 720


def test_a_plate_at_the_frames_corner_has_its_pictures(tmp_path: Path) -> None:
    unit = Unit(tmp_path, [(Car("TEST123", x=1270, width=10),)] * 4 + [()] * 30, "store.scene=vehicle")
    loop.run(unit.parts, unit.stop)
    (read,) = unit.store.reads(ALL)
    for picture in unit.store.pictures(read.read_id):
        with Image.open(tmp_path / picture.path) as image:
            assert min(image.size) > 0


def test_a_revision_keeps_the_id_and_tells_a_withdrawn_hit(tmp_path: Path) -> None:
    far = [(Car("TEST1Z3", 0.85, x=100 + 20 * step, width=50),) for step in range(5)]
    near = [(Car("TEST123", 0.99, x=200 + 30 * step, width=110 + step),) for step in range(6)]
    unit = Unit(tmp_path, [*far, *near, *[()] * 30])
    unit.matches = lambda read: [samples.hit(read)] if read.plate == "TEST1Z3" else []
    loop.run(unit.parts, unit.stop)
    (read,) = unit.store.reads(ALL)
    assert read.plate == "TEST123"
    assert read.revision > 1
    assert [hit.withdrawn for hit in unit.store.hits(read.read_id)] == [True]
    assert len(unit.lamps.alarms) == 1


def test_the_watchdog_is_fed_by_frames_only(tmp_path: Path) -> None:
    """An idle trigger: one frame whenever the wait times out, and nothing in between."""
    unit = Unit(tmp_path, [()] * 5)
    unit.board.asleep = True
    loop.run(unit.with_parts(idle_s=10.0), unit.stop)
    pauses = [after - before for before, after in zip(unit.pings, unit.pings[1:], strict=False)]
    assert len(unit.pings) == 5
    assert all(10.0 <= pause < 11.0 for pause in pauses)


def test_a_read_that_is_due_does_not_wait_for_motion(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    read_at: list[float] = []

    def script() -> Iterator[tuple[Car, ...]]:
        yield (Car("TEST123"),)
        unit.board.asleep = True
        yield ()

    unit.board._script = iter(script())
    seen_at = unit.clock.boottime
    parts = unit.with_parts(kept=lambda read, hits: read_at.append(unit.clock.boottime), idle_s=10.0)
    board_frame = unit.board.frame

    def frame(timeout: float) -> object:
        taken = board_frame(timeout)
        unit.board.asleep = True
        return taken

    unit.board.frame = frame  # type: ignore[method-assign, assignment]
    loop.run(parts, unit.stop)
    assert read_at
    assert read_at[0] - seen_at <= 1.0


def test_a_failing_camera_is_told_and_comes_back(tmp_path: Path, no_pause: None) -> None:
    unit = Unit(tmp_path)
    faults: list[str] = []
    script = [
        *passage("TEST123"),
        *[CameraError("camera: no image")] * 3,
        lambda: faults.append(unit.parts.vitals.camera_fault),
        *passage("DEMO456"),
    ]
    unit.board._script = iter(script)
    loop.run(unit.parts, unit.stop)
    assert {read.plate for read in unit.store.reads(ALL)} == {"TEST123", "DEMO456"}
    assert faults == ["camera: no image"]
    assert unit.parts.vitals.camera_fault == ""


def test_a_passage_is_committed_although_the_camera_fails(tmp_path: Path, no_pause: None) -> None:
    unit = Unit(tmp_path, [(Car("TEST123"),), *[CameraError("camera: no image")] * 40])
    loop.run(unit.parts, unit.stop)
    assert len(unit.store.reads(ALL)) == 1


def test_a_camera_that_stays_away_ends_the_process(
    tmp_path: Path, no_pause: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GIVE_UP_S", 0.05)
    unit = Unit(tmp_path, (CameraError("camera: no image") for _ in iter(int, 1)))
    with pytest.raises(loop.CameraGone, match="no image"):
        loop.run(unit.parts, unit.stop)


def test_a_stop_commits_what_was_seen(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    unit.board._script = iter([(Car("TEST123"),), unit.stop.set, ()])
    loop.run(unit.parts, unit.stop)
    assert [read.plate for read in unit.store.reads(ALL)] == ["TEST123"]


def test_a_stop_is_not_held_up_by_an_idle_trigger(tmp_path: Path) -> None:
    unit = Unit(tmp_path, [()] * 5)
    unit.board.asleep = True
    unit.clock.boottime = 0.0
    stop = threading.Event()
    waited = unit.board.wait

    def wait(timeout: float) -> bool:
        stop.set()
        return waited(timeout)

    unit.board.wait = wait  # type: ignore[method-assign]
    loop.run(unit.parts, stop)
    assert unit.clock.boottime <= 1.0


def test_so_many_frames_and_no_more(tmp_path: Path) -> None:
    unit = Unit(tmp_path, [()] * 50)
    loop.run(unit.parts, unit.stop, lambda: unit.parts.vitals.frames >= 7)
    assert unit.parts.vitals.frames == 7


def test_images_that_nobody_looked_at_are_counted(tmp_path: Path) -> None:
    unit = Unit(tmp_path)

    def miss() -> None:
        unit.board.sequence += 3

    unit.board._script = iter([(), (), miss, (), ()])
    loop.run(unit.parts, unit.stop)
    assert unit.parts.vitals.skipped == 3


def test_behind_the_camera_a_plate_is_cut_once_for_the_next_image_tells_more(tmp_path: Path) -> None:
    unit, onces = Unit(tmp_path), []
    read = unit.board.read

    def told(image: Pixels, detection: Detection, once: bool = False) -> PlateText:
        onces.append(once)
        return read(image, detection, once)

    def miss() -> None:
        unit.board.sequence += 1

    unit.board.read = told  # type: ignore[method-assign]
    cars = (Car("TEST123"),)
    unit.board._script = iter([cars, cars, miss, cars, cars])
    loop.run(unit.parts, unit.stop)
    assert onces == [False, False, True, False]


def test_a_full_disk_does_not_silence_the_alarm(tmp_path: Path) -> None:
    """What cannot be kept is counted by the store; the officer hears the hit all the same."""
    unit = Unit(tmp_path, passage("TEST123"))
    unit.matches = lambda read: [samples.hit(read)]
    refused: list[Read] = []

    class Full:
        def add(self, read: Read, *_: object) -> None:
            refused.append(read)

        revise = add

    loop.run(unit.with_parts(store=Full()), unit.stop)
    assert refused
    assert len(unit.lamps.alarms) == 1


def test_a_hit_that_found_no_room_is_kept_with_the_next_revision(tmp_path: Path) -> None:
    """430.4-b: HQ gets the hit that the officer heard, not a read without it."""
    far = [(Car("TEST123", 0.6, x=100 + 20 * step, width=50),) for step in range(15)]
    near = [(Car("TEST123", 0.99, x=400 + 30 * step, width=110 + step),) for step in range(6)]
    unit = Unit(tmp_path / "unit", [*far, *near, *[()] * 30])
    unit.matches = lambda read: [samples.hit(read)]
    free = 0
    store = Store.open(tmp_path / "small", unit.clock, min_free=1000, free=lambda: free)

    def told() -> None:
        nonlocal free
        assert store.count(ALL) == 0
        free = 1000

    unit.lamps.told = told
    with closing(store):
        loop.run(unit.with_parts(store=store), unit.stop)
        (read,) = store.reads(ALL)
        assert [hit.read_id for hit in store.hits(read.read_id)] == [read.read_id]
        assert "hit" in {row.kind for row in samples.rows(store)}
    assert len(unit.lamps.alarms) == 1
