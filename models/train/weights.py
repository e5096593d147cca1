"""Float weights of a network as a .npz of float16 arrays: what is committed beside the int8 files.

Owns the file's form; which network they belong to is each network's module's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)
_COUNTER = "num_batches_tracked"  # only training needs it


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a network's state."""
    arrays = {k: v.detach().half().numpy() for k, v in state.items() if not k.endswith(_COUNTER)}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def follow(average: dict[str, Tensor], state: Mapping[str, Tensor], steps: int, most: float = 0.998) -> None:
    """Move an exponential average of a network's weights on: it does better than the last step's.

    `most` (0..1) is the share that stays, less in the first of the `steps` made so far.
    """
    keep = min(most, (1 + steps) / (10 + steps))
    with torch.no_grad():
        for key, value in state.items():
            if value.dtype.is_floating_point:
                average[key].mul_(keep).add_(value, alpha=1 - keep)
            else:
                average[key] = value.clone()


def load_weights(net: Net, path: Path) -> Net:
    """Put the weights of `save_weights` into `net`, which is given back ready to be asked.

    Raises:
        RuntimeError: the file is of another architecture.
    """
    with np.load(path) as arrays:
        state = {key: torch.from_numpy(arrays[key]).float() for key in arrays.files}
    missing, unexpected = net.load_state_dict(state, strict=False)
    if unexpected or any(not key.endswith(_COUNTER) for key in missing):
        raise RuntimeError(f"{path}: weights of another network: lacks {missing}, has {unexpected}")
    return net.eval()
