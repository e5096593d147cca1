"""Narrower ranges for an int8 file's tensors where what lies beyond them says nothing.

Owns the change of a converted file's scales. The converter gives each tensor the range that it saw, over
which the 255 steps of a byte are spread, and two kinds of tensor never need all of theirs:

- Of a sum that is cut to 0..6 (ReLU6), one side of which is within 0..6 already, the other side needs no
  more than -6..6: what lies below gives 0 and what lies above gives 6, whatever the first one is. Residual
  networks are made of such sums.
- An output may have ends of its own, beyond which no plate's value lies, only the background's.

A convolution saturates at the ends of its output's range, so that narrowing it costs nothing and makes the
steps several times as fine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Ends = tuple[float, float]
_CUT = 6.0
"""What ReLU6 cuts to."""


def narrowed(content: bytes, outputs: Mapping[int, Ends]) -> bytes:
    """`content`, a full-integer .tflite file of one graph, with narrower ranges.

    Args:
        content: the file.
        outputs: the ends of outputs, by their place among the file's; a range that is narrower stays.

    Raises:
        ValueError: an output with ends, or a side of such a sum, is not a convolution's.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    (graph,) = model.subgraphs
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    kinds, relu6 = schema.BuiltinOperator, schema.ActivationFunctionType.RELU6
    makers = {int(tensor): op for op in graph.operators for tensor in op.outputs}
    wanted = {int(graph.outputs[place]): ends for place, ends in outputs.items()}
    for op in graph.operators:
        if codes[op.opcodeIndex] == kinds.ADD and op.builtinOptions.fusedActivationFunction == relu6:
            sides = [int(tensor) for tensor in op.inputs]
            if any(_within(graph.tensors[side], (0.0, _CUT)) for side in sides):
                wanted |= dict.fromkeys(sides, (-_CUT, _CUT))
    for first, ends in wanted.items():
        tensor = first
        while not _within(graph.tensors[tensor], ends):
            _narrow(graph.tensors[tensor], ends)
            kind = codes[makers[tensor].opcodeIndex]
            if kind == kinds.CONV_2D:
                break
            if kind != kinds.RESIZE_NEAREST_NEIGHBOR:  # which keeps the range of what it is given
                raise ValueError(f"tensor {first} does not come from a convolution, but from operator {kind}")
            tensor = int(makers[tensor].inputs[0])
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _ends(tensor: Any) -> Ends:
    scale, zero = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    return (-128 - zero) * scale, (127 - zero) * scale


def _within(tensor: Any, ends: Ends) -> bool:
    """Whether the range lies within `ends`, a step more or less."""
    low, high = _ends(tensor)
    step = float(tensor.quantization.scale[0])
    return low >= ends[0] - step and high <= ends[1] + step


def _narrow(tensor: Any, ends: Ends) -> None:
    low, high = _ends(tensor)
    low, high = max(low, ends[0]), min(high, ends[1])
    scale = (high - low) / 255
    tensor.quantization.scale = np.array([scale], np.float32)
    tensor.quantization.zeroPoint = np.array([round(-128 - low / scale)], np.int64)
