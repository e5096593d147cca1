"""Lists that grow old: which were not loaded in time, what ends soon, which units run behind.

Owns the report. Old entries stop matching by their own expiry (`sift`), so that a list which nobody loads any
more falls silent instead of stopping innocent drivers (rec 20, 48).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hq.lists.models import HotList, HotListVersion, ListGroup, ManualEntry, PartialPlate, UnitListState
from hq.lists.publish import current
from hq.lists.versions import in_force
from hq.site import clock

SOON: Final = timedelta(days=3)
"""An entry that ends within this is told to whoever entered it."""

BEHIND: Final = timedelta(hours=1)
"""A unit that has not taken a publication after this is told as behind."""


@dataclass(frozen=True, slots=True)
class ListAge:
    """How old a list's data is: `loaded_at` None where nothing is in force."""

    hot_list: HotList
    version: HotListVersion | None
    loaded_at: datetime | None
    stale: bool

    @property
    def hours(self) -> float | None:
        """Hours since it was loaded."""
        return None if self.loaded_at is None else (clock.now() - self.loaded_at) / timedelta(hours=1)


def ages() -> list[ListAge]:
    """Every active list with the age of its data."""
    found = []
    for hot_list in HotList.objects.filter(active=True).select_related("group"):
        version = in_force(hot_list)
        loaded = version.prepared_at if version else None
        late = loaded is None or clock.now() - loaded > timedelta(hours=hot_list.reload_hours)
        found.append(ListAge(hot_list, version, loaded, late))
    return found


def stale() -> list[ListAge]:
    """The active lists that were not loaded in time; those without any version too."""
    return [one for one in ages() if one.stale]


def ending() -> list[ManualEntry | PartialPlate]:
    """Entries that people made and that end soon, the first to end first."""
    today = clock.today()
    live = {"withdrawn_at": None, "expiry__gte": today, "expiry__lte": today + SOON}
    rows: list[ManualEntry | PartialPlate] = []
    rows += ManualEntry.objects.filter(**live).select_related("entered_by")
    rows += PartialPlate.objects.filter(**live).select_related("entered_by")
    return sorted(rows, key=lambda row: row.expiry)


@dataclass(frozen=True, slots=True)
class UnitVersion:
    """What a unit has, beside what its group was told. `left_out`: how many entries of that it did not load,
    for their classes are not among `hotlist.classes` of its configuration."""

    state: UnitListState
    wanted: str
    behind: bool
    left_out: int


def units() -> list[UnitVersion]:
    """Every unit that follows a list, with whether it has what it was told."""
    newest = {group.pk: current(group) for group in ListGroup.objects.all()}
    found = []
    for state in UnitListState.objects.select_related("group", "unit"):
        told = newest.get(state.group_id) if state.group_id is not None else None
        if told is None:
            found.append(UnitVersion(state, "", behind=False, left_out=0))
            continue
        same = state.version == told.version
        late = not same and clock.now() - told.issued_at > BEHIND
        left_out = max(told.entry_count - state.entry_count, 0) if same else 0
        found.append(UnitVersion(state, told.version, late, left_out))
    return found
