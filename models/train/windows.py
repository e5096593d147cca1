"""What the second look is trained on: windows around places that a locator gave, with the plate's corners.

Owns the drawing of windows from photographs and their targets. Plates pasted over those of a photograph
(`train.scenes.paste`) have known corners, and so have those of a photograph's own plates that somebody drew;
of the others only the upright box is known. Photographs are turned and sheared: what an upright box becomes
by that tells how a plate leans, though not where exactly it ends. Places without a plate are those that a
locator took for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.corners import CONTEXT
from detector.image import crop_box
from train.corners_net import HEIGHT, WIDTH
from train.scenes import Floats, Picture, Scene, decoded, framed, invented, light, paste
from train.synth import render

NEAR, FAR = 0.3, 0.1
"""A place overlaps a plate by IoU of NEAR at least to be its own; by less than FAR to be no plate."""
NOMINAL = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]], np.float32)
"""The corners of a place itself."""
WINDOWS = 6
"""Windows that are cut from one photograph before the next is taken."""
OWN = 0.45
"""Share of the windows around plates, where there are some."""
PASTED = 0.5
"""Share of the photographs whose plates are covered by others."""
TURNED = 0.6
"""Share of the photographs that are turned and sheared."""
UPRIGHT, LEANING = 0.1, 0.35
"""What a labelled box counts as its plate's corners, as it is and where the photograph is turned; corners
that are known count 1. Labels are upright boxes: by themselves they would teach that no plate leans."""


@dataclass(frozen=True, slots=True)
class Window:
    """One sample.

    Attributes:
        picture: uint8 (64, 128, 3), RGB.
        plate: 1 a plate, 0 none.
        corners: float32 (4, 2), shares of the place's width and height from its middle.
        sure: how much the corners count, 0..1: 1 where they are known.
        box: the same for the upright box around them.
    """

    picture: Picture
    plate: float
    corners: Floats
    sure: float
    box: float


@dataclass(frozen=True, slots=True)
class Places:
    """What a locator found in one photograph: boxes (n, 4) as x, y, w, h, how often each is drawn."""

    scene: Scene
    boxes: Floats
    shares: Floats


class Windows:
    """An endless stream of windows."""

    def __init__(self, places: list[Places], plates: list[Picture], seed: int) -> None:
        self._places = places
        self._plates = plates
        self._rng = np.random.default_rng(seed)
        self._decoded: dict[int, Picture] = {}
        self._stream = self._draw()

    def batch(self, size: int) -> list[Window]:
        """The next `size` windows."""
        return [next(self._stream) for _ in range(size)]

    def _draw(self) -> Iterator[Window]:
        """Windows of many photographs, mixed."""
        kept: list[Window] = []
        while True:
            kept += self._photograph()
            if len(kept) > 400:
                for _ in range(WINDOWS):
                    place = int(self._rng.integers(len(kept)))
                    kept[place], last = kept[-1], kept[place]
                    kept.pop()
                    yield last

    def _photograph(self) -> Iterator[Window]:
        rng = self._rng
        if self._places:
            number = int(rng.integers(len(self._places)))
            found, shares = self._places[number].boxes, self._places[number].shares
            scene = self._places[number].scene
            if number not in self._decoded:
                self._decoded[number] = decoded(scene)
            picture, boxes = self._decoded[number], scene.boxes
        else:
            picture, boxes = invented(rng)
            found, shares = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        quads, known = _upright(boxes), np.zeros(len(boxes), bool)
        if len(boxes) and rng.random() < PASTED:
            picture, quads, known = self._pasted(picture, boxes)
        elif self._places:
            for place, quad in scene.quads.items():
                quads[place], known[place] = quad, True
        turned = rng.random() < TURNED
        if turned:
            picture, (quads, corners) = _turned(picture, (quads, _upright(found)), rng)
            found = _hulls(corners)
        sure = np.where(known, 1.0, LEANING if turned else UPRIGHT)
        box = np.where(known, 1.0, LEANING if turned else 1.0)
        hulls = _hulls(quads)
        for _ in range(WINDOWS):
            own = len(hulls) > 0 and rng.random() < OWN
            if own:
                number = int(rng.integers(len(hulls)))
                place = _moved(hulls[number], rng)
            elif len(found):
                place = _moved(found[rng.choice(len(found), p=shares)], rng, 0.3)
            else:
                place = _anywhere(picture, rng)
            overlap = _ious(place, hulls)
            best = int(overlap.argmax()) if len(overlap) else -1
            if best >= 0 and FAR < overlap[best] < NEAR:
                continue
            plate = best >= 0 and overlap[best] >= NEAR
            middle, sides = place[:2] + place[2:] / 2, place[2:]
            corners = (quads[best] - middle) / sides if plate else NOMINAL
            counts = (float(sure[best]), float(box[best])) if plate else (0.0, 0.0)
            yield self._window(picture, place, float(plate), corners.astype(np.float32), counts)

    def _window(
        self, picture: Picture, place: Floats, plate: float, corners: Floats, counts: tuple[float, float]
    ) -> Window:
        x, y, w, h = (float(side) for side in place)
        shown = crop_box(picture, (x, y, w, h), CONTEXT, (HEIGHT, WIDTH))
        if self._rng.random() < 0.5:
            shown = np.ascontiguousarray(shown[:, ::-1])
            corners = corners[[1, 0, 3, 2]] * np.array([-1, 1], np.float32)
        if self._rng.random() < 0.3:  # as fewer pixels of a sensor saw it
            share = self._rng.uniform(0.15, 0.7)
            small = (max(int(WIDTH * share), 8), max(int(HEIGHT * share), 5))
            shown = cv2.resize(
                cv2.resize(shown, small, interpolation=cv2.INTER_AREA), (WIDTH, HEIGHT)
            ).astype(np.uint8)
        return Window(light(shown, self._rng), plate, corners, *counts)

    def _pasted(self, picture: Picture, boxes: Floats) -> tuple[Picture, Floats, NDArray[np.bool_]]:
        rng = self._rng
        picture, quads, known = picture.copy(), _upright(boxes), np.zeros(len(boxes), bool)
        for number, (x, y, w, h) in enumerate(boxes):
            if w < 14 or h < 5:
                continue
            if self._plates and rng.random() < 0.6:
                plate = self._plates[int(rng.integers(len(self._plates)))]
            else:
                grey = render(rng).image
                tint = rng.uniform(0.75, 1.0, 3) if rng.random() < 0.4 else np.ones(3)
                plate = (grey[:, :, None] * tint).astype(np.uint8)
            # A place as high as the plate would be, not as the one that it covers: boxes come in all shapes.
            tall = h if rng.random() < 0.5 else max(w * plate.shape[0] / plate.shape[1], 0.9 * h)
            plate, inner = framed(plate, rng) if rng.random() < 0.3 else (plate, None)
            quads[number] = paste(picture, plate, (x, y + (h - tall) / 2, w, tall), rng, inner)
            known[number] = True
        return picture, quads, known


def _upright(boxes: Floats) -> Floats:
    x, y, w, h = boxes.reshape(-1, 4).T
    return np.stack([x, y, x + w, y, x + w, y + h, x, y + h], axis=1).reshape(-1, 4, 2).astype(np.float32)


def _hulls(quads: Floats) -> Floats:
    low, high = quads.min(axis=1), quads.max(axis=1)
    return np.concatenate([low, high - low], axis=1)


def _turned(
    picture: Picture, points: tuple[Floats, ...], rng: np.random.Generator
) -> tuple[Picture, tuple[Floats, ...]]:
    """`picture` turned and sheared about its middle, and where `points` (n, 4, 2) of it went."""
    h, w = picture.shape[:2]
    angle = np.radians(rng.normal(0, 6))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1.0, rng.normal(0, 0.1)], [rng.normal(0, 0.06), 1.0]])
    matrix = turn @ shear
    middle = np.array([w / 2, h / 2])
    warp = np.concatenate([matrix, (middle - matrix @ middle)[:, None]], axis=1)
    moved = cv2.warpAffine(picture, warp, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved.astype(np.uint8), tuple((p @ matrix.T + warp[:, 2]).astype(np.float32) for p in points)


def _moved(box: Floats, rng: np.random.Generator, much: float = 1.0) -> Floats:
    """`box` as a locator might have given it: moved, too small, too large."""
    w, h = box[2:]
    larger = np.exp(rng.normal(0, 0.22 * much) + rng.normal(0, [0.16 * much, 0.22 * much]))
    if rng.random() < 0.12 * much:  # a large plate of which it saw the middle
        larger = larger * rng.uniform(0.45, 0.8)
    sides = np.maximum(box[2:] * larger, 4)
    middle = box[:2] + box[2:] / 2 + rng.normal(0, 0.13 * much, 2) * np.array([w, h])
    return np.concatenate([middle - sides / 2, sides]).astype(np.float32)


def _anywhere(picture: Picture, rng: np.random.Generator) -> Floats:
    w = float(np.exp(rng.uniform(np.log(20), np.log(picture.shape[1] / 2))))
    h = w * rng.uniform(0.2, 0.6)
    x, y = rng.uniform(-0.1, 0.9, 2) * np.array([picture.shape[1], picture.shape[0]])
    return np.array([x, y, w, h], np.float32)


def _ious(place: Floats, boxes: Floats) -> Floats:
    low = np.maximum(boxes[:, :2], place[:2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], place[:2] + place[2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    shares: Floats = common / (np.prod(boxes[:, 2:], axis=1) + np.prod(place[2:]) - common + 1e-6)
    return shares
