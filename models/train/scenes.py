"""Photographs with boxed plates as training samples of the locator: square cuts with targets.

Owns reading scenes.jsonl, the cutting and the augmentation of pictures with their boxes, and the targets of
a cut. The network is `train.locator_net`'s, the course of training `train.locator`'s. Without photographs
it cuts synthetic plates set into invented pictures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from train.drawn import box_of, from_top_left, load_drawn
from train.folds import fold_of
from train.synth import render

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE = 320
"""Side of a cut in pixels: small ones train faster, and a fully convolutional network does not mind; but the
largest plate that it learns to box is one that a cut holds."""
STRIDE = 8
CELLS = SIDE // STRIDE
TIGHT_SETS = ("us_states", "br_openalpr")
SET_WEIGHTS = {"ro_lucian": 0.4}
"""How often a picture of a set is drawn against one of another; frames of one ride resemble each other."""
REPLATED = 0.35
"""Share of the cuts in whose photograph most plates are covered by labelled crops or synthetic plates."""
NIGHT = 0.14
"""Share of the pictures that are made into night ones."""
LEAN = 9.0
"""Standard deviation, in degrees, by which pictures are turned of whose plates all corners are known."""
SMALLEST = 10.0
"""A plate narrower than this, or cut off by more than a quarter, is neither right nor wrong to find."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One photograph: its file, its fold, its plates' boxes (n, 4) as x, y, w, h, and its set.

    `quads` are the plates' corners (4, 2), from the top left one clockwise, by the number of the plate, where
    somebody drew them; such a plate's box is the one around them.
    """

    file: Path
    fold: int
    boxes: Floats
    set: str
    quads: Mapping[int, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """One training sample.

    Attributes:
        picture: uint8 (320, 320, 3), RGB.
        box: (4, 40, 40), left, top, right and bottom in pixels of the plate that a cell belongs to.
        positive: (40, 40), 1 in the middle of plates.
        ignored: (40, 40), 1 where neither finding nor missing counts.
    """

    picture: Picture
    box: Floats
    positive: Floats
    ignored: Floats


def load_scenes(data: Path) -> list[Scene]:
    """The photographs of DIR/scenes.jsonl, with the corners that were drawn (`train.drawn`).

    Labels on which nobody could make out a plate are left out, plates that only the drawer saw are added.
    """
    found, drawn = [], load_drawn()
    for line in (data / "scenes.jsonl").read_text().splitlines():
        record = json.loads(line)
        by_hand = drawn.get(record["image"], {})
        boxes: list[tuple[float, ...]] = []
        quads: dict[int, Floats] = {}
        for place, plate in enumerate(record["plates"]):
            quad = by_hand.get(str(place))
            if str(place) in by_hand and quad is None:
                continue
            if quad is None and plate.get("quad"):
                given = np.array(plate["quad"], np.float32)
                quad = given if from_top_left(given) else None
            if quad is not None:
                quads[len(boxes)] = quad
            boxes.append(tuple(plate["box"]) if quad is None else box_of(quad))
        for place, quad in by_hand.items():
            if place.startswith("+") and quad is not None:
                quads[len(boxes)] = quad
                boxes.append(box_of(quad))
        upright = np.array(boxes, np.float32).reshape(-1, 4)
        found.append(Scene(data / record["image"], fold_of(record), upright, record["set"], quads))
    return found


def load_plates(data: Path, held_out: list[int]) -> list[Picture]:
    """Labelled crops of `data` that show a plate from edge to edge, without the folds held out."""
    found = []
    for record in map(json.loads, (data / "crops.jsonl").read_text().splitlines()):
        if record["set"] in TIGHT_SETS and fold_of(record) not in held_out:
            found.append(decode(data / record["image"]))
    return found


class Cutter:
    """An endless stream of augmented cuts. Keeps decoded photographs in memory (about 1 MB each)."""

    def __init__(self, scenes: list[Scene], seed: int, plates: list[Picture] | None = None) -> None:
        self._scenes = scenes
        self._plates = plates or []
        self._rng = np.random.default_rng(seed)
        weights = np.array([SET_WEIGHTS.get(s.set, 1.0) * (1.0 if len(s.boxes) else 0.5) for s in scenes])
        self._weights = weights / weights.sum() if scenes else weights
        self._decoded: dict[int, Picture] = {}

    def cut(self) -> Cut:
        """The next sample."""
        if not self._scenes:
            picture, boxes, squashed = *invented(self._rng), False
            quads: Mapping[int, Floats] = {}
        else:
            number = int(self._rng.choice(len(self._scenes), p=self._weights))
            scene = self._scenes[number]
            if number not in self._decoded:
                self._decoded[number] = decode(scene.file)
            picture, boxes, quads = self._decoded[number], scene.boxes, scene.quads
            # These came squashed to a square; the factor back is not known.
            squashed = scene.set == "us_vanity_web" and abs(picture.shape[1] / picture.shape[0] - 1) < 0.05
        if self._scenes and self._rng.random() < REPLATED:
            picture, boxes, quads = self._replated(picture, boxes, quads)
        moved, placed = _place(picture, boxes, quads, squashed, self._rng)
        box, positive, ignored = targets(placed)
        return Cut(light(moved, self._rng), box, positive, ignored)

    def _replated(
        self, picture: Picture, boxes: Floats, quads: Mapping[int, Floats]
    ) -> tuple[Picture, Floats, Mapping[int, Floats]]:
        """`picture` with others over most of its plates, lit and leaning as they might; boxes and corners."""
        rng = self._rng
        picture, moved, corners = picture.copy(), boxes.copy(), dict(quads)
        for number, (x, y, w, h) in enumerate(boxes):
            if w < 14 or h < 5 or rng.random() < 0.25:
                continue
            if self._plates and rng.random() < 0.6:
                plate = self._plates[int(rng.integers(len(self._plates)))]
            else:
                grey = render(rng).image
                tint = rng.uniform(0.75, 1.0, 3) if rng.random() < 0.4 else np.ones(3)
                plate = (grey[:, :, None] * tint).astype(np.uint8)
            quad = paste(picture, plate, (x, y, w, h), rng)
            low, high = quad.min(axis=0), quad.max(axis=0)
            moved[number], corners[number] = (*low, *(high - low)), quad
        return picture, moved, corners


def framed(plate: Picture, rng: np.random.Generator) -> tuple[Picture, tuple[float, float]]:
    """`plate` in a dealer's frame, and the share of the picture's width and height that is plate.

    The frame hides a little of the plate and reaches beyond it.
    """
    h, w = plate.shape[:2]
    wide = int(rng.uniform(0.015, 0.05) * w) + 1
    tall = int(rng.uniform(0.6, 2.2) * wide)
    colour = rng.integers(0, 256) * np.ones(3) if rng.random() < 0.8 else rng.integers(0, 256, 3)
    outer = np.empty((h + 2 * tall, w + 2 * wide, 3), np.uint8)
    outer[:] = colour.astype(np.uint8)
    hidden = int(rng.uniform(0, 0.6) * wide)
    outer[tall + hidden : tall + h - hidden, wide + hidden : wide + w - hidden] = plate[
        hidden : h - hidden, hidden : w - hidden
    ]
    return outer, (w / outer.shape[1], h / outer.shape[0])


def paste(
    picture: Picture,
    plate: Picture,
    box: tuple[float, float, float, float],
    rng: np.random.Generator,
    inner: tuple[float, float] | None = None,
) -> Floats:
    """Draw `plate` over the plate at `box` (x, y, w, h) of `picture`; its corners, float32 (4, 2).

    Where only the `inner` share of its width and height is plate, the corners are those of that part. It has
    the brightness that the place had, about, and is as blurred as its new size and the air make it.
    """
    x, y, w, h = box
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) / 2 * rng.uniform(0.97, 1.1)
    slant, lean = rng.normal(0, 0.05, 2)
    if rng.random() < 0.2:
        slant += rng.normal(0, 0.12)
    sheared = corners * np.array([w, h])
    sheared = sheared @ np.array([[1.0, slant], [lean, 1.0]]) + rng.normal(0, 0.012, (4, 2)) * np.array(
        [w, h]
    )
    quad = (sheared + np.array([x + w / 2, y + h / 2])).astype(np.float32)
    tall, wide = plate.shape[:2]
    shrink = wide / max(w, 4)
    if shrink > 1.2:
        size = (max(int(wide / shrink * 1.1), 4), max(int(tall / shrink * 1.1), 3))
        plate = cv2.resize(plate, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        tall, wide = plate.shape[:2]
    top, bottom = max(int(y), 0), max(int(y + h), 1)
    left, right = max(int(x), 0), max(int(x + w), 1)
    there = float(picture[top:bottom, left:right].mean()) if bottom > top and right > left else 128.0
    lit = plate.astype(np.float32)
    wanted = rng.uniform(0.5, 1.0) * there + rng.uniform(0.0, 0.5) * float(lit.mean())
    lit = lit * (wanted / max(float(lit.mean()), 8.0))
    if rng.random() < 0.5:
        lit = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.3, 1.0))
    source = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float32)
    low = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 1, [picture.shape[1], picture.shape[0]])
    shown_quad = quad if inner is None else _inner(quad, inner)
    if (high - low < 2).any():
        return shown_quad
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    warp = cv2.getPerspectiveTransform(source, quad - low.astype(np.float32))
    shown = cv2.warpPerspective(np.clip(lit, 0, 255), warp, size, flags=cv2.INTER_LINEAR)
    cover = cv2.warpPerspective(np.ones((tall, wide), np.float32), warp, size, flags=cv2.INTER_LINEAR)[
        ..., None
    ]
    part = picture[low[1] : high[1], low[0] : high[0]]
    part[:] = (part * (1 - cover) + shown * cover).astype(np.uint8)
    return shown_quad


def _inner(quad: Floats, share: tuple[float, float]) -> Floats:
    """The corners of the middle part, `share` of width and height, of a nearly parallel quadrangle."""
    across = (np.array([-1, 1, 1, -1]) * share[0] + 1) / 2
    down = (np.array([-1, -1, 1, 1]) * share[1] + 1) / 2
    a, b = across[:, None], down[:, None]
    part = (1 - a) * (1 - b) * quad[0] + a * (1 - b) * quad[1] + a * b * quad[2] + (1 - a) * b * quad[3]
    return part.astype(np.float32)


def decode(file: Path) -> Picture:
    """The picture in `file`, uint8 (h, w, 3), RGB; ends the training with one line where it is none."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"train: {file}: cannot read the picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8)


