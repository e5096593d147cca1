"""Locator, second look and OCR together: what the firmware and the command line hold.

Owns the three models and which file each is. It opens nothing but the models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector.corners import Corners
from detector.image import Picture
from detector.locate import Locator, best_apart
from detector.ocr import Ocr
from detector.parts import parts, shown_at, stands_whole
from detector.types import Detection, Flag, PlateText

LOCATOR = "locator.tflite"
CORNERS = "corners.tflite"
OCR = "ocr.tflite"

CLEAR = 0.45
"""A picture that the locator is shown at a smaller scale has plates worth reading that it cannot see: at 0.33
(1920 x 1080) one in twelve of those of 60 to 140 px is read from parts alone (`train.staged`)."""
FILLS = 0.5
"""A plate that takes more than this of the picture's width or height fills it: the locator learnt from
vehicles, and takes the beginning or the end of such a plate for the whole."""
_PART, _BEYOND = 0.6, 1.1
"""A place that lies inside a plate by so much of its area is that plate or a part of it; one of nearly its
size is the plate, whose corners are better seen from near."""


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
        Where a plate fills the picture (FILLS), the locator is shown it a second time, half as large.
        """
        found = self._corners.refine(image, self._locator.locate(image, self._corners.spec.candidate))
        # Less sure places are none in use: only an evaluation, which counts every place, keeps them.
        sure = self._locator.spec.threshold
        filled = any(plate.score >= sure and _fills(plate, image) for plate in found)
        return self._farther(image, found) if filled else found

    def survey(self, image: Picture) -> list[tuple[Detection, PlateText]]:
        """What all the plates in `image` say, small ones in a large picture too: for pictures that can wait.

        The whole picture is looked at, then, where it is large, overlapping parts of it as well; and, where
        nothing has been read, parts of half their size. A picture of 1280 x 720 in which a plate is read
        costs what `locate` and `read` cost, one without five times, one of 12 megapixels some forty times.

        Returns:
            Plates as of `locate`, best first, each with its reading as of `read`.

        Raises:
            ImageError: `image` is no picture.
        """
        found = self.locate(image)
        scale, times = shown_at((image.shape[1], image.shape[0]), self._locator.model.sidecar.input.size), 1
        while scale * times < CLEAR:
            times *= 2
            found = self._closer(image, found, times)
        readings = [(plate, self.read(image, plate)) for plate in found]
        if scale * times < 1 and not any(Flag.LOW not in text.flags for _, text in readings):
            found = self._closer(image, found, 2 * times)
            readings = [(plate, self.read(image, plate)) for plate in found]
        return readings

    def _farther(self, image: Picture, found: list[Detection]) -> list[Detection]:
        """`found`, but where the picture, seen half as large with black around, shows a plate that fills it
        and reaches beyond what was found of it: that plate in the place of its parts."""
        places = self._locator.locate(image, self._corners.spec.candidate, share=0.5)
        for plate in self._corners.refine(image, places):
            parts_of_it = [one for one in found if _share_inside(one, plate) > _PART]
            if _fills(plate, image) and all(_area(plate) > _BEYOND * _area(one) for one in parts_of_it):
                score = max(one.score for one in (plate, *parts_of_it))
                found = [replace(plate, score=score), *(one for one in found if one not in parts_of_it)]
        return best_apart(found, self._corners.spec.nms_iou)

    def _closer(self, image: Picture, found: list[Detection], times: int) -> list[Detection]:
        """`found` and what parts of `image` show, each `times` as large, the best of those that overlap."""
        size, within = (image.shape[1], image.shape[0]), self._locator.model.sidecar.input.size
        for part in parts(size, within, times):
            left, top, wide, tall = part
            view = np.ascontiguousarray(image[top : top + tall, left : left + wide])
            places = [
                place.moved(left, top)
                for place in self._locator.locate(view, self._corners.spec.candidate)
                if stands_whole(place, part, size)
            ]
            found = found + self._corners.refine(image, places)
        return best_apart(found, self._corners.spec.nms_iou)

    def read(self, image: Picture, detection: Detection, once: bool = False) -> PlateText:
        """What the plate of `detection` says, flagged where below `min_confidence`; see `Ocr.read`."""
        text = self._ocr.read(image, detection, once)
        if text.confidence < self.min_confidence:
            return replace(text, flags=text.flags | {Flag.LOW})
        return text


def _fills(plate: Detection, image: Picture) -> bool:
    _, _, wide, tall = plate.box
    height, width = image.shape[:2]
    return bool(wide > FILLS * width or tall > FILLS * height)


def _area(place: Detection) -> float:
    return place.box[2] * place.box[3]


def _share_inside(place: Detection, other: Detection) -> float:
    """How much of the box of `place` lies in that of `other`, 0..1."""
    (x, y, w, h), (left, top, wide, tall) = place.box, other.box
    across = min(x + w, left + wide) - max(x, left)
    down = min(y + h, top + tall) - max(y, top)
    return max(across, 0.0) * max(down, 0.0) / _area(place)
