"""Models as they are committed, and pictures drawn for the tests: no photograph is in the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.image import Picture
from detector.reader import Reader
from hw.sim import drawing
from plates.draw import PlateDesign, draw_plate

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"


def street(text: str, width: int = 160, size: tuple[int, int] = (1280, 720), seed: int = 1) -> Picture:
    """A street with one bare plate of `text`, `width` pixels wide, with its middle at (600, 500)."""
    picture = drawing.background(seed, "day", size).copy()
    design = PlateDesign(drawing.FONTS / "BarlowCondensed-SemiBold.ttf", state="CASCADIA")
    plate = Image.fromarray(draw_plate(text, design, 4 * width)).resize(
        (width, width // 2), Image.Resampling.BOX
    )
    left, top = 600 - width // 2, 500 - width // 4
    picture[top - 60 : top + width // 2 + 60, left - 90 : left + width + 90] = (96, 20, 24)  # a bumper
    picture[top : top + width // 2, left : left + width] = np.asarray(plate)
    return picture


@pytest.fixture(scope="session")
def models() -> Path:
    return MODELS


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader.open(MODELS)
