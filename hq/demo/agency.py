"""What the steps of the demo share: its people, its moment, its units' street, the ids of what was made."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from hq.demo.desk import at
from hq.demo.street import Street
from hq.people.models import Person
from hq.site import clock

UNIT: Final = "arroyo-1"
PLATE: Final = "8TRW204"
"""The plate that most of the demo's work is about."""
OTHER: Final = "6KLM550"
RESTRICTED: Final = "5PVA118"


@dataclass
class Agency:
    """now: when the demo is built, in UTC. ids: primary keys by a name that tests and pages ask for."""

    people: dict[str, Person]
    now: datetime
    ids: dict[str, Any] = field(default_factory=dict)
    street: Street = field(default_factory=Street)

    @property
    def today(self) -> date:
        """The day on which the demo is built."""
        return clock.day_of(self.now)

    def before(self, **parts: float) -> datetime:
        """A moment so long ago."""
        return self.now - timedelta(**parts)

    def ago(self, **parts: float) -> AbstractContextManager[None]:
        """HQ's clock so long ago."""
        return at(self.before(**parts))

    def who(self, *names: str) -> tuple[Person, ...]:
        """People by their user names."""
        return tuple(self.people[name] for name in names)
