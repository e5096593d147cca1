"""Narrowed ranges: what is beyond them says nothing, and what is within them is told more finely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from train.export import export_int8
from train.keras_layers import add, relu6

pytestmark = pytest.mark.train

SIDE = {
    "kind": "locator",
    "version": "2020.01.01",
    "input": {"height": 16, "width": 16, "channels": 3, "mean": 0.0, "scale": 1 / 255},
    "outputs": ["heat", "box"],
    "locator": {"stride": 8, "threshold": 0.3, "nms_iou": 0.4},
}


def _model() -> Any:
    """A sum of a branch within 0..6 and, from half the size, one of which a channel goes far beyond."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3), batch_size=1)
    x = relu6(keras.layers.Conv2D(8, 3, padding="same")(inputs))
    half = keras.layers.Conv2D(8, 3, strides=2, padding="same")
    y = half(x)
    half.set_weights([w * ([80] + [1] * 7) for w in half.get_weights()])
    y = keras.layers.Lambda(lambda z: tf.image.resize(z, (16, 16), method="nearest"))(y)
    x = relu6(add(x, y))
    heat = keras.layers.Activation("sigmoid")(keras.layers.Conv2D(1, 1)(x))
    return keras.Model(inputs, [heat, keras.layers.Conv2D(4, 1)(x)])


def _pictures() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3)).astype(np.uint8)


def _errors(path: Path, model: Any) -> tuple[float, NDArray[np.float32], float]:
    """How far the file's box is from `model`'s on average, the file's boxes, the step of the box."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    taken = interpreter.get_input_details()[0]["index"]
    (given,) = (d for d in interpreter.get_output_details() if d["shape"][-1] == 4)
    scale, zero = given["quantization"]
    away, boxes = [], []
    for picture in _pictures():
        interpreter.set_tensor(taken, (picture[None].astype(np.int16) - 128).astype(np.int8))
        interpreter.invoke()
        boxes.append((interpreter.get_tensor(given["index"]).astype(np.float32) - zero) * scale)
        away.append(np.abs(boxes[-1] - np.asarray(model(picture[None].astype(np.float32) / 255)[1])).mean())
    return float(np.mean(away)), np.concatenate(boxes), scale


def test_a_sum_cut_to_0_and_6_is_nearer_to_float_with_its_side_narrowed(tmp_path: Path) -> None:
    """One channel beyond 6 costs the others their steps, though it says no more than 6 would."""
    model = _model()
    export_int8(model, iter(_pictures()), tmp_path / "narrow.tflite", SIDE, {})
    export_int8(model, iter(_pictures()), tmp_path / "wide.tflite", SIDE)
    narrow, _, _ = _errors(tmp_path / "narrow.tflite", model)
    wide, _, _ = _errors(tmp_path / "wide.tflite", model)
    assert narrow < 0.6 * wide


def test_an_output_ends_where_it_is_told_to_and_has_finer_steps(tmp_path: Path) -> None:
    model = _model()
    export_int8(model, iter(_pictures()), tmp_path / "all.tflite", SIDE, {})
    export_int8(model, iter(_pictures()), tmp_path / "ends.tflite", SIDE, {"box": (-0.5, 1.0)})
    _, boxes, step = _errors(tmp_path / "all.tflite", model)
    _, ended, fine = _errors(tmp_path / "ends.tflite", model)
    assert boxes.min() < -0.5 - step
    assert boxes.max() > 1.0 + step
    assert (ended.min(), ended.max()) == (pytest.approx(-0.5, abs=fine), pytest.approx(1.0, abs=fine))
    assert fine == pytest.approx(1.5 / 255)
    assert np.abs(ended - boxes.clip(-0.5, 1.0)).max() < 1.5 * step


def test_an_output_that_no_convolution_makes_cannot_be_narrowed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="convolution"):
        export_int8(_model(), iter(_pictures()), tmp_path / "x.tflite", SIDE, {"heat": (0.1, 0.2)})
