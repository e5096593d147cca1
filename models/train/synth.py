"""Synthetic plates in grey, seen straight on: what OCR training cannot get enough of as photographs.

Owns how a plate looks: layout, background, separators and symbols, lettering above and below,
stickers, bolts, frames, relief. Camera and light are `train.ocr_augment`'s business, letter shapes
`train.synth_glyphs`', texts `train.synth_serials`'. Everything follows from the generator given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from train.synth_glyphs import Face, Mask, die_faces, printed, serial_mask
from train.synth_serials import Kind, Token, serial, text_of, two_lines

Grey = NDArray[np.uint8]

HEIGHT = 96
"""Rows of a rendered US plate; wide plates have somewhat fewer."""

_WORDS = (
    *("Florida", "California", "TEXAS", "New York", "Georgia", "Ohio", "Michigan", "Virginia", "Arizona"),
    *("COLORADO", "Oregon", "Washington", "UTAH", "Nevada", "Idaho", "Montana", "WYOMING", "Kansas", "Iowa"),
    *("Missouri", "Arkansas", "Louisiana", "Mississippi", "Alabama", "Tennessee", "Kentucky", "Indiana"),
    *("Illinois", "WISCONSIN", "Minnesota", "North Dakota", "South Dakota", "NEBRASKA", "Oklahoma", "MAINE"),
    *("New Mexico", "Hawaii", "Alaska", "Maryland", "Delaware", "Pennsylvania", "New Jersey", "Vermont"),
    *("Connecticut", "Rhode Island", "Massachusetts", "New Hampshire", "South Carolina", "North Carolina"),
    *("West Virginia", "Puerto Rico", "Ontario", "Quebec", "ALBERTA", "British Columbia", "NEW SOUTH WALES"),
)
_SLOGANS = (
    *("SUNSHINE STATE", "Garden State", "In God We Trust", "EMPIRE STATE", "Land of Lincoln", "Great Lakes"),
    *("10,000 lakes", "FAMOUS POTATOES", "Constitution State", "The Natural State", "LIVE FREE OR DIE"),
    *("EXEMPT", "DEALER", "COMMERCIAL", "APPORTIONED", "DISABLED VETERAN", "WAKE", "MARSHALL", "SHELBY"),
    *("Evergreen State", "Grand Canyon State", "PEACE GARDEN STATE", "FIRST IN FLIGHT", "dmv.example.us"),
)
_FRAMES = (
    *("SPRINGFIELD MOTORS", "Bill's Ford", "TOYOTA of Weston", "HONDA", "BAYSIDE AUTO GROUP", "GO TIGERS"),
    *("www.autohaus.example", "Autohaus Meyer", "UNIVERSITY ALUMNI", "MY OTHER CAR", "HARBOR CHEVROLET"),
    *("LAKE CITY USED CARS", "SANTA MONICA", "555-0142", "VALLEY", "MERCEDES-BENZ", "I LOVE MY DOG"),
)
_CITIES = ("SP-CAMPINAS", "PR-CURITIBA", "RJ-NITEROI", "MG-UBERABA", "SC-LAGES", "BRASIL", "PR-LONDRINA")


@dataclass(frozen=True, slots=True)
class Plate:
    """One rendered plate: uint8 (height, width) of the plate alone, and its lines of text, upper first.

    `text` is what the whole plate says in one cut: "" where there are two lines, each of which is read in a
    cut of its own.
    """

    image: Grey
    lines: tuple[str, ...]

    @property
    def two_lines(self) -> bool:
        return len(self.lines) > 1

    @property
    def text(self) -> str:
        return "" if self.two_lines else self.lines[0]


def render(rng: np.random.Generator) -> Plate:
    """A random plate: six of ten are American, the rest from elsewhere; one in 14 has two rows."""
    pick = rng.random()
    if pick < 0.07:
        return _two_lines(rng)
    if pick < 0.62:
        return _american(rng)
    if pick < 0.80:
        return _wide(rng, "uk" if rng.random() < 0.35 else "eu", float(rng.uniform(4.0, 4.8)))
    if pick < 0.9:
        return _brazilian(rng)
    return _wide(rng, "wide", float(rng.uniform(2.4, 4.4)))


def _american(rng: np.random.Generator) -> Plate:
    height, width = HEIGHT, round(HEIGHT * float(rng.uniform(1.9, 2.1)))
    ground = _ground(height, width, rng)
    dark_ink = rng.random() < 0.8
    base = _base(rng, light=dark_ink)
    plate = base + ground * float(rng.uniform(5, 45))
    ink = _ink(base, rng)
    if rng.random() < 0.4:
        _scenery(plate, base, rng)
    if rng.random() < 0.3:
        _band(plate, 0, int(height * rng.uniform(0.12, 0.3)), ink, base, rng)
    if rng.random() < 0.25:
        _band(plate, int(height * rng.uniform(0.76, 0.9)), height, ink, base, rng)
    tokens = serial("us", rng)
    cap = round(height * float(rng.uniform(0.40, 0.52)))
    centre = float(rng.uniform(0.48, 0.58)) * height
    left, right = 0.03 * width, 0.97 * width
    if rng.random() < 0.12 and len(text_of(tokens)) <= 6:
        left = width * float(rng.uniform(0.2, 0.32))
        _symbol(plate, (0.04 * width, centre - cap / 2, left - 4, centre + cap / 2), ink, base, rng)
    _write(plate, tokens, cap, (left, right), centre, ink, base, rng)
    label_ink = _ink(base, rng)
    if rng.random() < 0.9:
        _letter(
            plate,
            _choice(_WORDS, rng),
            (0.5, rng.uniform(0.09, 0.14)),
            rng.uniform(0.11, 0.2),
            label_ink,
            rng,
        )
    if rng.random() < 0.75:
        _letter(
            plate,
            _choice(_SLOGANS, rng),
            (0.5, rng.uniform(0.88, 0.93)),
            rng.uniform(0.07, 0.14),
            label_ink,
            rng,
        )
    for x, y in ((0.1, 0.11), (0.9, 0.11), (0.1, 0.88), (0.9, 0.88)):
        if rng.random() < 0.3:
            _sticker(plate, x + float(rng.uniform(-0.03, 0.03)), y, rng)
    _bolts(plate, rng)
    if rng.random() < 0.5:
        _rim(plate, rng)
    if rng.random() < 0.35:
        plate = _frame(plate, rng)
    return _finish(plate, [tokens], rng)


def _wide(rng: np.random.Generator, style: str, aspect: float) -> Plate:
    height = 80
    width = round(height * aspect)
    base = _base(rng, light=rng.random() < 0.88)
    plate = base + _ground(height, width, rng) * float(rng.uniform(2, 14))
    ink = _ink(base, rng)
    left, right = 0.04 * width, 0.96 * width
    if rng.random() < (0.7 if style == "eu" else 0.25):
        left = width * float(rng.uniform(0.085, 0.12))
        _country_band(plate, 0, int(left), rng)
        left += 0.02 * width
    if style == "eu" and rng.random() < 0.2:
        right = width * float(rng.uniform(0.88, 0.92))
        _country_band(plate, int(right), width, rng)
    tokens = serial(style, rng)
    cap = round(height * float(rng.uniform(0.6, 0.78)))
    centre = height * float(rng.uniform(0.46, 0.54))
    _write(plate, tokens, cap, (left, right), centre, ink, base, rng)
    if rng.random() < 0.2:
        _letter(plate, _choice(_FRAMES, rng), (0.5, 0.94), 0.09, ink, rng)
    _bolts(plate, rng)
    if rng.random() < 0.6:
        _rim(plate, rng)
    if rng.random() < 0.3:
        plate = _frame(plate, rng)
    return _finish(plate, [tokens], rng)


def _brazilian(rng: np.random.Generator) -> Plate:
    height = HEIGHT
    width = round(height * float(rng.uniform(2.5, 3.1)))
    base = _base(rng, light=rng.random() < 0.6)
    plate = base + _ground(height, width, rng) * float(rng.uniform(2, 10))
    ink = _ink(base, rng)
    if rng.random() < 0.3:
        _band(plate, 0, round(height * 0.24), ink, base, rng)
    else:
        _letter(plate, _choice(_CITIES, rng), (0.5, 0.14), 0.15, ink, rng)
    tokens = serial("br", rng)
    cap = round(height * float(rng.uniform(0.48, 0.58)))
    _write(plate, tokens, cap, (0.04 * width, 0.96 * width), height * 0.61, ink, base, rng)
    _bolts(plate, rng)
    if rng.random() < 0.6:
        _rim(plate, rng)
    return _finish(plate, [tokens], rng)


def _two_lines(rng: np.random.Generator) -> Plate:
    height = HEIGHT
    width = round(height * float(rng.choice([1.15, 1.35, 1.5, 2.0, 2.4, 2.6, 3.4])))
    base = _base(rng, light=rng.random() < 0.85)
    plate = base + _ground(height, width, rng) * float(rng.uniform(2, 14))
    ink = _ink(base, rng)
    cap = height * float(rng.uniform(0.29, 0.42))
    left = 0.05 * width
    if rng.random() < 0.4:
        left = 0.16 * width
        _country_band(plate, 0, int(0.13 * width), rng)
    face = _face(rng)
    lines = two_lines(rng)
    smaller = float(rng.uniform(0.65, 1.0)) if rng.random() < 0.25 else 1.0
    for tokens, centre, size in zip(lines, (0.27, 0.75), (smaller, 1.0), strict=True):
        middle = height * (centre + float(rng.uniform(-0.02, 0.02)))
        _write(plate, tokens, round(cap * size), (left, 0.95 * width), middle, ink, base, rng, face)
    _bolts(plate, rng)
    if rng.random() < 0.6:
        _rim(plate, rng)
    return _finish(plate, lines, rng)


# ---- parts: each draws into `plate`, float32 (height, width) of grey levels 0..255


def _write(
    plate: NDArray[np.float32],
    tokens: list[Token],
    cap: int,
    span: tuple[float, float],
    centre: float,
    ink: float,
    base: float,
    rng: np.random.Generator,
    face: Face | None = None,
) -> None:
    """Write a serial of letters `cap` high into the columns `span`, stretched only where it must."""
    face = face or _face(rng)
    gap = float(rng.uniform(0.06, 0.24))
    stretch = float(rng.uniform(0.8, 1.2))
    weight = int(rng.choice([-1, 0, 0, 0, 1, 1, 2]))
    pitch = bool(rng.random() < 0.6)
    space = max(round(cap * float(rng.uniform(0.15, 0.55))), 2)
    pieces: list[tuple[Token, Mask | int]] = []
    for token in tokens:
        if token.kind is Kind.SPACE:
            pieces.append((token, space))
        elif token.kind is Kind.SYMBOL:
            pieces.append((token, max(round(cap * float(rng.uniform(0.2, 0.75))), 3)))
        elif token.kind is Kind.STACK:
            part = round(cap * (0.49 if len(token.text) == 2 else 0.31))
            step = cap - part if len(token.text) == 2 else (cap - part) // 2
            letters = [
                serial_mask(face, c, part, stretch * 1.1, gap, min(weight, 0), False) for c in token.text
            ]
            stack = np.zeros((cap, max(letter.shape[1] for letter in letters)), np.uint8)
            for row, letter in enumerate(letters):
                x = (stack.shape[1] - letter.shape[1]) // 2
                stack[row * step : row * step + part, x : x + letter.shape[1]] = letter
            pieces.append((token, stack))
        else:
            rows = cap if token.kind is Kind.TEXT else round(cap * float(rng.uniform(0.55, 0.8)))
            line = serial_mask(face, token.text, rows, stretch, gap, weight, pitch)
            if rows < cap:
                top = int(rng.integers(0, cap - rows + 1))
                line = np.pad(line, ((top, cap - rows - top), (0, 0)))
            pieces.append((token, line))
    join = max(round(gap * cap), 1)
    widths = [piece if isinstance(piece, int) else piece.shape[1] for _, piece in pieces]
    total = sum(widths) + join * (len(pieces) - 1)
    mask = np.zeros((cap, total), np.uint8)
    symbols: list[tuple[int, int]] = []
    x = 0
    for (token, piece), width in zip(pieces, widths, strict=True):
        if not isinstance(piece, int):
            mask[:, x : x + width] = piece
        elif token.kind is Kind.SYMBOL:
            symbols.append((x, x + width))
        x += width + join
    room = span[1] - span[0]
    fit = min(room / total, 1.0)
    if fit == 1.0 and rng.random() < 0.5:
        fit = min(room / total, float(rng.uniform(1.0, 1.25)))
    mask = np.asarray(
        cv2.resize(mask, (max(int(total * fit), 1), cap), interpolation=cv2.INTER_AREA), np.uint8
    )
    slack = room - mask.shape[1]
    left = int(span[0] + slack * (0.5 if rng.random() < 0.7 else rng.random()))
    top = int(np.clip(centre - cap / 2, 0, plate.shape[0] - cap))
    for begin, end in symbols:
        box = (left + begin * fit, top + 0.0, left + end * fit, top + float(cap))
        _symbol(plate, box, ink, base, rng)
    _stamp(plate, mask, left, top, ink, relief=float(rng.uniform(0, 60)) if rng.random() < 0.6 else 0.0)


def _stamp(plate: NDArray[np.float32], mask: Mask, left: int, top: int, ink: float, relief: float) -> None:
    """Lay `mask` in the grey level `ink`; `relief` is how bright the embossed edge catches light."""
    height, width = mask.shape
    if left < 0 or top < 0 or left + width > plate.shape[1] or top + height > plate.shape[0]:
        mask = mask[max(-top, 0) : plate.shape[0] - top, max(-left, 0) : plate.shape[1] - left]
        left, top = max(left, 0), max(top, 0)
        height, width = mask.shape
    if not mask.size:
        return
    region = plate[top : top + height, left : left + width]
    alpha = mask.astype(np.float32) / 255
    if relief:
        soft = cv2.GaussianBlur(alpha, (0, 0), 1.2)
        region += relief * (np.roll(soft, (-1, -1), (0, 1)) - np.roll(soft, (1, 1), (0, 1)))
    region += alpha * (ink - region)


def _letter(
    plate: NDArray[np.float32],
    text: str,
    place: tuple[float, float],
    share: float,
    ink: float,
    rng: np.random.Generator,
) -> None:
    """Print `text` centred at `place` (shares of width and height), `share` of the plate high."""
    mask = printed(text, rng)
    rows = max(int(plate.shape[0] * share), 5)
    columns = min(
        round(mask.shape[1] * rows / mask.shape[0] * float(rng.uniform(0.8, 1.25))), int(plate.shape[1] * 0.9)
    )
    mask = np.asarray(cv2.resize(mask, (max(columns, 3), rows), interpolation=cv2.INTER_AREA), np.uint8)
    left = int(place[0] * plate.shape[1] - mask.shape[1] / 2)
    top = int(place[1] * plate.shape[0] - rows / 2)
    _stamp(plate, mask, left, top, ink, relief=0.0)


def _symbol(
    plate: NDArray[np.float32],
    box: tuple[float, float, float, float],
    ink: float,
    base: float,
    rng: np.random.Generator,
) -> None:
    """Draw a separator or emblem inside `box` (left, top, right, bottom): never a letter's shape."""
    x0, y0, x1, y1 = box
    cx, cy, half = (x0 + x1) / 2, (y0 + y1) / 2, max((x1 - x0) / 2, 1.5)
    tone = ink if rng.random() < 0.6 else float(rng.uniform(min(ink, base), max(ink, base)))
    kind = rng.integers(8)
    reach = (y1 - y0) / 2
    if kind == 0:
        size = max(int(reach * rng.uniform(0.12, 0.3)), 1)
        cv2.circle(plate, (round(cx), round(cy)), min(size, max(int(half), 1)), tone, -1, cv2.LINE_AA)
    elif kind == 1:
        thick = max(int(reach * rng.uniform(0.12, 0.3)), 1)
        cv2.line(plate, (round(x0 + 1), round(cy)), (round(x1 - 1), round(cy)), tone, thick, cv2.LINE_AA)
    elif kind == 2:
        # Two seals above each other, as on German and Austrian plates.
        size = max(int(min(half, reach * 0.42)), 1)
        for y, level in ((cy - reach * 0.45, tone), (cy + reach * 0.45, float(rng.uniform(40, 220)))):
            cv2.circle(plate, (round(cx), round(y)), size, level, -1, cv2.LINE_AA)
            cv2.circle(plate, (round(cx), round(y)), size, float(rng.uniform(30, 230)), 1, cv2.LINE_AA)
    else:
        # A state's outline, a tree, a crest: a star-shaped polygon with a random outline.
        count = int(rng.integers(3, 12))
        angle = np.sort(rng.uniform(0, 2 * np.pi, count))
        radius = rng.uniform(0.45, 1.0, count)
        tall = min(reach, half * float(rng.uniform(0.8, 2.4)))
        points = np.stack([cx + half * radius * np.cos(angle), cy + tall * radius * np.sin(angle)], axis=1)
        cv2.fillPoly(plate, [np.round(points).astype(np.int32)], tone, cv2.LINE_AA)
        if rng.random() < 0.4:
            level = float(rng.uniform(0, 255))
            cv2.circle(plate, (round(cx), round(cy)), max(int(half * 0.4), 1), level, 1, cv2.LINE_AA)


