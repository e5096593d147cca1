"""docs/configuration.md, written from default.toml's comments and the schema.

Owns the page's shape. The words are default.toml's: a comment above a section or above one or more
options explains them.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from firmware.config import DEFAULTS
from firmware.config_schema import SCHEMA

_HEAD = """\
# Configuration

Generated from firmware/default.toml by `python -m firmware.config --docs`; edit that file instead.

The layers, each over the ones before it:

1. the defaults below;
2. `/etc/platewarden/platewarden.toml`, then `/etc/platewarden/conf.d/*.toml` in the order of their names;
   or, in the place of both, the file given with `--config FILE`;
3. environment variables `PLATEWARDEN__SECTION__KEY`, such as `PLATEWARDEN__MQTT__HOST`;
4. `--set section.key=value` on the command line.

`platewarden check` lists every mistake in one run, each with its file, line and option, and ends with exit
code 3 when there is one; an unknown option is a mistake. `platewarden config` prints the values in force
and where each came from, `platewarden config --changed` only those that differ from the default.

A relative path is taken from the folder of the file that names it; in the environment and on the command
line, from the working directory. Secrets stand in files of their own; the configuration holds their paths.
"""


def page() -> str:
    """The whole of docs/configuration.md."""
    parts = [_HEAD]
    for section, comment, options in _sections(DEFAULTS.read_text(encoding="utf-8")):
        parts.append(f"## [{section}]\n\n{_filled(comment)}")
        for comment, names in options:
            heads = "\n".join(
                f"- `{section}.{key}` = `{default}`: {SCHEMA[section][key].allowed}" for key, default in names
            )
            parts.append(f"{heads}\n\n{textwrap.indent(_filled(comment), '  ')}")
    return "\n".join(parts)


def _filled(comment: str) -> str:
    return textwrap.fill(comment, 105, break_long_words=False, break_on_hyphens=False) + "\n"


def _sections(text: str) -> Iterator[tuple[str, str, list[tuple[str, list[tuple[str, str]]]]]]:
    """(section, comment, [(comment, [(key, default as written)])]) for each section of default.toml."""
    section, about = "", ""
    options: list[tuple[str, list[tuple[str, str]]]] = []
    comment = ""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("#"):
            comment += line.removeprefix("#").rstrip()
        elif header := re.fullmatch(r"\[(\w+)\]", line):
            if section:
                yield section, about, options
            section, about, options, comment = header[1], comment.strip(), [], ""
        elif "=" in line:
            key, _, value = (part.strip() for part in line.partition("="))
            while value.count("[") > value.count("]"):
                value += " " + next(lines).strip()
            value = re.sub(r",? \]$", "]", value).replace("[ ", "[")
            if comment:
                options.append((comment.strip(), []))
            options[-1][1].append((key, value))
            comment = ""
        else:
            comment = ""
    yield section, about, options


def main(argv: Sequence[str]) -> int:
    """`python -m firmware.config --docs` prints the page, `--docs FILE` writes it."""
    parser = argparse.ArgumentParser(prog="python -m firmware.config")
    parser.add_argument("--docs", nargs="?", type=Path, const=Path("-"), required=True, metavar="FILE")
    target: Path = parser.parse_args(argv).docs
    if target == Path("-"):
        sys.stdout.write(page())
    else:
        target.write_text(page(), encoding="utf-8")
    return 0
