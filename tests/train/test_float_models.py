"""A model's float weights stand for its int8 file: the same outputs, nearly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from detector.runtime import Model
from train.float_models import FloatModel

pytestmark = pytest.mark.train

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.mark.parametrize("kind", ["locator", "corners", "ocr"])
def test_float_outputs_are_those_of_the_file_in_shape_and_nearly_in_value(kind: str) -> None:
    model = Model(MODELS / f"{kind}.tflite")
    spec = model.sidecar.input
    steps = np.linspace(0, 255, spec.height * spec.width * spec.channels)
    picture = steps.astype(np.uint8).reshape(spec.height, spec.width, spec.channels)
    for wanted, given in zip(model.run(picture), FloatModel(model).run(picture), strict=True):
        assert given.shape == wanted.shape
        assert given.dtype == wanted.dtype
        assert np.abs(given - wanted).mean() < 0.1 * max(float(np.ptp(wanted)), 0.5)
