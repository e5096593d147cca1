"""What Home Assistant is told by MQTT discovery: topics and payloads, no connection.

Follows Home Assistant's discovery (retained `<prefix>/<component>/<node>/<object>/config` with
`unique_id`, `state_topic`, `value_template`, `availability_topic`, `device`). The unit's figures are
retained; what a read brings is not, and names no plate unless the owner asked for it (430.7-b).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from mqtt.records import Read, Status
from mqtt.topics import check_name

ROOT: Final = "platewarden"
BIRTH: Final = "online"


@dataclass(frozen=True, slots=True)
class Message:
    """One message to the owner's broker."""

    topic: str
    payload: bytes
    retain: bool


_SENSORS: Final = (
    ("state", "State", {"icon": "mdi:cctv"}),
    ("camera", "Camera", {"icon": "mdi:camera"}),
    ("reads_hour", "Reads in the last hour", {"state_class": "measurement"}),
    ("queue", "Messages waiting for HQ", {"state_class": "measurement"}),
    (
        "temperature_c",
        "Temperature",
        {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"},
    ),
    ("list_age_s", "Hot list age", {"device_class": "duration", "unit_of_measurement": "s"}),
    ("disk_free_bytes", "Free disk", {"device_class": "data_size", "unit_of_measurement": "B"}),
)


def availability_topic(unit: str) -> str:
    """Where "online" or "offline" stands, retained; "offline" is the last will."""
    return f"{ROOT}/{check_name(unit)}/available"


def discovery(prefix: str, unit: str, software: str, plates: bool) -> list[Message]:
    """The retained messages that announce a unit; sent again whenever Home Assistant starts."""
    node = check_name(unit).replace(".", "_")
    device = {
        "identifiers": [f"platewarden_{node}"],
        "name": f"Platewarden {unit}",
        "manufacturer": "Platewarden",
        "sw_version": software,
    }
    common = {"availability_topic": availability_topic(unit), "device": device}
    messages = [
        _announce(prefix, node, key, common | {
            "name": name,
            "state_topic": _state_topic(unit),
            "value_template": "{{ value_json." + key + " }}",
            **extra,
        })
        for key, name, extra in _SENSORS
    ]  # fmt: skip
    last = {
        "name": "Last read",
        "state_topic": _read_topic(unit),
        "value_template": "{{ value_json." + ("plate" if plates else "captured_at") + " }}",
        "json_attributes_topic": _read_topic(unit),
        "icon": "mdi:car",
    }
    if not plates:
        last["device_class"] = "timestamp"
    return [*messages, _announce(prefix, node, "last_read", common | last)]


def state(unit: str, status: Status) -> Message:
    """The unit's figures, retained."""
    figures = {key: getattr(status, key) for key, _, _ in _SENSORS}
    return Message(_state_topic(unit), json.dumps(figures).encode(), retain=True)


def read(unit: str, record: Read, plates: bool) -> Message:
    """One read, never retained: time, confidence and camera; the plate where the owner asked."""
    fields: dict[str, Any] = {
        "captured_at": record.captured_at,
        "confidence": round(record.confidence, 3),
        "camera": record.camera,
    }
    if plates:
        fields["plate"] = record.plate
    return Message(_read_topic(unit), json.dumps(fields).encode(), retain=False)


def _announce(prefix: str, node: str, key: str, config: dict[str, Any]) -> Message:
    unique = f"platewarden_{node}_{key}"
    payload = {"unique_id": unique, "default_entity_id": f"sensor.{unique}", **config}
    topic = f"{prefix}/sensor/platewarden_{node}/{key}/config"
    return Message(topic, json.dumps(payload, ensure_ascii=False).encode(), retain=True)


def _state_topic(unit: str) -> str:
    return f"{ROOT}/{check_name(unit)}/state"


def _read_topic(unit: str) -> str:
    return f"{ROOT}/{check_name(unit)}/last_read"