def invented(rng: np.random.Generator) -> tuple[Picture, Floats]:
    """A picture of rectangles and gradients with one to three synthetic plates in it, and their boxes."""
    h, w = 480, 640
    coarse = rng.integers(0, 256, (*rng.integers(2, 8, 2), 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(3, 14)):
        x, y = int(rng.integers(0, w)), int(rng.integers(0, h))
        end = (x + int(rng.integers(10, 260)), y + int(rng.integers(6, 160)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.rectangle(picture, (x, y), end, colour, -1 if rng.random() < 0.7 else 2)
    boxes = []
    for number in range(rng.integers(1, 4)):
        plate = render(rng).image
        wide = int(rng.integers(30, 190))
        tall = max(wide * plate.shape[0] // plate.shape[1], 8)
        x, y = int(rng.integers(0, w - wide)), number * 160 + int(rng.integers(0, 160 - min(tall, 120)))
        if y + tall > h:
            continue
        small = cv2.resize(plate, (wide, tall), interpolation=cv2.INTER_AREA)
        tint = rng.uniform(0.8, 1.0, 3)
        picture[y : y + tall, x : x + wide] = (small[:, :, None] * tint).astype(np.uint8)
        boxes.append((x, y, wide, tall))
    return picture, np.array(boxes, np.float32).reshape(-1, 4)


def _place(
    picture: Picture,
    boxes: Floats,
    quads: Mapping[int, Floats],
    squashed: bool,
    rng: np.random.Generator,
) -> tuple[Picture, list[tuple[float, float, float, float, bool]]]:
    """Scale, stretch, turn, mirror and cut; the boxes move along (left, top, right, bottom, counts).

    Where all corners are known the picture is turned and sheared further, for then its boxes stay exact.
    """
    h, w = picture.shape[:2]
    stretch = rng.uniform(1.0, 1.75) if squashed else rng.uniform(0.88, 1.14)
    chosen = boxes[rng.integers(len(boxes))] if len(boxes) else None
    kind = rng.random()
    if chosen is not None and kind < 0.5:  # a plate 14 to 290 pixels wide, all widths alike
        wide = math.exp(rng.uniform(math.log(14), math.log(290)))
        scale = float(np.clip(wide / max(chosen[2] * stretch, 4), 0.2, 2.5))
    elif kind < 0.75:  # most of the picture
        scale = SIDE / max(w * stretch, h) * math.exp(rng.uniform(-0.1, 0.9))
        chosen = chosen if rng.random() < 0.5 else None
    else:
        # any part at about the size that the deployed input shows it in: what is no plate
        scale, chosen = 640 / max(w * stretch, h) * math.exp(rng.uniform(-0.5, 0.4)), None
    sx, sy = scale * stretch, scale
    if chosen is not None:
        cx, cy = chosen[0] + chosen[2] / 2, chosen[1] + chosen[3] / 2
    else:
        cx, cy = w * rng.random(), h * rng.random()
    left, top = rng.uniform(0.08, 0.92, 2) * SIDE - np.array([cx * sx, cy * sy])
    if rng.random() < 0.9:  # keep the cut within the picture, or the picture within the cut
        left = min(max(left, SIDE - w * sx), 0.0) if w * sx >= SIDE else rng.uniform(0, SIDE - w * sx)
        top = min(max(top, SIDE - h * sy), 0.0) if h * sy >= SIDE else rng.uniform(0, SIDE - h * sy)
    known = len(quads) == len(boxes)
    angle = math.radians(rng.normal(0, LEAN if known and rng.random() < 0.6 else 2.5))
    c, s = math.cos(angle), math.sin(angle)
    shear = np.array([[1.0, rng.normal(0, 0.08)], [rng.normal(0, 0.06), 1.0]]) if known else np.eye(2)
    turn = np.array([[c, -s], [s, c]]) @ shear @ np.diag([sx, sy])
    middle = np.array([SIDE / 2, SIDE / 2])
    move = middle - turn @ ((middle - [left, top]) / [sx, sy])
    matrix = np.concatenate([turn, move[:, None]], axis=1)
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += SIDE
    fill = 114 if rng.random() < 0.5 else int(rng.integers(256))
    shown, warp = picture, matrix.copy()
    if scale < 0.75:  # the warp looks at neighbours alone, so reduce first
        factor = scale * 1.15
        shown = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        warp[:, :2] /= factor
    moved = cv2.warpAffine(shown, warp, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=(fill,) * 3)
    placed = []
    for number, (x, y, bw, bh) in enumerate(boxes):
        if number in quads:
            corners = quads[number] @ matrix[:, :2].T + matrix[:, 2]
            edges = (*corners.min(axis=0), *corners.max(axis=0))
            wide, tall = edges[2] - edges[0], edges[3] - edges[1]
        else:
            mx, my = matrix[:, :2] @ [x + bw / 2, y + bh / 2] + matrix[:, 2]
            # The label's upright box of a turned plate grows less than the turned box's own.
            wide, tall = bw * sx * c + abs(s) * bh * sy * 0.4, bh * sy * c + abs(s) * bw * sx * 0.4
            edges = (mx - wide / 2, my - tall / 2, mx + wide / 2, my + tall / 2)
        inside = [min(max(edge, 0.0), float(SIDE)) for edge in edges]
        seen_w, seen_h = inside[2] - inside[0], inside[3] - inside[1]
        if seen_w < 2 or seen_h < 2:
            continue
        counts = seen_w * seen_h > 0.75 * wide * tall and seen_w >= SMALLEST
        placed.append((*inside, bool(counts)))
    return moved.astype(np.uint8), placed


def _night(x: Floats, rng: np.random.Generator) -> Floats:
    """Dark, of one colour, veiled by stray light, with lamps that bloom: a dash camera behind a car."""
    cast = rng.uniform(0.45, 1.0, 3)
    cast = (cast / cast.max()).astype(np.float32)
    shaded = (x * 0.3 + x.mean(axis=2, keepdims=True) * 0.7) * (rng.uniform(0.12, 0.7) * cast)
    coarse = (max(x.shape[0] // 8, 2), max(x.shape[1] // 8, 2))
    down, across = np.mgrid[0 : coarse[0], 0 : coarse[1]].astype(np.float32)
    glow = np.full((*coarse, 3), 1.0, np.float32) * (rng.uniform(0, 110) * cast)
    for _ in range(rng.integers(0, 5)):
        radius = float(np.exp(rng.uniform(math.log(1.0), math.log(coarse[0] / 3 + 2))))
        away = (across - rng.uniform(0, coarse[1])) ** 2 + (down - rng.uniform(0, coarse[0])) ** 2
        colour = (0.5 * cast + 0.5 * rng.uniform(0.3, 1.0, 3)).astype(np.float32)
        glow += (rng.uniform(60, 400) * np.exp(-away / radius**2))[..., None] * colour
    veiled: Floats = shaded + cv2.resize(glow, x.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return veiled.astype(np.float32)


def light(picture: Picture, rng: np.random.Generator) -> Picture:
    """`picture`, uint8 (h, w, 3), in other light, as seen by a poorer camera, or both."""
    x = picture.astype(np.float32)
    if rng.random() < NIGHT:
        x = _night(x, rng)
    elif rng.random() < 0.5:
        x = x * rng.uniform(0.6, 1.35) + rng.uniform(-25, 25)
        if rng.random() < 0.3:
            x = 255 * np.power(np.clip(x / 255, 0, 1), rng.uniform(0.6, 2.4))
    kind = rng.random()
    if kind < 0.15:
        x = np.repeat(x.mean(axis=2, keepdims=True), 3, axis=2)
    elif kind < 0.4:
        x = x * rng.uniform(0.82, 1.18, 3).astype(np.float32)
    kind = rng.random()
    if kind < 0.1:
        x = cv2.GaussianBlur(x, (3, 3), 0)
    elif kind < 0.2:
        x = cv2.blur(x, (int(rng.choice([3, 5, 7])), 1))
    if rng.random() < 0.25:
        x = x + rng.standard_normal((*x.shape[:2], 1), np.float32) * rng.uniform(2, 14)
    out = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.06:  # single pixels lost, as poor sensors and some web pictures have
        out[rng.random(x.shape[:2]) < rng.uniform(0.01, 0.08)] = 255 if rng.random() < 0.5 else 0
    if rng.random() < 0.15:
        packed = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])[1]
        out = cv2.imdecode(packed, cv2.IMREAD_COLOR).astype(np.uint8)
    return out


def targets(placed: list[tuple[float, float, float, float, bool]]) -> tuple[Floats, Floats, Floats]:
    """Box, positive and ignored of a Cut: the cells in the middle half of each plate are its own, and the
    smaller of two plates takes what both claim."""
    y, x = np.mgrid[0:CELLS, 0:CELLS].astype(np.float32) * STRIDE + STRIDE / 2
    box = np.zeros((4, CELLS, CELLS), np.float32)
    positive, ignored = np.zeros((2, CELLS, CELLS), np.float32)
    for left, top, right, bottom, counts in sorted(placed, key=lambda p: -(p[2] - p[0]) * (p[3] - p[1])):
        if not counts:
            near = (x > left - 6) & (x < right + 6) & (y > top - 6) & (y < bottom + 6)
            ignored[near] = 1
            continue
        cx, cy = (left + right) / 2, (top + bottom) / 2
        mine = np.abs(x - cx) < max((right - left) / 4, 5)
        mine &= np.abs(y - cy) < max((bottom - top) / 4, 5)
        mine[min(int(cy / STRIDE), CELLS - 1), min(int(cx / STRIDE), CELLS - 1)] = True
        positive[mine] = 1
        for channel, value in enumerate((left, top, right, bottom)):
            box[channel][mine] = value
    return box, positive, ignored


def letterbox(picture: Picture, size: tuple[int, int]) -> Picture:
    """`picture` as `detector.image.resize_for` fits it: for the ranges of the int8 model."""
    from detector.image import resize_for

    return resize_for(picture, size)[0]


def decoded(scene: Scene) -> Picture:
    """The photograph itself, uint8 (h, w, 3), RGB."""
    return decode(scene.file)
