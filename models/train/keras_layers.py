"""The layers that a Keras twin of a torch network is made of, with the weights taken over.

Owns the passage of one layer; which layers there are is each network's affair. Importing it does not import
TensorFlow; calling it does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn


def conv(x: Any, layer: nn.Conv2d, norm: nn.BatchNorm2d | None, padding: str = "same") -> Any:
    """One convolution with its normalisation folded in; depthwise where torch's has as many groups."""
    import keras

    weight = layer.weight.detach().double().numpy()
    bias = np.zeros(weight.shape[0]) if layer.bias is None else layer.bias.detach().double().numpy()
    if norm is not None:
        weight, bias = _fold(weight, bias, norm)
    kernel, stride = weight.shape[2:], layer.stride[0]
    if layer.groups > 1:
        made = keras.layers.DepthwiseConv2D(kernel, strides=stride, padding=padding)
        arrays = [weight.transpose(2, 3, 0, 1), bias]
    else:
        made = keras.layers.Conv2D(weight.shape[0], kernel, strides=stride, padding=padding)
        arrays = [weight.transpose(2, 3, 1, 0), bias]
    y = made(x)
    made.set_weights([array.astype(np.float32) for array in arrays])
    return y


def _fold(
    weight: NDArray[np.float64], bias: NDArray[np.float64], norm: nn.BatchNorm2d
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """norm(conv(x)) as one convolution: each output channel is scaled and moved."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.detach().double().numpy() / np.sqrt(norm.running_var.double().numpy() + norm.eps)
    moved = norm.bias.detach().double().numpy() + (bias - norm.running_mean.double().numpy()) * factor
    return weight * factor[:, None, None, None], moved


def dense(x: Any, layer: nn.Linear, rows: slice) -> Any:
    """The given `rows` of a linear layer's outputs."""
    import keras

    weight, bias = layer.weight.detach().numpy()[rows], layer.bias.detach().numpy()[rows]
    made = keras.layers.Dense(weight.shape[0])
    y = made(x)
    made.set_weights([weight.T, bias])
    return y


def relu6(x: Any) -> Any:
    import keras

    return keras.layers.ReLU(6.0)(x)


def add(x: Any, y: Any) -> Any:
    import keras

    return keras.layers.Add()([x, y])


def pool(x: Any, size: tuple[int, int]) -> Any:
    """The largest of each `size` = (rows, columns) places."""
    import keras

    return keras.layers.MaxPooling2D(size)(x)
