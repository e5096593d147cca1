"""The board's camera by picamera2: large pictures to read plates in, small grey ones for the trigger.

Owns the camera's configuration, its exposure presets for day and night, and that a camera that fails is
started anew. picamera2 is imported here alone, when the camera is started: it comes from apt and loads
libcamera.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hw.clock import SystemClock
from hw.masks import Masks
from hw.protocols import CameraError, Frame, Pixels, Preview, Timestamp
from hw.settings import CameraSettings

logger = logging.getLogger(__name__)

_BUFFERS: Final = 4  # one held between preview and frame, one delivered, two for the sensor to fill
_EVERY: Final = 8  # every so many pixels of the small picture are looked at to measure the light

_CHANNELS: Final = {
    # picamera2 names formats by the byte order in a word, so that arrays come the other way round.
    "BGR888": slice(0, 3),
    "XBGR8888": slice(0, 3),
    "RGB888": slice(2, None, -1),
    "XRGB8888": slice(2, None, -1),
}
_GREY_FIRST: Final = frozenset({"YUV420", "YVU420"})


class LightSwitch:
    """Chooses between the day's and the night's exposure, with hysteresis and patience."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._since: float | None = None
        self._started = False
        self.night = False

    def see(self, mean: float, seconds: float) -> bool:
        """Take the mean grey level (0..255) of a picture at `seconds`; True where the preset changes.

        The first picture decides at once, since a unit may be switched on at night.
        """
        beyond = mean > self._settings.day_above if self.night else mean < self._settings.night_below
        hold = self._settings.light_hold_s if self._started else 0.0
        self._started = True
        if not beyond:
            self._since = None
            return False
        if self._since is None:
            self._since = seconds
        if seconds - self._since < hold:
            return False
        self.night, self._since = not self.night, None
        return True

    def controls(self) -> dict[str, Any]:
        """libcamera's controls of the preset in force: exposure in microseconds, analogue gain."""
        one = self._settings
        shutter, gain = (
            (one.night_shutter_us, one.night_gain) if self.night else (one.day_shutter_us, one.day_gain)
        )
        return {"AeEnable": False, "ExposureTime": shutter, "AnalogueGain": gain}


@dataclass(frozen=True, slots=True)
class _Taken:
    """One image that the camera took, still in its own memory."""

    request: Any
    luma: Pixels
    time: Timestamp
    sequence: int


def _picamera2(index: int) -> Any:
    from picamera2 import Picamera2

    return Picamera2(index)


