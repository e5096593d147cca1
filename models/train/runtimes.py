"""Do both TFLite runtimes read the same texts: the unit's own, and the older one that it may have instead.

    PYTHONPATH=.:models python -m train.runtimes --data DIR [--python .venv-tflite/bin/python]

Owns the comparison: the same plates, read by the OCR in this process with ai-edge-litert and in a child
process with tflite-runtime, which needs a numpy of its own. What differs is listed by the crop's name,
without its text; more than 2 in 500 give exit code 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from detector.errors import DetectorError
from detector.image import Picture, open_image
from detector.ocr import Ocr
from detector.types import Detection
from train.labelled import Crop, load_crops

ROOT = Path(__file__).resolve().parents[2]
OTHER_PYTHON = ROOT / ".venv-tflite" / "bin" / "python"
MOST = 2 / 500
"""The share of the plates whose texts may differ."""
_CHILD = "import sys; from train.runtimes import child; child(*sys.argv[1:])"


@dataclass(frozen=True, slots=True)
class Cut:
    """A plate in a small picture, uint8 (height, width, 3): its box (x, y, w, h) there."""

    picture: Picture
    box: tuple[float, float, float, float]


def texts(ocr: Ocr, cuts: Sequence[Cut]) -> list[str]:
    """What `ocr` reads in each of `cuts`."""
    found = []
    for cut in cuts:
        x, y, w, h = cut.box
        corners = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
        found.append(ocr.read(cut.picture, Detection(cut.box, 1.0, corners)).text)
    return found


def both(cuts: Sequence[Cut], models: Path, python: Path = OTHER_PYTHON) -> list[tuple[str, str]]:
    """What ai-edge-litert and tflite-runtime read in each of `cuts`.

    Args:
        cuts: plates.
        models: folder of ocr.tflite.
        python: of an environment with tflite-runtime.

    Raises:
        DetectorError: the models cannot be used here.
        subprocess.CalledProcessError: nor in the child process, whose words are in `stderr`.
    """
    ours = texts(Ocr(models / "ocr.tflite", runtime="ai-edge-litert"), cuts)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cuts.npz"
        boxes = np.array([cut.box for cut in cuts])
        np.savez(file, boxes=boxes, **{str(n): cut.picture for n, cut in enumerate(cuts)})  # type: ignore[arg-type]
        done = subprocess.run(
            [python, "-c", _CHILD, str(file), str(models.absolute())],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'models'}"},
        )
    return list(zip(ours, json.loads(done.stdout.splitlines()[-1]), strict=True))


def child(file: str, models: str) -> None:
    """Print the texts that tflite-runtime reads in the plates of `file`, as `both` wrote it."""
    with np.load(file) as arrays:
        cuts = [Cut(arrays[str(n)], tuple(box)) for n, box in enumerate(arrays["boxes"].tolist())]
    print(json.dumps(texts(Ocr(Path(models) / "ocr.tflite", runtime="tflite-runtime"), cuts)))


def spread(crops: Sequence[Crop], count: int) -> list[Crop]:
    """`count` of them at most, as many of each set as there are."""
    sets: defaultdict[str, list[Crop]] = defaultdict(list)
    for crop in crops:
        sets[crop.set].append(crop)
    turns = chain.from_iterable(zip_longest(*sets.values()))
    return [crop for crop in turns if crop is not None][:count]


def cut_out(crop: Crop) -> Cut:
    """The plate of a labelled crop with what lies around it."""
    picture = open_image(crop.file)
    if crop.box is None:
        return Cut(picture, (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])))
    x, y, w, h = crop.box
    left, top = max(int(x - w), 0), max(int(y - h), 0)
    part = picture[top : int(y + 2 * h) + 1, left : int(x + 2 * w) + 1]
    return Cut(part, (x - left, y - top, w, h))


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.runtimes", description="Compare the two TFLite runtimes.")
    parser.add_argument("--data", type=Path, required=True, help="folder with crops.jsonl and scenes.jsonl")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models")
    parser.add_argument("--python", type=Path, default=OTHER_PYTHON, help="Python that has tflite-runtime")
    parser.add_argument("--count", type=int, default=500, help="so many crops (default: 500)")
    given = parser.parse_args(args)
    crops = spread(load_crops(given.data), given.count)
    try:
        found = both([cut_out(crop) for crop in crops], given.models, given.python)
    except (DetectorError, OSError) as error:
        print(f"train.runtimes: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"train.runtimes: {given.python}: {error.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return 1
    differ = [(crop, pair) for crop, pair in zip(crops, found, strict=True) if pair[0] != pair[1]]
    print(f"{len(crops) - len(differ)} of {len(crops)} crops are read alike by both runtimes")
    for crop, pair in differ:
        right = [
            name
            for name, text in zip(("ai-edge-litert", "tflite-runtime"), pair, strict=True)
            if text == crop.text
        ]
        print(f"{crop.name}: right by {right[0] if right else 'neither'}")
    return int(len(differ) > MOST * len(crops))


if __name__ == "__main__":
    sys.exit(main())
