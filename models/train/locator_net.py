"""The locator's network, twice: in torch, to be trained, and in Keras, to be converted.

Owns the architecture and the passage of the weights from the one to the other. Both are fully
convolutional: depthwise-separable blocks down to stride 32, whose context is added back at stride
16 and 8, where heatmap and boxes are given (`detector.locate` says what they mean). Padding follows
TensorFlow's "same" (more at the bottom right), so that the int8 file needs no padding operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from train.keras_layers import add, conv, relu6

STRIDE = 8
STEM = 16
STAGES: tuple[tuple[int, int, int], ...] = ((32, 2, 3), (64, 3, 3), (112, 5, 3), (160, 3, 5))
"""(channels, blocks, kernel) at strides 4, 8, 16 and 32; the first block of each halves the size."""
HEAD = 64
PRIOR = 0.01
"""The score that an untrained network gives everywhere: most cells hold no plate."""


def _same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad as TensorFlow's "same" does for even sizes: kernel - stride in all, the larger half last."""
    total = kernel - stride
    before = total // 2
    return F.pad(x, (before, total - before, before, total - before))


class Block(nn.Module):
    """Depthwise convolution, then pointwise, each normalised; added to its input where that fits."""

    def __init__(self, inner: int, outer: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = kernel // 2 if stride == 1 else 0
        self.depth = nn.Conv2d(inner, inner, kernel, stride, padding, groups=inner, bias=False)
        self.depth_norm = nn.BatchNorm2d(inner)
        self.point = nn.Conv2d(inner, outer, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outer)
        self.residual = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        padded = _same(x, self.kernel, self.stride) if self.stride > 1 else x
        y = F.relu6(self.depth_norm(self.depth(padded)))
        y = F.relu6(self.point_norm(self.point(y)))
        return x + y if self.residual else y


class Lateral(nn.Module):
    """A pointwise convolution that fits a deeper stage's channels to a shallower one's."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 1, bias=False)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y


class LocatorNet(nn.Module):
    """The locator in torch.

    forward takes (n, 3, h, w) float in 0..1, h and w multiples of 32, and gives the heatmap's logits
    (n, 1, h/8, w/8) and the boxes (n, 4, h/8, w/8).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 3, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(STEM)
        self.stages = nn.ModuleList()
        inner = STEM
        for channels, blocks, kernel in STAGES:
            stage = [Block(inner, channels, 3, 2)]
            stage += [Block(channels, channels, kernel) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            inner = channels
        c8, c16, c32 = (STAGES[i][0] for i in (1, 2, 3))
        self.lateral32 = Lateral(c32, c16)
        self.fuse16 = Block(c16, c16)
        self.lateral16 = Lateral(c16, c8)
        self.fuse8 = nn.Sequential(Block(c8, HEAD), Block(HEAD, HEAD))
        self.heat_block = Block(HEAD, HEAD)
        self.heat = nn.Conv2d(HEAD, 1, 1)
        self.box_block = Block(HEAD, HEAD)
        self.box = nn.Conv2d(HEAD, 4, 1)
        nn.init.constant_(self.heat.bias, float(np.log(PRIOR / (1 - PRIOR))))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self.stem_norm(self.stem(_same(x, 3, 2))))
        x = self.stages[0](x)
        at8 = self.stages[1](x)
        at16 = self.stages[2](at8)
        at32 = self.stages[3](at16)
        at16 = self.fuse16(F.relu6(at16 + F.interpolate(self.lateral32(at32), scale_factor=2.0)))
        at8 = self.fuse8(F.relu6(at8 + F.interpolate(self.lateral16(at16), scale_factor=2.0)))
        return self.heat(self.heat_block(at8)), self.box(self.box_block(at8))


def keras_twin(net: LocatorNet, height: int, width: int) -> Any:
    """The same network in Keras for batch 1 and a fixed size, the normalisations folded into the weights.

    Its input is (1, height, width, 3) in 0..1; its outputs are heat, with the sigmoid, and box.
    """
    import keras

    x = inputs = keras.Input((height, width, 3), batch_size=1)
    x = conv(x, net.stem, net.stem_norm)
    x = relu6(x)
    for block in net.stages[0]:  # type: ignore[union-attr]
        x = _block(x, block)
    taps = []
    for stage in list(net.stages)[1:]:
        for block in stage:  # type: ignore[union-attr]
            x = _block(x, block)
        taps.append(x)
    at8, at16, at32 = taps
    at16 = _block(relu6(add(at16, _twice(conv(at32, net.lateral32.conv, net.lateral32.norm)))), net.fuse16)
    at8 = relu6(add(at8, _twice(conv(at16, net.lateral16.conv, net.lateral16.norm))))
    for block in net.fuse8:
        at8 = _block(at8, block)  # type: ignore[arg-type]
    heat = keras.layers.Activation("sigmoid")(conv(_block(at8, net.heat_block), net.heat, None))
    box = conv(_block(at8, net.box_block), net.box, None)
    return keras.Model(inputs, [heat, box])


def _block(x: Any, block: Block) -> Any:
    y = relu6(conv(x, block.depth, block.depth_norm))
    y = relu6(conv(y, block.point, block.point_norm))
    return add(x, y) if block.residual else y


def _twice(x: Any) -> Any:
    """Nearest neighbour at twice the size, as one operator of the file."""
    import keras
    import tensorflow as tf

    size = (int(x.shape[1]) * 2, int(x.shape[2]) * 2)
    return keras.layers.Lambda(
        lambda y: tf.image.resize(y, size, method="nearest"), output_shape=(*size, int(x.shape[3]))
    )(x)
