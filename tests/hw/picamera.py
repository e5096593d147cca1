"""A narrow stand-in for picamera2 at its own API, with the habits that trouble programs.

Sizes and formats are silently adjusted; the rows of the small picture are padded, and its colours follow
below; a request that is not released starves the camera; a request that never comes is still waited for,
so that a stop would wait behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

DURATION_US = 66_667


class Request:
    def __init__(self, camera: Picamera2, grey: int, taken_ns: int) -> None:
        self._camera, self._grey, self._taken_ns = camera, grey, taken_ns
        self.released = False

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": self._taken_ns, "FrameDuration": DURATION_US}

    def make_array(self, stream: str) -> np.ndarray:
        assert not self.released, "a request was used after its release"
        config = self._camera.config[stream]
        width, height = config["size"]
        if stream == "lores":
            array = np.full((height * 3 // 2, config["stride"]), 255, np.uint8)  # colours and padding
            array[:height, :width] = self._grey
            return array
        colours = {"BGR888": (10, 20, 30), "RGB888": (30, 20, 10), "XRGB8888": (30, 20, 10, 255)}
        return np.tile(np.uint8(colours[config["format"]]), (height, width, 1))

    def release(self) -> None:
        assert not self.released, "a request was released twice"
        self.released = True
        self._camera.out -= 1


class Picamera2:
    """One camera; `grey` gives the brightness by the controls in force, `script` what happens next."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.controls: dict[str, Any] = {}
        self.out = 0
        self.taken_ns = 5_000_000_000
        self.started = self.closed = self.pending = False
        self.format = "BGR888"
        self.step_us = DURATION_US
        self.grey: Callable[[dict[str, Any]], int] = lambda controls: 100
        self.failures: list[Exception | None] = []

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        return wanted

    def configure(self, wanted: dict[str, Any]) -> None:
        self.controls = dict(wanted["controls"])
        self.buffers = wanted["buffer_count"]
        (w, h), (sw, sh) = wanted["main"]["size"], wanted["lores"]["size"]
        self.config = {
            "main": {"size": (w // 32 * 32, h), "format": self.format, "stride": w * 3},
            "lores": {"size": (sw // 16 * 16, sh), "format": "YUV420", "stride": sw // 16 * 16 + 64},
        }

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def set_controls(self, controls: dict[str, Any]) -> None:
        self.controls.update(controls)

    def start(self) -> None:
        self.started = True

    def capture_request(self, wait: float) -> Request:
        assert self.started
        assert not self.closed
        assert not isinstance(wait, bool)
        assert wait > 0
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None or self.out >= self.buffers - 1:
            self.pending = True
            raise failure or TimeoutError
        self.out += 1
        self.taken_ns += self.step_us * 1000
        return Request(self, self.grey(self.controls), self.taken_ns)

    def cancel_all_and_flush(self) -> None:
        self.pending = False

    def stop(self) -> None:
        if self.pending:
            raise RuntimeError("stop waits for ever behind the request that never came")
        self.started = False

    def close(self) -> None:
        assert not self.out, "a request is still held"
        self.closed = True
