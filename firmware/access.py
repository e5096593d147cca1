"""Who may see plate text on this machine, and the record of it that comes first (430.5(a)).

Owns the people file, the rules of a grant and the AccessRecord. `reads`, `hotlist show` and `listen` ask
here before they show anything; where the record goes is the caller's `write` (the unit's store, or the
subscriber's), and if that fails nothing is shown. A person proves who they are by the login of the machine;
this module has them named, trained and with a purpose.

The people file is TOML, one table for each person:

    [mora]
    name = "A. Mora"
    title = "Officer"
    agency = "South Pasadena PD"
    course = "ALPR 2026"
    trained_until = 2027-03-01
"""

from __future__ import annotations

import argparse
import stat
import tomllib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Final

from firmware.config import Settings
from firmware.errors import AccessError, ConfigError, UsageError
from hw.protocols import Clock, Timestamp
from mqtt.fields import time_text
from mqtt.records import AccessRecord, ClockState
from plates.words import PURPOSE_CLAUSES, Purpose

_LONGEST: Final = 1000
"""The most characters of a text in a record; see mqtt.fields.Line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who was trained to use the reader.

    Attributes:
        name: as it stands in the access record.
        title: job title.
        agency: employer.
        course: the approved training that was completed (430.3(d)).
        trained_until: the last day on which that training counts.
    """

    name: str
    title: str
    agency: str
    course: str
    trained_until: date


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to show plate text, given and recorded.

    Attributes:
        record: the access record that was written.
    """

    record: AccessRecord
    _write: Callable[[AccessRecord], None]
    _clock: Clock

    def showing(self, ids: Sequence[str]) -> None:
        """Record what is about to be shown beyond what the grant named; for output that goes on and on.

        Raises what `write` raises: then it must not be shown.
        """
        self._write(_record(self._clock.now(), self.record, ids, "shown"))


class Access:
    """The door to plate text.

    `people` are those who may pass, by id; `write` keeps a record durably, or raises.
    """

    def __init__(
        self, people: Mapping[str, Person], clock: Clock, write: Callable[[AccessRecord], None]
    ) -> None:
        self._people = people
        self._clock = clock
        self._write = write

    def grant(
        self,
        person: str,
        purpose: str,
        case_number: str,
        action: str,
        query: str,
        ids: Sequence[str] = (),
        *,
        results: int | None = None,
    ) -> Grant:
        """Let a person see plate text, or refuse; either way the attempt is recorded first.

        Args:
            person: an id of the people file.
            purpose: a code of plates.words.Purpose.
            case_number: case or incident number, or the id that stands for it.
            action: what is done, such as "reads list".
            query: the plate or other data elements that are asked for.
            ids: the records that will be shown, looked up but not shown yet.
            results: how many will be shown, where they have no ids.

        Raises AccessError for an unknown person, training that is over or cannot be judged, an unknown
        purpose or a missing case number; and whatever `write` raises, so that nothing is shown without a
        record.
        """
        now = self._clock.now()
        known = self._people.get(person)
        refusal = _refusal(person, known, purpose, case_number, now)
        asked = AccessRecord(
            access_id="",
            at=None,
            clock=_clock_state(now),
            person=(known.name if known else person)[:_LONGEST],
            title=known.title if known else "",
            agency=known.agency if known else "",
            action=action[:_LONGEST],
            query=query[:_LONGEST],
            purpose=purpose[:_LONGEST],
            case_number=case_number[:_LONGEST],
            results=0,
            ids=(),
            outcome="",
        )
        outcome, shown = ("refused", ()) if refusal else ("shown", ids)
        record = _record(now, asked, shown, outcome, None if refusal else results)
        self._write(record)
        if refusal:
            raise AccessError(f"refused: {refusal}")
        return Grant(record, self._write, self._clock)


def load_people(path: Path) -> dict[str, Person]:
    """Read a people file: persons by id.

    Raises ConfigError with one line for each thing that is wrong: the file cannot be read or can be
    written by everybody, a key is missing, unknown or of the wrong type.
    """
    try:
        mode = path.stat().st_mode
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        detail = error.strerror if isinstance(error, OSError) else error
        raise ConfigError([f"{path}: {detail}"]) from error
    problems = [f"{path}: every user may write it: chmod o-w"] if mode & stat.S_IWOTH else []
    people = {}
    for key, table in tables.items():
        wrong = _problems(table)
        problems += [f"{path}: {key}{text}" for text in wrong]
        if not wrong:
            people[key] = Person(**table)
    if problems:
        raise ConfigError(problems)
    return people


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that can show plate text."""
    group = parser.add_argument_group("to see plate text, which is recorded and told to HQ")
    group.add_argument("--person", default="", metavar="ID", help="who you are, from the people file")
    group.add_argument("--purpose", default="", metavar="CODE", help=f"one of {', '.join(Purpose)}")
    group.add_argument("--case", default="", metavar="NUMBER", help="case or incident number")
    group.add_argument("--demo", action="store_true", help="show what a demonstration site made, to anyone")


