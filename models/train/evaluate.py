"""Scores the models: where plates are found, what is read, on photographs that they were not trained on.

    PYTHONPATH=.:models python -m train.evaluate --data DIR            the validation split (fold 0)
    PYTHONPATH=.:models python -m train.evaluate --data DIR --folds F  all folds, see train.folds.GROUPS
    PYTHONPATH=.:models python -m train.evaluate PICTURES              a folder in the OpenALPR layout

Owns the counting and the tables of the model card. It needs neither torch nor TensorFlow: what it scores is
the .tflite files through the unit's own reader. PICTURES holds a .txt beside each image with the lines
file, x, y, w, h, text, separated by tabs.

A labelled plate is located when a box overlaps it by IoU >= 0.5; every box that locates none is false, a
loose one too. A plate is read when a box that overlaps it by IoU >= 0.3 has exactly its text; that is counted
on photographs in which every plate has a text.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from detector.corners import Corners
from detector.errors import DetectorError
from detector.image import crop_quad, open_image
from detector.locate import Locator
from detector.ocr import Ocr
from detector.reader import Reader
from detector.types import PlateText
from train.folds import FOLDS, GROUPS, VALIDATION, fold_of, two_lines

LOCATED, MATCHED = 0.5, 0.3
ONE_LINE = "plates of one line"
"""Those of two lines are to be flagged, not read; they count in every other row."""
WIDTHS = (20, 40, 80)
"""Lower ends of the width classes in pixels of the locator's input (640 wide)."""
_INPUT = (640, 384)

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Plate:
    """A labelled plate: (x, y, w, h) in pixels, its text or None, and whether it stands on two lines."""

    box: Box
    text: str | None
    two_lines: bool = False


@dataclass(frozen=True, slots=True)
class Photo:
    """A labelled photograph: its file, its set, its fold (None outside of the folds) and its plates."""

    file: Path
    set: str
    fold: int | None
    plates: tuple[Plate, ...]


