"""`platewarden read`: the plates in picture files, without a configuration file and without a store.

Owns the command's output. Finding and reading plates is `detector`'s. An orientation tag is followed for
reading, while boxes and corners are told in pixels of the picture as stored in its file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TextIO
from unicodedata import category

from detector.errors import ImageError
from detector.image import Picture, open_upright
from detector.types import Detection, Flag, PlateText, Point
from firmware.errors import Exit

HELP = "read the plates in picture files"

# Control characters, the bytes of a name that is not UTF-8, and Unicode's own ends of lines.
_BREAKS = ("Cc", "Cs", "Zl", "Zp")


class PlateReader(Protocol):
    """What this command needs of detector.reader.Reader."""

    @property
    def min_confidence(self) -> float: ...

    def survey(self, image: Picture) -> Sequence[tuple[Detection, PlateText]]: ...


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="+", type=_place, metavar="IMAGE", help="a picture file, or a folder of them"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per image instead of one line")
    parser.add_argument(
        "--min-confidence",
        type=_share,
        metavar="P",
        help="leave out what is read with a lower probability, 0 to 1 (default: the OCR model's own)",
    )
    parser.add_argument("--all", action="store_true", help="keep those too, flagged low_confidence")
    parser.add_argument("--threads", type=_threads, metavar="N", help="threads of each model (default 1)")


def _place(text: str) -> Path:
    if not text:  # A script's variable that is not set: Path takes it for the folder it stands in.
        raise argparse.ArgumentTypeError("'' names no file")
    return Path(text)


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")


def _threads(text: str) -> int:
    with suppress(ValueError):
        if 1 <= (value := int(text)) <= 64:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 64")


def run(args: argparse.Namespace) -> int:
    from detector.reader import Reader
    from firmware import config

    # Reading a picture needs no unit: any id does, and /etc/platewarden is not looked at.
    files = [args.config] if args.config else []
    detector = config.load(files, overrides=["unit.id=read", *args.overrides]).detector
    reader = Reader.open(detector.models, threads=args.threads or detector.threads or 1)
    return read_all(
        reader, args.images, as_json=args.json, min_confidence=args.min_confidence, keep_all=args.all
    )


def read_all(
    reader: PlateReader,
    paths: Sequence[Path],
    *,
    as_json: bool,
    min_confidence: float | None,
    keep_all: bool,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Read every picture and print one line for each to `out`; what cannot be read goes to `err` by name.

    Returns:
        0, or 1 where a file or folder could not be read, or not as a whole.
    """
    out, err = out or sys.stdout, err or sys.stderr
    least = reader.min_confidence if min_confidence is None else min_confidence
    images, failed = _expand(paths, err)
    progress = _Progress(len(images), out, err)
    for image in images:
        try:
            found, more = read_one(reader, image, least, keep_all)
        except ImageError as error:
            progress.clear()
            print(_on_one_line(error), file=err)
            failed = True
        else:
            progress.clear()
            # ASCII only: a file name may hold what neither UTF-8 nor the terminal's encoding has.
            print(json.dumps(found) if as_json else _on_one_line(_line(found)), file=out)
            if more:
                print(_on_one_line(f"{image}: holds more pictures, only the first was read"), file=err)
                failed = True
        progress.step()
    progress.clear()
    return Exit.FAILED if failed else Exit.OK


def read_one(
    reader: PlateReader, path: Path, min_confidence: float, keep_all: bool
) -> tuple[dict[str, Any], bool]:
    """What `--json` prints for the first picture in the file `path`, and whether it holds more.

    "ms" is the wall time in milliseconds of finding and reading, without decoding the file. Raises
    ImageError where the file cannot be read.
    """
    upright, orientation, more = open_upright(path)
    start = time.perf_counter()
    found = reader.survey(upright)
    ms = (time.perf_counter() - start) * 1000
    readings = sorted(found, key=lambda reading: (-reading[1].confidence, -reading[0].score))
    plates = []
    for detection, text in readings:
        low = text.confidence < min_confidence or not text.text
        if low and not keep_all:
            continue
        flags = sorted((text.flags - {Flag.LOW}) | ({Flag.LOW} if low else set()))
        plates.append(_plate(detection, text, flags, upright, orientation))
    return {"image": str(path), "plates": plates, "ms": round(ms, 2)}, more


