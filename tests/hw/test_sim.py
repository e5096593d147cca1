"""The simulated sources: folder, video, clip and the rendered street."""

from __future__ import annotations

import hashlib
import logging
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont, features

from hw.protocols import Camera, EndOfFrames, Frame, HwError
from hw.settings import CameraSettings
from hw.sim import drawing, open_camera, traffic
from hw.sim.clock import SimClock
from hw.sim.street import life, living_street, measuring_street, signature

FINGERPRINT = "a6939b5826789ead17cf64eb8f2e9175d6ae3d12534e992fe925d796104f9892"
"""Of the measuring street. Whoever changes it makes every published figure void."""


LOOKS = {
    4: [136, 114, 133, 130, 151, 150, 68, 123, 123, 123, 125],
    20: [184, 180, 147, 146, 145, 144, 58, 119, 115, 116, 117],
    53: [13, 14, 7, 14, 14, 12, 9, 10, 12, 11, 12],
    63: [82, 81, 66, 52, 49, 49, 58, 40, 39, 39, 40],
}
"""Every sixth value of `signature` by the frame's number; another Pillow may round a little otherwise."""


FONT_HASHES = {
    "BarlowCondensed-SemiBold.ttf": "8eccb41d265c6210",
    "BarlowSemiCondensed-Medium.ttf": "5081aa385b3d9ec9",
    "SofiaSansCondensed-Bold.ttf": "0216a4cf7f32d0ab",
}
"""The first 16 digits of each font's SHA-256: the fonts are part of the measuring street."""


def source(name: str) -> Camera:
    return open_camera(CameraSettings(name="lane", source=name, fps=0), SimClock())


def frames_of(camera: Camera) -> Iterator[Frame]:
    try:
        while True:
            yield camera.frame(1.0)
    except EndOfFrames:
        camera.close()


def test_each_picture_of_a_folder_once_in_its_own_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, size in enumerate(((640, 480), (1920, 1080), (33, 21))):
        Image.new("RGB", size, (number, 90, 90)).save(tmp_path / f"{number}{number}.png")
    (tmp_path / "05.jpg").write_bytes(b"\xff\xd8\xff nothing of the kind")
    (tmp_path / "notes.txt").write_text("no picture")
    with caplog.at_level(logging.WARNING):
        frames = list(frames_of(source(f"folder:{tmp_path}")))
    assert [frame.image.shape[:2] for frame in frames] == [(480, 640), (1080, 1920), (21, 33)]
    assert [Path(frame.source).name for frame in frames] == ["00.png", "11.png", "22.png"]
    assert [frame.sequence for frame in frames] == [0, 2, 3], "the broken file is counted"
    assert "05.jpg" in caplog.text
    assert "notes.txt" not in caplog.text


