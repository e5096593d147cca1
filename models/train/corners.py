"""Trains the second look at the locator's places: plate or none, and the plate's four corners.

    PYTHONPATH=.:models python -m train.corners --data DIR --out models [--fold 0] [--minutes 15]

Owns the course of the training. The places come from the locator of the same fold (--locator), as found in
the photographs that both may see. Checkpoints go into --runs and are gone on from.

The score is taught the overlap that the corners' upright box has with the plate's, as in `train.locator`.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detector.corners import CONTEXT
from detector.locate import Locator
from train.corners_net import HEIGHT, WIDTH, CornersNet, keras_twin
from train.export import export_int8
from train.folds import VALIDATION
from train.scenes import decoded, load_plates, load_scenes
from train.weights import follow, load_weights, save_weights
from train.windows import NOMINAL, Places, Window, Windows

BATCH = 96
STEP, STEP_AGAIN = 1.5e-3, 7e-4
"""The largest step from nothing, and from weights that are trained."""
WARM_UP = 200
CHECKPOINT_S = 120.0
BOX_UNKNOWN = 0.7
"""The least score that is taught where the plate's box is not known well."""
LEAST_PLACE = 0.04
"""The least score of a place of the locator that is trained on."""
MOST_PLACES = 40
CANDIDATE, THRESHOLD, NMS_IOU = 0.15, 0.4, 0.4


def loss_of(raw: Tensor, windows: list[Window], least: float) -> tuple[Tensor, float]:
    """The loss of a batch (n, 9), and the mean overlap of the plates' boxes; `least` as in train.locator."""
    plate = torch.tensor([window.plate for window in windows])
    sure = torch.tensor([window.sure for window in windows])
    box = torch.tensor([window.box for window in windows])
    wanted = torch.from_numpy(np.stack([window.corners for window in windows]))
    corners = raw[:, 1:].reshape(-1, 4, 2) + torch.from_numpy(NOMINAL)
    low, high = corners.amin(1), corners.amax(1)
    w_low, w_high = wanted.amin(1), wanted.amax(1)
    sides = (w_high - w_low).clamp(min=1e-3)
    common = (torch.min(high, w_high) - torch.max(low, w_low)).clamp(min=0).prod(1)
    union = (high - low).prod(1) + sides.prod(1) - common
    hull = (torch.max(high, w_high) - torch.min(low, w_low)).prod(1).clamp(min=1e-6)
    iou = common / union.clamp(min=1e-6)
    # A turned label's box is larger than its plate's: how well it fits says little.
    quality = torch.where(box < 1, iou.detach().clamp(min=BOX_UNKNOWN), iou.detach().clamp(min=least)) * plate
    score = torch.sigmoid(raw[:, 0]).detach()
    weight = torch.where(plate > 0, 0.3 + quality, 0.4 + 1.6 * score)
    scores = F.binary_cross_entropy_with_logits(raw[:, 0], quality, reduction="none") * weight
    count = plate.sum().clamp(min=1)
    boxes = ((1 - iou + (hull - union) / hull) * box).sum() / count
    away = F.smooth_l1_loss(corners / sides[:, None], wanted / sides[:, None], reduction="none", beta=0.05)
    near = (away.sum((1, 2)) * sure).sum() / count
    return scores.mean() * 2 + boxes + 2 * near, float((iou.detach() * plate).sum() / count)


def found_places(locator: Path, data: Path, held_out: list[int]) -> list[Places]:
    """What `locator` finds in the photographs of `data`, those of the folds held out apart."""
    model, found = Locator(locator), []
    for scene in load_scenes(data):
        if scene.fold not in held_out:
            places = model.locate(decoded(scene), LEAST_PLACE)[:MOST_PLACES]
            boxes = np.array([place.box for place in places], np.float32).reshape(-1, 4)
            # The likelier the locator finds a place, the oftener it is shown: most are not plates.
            shares = np.array([place.score for place in places], np.float32)
            found.append(Places(scene, boxes, shares / max(float(shares.sum()), 1e-6)))
    return found


