"""The locator's network, twice: in torch, to be trained, and in Keras, to be converted.

Owns the architecture and the passage of the weights from the one to the other. Both are fully
convolutional: residual stages down to stride 32, whose context is added back at stride 16 and 8, where
heatmap and boxes are given (`detector.locate` says what they mean). Full 3x3 convolutions, nearly all of
multiples of 32 channels: a CPU trains and runs them faster, for each multiply-accumulate, than
depthwise-separable ones. Padding follows TensorFlow's "same" (more at the bottom right), so that the int8
file needs no padding operators.
"""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from train.keras_layers import add, conv, relu6

STRIDE = 8
STEM = 16
STAGES: tuple[tuple[int, int], ...] = ((32, 0), (64, 1), (96, 1), (128, 2))
"""(channels, residual blocks) at strides 4, 8, 16 and 32."""
HEAD = 32
PRIOR = 0.01
"""The score that an untrained network gives everywhere: most cells hold no plate."""
TYPICAL = (48.0, 20.0)
"""Width and height of the box that an untrained network gives, in pixels of its input."""


class Convolution(nn.Module):
    """A convolution and its normalisation, padded as TensorFlow's "same" does for even sizes."""

    def __init__(self, inner: int, outer: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        # kernel - stride in all, the larger half last
        total = kernel - stride
        self.padding = (total // 2, total - total // 2)
        self.conv = nn.Conv2d(inner, outer, kernel, stride, bias=False)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        before, after = self.padding
        if after:
            x = F.pad(x, (before, after, before, after))
        y: Tensor = self.norm(self.conv(x))
        return y


class Residual(nn.Module):
    """Two convolutions, whose result is added to what they were given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels)
        self.second = Convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(x + self.second(F.relu6(self.first(x))))


class Stage(nn.Module):
    """Half the size, then residual blocks."""

    def __init__(self, inner: int, outer: int, blocks: int) -> None:
        super().__init__()
        self.enter = Convolution(inner, outer, stride=2)
        self.blocks = nn.ModuleList(Residual(outer) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.enter(x))
        for block in self.blocks:
            x = block(x)
        return x


class LocatorNet(nn.Module):
    """The locator in torch.

    forward takes (n, 3, h, w) float in 0..1, h and w multiples of 32, and gives the heatmap's logits
    (n, 1, h/8, w/8) and the boxes (n, 4, h/8, w/8).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, stride=2)
        self.stages = nn.ModuleList()
        inner = STEM
        for channels, blocks in STAGES:
            self.stages.append(Stage(inner, channels, blocks))
            inner = channels
        c8, c16, c32 = (STAGES[i][0] for i in (1, 2, 3))
        self.lateral32 = Convolution(c32, c16, 1)
        self.fuse16 = Convolution(c16, c16)
        self.lateral16 = Convolution(c16, c8, 1)
        self.fuse8 = Convolution(c8, c8)
        self.heat_block = Convolution(c8, HEAD)
        self.heat = nn.Conv2d(HEAD, 1, 1)
        self.box_block = Convolution(c8, HEAD)
        self.box = nn.Conv2d(HEAD, 4, 1)
        nn.init.constant_(self.heat.bias, math.log(PRIOR / (1 - PRIOR)))  # type: ignore[arg-type]
        # Boxes begin alike: the ends of an untrained spread would lie where the overlap has no slope.
        nn.init.normal_(self.box.weight, std=0.01)
        assert self.box.bias is not None
        nn.init.zeros_(self.box.bias)
        self.box.bias.data[2:] = Tensor([math.log(side / STRIDE) for side in TYPICAL])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stages[0](F.relu6(self.stem(x)))
        at8 = self.stages[1](x)
        at16 = self.stages[2](at8)
        at32 = self.stages[3](at16)
        at16 = F.relu6(at16 + F.interpolate(self.lateral32(at32), scale_factor=2.0))
        at16 = F.relu6(self.fuse16(at16))
        at8 = F.relu6(at8 + F.interpolate(self.lateral16(at16), scale_factor=2.0))
        at8 = F.relu6(self.fuse8(at8))
        return self.heat(F.relu6(self.heat_block(at8))), self.box(F.relu6(self.box_block(at8)))


def keras_twin(net: LocatorNet, height: int, width: int) -> Any:
    """The same network in Keras for batch 1 and a fixed size, the normalisations folded into the weights.

    Its input is (1, height, width, 3) in 0..1; its outputs are heat, with the sigmoid, and box.
    """
    import keras

    inputs = keras.Input((height, width, 3), batch_size=1)
    x = _stage(relu6(_conv(inputs, net.stem)), net.stages[0])
    at8 = _stage(x, net.stages[1])
    at16 = _stage(at8, net.stages[2])
    at32 = _stage(at16, net.stages[3])
    at16 = relu6(add(at16, _twice(_conv(at32, net.lateral32))))
    at16 = relu6(_conv(at16, net.fuse16))
    at8 = relu6(add(at8, _twice(_conv(at16, net.lateral16))))
    at8 = relu6(_conv(at8, net.fuse8))
    heat = conv(relu6(_conv(at8, net.heat_block)), net.heat, None)
    box = conv(relu6(_conv(at8, net.box_block)), net.box, None)
    return keras.Model(inputs, [keras.layers.Activation("sigmoid")(heat), box])


def _conv(x: Any, layer: Convolution) -> Any:
    return conv(x, layer.conv, layer.norm)


def _stage(x: Any, stage: nn.Module) -> Any:
    assert isinstance(stage, Stage)
    x = relu6(_conv(x, stage.enter))
    for block in stage.blocks:
        assert isinstance(block, Residual)
        x = relu6(add(x, _conv(relu6(_conv(x, block.first)), block.second)))
    return x


def _twice(x: Any) -> Any:
    """Nearest neighbour at twice the size, as one operator of the file."""
    import keras
    import tensorflow as tf

    size = (int(x.shape[1]) * 2, int(x.shape[2]) * 2)
    return keras.layers.Lambda(
        lambda y: tf.image.resize(y, size, method="nearest"), output_shape=(*size, int(x.shape[3]))
    )(x)
