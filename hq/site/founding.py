"""The first people and settings of a site, made once from a file, as nobody is there yet to approve anybody.

Everything later goes through two persons on the pages.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from hq.log import chain
from hq.people import accounts
from hq.people.forms import expiry
from hq.people.models import Appointment, Completion, Course, Grant, Person, Role
from hq.site import clock
from hq.site.models import Settings

_AGENCY = ("name", "ori", "policy_id", "policy_version", "document")
_PERSON = ("username", "name", "title")
_FOUNDERS = (Role.COMMANDER, Role.ADMINISTRATOR, Role.CUSTODIAN)
_COURSE = ("code", "version", "title", "document")
_KEYS = {"agency": "name", "full_name": "name", "reason": "document"}
"""What the file calls a column that has another name."""

EXAMPLE = """\
[agency]
name = "Example Police Department"
ori = "CA0000000"
policy_id = "430"
policy_version = "2026-01-01"
document = "General order 26-001 of 2026-01-05"   # who appointed these three, and where that is written

[commander]
username = "rdoe"
name = "Robin Doe"
title = "Support Services Division Commander"

[administrator]
username = "jroe"
name = "Jo Roe"
title = "Police Services Analyst"

[custodian]
username = "apoe"
name = "Alex Poe"
title = "Records Manager"

[course]                                          # what these three have completed
code = "alpr"
version = "1"
title = "ALPR use and policy 430"
document = "Sign-off sheet of 2026-01-04"
"""


class FoundingError(Exception):
    """The file lacks something or the site was founded before; one line that names file and key."""


@dataclass(frozen=True)
class Founder:
    """Somebody who can now log in, with the first password."""

    role: str
    username: str
    password: str


def found(path: Path) -> list[Founder]:
    """Make settings, course and the three first accounts; raises FoundingError."""
    if Person.objects.exists():
        raise FoundingError("this site has people already: accounts are proposed and approved on its pages")
    given = _read(path)
    with transaction.atomic():
        made = _make(given, path)
        chain.append(kind="setup", person=None, action="setup", note=f"founded by {path.name}")
    return made


def _make(given: dict[str, Any], path: Path) -> list[Founder]:
    agency, now = given["agency"], clock.now()
    held = Settings(
        agency=agency["name"], ori=agency["ori"], policy_id=agency["policy_id"],
        policy_version=agency["policy_version"], reason=f"founding: {agency['document']}", approved_at=now,
    )  # fmt: skip
    _check(held, f"{path}: [agency]", "proposed_by")
    course = Course(**{name: given["course"][name] for name in _COURSE})
    _check(course, f"{path}: [course]")
    course.save()
    founders, people = [], {}
    for role in _FOUNDERS:
        row = given[role.value]
        person = Person(
            username=row["username"], full_name=row["name"], title=row["title"], agency=agency["name"],
            badge=row.get("badge", ""), state=Person.State.ACTIVE, approved_at=now,
        )  # fmt: skip
        _check(person, f"{path}: [{role.value}]", "password")
        founders.append(Founder(role.label, person.username, accounts.once(person)))
        people[role] = person
        delegated = {"document": agency["document"], "approved_at": now, "note": "founding"}
        Appointment.objects.create(person=person, role=role, **delegated)
        Grant.objects.create(person=person, code=Grant.Code.DEPT_READS, **delegated)
        day = clock.today()
        Completion.objects.create(
            person=person, course=course, completed_on=day, expires_on=expiry(day, course.validity_months),
            trainer="as documented", document=course.document,
        )  # fmt: skip
    held.proposed_by, held.approved_by = people[Role.ADMINISTRATOR], people[Role.COMMANDER]
    held.save()
    return founders


def _check(row: models.Model, where: str, *but: str) -> None:
    """Raise FoundingError for what its column does not hold, by the name of its key in the file."""
    try:
        row.full_clean(exclude=but)
    except ValidationError as error:
        column, (first, *_) = next(iter(error.message_dict.items()))
        raise FoundingError(f"{where}: {_KEYS.get(column, column)}: {first}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FoundingError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FoundingError(f"{path}: is no UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise FoundingError(f"{path}: {error}") from error
    wanted = {"agency": _AGENCY, "course": _COURSE, **{role.value: _PERSON for role in _FOUNDERS}}
    for table, names in wanted.items():
        held = given.get(table, {})
        if not isinstance(held, dict):
            raise FoundingError(f"{path}: {table} is no table: begin it with a line [{table}]")
        for name in names:
            value = held.get(name)
            if not isinstance(value, str) or not value.strip():
                raise FoundingError(f"{path}: [{table}]: {name} is missing")
            if not value.isprintable():
                raise FoundingError(f"{path}: [{table}]: {name} is more than one line of text")
    if len({given[role.value]["username"] for role in _FOUNDERS}) < len(_FOUNDERS):
        raise FoundingError(f"{path}: commander, administrator and custodian must be three persons")
    return given
