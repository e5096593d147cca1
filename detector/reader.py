"""Locator, second look and OCR together: what the firmware and the command line hold.

Owns the three models and which file each is. It opens nothing but the models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from detector.corners import Corners
from detector.image import Picture
from detector.locate import Locator
from detector.ocr import Ocr
from detector.types import Detection, Flag, PlateText

LOCATOR = "locator.tflite"
CORNERS = "corners.tflite"
OCR = "ocr.tflite"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model this is: its kind, its version, and the SHA-256 of its file in hexadecimal."""

    name: str
    version: str
    sha256: str


class Reader:
    """Finds plates in pictures and reads them. One thread uses it."""

    def __init__(self, locator: Locator, corners: Corners, ocr: Ocr) -> None:
        self._locator = locator
        self._corners = corners
        self._ocr = ocr

    @classmethod
    def open(cls, models: Path | str, threads: int = 1, runtime: str | None = None) -> Reader:
        """Open locator.tflite, corners.tflite and ocr.tflite in the folder `models`.

        Args:
            models: the folder; each model has its sidecar beside it.
            threads: for each model.
            runtime: a name of `detector.runtime.RUNTIMES`, or None for the best that is installed.

        Raises:
            ModelError: a file is missing, damaged or another than its sidecar says, or no runtime works.
        """
        folder = Path(models)
        return cls(
            Locator(folder / LOCATOR, threads, runtime),
            Corners(folder / CORNERS, threads, runtime),
            Ocr(folder / OCR, threads, runtime),
        )

    @property
    def min_confidence(self) -> float:
        """The default least confidence (0..1) of a reading that is shown, from the OCR's sidecar."""
        return self._ocr.spec.min_confidence

    def models_info(self) -> tuple[ModelInfo, ...]:
        """The models' identities, in the order of their use."""
        return tuple(
            ModelInfo(used.model.sidecar.kind, used.model.sidecar.version, used.model.sidecar.sha256)
            for used in (self._locator, self._corners, self._ocr)
        )

    def locate(self, image: Picture) -> list[Detection]:
        """The plates in `image`, uint8 (height, width, 3) RGB, best first, with their corners.

        The locator's places, unlikely ones too, are looked at again; see `Locator.locate`, `Corners.refine`.
        """
        places = self._locator.locate(image, self._corners.spec.candidate)
        return self._corners.refine(image, places)

    def read(self, image: Picture, detection: Detection) -> PlateText:
        """What the plate of `detection` says, flagged where below `min_confidence`; see `Ocr.read`."""
        text = self._ocr.read(image, detection)
        if text.confidence < self.min_confidence:
            return replace(text, flags=text.flags | {Flag.LOW})
        return text