@dataclass(slots=True)
class Share:
    """How many of how many, with Wilson's 95 percent interval."""

    right: int = 0
    of: int = 0

    def count(self, right: bool) -> None:
        self.right += right
        self.of += 1

    def __str__(self) -> str:
        if not self.of:
            return "-"
        low, high = wilson(self.right, self.of)
        share = 100 * self.right / self.of
        return f"{share:.1f} ({100 * low:.1f}-{100 * high:.1f}), {self.right} of {self.of}"


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson, JASA 1927): its ends, 0..1."""
    share, correction = right / of, z * z / of
    middle = (share + correction / 2) / (1 + correction)
    half = z / (1 + correction) * math.sqrt(share * (1 - share) / of + correction / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(slots=True)
class Scores:
    """What was counted over photographs.

    Attributes:
        located: plates found, by width class and by set.
        read: plates read exactly, by set.
        alike: the same with O as 0 and I as 1.
        shown_right: of the texts above the least confidence that stand on a labelled plate, those right.
        false: boxes that locate no plate, over all photographs.
        false_shown: of them, those that lie on no plate and whose text is shown at the default confidence.
        photos: photographs.
        misreads: (photo, box, label, reading) of plates found and read wrong.
        confidences: (confidence, right) of every reading on a labelled plate.
        ms: milliseconds of locating and reading, by photograph.
    """

    located: defaultdict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    read: defaultdict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    alike: defaultdict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    shown_right: Share = field(default_factory=Share)
    false: int = 0
    false_shown: int = 0
    photos: int = 0
    misreads: list[tuple[Path, Box, str, str]] = field(default_factory=list)
    confidences: list[tuple[float, bool]] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def add(self, photo: Photo, reader: Reader) -> None:
        """Locate and read one photograph and count it."""
        image = open_image(photo.file)
        began = time.perf_counter()
        found = [(one.box, reader.read(image, one)) for one in reader.locate(image)]
        self.ms.append((time.perf_counter() - began) * 1e3)
        self.photos += 1
        used: set[int] = set()
        scale = min(_INPUT[0] / image.shape[1], _INPUT[1] / image.shape[0])
        for plate in photo.plates:
            best = max(range(len(found)), key=lambda k: iou(found[k][0], plate.box), default=None)
            hit = best is not None and best not in used and iou(found[best][0], plate.box) >= LOCATED
            if hit and best is not None:
                used.add(best)
            self.located[_width_class(plate.box[2] * scale)].count(hit)
            if plate.box[2] >= 40:
                self.located["40 px and more in the photograph"].count(hit)
                self.located[f"{photo.set}, 40 px and more"].count(hit)
        self.false += len(found) - len(used)
        self.false_shown += sum(
            text.confidence >= reader.min_confidence
            and all(iou(box, plate.box) < MATCHED for plate in photo.plates)
            for box, text in found
        )
        if photo.plates and all(plate.text for plate in photo.plates):
            for plate in photo.plates:
                self._read(photo, plate, found, reader.min_confidence)

    def _read(self, photo: Photo, plate: Plate, found: Sequence[tuple[Box, PlateText]], least: float) -> None:
        label = plate.text or ""
        on_it = [text for box, text in found if iou(box, plate.box) >= MATCHED]
        texts = [text.text for text in on_it]
        names = [photo.set, "all"] if plate.two_lines else [photo.set, "all", ONE_LINE]
        for name in names:
            self.read[name].count(label in texts)
            self.alike[name].count(_alike(label) in [_alike(text) for text in texts])
        for text in on_it:
            if text.text:
                self.confidences.append((text.confidence, text.text == label))
                if text.confidence >= least:
                    self.shown_right.count(text.text == label)
        if label not in texts:
            self.misreads.append((photo.file, plate.box, label, texts[0] if texts else ""))


def _alike(text: str) -> str:
    return text.replace("O", "0").replace("I", "1")


def _width_class(width: float) -> str:
    low = max((edge for edge in WIDTHS if edge <= width), default=0)
    high = next((edge for edge in WIDTHS if edge > width), None)
    return f"{low} px and more at 640" if high is None else f"{low}-{high} px at 640"


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes (x, y, w, h)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one[2] * one[3] + other[2] * other[3] - width * height)


def load_scenes(data: Path) -> list[Photo]:
    """The photographs of DIR/scenes.jsonl.

    Raises:
        SystemExit: the file is missing or a line of it is damaged; the message names it.
    """
    path, photos, double = data / "scenes.jsonl", [], two_lines()
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise SystemExit(f"train.evaluate: {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            plates = tuple(
                Plate(tuple(p["box"]), p.get("text"), (record["image"], place) in double)
                for place, p in enumerate(record["plates"])
            )
            photos.append(Photo(data / record["image"], record["set"], fold_of(record), plates))
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"train.evaluate: {path}:{number}: no labelled photograph: {error!r}") from error
    return photos


def load_folder(folder: Path) -> list[Photo]:
    """The photographs of a folder in OpenALPR's end-to-end layout."""
    by_image: defaultdict[Path, list[Plate]] = defaultdict(list)
    for label in sorted(folder.glob("*.txt")):
        for number, line in enumerate(label.read_text().splitlines(), 1):
            cells = line.split("\t")
            try:
                x, y, w, h = (float(cell) for cell in cells[1:5])
                by_image[folder / cells[0]].append(Plate((x, y, w, h), cells[5].strip().upper()))
            except (ValueError, IndexError):
                print(f"train.evaluate: {label}:{number}: not file, x, y, w, h, text", file=sys.stderr)
    return [Photo(file, folder.name, None, tuple(plates)) for file, plates in by_image.items()]


