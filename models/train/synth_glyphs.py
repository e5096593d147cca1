"""Letter shapes for synthetic plates: masks of single characters, cached, one face per die.

Owns the two kinds of face, outline fonts from the system and a stroke alphabet of our own whose
width, stroke and roundness vary, since no free font exists for most embossing dies. It knows
nothing of plates. The fonts of the measuring street (hw/) must never be named here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CAP = 64
"""Height in pixels of a face's character masks."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Mask = NDArray[np.uint8]

_FONT_ROOT = Path("/usr/share/fonts")
_DIE_FONTS = (
    "RG2014B.ttf",
    "RG2014C.ttf",
    "RG2014D.ttf",
    "RG2014E.ttf",
    "RG2014EM.ttf",
    "OSP-DIN.ttf",
    "DejaVuSansCondensed-Bold.ttf",
    "DejaVuSansCondensed.ttf",
    "DejaVuSansMono-Bold.ttf",
    "BebasNeue-Regular.otf",
    "BebasNeue-Bold.otf",
    "routed-gothic-narrow.ttf",
    "routed-gothic-half-italic.ttf",
    "LiberationSans-Bold.ttf",
    "LiberationSans-Regular.ttf",
)
_PRINT_FONTS = (
    *_DIE_FONTS,
    "DejaVuSerif-Bold.ttf",
    "DejaVuSerif-BoldItalic.ttf",
    "DejaVuSerifCondensed-Italic.ttf",
    "DejaVuSans-Oblique.ttf",
    "LiberationSerif-Italic.ttf",
    "LiberationSerif-Bold.ttf",
)


class FontsMissingError(RuntimeError):
    """No usable font is installed."""


class Face(Protocol):
    """One set of letter shapes."""

    def glyph(self, char: str) -> Mask:
        """The character's mask: CAP rows, its ink touches both sides, 0..255."""
        ...


class FontFace:
    """A face cut from an outline font, scaled so that capitals fill CAP rows."""

    def __init__(self, path: Path) -> None:
        size = 100
        font = ImageFont.truetype(str(path), size)
        top, bottom = font.getbbox("H", anchor="ls")[1::2]
        self._font = ImageFont.truetype(str(path), round(size * CAP / (bottom - top)))
        self._cache: dict[str, Mask] = {}

    def glyph(self, char: str) -> Mask:
        """See Face.glyph; what hangs below the base line (J and Q of some fonts) is squeezed in."""
        if char not in self._cache:
            left, _, right, _ = self._font.getbbox(char, anchor="ls")
            image = Image.new("L", (max(int(right - left) + 2, 4), CAP * 2))
            ImageDraw.Draw(image).text((1 - left, CAP + 2), char, fill=255, font=self._font, anchor="ls")
            ink = np.asarray(image)
            bottom = int(np.flatnonzero(ink.max(axis=1) > 32)[-1]) + 1
            if bottom > CAP + 6:
                ink = cv2.resize(ink[2:bottom], (ink.shape[1], CAP), interpolation=cv2.INTER_AREA)
            else:
                ink = ink[2 : CAP + 2]
            self._cache[char] = _trim(np.asarray(ink, np.uint8))
        return self._cache[char]


