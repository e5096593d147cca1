"""The published contract, generated from `mqtt.records`: JSON Schema files and an AsyncAPI document.

`python -m mqtt.schema` writes them into mqtt/schema/, `--check` says whether they are up to date.
Descriptions are the records' docstrings.

A schema allows unknown fields, as the decoder does (`mqtt.messages`). Of a binary message it describes
the JSON part. Patterns are anchored, since JSON Schema's are not by themselves.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import sys
import types
from enum import EnumType
from pathlib import Path
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from mqtt.fields import Choice, Most, Pattern, Range
from mqtt.messages import BINARY, BINARY_TYPE, JSON_TYPE, MAJOR, NUMBERED, PLAIN, schema_name
from mqtt.records import Envelope
from mqtt.topics import DOWN, RETAINED, ROOT

FOLDER: Final = Path(__file__).with_name("schema")

Json = dict[str, Any]

_SUMMARIES: Final = {
    "read": "A vehicle has passed.",
    "hit": "A read matches a hot list entry: a lead, not a confirmation.",
    "picture": "The plate or the scene of a read.",
    "loss": "What the unit could not keep or send.",
    "access": "Who saw plate text on the unit, and why.",
    "status": "What the unit sees of itself; also its last will.",
    "chunk-request": "The unit asks for pieces of a hot list.",
    "receipt": "HQ has committed everything up to this number.",
    "chunk": "A piece of a hot list, sealed to one unit.",
    "hotlist": "Which hot list is in force for a group of units.",
}


def files() -> dict[str, str]:
    """Every generated file by its name."""
    made = {f"{name}.json": _text(message_schema(name)) for name in (*NUMBERED, *PLAIN)}
    return {**made, "asyncapi.json": _text(asyncapi())}


def message_schema(name: str) -> Json:
    """The JSON Schema (draft 2020-12) of a message's JSON part."""
    record = NUMBERED.get(name) or PLAIN[name]
    properties: Json = {"schema": {"const": schema_name(name)}}
    if name in NUMBERED:
        properties["envelope"] = {"$ref": "#/$defs/Envelope"}
    properties["record"] = {"$ref": f"#/$defs/{record.__name__}"}
    definitions: Json = {}
    if name in NUMBERED:
        _define(Envelope, definitions)
    _define(record, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:platewarden:{name}:{MAJOR}",
        "title": schema_name(name),
        "description": _SUMMARIES[name],
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "$defs": definitions,
    }


def asyncapi() -> Json:
    """The AsyncAPI 3.0 document: channels, operations as the unit sees them, messages."""
    channels: Json = {}
    operations: Json = {}
    messages: Json = {}
    for name in (*NUMBERED, *PLAIN):
        key = name.replace("-", "_")
        downward = name in DOWN or name == "hotlist"
        channels[key] = _channel(name, key)
        operations[("receive_" if downward else "send_") + key] = {
            "action": "receive" if downward else "send",
            "channel": {"$ref": f"#/channels/{key}"},
            "summary": _SUMMARIES[name],
            "bindings": {"mqtt": {"qos": 1, "retain": name in RETAINED, "bindingVersion": "0.2.0"}},
        }
        messages[key] = {
            "name": schema_name(name),
            "summary": _SUMMARIES[name],
            "contentType": BINARY_TYPE if name in BINARY else JSON_TYPE,
            "payload": {"$ref": f"./{name}.json"},
        }
        if name in BINARY:
            messages[key]["description"] = (
                "4 bytes, the length of the JSON part, big-endian; the JSON part, which the payload's"
                " schema describes; the picture's or the sealed piece's bytes."
            )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Platewarden, between unit and HQ",
            "version": f"{MAJOR}.0.0",
            "description": "Operations are the unit's: what it sends and what it receives.",
            "license": {"name": "AGPL-3.0-or-later"},
        },
        "defaultContentType": JSON_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _channel(name: str, key: str) -> Json:
    member = {"messages": {key: {"$ref": f"#/components/messages/{key}"}}}
    if name == "hotlist":
        group = {"group": {"description": "The group of units that follows the list."}}
        return {"address": f"{ROOT}/groups/{{group}}/hotlist", "parameters": group, **member}
    way = "down" if name in DOWN else "up"
    unit = {"unit": {"description": "The unit's id, the common name of its certificate."}}
    return {"address": f"{ROOT}/units/{{unit}}/{way}/{name}", "parameters": unit, **member}


def _define(record: Any, definitions: Json) -> None:
    if record.__name__ in definitions:
        return
    definitions[record.__name__] = {}
    hints = get_type_hints(record, include_extras=True)
    about, attributes = _documented(record)
    properties: Json = {}
    required = []
    for field in dataclasses.fields(record):
        schema = _schema(hints[field.name], definitions)
        if field.name in attributes:
            schema = {**schema, "description": attributes[field.name]}
        properties[field.name] = schema
        if field.default is dataclasses.MISSING:
            required.append(field.name)
    definitions[record.__name__] = {
        "description": about,
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _schema(kind: Any, definitions: Json) -> Json:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *limits = get_args(kind)
        schema = _schema(inner, definitions)
        for limit in limits:
            schema |= _limit(limit, schema)
        return schema
    if origin in (types.UnionType, Union):
        (inner,) = (arg for arg in get_args(kind) if arg is not types.NoneType)
        return {"anyOf": [_schema(inner, definitions), {"type": "null"}]}
    if origin is tuple:
        args = get_args(kind)
        items: Json = {"type": "array", "items": _schema(args[0], definitions)}
        return items if args[1] is Ellipsis else {**items, "minItems": len(args), "maxItems": len(args)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(get_args(kind)[1], definitions)}
    if dataclasses.is_dataclass(kind):
        _define(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}  # type: ignore[union-attr]
    if isinstance(kind, EnumType):
        return {"enum": [member.value for member in kind]}  # type: ignore[var-annotated]
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean"}[kind]}


def _limit(limit: Any, schema: Json) -> Json:
    match limit:
        case Pattern():
            return {"pattern": f"^({limit.regex})$"}
        case Range():
            ends = {"minimum": limit.low, "maximum": limit.high}
            return {key: _tidy(value, schema) for key, value in ends.items() if value is not None}
        case Choice():
            return {"enum": list(limit.values)}
        case Most():
            return {"maxLength" if schema.get("type") == "string" else "maxItems": limit.length}
    raise TypeError(f"{limit!r} has no form in JSON Schema")


def _tidy(value: float, schema: Json) -> float:
    return int(value) if schema.get("type") == "integer" else value


def _documented(record: Any) -> tuple[str, dict[str, str]]:
    """The docstring's text and what it says of each attribute."""
    about, _, rest = inspect.getdoc(record).partition("\nAttributes:\n")  # type: ignore[union-attr]
    attributes: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + rest):
        names, colon, text = entry.strip().partition(": ")
        if colon:
            words = " ".join(text.split())
            attributes |= {name.strip(): words for name in names.split(",")}
    return " ".join(about.split()), attributes


def _text(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the files, or with --check say which are out of date (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m mqtt.schema", description="generate mqtt/schema/")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args().check
    made = files()
    stale = sorted(name for name, text in made.items() if _read(FOLDER / name) != text)
    extra = sorted(path.name for path in FOLDER.glob("*") if path.name not in made)
    if check:
        for name in (*stale, *extra):
            print(f"mqtt/schema/{name} is out of date: run python -m mqtt.schema", file=sys.stderr)
        return 1 if stale or extra else 0
    FOLDER.mkdir(exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(made[name])
    for name in extra:
        (FOLDER / name).unlink()
    print(f"{len(stale)} of {len(made)} files written")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
