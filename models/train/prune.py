"""Narrows a trained locator to the widths of `train.locator_net`: fewer channels, nearly the same answers.

    PYTHONPATH=.:models python -m train.prune --data DIR --wide WIDE.npz --out NARROW.npz [--fold 0]

Owns the choice of the channels that stay inside residual blocks and heads, after He, Zhang and Sun, "Channel
pruning for accelerating very deep neural networks" (ICCV 2017): what follows a layer is fitted anew, by least
squares over real pictures, to give with fewer channels what it gave with all; the channels go one at a time,
each the one that is missed least. `train.locator --start` then trains the result on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from train.folds import VALIDATION
from train.locator import HEIGHT, WIDTH
from train.locator_net import STAGES, Convolution, LocatorNet, Residual, Stage
from train.scenes import Scene, decoded, letterbox, load_scenes
from train.weights import load_weights, save_weights

PICTURES = 120
PLACES = 400
"""Of each picture so many random places are fitted."""
DAMPING = 1e-4
"""Added to the diagonal of what is inverted, as a share of its mean: what never speaks stays silent."""

Matrix = NDArray[np.float64]


def keep_channels(inputs: Matrix, outputs: Matrix, channels: int, keep: int) -> tuple[list[int], Matrix]:
    """Which channels stay, and what follows them.

    Args:
        inputs: (places, channels * taps), the channels one after another: what a convolution sees.
        outputs: (places, n): what it gave.
        channels: how many there are.
        keep: how many stay.

    Returns:
        Numbers of the channels that stay, ascending, and weights (keep * taps + 1, n) that give `outputs` of
        them best; the last row is the constant.
    """
    taps = inputs.shape[1] // channels
    seen = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    gram, cross = seen.T @ seen, seen.T @ outputs
    gram[np.diag_indices_from(gram)] += DAMPING * np.trace(gram) / len(gram)
    inverse = np.linalg.inv(gram)
    kept = list(range(channels))
    weights = inverse @ cross
    while len(kept) > keep:
        # To leave a group out costs w' B^-1 w, B being its block of the inverse (Gauss-Markov).
        costs = []
        for place in range(len(kept)):
            part = slice(place * taps, (place + 1) * taps)
            costs.append(float(np.sum(weights[part] * np.linalg.solve(inverse[part, part], weights[part]))))
        place = int(np.argmin(costs))
        gone = np.arange(place * taps, (place + 1) * taps)
        stay = np.setdiff1d(np.arange(len(inverse)), gone)
        shift = np.linalg.solve(inverse[np.ix_(gone, gone)], inverse[np.ix_(gone, stay)])
        weights = weights[stay] - shift.T @ weights[gone]
        inverse = inverse[np.ix_(stay, stay)] - inverse[np.ix_(stay, gone)] @ shift
        del kept[place]
    return kept, weights


def narrow(wide: LocatorNet, pictures: Sequence[Tensor], seed: int = 0) -> LocatorNet:
    """A locator of this package's widths that answers on `pictures`, each (1, 3, h, w) in 0..1, as `wide`."""
    net = LocatorNet()
    _take_alike(net, wide)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for place, (slim, full) in enumerate(zip(_blocks(net), _blocks(wide), strict=True)):
            seen = _gathered(wide, full.first, pictures, rng, 3)
            constant = _fit(slim.first, full.first, slim.second.conv, seen, full.second.conv.weight)
            slim.second.norm.running_mean -= constant
            _tell(f"block {place}", slim.first, full.first)
        for name in ("heat", "box"):
            slim_block, full_block = getattr(net, f"{name}_block"), getattr(wide, f"{name}_block")
            slim_out, full_out = getattr(net, name), getattr(wide, name)
            seen = _gathered(wide, full_block, pictures, rng, 1)
            constant = _fit(slim_block, full_block, slim_out, seen, full_out.weight)
            slim_out.bias.copy_(full_out.bias + constant)
            _tell(name, slim_block, full_block)
    return net.eval()


