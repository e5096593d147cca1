"""Builds record dataclasses from parsed JSON by their annotations.

Owns the strictness of types and limits. JSON itself and the message around a record are
`mqtt.messages`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Callable
from enum import EnumType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from mqtt.errors import MessageError

Build = Callable[[object, str, list[str]], Any]
"""Takes parsed JSON, its dotted name and the list of unknown fields; returns the value."""

MAX_ITEMS = 100_000
"""Longest list that is read, whatever its field."""


@functools.cache
def decoder(kind: Any) -> Build:
    """The builder for a type: a record, str, int, float, bool, an enum, tuple, dict or union."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *limits = get_args(kind)
        return _limited(decoder(inner), limits)
    if origin in (types.UnionType, Union):
        (inner,) = (arg for arg in get_args(kind) if arg is not types.NoneType)
        return _optional(decoder(inner))
    if origin is tuple:
        return _tuple(get_args(kind))
    if origin is dict:
        return _dict(decoder(get_args(kind)[1]))
    if dataclasses.is_dataclass(kind):
        return _record(kind)
    if isinstance(kind, EnumType):
        return _enum(kind)
    return {str: _text, int: _integer, float: _number, bool: _boolean}[kind]


def _record(cls: Any) -> Build:
    hints = get_type_hints(cls, include_extras=True)
    fields = [(field.name, decoder(hints[field.name]), _required(field)) for field in dataclasses.fields(cls)]
    names = {name for name, _, _ in fields}

    def build(value: object, where: str, unknown: list[str]) -> Any:
        if not isinstance(value, dict):
            raise MessageError(f"{where}: is not an object")
        values = {}
        for name, field, required in fields:
            if name in value:
                values[name] = field(value[name], f"{where}.{name}", unknown)
            elif required:
                raise MessageError(f"{where}.{name}: is missing")
        unknown.extend(f"{where}.{key}" for key in value if key not in names)
        return cls(**values)

    return build


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _limited(inner: Build, limits: list[Any]) -> Build:
    def build(value: object, where: str, unknown: list[str]) -> Any:
        built = inner(value, where, unknown)
        for limit in limits:
            if fault := limit.fault(built):
                raise MessageError(f"{where}: {fault}")
        return built

    return build


def _optional(inner: Build) -> Build:
    return lambda value, where, unknown: None if value is None else inner(value, where, unknown)


def _tuple(args: tuple[Any, ...]) -> Build:
    if len(args) == 2 and args[1] is Ellipsis:
        item, length = decoder(args[0]), None
    else:
        item, length = decoder(args[0]), len(args)
        assert len(set(args)) == 1, "a tuple of mixed types has no decoder"

    def build(value: object, where: str, unknown: list[str]) -> Any:
        if not isinstance(value, list):
            raise MessageError(f"{where}: is not a list")
        if length is not None and len(value) != length:
            raise MessageError(f"{where}: has {len(value)} items, not {length}")
        if len(value) > MAX_ITEMS:
            raise MessageError(f"{where}: has more than {MAX_ITEMS} items")
        return tuple(item(part, f"{where}[{number}]", unknown) for number, part in enumerate(value))

    return build


def _dict(inner: Build) -> Build:
    def build(value: object, where: str, unknown: list[str]) -> Any:
        if not isinstance(value, dict):
            raise MessageError(f"{where}: is not an object")
        return {str(key): inner(part, f"{where}.{key}", unknown) for key, part in value.items()}

    return build


def _enum(kind: EnumType) -> Build:
    values = {member.value: member for member in kind}  # type: ignore[var-annotated]

    def build(value: object, where: str, unknown: list[str]) -> Any:
        if not isinstance(value, str) or value not in values:
            raise MessageError(f"{where}: is none of {', '.join(values)}")
        return values[value]

    return build


def _text(value: object, where: str, unknown: list[str]) -> str:
    if not isinstance(value, str):
        raise MessageError(f"{where}: is not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise MessageError(f"{where}: holds half of a character") from error
    return value


def _integer(value: object, where: str, unknown: list[str]) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MessageError(f"{where}: is not a whole number")
    return value


def _number(value: object, where: str, unknown: list[str]) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MessageError(f"{where}: is not a number")
    try:
        # Minus zero is zero: no database keeps the sign, and a record must read back as it was hashed.
        number = float(value) + 0.0
    except OverflowError as error:
        raise MessageError(f"{where}: is too large") from error
    if not math.isfinite(number):
        raise MessageError(f"{where}: is too large")
    return number


def _boolean(value: object, where: str, unknown: list[str]) -> bool:
    if not isinstance(value, bool):
        raise MessageError(f"{where}: is neither true nor false")
    return value
