"""A second look at each place that the locator found: is it a plate, and where are its four corners.

Owns the meaning of the second look's outputs. The locator sees a whole picture at once, small; this model
sees each place large, with what lies around it, in the picture's own pixels. So places come cheap from the
one and are judged by the other.

The model's outputs for one place:

    score   (1, 1)   0..1: how much of a plate there is, and how well the corners fit it
    corners (1, 8)   x, y of top left, top right, bottom right, bottom left: how far they lie from the
                     place's own corners, as shares of its width and height
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.image import Picture, crop_box
from detector.locate import best_apart
from detector.runtime import Model
from detector.types import Detection, Point

CONTEXT = 0.5
"""What models are trained to see around a place, as a share of its sides."""
AGAIN = 0.5
"""A plate that overlaps its place by less (intersection over union) is looked at again, from its own box."""
DOUBTFUL = (0.2, 0.9)
"""A place whose score lies between these is looked at once more, from its own corners and as in a mirror: a
lamp that looks like a plate once seldom does so twice."""
MOST = 24
"""The most places that are looked at in one picture, the locator's best."""

Box = tuple[float, float, float, float]
"""(x, y, w, h) in pixels of the picture."""

_NOMINAL = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


class Corners:
    """The second look: `refine` turns the locator's places into plates with corners."""

    def __init__(self, path: Path | str, threads: int = 1, runtime: str | None = None) -> None:
        """Load the model `path` (.tflite with its sidecar).

        Raises:
            ModelError: the model cannot be used, or is none of this kind.
        """
        self.model = Model(path, threads, runtime)
        sidecar = self.model.sidecar
        if sidecar.corners is None or sidecar.input.channels != 3:
            raise ModelError(
                f"{path}: a {sidecar.kind} model of {sidecar.input.channels} channels finds no corners"
            )
        self.spec = sidecar.corners
        shapes = {output.name: output.shape for output in sidecar.outputs}
        if shapes != {"score": (1, 1), "corners": (1, 8)}:
            raise ModelError(
                f"{sidecar.path}: a corners model gives score (1, 1) and corners (1, 8), not {shapes}"
            )
        self._names = [output.name for output in sidecar.outputs]

    def refine(
        self, image: Picture, places: list[Detection], threshold: float | None = None
    ) -> list[Detection]:
        """The plates among `places`, best first.

        Args:
            image: uint8 (height, width, 3), RGB: the picture in which the places were found.
            places: from the locator, best first.
            threshold: the least score that is kept, 0..1; the sidecar's where None.

        Returns:
            Detections whose corners are the plate's own and whose box is the upright one around them, cut
            at the picture's edges. Their scores are those of the locator and of this look, the odds
            multiplied; of a doubtful place this look's odds are the geometric mean of two. None overlaps a
            better one.

        Raises:
            ImageError: `image` is no picture.
        """
        least = self.spec.threshold if threshold is None else threshold
        found = []
        for place in places[:MOST]:
            plate = self._look(image, place.box, place.score)
            if plate is not None and _overlap(plate.box, place.box) < AGAIN:
                plate = self._look(image, plate.box, place.score)
            if plate is not None and DOUBTFUL[0] < plate.score < DOUBTFUL[1]:
                plate = self._checked(image, plate, place.score)
            if plate is not None and plate.score >= least:
                found.append(plate)
        return best_apart(found, self.spec.nms_iou)

    def _run(self, image: Picture, place: Box, mirrored: bool = False) -> tuple[float, NDArray[np.float32]]:
        crop = crop_box(image, place, self.spec.context, self.model.sidecar.input.size)
        seen = np.ascontiguousarray(crop[:, ::-1]) if mirrored else crop
        outputs = dict(zip(self._names, self.model.run(seen), strict=True))
        return float(outputs["score"][0, 0]), outputs["corners"][0]

    def _checked(self, image: Picture, plate: Detection, score: float) -> Detection:
        """`plate` with the score that a further look gives it; `score` is the locator's."""
        again, _ = self._run(image, plate.box, mirrored=True)
        # The score's odds are the locator's times this look's: the mean takes the root of two of these.
        both = math.sqrt(_odds(plate.score) * _odds(score) * _odds(again))
        return replace(plate, score=both / (1 + both))

    def _look(self, image: Picture, place: Box, score: float) -> Detection | None:
        x, y, w, h = place
        seen, offsets = self._run(image, place)
        shares = _NOMINAL + offsets.reshape(4, 2).astype(np.float64)
        corners = shares * [w, h] + [x + w / 2, y + h / 2]
        low = np.clip(corners.min(axis=0), 0.0, [image.shape[1], image.shape[0]])
        high = np.clip(corners.max(axis=0), 0.0, [image.shape[1], image.shape[0]])
        if (high - low <= 1.0).any():
            return None
        box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        quad = corners if _turns_right(corners) else np.array(_corners(box))
        top_left, top_right, bottom_right, bottom_left = ((float(px), float(py)) for px, py in quad)
        both = _odds(score) * _odds(seen)
        return Detection(box, both / (1 + both), (top_left, top_right, bottom_right, bottom_left))


def _odds(share: float) -> float:
    bounded = min(max(share, 1e-3), 1 - 1e-3)
    return bounded / (1 - bounded)


def _turns_right(quad: NDArray[np.float64]) -> bool:
    """Whether the corners go round clockwise and bulge nowhere inwards."""
    sides = np.roll(quad, -1, axis=0) - quad
    after = np.roll(sides, -1, axis=0)
    return bool((sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0] > 0).all())


def _corners(box: Box) -> tuple[Point, Point, Point, Point]:
    x, y, w, h = box
    return (x, y), (x + w, y), (x + w, y + h), (x, y + h)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes (x, y, w, h)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one[2] * one[3] + other[2] * other[3] - width * height)
