"""Draws a plate from a design: for the simulated street, the self-test and the documents.

Owns where things stand on a plate. It holds no font and no state's design: both come from the
caller. It adds no dirt, blur or perspective; whoever photographs the plate does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from os import PathLike, fspath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from plates.errors import DesignError

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255 each."""
Font = str | PathLike[str] | ImageFont.FreeTypeFont
"""A font file's path, or a font that Pillow has loaded; it is scaled as the plate needs."""

_SUPERSAMPLING = 4
_MAX_WIDTH = 2048
_GAP = 0.35  # a space between groups, in text heights
_DIES = "ABCDEFGHKLMNPRSTUVXYZ0234589"  # their common height makes all texts stand on the same lines


@dataclass(frozen=True, slots=True)
class PlateDesign:
    """What a plate looks like apart from its serial. Lengths are shares of the plate's height.

    Attributes:
        font: of the serial.
        aspect: width divided by height: 2.0 for the US, 4.73 for the EU.
        background, foreground: colours of the sheet and of the serial.
        border: colour of the line around, None for none.
        text_height: height of the serial's capital letters, 0.2..0.9.
        text_middle: where the middle of the serial stands, 0 top to 1 bottom.
        pitch: width of each character's place in text heights, so that all characters take the
            same room as on real dies; None takes the font's own widths.
        margin: free room left and right of the serial.
        state, slogan: small lines above and below the serial, "" for none.
        small_font: of those lines; the serial's where None.
        small_colour: of those lines; `foreground` where None.
        band: colour of a strip at the left, as on European plates, None for none.
        bolts: whether four bolts hold the plate.
        embossed: whether the serial and the border throw a faint edge of light and shade.
    """

    font: Font
    aspect: float = 2.0
    background: Colour = (244, 244, 240)
    foreground: Colour = (24, 32, 84)
    border: Colour | None = None
    text_height: float = 0.46
    text_middle: float = 0.52
    pitch: float | None = None
    margin: float = 0.08
    state: str = ""
    slogan: str = ""
    small_font: Font | None = None
    small_colour: Colour | None = None
    band: Colour | None = None
    bolts: bool = True
    embossed: bool = True


def draw_plate(text: str, design: PlateDesign, width: int) -> npt.NDArray[np.uint8]:
    """Draw one plate, flat and evenly lit.

    Args:
        text: the serial. A space is a gap between groups, "-" a small dash, any other character is
            drawn as the font has it; `plates.text.normalise(text)` is what a reader should read.
        design: how the plate looks.
        width: of the picture in pixels, 8 to 2048.

    Returns:
        uint8 (height, width, 3) RGB, where height = width / design.aspect, rounded.

    Raises:
        DesignError: the width or the design is out of range, the text is empty, or the font cannot
            be loaded or lacks a character's outline.
    """
    if not 8 <= width <= _MAX_WIDTH:
        raise DesignError(f"plate width must be 8 to {_MAX_WIDTH} pixels, not {width}")
    if not 1.0 <= design.aspect <= 8.0:
        raise DesignError(f"plate aspect must be 1 to 8, not {design.aspect}")
    if not 0.2 <= design.text_height <= 0.9:
        raise DesignError(f"text_height must be 0.2 to 0.9, not {design.text_height}")
    if not text.strip(" -"):
        raise DesignError("a plate needs a text")
    size = (width, max(1, round(width / design.aspect)))
    w, h = size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING
    sheet = Image.new("RGB", (w, h), design.background)
    left = 0
    if design.band is not None:
        left = round(0.42 * h)
        ImageDraw.Draw(sheet).rectangle((0, 0, left, h), fill=design.band)
    if design.border is not None:
        inset, line = round(0.02 * h), max(1, round(0.025 * h))
        ImageDraw.Draw(sheet).rounded_rectangle(
            (inset, inset, w - 1 - inset, h - 1 - inset), round(0.08 * h), outline=design.border, width=line
        )
    _stamp(sheet, _serial(text, design, h, w - left), design, left)
    small = design.small_font if design.small_font is not None else design.font
    colour = design.small_colour if design.small_colour is not None else design.foreground
    top = (design.text_middle - design.text_height / 2) / 2
    bottom = (1 + design.text_middle + design.text_height / 2) / 2
    for line_text, middle in ((design.state, top), (design.slogan, bottom)):
        if line_text:
            room = min(0.15, 1.4 * min(middle, 1 - middle))
            _small_line(sheet, line_text, small, colour, middle, room)
    if design.bolts:
        _bolts(sheet)
    return np.asarray(sheet.resize(size, Image.Resampling.BOX), dtype=np.uint8)


@lru_cache(maxsize=256)
def _open(path: str, size: int) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise DesignError(f"{path}: cannot be used as a font: {error}") from error


def _font(font: Font, size: int) -> ImageFont.FreeTypeFont:
    size = max(1, size)
    if isinstance(font, ImageFont.FreeTypeFont):
        return font.font_variant(size=size)
    return _open(fspath(font), size)


