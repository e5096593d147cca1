"""What every simulated camera does with a picture: the small grey one for the trigger."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hw.protocols import Pixels


def preview_of(image: Pixels, width: int) -> Pixels:
    """The luminance of `image`, uint8 (h, w, 3), scaled to `width` columns: uint8 (rows, width)."""
    height = max(round(image.shape[0] * width / image.shape[1]), 1)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
    return np.asarray(small.convert("L"))
