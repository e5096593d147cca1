"""Sheets on which a person draws the corners of labelled plates.

    PYTHONPATH=.:models python -m train.draw --data DIR --fold 0 --part 1/6 --out runs/draw
    PYTHONPATH=.:models python -m train.draw --data DIR --drawn FILE --out runs/draw

The first writes sheets of the plates of 40 px and more that nobody has drawn yet, each with what the models
find there, and lines.txt with the same, to be put right by whoever looks at the sheets; the second draws such
lines again. Lines that were looked at go into drawn.txt, whose format is `train.drawn`'s.

Owns how the sheets look: four plates on each, the label in red, the corners in green with a ring at the
first, rulers in pixels of the photograph.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.image import open_image
from detector.reader import Reader
from detector.types import Detection
from train.drawn import Quad, corners_of, line_of, load_drawn
from train.evaluate import LEAST_WIDTH, iou
from train.labelled import Box, Photo, load_scenes

TILE = (520, 400)
"""Width and height of one plate's picture on a sheet."""
PER_SHEET = 4
_AROUND = 0.55
"""What is shown on each side of a label, of its size."""
_MARGIN = 24


def proposal(box: Box, found: Sequence[Detection]) -> Quad:
    """The corners of the place in `found` that overlaps `box` best; the box's own where none does."""
    best = max(found, key=lambda place: iou(place.box, box), default=None)
    if best is None or iou(best.box, box) < 0.1:
        return corners_of(box)
    return np.array(best.corners, np.float32)


def tile(picture: NDArray[np.uint8], label: Quad | None, quad: Quad | None, name: str) -> NDArray[np.uint8]:
    """One plate: the label in red, `quad` in green, rulers in pixels of the photograph on two sides."""
    both = np.concatenate([q for q in (label, quad) if q is not None])
    (left, top), (right, bottom) = both.min(0), both.max(0)
    wide, high = (TILE[0] - _MARGIN) / TILE[1], (right - left, bottom - top)
    width = max(high[0] * (1 + 2 * _AROUND), high[1] * (1 + 2 * _AROUND) * wide, 40)
    scale = (TILE[0] - _MARGIN) / width
    x0, y0 = (left + right - width) / 2, (top + bottom - (TILE[1] - 2 * _MARGIN) / scale) / 2
    move = np.array([[scale, 0, _MARGIN - x0 * scale], [0, scale, _MARGIN - y0 * scale]])
    shown = cv2.warpAffine(picture, move, TILE, flags=cv2.INTER_CUBIC, borderValue=(90, 90, 90))
    for one, colour in ((label, (255, 60, 60)), (quad, (40, 255, 40))):
        if one is not None:
            at = np.round((one @ move[:, :2].T + move[:, 2]) * 16).astype(np.int32)
            cv2.polylines(shown, [at], True, colour, 1, cv2.LINE_AA, 4)
            if one is quad:
                cv2.circle(shown, at[0], 4 * 16, colour, 1, cv2.LINE_AA, 4)
    shown[:_MARGIN], shown[:, :_MARGIN] = 255, 255
    step = next(s for s in (2, 5, 10, 20, 50, 100, 200) if s * scale >= 36)
    for value in range(math.ceil(x0 / step) * step, int(x0 + width) + 1, step):
        at = round((value - x0) * scale) + _MARGIN
        cv2.line(shown, (at, _MARGIN - 5), (at, _MARGIN), (0, 0, 0))
        shown[_MARGIN:, at : at + 1] = shown[_MARGIN:, at : at + 1] // 4 * 3 + 40
        cv2.putText(shown, str(value), (at - 12, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0))
    for value in range(math.ceil(y0 / step) * step, int(y0 + TILE[1] / scale) + 1, step):
        at = round((value - y0) * scale) + _MARGIN
        cv2.line(shown, (_MARGIN - 5, at), (_MARGIN, at), (0, 0, 0))
        shown[at : at + 1, _MARGIN:] = shown[at : at + 1, _MARGIN:] // 4 * 3 + 40
        cv2.putText(shown, str(value), (0, at + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (0, 0, 0))
    shown[-_MARGIN:] = 255
    cv2.putText(shown, name, (4, TILE[1] - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return np.asarray(shown, np.uint8)


def sheets(tiles: Iterator[NDArray[np.uint8]], out: Path) -> int:
    """Write the tiles by fours into OUT/sheet-001.png and on; the number of sheets."""
    out.mkdir(parents=True, exist_ok=True)
    count, some = 0, []
    for one in tiles:
        some.append(one)
        if len(some) == PER_SHEET:
            count += 1
            _write(some, out / f"sheet-{count:03d}.png")
            some = []
    if some:
        count += 1
        _write(some, out / f"sheet-{count:03d}.png")
    return count


def _write(tiles: Sequence[NDArray[np.uint8]], path: Path) -> None:
    blank = np.full((TILE[1], TILE[0], 3), 255, np.uint8)
    full = [*tiles, *[blank] * (PER_SHEET - len(tiles))]
    picture = np.vstack([np.hstack(full[:2]), np.hstack(full[2:])])
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def undrawn(photos: Sequence[Photo], fold: int) -> list[tuple[Photo, int]]:
    """The plates of a fold that are wide enough and whose corners nobody drew: photograph and place in it."""
    return [
        (photo, place)
        for photo in photos
        if photo.fold == fold
        for place, plate in enumerate(photo.plates)
        if plate.box[2] >= LEAST_WIDTH and plate.corners is None and not plate.unclear
    ]


def _part(text: str) -> slice:
    """Every N-th from the K-th on, of `K/N`."""
    which, parts = map(int, text.split("/"))
    if not 1 <= which <= parts:
        raise ValueError(text)
    return slice(which - 1, None, parts)


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.draw", description="Sheets to draw plates' corners on.")
    parser.add_argument("--data", type=Path, required=True, help="folder with scenes.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder for the sheets and lines.txt")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models")
    parser.add_argument("--fold", type=int, default=0, help="fold whose plates are shown (default: 0)")
    parser.add_argument("--part", type=_part, default="1/1", help="which part of them, as 2/6 (default: all)")
    parser.add_argument("--drawn", type=Path, help="draw the lines of this file instead")
    given = parser.parse_args(args)
    photos = {photo.file.relative_to(given.data).as_posix(): photo for photo in load_scenes(given.data)}
    wanted: list[tuple[str, str, Quad | None]] = []
    if given.drawn:
        for image, places in load_drawn(given.drawn).items():
            if image not in photos:
                parser.error(f"{given.drawn}: {image} is no photograph of {given.data}")
            wanted += [(image, place, quad) for place, quad in places.items()]
    else:
        reader = Reader.open(given.models)
        for photo, place in undrawn(list(photos.values()), given.fold)[given.part]:
            found = reader.locate(open_image(photo.file))
            image = photo.file.relative_to(given.data).as_posix()
            wanted.append((image, str(place), proposal(photo.plates[place].box, found)))

    def tiles() -> Iterator[NDArray[np.uint8]]:
        for number, (image, place, quad) in enumerate(wanted, 1):
            photo = photos[image]
            label = None if place.startswith("+") else corners_of(photo.plates[int(place)].box)
            name = f"{number}: {photo.file.stem[:28]} {place}{'' if quad is not None else ' none'}"
            yield tile(open_image(photo.file), label, quad, name)

    count = sheets(tiles(), given.out)
    if not given.drawn:
        lines = "".join(line_of(*one) + "\n" for one in wanted)
        (given.out / "lines.txt").write_text(lines, encoding="utf-8")
    print(f"{count} sheets of {len(wanted)} plates in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