def train(windows: Windows, checkpoint: Path, minutes: float, start: CornersNet | None = None) -> CornersNet:
    """Train from nothing, `start` or `checkpoint`, for `minutes` in all; the averaged network."""
    net = (start or CornersNet()).to(memory_format=torch.channels_last)
    first, hold = (STEP, 0.1) if start is None else (STEP_AGAIN, 0.0)
    optimiser = torch.optim.AdamW(net.parameters(), first, weight_decay=2e-3)
    average = {key: value.clone() for key, value in net.state_dict().items()}
    steps, seconds = 0, 0.0
    if checkpoint.exists():
        kept = torch.load(checkpoint)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["opt"])
        average, steps, seconds = kept["ema"], kept["step"], kept["el"]
    before, began, saved, told = seconds, time.monotonic(), seconds, seconds
    losses: list[float] = []
    overlaps: list[float] = []
    while seconds < 60 * minutes:
        progress = seconds / (60 * minutes)
        for group in optimiser.param_groups:
            group["lr"] = (
                first * min(1.0, (steps + 1) / WARM_UP) * max(0.01, 0.5 + 0.5 * math.cos(math.pi * progress))
            )
        some = windows.batch(BATCH)
        x = torch.from_numpy(np.stack([window.picture for window in some])).permute(0, 3, 1, 2)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            raw = net(x.to(memory_format=torch.channels_last).float().div(255))
        loss, overlap = loss_of(raw.float(), some, 0.5 if progress < hold else 0.1)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        steps += 1
        follow(average, net.state_dict(), steps)
        losses.append(loss.item())
        overlaps.append(overlap)
        seconds = before + time.monotonic() - began
        if steps % 100 == 0:
            speed = 100 * BATCH / max(seconds - told, 1e-6)
            told = seconds
            print(
                f"{checkpoint.stem} step {steps} {seconds:.0f} s loss {np.mean(losses):.3f}"
                f" overlap {np.mean(overlaps):.3f} windows/s {speed:.0f}",
                flush=True,
            )
            losses, overlaps = [], []
        if seconds - saved > CHECKPOINT_S or seconds >= 60 * minutes:
            saved = seconds
            part = checkpoint.with_suffix(".part")
            state = {"net": net.state_dict(), "opt": optimiser.state_dict(), "ema": average}
            torch.save({**state, "step": steps, "el": seconds}, part)
            part.replace(checkpoint)
    done = CornersNet()
    done.load_state_dict(average)
    return done.eval()


def export(net: CornersNet, windows: Windows, path: Path) -> None:
    """Write `path` (.tflite), its sidecar and its float weights (.npz); ranges come from `windows`."""

    def representative() -> Iterator[NDArray[np.uint8]]:
        for window in windows.batch(300):
            yield window.picture

    sidecar = {
        "kind": "corners",
        "version": date.today().strftime("%Y.%m.%d"),
        "input": {"height": HEIGHT, "width": WIDTH, "channels": 3, "mean": 0.0, "scale": 1 / 255},
        "outputs": ["score", "corners"],
        "corners": {
            "context": CONTEXT,
            "candidate": CANDIDATE,
            "threshold": THRESHOLD,
            "nms_iou": NMS_IOU,
        },
    }
    export_int8(keras_twin(net), representative(), path, sidecar, {})
    save_weights(path.with_suffix(".npz"), net.state_dict())


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.corners", description="Train the second look.")
    parser.add_argument("--data", type=Path, help="folder with scenes.jsonl")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder for the three files")
    parser.add_argument("--name", default="corners", help="name of the files (default: corners)")
    parser.add_argument(
        "--locator", type=Path, default=Path("models/locator.tflite"), help="the locator of the same fold"
    )
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[VALIDATION], help="folds held out (default: 0)"
    )
    parser.add_argument("--minutes", type=float, default=15, help="default: 15")
    parser.add_argument("--start", type=Path, help="weights (.npz) to train on from (default: from nothing)")
    parser.add_argument("--runs", type=Path, default=Path("runs/corners"), help="folder for checkpoints")
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(given.fold[0])
    cv2.setNumThreads(0)
    given.runs.mkdir(parents=True, exist_ok=True)
    held = "".join(map(str, given.fold))
    places = found_places(given.locator, given.data, given.fold) if given.data else []
    plates = load_plates(given.data, given.fold) if given.data else []
    windows = Windows(places, plates, given.fold[0])
    start = load_weights(CornersNet(), given.start) if given.start else None
    net = train(windows, given.runs / f"fold{held}.pt", given.minutes, start)
    export(net, windows, given.out / f"{given.name}.tflite")
    print(f"wrote {given.out / given.name}.tflite")
    return 0


if __name__ == "__main__":
    sys.exit(main())
