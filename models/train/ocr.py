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
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from detector.corners import Corners
from detector.ocr import FEATURES
from detector.types import Detection
from train.evaluate import iou
from train.export import export_int8
from train.folds import VALIDATION, fold_of, two_lines
from train.ocr_augment import (
    MARGIN,
    Box,
    Floats,
    Grey,
    degrade,
    filtered,
    gaps_between,
    place,
    regrouped,
    surround,
)
from train.ocr_net import ALPHABET, BLANK, OcrNet, RegionHead, keras_twin
from train.scenes import Picture, decode
from train.synth import render
from train.weights import follow, load_weights, save_weights

BATCH = 48
STEP_PRETRAIN, STEP_FINETUNE = 2e-3, 1.2e-3
SET_WEIGHTS = {"us_states": 1.3, "eye_openimages_lp": 1.3, "eye_us_vanity_web": 1.0, "br_openalpr": 0.45}
"""How often a crop of each set is drawn against one of another: Brazil has many, and many of one plate. A
plate with n pictures is drawn as often as sqrt(n) plates with one."""
UNREADABLE_WEIGHT = 0.35
"""The same for plates that say nothing to be read: blotted out, in other letters."""
TWO_LINES_WEIGHT = 2.0
"""The same for plates of two lines, of which there are few."""
BY_LINES = 0.7
"""Share of the plates of two lines of which one line is cut out; the rest say nothing in one cut."""
FITS = 0.55
"""Corners whose upright box overlaps the label by less (IoU) are not taken for the plate's."""
NO_PLATE = 0.03
"""Share of the crops that show no plate at all, but what lies around one."""
REGROUPED = 0.45
"""Share of the real crops whose characters are put into another order."""
FILTERED = 0.45
"""Share of the real crops that are seen through a colour filter."""
REALIGN_STEPS = 600
CHECKPOINT_S = 150.0
READ_MARGIN = 0.1
"""What is taken around the corners in use: a little more than the middle of what training cuts, for corners
that lie on the plate itself; measured on the pooled folds."""
UNCALIBRATED = (0.0, 1.0, *[0.0] * (FEATURES - 2))
"""The network's own probability, until `train.calibrate` has measured how often it is right."""
MIN_CONFIDENCE = 0.5
"""The default least confidence: a text that is more likely wrong than right is not shown."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A labelled plate: a grey picture around it, its box there, its text, its set, the picture in colour.

    Of two lines, upper first, `lines` are what they say where that is known; `text` is then "", for that is
    what the whole plate says in one cut.
    """

    picture: Grey
    box: Box
    text: str
    set: str
    colour: Picture | None = None
    lines: tuple[str, ...] = ()


