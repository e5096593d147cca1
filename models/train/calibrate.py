"""Fits the confidence: how often a text is right that the unit's own locator and OCR give.

    PYTHONPATH=.:models python -m train.calibrate --data DIR --folds F --models models

Owns the fit of `detector.ocr.features` by logistic regression, on the photographs of one group of folds, read
by the models that never saw them (F holds it, see `train.folds.GROUPS`). A text is right where it is
that of a plate that its box overlaps; a text on no plate is wrong. The weights go into every OCR's sidecar in
--models and in F, so that all other folds show what the fit is worth. It needs neither torch nor TensorFlow.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.image import open_image
from detector.ocr import Ocr, calibrated, features
from detector.reader import OCR, Reader
from detector.sidecar import sidecar_path
from train.evaluate import MATCHED, group_reader, iou
from train.export import dump_toml
from train.folds import GROUPS
from train.labelled import Photo, load_scenes

FITTED = GROUPS[1]
"""The folds that the confidence is fitted on; the validation split is none of them."""

Floats = NDArray[np.float64]


def observed(photos: list[Photo], reader: Reader, ocr: Ocr) -> Iterator[tuple[tuple[float, ...], bool]]:
    """The features of every text that is read in `photos`, and whether it is right."""
    for photo in photos:
        image = open_image(photo.file)
        for detection in reader.locate(image):
            found = ocr.spellings(image, detection)
            if found[0][0]:
                on = [plate.text for plate in photo.plates if iou(detection.box, plate.box) >= MATCHED]
                yield features(found, detection), found[0][0] in on


def fit(x: Floats, y: Floats) -> tuple[float, ...]:
    """Weights of a logistic regression of y (n,), 0 or 1, on x (n, k), by Newton's method.

    A little ridge holds features that never vary.
    """
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = np.array([calibrated(tuple(weights), tuple(row)) for row in x])
        gradient = x.T @ (p - y) + 0.1 * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + 0.1 * np.eye(x.shape[1])
        weights -= np.linalg.solve(curve, gradient)
    return tuple(round(float(w), 4) for w in weights)


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.calibrate", description="Fit the confidence.")
    parser.add_argument("--data", type=Path, required=True, help="folder with scenes.jsonl")
    parser.add_argument("--folds", type=Path, required=True, help="folder of the groups' models")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models")
    given = parser.parse_args(args)
    held = "".join(map(str, FITTED))
    models = group_reader(given.folds, held), Ocr(given.folds / f"ocr-{held}.tflite")
    photos = [p for p in load_scenes(given.data) if p.fold in FITTED and p.plates]
    seen = list(observed([p for p in photos if all(plate.text for plate in p.plates)], *models))
    weights = fit(np.array([row for row, _ in seen]), np.array([right for _, right in seen], np.float64))
    for path in (sidecar_path(given.models / OCR), *sorted(given.folds.glob("ocr-*.toml"))):
        document = tomllib.loads(path.read_text())
        document["ocr"]["calibration"] = list(weights)
        path.write_text(dump_toml(document))
    print(f"{len(seen)} texts, {sum(right for _, right in seen)} right: {list(weights)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
