"""The OCR's network, twice: in torch, to be trained, and in Keras, to be converted.

Owns the architecture, its head for regions included, and the passage of the weights. A grey crop of 64 x 160
is halved in width twice and in height four times; the last four rows are folded into one, so that 40 columns
remain, each of which names a character or the CTC blank. Full 3x3 convolutions of multiples of 32 channels:
on a CPU three times the multiply-accumulates of a depthwise-separable network train as fast.
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

_CHANNELS = (32, 32, 64, 96, 128, 160)
_REGION_CHANNELS = 64


class Convolution(nn.Module):
    """A convolution and its normalisation, the size kept unless `stride` or `padding` say otherwise."""

    def __init__(
        self,
        inner: int,
        outer: int,
        kernel: tuple[int, int] = (3, 3),
        stride: int = 1,
        padding: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        kept = (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(inner, outer, kernel, stride, kept if padding is None else padding, bias=False)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y


class Stage(nn.Module):
    """A convolution to `outer` channels, then two whose result is added to theirs."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.enter = Convolution(inner, outer)
        self.first = Convolution(outer, outer)
        self.second = Convolution(outer, outer)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.enter(x))
        return F.relu6(x + self.second(F.relu6(self.first(x))))


class OcrNet(nn.Module):
    """The OCR in torch: (n, 1, 64, 160) float in -1..1 gives logits (n, 37, 1, 40), the blank last."""

    def __init__(self) -> None:
        super().__init__()
        c = _CHANNELS
        self.stem = Convolution(1, c[0], stride=2)
        self.stage1 = Convolution(c[0], c[1])
        self.stage2 = Stage(c[1], c[2])
        self.stage3 = Stage(c[2], c[3])
        self.stage4 = Stage(c[3], c[4])
        self.fold = Convolution(c[4], c[5], (4, 1), padding=(0, 0))
        self.row1 = Convolution(c[5], c[5], (1, 5))
        self.row2 = Convolution(c[5], c[5], (1, 5))
        self.drop = nn.Dropout(0.1)
        self.chars = nn.Conv2d(c[5], len(ALPHABET) + 1, 1)

    def trunk(self, x: Tensor) -> Tensor:
        """What both heads see: (n, 64, 16, 40)."""
        x = F.relu6(self.stage1(F.relu6(self.stem(x))))
        y: Tensor = self.stage2(F.max_pool2d(x, 2))
        return y

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(F.max_pool2d(self.trunk(x), (2, 1)))
        x = self.stage4(F.max_pool2d(x, (2, 1)))
        x = F.relu6(self.fold(x))
        x = F.relu6(x + self.row2(F.relu6(self.row1(x))))
        y: Tensor = self.chars(self.drop(x))
        return y


class RegionHead(nn.Module):
    """The second head: `OcrNet.trunk` (n, 64, 16, 40) gives logits (n, regions + 1, 1, 1), none last."""

    def __init__(self, regions: int) -> None:
        super().__init__()
        self.first = Convolution(_CHANNELS[2], _REGION_CHANNELS, stride=2)
        self.second = Convolution(_REGION_CHANNELS, _REGION_CHANNELS, stride=2)
        self.drop = nn.Dropout(0.4)
        self.regions = nn.Conv2d(_REGION_CHANNELS, regions + 1, (HEIGHT // 16, COLUMNS // 4))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.second(F.relu6(self.first(x))))
        y: Tensor = self.regions(self.drop(x))
        return y


def keras_twin(net: OcrNet, region: RegionHead | None = None) -> Any:
    """The same network in Keras for batch 1, the normalisations folded into the weights.

    Its input is (1, 64, 160, 1) in -1..1, its outputs the logits (1, 40, 37) of the characters and, where
    there is a head for them, (1, regions + 1) of the regions.
    """
    import keras

    x = inputs = keras.Input((HEIGHT, WIDTH, 1), batch_size=1)
    x = relu6(_halved(x, net.stem))
    x = relu6(_conv(x, net.stage1))
    x = trunk = _stage(pool(x, (2, 2)), net.stage2)
    x = _stage(pool(x, (2, 1)), net.stage3)
    x = _stage(pool(x, (2, 1)), net.stage4)
    x = relu6(_conv(x, net.fold, padding="valid"))
    x = relu6(add(x, _conv(relu6(_conv(x, net.row1)), net.row2)))
    chars = keras.layers.Reshape((COLUMNS, len(ALPHABET) + 1))(conv(x, net.chars, None))
    if region is None:
        return keras.Model(inputs, chars)
    x = relu6(_halved(relu6(_halved(trunk, region.first)), region.second))
    x = conv(x, region.regions, None, padding="valid")
    return keras.Model(inputs, [chars, keras.layers.Reshape((region.regions.out_channels,))(x)])


def _halved(x: Any, layer: Convolution) -> Any:
    import keras

    # torch pads a stride-2 convolution on both sides, TensorFlow's "same" at the end alone.
    return _conv(keras.layers.ZeroPadding2D(1)(x), layer, padding="valid")


def _conv(x: Any, layer: Convolution, padding: str = "same") -> Any:
    return conv(x, layer.conv, layer.norm, padding=padding)


def _stage(x: Any, stage: Stage) -> Any:
    x = relu6(_conv(x, stage.enter))
    return relu6(add(x, _conv(relu6(_conv(x, stage.first)), stage.second)))
