"""A folder of pictures as a camera: each picture once, each a passage of its own.

Owns the order (by name), that a picture is turned as its orientation tag says, and what happens to a file
that is no picture: it is told by name, skipped, and counted by the gap in the frames' numbers.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hw.protocols import EndOfFrames, Frame, HwError, Pixels
from hw.settings import CameraSettings
from hw.sim.clock import SimClock
from hw.sim.source import Source

logger = logging.getLogger(__name__)

SUFFIXES: Final = frozenset({
    ".apng", ".avif", ".avifs", ".bmp", ".bw", ".dcx", ".dib", ".fit", ".fits", ".gif", ".heic",
    ".heif", ".icb", ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe", ".jpeg", ".jpf",
    ".jpg", ".jpx", ".mpo", ".msp", ".pbm", ".pcd", ".pcx", ".pfm", ".pgm", ".png", ".pnm", ".ppm",
    ".psd", ".pxr", ".qoi", ".ras", ".rgb", ".rgba", ".sgi", ".tga", ".tif", ".tiff", ".vda",
    ".vst", ".webp", ".xbm", ".xpm",
})  # fmt: skip
"""What counts as a picture in a folder: what Pillow opens by itself, without icons, textures and what only
another program draws; and a telephone's .heic, which it cannot open, so that it is told and not left out."""


class FolderCamera(Source):
    """The pictures of a folder, in the order of their names, in their own sizes. One thread uses it."""

    def __init__(self, settings: CameraSettings, clock: SimClock, folder: Path) -> None:
        """Raises HwError where `folder` is none or holds no picture."""
        super().__init__(settings, clock)
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise HwError(f"camera {self.name}: {folder}: {error.strerror or error}") from error
        if not files:
            raise HwError(f"camera {self.name}: {folder}: holds no pictures")
        self._files: Iterator[tuple[int, Path]] = enumerate(files)

    def _next(self) -> Frame:
        for number, file in self._files:
            try:
                if not file.is_file():
                    raise ValueError("is no file")  # To open a pipe would be to wait for whoever writes it.
                # What is odd about a tag is no news to whoever looks for a plate.
                with warnings.catch_warnings(action="ignore"), Image.open(file) as opened:
                    image = _rgb(ImageOps.exif_transpose(opened))
            except (
                OSError,
                ValueError,
                SyntaxError,
                RuntimeError,
                UnidentifiedImageError,
                Image.DecompressionBombError,
            ) as error:  # RuntimeError is what Pillow's decoder of AVIF raises.
                logger.warning("camera %s: %s is skipped: %s", self.name, file, error)
                continue
            image = self._masks.apply(image)
            return Frame(image, self._clock.now(), number, self.name, source=str(file))
        raise EndOfFrames(f"camera {self.name}: the folder has no further picture")


def _rgb(image: Image.Image) -> Pixels:
    """The picture's pixels, uint8 (h, w, 3)."""
    if image.mode.startswith(("I", "F")):
        # Grey of more than 8 bits, in whatever unit: Pillow would make white of all that is over 255.
        deep = np.asarray(image, np.float32)
        image = Image.fromarray((deep * (255 / max(deep.max(), 1e-9))).clip(0, 255).astype(np.uint8))
    return np.array(image.convert("RGB"))
