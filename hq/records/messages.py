"""A message as it came: decoded, or with the reason why it cannot be.

Owns every check that needs no database: topic, schema, that the envelope is the topic's, that a picture is
its hash, that all of it fits into the database. Never raises: what is wrong becomes a reason, and the message
goes into quarantine with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from hq.records.rows import moment
from mqtt import messages, topics
from mqtt.errors import MqttError
from mqtt.messages import Message
from mqtt.records import AccessRecord, Envelope, Hit, Loss, PictureHeader, Read, Status

MAX_REASON: Final = 1000

_NUL: Final = b"\\u0000"
_UNIT: Final = topics.ROOT + "/units/"


@dataclass(frozen=True, slots=True)
class Received:
    """One message.

    Attributes:
        topic, payload: as they came.
        digest: SHA-256 of the payload.
        unit: the unit whose topic it is, "" where the topic is none of ours.
        name: what the topic says it is, such as "read".
        envelope: its number; None where it has none or that cannot be believed.
        message: what it says; None where `reason` tells why it cannot be taken.
        reason: one line, "" for a good message.
        retained: the broker had kept it, so that it says nothing about now.
        came_at: when it came; None for now.
    """

    topic: str
    payload: bytes
    digest: bytes
    unit: str
    name: str
    envelope: Envelope | None
    message: Message | None
    reason: str = ""
    retained: bool = False
    came_at: datetime | None = None

    def refused(self, reason: str) -> Received:
        """The same message with a reason why it is not taken; its number still counts as received."""
        # What a message holds is the sender's text: no control character of it reaches a log or a terminal.
        line = "".join(char if char.isprintable() else "?" for char in reason)
        return replace(self, message=None, reason=line[:MAX_REASON])


def read_message(topic: str, payload: bytes, *, retained: bool = False) -> Received:
    """Check a message. Never raises."""
    # MQTT forbids it in a topic and PostgreSQL keeps none: a broker that passed it on must stop nobody.
    topic = topic.replace("\0", "\ufffd")
    digest = hashlib.sha256(payload).digest()
    bare = Received(topic, payload, digest, "", "", None, None, retained=retained)
    try:
        unit, name = topics.parse_up(topic)
    except MqttError as error:
        return bare.refused(str(error))
    bare = replace(bare, unit=unit, name=name)
    try:
        message = messages.decode(name, payload)
        reason = _fault(message, payload)
    except MqttError as error:
        message, reason = None, str(error)
    envelope = message.envelope if message is not None else _envelope(name, payload)
    if envelope is not None and envelope.unit != unit:
        # The number is another unit's, so nothing of it is believed.
        return bare.refused(f"envelope.unit: is not {unit}, whose topic this is")
    if reason:
        return replace(bare, envelope=envelope).refused(reason)
    return replace(bare, envelope=envelope, message=message)


def _envelope(name: str, payload: bytes) -> Envelope | None:
    return messages.envelope_of(name, payload) if name in messages.NUMBERED else None


def _fault(message: Message, payload: bytes) -> str:
    """Why a message that follows its schema can still not be kept, "" if it can."""
    record = message.record
    if _NUL in payload[: len(payload) - len(message.data)] and _holds_nul(asdict(record)):
        return "record: holds a NUL character"
    for field, plate in _plates(record):
        if not plate.isprintable():
            return f"record.{field}: holds a character that cannot be seen"
    if isinstance(record, PictureHeader):
        if len(message.data) != record.size:
            return f"record.size: is {record.size}, but {len(message.data)} bytes came"
        if hashlib.sha256(message.data).hexdigest() != record.sha256:
            return "record.sha256: is not the hash of the bytes that came"
    for field, text in _times(record):
        try:
            moment(text)
        except ValueError:
            return f"record.{field}: no calendar has this time"
    return ""


def _plates(record: object) -> tuple[tuple[str, str], ...]:
    match record:
        case Read():
            candidates = tuple(("candidates", candidate.text) for candidate in record.candidates)
            return (("plate", record.plate), *candidates)
        case Hit():
            return (("entry_plate", record.entry_plate),)
    return ()


def _times(record: object) -> tuple[tuple[str, str | None], ...]:
    match record:
        case Read():
            return (("captured_at", record.captured_at),)
        case Hit() | AccessRecord() | Status():
            return (("at", record.at),)
        case Loss():
            return (("since", record.since), ("until", record.until))
    return ()


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple) and any(_holds_nul(part) for part in value)
