"""What a plate says: a picture and a Detection in, a PlateText out.

Owns the reading of one plate: the crop, the decoding, the flags, and the calibrated confidence. Where
plates are is `detector.locate`; the search through the network's columns is `detector.ctc`.

The model's first output is chars (1, T, len(alphabet) + 1): for each of T columns of the crop, from left
to right, a logit for each character and, last, for the CTC blank. Logits, for a byte's 256 steps would leave
a softmax no difference between sure and very sure. A second output, where the sidecar has regions, is region
(1, len(names) + 1): a logit for each region's design and, last, for none of them.

A plate of two lines (motorcycles, square plates of cars) says nothing in one cut, for that is what the
network is taught; its upper and its lower half are then cut out and read one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector import ctc
from detector.errors import ModelError
from detector.image import Light, Picture, crop_quad
from detector.runtime import Model
from detector.types import CANDIDATES, Candidate, Detection, Flag, PlateText, Point

WEAK_CHAR = 0.7
"""Below this a character is called weak."""
USUAL = range(4, 9)
"""Lengths of plate texts that are not called unusual."""
TWO_LINE_ASPECT = 0.5
"""A plate at least this high for its width, in which nothing is read, is taken for one of two lines."""
HALVED_ASPECT = 0.2
"""One at least this high, in which no usual text is read, is cut into halves: wide plates of two lines have
0.35, and corners may miss some of that."""
HALVES = ((0.5, 0.2), (0.55, 0.15))
"""How, one after the other until the text is settled: each half's share of the plate's height, and what is
taken around it, as a share of its own sides. Lines reach to where the other half begins."""
LEAST_LINES = 0.2
"""Two lines that are less likely are not read as a text."""
LEAST_OF_LINES = 5
"""Nor fewer characters on both: the beginnings of a plate that the picture cuts off."""
SETTLED = 0.7
"""A first crop whose best text is less likely is followed by LOOKS, one without any text by FILTERED."""
LOOKS = ((0.04, Light.LUMA), (-0.06, Light.RED), (-0.02, Light.LUMA))
"""Further crops of one plate: how much wider than the first they are, as a share of the plate's sides, and
in which light. Noise is less in luma, some inks show better in red."""
FILTERED = ((0.04, Light.RED), (-0.06, Light.BLUE))
"""Those where the first shows no text: yellow on turquoise, orange on green are nothing in luma."""

FEATURES = 5
"""How many numbers `features` gives and a sidecar's calibration has."""

_EDGE_PX = 1.0


