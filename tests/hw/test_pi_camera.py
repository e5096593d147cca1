"""The board's camera, over a stand-in that has picamera2's habits."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from hw.clock import Discipline, SystemClock
from hw.pi.camera import LightSwitch, PiCamera
from hw.protocols import CameraError
from hw.settings import CameraSettings, ClockSettings
from tests.hw.picamera import DURATION_US, Picamera2

SETTINGS = CameraSettings(name="lane", width=1300, height=720, preview_width=650)


def clock() -> SystemClock:
    return SystemClock(
        ClockSettings(),
        discipline=lambda: Discipline(True, 2.0),
        boottime=lambda: 100.0,
        wall=lambda: datetime(2027, 1, 1, tzinfo=UTC),
        boot_id="boot",
    )


class Bench:
    """A camera and the stand-ins that it opened."""

    def __init__(self, settings: CameraSettings = SETTINGS, *first: Picamera2) -> None:
        self.opened: list[Picamera2] = []
        self._first = list(first)
        self.camera = PiCamera(settings, clock(), self._open)

    def _open(self, index: int) -> Picamera2:
        self.opened.append(self._first.pop(0) if self._first else Picamera2())
        return self.opened[-1]


def test_the_sizes_are_those_that_the_camera_gives_and_padding_is_cut() -> None:
    bench = Bench()
    preview, frame = bench.camera.preview(1.0), bench.camera.frame(1.0)
    assert preview.luma.shape == (360, 640)
    assert (preview.luma == 100).all()
    assert frame.image.shape == (720, 1280, 3)
    bench.camera.close()
    assert bench.opened[0].closed


@pytest.mark.parametrize("given", ["BGR888", "RGB888", "XRGB8888"])
def test_pictures_are_rgb_whatever_format_the_camera_gives(given: str) -> None:
    one = Picamera2()
    one.format = given
    frame = Bench(SETTINGS, one).camera.frame(1.0)
    assert frame.image[5, 5].tolist() == [10, 20, 30]
    assert frame.image.flags.c_contiguous


def test_a_format_that_cannot_be_read_is_told() -> None:
    one = Picamera2()
    one.format = "MJPEG"
    with pytest.raises(CameraError, match=r"lane.*MJPEG"):
        Bench(SETTINGS, one).camera.frame(1.0)
    assert one.closed


def test_a_frame_is_the_image_of_the_preview_and_no_request_stays_held() -> None:
    bench = Bench()
    for _ in range(20):
        preview, frame = bench.camera.preview(1.0), bench.camera.frame(1.0)
        assert preview.sequence == frame.sequence
        assert preview.time == frame.time
    assert frame.sequence == 19
    for _ in range(20):
        preview = bench.camera.preview(1.0)
    assert preview.sequence == 39
    assert bench.opened[0].out == 1
    bench.camera.close()
    assert not bench.opened[0].out


def test_time_is_the_sensors_and_skipped_images_are_counted() -> None:
    bench = Bench()
    first = bench.camera.frame(1.0)
    assert first.time.boottime == pytest.approx(5.0 + DURATION_US / 1e6)
    assert first.time.wall is not None
    assert (datetime(2027, 1, 1, tzinfo=UTC) - first.time.wall).total_seconds() == pytest.approx(
        94.933, abs=0.01
    )
    bench.opened[0].step_us = 4 * DURATION_US
    assert bench.camera.frame(1.0).sequence == first.sequence + 4


@pytest.mark.parametrize("failure", [TimeoutError(), RuntimeError("gone"), OSError(5, "I/O")])
def test_a_camera_that_fails_is_closed_and_started_anew(failure: Exception) -> None:
    bench = Bench()
    bench.camera.preview(1.0)
    bench.opened[0].failures = [failure]
    with pytest.raises(CameraError, match="camera lane: ") as told:
        bench.camera.preview(0.5)
    assert "\n" not in str(told.value)
    assert bench.opened[0].closed
    assert not bench.opened[0].started, "it was stopped, not left behind a request that never came"
    after = bench.camera.frame(1.0)
    assert len(bench.opened) == 2
    assert after.sequence == 1


def test_a_silent_camera_is_told_with_its_time() -> None:
    bench = Bench()
    bench.camera.preview(1.0)
    bench.opened[0].failures = [TimeoutError()]
    with pytest.raises(CameraError, match=r"no image within 0\.5 s"):
        bench.camera.frame(1.0), bench.camera.frame(0.5)


def test_a_camera_that_is_missing_at_the_start_is_told_and_found_later() -> None:
    connected: list[bool] = []

    def make(index: int) -> Picamera2:
        if not connected:
            raise IndexError("list index out of range")
        return Picamera2()

    camera = PiCamera(SETTINGS, clock(), make)
    with pytest.raises(CameraError):
        camera.preview(1.0)
    connected.append(True)
    assert camera.preview(1.0).sequence == 0


def test_without_picamera2_the_line_says_what_to_install() -> None:
    with pytest.raises(CameraError, match="apt install python3-picamera2"):
        PiCamera(SETTINGS, clock()).frame(1.0)


@pytest.mark.clause("430.7-a")
def test_masks_cover_picture_and_preview() -> None:
    """430.7-a: what lies under a mask is seen by nobody."""
    bench = Bench(CameraSettings(masks=((0.0, 0.0, 0.5, 1.0),)))
    luma, image = bench.camera.preview(1.0).luma, bench.camera.frame(1.0).image
    for picture in (luma, image):
        half = picture.shape[1] // 2
        assert not picture[:, : half - 1].any()
        assert picture[:, half + 1 :].all()


def test_the_night_preset_comes_with_the_dark_and_stays() -> None:
    bench = Bench(CameraSettings(light_hold_s=1.0))
    bench.camera.preview(1.0)
    one = bench.opened[0]
    assert (one.controls["ExposureTime"], one.controls["AnalogueGain"], one.controls["AeEnable"]) == (
        1000,
        1,
        False,
    )
    one.grey = lambda controls: 15 if controls["AnalogueGain"] == 1 else 70
    for _ in range(60):
        bench.camera.preview(1.0)
    assert (one.controls["ExposureTime"], one.controls["AnalogueGain"]) == (2000, 8)
    one.failures = [OSError("gone")]
    with pytest.raises(CameraError):
        bench.camera.preview(1.0)
    bench.camera.preview(1.0)
    assert bench.opened[1].controls["AnalogueGain"] == 8


def test_headlights_for_a_moment_do_not_change_the_preset() -> None:
    light = LightSwitch(CameraSettings(light_hold_s=10.0))
    assert light.see(5.0, 0.0), "a unit that is switched on at night starts with the night's preset"
    means = np.tile([200.0] * 9 + [60.0], 20)
    assert not any(light.see(float(mean), 1.0 + second) for second, mean in enumerate(means))
    assert [light.see(200.0, 300.0 + second) for second in range(12)].count(True) == 1
    assert not light.night
