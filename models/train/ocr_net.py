"""The OCR's network, twice: in torch, to be trained, and in Keras, to be converted.

Owns the architecture and the passage of the weights. A grey crop of 64 x 160 is halved in width twice and
in height four times; the last four rows are folded into one, so that 40 columns remain, each of which
names a character or the CTC blank.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from train.keras_layers import add, conv, pool, relu6

HEIGHT, WIDTH = 64, 160
COLUMNS = WIDTH // 4
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BLANK = len(ALPHABET)

_CHANNELS = (32, 64, 112, 176, 224, 192)


class Block(nn.Module):
    """Depthwise convolution, then pointwise, each normalised; added to its input where that fits."""

    def __init__(self, inner: int, outer: int, kernel: int = 3) -> None:
        super().__init__()
        self.depth = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=False)
        self.depth_norm = nn.BatchNorm2d(inner)
        self.point = nn.Conv2d(inner, outer, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outer)
        self.residual = inner == outer

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.depth_norm(self.depth(x)))
        y = F.relu6(self.point_norm(self.point(y)))
        return x + y if self.residual else y


class OcrNet(nn.Module):
    """The OCR in torch: (n, 1, 64, 160) float in -1..1 gives logits (n, 37, 1, 40), the blank last."""

    def __init__(self) -> None:
        super().__init__()
        c = _CHANNELS
        self.stem = nn.Conv2d(1, c[0], 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(c[0])
        self.stage1 = nn.Sequential(Block(c[0], c[1]))
        self.stage2 = nn.Sequential(Block(c[1], c[2]), Block(c[2], c[2]), Block(c[2], c[2]))
        self.stage3 = nn.Sequential(Block(c[2], c[3]), Block(c[3], c[3]), Block(c[3], c[3]))
        self.stage4 = nn.Sequential(Block(c[3], c[4]), Block(c[4], c[4], 5))
        self.fold = nn.Conv2d(c[4], c[5], (4, 1), bias=False)
        self.fold_norm = nn.BatchNorm2d(c[5])
        self.stage5 = nn.Sequential(Block(c[5], c[5], 5), Block(c[5], c[5], 5))
        self.drop = nn.Dropout(0.1)
        self.chars = nn.Conv2d(c[5], len(ALPHABET) + 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage1(F.relu6(self.stem_norm(self.stem(x))))
        x = self.stage2(F.max_pool2d(x, 2))
        x = self.stage3(F.max_pool2d(x, (2, 1)))
        x = self.stage4(F.max_pool2d(x, (2, 1)))
        x = self.stage5(F.relu6(self.fold_norm(self.fold(x))))
        y: Tensor = self.chars(self.drop(x))
        return y


def keras_twin(net: OcrNet) -> Any:
    """The same network in Keras for batch 1, the normalisations folded into the weights.

    Its input is (1, 64, 160, 1) in -1..1, its output the logits (1, 40, 37).
    """
    import keras

    x = inputs = keras.Input((HEIGHT, WIDTH, 1), batch_size=1)
    # torch pads a stride-2 convolution on both sides, TensorFlow's "same" at the end alone.
    x = keras.layers.ZeroPadding2D(1)(x)
    x = relu6(conv(x, net.stem, net.stem_norm, padding="valid"))
    x = _stage(x, net.stage1)
    x = _stage(pool(x, (2, 2)), net.stage2)
    x = _stage(pool(x, (2, 1)), net.stage3)
    x = _stage(pool(x, (2, 1)), net.stage4)
    x = relu6(conv(x, net.fold, net.fold_norm, padding="valid"))
    x = _stage(x, net.stage5)
    x = conv(x, net.chars, None)
    return keras.Model(inputs, keras.layers.Reshape((COLUMNS, len(ALPHABET) + 1))(x))


def _stage(x: Any, stage: nn.Sequential) -> Any:
    for block in stage:
        assert isinstance(block, Block)
        y = relu6(conv(x, block.depth, block.depth_norm))
        y = relu6(conv(y, block.point, block.point_norm))
        x = add(x, y) if block.residual else y
    return x