def score(photos: Sequence[Photo], reader: Reader, scores: Scores) -> None:
    """Count `photos` into `scores`; a picture that cannot be read is told and left out."""
    for number, photo in enumerate(photos, 1):
        try:
            scores.add(photo, reader)
        except DetectorError as error:
            print(f"train.evaluate: {error}", file=sys.stderr)
        if sys.stderr.isatty():
            print(f"\r{number} of {len(photos)}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)


def tables(scores: Scores) -> Iterator[str]:
    """The tables of the model card, in Markdown; shares in percent with Wilson's interval."""
    yield f"{scores.photos} photographs, {np.median(scores.ms):.1f} ms each (median, locate and read)\n"
    yield "| located (IoU 0.5) | percent |\n|---|---|"
    for name, share in sorted(scores.located.items()):
        yield f"| {name} | {share} |"
    photos = max(scores.photos, 1)
    yield f"| false boxes an image | {scores.false / photos:.3f} |"
    yield f"| texts shown an image that lie on no plate | {scores.false_shown / photos:.3f} |\n"
    yield "| read exactly, from the picture | percent | with O = 0, I = 1 |\n|---|---|---|"
    for name, share in sorted(scores.read.items()):
        yield f"| {name} | {share} | {scores.alike[name]} |"
    yield f"\nof the texts shown at the default confidence: {scores.shown_right} right\n"
    yield "| confidence | readings | mean confidence | right |\n|---|---|---|---|"
    pairs = np.array(scores.confidences or [(0.0, False)], np.float64)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98):
        high = {0.8: 0.9, 0.9: 0.95, 0.95: 0.98, 0.98: 1.01}.get(low, low + 0.2)
        some = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < high)]
        if len(some):
            means = f"{some[:, 0].mean():.3f} | {some[:, 1].mean():.3f}"
            yield f"| {low:g}-{min(high, 1):g} | {len(some)} | {means} |"


def sheet(scores: Scores, out: Path, most: int = 120) -> None:
    """A picture of misread plates, each with its label above what was read: for the eye, not for keeping."""
    cell = (200, 116)
    some = scores.misreads[:most]
    canvas = Image.new("RGB", (cell[0] * 6, cell[1] * max(math.ceil(len(some) / 6), 1)), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (file, (x, y, w, h), label, read) in enumerate(some):
        corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        crop = Image.fromarray(crop_quad(open_image(file), corners, 0.1, (80, 196), grey=False))
        left, top = number % 6 * cell[0], number // 6 * cell[1]
        canvas.paste(crop, (left, top))
        draw.text((left + 4, top + 84), f"{label} read {read or 'nothing'}", "black", font_size=14)
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(out)


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.evaluate", description="Score the models.")
    parser.add_argument("pictures", type=Path, nargs="?", help="a folder in OpenALPR's layout")
    parser.add_argument("--data", type=Path, help="folder with scenes.jsonl")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models")
    parser.add_argument("--folds", type=Path, help="folder of the other groups' models (train.folds.GROUPS)")
    parser.add_argument("--limit", type=int, help="so many photographs at most")
    parser.add_argument(
        "--sheet", type=Path, default=Path("runs/misreads.png"), help="where misreads are drawn"
    )
    given = parser.parse_args(args)
    if not given.data and not given.pictures:
        print("train.evaluate: skipped: neither --data DIR nor a folder of pictures was given")
        return 0
    scores = Scores()
    try:
        if given.pictures:
            score(load_folder(given.pictures)[: given.limit], Reader.open(given.models), scores)
        else:
            photos = load_scenes(given.data)
            for fold in range(FOLDS) if given.folds else [VALIDATION]:
                some = [photo for photo in photos if photo.fold == fold][: given.limit]
                score(some, _reader(given.models, given.folds, fold), scores)
    except DetectorError as error:
        print(f"train.evaluate: {error}", file=sys.stderr)
        return 1
    for line in tables(scores):
        print(line)
    sheet(scores, given.sheet)
    print(f"\nmisreads are drawn in {given.sheet}")
    return 0


def group_reader(folds: Path, held: str) -> Reader:
    """The models in `folds` that never saw the folds `held`."""
    return Reader(
        Locator(folds / f"locator-{held}.tflite"),
        Corners(folds / f"corners-{held}.tflite"),
        Ocr(folds / f"ocr-{held}.tflite"),
    )


def _reader(models: Path, folds: Path | None, fold: int) -> Reader:
    if folds is None or fold == VALIDATION:
        return Reader.open(models)
    held = "".join(map(str, next(group for group in GROUPS if fold in group)))
    return group_reader(folds, held)


if __name__ == "__main__":
    sys.exit(main())
