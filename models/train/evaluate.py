"""Scores the models: where plates are found, what is read, on photographs that they were not trained on.

    PYTHONPATH=.:models python -m train.evaluate --data DIR                 the validation split (fold 0)
    PYTHONPATH=.:models python -m train.evaluate --data DIR --folds F       all folds, see train.folds.GROUPS
    PYTHONPATH=.:models python -m train.evaluate --data DIR --against DIR2  two sets of models, in pairs
    PYTHONPATH=.:models python -m train.evaluate --data DIR --float         int8 files and their float weights
    PYTHONPATH=.:models python -m train.evaluate PICTURES                   a folder in the OpenALPR layout

Owns the counting. What it scores are the .tflite files through the unit's own reader; that needs neither
torch nor TensorFlow, --float needs torch. PICTURES holds a .txt beside each image with the lines file, x, y,
w, h, text, separated by tabs. `train.report` makes the tables, `train.labelled` reads the labels.

A labelled plate is located when a box overlaps it by IoU >= 0.5; every box that locates none is false, a
loose one too. Many labels are far larger than their plate, so where corners were drawn (`train.drawn`) plates
are judged by the boxes around those as well. Recall at so many false boxes an image takes the least threshold
that keeps within them on the same photographs. A plate is read when a box that overlaps it by IoU >= 0.3 has
exactly its text; that is counted on photographs in which every plate has a text. A crop is read at its
labelled place, straightened by the second look where its corners fit the label.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from detector.corners import Corners
from detector.errors import DetectorError
from detector.image import Picture, open_image
from detector.locate import Locator
from detector.ocr import Ocr
from detector.reader import Reader
from detector.types import Detection, PlateText
from plates.lookalike import one_glyph
from train import report
from train.counts import Share
from train.drawn import Quad
from train.folds import FOLDS, GROUPS, VALIDATION
from train.labelled import Box, Crop, Photo, Plate, load_crops, load_folder, load_scenes

LOCATED, MATCHED = 0.5, 0.3
FITS = 0.55
"""Corners whose box overlaps a crop's label by less (IoU) are not taken for the plate's, as in training."""
FLOOR = 0.02
"""The least score of a box that is counted: below every threshold that keeps to a rate of false boxes."""
ONE_LINE, TWO_LINES = "plates of one line", "plates of two lines"
BESIDE = 0.1
"""A box that overlaps an unclear label or a plate without one by so much (IoU) is not called false."""
LEAST_WIDTH = 40
"""Pixels in the photograph from which a plate counts in most rows, and from which plates were drawn."""
WIDTHS = (20, 40, 80)
"""Lower ends of the width classes in pixels of the locator's input (640 wide)."""
_INPUT = (640, 384)

Key = tuple[str, int]
"""What names one labelled plate in every scoring: its picture, and its place among the picture's labels."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The models that are scored.

    Attributes:
        reader: its `locate` gives every box from FLOOR on.
        command: the same models as they are in use; its `survey` is what `platewarden read` shows.
        corners: its second look, for crops.
        threshold: the score from which the models themselves keep a box.
    """

    reader: Reader
    command: Reader
    corners: Corners
    threshold: float


@dataclass(frozen=True, slots=True)
class Found:
    """A box that was found: its score, and whether the models themselves keep it."""

    score: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Miss:
    """A plate that was read wrong; `box` None where the picture is the plate."""

    file: Path
    box: Box | None
    label: str
    read: str


@dataclass(slots=True)
class Located:
    """How plates are found, judged by one set of boxes.

    Attributes:
        plates: by row (width class, set), of each plate the box that locates it, None without.
        false: the boxes that locate no plate.
        photos: photographs.
    """

    plates: defaultdict[str, dict[Key, Found | None]] = field(default_factory=lambda: defaultdict(dict))
    false: list[Found] = field(default_factory=list)
    photos: int = 0

    def threshold_at(self, rate: float) -> float:
        """The least threshold at which these photographs have at most `rate` false boxes an image."""
        scores = sorted((box.score for box in self.false), reverse=True)
        allowed = int(rate * self.photos)
        return math.nextafter(scores[allowed], 2.0) if len(scores) > allowed else FLOOR


