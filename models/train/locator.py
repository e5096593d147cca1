"""Trains the plate locator on photographs with boxed plates, or on synthetic ones without --data.

    PYTHONPATH=.:models python -m train.locator --data DIR --out models [--fold 0] [--minutes 25]

Owns the course of the training. Photographs of the fold held out are never seen (`train.folds`). Checkpoints
go into --runs and are gone on from. At the end the int8 model, its sidecar and its float weights are written.

The loss follows VarifocalNet (Zhang et al., CVPR 2021): the score of a plate's cell is taught to be the
overlap that its box has, so that the best score belongs to the best box; boxes learn by generalised IoU.
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
from torch import Tensor

from train.export import export_int8
from train.folds import VALIDATION
from train.locator_net import LocatorNet, keras_twin
from train.scenes import (
    CELLS,
    STRIDE,
    Cut,
    Cutter,
    Picture,
    Scene,
    decoded,
    invented,
    letterbox,
    load_plates,
    load_scenes,
)
from train.weights import follow, load_weights, save_weights

HEIGHT, WIDTH = 384, 640
"""The deployed input: a 1280 x 720 frame at half its size, and a stripe."""
BATCH = 10
STEP, STEP_AGAIN = 2.5e-3, 1e-3
"""The largest step from nothing, and from weights that are trained."""
WARM_UP = 300
"""Steps until the full step is taken: the score is taught the box's overlap, and no box is good at first."""
CHECKPOINT_S = 120.0
LARGEST_LOG = 5.0
THRESHOLD = 0.35
NMS_IOU = 0.4
BOX_ENDS = (-4.0, 5.0)
"""Between what ends the four values of a box lie in the int8 file, in cells and logarithms of cells. A size
ends at LARGEST_LOG; a cell can lie farther than that from the middle of a very large plate, whose nearer
cells then find it.
"""


