"""Whether the camera sees what it should: judged from previews, told in the status.

Owns the judgement "ok", "dark", "blocked" or "moved". It sees pictures only; what is done about it is
the firmware's and a technician's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hw.protocols import Pixels

DARK: Final = 6.0
"""Mean grey level below which nothing can be seen, at night's longest exposure."""
FLAT: Final = 3.0
"""Standard deviation of grey levels below which a picture shows no scene: a cover, a web, spray."""
FLAT_SHARE: Final = 0.06
"""The same against the mean, where that is less: a street by night has few grey levels altogether."""
ALIKE: Final = 0.48
"""Correlation of edges with the learnt scene below which the camera looks elsewhere."""

_GRID: Final = (36, 64)
_LEARN: Final = 0.02
_SETTLE: Final = 30  # pictures until the scene counts as known
_PATIENCE: Final = 10  # pictures in a row that must say the same before the judgement changes


class CameraHealth:
    """Follows one camera's previews, about one a second. One thread uses it.

    What the scene looks like is learnt apart for each level of light, a factor of two wide: by night other
    edges are seen than by day, and a camera has not moved because the street lamps went on.
    """

    def __init__(self) -> None:
        self._scenes: dict[int, _Scene] = {}
        self._said = "ok"
        self._other = ("ok", 0)

    def judge(self, luma: Pixels) -> str:
        """ "ok", "dark", "blocked" or "moved" after a further preview, uint8 (h, w).

        A lorry in front of the camera is not a fault: the judgement changes only when ten pictures in a
        row say so, and a level of light that is not known yet says nothing.
        """
        now = self._of(luma) or self._said
        if now == self._said:
            self._other = (now, 0)
            return self._said
        count = self._other[1] + 1 if self._other[0] == now else 1
        self._other = (now, count)
        if count >= _PATIENCE:
            self._said = now
        return self._said

    def _of(self, luma: Pixels) -> str | None:
        small = _shrink(luma)
        mean = float(small.mean())
        if mean < DARK:
            return "dark"
        if float(small.std()) < min(FLAT, FLAT_SHARE * mean):
            return "blocked"
        edges = _edges(small)
        scene = self._scenes.setdefault(int(math.log2(mean)), _Scene(edges))
        known = scene.seen >= _SETTLE
        if known and _correlation(edges, scene.edges) < ALIKE:
            return "moved"
        scene.seen += 1
        scene.edges += max(_LEARN, 1 / scene.seen) * (edges - scene.edges)
        return "ok" if known else None


@dataclass(slots=True)
class _Scene:
    """The edges learnt at one level of light, and from how many pictures."""

    edges: npt.NDArray[np.float32]
    seen: int = 0


def _shrink(luma: Pixels) -> npt.NDArray[np.float32]:
    rows, columns = _GRID
    h, w = luma.shape[0] // rows * rows, luma.shape[1] // columns * columns
    if not h or not w:
        return luma.astype(np.float32)
    blocks = luma[:h, :w].reshape(rows, h // rows, columns, w // columns)
    small: npt.NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return small


def _edges(small: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where the edges are, 0 to 2: measured by the usual edge and cut off, so that neither the light nor a
    pair of headlights outweighs the scene."""
    dy, dx = np.gradient(small)
    size = np.hypot(dx, dy)
    relative: npt.NDArray[np.float32] = np.minimum(size / (2 * np.median(size) + 0.3), 2.0)
    return relative.astype(np.float32)


def _correlation(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))