@dataclass(slots=True)
class Scores:
    """What was counted over photographs and crops.

    Attributes:
        labels: how plates are found, judged by the labels' boxes.
        drawn: the same judged by the boxes around drawn corners, of photographs in which every plate of
            LEAST_WIDTH and more was looked at; a box on what was found unclear, or on a plate
            without a label, is neither right nor false.
        corner_errors: of each plate that the models locate with drawn corners, how far its corners are from
            those, as a share of the plate's width, the mean of the four.
        read, alike: by row, of each labelled plate whether it is read exactly in one look at the whole
            picture, as a unit looks; with O as 0 and I as 1.
        shown, shown_alike: the same of what `platewarden read` shows, which looks at parts too.
        crops, crops_alike: the same of crops, read at their labelled place.
        filled, filled_alike: by set, of crops that are files of their own, whether `platewarden read` shows
            it where the file is the whole picture, so that the plate fills it.
        shown_right: of the texts above the least confidence that stand on a labelled plate, those right.
        false_shown, command_false: texts above the default confidence that lie on no plate; those that
            `platewarden read` shows.
        photos: photographs.
        misreads, crop_misreads: plates found and read wrong, and crops.
        confidences: (confidence, right) of every reading on a labelled plate.
        ms: milliseconds of locating and reading, by photograph.
    """

    labels: Located = field(default_factory=Located)
    drawn: Located = field(default_factory=Located)
    corner_errors: list[float] = field(default_factory=list)
    read: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    alike: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    shown: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    shown_alike: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    crops: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    crops_alike: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    filled: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    filled_alike: defaultdict[str, dict[Key, bool]] = field(default_factory=lambda: defaultdict(dict))
    shown_right: Share = field(default_factory=Share)
    false_shown: int = 0
    command_false: int = 0
    photos: int = 0
    misreads: list[Miss] = field(default_factory=list)
    crop_misreads: list[Miss] = field(default_factory=list)
    confidences: list[tuple[float, bool]] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def add(self, photo: Photo, subject: Subject) -> None:
        """Locate and read one photograph and count it."""
        image, reader = open_image(photo.file), subject.reader
        began = time.perf_counter()
        places = reader.locate(image)
        kept = [place for place in places if place.score >= subject.threshold]
        found = [(place.box, reader.read(image, place)) for place in kept]
        self.ms.append((time.perf_counter() - began) * 1e3)
        self.photos += 1
        self._locate(photo, places, subject.threshold, image)
        least = reader.min_confidence
        shown = [(p.box, t) for p, t in subject.command.survey(image) if t.confidence >= least]
        self.false_shown += _beside(photo, [(box, text) for box, text in found if text.confidence >= least])
        self.command_false += _beside(photo, shown)
        if photo.plates and all(plate.text for plate in photo.plates):
            for number, plate in enumerate(photo.plates):
                self._read(photo, number, plate, found, least)
                self._shown(photo, number, plate, shown)

    def _locate(self, photo: Photo, places: Sequence[Detection], threshold: float, image: Picture) -> None:
        scale = min(_INPUT[0] / image.shape[1], _INPUT[1] / image.shape[0])
        owners, false = _owners(places, [plate.box for plate in photo.plates])
        self.labels.false += [Found(place.score, place.score >= threshold) for place in false]
        by_hand = bool(photo.plates) and all(
            plate.unclear or plate.corners is not None or plate.box[2] < LEAST_WIDTH for plate in photo.plates
        )
        tight, spare = _owners(places, [plate.drawn_box for plate in photo.plates]) if by_hand else ({}, [])
        beside = [plate.drawn_box for plate in photo.plates if plate.unclear] + list(photo.unlabelled)
        self.labels.photos += 1
        self.drawn.photos += by_hand
        self.drawn.false += [
            Found(place.score, place.score >= threshold)
            for place in spare
            if all(iou(place.box, box) < BESIDE for box in beside)
        ]
        for number, plate in enumerate(photo.plates):
            rows, key = [_width_class(plate.box[2] * scale)], (str(photo.file), number)
            if plate.box[2] >= LEAST_WIDTH:
                rows += ["40 px and more in the photograph", f"{photo.set}, 40 px and more"]
            sides = [(self.labels, owners)] + [(self.drawn, tight)] * (by_hand and not plate.unclear)
            for (located, mine), row in product(sides, rows):
                place = mine.get(number)
                located.plates[row][key] = place and Found(place.score, place.score >= threshold)
            place = tight.get(number)
            if place and place.score >= threshold and plate.corners is not None:
                self.corner_errors.append(_away(place, plate.corners))

    def _read(
        self,
        photo: Photo,
        number: int,
        plate: Plate,
        found: Sequence[tuple[Box, PlateText]],
        least: float,
    ) -> None:
        label, key = plate.text or "", (str(photo.file), number)
        on_it = [text for box, text in found if iou(box, plate.box) >= MATCHED]
        texts = [text.text for text in on_it]
        for row in _rows(photo, plate):
            self.read[row][key] = label in texts
            self.alike[row][key] = one_glyph(label) in map(one_glyph, texts)
        for text in on_it:
            if text.text:
                self.confidences.append((text.confidence, text.text == label))
                if text.confidence >= least:
                    self.shown_right.count(text.text == label)
        if label not in texts:
            self.misreads.append(Miss(photo.file, plate.box, label, texts[0] if texts else ""))

    def _shown(self, photo: Photo, number: int, plate: Plate, shown: Sequence[tuple[Box, PlateText]]) -> None:
        label = plate.text or ""
        texts = [text.text for box, text in shown if iou(box, plate.box) >= MATCHED]
        for row in _rows(photo, plate):
            self.shown[row][str(photo.file), number] = label in texts
            self.shown_alike[row][str(photo.file), number] = one_glyph(label) in map(one_glyph, texts)

    def add_crop(self, crop: Crop, subject: Subject) -> None:
        """Read one crop at its labelled place and count it."""
        image = open_image(crop.file)
        if crop.box is None:
            self._fill(crop, image, subject.command)
            # What training sees around a picture that is the plate itself: its edge, repeated.
            height, width = image.shape[:2]
            image = np.pad(image, ((height // 4,) * 2, (width // 4,) * 2, (0, 0)), "edge")
            place = _upright((width // 4, height // 4, width, height))
        else:
            place = _upright(crop.box)
            refined = subject.corners.refine(image, [place])
            if refined and iou(refined[0].box, crop.box) >= FITS:
                place = refined[0]
        text = subject.reader.read(image, place).text
        kind = "serials" if crop.serial else "vanity"
        lines = TWO_LINES if crop.two_lines else ONE_LINE
        for row in (f"{part}{of}" for part in (crop.set, "all") for of in ("", f", {kind}", f", {lines}")):
            self.crops[row][crop.name, 0] = text == crop.text
            self.crops_alike[row][crop.name, 0] = one_glyph(text) == one_glyph(crop.text)
        if text != crop.text:
            self.crop_misreads.append(Miss(crop.file, crop.box, crop.text, text))

    def _fill(self, crop: Crop, image: Picture, command: Reader) -> None:
        shown = [t.text for _, t in command.survey(image) if t.confidence >= command.min_confidence]
        for row in (crop.set, "all"):
            self.filled[row][crop.name, 0] = crop.text in shown
            self.filled_alike[row][crop.name, 0] = one_glyph(crop.text) in map(one_glyph, shown)


def _rows(photo: Photo, plate: Plate) -> tuple[str, ...]:
    return photo.set, "all", TWO_LINES if plate.two_lines else ONE_LINE


def _beside(photo: Photo, shown: Sequence[tuple[Box, PlateText]]) -> int:
    """How many of these texts lie on no plate, labelled or not."""
    known = [(plate.box, MATCHED) for plate in photo.plates] + [(box, BESIDE) for box in photo.unlabelled]
    return sum(all(iou(box, one) < least for one, least in known) for box, _ in shown)


def _owners(
    places: Sequence[Detection], boxes: Sequence[Box]
) -> tuple[dict[int, Detection], list[Detection]]:
    """Which place locates each box, by its number, and the places that locate none."""
    owners: dict[int, Detection] = {}
    false = []
    for place in places:  # best first, so that a higher threshold takes away and changes nothing else
        free = [k for k in range(len(boxes)) if k not in owners]
        best = max(free, key=lambda k: iou(place.box, boxes[k]), default=None)
        if best is not None and iou(place.box, boxes[best]) >= LOCATED:
            owners[best] = place
        else:
            false.append(place)
    return owners, false


def _away(place: Detection, corners: Quad) -> float:
    found = np.array(place.corners, np.float32)
    return float(np.linalg.norm(found - corners, axis=1).mean() / np.linalg.norm(corners[1] - corners[0]))


def _upright(box: Box) -> Detection:
    x, y, w, h = box
    return Detection(box, 1.0, ((x, y), (x + w, y), (x + w, y + h), (x, y + h)))


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


def score(photos: Sequence[Photo], crops: Sequence[Crop], subject: Callable[[int | None], Subject]) -> Scores:
    """Everything counted, each picture by the models that `subject` gives for its fold.

    A picture that cannot be read is told and left out.
    """
    scores, whole = Scores(), len(photos) + len(crops)
    for number, one in enumerate([*photos, *crops], 1):
        try:
            if isinstance(one, Photo):
                scores.add(one, subject(one.fold))
            else:
                scores.add_crop(one, subject(one.fold))
        except DetectorError as error:
            print(f"train.evaluate: {error}", file=sys.stderr)
        if sys.stderr.isatty():
            print(f"\r{number} of {whole}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    return scores


def group_reader(folds: Path, held: str) -> Reader:
    """The models in `folds` that never saw the folds `held`."""
    return Reader(
        Locator(folds / f"locator-{held}.tflite"),
        Corners(folds / f"corners-{held}.tflite"),
        Ocr(folds / f"ocr-{held}.tflite"),
    )


def open_subject(folder: Path, held: str = "", as_float: bool = False) -> Subject:
    """The models of `folder`, of the group that never saw the folds `held` where that is given.

    Args:
        folder: holds locator.tflite, corners.tflite, ocr.tflite, or the same with -HELD.
        held: folds, as digits.
        as_float: run the float weights (.npz) beside the files instead; needs torch.

    Raises:
        ModelError: as of `Reader.open`.
    """
    end = f"-{held}.tflite" if held else ".tflite"
    locator, corners = Locator(folder / f"locator{end}"), Corners(folder / f"corners{end}")
    ocr = Ocr(folder / f"ocr{end}")
    if as_float:
        from train.float_models import FloatModel

        for part in (locator, corners, ocr):
            part.model = FloatModel(part.model)
    threshold, command = corners.spec.threshold, copy(corners)
    corners.spec = replace(corners.spec, threshold=min(FLOOR, threshold))
    return Subject(Reader(locator, corners, ocr), Reader(locator, command, ocr), corners, threshold)


def by_fold(models: Path, folds: Path | None, as_float: bool = False) -> Callable[[int | None], Subject]:
    """Which models judge a fold: those of `folds` that never saw it; `models` the validation split."""
    opened = cache(open_subject)

    def subject(fold: int | None) -> Subject:
        if folds is None or fold in (None, VALIDATION):
            return opened(models, "", as_float)
        held = "".join(map(str, next(group for group in GROUPS if fold in group)))
        return opened(folds, held, as_float)

    return subject


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.evaluate", description="Score the models.")
    parser.add_argument("pictures", type=Path, nargs="?", help="a folder in OpenALPR's layout")
    parser.add_argument("--data", type=Path, help="folder with scenes.jsonl and, for crops, crops.jsonl")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models")
    parser.add_argument("--folds", type=Path, help="folder of the other groups' models (train.folds.GROUPS)")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--against", type=Path, help="folder of other models to compare with (with --folds its groups' too)"
    )
    other.add_argument(
        "--float", action="store_true", dest="as_float", help="compare with the models' float weights"
    )
    parser.add_argument("--limit", type=int, help="so many photographs, and so many crops, at most")
    parser.add_argument(
        "--sheet", type=Path, default=Path("runs/misreads.png"), help="where misreads are drawn"
    )
    given = parser.parse_args(args)
    if not given.data and not given.pictures:
        print("train.evaluate: skipped: neither --data DIR nor a folder of pictures was given")
        return 0
    crops: list[Crop] = []
    if given.pictures:
        photos = load_folder(given.pictures)
    else:
        folds = range(FOLDS) if given.folds else (VALIDATION,)
        photos = [photo for photo in load_scenes(given.data) if photo.fold in folds]
        if (given.data / "crops.jsonl").exists():
            crops = [crop for crop in load_crops(given.data) if crop.fold in folds]
    what = photos[: given.limit], crops[: given.limit]
    try:
        scores = score(*what, by_fold(given.models, given.folds))
        for line in report.tables(scores):
            print(line)
        if given.against or given.as_float:
            models = given.against or given.models
            groups = given.folds and (given.against or given.folds)
            against = score(*what, by_fold(models, groups, given.as_float))
            differ = given.sheet.with_name("pairs.tsv")
            names = str(given.models), "float weights" if given.as_float else str(models)
            for line in report.pairs(scores, against, names, differ):
                print(line)
            print(f"\nthe pairs that differ are listed in {differ}")
    except DetectorError as error:
        print(f"train.evaluate: {error}", file=sys.stderr)
        return 1
    crop_sheet = given.sheet.with_stem(f"{given.sheet.stem}-crops")
    report.sheet(scores.misreads, given.sheet)
    report.sheet(scores.crop_misreads, crop_sheet)
    print(f"\nmisreads are drawn in {given.sheet} and {crop_sheet}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
