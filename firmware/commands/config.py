"""`platewarden config`: the effective configuration and where each value came from."""

from __future__ import annotations

import argparse

from firmware.config import Settings, default_values
from firmware.config_schema import SCHEMA, show

HELP = "print the effective configuration and where each value came from"
NEEDS_CONFIG = True


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--changed", action="store_true", help="print only what differs from the built-in defaults"
    )


def run(args: argparse.Namespace) -> int:
    print("\n".join(lines(args.settings, changed=args.changed)))
    return 0


def lines(settings: Settings, *, changed: bool) -> list[str]:
    """The configuration as TOML, each value with its origin as a comment; first, which files were read."""
    out = [f"# read: {path}" for path in settings.files] or ["# read: no file, only the built-in defaults"]
    out.append(f"# configuration hash: {settings.config_hash}")
    defaults = default_values()
    for section, options in SCHEMA.items():
        names = [f"{section}.{key}" for key in options]
        if changed:
            names = [name for name in names if settings.values[name] != defaults.get(name)]
        if not names:
            continue
        out += ["", f"[{section}]"]
        for name in names:
            text = f"{name.partition('.')[2]} = {show(settings.values[name])}"
            out.append(f"{text:<44} # {settings.origins[name]}")
    return out