class StrokeFace:
    """A face drawn with a round pen along _STROKES.

    Args:
        aspect: width of an ordinary letter over its height, about 0.4..0.7.
        stroke: pen width over the letter's height, about 0.09..0.2.
        power: exponent of the bowls: 2 is an ellipse, 4 nearly a rounded box.
        flagged: the characters that take their second form, if they have one: 1 with a flag, 7, I and J with
            serifs.
        widths: width of some letters over an ordinary one's.
    """

    def __init__(
        self, aspect: float, stroke: float, power: float, flagged: Set[str], widths: Mapping[str, float]
    ) -> None:
        self._aspect, self._stroke, self._power = aspect, stroke, power
        self._flagged, self._widths = flagged, widths
        self._cache: dict[str, Mask] = {}

    def glyph(self, char: str) -> Mask:
        """See Face.glyph."""
        if char not in self._cache:
            self._cache[char] = self._draw(char)
        return self._cache[char]

    def _draw(self, char: str) -> Mask:
        scale, pen = 2, self._stroke * CAP * 2
        wide = self._widths.get(char, 1.0)
        height, width = CAP * scale, max(int(CAP * scale * self._aspect * wide), 8)
        image = np.zeros((height, width), np.uint8)
        inner = np.array([max(width - pen, 1.0), height - pen])
        key = char + "'" if char in self._flagged and char + "'" in _STROKES else char
        for stroke in _STROKES[key]:
            points = np.concatenate([self._points(part) for part in stroke]) * inner + pen / 2
            fixed = np.round(points * 16).astype(np.int32)[None]
            cv2.polylines(image, fixed, False, 255, max(round(pen), 1), cv2.LINE_AA, 4)
        return _trim(cv2.resize(image, (width // scale, CAP), interpolation=cv2.INTER_AREA))

    def _points(self, part: tuple[float, ...]) -> NDArray[np.float64]:
        if len(part) == 2:
            return np.array([part])
        cx, cy, rx, ry, start, end = part
        angle = np.radians(np.linspace(start, end, 24))
        cos, sin = np.cos(angle), np.sin(angle)
        x = cx + rx * np.sign(cos) * np.abs(cos) ** (2 / self._power)
        y = cy + ry * np.sign(sin) * np.abs(sin) ** (2 / self._power)
        return np.stack([x, y], axis=1)


def _trim(mask: Mask) -> Mask:
    columns = np.flatnonzero(mask.max(axis=0) > 32)
    if columns.size == 0:
        return np.zeros((CAP, 4), np.uint8)
    return np.ascontiguousarray(mask[:, columns[0] : columns[-1] + 1])


# Strokes in the unit square, y downwards. A pair is a point; six numbers are an arc: centre,
# radii, first and last angle in degrees (0 is right, 90 is down).
_P_BOWL = ((0.0, 1.0), (0.0, 0.0), (0.55, 0.27, 0.45, 0.27, 270, 450), (0.0, 0.54))
_STROKES: dict[str, tuple[tuple[tuple[float, ...], ...], ...]] = {
    "0": (((0.5, 0.5, 0.5, 0.5, -90, 270),),),
    "1": (((0.5, 0.0), (0.5, 1.0)),),
    "1'": (((0.0, 0.2), (0.7, 0.0), (0.7, 1.0)),),
    "2": (((0.5, 0.28, 0.5, 0.28, 190, 385), (0.0, 1.0), (1.0, 1.0)),),
    "3": (((0.5, 0.25, 0.45, 0.25, 195, 450), (0.5, 0.75, 0.5, 0.25, 270, 525)),),
    "4": (((0.75, 1.0), (0.75, 0.0), (0.0, 0.7), (1.0, 0.7)),),
    "5": (((0.9, 0.0), (0.12, 0.0), (0.08, 0.46), (0.5, 0.67, 0.5, 0.33, 220, 510)),),
    "6": (((0.9, 0.05), (0.55, 0.55, 0.55, 0.55, 270, 180), (0.5, 0.68, 0.5, 0.32, 180, 540)),),
    "7": (((0.0, 0.0), (1.0, 0.0), (0.35, 1.0)),),
    "7'": (((0.0, 0.12), (0.0, 0.0), (1.0, 0.0), (0.45, 0.5), (0.4, 1.0)),),
    "8": (((0.5, 0.25, 0.43, 0.25, -90, 270),), ((0.5, 0.75, 0.5, 0.25, -90, 270),)),
    "9": (((0.1, 0.95), (0.45, 0.45, 0.55, 0.55, 90, 0), (0.5, 0.32, 0.5, 0.32, 0, 360)),),
    "A": (((0.0, 1.0), (0.5, 0.0), (1.0, 1.0)), ((0.18, 0.66), (0.82, 0.66))),
    "A'": (((0.0, 1.0), (0.42, 0.0), (0.58, 0.0), (1.0, 1.0)), ((0.15, 0.68), (0.85, 0.68))),
    "B": (
        ((0.0, 0.48), (0.6, 0.24, 0.33, 0.24, 450, 270), (0.0, 0.0), (0.0, 1.0)),
        ((0.0, 1.0), (0.6, 0.74, 0.4, 0.26, 90, -90), (0.0, 0.48)),
    ),
    "C": (((0.5, 0.5, 0.5, 0.5, 320, 40),),),
    "D": (((0.0, 1.0), (0.0, 0.0), (0.45, 0.5, 0.55, 0.5, 270, 450), (0.0, 1.0)),),
    "E": (((1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0)), ((0.0, 0.5), (0.8, 0.5))),
    "F": (((1.0, 0.0), (0.0, 0.0), (0.0, 1.0)), ((0.0, 0.5), (0.8, 0.5))),
    "G": (((0.5, 0.5, 0.5, 0.5, 320, 30), (1.0, 0.55), (0.6, 0.55)),),
    "H": (((0.0, 0.0), (0.0, 1.0)), ((1.0, 0.0), (1.0, 1.0)), ((0.0, 0.5), (1.0, 0.5))),
    "I": (((0.5, 0.0), (0.5, 1.0)),),
    "I'": (((0.5, 0.0), (0.5, 1.0)), ((0.0, 0.0), (1.0, 0.0)), ((0.0, 1.0), (1.0, 1.0))),
    "J": (((0.9, 0.0), (0.45, 0.7, 0.45, 0.3, 0, 170)),),
    "J'": (((0.15, 0.0), (0.9, 0.0), (0.45, 0.7, 0.45, 0.3, 0, 150)),),
    "K": (((0.0, 0.0), (0.0, 1.0)), ((0.95, 0.0), (0.0, 0.6)), ((0.32, 0.4), (1.0, 1.0))),
    "L": (((0.0, 0.0), (0.0, 1.0), (1.0, 1.0)),),
    "M": (((0.0, 1.0), (0.0, 0.0), (0.5, 0.7), (1.0, 0.0), (1.0, 1.0)),),
    "M'": (((0.0, 1.0), (0.0, 0.0), (0.5, 1.0), (1.0, 0.0), (1.0, 1.0)),),
    "N": (((0.0, 1.0), (0.0, 0.0), (1.0, 1.0), (1.0, 0.0)),),
    "O": (((0.5, 0.5, 0.5, 0.5, -90, 270),),),
    "P": (_P_BOWL,),
    "Q": (((0.5, 0.5, 0.5, 0.5, -90, 270),), ((0.6, 0.7), (1.0, 1.0))),
    "R": (_P_BOWL, ((0.45, 0.54), (1.0, 1.0))),
    "S": (((0.5, 0.25, 0.46, 0.25, 340, 90), (0.5, 0.75, 0.5, 0.25, 270, 520)),),
    "T": (((0.0, 0.0), (1.0, 0.0)), ((0.5, 0.0), (0.5, 1.0))),
    "U": (((0.0, 0.0), (0.5, 0.65, 0.5, 0.35, 180, 0), (1.0, 0.0)),),
    "V": (((0.0, 0.0), (0.5, 1.0), (1.0, 0.0)),),
    "W": (((0.0, 0.0), (0.25, 1.0), (0.5, 0.3), (0.75, 1.0), (1.0, 0.0)),),
    "W'": (((0.0, 0.0), (0.25, 1.0), (0.5, 0.0), (0.75, 1.0), (1.0, 0.0)),),
    "X": (((0.0, 0.0), (1.0, 1.0)), ((1.0, 0.0), (0.0, 1.0))),
    "Y": (((0.0, 0.0), (0.5, 0.5), (1.0, 0.0)), ((0.5, 0.5), (0.5, 1.0))),
    "Z": (((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)),),
}


def _font_paths(names: Iterable[str]) -> list[Path]:
    found = {path.name: path for path in _FONT_ROOT.rglob("*") if path.suffix in (".ttf", ".otf")}
    return [found[name] for name in names if name in found]


def _widths(rng: np.random.Generator) -> dict[str, float]:
    """Widths of the letters that dies differ most in: from a J half as wide as the others to one as wide."""
    even = float(rng.uniform(0, 1))  # 1: every letter as wide as the next, as on dies of one pitch
    thin = {"J": 0.5, "L": 0.72, "E": 0.78, "F": 0.75, "T": 0.8, "S": 0.9, "Z": 0.9}
    own = {char: even + (1 - even) * width * float(rng.uniform(0.9, 1.1)) for char, width in thin.items()}
    wide = {"M": float(rng.uniform(1.0, 1.3)), "W": float(rng.uniform(1.05, 1.4))}
    return {**own, **wide, "I": float(rng.uniform(0.4, 0.6)), "1": float(rng.uniform(0.45, 0.7))}


@cache
def die_faces(stroke_faces: int = 56) -> tuple[Face, ...]:
    """The faces that serials are drawn with: installed fonts, then `stroke_faces` of our own."""
    rng = np.random.default_rng(430)
    drawn: list[Face] = [
        StrokeFace(
            float(rng.uniform(0.42, 0.68)),
            float(rng.uniform(0.1, 0.19)),
            float(rng.uniform(2.0, 3.6)),
            frozenset(char for char in ALPHABET if rng.random() < 0.5),
            _widths(rng),
        )
        for _ in range(stroke_faces)
    ]
    return (*(FontFace(path) for path in _font_paths(_DIE_FONTS)), *drawn)


@cache
def _print_fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    paths = _font_paths(_PRINT_FONTS)
    if not paths:
        raise FontsMissingError(
            f"no font for plate lettering under {_FONT_ROOT}: install fonts-roadgeek and fonts-dejavu-core"
        )
    return tuple(ImageFont.truetype(str(path), size) for path in paths)


@cache
def _printed(text: str, font: int) -> Mask:
    face = _print_fonts(24)[font]
    left, top, right, bottom = face.getbbox(text)
    image = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=face)
    return np.asarray(image)


def printed(text: str, rng: np.random.Generator) -> Mask:
    """A small line of lettering in a random print font, about 24 px high, 0..255."""
    return _printed(text, int(rng.integers(len(_print_fonts(24)))))


def serial_mask(
    face: Face, text: str, height: int, stretch: float, gap: float, weight: int, fixed_pitch: bool
) -> Mask:
    """`text` as one line of dies.

    Args:
        face: the dies.
        text: characters of ALPHABET.
        height: rows of the result.
        stretch: horizontal scale of every die.
        gap: space between dies, as a share of `height`.
        weight: > 0 thickens the strokes by so many pixels, < 0 thins them.
        fixed_pitch: every die gets the same cell, as on most US plates.
    """
    scale = height / CAP
    dies = [
        cv2.resize(
            face.glyph(char),
            (max(round(face.glyph(char).shape[1] * scale * stretch), 2), height),
            interpolation=cv2.INTER_AREA,
        )
        for char in text
    ]
    space = max(round(gap * height), 1)
    cell = round(float(np.median([die.shape[1] for die in dies]))) if fixed_pitch else 0
    widths = [max(die.shape[1], cell) for die in dies]
    line = np.zeros((height, sum(widths) + space * (len(dies) - 1)), np.uint8)
    x = 0
    for die, width in zip(dies, widths, strict=True):
        left = x + math.floor((width - die.shape[1]) / 2)
        line[:, left : left + die.shape[1]] = die
        x += width + space
    if weight:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2, 2) if abs(weight) == 1 else (3, 3))
        line = cv2.dilate(line, kernel) if weight > 0 else cv2.erode(line, kernel)
    return np.asarray(line, np.uint8)
