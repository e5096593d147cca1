"""The hot list in force, as one thread sees it: opened, reopened when its file changes, never guessed.

Owns the life of the list over a unit's run. A file that cannot be used is told as a fault and the list
that was in force stays so; no file is no list. Matching is `firmware.hotlist`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from firmware.alarms import entry_key
from firmware.config import HotListSettings
from firmware.hotlist import HotList, HotListFileError, hit_of
from hw.protocols import Clock
from mqtt.fields import time_text, time_value
from mqtt.records import Hit, Read
from plates.diff import key_of
from plates.match import Match, sure_state
from plates.words import MatchKind

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
            matches = self._matches(self._list, read, _day(wall))
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

    def stands(self, hit: Hit, read: Read) -> bool:
        """Whether a hit of a read holds though `match` no longer finds it: its entry has run out since it was
        found, or the list has become unreadable. Neither says anything against it."""
        if self._list is None:
            return False
        found_on = _day(time_value(hit.at)) if hit.at is not None else None
        try:
            matches = self._matches(self._list, read, found_on)
        except HotListFileError:
            return hit.kind != MatchKind.EXACT or hit.entry_plate == read.plate
        # What was found while the clock was not set may have run out before.
        return found_on is not None and any(key_of(one.entry) == entry_key(hit) for one in matches)

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

    def _matches(self, hot_list: HotList, read: Read, day: date | None) -> list[Match]:
        return hot_list.match(
            read.plate,
            char_confidence=read.char_confidence,
            candidates={one.text: one.probability for one in read.candidates},
            state=sure_state(read.region, read.region_confidence),
            today=day,
            substitutions=self._settings.substitutions,
            lookalike_score=self._settings.lookalike_score,
        )

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


def _day(moment: datetime | None) -> date | None:
    # The unit's own zone: an entry is good until the end of its last day where the unit stands.
    return None if moment is None else moment.astimezone().date()