def test_a_file_that_is_no_picture_to_be_read_is_skipped_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    os.mkfifo(tmp_path / "b.jpg")
    for name in ("c.gif", "d.pgm", "e.JFIF"):
        Image.new("L", (64, 48)).save(tmp_path / name, format="JPEG" if name == "e.JFIF" else None)
    frames = frames_of(source(f"folder:{tmp_path}"))
    assert [Path(frame.source).name for frame in frames] == ["c.gif", "d.pgm", "e.JFIF"]
    assert "a.heic is skipped" in caplog.text
    assert "b.jpg is skipped: is no file" in caplog.text


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_damaged_avif_is_skipped_like_any_other_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What it is, its bytes say and not its name; its decoder has errors of its own."""
    Image.new("RGB", (64, 48), (90, 20, 20)).save(tmp_path / "a.jpg", format="AVIF")
    data = (tmp_path / "a.jpg").read_bytes()
    place = data.index(b"mdat") + 4
    (tmp_path / "a.jpg").write_bytes(data[:place] + b"\xff" * len(data[place:]))
    Image.new("RGB", (64, 48)).save(tmp_path / "b.png")
    assert [Path(frame.source).name for frame in frames_of(source(f"folder:{tmp_path}"))] == ["b.png"]
    assert "a.jpg is skipped" in caplog.text


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_telephones_picture_is_turned_as_its_tag_says(tmp_path: Path, suffix: str) -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :40] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # The stored picture's left is the top (EXIF 2.3, Orientation).
    Image.fromarray(picture).save(tmp_path / f"a.{suffix}", exif=exif)
    (frame,) = frames_of(source(f"folder:{tmp_path}"))
    assert frame.image.shape == (80, 40, 3)
    assert frame.image[:35].mean() > 190
    assert frame.image[45:].mean() < 10


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_of_16_bit_grey_is_scaled_to_8(tmp_path: Path, name: str) -> None:
    shades = np.repeat(np.arange(256, dtype=np.uint16)[None], 10, axis=0)
    Image.fromarray(shades * 16).save(tmp_path / name)  # As a sensor of 12 bits gives it.
    (frame,) = frames_of(source(f"folder:{tmp_path}"))
    assert np.abs(frame.image[5].astype(int) - shades[5][:, None]).max() <= 1


@pytest.mark.parametrize("name", ["folder:/nowhere/at/all", "street:noon", "webcam", "video:/nowhere.mp4"])
def test_a_source_that_does_not_exist_is_told(name: str) -> None:
    with pytest.raises(HwError, match=name.partition(":")[2] or name):
        source(name)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(HwError, match="holds no pictures"):
        source(f"folder:{tmp_path}")


def video(file: Path, codec: str = "mpeg4", kind: str | None = None, first: int = 0, title: str = "") -> Path:
    """A film of 12 grey pictures of 320 x 240, ten a second, each lighter than the last and at its right than
    at its left; their times begin with that of picture `first`."""
    av = pytest.importorskip("av")
    with av.open(str(file), "w", format=kind) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(12):
            grey = np.full((240, 320, 3), 20 * number, np.uint8)
            grey[:, 160:] += 20
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            picture.pts, picture.time_base = first + number, Fraction(1, 10)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return file


def times_of(frames: list[Frame]) -> list[float]:
    """Of each frame, in seconds after the first."""
    return [frame.time.boottime - frames[0].time.boottime for frame in frames]


def test_a_video_gives_its_frames_and_their_times(tmp_path: Path) -> None:
    file = video(tmp_path / "lane.mp4")
    frames = list(frames_of(source(f"video:{file}")))
    assert [frame.sequence for frame in frames] == list(range(12))
    assert frames[0].image.shape == (240, 320, 3)
    assert times_of(frames)[10] == pytest.approx(1.0, abs=0.01)
    assert frames[10].image.mean() == pytest.approx(210, abs=8)
    file.write_bytes(b"no video")
    with pytest.raises(HwError, match=r"lane\.mp4"):
        source(f"video:{file}")


@pytest.mark.parametrize(
    ("matrix", "size", "lighter"),
    [
        ((0, 1, 0, -1, 0, 0, 240, 0), (320, 240), "below"),
        ((-1, 0, 0, 0, -1, 0, 320, 240), (240, 320), "left"),
        ((0, -1, 0, 1, 0, 0, 0, 320), (320, 240), "above"),
        ((0, 0, 0, 0, 0, 0, 0, 0), (240, 320), "right"),
    ],
)
def test_a_telephones_video_is_turned_as_its_file_says(
    tmp_path: Path, matrix: tuple[int, ...], size: tuple[int, int], lighter: str
) -> None:
    """The matrix is that of an MP4's track header (ISO/IEC 14496-12, 8.3.2): 16.16 fixed point, w 2.30."""
    file = video(tmp_path / "lane.mp4")
    data = file.read_bytes()
    place = data.index(b"tkhd") + 44
    file.write_bytes(
        data[:place] + struct.pack(">9i", *(65_536 * n for n in matrix), 1 << 30) + data[place + 36 :]
    )
    frames = list(frames_of(source(f"video:{file}")))
    assert {frame.image.shape[:2] for frame in frames} == {size}
    image = frames[5].image.astype(float)
    middle = size[0] // 2, size[1] // 2
    sides = {
        "above": image[: middle[0]],
        "below": image[middle[0] :],
        "left": image[:, : middle[1]],
        "right": image[:, middle[1] :],
    }
    assert max(sides, key=lambda side: float(sides[side].mean())) == lighter


def test_a_video_goes_on_after_a_damaged_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = video(tmp_path / "lane.mp4")
    av = pytest.importorskip("av")
    with av.open(str(file)) as container:
        parts = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(file.read_bytes())
    for place, size in parts[4:6]:
        data[place : place + size] = bytes(size)
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames = list(frames_of(source(f"video:{file}")))
    assert times_of(frames) == pytest.approx([0, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1], abs=0.001)
    first, last = caplog.messages
    assert "lane.mp4 is damaged" in first
    assert last.endswith("damaged parts left out: 2")


def test_a_title_in_another_encoding_is_no_fault_of_the_video(tmp_path: Path) -> None:
    file = video(tmp_path / "lane.mkv", title="Stra#e 7")
    file.write_bytes(file.read_bytes().replace(b"Stra#e", "Straße".encode("latin-1")))
    assert len(list(frames_of(source(f"video:{file}")))) == 12


def test_a_video_of_an_unknown_kind_is_told_at_once(tmp_path: Path) -> None:
    file = video(tmp_path / "lane.mp4", "libx264")
    file.write_bytes(file.read_bytes().replace(b"avc1", b"zzz1"))
    with pytest.raises(HwError, match=r"lane\.mp4: its kind of video cannot be decoded here"):
        source(f"video:{file}")


def test_a_recording_whose_times_begin_hours_late_begins_when_it_is_opened(tmp_path: Path) -> None:
    """A broadcast stream's clock runs on for a day; the reads would be stored as of tomorrow."""
    file = video(tmp_path / "lane.ts", "mpeg2video", first=10 * 3600 * 22)
    clock = SimClock()
    opened = clock.now().boottime
    frames = list(frames_of(open_camera(CameraSettings(source=f"video:{file}"), clock)))
    assert frames[0].time.boottime == pytest.approx(opened, abs=5)
    assert times_of(frames) == pytest.approx([number / 10 for number in range(12)], abs=0.001)


