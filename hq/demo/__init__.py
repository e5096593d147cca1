"""The demo agency: invented people and a few weeks of their work, so that every page has something to show.

Owns what is in the demo; a site gets it only from `platewarden-hq demo`, which refuses a real one. What is
done is done by the code that people and units use: pages and services with their rights, two persons where
two must sign, the intake for what units send. Only the founding of the first people is direct, as at every
site. Some of it is dated back by moving HQ's clock, in this process alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings

from hq.demo import office, people, work
from hq.demo.agency import Agency
from hq.demo.desk import at
from hq.demo.people import AGENCY, password
from hq.site import clock

__all__ = ["AGENCY", "build", "password"]

STEPS = (
    work.units,
    work.lists,
    work.traffic,
    work.entered,
    work.reviews,
    office.keeping,
    office.packaging,
    office.giving,
    office.oversight,
    office.delegating,
)


def build() -> dict[str, Any]:
    """Make the agency in an empty database; ids of what is worth a look, by a name for each.

    Raises Refused or DemoError where a page or service does not do what the demo asks of it.
    """
    assert settings.DEMO
    now = clock.now().replace(microsecond=0)
    with at(now - timedelta(days=40)):
        made = Agency(people.found(password(), clock.day_of(now)), now)
    for step in STEPS:
        step(made)
    return made.ids
