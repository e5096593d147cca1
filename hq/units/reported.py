"""Keeps what units say runs on them, and compares it with what was accepted (430.2-c).

Owns the history of reported changes and the finding of drift. Accepting is `hq.units.register`'s.
"""

from __future__ import annotations

import logging
import math
from typing import Any, Final

from django.db import DatabaseError, transaction

from hq.records.models import UnitStatus
from hq.units.models import Acceptance, Device, Reported

logger = logging.getLogger(__name__)

MOVED_M: Final = 150.0
"""A fixed unit that reports to stand further away than this, in metres, has been moved."""
_M_PER_DEGREE: Final = 111_320.0
_RUNNING: Final = {"software": "software", "config_hash": "configuration", "model_hashes": "models"}


def heard(sender: object, instance: UnitStatus, **_: Any) -> None:
    """Handler of a stored heartbeat. What it cannot write it tries again at the next one."""
    if instance.state == "offline":
        return  # The last will: it says nothing of what runs.
    try:
        with transaction.atomic():
            note(instance)
    except DatabaseError as error:
        logger.error("what unit %s says runs on it was not kept: %s", instance.unit_id, type(error).__name__)


def note(status: UnitStatus) -> Reported | None:
    """Add a row if something else runs now than before."""
    now = {
        "software": status.software,
        "config_hash": status.config_hash,
        "model_hashes": sorted(status.model_hashes),
    }
    last = Reported.objects.filter(unit=status.unit_id).first()
    if last is not None and all(getattr(last, name) == value for name, value in now.items()):
        return None
    return Reported.objects.create(unit_id=status.unit_id, at=status.received_at, **now)


def drift(
    device: Device, accepted: Acceptance | None, said: Reported | None, position: Any = None
) -> list[str]:
    """What differs from the last acceptance, one line each.

    position: latitude and longitude as the unit reports them, or None.
    """
    if accepted is None:
        return []
    lines = [
        f"{name} changed from {accepted.place.get(name)!s} to {value!s}"
        for name, value in device.place().items()
        if accepted.place.get(name) != value
    ]
    if said is not None:
        lines += [
            f"{words} changed from {_short(getattr(accepted, name))} to {_short(getattr(said, name))}"
            for name, words in _RUNNING.items()
            if getattr(accepted, name) != getattr(said, name)
        ]
    away = distance_m(device, position)
    if device.mount == Device.Mount.FIXED and away is not None and away > MOVED_M:
        lines.append(f"stands {away:.0f} m from where it is registered")
    return lines


def distance_m(device: Device, position: Any) -> float | None:
    """Metres between the registered and the reported position, None where either is unknown."""
    if not isinstance(position, dict) or device.latitude is None or device.longitude is None:
        return None
    north = (position["latitude"] - device.latitude) * _M_PER_DEGREE
    east = (
        (position["longitude"] - device.longitude) * _M_PER_DEGREE * math.cos(math.radians(device.latitude))
    )
    return math.hypot(north, east)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value) or "none"
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text or "none"
