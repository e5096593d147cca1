"""The hot list in force, as one thread sees it: opened, reopened when its file changes, never guessed.

Owns the life of the list over a unit's run. A file that cannot be used is told as a fault and the list
that was in force stays so; no file is no list. Matching is `firmware.hotlist`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from firmware.config import HotListSettings
from firmware.hotlist import HotList, HotListFileError, hit_of
from hw.protocols import Clock
from mqtt.fields import time_text
from mqtt.records import Hit, Read
from plates.match import sure_state

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
        fault: why a file could not be opened, or whose entries have all expired; "" where all is well, or
            where there is no list.
    """

    version: str = ""
    entries: int = 0
    age_s: float | None = None
    fault: str = ""


class ListWatch:
    """The list in force for one thread."""

    def __init__(
        self, settings: HotListSettings, clock: Clock, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._now = now
        self._list: HotList | None = None
        self._fault = ""
        self._seen: tuple[int, int, int] | None = None
        self._looked = -LOOK_S

    def match(self, read: Read) -> list[Hit]:
        """The hits of a read by the list in force, each UNVERIFIED and with an id of its own."""
        self._refresh()
        if self._list is None:
            return []
        wall = self._clock.now().wall
        try:
            matches = self._list.match(
                read.plate,
                char_confidence=read.char_confidence,
                candidates={one.text: one.probability for one in read.candidates},
                state=sure_state(read.region, read.region_confidence),
                # The unit's own zone: an entry is good until the end of its last day where the unit stands.
                today=None if wall is None else wall.astimezone().date(),
                substitutions=self._settings.substitutions,
                lookalike_score=self._settings.lookalike_score,
            )
        except HotListFileError as error:
            # Reading and storing go on; HQ and the lamp are told that nothing alarms any more.
            self._tell(str(error))
            return []
        at = None if wall is None else time_text(wall)
        version, age = self._list.version, self._list.age_s
        return [
            hit_of(
                one, read, at=at, version=version, age_s=None if wall is None else age(wall, one.entry.source)
            )
            for one in matches
        ]

    def state(self) -> ListState:
        """What the status tells of the list."""
        self._refresh()
        if self._list is None:
            return ListState(fault=self._fault)
        wall = self._clock.now().wall
        if wall is None:
            return ListState(self._list.version, self._list.entries, None, self._fault)
        expired = self._list.expired(wall.astimezone().date())
        stale = f"all entries of {expired} have expired and alarm no more" if expired else ""
        age = self._list.age_s(wall)
        return ListState(self._list.version, self._list.entries, age, self._fault or stale)

    def _refresh(self) -> None:
        """Open the file if it is another than the one that was looked at last."""
        if self._now() - self._looked < LOOK_S:
            return
        self._looked = self._now()
        try:
            stat = self._settings.file.stat()
        except FileNotFoundError:
            # A list that was taken away on purpose (`hotlist clear`) no longer alarms.
            self._use(None, "")
            self._seen = None
            return
        except OSError as error:
            self._seen = None
            self._tell(f"{self._settings.file}: cannot be opened: {error.strerror or error}")
            return
        # The change time too: a file that could not be read is looked at again after a chmod.
        seen = (stat.st_ino, stat.st_ctime_ns, stat.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            opened = HotList.open(self._settings.file)
        except HotListFileError as error:
            self._tell(str(error))
            return
        logger.info("hot list version %s with %d entries is in force", opened.version, opened.entries)
        self._use(opened, "")

    def _tell(self, fault: str) -> None:
        if fault != self._fault:
            logger.error("%s", fault)
        self._fault = fault

    def _use(self, opened: HotList | None, fault: str) -> None:
        if self._list is not None:
            self._list.close()
        self._list, self._fault = opened, fault
