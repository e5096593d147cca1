"""What each configuration option may be: the one place where every option is declared.

Owns kinds, ranges and choices. The defaults and the words that explain an option to its user stand in
default.toml; rules over several options are in `firmware.config_rules`.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mqtt.fields import UNIT_REGEX
from plates.words import CLASS_RULES, AlarmClass


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        allowed: what a value may be, in words that follow "must be".
        check: takes a TOML value and the folder of relative paths, gives the value that Settings hold;
            raises ValueError where it is not allowed.
        text: the value is a string, so that text from the environment needs no quotes.
    """

    allowed: str
    check: Callable[[object, Path], object]
    text: bool = False

    def parse(self, value: object, folder: Path, textual: bool) -> object:
        """The value as Settings hold it. Raises ValueError with the whole reason as its text."""
        if textual and not self.text:
            value = _from_text(str(value))
        try:
            return self.check(value, folder)
        except ValueError as error:
            detail = f" ({error})" if str(error) else ""
            raise ValueError(f"{show(value)} is not allowed: must be {self.allowed}{detail}") from None


def show(value: object) -> str:
    """A value as TOML writes it, for messages and `platewarden config`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
    if isinstance(value, Path):
        return show(str(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(show(item) for item in value) + "]"
    if value is None:
        return '""'
    return str(value)


def _from_text(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def flag() -> Option:
    def check(value: object, _: Path) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Option("true or false", check)


def whole(low: int, high: int, unit: str = "") -> Option:
    """A whole number from `low` to `high`, both included."""

    def check(value: object, _: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return Option(f"a whole number from {low} to {high}{unit and ' ' + unit}", check)


def number(low: float, high: float, unit: str = "") -> Option:
    """A number from `low` to `high`, both included; a whole number does as well."""

    def check(value: object, _: Path) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError
        return float(value)

    return Option(f"a number from {low:g} to {high:g}{unit and ' ' + unit}", check)


def word(pattern: str, allowed: str) -> Option:
    """A string that matches the whole of `pattern`."""
    compiled = re.compile(pattern)

    def check(value: object, _: Path) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError
        return value

    return Option(allowed, check, text=True)


def choice(*names: str) -> Option:
    def check(value: object, _: Path) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError
        return value

    return Option("one of " + ", ".join(show(name) for name in names), check, text=True)


def path(empty: str = "") -> Option:
    """A path, absolute or taken from the folder of the file that gives it.

    Args:
        empty: what "" means; where it means nothing the option cannot be left empty. An empty path is
            None in Settings.
    """

    def check(value: object, folder: Path) -> Path | None:
        if not isinstance(value, str) or "\0" in value or (not value and not empty):
            raise ValueError
        return folder / value if value else None

    return Option("a path" + (f', or "" for {empty}' if empty else ""), check, text=True)


def path_text(empty: str) -> Option:
    """A path that Settings hold as a string; "" means `empty`."""
    inner = path(empty)

    def check(value: object, folder: Path) -> str:
        found = inner.check(value, folder)
        return "" if found is None else str(found)

    return Option(inner.allowed, check, text=True)


def words(names: tuple[str, ...]) -> Option:
    """A list of different names out of `names`."""

    def check(value: object, _: Path) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError
        for item in value:
            if item not in names:
                raise ValueError(f"{show(item)} is none")
        if len(set(value)) < len(value):
            raise ValueError("one is named twice")
        return tuple(value)

    return Option("a list out of " + ", ".join(names), check)


def numbers(lengths: tuple[int, ...], bounds: tuple[tuple[float, float], ...], allowed: str) -> Option:
    """A list of numbers: its length is one of `lengths`, the nth lies within `bounds[n]`."""

    def check(value: object, _: Path) -> tuple[float, ...]:
        if not isinstance(value, list) or len(value) not in lengths:
            raise ValueError
        return tuple(_within(item, low, high) for item, (low, high) in zip(value, bounds, strict=False))

    return Option(allowed, check)


def _within(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{show(value)} is no number")
    if not low <= value <= high:
        raise ValueError(f"{show(value)} is outside {low:g} to {high:g}")
    return float(value)


def _source() -> Option:
    fixed = ("pi", "street", "street:day", "street:dusk", "street:night", "street:measure", "clip")

    def check(value: object, folder: Path) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise ValueError
        kind, _, name = value.partition(":")
        if kind in ("folder", "video") and name:
            return f"{kind}:{folder / name}"
        if value not in fixed:
            raise ValueError
        return value

    return Option("one of " + ", ".join(fixed) + ", folder:DIR, video:FILE", check, text=True)


def _masks() -> Option:
    def check(value: object, _: Path) -> tuple[tuple[float, ...], ...]:
        if not isinstance(value, list):
            raise ValueError
        return tuple(_mask(item) for item in value)

    return Option("a list of masks [x, y, width, height] or [x1, y1, x2, y2, x3, y3, ...] in 0 to 1", check)


def _mask(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not (len(value) == 4 or (len(value) >= 6 and len(value) % 2 == 0)):
        raise ValueError(f"{show(value)} is none")
    mask = tuple(_within(item, 0, 1) for item in value)
    if len(mask) == 4 and (mask[0] + mask[2] > 1 + 1e-9 or mask[1] + mask[3] > 1 + 1e-9):
        raise ValueError(f"{show(mask)} reaches beyond the picture")
    if len(mask) == 4 and not (mask[2] and mask[3]):
        raise ValueError(f"{show(mask)} covers nothing")
    return mask


def _output_pin() -> Option:
    def check(value: object, _: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not (value == 0 or 2 <= value <= 27):
            raise ValueError
        return value

    return Option("a GPIO number from 2 to 27, or 0 where none is fitted", check)


_UNIT = word(UNIT_REGEX, "1 to 64 of A-Z, a-z, 0-9, ., _ and -, starting with a letter or digit")
_NAME = word(r"[a-z0-9][a-z0-9-]{0,31}", "1 to 32 of a-z, 0-9 and -, not starting with -")
_LINE = word(r"[^\x00-\x1f\x7f]{0,128}", "at most 128 characters on one line")
_HOST = word(r"[A-Za-z0-9]([A-Za-z0-9._:%-]*[A-Za-z0-9])?|::1?", "a host name or an IP address")
_ALARM_CLASSES = tuple(name.value for name in AlarmClass if CLASS_RULES[name].allowed)

SCHEMA: Final[Mapping[str, Mapping[str, Option]]] = MappingProxyType(
    {
        "unit": {
            "id": _UNIT,
            "demo": flag(),
            "deployment": word(r"[^\x00-\x1f\x7f]{0,64}", "at most 64 characters on one line"),
            "deployment_required": flag(),
            "position": numbers(
                (0, 2, 3),
                ((-90, 90), (-180, 180), (0, 360)),
                "[], [latitude, longitude] or [latitude, longitude, heading] in degrees",
            ),
        },
        "camera": {
            "name": _NAME,
            "source": _source(),
            "index": whole(0, 1),
            "width": whole(640, 4096, "pixels"),
            "height": whole(360, 3072, "pixels"),
            "preview_width": whole(160, 1280, "pixels"),
            "fps": number(0, 60, "images a second"),
            "timeout_s": number(0.5, 60, "seconds"),
            "day_shutter_us": whole(50, 33000, "microseconds"),
            "day_gain": number(1, 16),
            "night_shutter_us": whole(50, 33000, "microseconds"),
            "night_gain": number(1, 16),
            "night_below": number(0, 255),
            "day_above": number(0, 255),
            "light_hold_s": number(0, 600, "seconds"),
            "masks": _masks(),
            "seed": whole(0, 2**63 - 1),
        },
        "trigger": {
            "kind": choice("motion", "gpio", "always"),
            "area": number(0.0005, 0.5),
            "contrast": number(2, 100, "grey levels"),
            "hold_s": number(0, 60, "seconds"),
            "pin": whole(2, 27),
            "active_high": flag(),
            "debounce_ms": whole(0, 1000, "milliseconds"),
        },
        "detector": {
            "models": path(empty="the models that came with the software"),
            "threads": whole(0, 16),
            "min_confidence": number(0, 1),
        },
        "passage": {
            "commit_s": number(0.05, 1.0, "seconds"),
            "settled_looks": whole(1, 50),
            "gone_s": number(0.1, 60, "seconds"),
            "rearm_s": number(0, 3600, "seconds"),
            "parked_s": number(1, 3600, "seconds"),
        },
        "hotlist": {
            "file": path(),
            "classes": words(_ALARM_CLASSES),
            "substitutions": whole(0, 2),
            "lookalike_score": number(0, 1),
            "max_age_h": number(0.1, 8760, "hours"),
        },
        "signals": {
            "alarm_lamp_pin": _output_pin(),
            "status_lamp_pin": _output_pin(),
            "buzzer_pin": _output_pin(),
            "button_pin": _output_pin(),
            "quiet": flag(),
            "alarm_s": number(1, 600, "seconds"),
        },
        "gps": {
            "enabled": flag(),
            "port": word(r"/[^\x00-\x1f]+", "the absolute path of a serial port"),
            "baud": whole(4800, 115200),
        },
        "clock": {
            "max_error_ms": number(10, 10000, "milliseconds"),
            "use_gps": flag(),
        },
        "store": {
            "directory": path(),
            "scene": choice("full", "vehicle", "none"),
            "blur": choice("none", "beyond", "cabin"),
            "jpeg_quality": whole(30, 95),
            "grace_h": number(0, 8760, "hours"),
            "min_free_mb": whole(1, 1_000_000, "MB"),
        },
        "access": {
            "people": path(empty="nobody"),
        },
        "mqtt": {
            "enabled": flag(),
            "host": _HOST,
            "port": whole(1, 65535),
            "tls": flag(),
            "allow_plain": flag(),
            "ca_file": path_text("the system's authorities"),
            "cert_file": path_text("none"),
            "key_file": path_text("none"),
            "username": _LINE,
            "password_file": path_text("none"),
            "group": _UNIT,
            "keepalive_s": whole(5, 3600, "seconds"),
            "connect_timeout_s": number(1, 120, "seconds"),
            "backoff_min_s": number(0.1, 3600, "seconds"),
            "backoff_max_s": number(0.1, 3600, "seconds"),
            "window": whole(1, 10000, "messages"),
            "inflight": whole(1, 1000, "messages"),
            "receipt_timeout_s": number(1, 86400, "seconds"),
            "status_interval_s": number(1, 3600, "seconds"),
            "list_key_file": path_text("no hot list over MQTT"),
            "list_secret_file": path_text("a file beside the store"),
        },
        "homeassistant": {
            "enabled": flag(),
            "host": _HOST,
            "port": whole(1, 65535),
            "tls": flag(),
            "allow_plain": flag(),
            "ca_file": path_text("the system's authorities"),
            "username": _LINE,
            "password_file": path_text("none"),
            "discovery_prefix": word(
                r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", "a topic of A-Z, a-z, 0-9, _, - and /"
            ),
            "plates": flag(),
        },
        "log": {
            "level": choice("debug", "info", "warning", "error"),
        },
    }
)
"""Every option of every section, in the order of default.toml."""
