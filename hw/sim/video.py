"""A video file as a camera, by PyAV (extra [video]), and the demonstration clip, by Pillow alone.

Owns that a video is turned as its file says, and the frames' times: from the moment the file was opened,
apart as in the file, or by the file's rate where it holds none, such as bare H.264.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageSequence

from hw.protocols import CameraError, EndOfFrames, Frame, HwError, Pixels
from hw.settings import CameraSettings
from hw.sim.clock import SimClock
from hw.sim.source import Source

logger = logging.getLogger(__name__)

CLIP: Final = Path(__file__).with_name("data") / "clip.webp"
"""The clip that `python -m hw.sim.clip` renders."""

DEFAULT_RATE: Final = 25.0
"""Images a second of a video that tells neither times nor a rate."""

LONGEST_GAP_S: Final = 3600.0
"""Longer a recording does not pause: there another begins, or the time is damaged."""


class _Player(Source):
    """Frames of an iterator of (seconds, picture), each once. One thread uses it."""

    def __init__(
        self, settings: CameraSettings, clock: SimClock, file: Path, frames: Iterator[tuple[float, Pixels]]
    ) -> None:
        super().__init__(settings, clock)
        self._file = file
        self._frames = enumerate(frames)
        self._start = clock.now().boottime

    def _next(self) -> Frame:
        try:
            number, (seconds, image) = next(self._frames)
        except StopIteration:
            raise EndOfFrames(f"camera {self.name}: {self._file} has ended") from None
        moment = self._clock.simulated(self._start + seconds)
        return Frame(self._masks.apply(image), moment, number, self.name)


class VideoCamera(_Player):
    """A video file, as fast as it is taken."""

    def __init__(self, settings: CameraSettings, clock: SimClock, file: Path) -> None:
        """Raises HwError where PyAV is not installed or the file cannot be opened."""
        try:
            import av
        except ImportError as error:
            raise HwError("video:FILE needs PyAV: pip install 'platewarden[video]'") from error
        try:
            # A title in a recorder's own encoding is no fault of the pictures.
            self._container: Any = av.open(str(file), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise HwError(f"camera {settings.name}: {file}: cannot be opened as a video: {error}") from error
        streams = self._container.streams.video
        if not streams or streams[0].codec_context is None:
            self._container.close()
            what = "its kind of video cannot be decoded here" if streams else "holds no video"
            raise HwError(f"camera {settings.name}: {file}: {what}")
        super().__init__(settings, clock, file, self._decoded(file, av.FFmpegError))

    def _decoded(self, file: Path, failure: type[Exception]) -> Iterator[tuple[float, Pixels]]:
        rate = float(self._container.streams.video[0].guessed_rate or DEFAULT_RATE)
        began: float | None = None
        seconds = due = 0.0
        try:
            for picture in self._pictures(file, failure):
                if picture.time is None:
                    seconds = due
                else:
                    # A broadcast's times begin anywhere, and begin anew where two recordings were joined.
                    if began is None or not 0 <= picture.time - began - seconds <= LONGEST_GAP_S:
                        began = picture.time - due
                    seconds = picture.time - began
                due = seconds + 1 / rate
                pixels = picture.to_ndarray(format="rgb24")
                # A phone stores each picture as its sensor lies and beside it how it is to be turned, by a
                # matrix. Of one that is all zeros PyAV makes an angle of a billion degrees.
                turns = round(picture.rotation / 90) if abs(picture.rotation) <= 180 else 0
                yield seconds, np.ascontiguousarray(np.rot90(pixels, turns))
        except failure as error:
            raise CameraError(f"camera {self.name}: {file}: is damaged: {error}") from error

    def _pictures(self, file: Path, failure: type[Exception]) -> Iterator[Any]:
        """All that can be decoded; what cannot is left out and told."""
        damaged = 0
        for packet in self._container.demux(video=0):
            try:
                pictures = packet.decode()
            except failure as error:
                if not damaged:
                    logger.warning("camera %s: %s is damaged: %s; the rest is read", self.name, file, error)
                damaged += 1
            else:
                yield from pictures
        if damaged:
            logger.warning("camera %s: %s: damaged parts left out: %d", self.name, file, damaged)

    def close(self) -> None:
        self._container.close()


class ClipCamera(_Player):
    """The demonstration clip of the rendered street, as fast as it is taken."""

    def __init__(self, settings: CameraSettings, clock: SimClock, file: Path = CLIP) -> None:
        """Raises HwError where the clip is missing or damaged."""
        try:
            self._image = Image.open(file)
        except OSError as error:
            raise HwError(f"camera {settings.name}: {file}: cannot be opened: {error}") from error
        super().__init__(settings, clock, file, self._decoded())

    def _decoded(self) -> Iterator[tuple[float, Pixels]]:
        seconds = 0.0
        for picture in ImageSequence.Iterator(self._image):
            yield seconds, np.array(picture.convert("RGB"))
            seconds += picture.info.get("duration", 67) / 1000

    def close(self) -> None:
        self._image.close()
