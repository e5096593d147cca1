"""Whether the camera sees what it should: judged from previews, told in the status.

Owns the judgement "ok", "dark", "blocked" or "moved". It sees pictures only; what is done about it is
the firmware's and a technician's business.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hw.protocols import Pixels

DARK: Final = 6.0
"""Mean grey level below which nothing can be seen, at night's longest exposure."""
FLAT: Final = 3.0
"""Standard deviation of grey levels below which a picture shows no scene: a cover, a web, spray."""
ALIKE: Final = 0.35
"""Correlation of edges with the learnt scene below which the camera looks elsewhere."""

_GRID: Final = (36, 64)
_LEARN: Final = 0.02
_SETTLE: Final = 30  # pictures until the scene counts as known
_PATIENCE: Final = 10  # pictures in a row that must say the same before the judgement changes


class CameraHealth:
    """Follows one camera's previews, a few a minute. One thread uses it."""

    def __init__(self) -> None:
        self._scene: npt.NDArray[np.float32] | None = None
        self._seen = 0
        self._said = "ok"
        self._other = ("ok", 0)

    def judge(self, luma: Pixels) -> str:
        """ "ok", "dark", "blocked" or "moved" after a further preview, uint8 (h, w).

        A lorry in front of the camera is not a fault: the judgement changes only when ten pictures in a
        row say so.
        """
        now = self._of(luma)
        if now == self._said:
            self._other = (now, 0)
            return self._said
        count = self._other[1] + 1 if self._other[0] == now else 1
        self._other = (now, count)
        if count >= _PATIENCE:
            self._said = now
        return self._said

    def _of(self, luma: Pixels) -> str:
        small = _shrink(luma)
        if float(small.mean()) < DARK:
            return "dark"
        if float(small.std()) < FLAT:
            return "blocked"
        edges = _edges(small)
        if self._scene is None:
            self._scene = edges
        alike = _correlation(edges, self._scene)
        if self._seen >= _SETTLE and alike < ALIKE:
            return "moved"
        self._seen += 1
        self._scene += _LEARN * (edges - self._scene)
        return "ok"


def _shrink(luma: Pixels) -> npt.NDArray[np.float32]:
    rows, columns = _GRID
    h, w = luma.shape[0] // rows * rows, luma.shape[1] // columns * columns
    if not h or not w:
        return luma.astype(np.float32)
    blocks = luma[:h, :w].reshape(rows, h // rows, columns, w // columns)
    small: npt.NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return small


def _edges(small: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Strength of edges, without the light: day and night show the same ones."""
    dy, dx = np.gradient(small)
    size = np.hypot(dx, dy)
    relative: npt.NDArray[np.float32] = (size / (size.mean() + 1.0)).astype(np.float32)
    return relative


def _correlation(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))
