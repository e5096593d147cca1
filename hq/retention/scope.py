"""Which reads somebody means: plate, unit, time, area or their ids.

Holds, evidence packages and releases are bounded by it, each in its own table. Owns how a scope becomes a
query; `hq.retention.floor` and `hq.retention.asked` say the same in SQL for the database's own guard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.db.models import CharField, Lookup, Q

from plates.errors import TextError
from plates.lookalike import fold
from plates.text import normalise


class ScopeError(ValueError):
    """A scope that cannot be meant: its text names the field."""


@CharField.register_lookup
class Like(Lookup):
    """`field__like`: SQL's LIKE on a column that holds capital letters and digits only."""

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} LIKE {right}", (*left_params, *right_params)


@dataclass(frozen=True)
class Scope:
    """Bounds that all hold together; an empty one bounds nothing.

    Attributes:
        plate: plate as typed, ? for one character and * for any number.
        unit: unit id.
        since, until: aware; the first moment within, the first one past.
        area: south, west, north, east in degrees.
        reads: ids; if any are given, only those.
        lookalikes: whether plates that look alike are meant too.
    """

    plate: str = ""
    unit: str = ""
    since: datetime | None = None
    until: datetime | None = None
    area: tuple[float, float, float, float] | None = None
    reads: tuple[UUID, ...] = ()
    lookalikes: bool = False

    def empty(self) -> bool:
        """Whether it bounds nothing."""
        return not (self.plate or self.unit or self.since or self.until or self.area or self.reads)

    def check(self) -> None:
        """Raises ScopeError for an empty scope or one that no read can be in."""
        if self.empty():
            raise ScopeError("scope: give a plate, a unit, a time, an area or reads")
        if self.plate:
            like_of(self.plate, self.lookalikes)
        if self.since and self.until and self.since >= self.until:
            raise ScopeError("until: must be later than since")
        if self.area and not (
            -90 <= self.area[0] < self.area[2] <= 90 and -180 <= self.area[1] < self.area[3] <= 180
        ):
            raise ScopeError("area: south must be below north and west left of east, in degrees")

    def q(self) -> Q:
        """The reads within, as a condition on `records.Read`."""
        found = Q()
        if self.plate:
            like = like_of(self.plate, self.lookalikes)
            column = "lookalike" if self.lookalikes else "key"
            condition = Q(**{f"{column}__like" if "%" in like or "_" in like else column: like})
            # A misread is meant by the text that was read and by the right one.
            corrections = apps.get_model("hits", "Correction")
            found &= condition | Q(id__in=corrections._default_manager.filter(condition).values("read"))
        if self.unit:
            found &= Q(unit=self.unit)
        if self.since:
            found &= Q(at__gte=self.since)
        if self.until:
            found &= Q(at__lt=self.until)
        if self.area:
            south, west, north, east = self.area
            found &= Q(lat__gte=south, lat__lte=north, lon__gte=west, lon__lte=east)
        if self.reads:
            found &= Q(id__in=self.reads)
        return found

    def means(self, text: str) -> bool:
        """Whether a plate as read or corrected is meant; any is where no plate is named."""
        if not self.plate:
            return True
        typed = normalise(self.plate, wildcards="?*")
        return fnmatchcase(fold(text), fold(typed)) if self.lookalikes else fnmatchcase(text, typed)

    def within(self, outer: Scope) -> bool:
        """Whether every bound of `outer` is kept; ids are within whatever is intersected with `outer.q()`."""
        return (
            (not outer.plate or (self.plate == outer.plate and (outer.lookalikes or not self.lookalikes)))
            and (not outer.unit or self.unit == outer.unit)
            and (outer.since is None or (self.since is not None and self.since >= outer.since))
            and (outer.until is None or (self.until is not None and self.until <= outer.until))
            and (outer.area is None or self.area == outer.area)
            and (not outer.reads or (bool(self.reads) and set(self.reads) <= set(outer.reads)))
        )

    def to_json(self) -> dict[str, object]:
        """For a JSON column; `from_json` reads it back, `hq.retention.asked` compares it in SQL.

        Raises ScopeError for a plate that cannot be read.
        """
        return {
            "plate": self.plate,
            "like": like_of(self.plate, self.lookalikes) if self.plate else "",
            "unit": self.unit,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "area": list(self.area) if self.area else None,
            "reads": [str(read) for read in self.reads],
            "lookalikes": self.lookalikes,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Scope:
        """Raises ScopeError for what `to_json` did not write."""
        try:
            since, until, area = fields["since"], fields["until"], fields["area"]
            return cls(
                plate=str(fields["plate"]),
                unit=str(fields["unit"]),
                since=datetime.fromisoformat(since) if since else None,
                until=datetime.fromisoformat(until) if until else None,
                area=(float(area[0]), float(area[1]), float(area[2]), float(area[3])) if area else None,
                reads=tuple(UUID(read) for read in fields["reads"]),
                lookalikes=bool(fields["lookalikes"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ScopeError(f"scope: {error}") from error

    def words(self) -> dict[str, str]:
        """The bounds in words, for a cover or a page."""
        found = {}
        if self.plate:
            found["plate"] = self.plate + (" and look-alikes" if self.lookalikes else "")
        if self.unit:
            found["unit"] = self.unit
        if self.since:
            found["from"] = _local(self.since)
        if self.until:
            found["before"] = _local(self.until)
        if self.area:
            found["area (south, west, north, east)"] = ", ".join(f"{side:g}" for side in self.area)
        if self.reads:
            found["reads"] = f"{len(self.reads)} named by id"
        return found


def _local(at: datetime) -> str:
    here = at.astimezone(ZoneInfo(settings.TIME_ZONE))
    offset = f"{here:%z}"
    return f"{here:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:]}"


def like_of(plate: str, lookalikes: bool) -> str:
    """A typed plate as the text of an SQL LIKE, in the form of `Read.lookalike` or `Read.key`.

    Raises ScopeError for characters that no plate has.
    """
    try:
        text = normalise(plate, wildcards="?*")
    except TextError as error:
        raise ScopeError(f"plate: {error}") from error
    if not text.strip("?*"):
        raise ScopeError("plate: give at least one character")
    if lookalikes:
        text = fold(text)
    return text.replace("?", "_").replace("*", "%")