def _scenery(plate: NDArray[np.float32], base: float, rng: np.random.Generator) -> None:
    """Mountains, suns and blobs behind the serial, fainter than any ink."""
    height, width = plate.shape
    layer = plate.copy()
    for _ in range(int(rng.integers(1, 5))):
        level = float(np.clip(base + rng.uniform(-90, 60), 0, 255))
        if rng.random() < 0.5:
            xs = np.linspace(0, width, int(rng.integers(4, 14)))
            ys = height * rng.uniform(0.35, 0.95) + rng.uniform(-0.2, 0.2, xs.size) * height
            outline = np.concatenate([np.stack([xs, ys], axis=1), [[width, height], [0, height]]])
            cv2.fillPoly(layer, [outline.astype(np.int32)], level, cv2.LINE_AA)
        else:
            centre = (int(rng.integers(width)), int(rng.integers(height)))
            axes = (int(rng.integers(4, width // 4)), int(rng.integers(4, height // 2)))
            cv2.ellipse(layer, centre, axes, float(rng.uniform(0, 180)), 0, 360, level, -1, cv2.LINE_AA)
    share = float(rng.uniform(0.2, 0.6))
    plate += share * (cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(0.5, 3))) - plate)


def _band(
    plate: NDArray[np.float32], top: int, bottom: int, ink: float, base: float, rng: np.random.Generator
) -> None:
    level = float(rng.uniform(min(ink, base), max(ink, base)))
    plate[top:bottom] += float(rng.uniform(0.3, 1.0)) * (level - plate[top:bottom])


def _country_band(plate: NDArray[np.float32], left: int, right: int, rng: np.random.Generator) -> None:
    """The EU's blue band: stars above, one to three letters below."""
    plate[:, left:right] = float(rng.uniform(25, 110))
    width, centre = right - left, (left + right) / 2
    light = float(rng.uniform(150, 240))
    if width < 6:
        return
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        x, y = centre + 0.3 * width * np.cos(angle), plate.shape[0] * 0.3 + 0.3 * width * np.sin(angle)
        plate[int(np.clip(y, 0, plate.shape[0] - 1)), int(np.clip(x, 0, plate.shape[1] - 1))] = light
    mask = printed(
        _choice(("D", "F", "I", "NL", "B", "PL", "CZ", "E", "P", "RO", "GB", "IND", "S"), rng), rng
    )
    size = (max(int(width * 0.55), 2), max(int(plate.shape[0] * 0.22), 4))
    mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    _stamp(plate, mask, int(centre - size[0] / 2), int(plate.shape[0] * 0.66), light, relief=0.0)


def _sticker(plate: NDArray[np.float32], x: float, y: float, rng: np.random.Generator) -> None:
    height, width = plate.shape
    half_w, half_h = width * float(rng.uniform(0.03, 0.065)), height * float(rng.uniform(0.06, 0.11))
    left, right = (int(np.clip(v, 0, width)) for v in (x * width - half_w, x * width + half_w))
    top, bottom = (int(np.clip(v, 0, height)) for v in (y * height - half_h, y * height + half_h))
    if right - left < 4 or bottom - top < 4:
        return
    level = float(rng.uniform(20, 245))
    plate[top:bottom, left:right] = level
    mask = printed(_choice(("09", "11", "JAN", "MAY", "OCT", "23", "4", "17", "DEC", "AUG"), rng), rng)
    size = (max(int((right - left) * 0.8), 2), max(int((bottom - top) * 0.75), 2))
    mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    _stamp(plate, mask, left + 1, top + 1, 245.0 if level < 120 else 10.0, relief=0.0)


def _bolts(plate: NDArray[np.float32], rng: np.random.Generator) -> None:
    height, width = plate.shape
    if rng.random() < 0.3:
        return
    inset, rise = float(rng.uniform(0.12, 0.3)), float(rng.uniform(0.06, 0.12))
    level, radius = float(rng.uniform(0, 255)), max(int(height * rng.uniform(0.012, 0.04)), 1)
    for x, y in ((inset, rise), (1 - inset, rise), (inset, 1 - rise), (1 - inset, 1 - rise)):
        if rng.random() < 0.7:
            cv2.circle(plate, (round(x * width), round(y * height)), radius, level, -1, cv2.LINE_AA)


def _rim(plate: NDArray[np.float32], rng: np.random.Generator) -> None:
    """The embossed or painted line along the plate's edge."""
    height, width = plate.shape
    inset = max(int(height * rng.uniform(0.0, 0.05)), 0)
    level, thick = float(rng.uniform(0, 255)), max(int(height * rng.uniform(0.01, 0.04)), 1)
    cv2.rectangle(plate, (inset, inset), (width - 1 - inset, height - 1 - inset), level, thick, cv2.LINE_AA)


def _frame(plate: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A dealer's frame: it stands around the plate, hides its edges, and carries lettering."""
    height, width = plate.shape
    side, top, bottom = (
        max(int(height * rng.uniform(low, high)), 2)
        for low, high in ((0.03, 0.09), (0.05, 0.16), (0.08, 0.22))
    )
    level = float(rng.choice([rng.uniform(5, 60), rng.uniform(150, 240)]))
    over = float(rng.uniform(0.4, 0.8))
    framed = np.full((height + int((top + bottom) * (1 - over)), width + side), level, np.float32)
    y, x = int(top * (1 - over)), side // 2
    framed[y : y + height, x : x + width] = plate
    for band in (framed[:top], framed[-bottom:], framed[:, :side], framed[:, -side:]):
        band[:] = level
    cv2.rectangle(framed, (side, top), (framed.shape[1] - side, framed.shape[0] - bottom), level + 40, 1)
    tone = 235.0 if level < 110 else 20.0
    if rng.random() < 0.7:
        share = bottom / framed.shape[0]
        _letter(framed, _choice(_FRAMES, rng), (0.5, 1 - share / 2), share * 0.75, tone, rng)
    if rng.random() < 0.5 and top > 7:
        share = top / framed.shape[0]
        _letter(framed, _choice(_FRAMES, rng), (0.5, share / 2), share * 0.75, tone, rng)
    return framed


def _ground(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Slow changes of tone, about -1..1: printed gradients, dirt, uneven light."""
    ramp = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * float(rng.uniform(-1, 1))
    ramp = ramp + np.linspace(-1, 1, width, dtype=np.float32)[None] * float(rng.uniform(-0.5, 0.5))
    coarse = rng.standard_normal((4, 8)).astype(np.float32)
    return np.asarray(
        ramp + 0.4 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
    )


def _base(rng: np.random.Generator, light: bool) -> float:
    return float(rng.uniform(130, 250) if light else rng.uniform(10, 120))


def _ink(base: float, rng: np.random.Generator) -> float:
    """A grey level that a person can tell from `base`."""
    distance = float(rng.uniform(70, 220))
    dark, light = base - distance, base + distance
    return max(dark, 5.0) if base > 128 else min(light, 250.0)


def _face(rng: np.random.Generator) -> Face:
    faces = die_faces()
    return faces[int(rng.integers(len(faces)))]


def _choice(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _finish(plate: NDArray[np.float32], lines: Sequence[list[Token]], rng: np.random.Generator) -> Plate:
    """Shadow across the plate, then bytes."""
    if rng.random() < 0.25:
        height, width = plate.shape
        shade = np.ones((height, width), np.float32)
        x = rng.uniform(-0.3, 1.3, 2) * width
        points = np.array([[0, 0], [x[0], 0], [x[1], height], [0, height]])
        if rng.random() < 0.5:
            y = rng.uniform(0.05, 0.6, 2) * height
            points = np.array([[0, 0], [width, 0], [width, y[0]], [0, y[1]]])
        cv2.fillPoly(shade, [points.astype(np.int32)], float(rng.uniform(0.35, 0.8)), cv2.LINE_AA)
        plate = plate * shade
    return Plate(np.clip(plate, 0, 255).astype(np.uint8), tuple(text_of(tokens) for tokens in lines))
