"""`platewarden run`: the unit, until it is stopped or its source ends.

Owns the command's options. The process is built by `firmware.app`. Plate text is printed only where the
site is marked as a demonstration.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firmware.config import Settings
from firmware.errors import Exit, UsageError

HELP = "read plates until stopped, or until the source ends"
NEEDS_CONFIG = True


class _Camera(argparse.Action):
    """--camera SOURCE is --set camera.source=SOURCE, its folder or file taken from here."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        kind, colon, name = str(values).partition(":")
        if kind in ("folder", "video") and name:
            name = str(Path(name).absolute())
        namespace.overrides = [*namespace.overrides, f"camera.source={kind}{colon}{name}"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run the unit: camera, detector, hot list, store, lamps, and the way to HQ. Under systemd it tells"
        " when it is ready and feeds the watchdog. A folder or a clip ends it; so do SIGTERM and Ctrl-C."
    )
    parser.add_argument(
        "--camera",
        dest="overrides",
        action=_Camera,
        default=argparse.SUPPRESS,
        metavar="SOURCE",
        help="use SOURCE in the place of camera.source, such as folder:DIR, video:FILE or street",
    )
    parser.add_argument("--count", type=int, metavar="N", help="end after N frames")
    parser.add_argument("--once", action="store_true", help="end after the first read")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="S",
        help="after the last frame wait up to S seconds for HQ to receipt what is queued",
    )


def run(args: argparse.Namespace) -> int:
    from firmware import app
    from firmware.cli import software_version
    from firmware.demo import Terminal

    if args.count is not None and args.count < 1:
        raise UsageError("--count must be at least 1")
    settings: Settings = args.settings
    terminal = Terminal() if settings.unit.demo else None
    ending = app.Ending(
        frames=math.inf if args.count is None else args.count, once=args.once, wait_s=args.wait
    )
    app.run(settings, software_version(), ending, terminal.show if terminal is not None else None)
    return Exit.OK