def _fitted(font: Font, height: int) -> tuple[ImageFont.FreeTypeFont, int, int]:
    """The font at the size whose capitals are `height` pixels high, with their top and bottom."""
    trial = _font(font, 256)
    _, top, _, bottom = trial.getbbox(_DIES)
    if bottom <= top:
        raise DesignError("the font has no outlines of capital letters")
    scaled = _font(font, round(256 * height / (bottom - top)))
    _, top, _, bottom = scaled.getbbox(_DIES)
    return scaled, int(top), max(int(bottom), int(top) + 1)


def _serial(text: str, design: PlateDesign, h: int, room: int) -> Image.Image:
    """The serial as a mask ("L", 255 where there is paint), no wider than its room."""
    height = max(1, round(design.text_height * h))
    font, top, bottom = _fitted(design.font, height)
    pitch = None if design.pitch is None else design.pitch * height
    places: list[tuple[str, float, float]] = []  # character, left edge, width of its place
    x = 0.0
    for char in text:
        if char == " ":
            step = _GAP * height
        elif char == "-":
            step = 0.5 * height
        else:
            step = font.getlength(char) if pitch is None else pitch
        places.append((char, x, step))
        x += step
    mask = Image.new("L", (max(1, round(x)), bottom - top), 0)
    for char, place, step in places:
        if char == "-":
            thick, middle = 0.05 * height, (bottom - top) / 2
            dash = (place + 0.25 * step, middle - thick, place + 0.75 * step, middle + thick)
            ImageDraw.Draw(mask).rectangle(dash, fill=255)
        elif char != " ":
            glyph = _glyph(font, char, top, bottom, round(step * 0.9) if pitch is not None else None)
            mask.paste(255, (round(place + (step - glyph.width) / 2), 0), glyph)
    wide = max(1, round(room - 2 * design.margin * h))
    if mask.width > wide:
        mask = mask.resize((wide, mask.height), Image.Resampling.BILINEAR)
    return mask


def _glyph(font: ImageFont.FreeTypeFont, char: str, top: int, bottom: int, widest: int | None) -> Image.Image:
    """One character as a mask, as high as the capitals; what is wider or hangs lower is squeezed, not cut."""
    left, glyph_top, right, glyph_bottom = font.getbbox(char)
    if right <= left or glyph_bottom <= glyph_top:
        raise DesignError(f"the font has no outline for {char!r}")
    height = bottom - top
    highest, lowest = min(top, int(glyph_top)), max(bottom, int(glyph_bottom))
    mask = Image.new("L", (round(right - left), lowest - highest), 0)
    ImageDraw.Draw(mask).text((-left, -highest), char, fill=255, font=font)
    if mask.height > height:
        mask = mask.resize((mask.width, height), Image.Resampling.BILINEAR)
    if widest is not None and mask.width > widest:
        mask = mask.resize((max(1, widest), mask.height), Image.Resampling.BILINEAR)
    return mask


def _stamp(sheet: Image.Image, mask: Image.Image, design: PlateDesign, left: int) -> None:
    x = left + (sheet.width - left - mask.width) // 2
    y = round(design.text_middle * sheet.height) - mask.height // 2
    if design.embossed:
        depth = max(1, round(0.008 * sheet.height))
        dark: Colour = tuple(round(0.72 * c) for c in design.background)  # type: ignore[assignment]
        light: Colour = tuple(round(c + 0.7 * (255 - c)) for c in design.background)  # type: ignore[assignment]
        sheet.paste(dark, (x + depth, y + depth), mask)
        sheet.paste(light, (x - depth, y - depth), mask)
    sheet.paste(design.foreground, (x, y), mask)


def _small_line(
    sheet: Image.Image, text: str, font: Font, colour: Colour, middle: float, room: float
) -> None:
    height = max(1, round(room * sheet.height))
    scaled, top, bottom = _fitted(font, height)
    left, _, right, lowest = scaled.getbbox(text)
    mask = Image.new("L", (max(1, round(right - left)), max(bottom, round(lowest)) - top), 0)
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=scaled)
    wide = round(0.62 * sheet.width)  # between the bolts
    if mask.width > wide:
        mask = mask.resize((wide, mask.height), Image.Resampling.BILINEAR)
    place = ((sheet.width - mask.width) // 2, round(middle * sheet.height) - (bottom - top) // 2)
    sheet.paste(colour, place, mask)


def _bolts(sheet: Image.Image) -> None:
    w, h = sheet.size
    radius = 0.028 * h
    pen = ImageDraw.Draw(sheet)
    for x in (0.14 * w, 0.86 * w):
        for y in (0.075 * h, 0.925 * h):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(120, 120, 122))
            pen.ellipse((x - radius, y - radius, x + 0.5 * radius, y + 0.5 * radius), fill=(176, 176, 178))