def _plate(
    detection: Detection, text: PlateText, flags: list[Flag], upright: Picture, orientation: int
) -> dict[str, Any]:
    size = (upright.shape[1], upright.shape[0])
    x, y, w, h = detection.box
    ends = turn_back([(x, y), (x + w, y + h)], size, orientation)
    left, right = sorted(point[0] for point in ends)
    top, bottom = sorted(point[1] for point in ends)
    return {
        "text": text.text,
        "confidence": round(text.confidence, 4),
        "min_char": round(text.min_char, 4),
        "region": text.region,
        "region_confidence": round(text.region_confidence, 4),
        "char_confidence": [round(value, 4) for value in text.char_confidence],
        "candidates": [
            {"text": candidate.text, "probability": round(candidate.probability, 4)}
            for candidate in text.candidates
        ],
        "box": [round(value, 1) for value in (left, top, right - left, bottom - top)],
        "corners": [
            [round(cx, 1), round(cy, 1)] for cx, cy in turn_back(detection.corners, size, orientation)
        ],
        "flags": [flag.value for flag in flags],
    }


def _line(found: dict[str, Any]) -> str:
    plates = [
        " ".join(
            [
                plate["text"] or "(not read)",
                *([plate["region"]] if plate["region"] else []),
                f"{plate['confidence']:.2f}",
                *plate["flags"],
            ]
        )
        for plate in found["plates"]
    ]
    return f"{found['image']}: {', '.join(plates) or 'no plate'} ({found['ms']:.0f} ms)"


def _on_one_line(text: object) -> str:
    """`text` with what a file's name may hold but a line may not, such as a line feed, shown as an escape."""
    return "".join(ascii(char)[1:-1] if category(char) in _BREAKS else char for char in str(text))


def _expand(paths: Sequence[Path], err: TextIO) -> tuple[list[Path], bool]:
    """The picture files behind `paths`, folders with all below them in order; whether one had none, or
    could not be looked into as a whole."""
    images: list[Path] = []
    failed = False

    def fail(error: OSError) -> None:
        nonlocal failed
        print(_on_one_line(f"{error.filename}: cannot be read: {error.strerror}"), file=err)
        failed = True

    for path in paths:
        try:
            is_folder = path.is_dir()
        except OSError as error:  # A name that is too long, or a folder above it that is closed to us.
            fail(error)
            continue
        if not is_folder:
            images.append(path)
            continue
        inside = sorted(_pictures(path, fail))
        if not inside:
            print(_on_one_line(f"{path}: holds no picture"), file=err)
            failed = True
        images += inside
    return images, failed


def _pictures(folder: Path, fail: Callable[[OSError], None]) -> list[Path]:
    """The pictures in `folder` and below, by their names; a file that is itself named is tried whatever its
    name. `fail` is told of each folder that cannot be read."""
    from hw.sim.folder import SUFFIXES

    return [
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=fail)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES
    ]


def turn_back(points: Sequence[Point], size: tuple[int, int], orientation: int) -> list[Point]:
    """Points (x, y) of the upright picture, which has `size` (width, height), in pixels of the stored one:
    EXIF 2.3, tag Orientation, values 1 to 8."""
    width, height = size
    back = []
    for x, y in points:
        px = width - x if orientation in (2, 3, 6, 7) else x
        py = height - y if orientation in (3, 4, 7, 8) else y
        back.append((py, px) if orientation in (5, 6, 7, 8) else (px, py))
    return back


class _Progress:
    """How far it is, in one line of the terminal, where there is one and more than one picture."""

    def __init__(self, total: int, out: TextIO, err: TextIO) -> None:
        self._total, self._done, self._start = total, 0, time.monotonic()
        self._err = err if total > 1 and err.isatty() else None
        # Only where results share the screen must the line make room for each of them.
        self._shared = out.isatty()

    def clear(self) -> None:
        if self._err and (self._shared or self._done == self._total):
            self._err.write("\r\033[K")
            self._err.flush()

    def step(self) -> None:
        self._done += 1
        if self._err:
            pace = self._done / max(time.monotonic() - self._start, 1e-6)
            self._err.write(f"\r\033[K{self._done}/{self._total} pictures, {pace:.1f} a second")
            self._err.flush()