class Ocr:
    """A plate reader: `read` gives the text in one Detection."""

    def __init__(self, path: Path | str, threads: int = 1, runtime: str | None = None) -> None:
        """Load the model `path` (.tflite with its sidecar).

        Raises:
            ModelError: the model cannot be used, or is no OCR.
        """
        self.model = Model(path, threads, runtime)
        sidecar = self.model.sidecar
        if sidecar.ocr is None or sidecar.input.channels != 1:
            raise ModelError(f"{path}: a {sidecar.kind} model of {sidecar.input.channels} channels is no OCR")
        self.spec = sidecar.ocr
        shapes = [output.shape for output in sidecar.outputs]
        classes = len(self.spec.alphabet) + 1
        regions = [(1, len(sidecar.region.names) + 1)] if sidecar.region else []
        if not shapes or len(shapes[0]) != 3 or shapes[0][2] != classes or shapes[1:] != regions:
            wanted = "".join(f" and region {shape}" for shape in regions)
            raise ModelError(f"{sidecar.path}: an OCR gives chars (1, T, {classes}){wanted}, not {shapes}")
        self._region = sidecar.region
        if len(self.spec.calibration) != FEATURES:
            raise ModelError(f"{sidecar.path}: ocr.calibration: not {FEATURES} numbers")

    def read(self, image: Picture, detection: Detection, once: bool = False) -> PlateText:
        """Read the plate of `detection` in `image`.

        Args:
            image: uint8 (height, width, 3), RGB: the picture that the detection was made in.
            detection: its corners are where the plate is cut out.
            once: a text that the first cut does not settle is left at that: for who is late, and has another
                picture of the same plate coming.

        Returns:
            The text with its candidates and flags, of two lines the upper one's first; text "" where
            nothing is read. `confidence` is calibrated for plates like those of the validation photographs.

        Raises:
            ImageError: `image` is no picture, or the corners span no area.
        """
        seen = self._looks(image, detection, once)
        found, text = seen.texts, seen.texts[0][0]
        flags = set()
        if _at_edge(detection, image):
            flags.add(Flag.EDGE)
        _, _, width, height = detection.box
        if seen.two_lines or (not text and height >= TWO_LINE_ASPECT * width):
            flags.add(Flag.TWO_LINES)
        if not text and Flag.TWO_LINES in flags:
            return PlateText("", 0.0, flags=frozenset(flags))
        chars = ctc.char_confidence(found)
        if len(text) not in USUAL:
            flags.add(Flag.LENGTH)
        if chars and min(chars) < WEAK_CHAR:
            flags.add(Flag.WEAK)
        confidence = calibrated(self.spec.calibration, features(found, detection)) if text else 0.0
        candidates = tuple(Candidate(t, p) for t, p in found if t)[:CANDIDATES]
        return PlateText(
            text,
            confidence,
            chars,
            candidates if text else (),
            frozenset(flags),
            seen.region if text else "",
            seen.region_confidence if text else 0.0,
        )

    def spellings(self, image: Picture, detection: Detection) -> list[tuple[str, float]]:
        """The texts that the plate of `detection` may say, each with the network's probability, best first.

        A plate that the first crop does not settle is cut in other ways too, and the probabilities are the
        means over all crops. Errors as of `read`.
        """
        return self._looks(image, detection, once=False).texts

    def look(
        self, image: Picture, detection: Detection, wider: float = 0.0, light: Light = Light.LUMA
    ) -> tuple[list[tuple[str, float]], NDArray[np.float32]]:
        """What one cut says: its texts, as `spellings`, and the logits of its regions (none: of size 0).

        `wider` adds that share of the plate's sides to the margin; `light` is any but RGB.
        """
        return self._cut(image, detection.corners, self.spec.margin + wider, light)

    def _cut(
        self, image: Picture, corners: Sequence[Point], margin: float, light: Light = Light.LUMA
    ) -> tuple[list[tuple[str, float]], NDArray[np.float32]]:
        crop = crop_quad(image, corners, margin, self.model.sidecar.input.size, light)
        chars, *regions = self.model.run(crop)
        texts = ctc.decode(_softmax(chars[0]), self.spec.alphabet)
        return texts, regions[0][0] if regions else np.zeros(0, np.float32)

    def _looks(self, image: Picture, detection: Detection, once: bool) -> _Seen:
        found, logits = self.look(image, detection)
        if len(found[0][0]) < USUAL.start and (lines := self._lines(image, detection.corners, once)):
            return _Seen(lines, two_lines=True)
        if found[0][0] and (once or found[0][1] >= SETTLED):
            return _Seen(found, *self._named(logits))
        sums = dict(found)
        looks = LOOKS if found[0][0] else FILTERED
        for wider, light in looks:
            texts, more = self.look(image, detection, wider, light)
            logits = logits + more
            for text, probability in texts:
                sums[text] = sums.get(text, 0.0) + probability
        cuts = 1 + len(looks)
        best = sorted(sums.items(), key=lambda item: -item[1])[: len(found)]
        return _Seen([(text, total / cuts) for text, total in best], *self._named(logits / np.float32(cuts)))

    def _lines(self, image: Picture, corners: Sequence[Point], once: bool) -> list[tuple[str, float]]:
        """The texts of a plate of two lines, best first; none where it does not look or read like one."""
        if _aspect(corners) < HALVED_ASPECT:
            return []
        sums: dict[str, float] = {}
        found: list[tuple[str, float]] = []
        for cuts, (share, margin) in enumerate(HALVES, 1):
            lines = []
            for half in _halves(corners, share):
                lines.append(self._cut(image, half, margin)[0])
                if not sums and not lines[-1][0][0]:
                    return []
            for (upper, p), (lower, q) in product(*lines):
                if upper and lower:
                    sums[upper + lower] = sums.get(upper + lower, 0.0) + p * q
            ranked = sorted(sums.items(), key=lambda item: -item[1])[: len(lines[0])]
            found = [(text, total / cuts) for text, total in ranked]
            if once or found[0][1] >= SETTLED:
                break
        text, probability = found[0]
        return found if len(text) >= LEAST_OF_LINES and probability >= LEAST_LINES else []

    def _named(self, logits: NDArray[np.float32]) -> tuple[str, float]:
        if self._region is None:
            return "", 0.0
        shares = _softmax(logits[None] / self._region.temperature)[0]
        best = int(shares.argmax())
        if best == len(self._region.names) or shares[best] < self._region.min_confidence:
            return "", 0.0
        return self._region.names[best], float(shares[best])


@dataclass(frozen=True, slots=True)
class _Seen:
    """What all looks at a plate give: texts as of `Ocr.spellings`, its region, whether it has two lines."""

    texts: list[tuple[str, float]]
    region: str = ""
    region_confidence: float = 0.0
    two_lines: bool = False


def features(found: list[tuple[str, float]], detection: Detection) -> tuple[float, ...]:
    """What the confidence is made from, FEATURES numbers: 1, the log-odds of the whole text's probability and
    of its weakest character, whether the text is shorter than the usual ones, and the log-odds of the
    locator's score."""
    text, probability = found[0]
    weakest = min(ctc.char_confidence(found), default=0.0)
    short = float(len(text) < USUAL.start)
    return (1.0, _logit(probability), _logit(weakest), short, _logit(detection.score))


def calibrated(weights: tuple[float, ...], values: tuple[float, ...]) -> float:
    """The logistic function of the weighted sum: a probability, 0..1."""
    total = sum(weight * value for weight, value in zip(weights, values, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, total))))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shares: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-4), 1.0 - 1e-4)
    return math.log(bounded / (1.0 - bounded))


def _aspect(corners: Sequence[Point]) -> float:
    """A plate's height for its width, both by its own sides."""
    a, b, c, d = corners
    wide = math.dist(a, b) + math.dist(d, c)
    return (math.dist(a, d) + math.dist(b, c)) / wide if wide else 0.0


def _halves(corners: Sequence[Point], share: float) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """The corners of the uppermost and of the lowest `share` of a plate's height, in the order of its own."""
    a, b, c, d = corners

    def between(top: Point, bottom: Point, at: float) -> Point:
        return top[0] + (bottom[0] - top[0]) * at, top[1] + (bottom[1] - top[1]) * at

    upper = (a, b, between(b, c, share), between(a, d, share))
    lower = (between(a, d, 1 - share), between(b, c, 1 - share), c, d)
    return upper, lower


def _at_edge(detection: Detection, image: Picture) -> bool:
    x, y, width, height = detection.box
    right, bottom = image.shape[1] - _EDGE_PX, image.shape[0] - _EDGE_PX
    return x <= _EDGE_PX or y <= _EDGE_PX or x + width >= right or y + height >= bottom
