"""A trained Keras model becomes an int8 .tflite file with its sidecar.

Owns the conversion and the writing of the sidecar; `detector.sidecar` owns what its keys mean.
Needs TensorFlow, which is imported when a model is exported and not before.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.sidecar import load_sidecar, sidecar_path
from train.narrow import Ends, narrowed


def export_int8(
    keras_model: Any,
    representative: Iterable[NDArray[np.uint8]],
    path: Path,
    sidecar: Mapping[str, Any],
    ends: Mapping[str, Ends] | None = None,
) -> None:
    """Convert to full-integer int8, per channel, int8 in and out; write `path` and its sidecar.

    Args:
        keras_model: a functional model of fixed input size, batch 1, whose input is the picture as
            (pixel - mean) * scale and whose outputs come in the order of `sidecar["outputs"]`.
        representative: pictures, uint8 (height, width, channels), from which the ranges of the
            activations are taken; some hundreds.
        path: the .tflite file; its sidecar is written beside it.
        sidecar: the keys of `detector.sidecar` without sha256; "outputs" is a list of names, to which
            shape and place are added here.
        ends: by output, between what ends the value of a plate lies; given, be it empty, sums are narrowed
            too (`train.narrow`).

    Raises:
        ModelError: what was written cannot be read back as a sidecar.
    """
    import tensorflow as tf

    spec = sidecar["input"]

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for number, picture in enumerate(representative):
            pixels = np.array(picture, np.float32).reshape(1, spec["height"], spec["width"], spec["channels"])
            if number == 0:
                # Both ends of the byte must be seen, else the input's scale is not one step a byte.
                pixels[0, 0, 0] = 0.0
                pixels[0, -1, -1] = 255.0
            yield [(pixels - spec["mean"]) * spec["scale"]]

    converter = tf.lite.TFLiteConverter.from_keras_model(keras_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    content = converter.convert()
    outputs = _outputs(content, keras_model, list(sidecar["outputs"]))
    if ends is not None:
        places = {output["name"]: output["tensor"] for output in outputs}
        content = narrowed(content, {places[name]: both for name, both in ends.items()})
    document = dict(sidecar)
    document["sha256"] = hashlib.sha256(content).hexdigest()
    document["outputs"] = outputs
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, content)
    _replace(sidecar_path(path), dump_toml(document).encode())
    load_sidecar(path)


def _outputs(content: bytes, keras_model: Any, names: list[str]) -> list[dict[str, Any]]:
    """Shape and place of each output: the converter orders the file's outputs by a will of its own.

    The signature's names "output_0", "output_1", ... count the Keras model's outputs.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    signature = interpreter.get_signature_runner().get_output_details()
    order = [detail["index"] for detail in interpreter.get_output_details()]
    keys = sorted(signature, key=lambda key: int(key.rsplit("_", 1)[-1]) if key.startswith("output_") else 0)
    if len(keys) != len(names) or len(keras_model.outputs) != len(names):
        raise ValueError(f"the model has {len(keys)} outputs, the sidecar names {names}")
    return [
        {
            "name": name,
            "tensor": order.index(signature[key]["index"]),
            "shape": [int(n) for n in signature[key]["shape"]],
        }
        for name, key in zip(names, keys, strict=True)
    ]


def _replace(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a reader never sees half a file."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)


def dump_toml(document: Mapping[str, Any]) -> str:
    """TOML text of a sidecar: values first, then tables and lists of tables, one level deep."""
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not _is_table(value)]
    for key, value in document.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{key}]", *(f"{k} = {_value(v)}" for k, v in value.items())]
        elif _is_table(value):
            for item in value:
                lines += ["", f"[[{key}]]", *(f"{k} = {_value(v)}" for k, v in item.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)
    )


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        raise TypeError(f"{value!r} has no place in a sidecar")
    if isinstance(value, str):
        if any(ord(c) < 32 for c in value):
            raise TypeError(f"{value!r} holds a control character")
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"{value!r} has no place in a sidecar")
