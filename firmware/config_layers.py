"""Where configuration values come from: TOML files, the environment and --set, with file and line.

Owns the reading of the layers. What a value may be is `firmware.config_schema`; how the layers become
Settings is `firmware.config`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENV_PREFIX = "PLATEWARDEN__"

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*([A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*(?:\.\s*([A-Za-z0-9_-]+)\s*)?=""")
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
_SALVAGED = re.compile(r"__line\d+__")
_MOST_SYNTAX_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Given:
    """One value as a layer gives it.

    Attributes:
        section, key: where it belongs; `key` is "" for a section's header, whose value is {}, and for a
            value that stands outside any section, which is named by `section`.
        value: as TOML has it; the text itself where `textual`.
        origin: "FILE:LINE", "environment NAME" or "--set".
        folder: the folder that a relative path in it is taken from.
        textual: the value is text from the environment or the command line, not yet a TOML value.
    """

    section: str
    key: str
    value: object
    origin: str
    folder: Path
    textual: bool = False


def read_toml(path: Path, problems: list[str]) -> list[Given]:
    """All values in the file `path`; whatever is wrong with it is added to `problems`.

    A line with a syntax error is reported and left out, so that one run finds the errors after it too.
    """
    try:
        # "-sig": also with the mark that Windows Notepad puts at a file's beginning.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(f"{path}: is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}")
        return []
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror or error}")
        return []
    return list(_values(_parse(path, text, problems), _line_numbers(text), path))


def _parse(path: Path, text: str, problems: list[str]) -> dict[str, object]:
    lines = text.split("\n")
    for _ in range(_MOST_SYNTAX_ERRORS):
        try:
            return _join_salvaged(tomllib.loads("\n".join(lines) + "\n"))
        except tomllib.TOMLDecodeError as error:
            place = _PLACE.search(str(error))
            number = int(place[1]) if place and place[1] else len(lines)
            reason = _PLACE.sub("", str(error))
            problems.append(f"{path}:{number}: is not valid TOML: {reason[:1].lower()}{reason[1:]}")
            if place is None or not place[1] or not lines[number - 1]:
                return {}
            lines[number - 1] = _salvage(lines[number - 1], number)
    return {}


def _salvage(line: str, number: int) -> str:
    """What stands for a line that TOML refuses: nothing, or for a header one that keeps its keys apart."""
    header = _HEADER.match(line)
    if header and not _SALVAGED.search(line):
        name = re.sub(r"[^A-Za-z0-9_-]", "", header[1])
        return f"[__line{number}__{name}]"
    return ""


def _join_salvaged(data: dict[str, object]) -> dict[str, object]:
    joined = {name: value for name, value in data.items() if not _SALVAGED.match(name)}
    for name, value in data.items():
        table = joined.setdefault(_SALVAGED.sub("", name, count=1), {}) if _SALVAGED.match(name) else None
        if isinstance(table, dict) and isinstance(value, dict):
            joined[_SALVAGED.sub("", name, count=1)] = {**value, **table}
    return joined


def _values(data: Mapping[str, object], lines: Mapping[tuple[str, str], int], path: Path) -> Iterator[Given]:
    folder = path.absolute().parent
    for section, table in data.items():
        origin = _origin(path, lines.get((section, ""), lines.get(("", section))))
        if not isinstance(table, dict):
            yield Given(section, "", table, origin, folder)
            continue
        yield Given(section, "", {}, origin, folder)
        for key, value in table.items():
            where = _origin(path, lines.get((section, key), lines.get((section, ""))))
            yield Given(section, key, value, where, folder)


def _origin(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)


def _line_numbers(text: str) -> dict[tuple[str, str], int]:
    """Line of each (section, key), of each section as (section, ""), of each key outside as ("", key)."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    closing = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if closing:
            closing = "" if closing in line else closing
            continue
        closing = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
        if header := _HEADER.match(line):
            section = header[1].strip("\"' ")
            found.setdefault((section, ""), number)
        elif key := _KEY.match(line):
            name = key[1].strip("\"'")
            if key[2] and not section:
                found.setdefault((name, key[2]), number)
            found.setdefault((section, name), number)
    return found


def read_environment(environ: Mapping[str, str], problems: list[str]) -> list[Given]:
    """The values in variables PLATEWARDEN__SECTION__KEY; other variables are none of ours."""
    given = []
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX):
            continue
        section, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        origin = f"environment {name}"
        if not (section and separator and key):
            problems.append(f"{origin}: is no option's name: {ENV_PREFIX}SECTION__KEY is")
            continue
        given.append(Given(section, key, environ[name], origin, Path.cwd(), textual=True))
    return given


def read_overrides(overrides: Sequence[str], problems: list[str]) -> list[Given]:
    """The values of `--set section.key=value`, in order."""
    given = []
    for override in overrides:
        name, separator, value = override.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (separator and section and dot and key):
            problems.append(f"--set {override}: must be section.key=value")
            continue
        given.append(Given(section, key, value, "--set", Path.cwd(), textual=True))
    return given
