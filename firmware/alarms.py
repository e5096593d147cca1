"""Hits of a read over its revisions, and which of them the officer hears.

Owns the identity of hits: one entry hits one read once, however often the read is revised; a hit that a
revision no longer supports, or whose entry has left the list, is withdrawn, and told. What matches is
`firmware.hotlist`; lamps and buzzer are `hw`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from hw.protocols import Alarm, Signals
from mqtt.records import Hit, Read
from plates.diff import Key
from plates.words import AlarmClass, MatchKind

logger = logging.getLogger(__name__)

REMEMBERED = 512
"""Reads whose hits are remembered; more passages than are in progress at any time."""

_STRENGTH = {
    kind: place for place, kind in enumerate((MatchKind.PARTIAL, MatchKind.LOOKALIKE, MatchKind.EXACT))
}


class Alarms:
    """The hits of the passages in progress. One thread uses it."""

    def __init__(
        self,
        match: Callable[[Read], Sequence[Hit]],
        signals: Signals,
        stands: Callable[[Hit, Read], bool] = lambda hit, read: False,
    ) -> None:
        """
        Args:
            match: the hits of a read by the list in force, each with an id of its own.
            signals: lamps and buzzer.
            stands: whether a hit of a read holds though `match` finds it no more, for a reason that says
                nothing against it.
        """
        self._match = match
        self._signals = signals
        self._stands = stands
        self._known: OrderedDict[str, dict[Key, Hit]] = OrderedDict()
        self._unkept: set[str] = set()

    def find(self, read: Read) -> list[Hit]:
        """The hits of this revision that are new, changed or withdrawn, for the store; all of them where
        it had no room for the last revision."""
        before, again = self._known.get(read.read_id, {}), read.read_id in self._unkept
        now: dict[Key, Hit] = {}
        news = []
        for hit in self._match(read):
            key = entry_key(hit)
            known = before.get(key)
            same = known is not None and _says_the_same(known, hit)
            if known is not None:
                hit = known if same else replace(hit, hit_id=known.hit_id)
            now[key] = hit
            if again or not same:
                news.append(hit)
        for key, known in before.items():
            if key in now:
                continue
            if not known.withdrawn and self._stands(known, read):
                now[key] = known
                news += [known] if again else []
            else:
                now[key] = replace(known, withdrawn=True, read_revision=read.revision)
                if again or not known.withdrawn:
                    news.append(now[key])
        if now:
            self._remember(read.read_id, now)
        return news

    def sound(self, read: Read, hits: Sequence[Hit], before: Sequence[Hit]) -> None:
        """Tell the officer what is new or stronger than `before`, after the commit."""
        heard = {entry_key(hit): _STRENGTH[MatchKind(hit.kind)] for hit in before if not hit.withdrawn}
        for hit in sorted(hits, key=lambda one: one.priority):
            kind = MatchKind(hit.kind)
            if hit.withdrawn:
                logger.info("hit %s of read %s is withdrawn: the read was revised", hit.hit_id, read.read_id)
            elif _STRENGTH[kind] > heard.get(entry_key(hit), -1):
                differs = ", of another state than was read" if hit.state_agrees is False else ""
                said = f"{hit.alarm_class}, {kind.value}{differs}"
                logger.info("hit %s of read %s: %s", hit.hit_id, read.read_id, said)
                self._signals.hit(Alarm(AlarmClass(hit.alarm_class), kind))

    def noted(self, read_id: str, stored: bool) -> None:
        """Take note whether the store kept the revision whose hits were found last."""
        if stored or read_id not in self._known:
            self._unkept.discard(read_id)
        else:
            self._unkept.add(read_id)

    def known(self, read_id: str) -> list[Hit]:
        """The hits of a read so far."""
        return list(self._known.get(read_id, {}).values())

    def _remember(self, read_id: str, hits: dict[Key, Hit]) -> None:
        self._known[read_id] = hits
        self._known.move_to_end(read_id)
        while len(self._known) > REMEMBERED:
            forgotten, _ = self._known.popitem(last=False)
            self._unkept.discard(forgotten)


def _says_the_same(known: Hit, hit: Hit) -> bool:
    if known.withdrawn or known.state_agrees is not hit.state_agrees:
        return False
    return (known.kind, round(known.score, 2)) == (hit.kind, round(hit.score, 2))


def entry_key(hit: Hit) -> Key:
    """Which entry it is that was hit, as `plates.diff.key_of` says of the entry itself."""
    return hit.entry_plate, hit.entry_state, hit.alarm_class, hit.source, hit.case_number
