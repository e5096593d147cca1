"""Trains the OCR's second head: which US state's design a plate has, or none of them.

    PYTHONPATH=.:models python -m train.region --data DIR --ocr models/ocr.npz --out models [--fold 0]

Owns the head's samples, its training and the temperature of its confidence. The trunk is the trained OCR's
and stays as it is. Designs are known from the crops of `us_states`; crops of other countries, and synthetic
plates, whose designs are of no state, teach what is none of them. At the end ocr.tflite and its sidecar are
written anew with both heads, and the head's float weights (region.npz) beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detector.sidecar import sidecar_path
from train.folds import VALIDATION, fold_of
from train.ocr import Crop, export, to_tensor
from train.ocr_augment import Grey, degrade, place, surround
from train.ocr_net import OcrNet, RegionHead
from train.synth import render
from train.weights import follow, load_weights, save_weights

BATCH = 64
STEP = 2e-3
STATES, FOREIGN = 0.6, 0.25
"""Shares of a batch: plates of known states and plates of other countries; the rest is synthetic."""
SMOOTHING = 0.05
MIN_CONFIDENCE = 0.9
"""The least probability of a region that is named: a wrong state misleads, none at all does not."""
WIDTHS = (160, 100, 70, 50)
"""Plate widths in pixels that held-out crops are reduced to before they are judged."""

Sample = tuple[Crop, int]
"""A crop and its class: the place of its state in the names, or their number for none of them."""


def load_samples(data: Path) -> tuple[tuple[str, ...], list[tuple[Sample, int]]]:
    """The states' names, and every crop whose state or country is known, with its fold."""
    records = [json.loads(line) for line in (data / "crops.jsonl").read_text().splitlines()]
    names = tuple(sorted({_name(record) for record in records if record.get("region")}))
    found = []
    for record in records:
        if record["country"] in ("us", "?") and not record.get("region"):
            continue
        picture = cv2.imread(str(data / record["image"]), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise SystemExit(f"train.region: {data / record['image']}: cannot read the picture")
        box = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
        crop = Crop(picture.astype(np.uint8), box, record["text"] or "", record["set"])
        label = names.index(_name(record)) if record.get("region") else len(names)
        found.append(((crop, label), fold_of(record)))
    return names, found


def _name(record: dict[str, str]) -> str:
    return record["region"].removeprefix("us-").upper()


class Samples:
    """Batches of plates and their classes."""

    def __init__(self, samples: list[Sample], regions: int, seed: int) -> None:
        self._states = [sample for sample in samples if sample[1] < regions]
        self._foreign = [sample for sample in samples if sample[1] == regions]
        self._regions = regions
        self._rng = np.random.default_rng(seed)
        often = Counter(label for _, label in self._states)
        weights = np.array([1 / math.sqrt(often[label]) for _, label in self._states])
        self._weights = weights / weights.sum()
        sets = Counter(crop.set for crop, _ in self._foreign)
        foreign = np.array([1 / sets[crop.set] for crop, _ in self._foreign])
        self._foreign_weights = foreign / foreign.sum()

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """`size` crops as `train.ocr.to_tensor` gives them, and their classes."""
        made, labels = [], []
        for _ in range(size):
            picture, label = self._one()
            box = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
            if self._rng.random() < 0.6:
                picture, box = surround(picture, self._rng)
            hardness = float(self._rng.random())
            made.append(degrade(place(picture, box, hardness, self._rng), hardness, self._rng))
            labels.append(label)
        return to_tensor(np.stack(made)), torch.tensor(labels)

    def _one(self) -> tuple[Grey, int]:
        share = self._rng.random()
        if share < STATES:
            crop, label = self._states[int(self._rng.choice(len(self._states), p=self._weights))]
            return crop.picture, label
        if share < STATES + FOREIGN:
            number = int(self._rng.choice(len(self._foreign), p=self._foreign_weights))
            return self._foreign[number][0].picture, self._regions
        return render(self._rng).image, self._regions


def train(net: OcrNet, regions: int, samples: Samples, checkpoint: Path, minutes: float) -> RegionHead:
    """Train the head on `net`'s trunk, or on from `checkpoint`, for `minutes` in all; the averaged head."""
    head = RegionHead(regions)
    optimiser = torch.optim.AdamW(head.parameters(), STEP, weight_decay=2e-2)
    average = {key: value.clone() for key, value in head.state_dict().items()}
    steps, seconds = 0, 0.0
    if checkpoint.exists():
        kept = torch.load(checkpoint)
        head.load_state_dict(kept["head"])
        optimiser.load_state_dict(kept["optimiser"])
        average, steps, seconds = kept["average"], kept["steps"], kept["seconds"]
    before, began, told = seconds, time.monotonic(), seconds
    losses: list[float] = []
    while seconds < 60 * minutes:
        for group in optimiser.param_groups:
            group["lr"] = STEP * max(0.02, 0.5 + 0.5 * math.cos(math.pi * seconds / (60 * minutes)))
        x, labels = samples.batch(BATCH)
        with torch.no_grad():
            seen = net.trunk(x)
        head.train()
        loss = F.cross_entropy(head(seen).flatten(1), labels, label_smoothing=SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
        follow(average, head.state_dict(), steps, 0.995)
        losses.append(loss.item())
        seconds = before + time.monotonic() - began
        if seconds - told > 60 or seconds >= 60 * minutes:
            told = seconds
            print(f"region step {steps} {seconds:.0f} s loss {np.mean(losses):.3f}", flush=True)
            losses = []
            part = checkpoint.with_suffix(".part")
            state = {"head": head.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
            torch.save({**state, "steps": steps, "seconds": seconds}, part)
            part.replace(checkpoint)
    done = RegionHead(regions)
    done.load_state_dict(average)
    return done.eval()


def logits_of(net: OcrNet, head: RegionHead, samples: list[Sample], width: int) -> Tensor:
    """Logits (n, regions + 1) of the crops, each reduced to `width` pixels first."""
    rng, made = np.random.default_rng(0), []
    for crop, _ in samples:
        h, w = crop.picture.shape
        size = (width, max(8, round(h * width / w)))
        picture = cv2.resize(crop.picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        made.append(place(picture, (0.0, 0.0, float(size[0]), float(size[1])), 0.0, rng))
    with torch.no_grad():
        return head(net.trunk(to_tensor(np.stack(made)))).flatten(1)


def temperature(logits: Tensor, labels: Tensor) -> float:
    """What the logits are divided by for the least cross entropy (Guo et al., ICML 2017)."""
    tried = [round(0.3 + 0.05 * n, 2) for n in range(55)]
    return min(tried, key=lambda t: float(F.cross_entropy(logits / t, labels)))


def told(logits: Tensor, labels: Tensor, scale: float, regions: int) -> str:
    """How many of the states' crops are right, named, named rightly; how many others are named."""
    best, name = F.softmax(logits / scale, dim=1).max(1)
    known, shown = labels < regions, (best >= MIN_CONFIDENCE) & (name < regions)
    right = name == labels
    return (
        f"states {int((right & known).sum())} of {int(known.sum())} right,"
        f" {int((shown & known).sum())} named,"
        f" {int((shown & known & right).sum())} of them right;"
        f" others {int((shown & ~known).sum())} of {int((~known).sum())} named"
    )


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.region", description="Train the head for regions.")
    parser.add_argument("--data", type=Path, required=True, help="folder with crops.jsonl")
    parser.add_argument("--ocr", type=Path, default=Path("models/ocr.npz"), help="the OCR of the same fold")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder of ocr.tflite, written anew")
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[VALIDATION], help="folds held out (default: 0)"
    )
    parser.add_argument("--minutes", type=float, default=12, help="default: 12")
    parser.add_argument("--runs", type=Path, default=Path("runs/region"), help="folder for checkpoints")
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(given.fold[0])
    cv2.setNumThreads(0)
    given.runs.mkdir(parents=True, exist_ok=True)
    held = "".join(map(str, given.fold))
    names, samples = load_samples(given.data)
    seen = [sample for sample, fold in samples if fold not in given.fold]
    unseen = [sample for sample, fold in samples if fold in given.fold]
    net = load_weights(OcrNet(), given.ocr)
    head = train(
        net,
        len(names),
        Samples(seen, len(names), given.fold[0]),
        given.runs / f"fold{held}.pt",
        given.minutes,
    )
    labels = torch.tensor([label for _, label in unseen])
    judged = {width: logits_of(net, head, unseen, width) for width in WIDTHS}
    scale = temperature(torch.cat(list(judged.values())), labels.repeat(len(judged)))
    for width, logits in judged.items():
        print(f"held out, {width} px wide: {told(logits, labels, scale, len(names))}")
    path = given.out / "ocr.tflite"
    before = tomllib.loads(sidecar_path(path).read_text())["ocr"] if sidecar_path(path).exists() else {}
    region = {"names": list(names), "temperature": scale, "min_confidence": MIN_CONFIDENCE}
    export(net, [crop for crop, _ in seen], path, before, (head, region))
    save_weights(given.out / "region.npz", head.state_dict())
    print(f"wrote {path} with both heads, temperature {scale}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
