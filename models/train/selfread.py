"""Reads the boxed plates of photographs that nobody has read, where several looks of the OCR agree.

    PYTHONPATH=.:models python -m train.selfread --data DIR --out runs/texts.jsonl [--fold 0]

Owns what is sure enough to be taught: the same text in every cut of a plate, each time with a high
probability. The lines go to `train.ocr --texts`. Photographs of the fold held out are left alone. The file
holds plate texts and stays out of the project.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from detector.corners import Corners
from detector.image import Picture, open_image
from detector.ocr import LOOKS, Ocr
from detector.types import Detection
from train.evaluate import Box, iou
from train.folds import VALIDATION, fold_of
from train.ocr import FITS

SURE = 0.6
"""The least probability of the text in every cut."""
LEAST_LENGTH = 4
"""Shorter texts are mostly a part of what the plate says."""
LEAST_WIDTH = 32.0
"""Pixels. Smaller plates teach little, and a person could not check them."""


def agreed(ocr: Ocr, corners: Corners, picture: Picture, box: Box) -> str | None:
    """What every cut of the plate in `box` says; None where they differ or one is unsure."""
    x, y, w, h = box
    place = Detection(box, 1.0, ((x, y), (x + w, y), (x + w, y + h), (x, y + h)))
    found = corners.refine(picture, [place], 0.5)
    if not found or iou(found[0].box, box) < FITS:
        return None
    best = [ocr.look(picture, found[0], *cut)[0][0] for cut in ((), *LOOKS)]
    text = best[0][0]
    sure = all(one == text and probability >= SURE for one, probability in best)
    return text if sure and len(text) >= LEAST_LENGTH else None


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.selfread", description="Read the plates without a text.")
    parser.add_argument("--data", type=Path, required=True, help="folder with scenes.jsonl")
    parser.add_argument("--models", type=Path, default=Path("models"), help="models of the same fold")
    parser.add_argument("--out", type=Path, default=Path("runs/texts.jsonl"))
    parser.add_argument("--fold", type=int, nargs="+", default=[VALIDATION], help="folds held out")
    given = parser.parse_args(args)
    ocr, corners = Ocr(given.models / "ocr.tflite"), Corners(given.models / "corners.tflite")
    asked, kept = Counter[str](), Counter[str]()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w", encoding="utf-8") as lines:
        for record in map(json.loads, (given.data / "scenes.jsonl").read_text().splitlines()):
            boxes = [tuple(plate["box"]) for plate in record["plates"] if plate["text"] is None]
            if fold_of(record) in given.fold or not boxes:
                continue
            picture = open_image(given.data / record["image"])
            for box in boxes:
                asked[record["set"]] += 1
                text = agreed(ocr, corners, picture, box) if box[2] >= LEAST_WIDTH else None
                if text is not None:
                    kept[record["set"]] += 1
                    lines.write(json.dumps({"image": record["image"], "box": box, "text": text}) + "\n")
    print(", ".join(f"{name} {kept[name]} of {asked[name]}" for name in asked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
