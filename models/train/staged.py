"""Scores reading in large pictures: held-out plates set on vehicles of held-out photographs, and spoilt.

    PYTHONPATH=.:models python -m train.staged --data DIR [--models DIR] [--against DIR]

Owns the staging and its counts. The labelled photographs are 640 pixels large at most, so how the larger
pictures of units and users are read is not to be learnt from them. Here each crop of `us_states` of the
validation split covers a plate of one of its photographs, which is scaled until that plate has so many
pixels, and stands among others whose plates are blotted out. What is pasted is no photograph: the figures
compare models and sizes, and find what they cannot do; they are no share of real plates. Two sets of models
see the same pictures. Needs OpenCV, as training does.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from detector.errors import DetectorError
from detector.reader import Reader
from detector.types import Detection, PlateText
from plates.lookalike import one_glyph
from train.counts import mcnemar, share_of
from train.evaluate import MATCHED, iou
from train.folds import VALIDATION
from train.labelled import Box, Crop, load_crops
from train.scenes import Floats, Picture, Scene, decode, decoded, load_scenes, paste

SET = "us_states"
ASPECTS = (1.6, 2.7)
"""Width over height of the plates that are covered: about as an American plate is."""
WIDTHS = (60.0, 140.0)
SMALL = (40.0, 60.0)
SIZES = ((1280, 720), (1920, 1080), (2560, 1440))
"""(width, height) of the pictures, in pixels."""
SPOILT = ("small", "dark", "blurred", "moving")
"""What is done to further pictures of the first size."""
ROW = 480
"""Height of a row of photographs, pixels."""
JPEG_QUALITY = 85

Readings = Sequence[tuple[Detection, PlateText]]


@dataclass(frozen=True, slots=True)
class Stage:
    """One picture: uint8 (height, width, 3) RGB, the pasted plate's box and its text."""

    picture: Picture
    box: Box
    text: str


@dataclass(slots=True)
class Counts:
    """Of each plate, by its number, whether it was shown right (O as 0, I as 1); and texts on no plate."""

    right: dict[int, bool] = field(default_factory=dict)
    false: int = 0

    def add(self, number: int, stage: Stage, readings: Readings, least: float) -> None:
        shown = [(place, text) for place, text in readings if text.confidence >= least]
        on_it = [text.text for place, text in shown if iou(place.box, stage.box) >= MATCHED]
        self.right[number] = one_glyph(stage.text) in map(one_glyph, on_it)
        self.false += len(shown) - len(on_it)


class Stager:
    """Makes pictures from the photographs and crops of the validation split under `data`."""

    def __init__(self, data: Path) -> None:
        scenes = [scene for scene in load_scenes(data) if scene.fold == VALIDATION]
        self.crops: list[Crop] = [
            crop for crop in load_crops(data) if crop.set == SET and crop.fold == VALIDATION
        ]
        self._hosts = [
            (scene, number)
            for scene in scenes
            for number, (_, _, w, h) in enumerate(scene.boxes)
            if w >= WIDTHS[0] and ASPECTS[0] < w / h < ASPECTS[1]
        ]
        self._others = [scene for scene in scenes if 0 < len(scene.boxes) < 4]
        self._other = cache(lambda number: _row_of(self._others[number]))

    def stage(self, number: int, size: tuple[int, int], spoilt: str | None = None) -> Stage:
        """Picture `number`, the same for the same arguments.

        Args:
            number: of the crop that is pasted, from 0; beyond their count they come again, elsewhere.
            size: (width, height) of the picture.
            spoilt: one of SPOILT, None for none.
        """
        rng = np.random.default_rng([number, *size, *map(ord, spoilt or "")])
        crop = self.crops[number % len(self.crops)]
        scene, place = self._hosts[int(rng.integers(len(self._hosts)))]
        wide = rng.uniform(*(SMALL if spoilt == "small" else WIDTHS))
        scale = wide / float(scene.boxes[place][2])
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        host = cv2.resize(_blotted(scene, place), None, fx=scale, fy=scale, interpolation=way).astype(
            np.uint8
        )
        x, y, w, h = (float(n) for n in scene.boxes[place] * scale)
        quad = paste(host, decode(crop.file), (x, y, w, h), rng)
        picture, moved = self._set_among(host, quad.mean(axis=0), size, rng)
        low, high = (quad + moved).min(axis=0), (quad + moved).max(axis=0)
        box = (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        return Stage(_packed(spoil(picture, spoilt, rng)), box, crop.text)

    def _set_among(
        self, host: Picture, middle: Floats, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Picture, Floats]:
        """`host`, cut about `middle` where it is too large, over rows of others, and how far it moved."""
        width, height = size
        picture = np.zeros((height, width, 3), np.uint8)
        for top in range(0, height, ROW):
            left = 0
            while left < width:
                other = self._other(int(rng.integers(len(self._others))))
                part = other[: height - top, : width - left]
                picture[top : top + part.shape[0], left : left + part.shape[1]] = part
                left += other.shape[1]
        tall, wide = min(host.shape[0], height), min(host.shape[1], width)
        cut_x = int(np.clip(middle[0] - wide / 2, 0, host.shape[1] - wide))
        cut_y = int(np.clip(middle[1] - tall / 2, 0, host.shape[0] - tall))
        x, y = int(rng.integers(width - wide + 1)), int(rng.integers(height - tall + 1))
        picture[y : y + tall, x : x + wide] = host[cut_y : cut_y + tall, cut_x : cut_x + wide]
        return picture, np.array([x - cut_x, y - cut_y], np.float32)


def _blotted(scene: Scene, but: int | None = None) -> Picture:
    """The photograph with each of its plates one even colour, all `but` that one."""
    picture = decoded(scene)
    for number, (x, y, w, h) in enumerate(scene.boxes.astype(int)):
        if number != but:
            place = picture[max(y - h // 6, 0) : y + h + h // 3, max(x - w // 8, 0) : x + w + w // 4]
            place[:] = place.mean(axis=(0, 1))
    return picture


def _row_of(scene: Scene) -> Picture:
    """The photograph without its plates, ROW pixels high."""
    picture = _blotted(scene)
    wide = max(round(picture.shape[1] * ROW / picture.shape[0]), 1)
    return cv2.resize(picture, (wide, ROW)).astype(np.uint8)


def spoil(picture: Picture, how: str | None, rng: np.random.Generator) -> Picture:
    """`picture` in the dark with a sensor's noise, out of focus, or moved by 3 to 5 pixels while exposed."""
    if how == "dark":
        dark = picture * rng.uniform(0.12, 0.3) + rng.normal(0, 3, picture.shape)
        return np.clip(dark, 0, 255).astype(np.uint8)
    if how == "blurred":
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 1.8)).astype(np.uint8)
    if how == "moving":
        return cv2.blur(picture, (int(rng.choice([3, 4, 5])), 1)).astype(np.uint8)
    return picture


def _packed(picture: Picture) -> Picture:
    packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]).astype(np.uint8)