class PiCamera:
    """One camera at the board's connector. One thread uses it.

    It is started with the first image that is asked of it, and anew after a failure: a camera that is
    unplugged at the start is told like one that fails later, while the unit's other work goes on.
    """

    def __init__(
        self, settings: CameraSettings, clock: SystemClock, make: Callable[[int], Any] = _picamera2
    ) -> None:
        """`make` gives the Picamera2 of a connector's number."""
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._make = make
        self._masks = Masks(settings.masks)
        self._light = LightSwitch(settings)
        self._camera: Any = None
        self._channels = slice(0, 3)
        self._small = (0, 0)  # columns and rows of the small picture
        self._sequence = -1
        self._taken_ns = 0
        # The image of the last preview, kept so that `frame` need not wait for another; with _BUFFERS the
        # sensor never runs dry over one.
        self._held: _Taken | None = None

    def preview(self, timeout: float) -> Preview:
        """The next image's luminance; see `hw.protocols.Camera`."""
        try:
            self._let_go()
            self._held = taken = self._take(timeout)
        except Exception as error:  # picamera2 and libcamera raise whatever comes
            raise self._failed(error, timeout) from error
        return Preview(self._masks.apply(taken.luma), taken.time, taken.sequence)

    def frame(self, timeout: float) -> Frame:
        """The image of the last preview, or the next one; see `hw.protocols.Camera`."""
        try:
            self._held = taken = self._held or self._take(timeout)
            image = self._picture(taken.request)
            self._let_go()
        except Exception as error:
            raise self._failed(error, timeout) from error
        return Frame(self._masks.apply(image), taken.time, taken.sequence, self.name)

    def close(self) -> None:
        """Stop the camera; may be called twice."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            self._let_go()
            # A request that never came is still waited for: without this, stop would wait behind it.
            camera.cancel_all_and_flush()
            camera.stop()
        except Exception as error:  # it is closed all the same
            logger.warning("camera %s: does not stop: %s", self.name, error)
        finally:
            camera.close()

    def _failed(self, error: Exception, timeout: float) -> CameraError:
        """Close the camera, so that the next image asked of it starts it anew."""
        if isinstance(error, TimeoutError):
            text = f"no image within {timeout:.1f} s"
        elif isinstance(error, ImportError):
            text = f"{error.name or error} is not installed: apt install python3-picamera2"
        else:
            text = str(error) or type(error).__name__
        try:
            self.close()
        except Exception as further:
            logger.warning("camera %s: does not close: %s", self.name, further)
        return CameraError(f"camera {self.name}: {text}")

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.request.release()

    def _take(self, timeout: float) -> _Taken:
        if self._camera is None:
            self._start()
        # To picamera2 a wait of 0 means not to wait but to return a job.
        request = self._camera.capture_request(wait=max(timeout, 0.001))
        try:
            metadata = request.get_metadata()
            taken_ns = int(metadata["SensorTimestamp"])
            self._sequence += self._images_since(taken_ns, metadata.get("FrameDuration"))
            self._taken_ns = taken_ns
            luma = self._luma(request)
            if self._light.see(float(luma[::_EVERY, ::_EVERY].mean()), taken_ns / 1e9):
                logger.info("camera %s: exposure for %s", self.name, "night" if self._light.night else "day")
                self._camera.set_controls(self._light.controls())
        except BaseException:
            request.release()
            raise
        return _Taken(request, luma, self._clock.at(taken_ns / 1e9), self._sequence)

    def _images_since(self, taken_ns: int, duration_us: int | None) -> int:
        """How many images the camera took since the last one that was looked at, this one included."""
        if not self._taken_ns or not duration_us:
            return 1
        return max(round((taken_ns - self._taken_ns) / (duration_us * 1000)), 1)

    def _start(self) -> None:
        one = self._settings
        camera = self._make(one.index)
        self._camera = camera
        controls = self._light.controls()
        if one.fps:
            between = round(1e6 / one.fps)
            controls["FrameDurationLimits"] = (between, between)
        small_height = round(one.height * one.preview_width / one.width / 2) * 2
        camera.configure(
            camera.create_video_configuration(
                main={"size": (one.width, one.height), "format": "BGR888"},
                lores={"size": (one.preview_width, small_height), "format": "YUV420"},
                controls=controls,
                buffer_count=_BUFFERS,
            )
        )
        # What was asked for is silently adjusted to what the sensor and the scaler can do.
        given = camera.camera_configuration()
        main, small = given["main"], given["lores"]
        if main["format"] not in _CHANNELS or small["format"] not in _GREY_FIRST:
            raise CameraError(f"gives {main['format']} and {small['format']}, not BGR888 and YUV420")
        if tuple(main["size"]) != (one.width, one.height):
            logger.warning("camera %s: gives %dx%d", self.name, *main["size"])
        self._channels = _CHANNELS[main["format"]]
        self._small = tuple(small["size"])
        camera.start()
        self._taken_ns = 0

    def _luma(self, request: Any) -> Pixels:
        """The Y plane: rows may be padded, and the colour planes follow below it."""
        columns, rows = self._small
        luma: Pixels = request.make_array("lores")[:rows, :columns]
        return luma

    def _picture(self, request: Any) -> Pixels:
        image: Pixels = np.ascontiguousarray(request.make_array("main")[:, :, self._channels])
        return image
