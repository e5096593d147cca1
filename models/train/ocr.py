"""Trains the OCR: on synthetic plates, then on them and on labelled crops of photographs.

    PYTHONPATH=.:models python -m train.ocr --data DIR --out models [--fold 0] [--minutes 20]

Owns the course of the training. Stage one sees synthetic plates alone and is shared by all folds; stage two
mixes in the crops whose photographs are not in the fold held out (`train.folds`); without --data there is
no stage two. Both write checkpoints into --runs and go on from them. At the end the int8 model, its sidecar
and its float weights are written to --out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detector import ctc
from detector.ocr import calibrated, features
from train.export import export_int8
from train.folds import VALIDATION, fold_of
from train.ocr_augment import Box, Grey, degrade, place, surround
from train.ocr_net import ALPHABET, BLANK, OcrNet, keras_twin
from train.synth import render
from train.weights import load_weights, save_weights

BATCH = 48
STEP_PRETRAIN, STEP_FINETUNE = 2e-3, 1.2e-3
SET_WEIGHTS = {"us_states": 1.3, "eye_openimages_lp": 1.3, "eye_us_vanity_web": 1.0, "br_openalpr": 0.45}
"""How often a crop of each set is drawn against one of another: Brazil has many, and many of one plate."""
CHECKPOINT_S = 150.0
READ_MARGIN = 0.05
"""What is taken around a Detection in use: the best of 0.02 to 0.11 with a locator's own boxes on folds 1
and 2, which run a little larger than the labelled boxes that training cuts."""
MIN_CONFIDENCE = 0.5
"""The default least confidence: a text that is more likely wrong than right is not shown."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A labelled plate: a grey picture around it, its box there, its text, its set."""

    picture: Grey
    box: Box
    text: str
    set: str


def load_crops(data: Path) -> list[tuple[Crop, int]]:
    """Every labelled crop of `data` with its fold; loose where the photograph it was cut from is there."""
    scenes = {s["image"]: s for s in map(json.loads, (data / "scenes.jsonl").read_text().splitlines())}
    found = []
    for record in map(json.loads, (data / "crops.jsonl").read_text().splitlines()):
        text = record["text"]
        if not text or set(text) - set(ALPHABET):
            continue
        boxes = [
            p["box"] for p in scenes.get(record.get("scene"), {"plates": []})["plates"] if p["text"] == text
        ]
        if len(boxes) == 1:
            picture, box = _around(_grey(data / record["scene"]), boxes[0])
        else:
            picture = _grey(data / record["image"])
            box = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
        found.append((Crop(picture, box, text, record["set"]), fold_of(record)))
    return found


def _grey(path: Path) -> Grey:
    picture: Grey | None = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise SystemExit(f"train.ocr: {path}: cannot read the picture")
    return picture


def _around(picture: Grey, box: Box) -> tuple[Grey, Box]:
    x, y, w, h = box
    left, top = max(int(x - 0.6 * w), 0), max(int(y - 0.9 * h), 0)
    right, bottom = int(x + 1.6 * w) + 1, int(y + 1.9 * h) + 1
    return picture[top:bottom, left:right].copy(), (x - left, y - top, w, h)


class Samples:
    """Batches of crops and texts, half of them real where there are real ones."""

    def __init__(self, crops: list[Crop], seed: int) -> None:
        self._crops = crops
        self._rng = np.random.default_rng(seed)
        weights = np.array([SET_WEIGHTS.get(crop.set, 1.0) for crop in crops])
        self._weights = weights / weights.sum() if crops else weights

    def batch(self, size: int, hardness: float) -> tuple[Tensor, list[str]]:
        """`size` crops as float (size, 1, 64, 160) in -1..1, and their texts ("" for two lines)."""
        made, texts = [], []
        for number in range(size):
            picture, box, text = (
                self._real() if self._crops and number % 2 == 0 else self._synthetic(hardness)
            )
            made.append(degrade(place(picture, box, hardness, self._rng), hardness, self._rng))
            texts.append(text)
        return to_tensor(np.stack(made)), texts

    def _real(self) -> tuple[Grey, Box, str]:
        crop = self._crops[self._rng.choice(len(self._crops), p=self._weights)]
        if crop.box[:2] == (0.0, 0.0) and self._rng.random() < 0.4:
            return *surround(crop.picture, self._rng), crop.text
        return crop.picture, crop.box, crop.text

    def _synthetic(self, hardness: float) -> tuple[Grey, Box, str]:
        plate = render(self._rng)
        while plate.two_lines and hardness < 1.0:  # "" as a text would teach blanks before letters
            plate = render(self._rng)
        return *surround(plate.image, self._rng), plate.text


def to_tensor(crops: NDArrayU8) -> Tensor:
    """uint8 (n, 64, 160) as the network's input."""
    x = torch.from_numpy(crops)[:, None].to(memory_format=torch.channels_last)
    return x.float() / 127.5 - 1


