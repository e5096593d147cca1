"""Privacy masks: parts of the picture that nothing after the camera ever sees (430.7-a)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from hw.protocols import Pixels
from hw.settings import Mask


class Masks:
    """The masks of one camera, blackened in place in pictures of any size."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        """`masks` as in CameraSettings.masks, in fractions of the picture."""
        self._masks = tuple(masks)
        self._covered: dict[tuple[int, int], np.ndarray[tuple[int, int], np.dtype[np.bool_]]] = {}

    def apply(self, image: Pixels) -> Pixels:
        """Blacken the masks in `image`, uint8 (h, w) or (h, w, 3), and give it back.

        A picture that may not be written to is copied first.
        """
        if not self._masks:
            return image
        size = (image.shape[0], image.shape[1])
        if size not in self._covered:
            self._covered[size] = self._draw(*size)
        if not image.flags.writeable:
            image = image.copy()
        image[self._covered[size]] = 0
        return image

    def _draw(self, height: int, width: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        canvas = Image.new("1", (width, height))
        draw = ImageDraw.Draw(canvas)
        for mask in self._masks:
            if len(mask) == 4:
                x, y, w, h = mask
                points = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
            else:
                points = list(zip(mask[::2], mask[1::2], strict=True))
            draw.polygon([(x * width, y * height) for x, y in points], fill=1)
        return np.asarray(canvas, dtype=np.bool_)
