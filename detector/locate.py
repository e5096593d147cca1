"""Where the plates are: a picture in, Detections out.

Owns the meaning of the locator's outputs and the choice among overlapping boxes. What a plate says
is the affair of `detector.ocr`.

The model's outputs, one value or four per cell of `stride` pixels:

    heat (1, h, w, 1)   score, 0..1, that a plate's centre lies in the cell
    box  (1, h, w, 4)   dx, dy: from the cell's centre to the plate's, in cells;
                        log w, log h: natural logarithm of the plate's size in cells
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.image import Picture, resize_for
from detector.runtime import Model
from detector.types import Detection

MOST = 100
"""The most boxes that one picture gives: more are looked at by nobody, and cost time."""

LARGEST_LOG = 6.0
"""No plate is e^6 cells wide; the bound keeps a damaged model from an overflow."""


class Locator:
    """A plate locator: `locate` finds the plates in a picture of any size."""

    def __init__(self, path: Path | str, threads: int = 1, runtime: str | None = None) -> None:
        """Load the model `path` (.tflite with its sidecar).

        Raises:
            ModelError: the model cannot be used, or is no locator.
        """
        self.model = Model(path, threads, runtime)
        sidecar = self.model.sidecar
        if sidecar.locator is None or sidecar.input.channels != 3:
            raise ModelError(
                f"{path}: a {sidecar.kind} model of {sidecar.input.channels} channels is no plate locator"
            )
        self.spec = sidecar.locator
        cells = (sidecar.input.height // self.spec.stride, sidecar.input.width // self.spec.stride)
        shapes = {output.name: output.shape for output in sidecar.outputs}
        if shapes != {"heat": (1, *cells, 1), "box": (1, *cells, 4)}:
            raise ModelError(
                f"{sidecar.path}: a locator gives heat (1, h, w, 1) and box (1, h, w, 4), not {shapes}"
            )
        self._names = [output.name for output in sidecar.outputs]

    def locate(self, image: Picture, threshold: float | None = None, share: float = 1.0) -> list[Detection]:
        """The plates in `image`, best first.

        Args:
            image: uint8 (height, width, 3), RGB, of any size; one that already has the model's size
                costs no resize.
            threshold: the least score that is kept, 0..1; the sidecar's where None.
            share: of the model's input that the picture fills, 0..1: less shows it from further away, with
                black around it.

        Returns:
            Detections whose boxes are pixels of `image`, cut at the edges of what is seen, at most MOST of
            them.

        Raises:
            ImageError: `image` is no picture.
        """
        fitted, scale, offset = resize_for(image, self.model.sidecar.input.size, share)
        outputs = dict(zip(self._names, self.model.run(fitted), strict=True))
        least = self.spec.threshold if threshold is None else threshold
        boxes, scores = decode(outputs["heat"][0, :, :, 0], outputs["box"][0], self.spec.stride, least)
        boxes = (boxes - [*offset, *offset]) / scale
        right_bottom = np.array([image.shape[1], image.shape[0]] * 2, np.float64)
        around = (1 / share - 1) / 2
        boxes = np.clip(boxes, -around * right_bottom, (1 + around) * right_bottom)
        sides = boxes[:, 2:] - boxes[:, :2]
        inside = (sides > 1.0).all(axis=1)
        boxes, scores = boxes[inside], scores[inside]
        return [
            _detection(boxes[i], float(scores[i])) for i in suppress(boxes, scores, self.spec.nms_iou)[:MOST]
        ]


def decode(
    heat: NDArray[np.float32], box: NDArray[np.float32], stride: int, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn the outputs of one picture into boxes.

    Args:
        heat: (h, w) scores, 0..1.
        box: (h, w, 4) as this module's docstring says.
        threshold: cells below it are left out, and so are cells with a better neighbour.

    Returns:
        (n, 4) left, top, right, bottom in pixels of the model's input, and (n,) scores.
    """
    padded = np.pad(heat, 1, constant_values=-1.0)
    rows, columns = np.nonzero(heat >= max(threshold, 1e-6))
    best = np.zeros(len(rows), np.float32)
    for y in range(3):
        for x in range(3):
            np.maximum(best, padded[rows + y, columns + x], out=best)
    peak = heat[rows, columns] >= best
    rows, columns = rows[peak], columns[peak]
    values = box[rows, columns].astype(np.float64)
    centre = (np.stack([columns, rows], axis=1) + 0.5 + values[:, :2]) * stride
    half = np.exp(np.minimum(values[:, 2:], LARGEST_LOG)) * (stride / 2)
    return np.concatenate([centre - half, centre + half], axis=1), heat[rows, columns].astype(np.float64)


def suppress(boxes: NDArray[np.float64], scores: NDArray[np.float64], most: float) -> list[int]:
    """Indices of the boxes that stay, best first: none overlaps a better one by more than `most`.

    Args:
        boxes: (n, 4) left, top, right, bottom.
        scores: (n,).
        most: intersection over union, 0..1, or of one box that lies inside a better one, 0.8 of its own area.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        first, left = int(left[0]), left[1:]
        kept.append(first)
        low = np.maximum(boxes[left, :2], boxes[first, :2])
        high = np.minimum(boxes[left, 2:], boxes[first, 2:])
        common = np.prod(np.maximum(high - low, 0.0), axis=1)
        overlap = common / (area[left] + area[first] - common)
        # A part of a plate taken for a plate lies inside the better box.
        left = left[(overlap <= most) & (common <= 0.8 * area[left])]
    return kept


def best_apart(found: list[Detection], most: float) -> list[Detection]:
    """Those of `found` that `suppress` leaves, best first."""
    if not found:
        return []
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in (one.box for one in found)])
    return [found[i] for i in suppress(boxes, np.array([one.score for one in found]), most)]


def _detection(box: NDArray[np.float64], score: float) -> Detection:
    left, top, right, bottom = (float(n) for n in box)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Detection((left, top, right - left, bottom - top), score, corners)