NDArrayU8 = np.ndarray[Any, np.dtype[np.uint8]]


def read_greedy(logits: Tensor) -> list[str]:
    """Texts of logits (n, 37, 1, T): the best class of each column, repeats and blanks taken out."""
    texts = []
    for row in logits[:, :, 0].argmax(1).tolist():
        kept = [k for k, before in zip(row, [BLANK, *row], strict=False) if k not in (before, BLANK)]
        texts.append("".join(ALPHABET[k] for k in kept))
    return texts


def probabilities(net: OcrNet, crops: NDArrayU8) -> NDArrayF32:
    """(n, T, 37) probabilities of the float network."""
    with torch.no_grad():
        shares = F.softmax(net(to_tensor(crops))[:, :, 0], dim=1).permute(0, 2, 1)
    return shares.numpy()


NDArrayF32 = np.ndarray[Any, np.dtype[np.float32]]


def exact_by_set(net: OcrNet, crops: list[Crop]) -> dict[str, tuple[int, int]]:
    """How many of each set's crops are read exactly, and of how many, from the labelled boxes."""
    counts: dict[str, list[bool]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for start in range(0, len(crops), 128):
        some = crops[start : start + 128]
        pictures = np.stack([place(crop.picture, crop.box, 0.0, rng) for crop in some])
        with torch.no_grad():
            texts = read_greedy(net(to_tensor(pictures)))
        for crop, text in zip(some, texts, strict=True):
            counts[crop.set].append(text == crop.text)
    return {name: (sum(right), len(right)) for name, right in sorted(counts.items())}


@dataclass(slots=True)
class State:
    """What a checkpoint holds: network, optimiser, moving average, steps and seconds so far, hardness."""

    net: OcrNet
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    steps: int = 0
    seconds: float = 0.0
    hardness: float = 0.05

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        torch.save(
            {
                "net": self.net.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average,
                "rest": (self.steps, self.seconds, self.hardness),
            },
            part,
        )
        part.replace(path)

    def load(self, path: Path) -> None:
        kept = torch.load(path)
        self.net.load_state_dict(kept["net"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.average = kept["average"]
        self.steps, self.seconds, self.hardness = kept["rest"]


def train(
    samples: Samples, checkpoint: Path, minutes: float, start: OcrNet | None, held_out: list[Crop]
) -> OcrNet:
    """One stage of the training, from `start` or from nothing, or on from `checkpoint`.

    A stage from nothing begins with easy pictures and hardens them as it learns to read; one from a trained
    network takes the hardest from the first step and lets its steps shrink to nothing.
    """
    net = (start or OcrNet()).to(memory_format=torch.channels_last)
    first = STEP_PRETRAIN if start is None else STEP_FINETUNE
    optimiser = torch.optim.AdamW(net.parameters(), first, weight_decay=1e-3)
    state = State(net, optimiser, {k: v.clone() for k, v in net.state_dict().items()})
    if start is not None:
        state.hardness = 1.0
    if checkpoint.exists():
        state.load(checkpoint)
    before, began, saved, told = state.seconds, time.monotonic(), state.seconds, 0.0
    losses: list[float] = []
    right: list[bool] = []
    while state.seconds < 60 * minutes:
        share = state.seconds / (60 * minutes)
        fall = min(1.0, (1 - share) / 0.4 + 0.3) if start is None else 0.5 + 0.5 * math.cos(math.pi * share)
        for group in optimiser.param_groups:
            group["lr"] = first * min(1.0, (state.steps + 1) / 100) * max(fall, 0.02)
        x, texts = samples.batch(BATCH, state.hardness)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(x)
        loss = ctc_loss(logits.float(), texts)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 3.0)
        optimiser.step()
        state.steps += 1
        _average(state)
        losses.append(loss.item())
        right += [a == b for a, b in zip(read_greedy(logits.detach()), texts, strict=True)]
        state.seconds = before + time.monotonic() - began
        if state.steps % 50 == 0:
            speed = len(right) / max(state.seconds - told, 1e-6)
            told = state.seconds
            print(
                f"{checkpoint.stem} step {state.steps} {state.seconds:.0f} s loss {np.mean(losses):.3f}"
                f" right {np.mean(right):.2f} hardness {state.hardness:.2f} crops/s {speed:.0f}",
                flush=True,
            )
            if start is None and np.mean(right) > 0.25:
                state.hardness = min(1.0, state.hardness + 0.06)
            losses, right = [], []
        if state.seconds - saved > CHECKPOINT_S or state.seconds >= 60 * minutes:
            saved = state.seconds
            state.save(checkpoint)
            print(f"{checkpoint.stem} held out: {_told(exact_by_set(averaged(state), held_out))}", flush=True)
    return averaged(state)


def ctc_loss(logits: Tensor, texts: list[str]) -> Tensor:
    """The CTC loss of logits (n, 37, 1, T), averaged over characters and crops."""
    scores = F.log_softmax(logits[:, :, 0].permute(2, 0, 1), dim=2)
    targets = torch.tensor([ALPHABET.index(char) for text in texts for char in text])
    lengths = torch.tensor([len(text) for text in texts])
    columns = torch.full((len(texts),), scores.shape[0])
    return F.ctc_loss(scores, targets, columns, lengths, blank=BLANK, zero_infinity=True)


def _average(state: State) -> None:
    """An exponential moving average of the weights reads better than the last step's."""
    keep = min(0.998, (1 + state.steps) / (10 + state.steps))
    with torch.no_grad():
        for key, value in state.net.state_dict().items():
            if value.dtype.is_floating_point:
                state.average[key].mul_(keep).add_(value, alpha=1 - keep)
            else:
                state.average[key] = value.clone()


def averaged(state: State) -> OcrNet:
    net = OcrNet()
    net.load_state_dict(state.average)
    return net.eval()


def calibrate(net: OcrNet, crops: list[Crop], seed: int = 0) -> tuple[float, ...]:
    """Weights of `detector.ocr.features` by logistic regression on held-out crops, as a locator might cut
    them; the unit's fit is measured in the model card."""
    rng = np.random.default_rng(seed)
    rows, right = [], []
    for crop in crops:
        picture = place(crop.picture, crop.box, 0.6, rng)
        found = ctc.decode(probabilities(net, picture[None])[0], ALPHABET)
        rows.append(features(found, ctc.char_confidence(found)))
        right.append(found[0][0] == crop.text)
    x, y = np.array(rows), np.array(right, np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(50):  # Newton's method, with a little ridge for features that never vary
        p = np.array([calibrated(tuple(weights), tuple(row)) for row in x])
        gradient = x.T @ (p - y) + 0.1 * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + 0.1 * np.eye(x.shape[1])
        weights -= np.linalg.solve(curve, gradient)
    return tuple(round(float(w), 4) for w in weights)


def export(net: OcrNet, crops: list[Crop], calibration: tuple[float, ...], path: Path) -> None:
    """Write `path` (.tflite), its sidecar and its float weights (.npz); ranges come from `crops`."""
    rng = np.random.default_rng(1)

    def representative() -> Iterator[Grey]:
        for number in rng.permutation(len(crops))[:400] if crops else range(400):
            if crops:
                picture, box = crops[number].picture, crops[number].box
            else:
                picture, box = surround(render(rng).image, rng)
            yield degrade(place(picture, box, 1.0, rng), 1.0, rng)

    sidecar = {
        "kind": "ocr",
        "version": date.today().strftime("%Y.%m.%d"),
        "input": {"height": 64, "width": 160, "channels": 1, "mean": 127.5, "scale": 1 / 127.5},
        "outputs": ["chars"],
        "ocr": {
            "alphabet": ALPHABET,
            "margin": READ_MARGIN,
            "min_confidence": MIN_CONFIDENCE,
            "calibration": list(calibration),
        },
    }
    export_int8(keras_twin(net), representative(), path, sidecar)
    save_weights(path.with_suffix(".npz"), net.state_dict())


def _told(counts: dict[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} {right}/{of}" for name, (right, of) in counts.items()) or "nothing"


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="train.ocr", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with crops.jsonl and scenes.jsonl")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder for ocr.tflite, .toml, .npz")
    parser.add_argument("--name", default="ocr", help="name of the files (default: ocr)")
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[VALIDATION], help="folds held out (default: 0)"
    )
    parser.add_argument("--minutes", type=float, default=20, help="of each stage (default: 20)")
    parser.add_argument("--runs", type=Path, default=Path("runs/ocr"), help="folder for checkpoints")
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    cv2.setNumThreads(0)
    given.runs.mkdir(parents=True, exist_ok=True)
    held = "".join(map(str, given.fold))
    labelled = load_crops(given.data) if given.data else []
    seen = [crop for crop, fold in labelled if fold not in given.fold]
    held_out = [crop for crop, fold in labelled if fold in given.fold]
    pretrained = given.runs / "pretrained.npz"
    if not pretrained.exists():
        torch.manual_seed(0)
        net = train(Samples([], 0), given.runs / "pretrain.pt", given.minutes, None, held_out)
        save_weights(pretrained, net.state_dict())
    net = load_weights(OcrNet(), pretrained)
    if seen:
        torch.manual_seed(given.fold[0])
        net = train(Samples(seen, given.fold[0]), given.runs / f"fold{held}.pt", given.minutes, net, held_out)
    calibration = calibrate(net, held_out) if held_out else (0.0, 1.0, 0.0, 0.0)
    export(net, seen, calibration, given.out / f"{given.name}.tflite")
    print(f"wrote {given.out / given.name}.tflite; held out: {_told(exact_by_set(net, held_out))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
