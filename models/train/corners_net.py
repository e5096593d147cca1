"""The network that looks again at a place which the locator found: is it a plate, and where are its corners.

Owns the architecture, twice as in `train.locator_net`: in torch, to be trained, and in Keras, to be
converted. What the outputs mean is said in `detector.corners`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from train.keras_layers import add, conv, dense, relu6
from train.locator_net import Convolution, Residual

HEIGHT, WIDTH = 64, 128
CHANNELS = (16, 32, 64, 96)
"""Channels at strides 2, 4, 8 and 16."""
HIDDEN = 160
OUTPUTS = 9
"""The score's logit, then x and y of the four corners."""


class CornersNet(nn.Module):
    """The second look in torch: (n, 3, 64, 128) float in 0..1 gives (n, 9)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, CHANNELS[0], stride=2)
        self.enter = nn.ModuleList()
        self.blocks = nn.ModuleList()
        for inner, outer in pairwise(CHANNELS):
            self.enter.append(Convolution(inner, outer, stride=2))
            self.blocks.append(Residual(outer))
        cells = (HEIGHT // 16) * (WIDTH // 16)
        self.hidden = nn.Linear(CHANNELS[-1] * cells, HIDDEN)
        self.out = nn.Linear(HIDDEN, OUTPUTS)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.stem(x))
        for enter, block in zip(self.enter, self.blocks, strict=True):
            x = block(F.relu6(enter(x)))
        # Channels last, as the Keras twin flattens them.
        y: Tensor = self.out(F.relu6(self.hidden(x.permute(0, 2, 3, 1).flatten(1))))
        return y


def keras_twin(net: CornersNet) -> Any:
    """The same network in Keras for batch 1, the normalisations folded into the weights.

    Its input is (1, 64, 128, 3) in 0..1; its outputs are the score, 0..1, and the corners.
    """
    import keras

    x = inputs = keras.Input((HEIGHT, WIDTH, 3), batch_size=1)
    x = relu6(conv(x, net.stem.conv, net.stem.norm))
    for enter, block in zip(net.enter, net.blocks, strict=True):
        assert isinstance(enter, Convolution)
        assert isinstance(block, Residual)
        x = relu6(conv(x, enter.conv, enter.norm))
        first, second = block.first, block.second
        x = relu6(add(x, conv(relu6(conv(x, first.conv, first.norm)), second.conv, second.norm)))
    x = relu6(dense(keras.layers.Flatten()(x), net.hidden, slice(None)))
    score = keras.layers.Activation("sigmoid")(dense(x, net.out, slice(0, 1)))
    return keras.Model(inputs, [score, dense(x, net.out, slice(1, None))])
