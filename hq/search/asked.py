"""What a person asks the reads for, checked, and how the access log says it.

Owns the question. Finding the answer is `hq.search.finding`, reading it off a form `hq.search.forms`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hq.records.keys import SHORTEST
from plates.errors import TextError
from plates.text import normalise

SCAN: Final = timedelta(days=31)
"""The longest window in which every read is looked at, for a question that no index answers."""

MOST_METRES: Final = 50_000
"""The widest circle: beyond it the flat computation of distances would be off by more than a read's place."""


class AskedError(ValueError):
    """A question that cannot be answered: `field` names the field, the text says why and repeats no plate."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


@dataclass(frozen=True)
class Box:
    """An area between two parallels and two meridians, in degrees (WGS 84)."""

    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True)
class Circle:
    """An area around a place: degrees (WGS 84) and metres."""

    lat: float
    lon: float
    metres: float


@dataclass(frozen=True)
class Asked:
    """Bounds that all hold together; an empty one bounds nothing.

    Attributes:
        plate: capital letters and digits; ? for one character and * for any number make it partial.
        lookalikes: whether plates are meant too that differ by characters that look alike.
        since, until: aware; the first moment within and the first one past.
        unit, deployment: ids.
    """

    plate: str = ""
    lookalikes: bool = False
    since: datetime | None = None
    until: datetime | None = None
    unit: str = ""
    deployment: str = ""
    area: Box | Circle | None = None

    @property
    def partial(self) -> bool:
        """Whether characters of the plate are unknown."""
        return "?" in self.plate or "*" in self.plate

    @property
    def runs(self) -> list[str]:
        """The runs of known characters side by side that are long enough for the index."""
        return [run for run in re.split(r"[?*]+", self.plate) if len(run) >= SHORTEST]

    @property
    def scan(self) -> bool:
        """Whether no index answers it, so that every read of its window must be looked at."""
        by_plate = bool(self.plate) and (not self.partial or bool(self.runs))
        return not by_plate and not self.deployment

    def check(self) -> None:
        """Raises AskedError for a question that no read can answer, or that would look at too many."""
        if self.since and self.until and self.since >= self.until:
            raise AskedError("until", "the window ends before it begins")
        if isinstance(self.area, Box):
            _check_box(self.area)
        if isinstance(self.area, Circle):
            _check_circle(self.area)
        if not (self.plate or self.since or self.until or self.unit or self.deployment or self.area):
            raise AskedError("plate", "say what you look for: nothing is listed without a search")
        if self.scan:
            self._check_window()

    def elements(self) -> dict[str, object]:
        """The data elements queried, for the access log (CC-52a)."""
        found: dict[str, object] = {}
        if self.plate:
            found["plate"] = self.plate
            found["match"] = ("partial" if self.partial else "exact") + (
                " and look-alikes" if self.lookalikes else ""
            )
        for name in ("since", "until", "unit", "deployment"):
            if getattr(self, name):
                found[name] = getattr(self, name)
        if isinstance(self.area, Box):
            found["box"] = [self.area.south, self.area.west, self.area.north, self.area.east]
        if isinstance(self.area, Circle):
            found["circle"] = [self.area.lat, self.area.lon, self.area.metres]
        return found

    def _check_window(self) -> None:
        if self.plate:
            why = f"the pattern has no {SHORTEST} known characters side by side, so it needs a full scan"
        else:
            why = "without a plate or a deployment every read must be looked at"
        limit = f"give a window of {SCAN.days} days at most"
        if self.since is None or self.until is None:
            raise AskedError("since" if self.since is None else "until", f"{why}: {limit}")
        if self.until - self.since > SCAN:
            raise AskedError("until", f"{why}: {limit}")


def plate_text(raw: str) -> str:
    """A typed plate in the form in which it is looked for. Raises AskedError; empty stays empty."""
    if not raw.strip():
        return ""
    try:
        text = re.sub(r"[*]+", "*", normalise(raw, wildcards="?*"))
    except TextError as error:
        raise AskedError("plate", str(error)) from None
    if not text.strip("?*"):
        raise AskedError("plate", "give at least one known character, or leave the plate empty")
    return text


def _check_box(box: Box) -> None:
    # No comparison holds for a NaN.
    if not (-90 <= box.south < box.north <= 90 and -180 <= box.west < box.east <= 180):
        raise AskedError("south", "south must be below north and west left of east, in degrees")


def _check_circle(circle: Circle) -> None:
    if not (-85 <= circle.lat <= 85 and -180 <= circle.lon <= 180):
        raise AskedError("lat", "the centre must lie within 85 degrees north and south, in degrees")
    if not 0 < circle.metres <= MOST_METRES:
        raise AskedError("metres", f"the radius must be 1 to {MOST_METRES} metres")
