"""Renders the demonstration clip: `python -m hw.sim.clip [OUT]`.

Owns the clip's content: a few passages of the living street, small enough for the repository.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import Final

from PIL import Image

from hw.settings import CameraSettings
from hw.sim import traffic
from hw.sim.clock import SimClock
from hw.sim.street import Street, one_by_one
from hw.sim.video import CLIP

SEED: Final = 7
FRAMES: Final = 60
EVERY: Final = 2  # of the street's frames one is kept


def render(out: Path) -> None:
    """Write the clip as an animated WebP of FRAMES frames."""
    settings = CameraSettings(source="street:day", fps=0, seed=SEED)
    wide = (one for one in traffic.passages(SEED, frames=(16, 24), light="day") if one.width >= 80)
    street = Street(settings, SimClock(), one_by_one(islice(wide, 20)))
    frames = [Image.fromarray(street.frame(1.0).image) for _ in range(FRAMES * EVERY)][::EVERY]
    out.parent.mkdir(parents=True, exist_ok=True)
    duration = round(1000 * EVERY / traffic.FPS)
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=duration, quality=30, method=6)


if __name__ == "__main__":
    render(Path(sys.argv[1]) if len(sys.argv) > 1 else CLIP)
