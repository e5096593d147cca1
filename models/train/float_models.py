"""A model's float weights in the place of its int8 file, for the unit's own reader: what int8 costs.

Owns the passage from a sidecar to the torch network and from its outputs to those of the file.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detector.runtime import Model
from train.corners_net import CornersNet
from train.locator_net import LocatorNet
from train.ocr_net import OcrNet
from train.weights import load_weights

_NETS: dict[str, type[nn.Module]] = {"locator": LocatorNet, "corners": CornersNet, "ocr": OcrNet}


class FloatModel(Model):
    """Takes pictures and gives outputs as the int8 model does whose sidecar it has."""

    def __init__(self, model: Model) -> None:
        """The weights (.npz) beside the file of `model`; outputs that they lack stay those of `model`.

        Raises:
            FileNotFoundError, RuntimeError: as of `load_weights`.
        """
        self.path, self.sidecar, self.runtime = model.path, model.sidecar, "torch"
        self._int8 = model
        self._net = load_weights(_NETS[self.sidecar.kind](), self.path.with_suffix(".npz"))

    def run(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """As of `Model.run`, in float all the way."""
        spec = self.sidecar.input
        pixels = torch.from_numpy(image.reshape(1, spec.height, spec.width, spec.channels).copy()).float()
        with torch.no_grad():
            outputs = self._named(self._net(((pixels - spec.mean) * spec.scale).permute(0, 3, 1, 2)))
        if len(outputs) < len(self.sidecar.outputs):
            names = [output.name for output in self.sidecar.outputs]
            outputs = dict(zip(names, map(torch.from_numpy, self._int8.run(image)), strict=True)) | outputs
        return [outputs[output.name].reshape(output.shape).numpy() for output in self.sidecar.outputs]

    def _named(self, given: Tensor | tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """By the sidecar's names, channels last and with the sigmoids that the file holds."""
        if isinstance(given, tuple):  # the locator's
            heat, box = given
            return {"heat": torch.sigmoid(heat).permute(0, 2, 3, 1), "box": box.permute(0, 2, 3, 1)}
        if self.sidecar.kind == "corners":
            return {"score": torch.sigmoid(given[:, :1]), "corners": given[:, 1:]}
        return {"chars": given[:, :, 0].permute(0, 2, 1)}
