"""The last status of the unit, kept beside its store for `platewarden status` and other commands.

Owns the file status.json in the store's folder: the record that HQ gets, as JSON. It holds no plate
text, and it may be lost: the next status writes it again.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Final

from firmware.errors import StoreError
from hw.protocols import ClockQuality, Timestamp
from mqtt.errors import MqttError
from mqtt.messages import decode_json, encode_record
from mqtt.records import Status

FILE: Final = "status.json"


def write_status(directory: Path, status: Status) -> None:
    """Replace the last status in the store's folder `directory` in one step. Raises OSError."""
    new = directory / f"{FILE}.new"
    new.write_bytes(encode_record(status) + b"\n")
    os.replace(new, directory / FILE)


def read_status(directory: Path) -> Status | None:
    """The last status of the unit whose store's folder is `directory`, None before the first one.

    Raises StoreError where the file cannot be read as one.
    """
    path = directory / FILE
    try:
        return decode_json(Status, path.read_bytes(), FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
    except MqttError as error:
        raise StoreError(f"{path}: is no status: {error}") from error


def told_time(directory: Path) -> Timestamp | None:
    """What the last status says of the unit's clock; None where it says nothing, or cannot be read."""
    try:
        last = read_status(directory)
    except StoreError:  # `platewarden status` tells why; no other command needs to
        return None
    if last is None or last.clock is None or last.at is None:
        return None
    clock, quality = last.clock, ClockQuality(last.clock.quality)
    if quality is ClockQuality.NONE:
        return None
    at = datetime.fromisoformat(last.at)
    return Timestamp(clock.boot_id, clock.boottime, at, quality, clock.offset_ms)