def decode(raw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, top, right, bottom in pixels, each (n, 40, 40), of the box output (n, 4, 40, 40)."""
    line = torch.arange(CELLS) * float(STRIDE) + STRIDE / 2
    cx = line[None, None, :] + raw[:, 0] * STRIDE
    cy = line[None, :, None] + raw[:, 1] * STRIDE
    half_w = raw[:, 2].clamp(max=LARGEST_LOG).exp() * (STRIDE / 2)
    half_h = raw[:, 3].clamp(max=LARGEST_LOG).exp() * (STRIDE / 2)
    return cx - half_w, cy - half_h, cx + half_w, cy + half_h


def loss_of(heat: Tensor, raw: Tensor, cuts: list[Cut], least: float) -> tuple[Tensor, float]:
    """The loss of a batch, and the share of plates' cells whose box overlaps by more than half.

    `least` (0..1) is the overlap that a plate's score is taught at the least: early on no box is good, and
    scores are held up until some are.
    """
    wanted = torch.from_numpy(np.stack([cut.box for cut in cuts]))
    positive = torch.from_numpy(np.stack([cut.positive for cut in cuts]))
    ignored = torch.from_numpy(np.stack([cut.ignored for cut in cuts]))
    left, top, right, bottom = decode(raw)
    w_left, w_top, w_right, w_bottom = wanted.unbind(1)
    common_w = (torch.min(right, w_right) - torch.max(left, w_left)).clamp(min=0)
    common_h = (torch.min(bottom, w_bottom) - torch.max(top, w_top)).clamp(min=0)
    common = common_w * common_h
    union = (right - left) * (bottom - top) + (w_right - w_left) * (w_bottom - w_top) - common
    hull_w = torch.max(right, w_right) - torch.min(left, w_left)
    hull = (hull_w * (torch.max(bottom, w_bottom) - torch.min(top, w_top))).clamp(min=1e-6)
    iou = common / union.clamp(min=1e-6)
    quality = iou.detach().clamp(min=least) * positive
    score = torch.sigmoid(heat).detach()
    weight = torch.where(positive > 0, quality, score**2) * (1 - ignored * (1 - positive))
    scores = F.binary_cross_entropy_with_logits(heat, quality, reduction="none") * weight
    boxes = (1 - iou + (hull - union) / hull) * quality / quality.sum().clamp(min=1e-3)
    good = float(((iou > 0.5) * positive).sum() / positive.sum().clamp(min=1))
    return scores.sum() / positive.sum().clamp(min=1) + 2 * boxes.sum(), good


def train(cutter: Cutter, checkpoint: Path, minutes: float, start: LocatorNet | None = None) -> LocatorNet:
    """Train from nothing, `start` or `checkpoint`, for `minutes` in all; the averaged network."""
    net = (start or LocatorNet()).to(memory_format=torch.channels_last)
    first, hold = (STEP, 0.15) if start is None else (STEP_AGAIN, 0.0)
    optimiser = torch.optim.AdamW(net.parameters(), first, weight_decay=1e-3)
    average = {key: value.clone() for key, value in net.state_dict().items()}
    steps, seconds = 0, 0.0
    if checkpoint.exists():
        kept = torch.load(checkpoint)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["opt"])
        average, steps, seconds = kept["ema"], kept["step"], kept["el"]
    before, began, saved, told = seconds, time.monotonic(), seconds, seconds
    losses: list[float] = []
    goods: list[float] = []
    while seconds < 60 * minutes:
        progress = seconds / (60 * minutes)
        for group in optimiser.param_groups:
            group["lr"] = (
                first * min(1.0, (steps + 1) / WARM_UP) * max(0.01, 0.5 + 0.5 * math.cos(math.pi * progress))
            )
        cuts = [cutter.cut() for _ in range(BATCH)]
        x = torch.from_numpy(np.stack([cut.picture for cut in cuts])).permute(0, 3, 1, 2)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            heat, raw = net(x.to(memory_format=torch.channels_last).float().div(255))
        loss, good = loss_of(heat.float()[:, 0], raw.float(), cuts, 0.4 if progress < hold else 0.1)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        steps += 1
        follow(average, net.state_dict(), steps)
        losses.append(loss.item())
        goods.append(good)
        seconds = before + time.monotonic() - began
        if steps % 100 == 0:
            speed = 100 * BATCH / max(seconds - told, 1e-6)
            told = seconds
            print(
                f"{checkpoint.stem} step {steps} {seconds:.0f} s loss {np.mean(losses):.3f}"
                f" overlap over half {np.mean(goods):.2f} pictures/s {speed:.0f}",
                flush=True,
            )
            losses, goods = [], []
        if seconds - saved > CHECKPOINT_S or seconds >= 60 * minutes:
            saved = seconds
            part = checkpoint.with_suffix(".part")
            state = {"net": net.state_dict(), "opt": optimiser.state_dict(), "ema": average}
            torch.save({**state, "step": steps, "el": seconds}, part)
            part.replace(checkpoint)
    done = LocatorNet()
    done.load_state_dict(average)
    return done.eval()


def export(net: LocatorNet, scenes: list[Scene], path: Path) -> None:
    """Write `path` (.tflite), its sidecar and its float weights (.npz); ranges come from `scenes`."""
    rng = np.random.default_rng(1)

    def representative() -> Iterator[Picture]:
        for number in rng.permutation(len(scenes))[:200] if scenes else range(200):
            picture = decoded(scenes[number]) if scenes else invented(rng)[0]
            yield letterbox(picture, (HEIGHT, WIDTH))

    sidecar = {
        "kind": "locator",
        "version": date.today().strftime("%Y.%m.%d"),
        "input": {"height": HEIGHT, "width": WIDTH, "channels": 3, "mean": 0.0, "scale": 1 / 255},
        "outputs": ["heat", "box"],
        "locator": {"stride": STRIDE, "threshold": THRESHOLD, "nms_iou": NMS_IOU},
    }
    export_int8(keras_twin(net, HEIGHT, WIDTH), representative(), path, sidecar, {"box": BOX_ENDS})
    save_weights(path.with_suffix(".npz"), net.state_dict())


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.locator", description="Train the plate locator.")
    parser.add_argument("--data", type=Path, help="folder with scenes.jsonl")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder for the three files")
    parser.add_argument("--name", default="locator", help="name of the files (default: locator)")
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[VALIDATION], help="folds held out (default: 0)"
    )
    parser.add_argument("--minutes", type=float, default=25, help="default: 25")
    parser.add_argument("--start", type=Path, help="weights (.npz) to train on from (default: from nothing)")
    parser.add_argument("--runs", type=Path, default=Path("runs/locator"), help="folder for checkpoints")
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(given.fold[0])
    cv2.setNumThreads(0)
    given.runs.mkdir(parents=True, exist_ok=True)
    held = "".join(map(str, given.fold))
    scenes = [s for s in load_scenes(given.data) if s.fold not in given.fold] if given.data else []
    plates = load_plates(given.data, given.fold) if given.data else []
    start = load_weights(LocatorNet(), given.start) if given.start else None
    net = train(Cutter(scenes, given.fold[0], plates), given.runs / f"fold{held}.pt", given.minutes, start)
    export(net, scenes, given.out / f"{given.name}.tflite")
    print(f"wrote {given.out / given.name}.tflite")
    return 0


if __name__ == "__main__":
    sys.exit(main())