@pytest.mark.parametrize("begins", [(0, 0), (36_000, 0), (0, 36_100)])
def test_of_two_recordings_that_were_joined_the_second_follows_the_first(
    tmp_path: Path, begins: tuple[int, int]
) -> None:
    """The times of the second begin anew; seen from those of the first they may lie before or long after."""
    parts = [video(tmp_path / f"{n}.ts", "mpeg2video", first=first) for n, first in enumerate(begins)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    times = times_of(list(frames_of(source(f"video:{joined}"))))
    assert times == pytest.approx([number / 10 for number in range(24)], abs=0.001)


def test_a_bare_stream_without_times_has_those_of_its_rate(tmp_path: Path) -> None:
    """As rpicam-vid writes it by default. At one and the same moment no vehicle would ever be gone."""
    file = video(tmp_path / "lane.h264", "libx264", kind="h264")
    times = times_of(list(frames_of(source(f"video:{file}"))))
    assert times == pytest.approx([number / 10 for number in range(12)])


def test_the_clip_plays_without_a_video_library() -> None:
    camera = source("clip")
    frames = [camera.frame(1.0) for _ in range(3)]
    assert frames[0].image.shape == (720, 1280, 3)
    assert frames[2].time.boottime > frames[1].time.boottime > frames[0].time.boottime


def test_the_measuring_street_is_the_one_that_was_published() -> None:
    passages = traffic.measuring()
    assert traffic.fingerprint(passages) == FINGERPRINT
    assert len(passages) == 1000
    assert {one.light for one in passages} == set(traffic.LIGHTS)
    assert min(one.width for one in passages) < 26
    assert max(one.width for one in passages) > 138
    assert all(3 <= one.frames <= 8 for one in passages)
    assert not any(one.body & traffic.TRUCK for one in passages)


def test_the_measuring_street_looks_as_it_did() -> None:
    street = measuring_street(CameraSettings(fps=0), SimClock(), 9)
    frames = list(frames_of(street))
    for number, expected in LOOKS.items():
        found = np.array(signature(frames[number])[::6])
        assert np.abs(found - expected).max() <= 3, number
    shown = {truth.passage: truth.text for frame in frames for truth in frame.truth or ()}
    assert shown == {one.number: one.text for one in traffic.measuring()[:9]}


def test_the_fonts_of_the_measuring_street_are_the_ones_that_were_published() -> None:
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in drawing.FONTS.glob("*.ttf")
    }
    assert found == FONT_HASHES


@pytest.mark.parametrize("file", sorted(FONT_HASHES))
def test_no_letter_hangs_below_the_others(file: str) -> None:
    # A plate's dies are all of one height; what hangs lower is cut off, and a J becomes an I.
    font = ImageFont.truetype(str(drawing.FONTS / file), 256)
    line = font.getbbox("0")[3]
    used = sorted({char for one in traffic.measuring() for char in one.text})
    assert "J" in used
    assert [char for char in used if font.getbbox(char)[3] > line + 2] == []


def test_the_same_seed_gives_the_same_street_and_another_does_not() -> None:
    one, same, other = (
        living_street(CameraSettings(fps=0, seed=seed), SimClock(), None) for seed in (5, 5, 6)
    )
    for _ in range(60):
        first, second, third = one.frame(1.0), same.frame(1.0), other.frame(1.0)
        assert (first.image == second.image).all()
        assert first.truth == second.truth
        assert (first.image != third.image).any()


def test_the_truth_is_where_the_plate_is() -> None:
    bright = 0
    for frame in frames_of(measuring_street(CameraSettings(fps=0), SimClock(), 11)):
        for truth in frame.truth or ():
            if truth.box is None:
                continue
            x, y, w, h = truth.box
            assert x >= 0
            assert y >= 0
            assert x + w <= 1280
            assert y + h <= 720
            assert 1.2 < w / h < 3.5
            if frame.image.mean() < 25:
                part = frame.image[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1]
                assert part.mean() > 2 * frame.image.mean(), "by night its plate is the brightest thing"
                bright += 1
    assert bright > 5


def test_the_living_street_shows_two_at_once_a_truck_and_a_parked_car() -> None:
    moments = list(islice(life(traffic.passages(1, frames=(20, 45)), 0), 6000))
    assert {moment.light for moment in moments} == set(traffic.LIGHTS)
    seen = {one.number: one for moment in moments for one, _ in moment.vehicles}
    assert any(one.body & traffic.TRUCK for one in seen.values())
    parked = [one for one in seen.values() if one.speed == 0]
    assert parked
    assert all(one.seconds > 60 for one in parked)
    moving = [sum(one.speed > 0 for one, _ in moment.vehicles) for moment in moments]
    assert max(moving) == 2
    assert moving.count(0) > 500, "an empty road, too"


def test_a_live_street_skips_what_nobody_took() -> None:
    street = living_street(CameraSettings(fps=50), SimClock(), "day")
    first = street.frame(1.0)
    street._began -= 1.0  # the reader was busy for a second
    assert 45 <= street.frame(1.0).sequence - first.sequence <= 60
