"""The labelled plates that models are scored on: photographs, folders of them, crops.

Owns what a label's line holds and which texts are serials. It opens no picture and needs neither torch nor
TensorFlow.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detector.types import ALPHABET
from plates.formats import STATE_FORMATS, shape_of
from train.drawn import Quad, box_of, from_top_left, load_drawn
from train.folds import fold_of, two_lines
from train.synth_serials import shapes

Box = tuple[float, float, float, float]
"""(x, y, w, h) in pixels."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A labelled plate: its box, its text or None, and whether it stands on two lines.

    `corners` are those that somebody drew; `unclear` says that whoever looked made out no plate there.
    """

    box: Box
    text: str | None
    two_lines: bool = False
    corners: Quad | None = field(default=None, compare=False)
    unclear: bool = False

    @property
    def drawn_box(self) -> Box:
        """The box around the drawn corners, else the label's."""
        return self.box if self.corners is None else box_of(self.corners)


@dataclass(frozen=True, slots=True)
class Photo:
    """A labelled photograph: its file, its set, its fold (None outside of the folds) and its plates.

    `unlabelled` are boxes of further plates that a person saw in it and nobody labelled.
    """

    file: Path
    set: str
    fold: int | None
    plates: tuple[Plate, ...]
    unlabelled: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Crop:
    """A plate whose place is given: what is scored is the reading alone.

    Attributes:
        name: the crop's own file, which names it in every comparison.
        file: the picture that holds it: the photograph, or the crop itself where there is none.
        box: its place in the photograph; None where the picture is the plate.
        text: of the label.
        serial: whether the text is a serial; else it is a vanity text.
        two_lines: whether it stands on two lines, as far as its photograph's plates were looked at.
    """

    name: str
    file: Path
    set: str
    fold: int
    box: Box | None
    text: str
    serial: bool
    two_lines: bool = False


_SERIALS = {
    "us": shapes("us") | {shape for state in STATE_FORMATS.values() for shape in state},
    "": shapes("us", "eu", "uk", "br", "wide"),
}


def is_serial(text: str, country: str) -> bool:
    """Whether `text` holds a digit and its letters and digits stand as in a serial format of its country: a
    US one for "us", else one of anywhere. A vanity text that happens to fit counts as a serial.
    """
    known = _SERIALS["us" if country == "us" else ""]
    return re.search("[0-9]", text) is not None and shape_of(text) in known


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SystemExit(f"train.evaluate: {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise SystemExit(f"train.evaluate: {path}:{number}: no JSON: {error}") from error
        yield number, record


def load_scenes(data: Path) -> list[Photo]:
    """The photographs of DIR/scenes.jsonl.

    Raises:
        SystemExit: the file is missing or a line of it is damaged; the message names it.
    """
    path, photos, double, drawn = data / "scenes.jsonl", [], two_lines(), load_drawn()
    for number, record in _records(path):
        try:
            by_hand = drawn.get(record["image"], {})
            plates = tuple(
                _plate(p, (record["image"], place) in double, by_hand, str(place))
                for place, p in enumerate(record["plates"])
            )
            more = tuple(box_of(q) for place, q in by_hand.items() if place[0] == "+" and q is not None)
            photos.append(Photo(data / record["image"], record["set"], fold_of(record), plates, more))
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"train.evaluate: {path}:{number}: no labelled photograph: {error!r}") from error
    return photos


def load_crops(data: Path) -> list[Crop]:
    """The crops of DIR/crops.jsonl whose text the OCR's alphabet can write.

    A crop whose photograph holds exactly one plate of its text is taken from there, with what lies around it.

    Raises:
        SystemExit: as of `load_scenes`.
    """
    scenes = {photo.file: photo for photo in load_scenes(data)}
    path, crops = data / "crops.jsonl", []
    for number, record in _records(path):
        try:
            text = record["text"]
            if not text or set(text) - set(ALPHABET):
                continue
            file, box, double = data / record["image"], None, False
            photo = scenes.get(data / record["scene"]) if record.get("scene") else None
            plates = [plate for plate in photo.plates if plate.text == text] if photo else []
            if photo and len(plates) == 1:
                file, box, double = photo.file, plates[0].box, plates[0].two_lines
            serial, fold = is_serial(text, record["country"]), fold_of(record)
            crops.append(Crop(record["image"], file, record["set"], fold, box, text, serial, double))
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"train.evaluate: {path}:{number}: no labelled crop: {error!r}") from error
    return crops


def load_folder(folder: Path) -> list[Photo]:
    """The photographs of a folder in OpenALPR's end-to-end layout; a bad line is told and left out.

    Raises:
        SystemExit: there is no folder, or it labels no plate.
    """
    if not folder.is_dir():
        raise SystemExit(f"train.evaluate: {folder}: no folder")
    by_image: defaultdict[Path, list[Plate]] = defaultdict(list)
    for label in sorted(folder.glob("*.txt")):
        for number, line in enumerate(label.read_text(encoding="utf-8").splitlines(), 1):
            cells = line.split("\t")
            try:
                box = _box(cells[1:5])
                by_image[folder / cells[0]].append(Plate(box, cells[5].strip().upper()))
            except (ValueError, IndexError):
                print(f"train.evaluate: {label}:{number}: not file, x, y, w, h, text", file=sys.stderr)
    if not by_image:
        raise SystemExit(
            f"train.evaluate: {folder}: no labelled plate: a .txt beside each image is needed, with the lines"
            " file, x, y, w, h, text, separated by tabs"
        )
    return [Photo(file, folder.name, None, tuple(plates)) for file, plates in by_image.items()]


def _plate(record: Any, two_lines: bool, by_hand: Mapping[str, Quad | None], place: str) -> Plate:
    """A plate with its corners: those drawn on our sheets, else those that came with the label."""
    corners = by_hand.get(place)
    unclear = place in by_hand and corners is None
    if place not in by_hand and record.get("quad"):
        quad = np.array(record["quad"], np.float32)
        corners = quad if from_top_left(quad) else None
    return Plate(_box(record["box"]), record.get("text"), two_lines, corners, unclear)


def _box(cells: Any) -> Box:
    x, y, w, h = (float(cell) for cell in cells)
    return x, y, w, h
