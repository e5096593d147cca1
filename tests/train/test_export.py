"""Keras twins compute what the torch networks do; the int8 file nearly what the Keras model does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import torch

from detector.sidecar import load_sidecar
from train import locator_net, ocr_net
from train.export import dump_toml, export_int8
from train.weights import load_weights, save_weights

pytestmark = pytest.mark.train


def _shaken(net: torch.nn.Module) -> torch.nn.Module:
    """Random normalisations too: with those of a fresh network a wrong fold would not show."""
    torch.manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.6, 1.4)
            torch.nn.init.uniform_(layer.bias, -0.3, 0.3)
            torch.nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return net.eval()


def test_the_ocr_twin_equals_the_torch_network() -> None:
    net = _shaken(ocr_net.OcrNet())
    x = np.random.default_rng(0).uniform(-1, 1, (1, 1, 64, 160)).astype(np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x))[:, :, 0].permute(0, 2, 1).numpy()
    got = np.asarray(ocr_net.keras_twin(net)(x.transpose(0, 2, 3, 1)))
    assert got.shape == (1, 40, 37)
    assert np.ptp(wanted) > 0.05
    assert np.abs(got - wanted).max() < 1e-4


def test_the_locator_twin_equals_the_torch_network() -> None:
    net = _shaken(locator_net.LocatorNet())
    x = np.random.default_rng(0).uniform(0, 1, (1, 3, 64, 96)).astype(np.float32)
    with torch.no_grad():
        heat, box = net(torch.from_numpy(x))
    got_heat, got_box = locator_net.keras_twin(net, 64, 96)(x.transpose(0, 2, 3, 1))
    for got, wanted in ((got_heat, torch.sigmoid(heat)), (got_box, box)):
        assert np.abs(np.asarray(got) - wanted.permute(0, 2, 3, 1).numpy()).max() < 1e-4


def test_int8_is_near_float_and_its_sidecar_is_accepted(tmp_path: Path) -> None:
    import keras
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 12, 1), batch_size=1)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = keras.layers.Reshape((12, 37))(keras.layers.Dense(12 * 37)(keras.layers.Flatten()(x)))
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (50, 8, 12, 1)).astype(np.uint8)
    path = tmp_path / "models" / "tiny.tflite"
    sidecar = {
        "kind": "ocr",
        "version": "2020.01.01",
        "input": {"height": 8, "width": 12, "channels": 1, "mean": 127.5, "scale": 1 / 127.5},
        "outputs": ["chars"],
        "ocr": {
            "alphabet": ocr_net.ALPHABET,
            "margin": 0.08,
            "min_confidence": 0.5,
            "calibration": [0.0, 1.0, 0.0, 0.0, 0.0],
        },
    }
    export_int8(model, iter(pictures), path, sidecar)
    side = load_sidecar(path)
    assert (side.kind, side.outputs[0].name, tuple(side.outputs[0].shape)) == ("ocr", "chars", (1, 12, 37))
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    assert taken["dtype"] == given["dtype"] == np.int8
    assert taken["quantization"][0] == pytest.approx(1 / 127.5, rel=0.01)  # one step a byte
    interpreter.set_tensor(taken["index"], (pictures[:1].astype(np.int16) - 128).astype(np.int8))
    interpreter.invoke()
    scale, zero = given["quantization"]
    got = (interpreter.get_tensor(given["index"]).astype(np.float32) - zero) * scale
    wanted = np.asarray(model((pictures[:1].astype(np.float32) - 127.5) / 127.5))
    assert np.abs(got - wanted).max() < 0.05 * np.ptp(wanted)


@pytest.mark.parametrize("value", [True, None, "two\nlines", {1}])
def test_what_has_no_place_in_a_sidecar_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        dump_toml({"key": value})


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    net = _shaken(ocr_net.OcrNet())
    save_weights(tmp_path / "w.npz", net.state_dict())
    again = load_weights(ocr_net.OcrNet(), tmp_path / "w.npz")
    x = torch.zeros(1, 1, 64, 160)
    with torch.no_grad():
        assert torch.allclose(again.eval()(x), net(x), atol=1e-2)
