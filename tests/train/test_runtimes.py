"""Both TFLite runtimes over five hundred rendered plates: no photograph is in the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw.sim import drawing
from plates.draw import PlateDesign, draw_plate
from tests.needs import lacking
from train.labelled import Crop
from train.runtimes import MOST, OTHER_PYTHON, ROOT, Cut, both, cut_out, spread

COUNT = 500
FORMATS = ("9AAA999", "AAA9999", "AA99AAA", "AAA999", "999AAA", "AA999AA", "A99AAA", "AAA9A99")
COLOURS = (((244, 244, 240), (24, 32, 84)), ((250, 214, 60), (12, 12, 12)), ((30, 44, 90), (240, 240, 240)))
FONTS = ("BarlowCondensed-SemiBold.ttf", "SofiaSansCondensed-Bold.ttf", "BarlowSemiCondensed-Medium.ttf")


def plate(rng: np.random.Generator) -> tuple[Cut, str]:
    """A plate 60 to 160 px wide on a grey ground, leaning, dim, a little noisy; and its text.

    Plates that a person reads: where the noise decides, two runtimes that round otherwise differ, and
    which of them is wrong is chance.
    """
    marks = {"A": "ABCDEFGHJKLMNPRSTUVWXYZ", "9": "0123456789"}
    text = "".join(str(rng.choice(list(marks[mark]))) for mark in str(rng.choice(FORMATS)))
    background, foreground = COLOURS[rng.integers(len(COLOURS))]
    design = PlateDesign(
        drawing.FONTS / str(rng.choice(FONTS)),
        aspect=float(rng.choice([2.0, 4.0])),
        background=background,
        foreground=foreground,
        embossed=bool(rng.random() < 0.5),
    )
    width = int(60 * (160 / 60) ** rng.random())
    drawn = Image.fromarray(draw_plate(text, design, 320))
    small = drawn.resize((width, max(int(width / design.aspect), 8)), Image.Resampling.BOX)
    ground = Image.new("RGB", (2 * small.width, 2 * small.height), (90, 90, 90))
    ground.paste(small, (small.width // 2, small.height // 2))
    seen = np.asarray(ground.rotate(rng.normal(0, 2), Image.Resampling.BILINEAR), np.float32)
    seen = seen * rng.uniform(0.4, 1.0) + rng.normal(0, rng.uniform(1, 6), seen.shape)
    box = (small.width / 2, small.height / 2, float(small.width), float(small.height))
    return Cut(np.clip(seen, 0, 255).astype(np.uint8), box), text


@pytest.mark.slow
def test_both_runtimes_read_the_same_in_498_of_500_plates() -> None:
    if not OTHER_PYTHON.exists():
        lacking("no .venv-tflite: `make test` builds it, without tflite-runtime where that has no wheel")
    probe = subprocess.run(
        [OTHER_PYTHON, "-c", "import tflite_runtime, PIL"], check=False, capture_output=True
    )
    if probe.returncode:
        pytest.skip("tflite-runtime has no wheel for this Python")
    rng = np.random.default_rng(1)
    plates = [plate(rng) for _ in range(COUNT)]
    found = both([cut for cut, _ in plates], ROOT / "models")
    differ = [pair for pair in found if pair[0] != pair[1]]
    assert len(differ) <= MOST * COUNT, differ
    # Plates that nobody could read would prove nothing.
    assert sum(one == text for (one, _), (_, text) in zip(found, plates, strict=True)) > 0.75 * COUNT


def test_crops_are_taken_from_every_set_alike() -> None:
    crops = [Crop(f"{n}", Path(f"{n}"), "a" if n < 90 else "b", 0, None, "X1", True) for n in range(100)]
    some = spread(crops, 30)
    assert [crop.set for crop in some].count("b") == 10
    assert len({crop.name for crop in some}) == 30


def test_a_crop_is_cut_out_with_what_lies_around_it(tmp_path: Path) -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[40:60, 20:80] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    cut = cut_out(Crop("a", tmp_path / "a.png", "x", 0, (20, 40, 60, 20), "X1", True))
    x, y, w, h = (int(side) for side in cut.box)
    assert (cut.picture[y : y + h, x : x + w] == 255).all()
    assert cut.picture.sum() == picture.sum()
    assert cut.picture.shape < picture.shape
