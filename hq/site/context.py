"""What the frame of every page shows: who is logged in, purpose and case in force, menu, footer.

An app adds lines to the menu by `menu: ClassVar[list[tuple[str, str, str]]]` in its AppConfig: label, name of
the address, action of rights.toml; a person sees the lines that policy allows. What only some people have, an
app adds by a method `menu_of(person)`, which gives labels and names of addresses. `GROUPS` says under which
heading a line stands; one that it does not name stands at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from hq import APPS
from hq.people import purposes
from hq.people.models import Person
from hq.people.policy import Standing, may
from hq.site.models import Settings

GROUPS: Final = (
    ("", ("site:home", "hits:board")),
    (
        "Hits and searches",
        (
            "hits:unverified",
            "search:form",
            "search:canvass",
            "lists:manual",
            "lists:partials",
        ),
    ),
    (
        "Units and lists",
        ("units:board", "records:quarantine", "units:deployments", "lists:index", "hits:misreads"),
    ),
    (
        "Records",
        (
            "retention:calendar",
            "retention:holds",
            "retention:proposals",
            "log:removals",
            "evidence:packages",
            "releases:requests",
            "releases:partners",
        ),
    ),
    ("People", ("people:accounts", "people:leaving", "people:training", "search:shifts")),
    (
        "Oversight",
        (
            "audits:index",
            "audits:reports",
            "audits:breaches",
            "log:department",
            "log:chain",
            "public:policy",
        ),
    ),
    ("Set-up", ("site:settings", "lists:rules", "people:kiosks", "mail:outbox", "api:tokens", "api:feeds")),
    ("Your own", ("log:own", "mail:own", "api:own")),
)
"""Headings of the menu with the addresses under them; lines without a heading are always in sight."""
_SHORT: Final = 14
"""A menu of so many lines is shown whole; in a longer one only the group of the page itself is open."""


@dataclass(frozen=True)
class Line:
    """One page of the menu; `at` orders the lines of a group."""

    label: str
    path: str
    here: bool
    at: int


@dataclass
class Group:
    """Lines of the menu under one heading."""

    heading: str
    lines: list[Line] = field(default_factory=list)
    open: bool = True


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    person = getattr(request, "person", None)
    shown: dict[str, Any] = {
        "demo": settings.DEMO,
        "agency": Settings.current(),
        "version": _version(),
        "source": settings.SOURCE,
        "person": person,
    }
    if isinstance(person, Person):
        standing = getattr(request, "standing", None) or Standing(person)
        access, session = getattr(request, "access", None), request.session
        # What this page was opened for, which another tab's statement does not change.
        said = access if access is not None and access.mark else None
        shown |= {
            "menu": _menu(request, person, standing),
            "roles": sorted(standing.roles),
            "purpose_in_force": purposes.ALL.get(said.purpose if said else str(session.get("purpose", ""))),
            "case_in_force": said.case if said else session.get("case", ""),
            "on_behalf_in_force": said.on_behalf_of if said else session.get("on_behalf_of", ""),
            "stated_mark": said.mark if said else "",
        }
    return shown


def _menu(request: HttpRequest, person: Person, standing: Standing) -> list[Group]:
    groups = {heading: Group(heading) for heading in (*(heading for heading, _ in GROUPS), "Other")}
    place = {address: (heading, at) for heading, held in GROUPS for at, address in enumerate(held)}
    for label, address in _lines(person, standing):
        try:
            path = reverse(address)
        except NoReverseMatch:
            continue
        heading, at = place.get(address, ("Other", 0))
        groups[heading].lines.append(Line(label, path, request.path == path, at))
    shown = [group for group in groups.values() if group.lines]
    lines = [line for group in shown for line in group.lines if request.path.startswith(line.path)]
    near = max(lines, key=lambda line: len(line.path), default=None)
    short = sum(len(group.lines) for group in shown) <= _SHORT
    for group in shown:
        group.lines.sort(key=lambda line: line.at)
        group.open = short or not group.heading or any(line is near for line in group.lines)
    return shown


def _lines(person: Person, standing: Standing) -> Iterator[tuple[str, str]]:
    for name in APPS:
        app = apps.get_app_config(name)
        for label, address, action in getattr(app, "menu", ()):
            if may(person, action, standing=standing):
                yield label, address
        if of := getattr(app, "menu_of", None):
            yield from of(person)


def _version() -> str:
    try:
        return version("platewarden")
    except PackageNotFoundError:
        return "unknown"
