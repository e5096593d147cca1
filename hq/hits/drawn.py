"""Draws the listed plate, to stand beside the picture of the plate that was read.

Owns the plain design: no state's own, so that nobody takes the drawing for a photograph.
"""

from __future__ import annotations

import base64
import io

from PIL import Image, ImageFont

from plates.draw import PlateDesign, draw_plate
from plates.errors import DesignError

WIDTH = 520


def listed(plate: str, state: str) -> str:
    """The listed plate as a data URL of a PNG; "" where it cannot be drawn."""
    font = ImageFont.load_default(64)
    if not isinstance(font, ImageFont.FreeTypeFont):
        return ""
    design = PlateDesign(font, border=(24, 32, 84), state=state, bolts=False, embossed=False)
    try:
        sheet = Image.fromarray(draw_plate(plate, design, WIDTH))
    except DesignError:
        return ""
    packed = io.BytesIO()
    sheet.save(packed, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()