def is_asked(args: argparse.Namespace) -> bool:
    """Whether a command line asks for plate text in a person's name."""
    return bool(args.person or args.purpose or args.case)


def check_demo(args: argparse.Namespace, settings: Settings) -> None:
    """Raise UsageError for --demo where the site is not a demonstration."""
    if args.demo and not settings.unit.demo:
        raise UsageError("--demo: this site is not marked as a demonstration (unit.demo)")


def open_access(settings: Settings, clock: Clock, write: Callable[[AccessRecord], None]) -> Access:
    """The door as this unit is configured. Without a people file it lets nobody pass.

    Raises ConfigError for a people file that cannot be used.
    """
    people = {} if settings.access.people is None else load_people(settings.access.people)
    return Access(people, clock, write)


def _refusal(person: str, known: Person | None, purpose: str, case_number: str, now: Timestamp) -> str:
    """Why a grant is refused, "" if it is not."""
    if not person:
        return "no person is named (--person)"
    if known is None:
        return f"{person} is not in the people file"
    if now.wall is None:
        return "the clock is not set, so that the training's date cannot be checked"
    today = now.wall.astimezone().date()
    if known.trained_until < today:
        return f"{known.name}: training {known.course} counted until {known.trained_until} (430.3(d))"
    if purpose not in PURPOSE_CLAUSES:
        return f"purpose {purpose!r} is none of {', '.join(Purpose)}"
    if not case_number.strip():
        return "no case or incident number is given (--case)"
    return ""


def _record(
    now: Timestamp, like: AccessRecord, ids: Sequence[str], outcome: str, results: int | None = None
) -> AccessRecord:
    return AccessRecord(
        access_id=str(uuid.uuid4()),
        at=None if now.wall is None else time_text(now.wall),
        clock=_clock_state(now),
        person=like.person,
        title=like.title,
        agency=like.agency,
        action=like.action,
        query=like.query,
        purpose=like.purpose,
        case_number=like.case_number,
        results=len(ids) if results is None else results,
        ids=tuple(ids),
        outcome=outcome,
    )


def _clock_state(now: Timestamp) -> ClockState:
    return ClockState(
        quality=now.quality.value, boot_id=now.boot_id, boottime=now.boottime, offset_ms=now.offset_ms
    )


def _problems(table: object) -> list[str]:
    if not isinstance(table, dict):
        return [": must be a table such as [mora]"]
    names = [field.name for field in fields(Person)]
    found = [
        f".{key}: is no key of a person; those are {', '.join(names)}" for key in table if key not in names
    ]
    for name in names:
        value = table.get(name)
        if name == "trained_until":
            if type(value) is not date:
                found.append(f".{name}: must be a date such as 2027-03-01")
        elif not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
            found.append(f".{name}: must be a text that is not empty")
    return found
