"""Records to MQTT payloads and back, strictly.

Owns the layout of a payload. A JSON message is one object:

    {"schema": "platewarden.read/1", "envelope": {unit, store_id, sequence}, "record": {...}}

The envelope stands in numbered messages only (read, hit, picture, loss, access). A binary message
(picture, chunk) is a JSON message followed by bytes:

    4 bytes: length of the JSON message, big-endian | the JSON message | the bytes

Versions. "/1" is the major version: another one is refused. Within a major version fields are only
added, with a default, so that a missing field with a default takes it and an unknown field is
ignored but named in `Message.unknown`: an old HQ understands a newer unit and says what it did not.
Everything else is strict: types, closed lists, ranges, lengths, duplicate keys, NaN.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from mqtt.decoding import decoder
from mqtt.errors import MessageError
from mqtt.records import (
    AccessRecord,
    ChunkHeader,
    ChunkRequest,
    Envelope,
    Hit,
    Loss,
    Manifest,
    PictureHeader,
    Read,
    Receipt,
    Status,
)

MAJOR: Final = 1
MAX_JSON: Final = 4 << 20
MAX_BYTES: Final = 32 << 20

NUMBERED: Final = MappingProxyType(
    {"read": Read, "hit": Hit, "picture": PictureHeader, "loss": Loss, "access": AccessRecord}
)
"""The messages that carry an envelope, by the last part of their topic."""

PLAIN: Final = MappingProxyType(
    {
        "status": Status,
        "receipt": Receipt,
        "hotlist": Manifest,
        "chunk-request": ChunkRequest,
        "chunk": ChunkHeader,
    }
)
"""The messages that carry none."""

BINARY: Final = frozenset({"picture", "chunk"})
"""The messages that are followed by bytes."""

JSON_TYPE: Final = "application/json"
BINARY_TYPE: Final = "application/vnd.platewarden.framed"
"""The MQTT 5 content types of the two layouts."""

Numbered = Read | Hit | PictureHeader | Loss | AccessRecord
Record = Numbered | Status | Receipt | Manifest | ChunkRequest | ChunkHeader

T = TypeVar("T")

_NAMES: Final = {cls: name for name, cls in (*NUMBERED.items(), *PLAIN.items())}
_PREFIX: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded payload.

    Attributes:
        name: the last part of its topic, such as "read".
        envelope: unit, store and number; None in a message that is not numbered.
        record: what it says.
        data: the bytes of a picture or of a sealed piece, b"" else.
        unknown: dotted names of fields that this version does not know.
    """

    name: str
    envelope: Envelope | None
    record: Record
    data: bytes = b""
    unknown: tuple[str, ...] = ()


def name_of(record: Record) -> str:
    """The message's name, such as "read": the last part of its topic."""
    return _NAMES[type(record)]


def schema_name(name: str) -> str:
    """What the field "schema" holds, such as "platewarden.read/1"."""
    return f"platewarden.{name}/{MAJOR}"


def encode_record(record: object) -> bytes:
    """A record dataclass as compact JSON: the body of an outbox row.

    Raises MessageError for a number that JSON has no form for (NaN, infinity).
    """
    return _dumps(asdict(record))  # type: ignore[call-overload]


def wrap(name: str, envelope: Envelope | None, body: bytes, data: bytes = b"") -> bytes:
    """The payload around a record that `encode_record` made; `data` follows a binary message."""
    head = b"" if envelope is None else b'"envelope":' + encode_record(envelope) + b","
    text = b'{"schema":"' + schema_name(name).encode() + b'",' + head + b'"record":' + body + b"}"
    return _PREFIX.pack(len(text)) + text + data if name in BINARY else text


def encode(record: Record, envelope: Envelope | None = None, data: bytes = b"") -> bytes:
    """The payload of a record: `encode_record` and `wrap` in one."""
    return wrap(name_of(record), envelope, encode_record(record), data)


def decode(name: str, payload: bytes) -> Message:
    """Read the payload of a message named `name` (the last part of its topic).

    Raises MessageError, its text beginning with the faulty field's dotted name.
    """
    record_type: type[Record] | None = NUMBERED.get(name) or PLAIN.get(name)
    if record_type is None:
        raise MessageError(f"{name!r}: no message has this name")
    text, data = _split(payload) if name in BINARY else (payload, b"")
    message = _loads(text)
    schema = message.get("schema")
    if schema != schema_name(name):
        raise MessageError(f"schema: is {schema!r:.60}, not {schema_name(name)!r}")
    known = {"schema", "record", "envelope"} if name in NUMBERED else {"schema", "record"}
    for field in sorted(known - message.keys()):
        raise MessageError(f"{field}: is missing")
    unknown = [str(key) for key in message if key not in known]
    envelope = decode_as(Envelope, message["envelope"], "envelope", unknown) if name in NUMBERED else None
    record = decode_as(record_type, message["record"], "record", unknown)
    return Message(name, envelope, record, data, tuple(unknown))


def decode_record(name: str, body: bytes) -> Numbered:
    """Read the body of an outbox row. Raises MessageError as `decode` does."""
    record_type: type[Numbered] = NUMBERED[name]
    return decode_json(record_type, body, "record")


def decode_json(cls: type[T], text: bytes, where: str) -> T:
    """Read one record from JSON that stands alone. Raises MessageError as `decode` does."""
    return decode_as(cls, _loads(text), where, [])


def decode_as(cls: type[T], value: object, where: str, unknown: list[str]) -> T:
    """Build a record from parsed JSON; names of unknown fields are added to `unknown`."""
    kind: Any = cls  # mypy does not hold a type variable hashable
    built: T = decoder(kind)(value, where, unknown)
    return built


def canonical(fields: Mapping[str, object]) -> bytes:
    """JSON with sorted keys and no blanks: the one form in which something is signed."""
    return _dumps(fields, sort=True)


def _dumps(value: object, sort: bool = False) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort)
        return text.encode()
    except ValueError as error:
        raise MessageError(f"record: {error}") from error


def _loads(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_JSON:
        raise MessageError(f"message: {len(text)} bytes of JSON are more than {MAX_JSON}")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"message: is not JSON: {str(error) or type(error).__name__}") from error
    if not isinstance(value, dict):
        raise MessageError("message: is not a JSON object")
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")


def _split(payload: bytes) -> tuple[bytes, bytes]:
    if len(payload) > MAX_BYTES:
        raise MessageError(f"message: {len(payload)} bytes are more than {MAX_BYTES}")
    if len(payload) < _PREFIX.size:
        raise MessageError("message: ends before its length")
    (length,) = _PREFIX.unpack_from(payload)
    end = _PREFIX.size + length
    if end > len(payload):
        raise MessageError(f"message: its JSON of {length} bytes does not fit into {len(payload)}")
    return payload[_PREFIX.size : end], payload[end:]


def envelope_of(name: str, payload: bytes) -> Envelope | None:
    """The envelope of a message whose record cannot be read, None where that cannot be read either.

    With it a message that HQ puts into quarantine still counts as received.
    """
    try:
        text = _split(payload)[0] if name in BINARY else payload
        return decode_as(Envelope, _loads(text).get("envelope"), "envelope", [])
    except MessageError:
        return None