def straightened(crop: Crop, corners: Corners) -> Crop:
    """`crop` as it is read in use: the plate upright by its own corners, where the second look finds it.

    Crops without a photograph around them stay as they are, and plates whose corners do not fit the label.
    """
    x, y, w, h = crop.box
    if (x, y) == (0.0, 0.0):
        return crop
    place = Detection(crop.box, 1.0, ((x, y), (x + w, y), (x + w, y + h), (x, y + h)))
    seen = np.repeat(crop.picture[..., None], 3, axis=2) if crop.colour is None else crop.colour
    found = corners.refine(seen, [place], 0.5)
    if not found or iou(found[0].box, crop.box) < FITS:
        return crop
    quad = np.array(found[0].corners, np.float32)
    wide = (math.dist(quad[0], quad[1]) + math.dist(quad[3], quad[2])) / 2
    tall = (math.dist(quad[0], quad[3]) + math.dist(quad[1], quad[2])) / 2
    left, top = 0.6 * wide, 0.9 * tall
    target = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float32) + np.array(
        [left, top], np.float32
    )
    size = (int(wide + 2 * left) + 1, int(tall + 2 * top) + 1)
    warp = cv2.getPerspectiveTransform(quad, target.astype(np.float32))
    picture = cv2.warpPerspective(seen, warp, size, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
    return _coloured(picture, (left, top, wide, tall), crop.text, crop.set, crop.lines)


def load_crops(data: Path, texts: Path | None = None) -> list[tuple[Crop, int]]:
    """Every labelled crop of `data` with its fold; loose where the photograph it was cut from is there.

    A plate of two lines has the text "", and its lines where they are known.
    `texts` names further plates of the photographs of `data`, one JSON object a line: image, box, text (""
    for a plate on which nothing can be read in one line of Latin letters).
    """
    scenes = {s["image"]: s for s in map(json.loads, (data / "scenes.jsonl").read_text().splitlines())}
    found, double = [], two_lines()
    for record in map(json.loads, (data / "crops.jsonl").read_text().splitlines()):
        text = record["text"]
        if not text or set(text) - set(ALPHABET):
            continue
        plates = scenes.get(record.get("scene"), {"plates": []})["plates"]
        places = [place for place, plate in enumerate(plates) if plate["text"] == text]
        if len(places) == 1:
            picture, box = _around(decode(data / record["scene"]), plates[places[0]]["box"])
            lines: tuple[str, ...] = ()
            if (record["scene"], places[0]) in double:
                upper = double[record["scene"], places[0]]
                lines, text = () if upper is None else (text[:upper], text[upper:]), ""
        else:
            picture, lines = decode(data / record["image"]), ()
            box = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
        found.append((_coloured(picture, box, text, record["set"], lines), fold_of(record)))
    for record in map(json.loads, texts.read_text().splitlines()) if texts else ():
        picture, box = _around(decode(data / record["image"]), record["box"])
        scene = scenes[record["image"]]
        found.append((_coloured(picture, box, record["text"], f"more_{scene['set']}"), fold_of(scene)))
    return found


def _coloured(picture: Picture, box: Box, text: str, origin: str, lines: tuple[str, ...] = ()) -> Crop:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    return Crop(grey, box, text, origin, picture, lines)


def _around(picture: Picture, box: Box) -> tuple[Picture, Box]:
    x, y, w, h = box
    left, top = max(int(x - 0.6 * w), 0), max(int(y - 0.9 * h), 0)
    right, bottom = int(x + 1.6 * w) + 1, int(y + 1.9 * h) + 1
    return picture[top:bottom, left:right].copy(), (x - left, y - top, w, h)


class Samples:
    """Batches of crops and texts, six of ten of them real where there are real ones."""

    def __init__(self, crops: list[Crop], seed: int) -> None:
        self._crops = crops
        self._rng = np.random.default_rng(seed)
        often = {**Counter(crop.text for crop in crops), "": 1}
        weights = np.array([_weight(crop) / math.sqrt(often[crop.text]) for crop in crops])
        self._weights = weights / weights.sum() if crops else weights
        self._cuts: dict[int, NDArray[np.int64]] = {}

    def align(self, net: OcrNet) -> int:
        """Find where the characters of the real crops begin and end, by `net`; in how many it can."""
        self._cuts = {}
        rng = np.random.default_rng(0)
        # O and 0 are one glyph on many plates, told apart by their neighbours, which must stay theirs.
        numbers = [
            n for n, crop in enumerate(self._crops) if len(crop.text) > 2 and not set("O0") & set(crop.text)
        ]
        for start in range(0, len(numbers), 128):
            some = numbers[start : start + 128]
            pictures = [place(self._crops[n].picture, self._crops[n].box, 0.0, rng) for n in some]
            for number, chances in zip(some, probabilities(net, np.stack(pictures)), strict=True):
                crop = self._crops[number]
                columns = aligned(chances, crop.text)
                if columns is None:
                    continue
                centres = (columns + 0.5) / chances.shape[0] * (1 + 2 * MARGIN) - MARGIN
                cuts = gaps_between(crop.picture, crop.box, centres)
                if cuts is not None:
                    self._cuts[number] = cuts
        return len(self._cuts)

    def batch(self, size: int, hardness: float) -> tuple[Tensor, list[str]]:
        """`size` crops as float (size, 1, 64, 160) in -1..1, and their texts ("" where there is none)."""
        made, texts = [], []
        for number in range(size):
            picture, box, text = (
                self._real() if self._crops and number % 10 < 6 else self._synthetic(hardness)
            )
            made.append(degrade(place(picture, box, hardness, self._rng), hardness, self._rng))
            texts.append(text)
        return to_tensor(np.stack(made)), texts

    def _real(self) -> tuple[Grey, Box, str]:
        number = int(self._rng.choice(len(self._crops), p=self._weights))
        crop = self._crops[number]
        picture, text = crop.picture, crop.text
        if crop.colour is not None and self._rng.random() < FILTERED:
            picture = filtered(crop.colour, self._rng)
        if crop.lines and self._rng.random() < BY_LINES:
            return picture, *one_line(crop.box, crop.lines, self._rng)
        if crop.box[0] > 0 and self._rng.random() < NO_PLATE / 0.6:
            return picture, _beside(picture, crop.box, self._rng), ""
        if number in self._cuts and self._rng.random() < REGROUPED:
            picture, order = regrouped(picture, self._cuts[number], self._rng)
            text = "".join(text[place] for place in order)
        if crop.box[:2] == (0.0, 0.0) and self._rng.random() < 0.4:
            return *surround(picture, self._rng), text
        return picture, crop.box, text

    def _synthetic(self, hardness: float) -> tuple[Grey, Box, str]:
        plate = render(self._rng)
        picture, box = surround(plate.image, self._rng)
        # "" as a text would teach blanks before letters, so that easy ones are always cut by lines.
        if plate.two_lines and (hardness < 1.0 or self._rng.random() < BY_LINES):
            return picture, *one_line(box, plate.lines, self._rng)
        return picture, box, plate.text


def _weight(crop: Crop) -> float:
    if crop.lines:
        return TWO_LINES_WEIGHT
    return SET_WEIGHTS.get(crop.set, 1.0) if crop.text else UNREADABLE_WEIGHT


def one_line(box: Box, lines: Sequence[str], rng: np.random.Generator) -> tuple[Box, str]:
    """The upper or the lower half of the plate of two lines at `box`, with some of what lies around it as
    `detector.ocr` takes it, and what stands there."""
    x, y, w, h = box
    row = int(rng.integers(2))
    wider, taller = rng.uniform(0.0, 0.08) * w, rng.uniform(0.0, 0.1) * h / 2
    top = y + row * h / 2 + rng.normal(0, 0.02) * h
    return (x - wider, top - taller, w + 2 * wider, h / 2 + 2 * taller), lines[row]


def _beside(picture: Grey, box: Box, rng: np.random.Generator) -> Box:
    """A box of the plate's size above or below the plate, which holds at most a fifth of it."""
    x, y, w, h = box
    down = rng.uniform(0.8, 1.0) * (h if rng.random() < 0.5 else -h)
    return x + w * rng.uniform(-0.3, 0.3), y + down, w, h


def aligned(chances: Floats, text: str) -> Floats | None:
    """The columns, float (len(text),), at which `text` is likeliest written (the best CTC path of `chances`,
    (T, 37) probabilities); None where a character is less likely than one half at its column."""
    labels = [BLANK, *(c for char in text for c in (ALPHABET.index(char), BLANK))]
    scores = np.log(np.maximum(chances[:, labels], 1e-9))
    skips = [k > 1 and labels[k] != BLANK and labels[k] != labels[k - 2] for k in range(len(labels))]
    best = np.full(len(labels), -np.inf)
    best[:2] = scores[0, :2]
    came = np.zeros(scores.shape, int)
    for t in range(1, len(scores)):
        stay, step = best, np.concatenate([[-np.inf], best[:-1]])
        skip = np.where(skips, np.concatenate([[-np.inf, -np.inf], best[:-2]]), -np.inf)
        came[t] = np.argmax([stay, step, skip], axis=0)
        best = np.maximum(np.maximum(stay, step), skip) + scores[t]
    k = len(labels) - 1 if best[-1] > best[-2] else len(labels) - 2
    places: list[list[int]] = [[] for _ in labels]
    for t in range(len(scores) - 1, -1, -1):
        places[k].append(t)
        k -= int(came[t, k])
    columns = []
    for k in range(1, len(labels), 2):
        shares = chances[places[k], labels[k]]
        if not len(shares) or shares.max() < 0.5:
            return None
        columns.append(float(np.average(places[k], weights=shares)))
    return np.array(columns, np.float32)


def to_tensor(crops: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, 64, 160) as the network's input."""
    x = torch.from_numpy(crops)[:, None].to(memory_format=torch.channels_last)
    return x.float() / 127.5 - 1


def read_greedy(logits: Tensor) -> list[str]:
    """Texts of logits (n, 37, 1, T): the best class of each column, repeats and blanks taken out."""
    texts = []
    for row in logits[:, :, 0].argmax(1).tolist():
        kept = [k for k, before in zip(row, [BLANK, *row], strict=False) if k not in (before, BLANK)]
        texts.append("".join(ALPHABET[k] for k in kept))
    return texts


def probabilities(net: OcrNet, crops: NDArray[np.uint8]) -> Floats:
    """(n, T, 37) probabilities of the float network."""
    with torch.no_grad():
        shares = F.softmax(net(to_tensor(crops))[:, :, 0], dim=1).permute(0, 2, 1)
    return shares.numpy()


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
        if start is not None and (state.steps % REALIGN_STEPS == 0 or before == state.seconds):
            told_of = samples.align(averaged(state))
            print(f"{checkpoint.stem} step {state.steps}: characters placed in {told_of} crops", flush=True)
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
        follow(state.average, net.state_dict(), state.steps)
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


def averaged(state: State) -> OcrNet:
    net = OcrNet()
    net.load_state_dict(state.average)
    return net.eval()


def export(
    net: OcrNet,
    crops: list[Crop],
    path: Path,
    kept: Mapping[str, Any] | None = None,
    region: tuple[RegionHead, dict[str, Any]] | None = None,
) -> None:
    """Write `path` (.tflite), its sidecar and its float weights (.npz); ranges come from `crops`.

    `kept` replaces keys of the sidecar's table ocr; `region` is a second head with its table.
    """
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
        "outputs": ["chars", "region"] if region else ["chars"],
        "ocr": {
            "alphabet": ALPHABET,
            "margin": READ_MARGIN,
            "min_confidence": MIN_CONFIDENCE,
            "calibration": list(UNCALIBRATED),
            **(kept or {}),
        },
        **({"region": region[1]} if region else {}),
    }
    export_int8(keras_twin(net, region[0] if region else None), representative(), path, sidecar)
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
    parser.add_argument("--texts", type=Path, help="further texts read by eye, JSON lines: image, box, text")
    parser.add_argument(
        "--corners",
        type=Path,
        default=Path("models/corners.tflite"),
        help="the second look of the same fold, by whose corners crops are straightened",
    )
    parser.add_argument("--minutes", type=float, default=40, help="of the second stage (default: 40)")
    parser.add_argument(
        "--first-minutes",
        type=float,
        help="of the first stage (default: 20, or --minutes where that is less)",
    )
    parser.add_argument(
        "--start", type=Path, help="weights (.npz) to train on from, instead of the first stage"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/ocr"), help="folder for checkpoints")
    given = parser.parse_args(args)
    first_minutes = min(20.0, given.minutes) if given.first_minutes is None else given.first_minutes
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    cv2.setNumThreads(0)
    given.runs.mkdir(parents=True, exist_ok=True)
    held = "".join(map(str, given.fold))
    labelled = load_crops(given.data, given.texts) if given.data else []
    if labelled:
        corners = Corners(given.corners)
        labelled = [(straightened(crop, corners), fold) for crop, fold in labelled]
    seen = [crop for crop, fold in labelled if fold not in given.fold]
    held_out = [crop for crop, fold in labelled if fold in given.fold and crop.text]
    pretrained = given.start or given.runs / "pretrained.npz"
    if not given.start and not pretrained.exists():
        torch.manual_seed(0)
        net = train(Samples([], 0), given.runs / "pretrain.pt", first_minutes, None, held_out)
        save_weights(pretrained, net.state_dict())
    net = load_weights(OcrNet(), pretrained)
    if seen:
        torch.manual_seed(given.fold[0])
        net = train(Samples(seen, given.fold[0]), given.runs / f"fold{held}.pt", given.minutes, net, held_out)
    export(net, seen, given.out / f"{given.name}.tflite")
    print(f"wrote {given.out / given.name}.tflite; held out: {_told(exact_by_set(net, held_out))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