def score(stager: Stager, readers: Sequence[Reader], pictures: int) -> dict[str, list[list[Counts]]]:
    """Counts by row, for each reader those of whole pictures and of `Reader.survey`."""
    kinds = [(size, None) for size in SIZES] + [(SIZES[0], how) for how in SPOILT]
    rows: dict[str, list[list[Counts]]] = defaultdict(lambda: [[Counts(), Counts()] for _ in readers])
    for size, how in kinds:
        row = rows[f"{size[0]} x {size[1]}{f', {how}' if how else ''}"]
        for number in range(pictures):
            stage = stager.stage(number, size, how)
            for reader, (whole, surveyed) in zip(readers, row, strict=True):
                least = reader.min_confidence
                once = [(place, reader.read(stage.picture, place)) for place in reader.locate(stage.picture)]
                whole.add(number, stage, once, least)
                surveyed.add(number, stage, reader.survey(stage.picture), least)
            if sys.stderr.isatty():
                print(f"\r\x1b[K{size[0]} {how or ''} {number + 1} of {pictures}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    return rows


def tables(rows: dict[str, list[list[Counts]]], names: Sequence[str]) -> Iterator[str]:
    """The counts in Markdown; shares in percent with Wilson's interval, O as 0 and I as 1."""
    for place, name in enumerate(names):
        yield f"\n| {name}: read | whole picture | with its parts | texts on no plate an image |"
        yield "|---|---|---|---|"
        for row, found in rows.items():
            whole, surveyed = found[place]
            false = f"{whole.false / len(whole.right):.3f}, {surveyed.false / len(surveyed.right):.3f}"
            shares = f"{share_of(whole.right.values())} | {share_of(surveyed.right.values())}"
            yield f"| {row} | {shares} | {false} |"
    if len(names) == 2:
        yield f"\n| with its parts | only {names[0]} | only {names[1]} | p |\n|---|---|---|---|"
        for row, (one, other) in rows.items():
            pairs = [(one[1].right[n], other[1].right[n]) for n in one[1].right]
            firsts, seconds = pairs.count((True, False)), pairs.count((False, True))
            yield f"| {row} | {firsts} | {seconds} | {mcnemar(firsts, seconds):.3g} |"


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.staged", description="Score reading in large pictures.")
    parser.add_argument("--data", type=Path, help="folder with scenes.jsonl and crops.jsonl")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models")
    parser.add_argument("--against", type=Path, help="folder of other models to compare with")
    parser.add_argument("--pictures", type=int, help="so many of each kind (default: one for each crop)")
    given = parser.parse_args(args)
    if not given.data:
        print("train.staged: skipped: no --data DIR was given")
        return 0
    folders = [given.models, *([given.against] if given.against else [])]
    try:
        stager = Stager(given.data)
        rows = score(stager, [Reader.open(folder) for folder in folders], given.pictures or len(stager.crops))
    except DetectorError as error:
        print(f"train.staged: {error}", file=sys.stderr)
        return 1
    for line in tables(rows, [str(folder) for folder in folders]):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