def _tell(what: str, slim: Convolution, full: Convolution) -> None:
    print(f"{what}: {full.conv.out_channels} to {slim.conv.out_channels} channels", flush=True)


def _take_alike(net: nn.Module, wide: nn.Module) -> None:
    """Copy every weight whose shape is the same in both."""
    own, other = net.state_dict(), wide.state_dict()
    net.load_state_dict({key: other[key] if other[key].shape == own[key].shape else own[key] for key in own})


def _blocks(net: LocatorNet) -> list[Residual]:
    return [block for stage in net.stages if isinstance(stage, Stage) for block in stage.blocks]  # type: ignore[misc]


def _gathered(
    wide: LocatorNet, layer: Convolution, pictures: Sequence[Tensor], rng: np.random.Generator, taps: int
) -> Matrix:
    """What a `taps` x `taps` convolution after `layer` sees at random places: (n, channels * taps ** 2)."""
    found: list[Matrix] = []

    def look(_: nn.Module, __: object, output: Tensor) -> None:
        columns = F.unfold(F.relu6(output), taps, padding=taps // 2)[0].T
        picked = rng.choice(len(columns), min(PLACES, len(columns)), replace=False)
        found.append(columns[torch.from_numpy(picked)].double().numpy())

    hook = layer.register_forward_hook(look)
    for picture in pictures:
        wide(picture)
    hook.remove()
    return np.concatenate(found)


def _fit(slim: Convolution, full: Convolution, after: nn.Conv2d, seen: Matrix, kernel: Tensor) -> Tensor:
    """Set `slim` to the channels of `full` that stay and `after` to what follows; the constant it lacks."""
    wanted = seen @ kernel.flatten(1).T.double().numpy()
    kept, weights = keep_channels(seen, wanted, full.conv.out_channels, slim.conv.out_channels)
    slim.conv.weight.copy_(full.conv.weight[kept])
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(slim.norm, name).copy_(getattr(full.norm, name)[kept])
    after.weight.copy_(torch.from_numpy(weights[:-1].T).float().reshape(after.weight.shape))
    return torch.from_numpy(weights[-1]).float()


def load_wide(path: Path) -> LocatorNet:
    """The locator of `path` (.npz of `save_weights`), of whatever widths.

    Raises:
        RuntimeError: the file holds no locator.
    """
    with np.load(path) as arrays:
        shapes = {key: arrays[key].shape for key in arrays.files}
    try:
        stages = [
            (channels, blocks, shapes[f"stages.{place}.blocks.0.first.conv.weight"][0] if blocks else 0)
            for place, (channels, blocks, _) in enumerate(STAGES)
        ]
        head = shapes["heat_block.conv.weight"][0]
    except KeyError as error:
        raise RuntimeError(f"{path}: weights of no locator: lacks {error}") from error
    return load_weights(LocatorNet(stages, head), path)


def sample(scenes: Sequence[Scene], seed: int = 0) -> Iterator[Tensor]:
    """Random photographs as the locator sees them, each (1, 3, h, w) in 0..1."""
    rng = np.random.default_rng(seed)
    for number in rng.permutation(len(scenes))[:PICTURES]:
        picture = letterbox(decoded(scenes[number]), (HEIGHT, WIDTH))
        yield torch.from_numpy(picture).permute(2, 0, 1)[None].float().div(255)


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.prune", description="Narrow a trained locator.")
    parser.add_argument("--data", type=Path, required=True, help="folder with scenes.jsonl")
    parser.add_argument("--wide", type=Path, required=True, help="weights (.npz) of the wider locator")
    parser.add_argument("--out", type=Path, required=True, help="weights (.npz) to write")
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[VALIDATION], help="folds held out (default: 0)"
    )
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    scenes = [scene for scene in load_scenes(given.data) if scene.fold not in given.fold]
    try:
        wide = load_wide(given.wide)
    except (OSError, RuntimeError) as error:
        print(f"train.prune: {error}", file=sys.stderr)
        return 1
    given.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(given.out, narrow(wide, list(sample(scenes))).state_dict())
    print(f"wrote {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
