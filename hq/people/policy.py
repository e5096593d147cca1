"""The one function that says who may do what: account, training, appointment, grant, persons apart, purpose.

Rights are data (rights.toml, purposes.toml). Nothing else in HQ asks for a role's name. Writes nothing:
`hq.people.decorators` logs what is refused.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

from django.contrib.auth.models import AnonymousUser

from hq.people import cases, purposes
from hq.people.models import Completion, Course, Grant, Person, Role
from hq.site import clock

COLUMNS = tuple(role.value for role in Role if role not in (Role.OVERSEER, Role.DESIGNEE))
MARKS = ("y", "c", "a", "r")
COMMANDER = "the Commander, on the ALPR administrator's proposal"


class Refused(Exception):
    """Policy says no: by which clause, why, and who could change that."""

    def __init__(self, clause: str, why: str, who_can_grant: str) -> None:
        super().__init__(f"{clause}: {why}; ask {who_can_grant}")
        self.clause = clause
        self.why = why
        self.who_can_grant = who_can_grant


class Gone(Refused):
    """What is asked for was lawfully destroyed: `who_can_grant` says who still has it."""


class Misfilled(Refused):
    """A rule against what a form says, not against the person: `field` is where the reason belongs."""

    def __init__(self, field: str, clause: str, why: str, who_can_grant: str) -> None:
        super().__init__(clause, why, who_can_grant)
        self.field = field

    @property
    def sentence(self) -> str:
        """The reason as it stands at the field."""
        return f"{self.why[:1].upper()}{self.why[1:]} ({self.clause})."


class Unstated(Misfilled):
    """The purpose or case that was stated does not do: `field` says which of the two."""


@dataclass(frozen=True)
class Right:
    """One action of rights.toml: `marks` maps a role to y, c, a or r.

    `narrow` names the roles whose right ends at their own shift's units and hours, `wider` the grant that
    takes this limit away.
    """

    action: str
    row: str
    clause: str
    marks: Mapping[str, str]
    grant: str
    apart: tuple[str, ...]
    narrow: tuple[str, ...] = ()
    wider: str = ""

    @property
    def holders(self) -> str:
        """The roles that may, for a person to read."""
        names = [Role(role).label for role in COLUMNS if role in self.marks]
        return " or ".join(names) if len(names) < 3 else ", ".join(names[:-1]) + f" or {names[-1]}"


def _load() -> dict[str, Right]:
    rights = {}
    for action, row in tomllib.loads((Path(__file__).parent / "rights.toml").read_text()).items():
        marks = {
            role: mark
            for mark in MARKS
            for named in row.get(mark, ())
            for role in (COLUMNS if named == "all" else (named,))
        }
        unknown = set(marks) - set(COLUMNS)
        if unknown:
            raise ValueError(f"rights.toml: {action}: no such role: {', '.join(sorted(unknown))}")
        rights[action] = Right(
            action,
            row["row"],
            row["clause"],
            marks,
            row.get("grant", ""),
            tuple(row.get("apart", ())),
            tuple(row.get("narrow", ())),
            row.get("wider", ""),
        )
    return rights


RIGHTS = _load()


class Standing:
    """What a person holds at one moment; made anew for each check, as rights may end between two."""

    def __init__(self, person: Person) -> None:
        self.person = person

    @cached_property
    def roles(self) -> set[str]:
        """The roles held by live appointments."""
        return {a.role for a in self._appointments}

    @cached_property
    def grants(self) -> set[str]:
        """The codes of the grants in force."""
        return {g.code for g in Grant.objects.filter(person=self.person) if g.live()}

    @cached_property
    def training_gaps(self) -> list[str]:
        """What is missing of the approved training, in words; empty where training is in date."""
        needed = courses_for(self.roles)
        if not needed:
            return ["no department-approved course is set up"]
        return [f"{course}: {state}" for course in needed if (state := _course_state(self.person, course))]

    def mark(self, right: Right) -> str:
        """How the person may do it: y, c, a, r or nothing. A plain right beats one with a purpose."""
        held = {right.marks[role] for role in self.roles if role in right.marks}
        if right.marks.get(Role.COMMANDER) and right.action in self._delegated:
            held.add(right.marks[Role.COMMANDER])
        return next((mark for mark in ("y", "a", "c", "r") if mark in held), "")

    def narrow(self, right: Right) -> bool:
        """Whether only what the own shift's units sent lately is open: no wider role, no grant."""
        wider = {role for role in self.roles if role in right.marks} - set(right.narrow)
        return not wider and not (right.wider and right.wider in self.grants)

    def purposes(self) -> list[purposes.Purpose]:
        """The purposes the person may state."""
        return purposes.for_roles(self.roles)

    @cached_property
    def _appointments(self) -> list[_Appointment]:
        return [_Appointment(a.role, tuple(a.rights)) for a in self.person.appointments.all() if a.live()]

    @cached_property
    def _delegated(self) -> set[str]:
        return {action for a in self._appointments if a.role == Role.DESIGNEE for action in a.rights}


@dataclass(frozen=True)
class _Appointment:
    role: str
    rights: tuple[str, ...]


def check(
    person: Person | AnonymousUser | None,
    action: str,
    *,
    purpose: str | None = "",
    case: str = "",
    obj: object = None,
    standing: Standing | None = None,
) -> None:
    """Return if the person may; raise Refused if not, KeyError for an action that rights.toml lacks.

    `purpose=None` asks only whether the person may state a purpose for it: for the page that asks for one.
    `obj` is the thing acted upon; its persons that rights.toml names under `apart` may not act on it.
    """
    right = RIGHTS[action]
    if not isinstance(person, Person):
        raise Refused("430.5(a)", "nobody is logged in", "your ALPR administrator for an account")
    held = standing or Standing(person)
    check_entry(person, held)
    mark = held.mark(right)
    if not mark:
        raise Refused(
            right.clause,
            f"you hold no live appointment that allows “{right.row}” ({action}); it takes {right.holders}",
            "the Commander for an appointment",
        )
    if right.grant and right.grant not in held.grants:
        label = Grant.Code(right.grant).label
        raise Refused("430.3(e)", f"you hold no grant for {label}", f"{COMMANDER}, for this grant")
    _check_apart(person, right, obj)
    if mark == "c" and purpose is not None:
        check_purpose(held.roles, purpose, case)


def may(
    person: Person | AnonymousUser | None,
    action: str,
    *,
    obj: object = None,
    standing: Standing | None = None,
) -> bool:
    """Whether check would pass once a purpose is stated."""
    try:
        check(person, action, purpose=None, obj=obj, standing=standing)
    except Refused:
        return False
    return True


def said(clause: str, field: str, text: str) -> str:
    """What was written into a field that may not be empty, without the blanks around it. Raises Refused."""
    if not text.strip():
        raise Refused(clause, f"{field} is empty: a decision without it is no record", "nobody: enter it")
    return text.strip()


def granted(person: Person, code: str) -> bool:
    """Whether a grant (Grant.Code) is in force: for masking what a page shows."""
    return code in Standing(person).grants


def check_entry(person: Person, standing: Standing | None = None) -> None:
    """Whether the account and its training let the person in at all; raises Refused."""
    administrator = "the Commander or a designee"
    if person.state != Person.State.ACTIVE:
        why = f"the account is {person.get_state_display()}"
        raise Refused("430.2.1(a)", f"{why}: {person.state_reason}".rstrip(": "), administrator)
    if person.ends_on and person.ends_on < clock.today():
        raise Refused("430.2.1(a)", f"the account ended on {person.ends_on}", administrator)
    gaps = (standing or Standing(person)).training_gaps
    if gaps:
        raise Refused("430.3(d)", f"training is not in date: {'; '.join(gaps)}", "the Training Sergeant")


def check_purpose(roles: Iterable[str], purpose: str, case: str) -> None:
    """Whether these roles may state that purpose with that case number; raises Unstated."""
    row = purposes.ALL.get(purpose)
    if row is None:
        raise Unstated(
            "purpose",
            "430.3(a)",
            "no purpose of the policy's list is stated",
            "nobody: state one on this page",
        )
    if purpose not in purposes.in_use():
        raise Unstated("purpose", row.clause, f"the agency does not use the purpose “{row.title}”", COMMANDER)
    if not set(roles) & set(row.roles):
        raise Unstated(
            "purpose", row.clause, f"your roles may not state the purpose “{row.title}”", COMMANDER
        )
    if why := cases.fault(row, case):
        raise Unstated("case", "430.5(b)", why, "nobody: go back and enter it")


def courses_for(roles: Iterable[str]) -> list[Course]:
    """The newest needed version of every course that applies to these roles today."""
    today = clock.today()
    return courses_on(today, roles, Course.objects.filter(required_from__lte=today))


def courses_on(day: date, roles: Iterable[str], courses: Iterable[Course]) -> list[Course]:
    """Of these courses the newest needed version of each that applies to these roles on a day.

    A version that is retired before it was ever needed does not replace the one before it.
    """
    held, newest = set(roles), {}
    for course in sorted(courses, key=lambda one: (one.required_from, one.pk or math.inf)):
        if course.required_from <= day and not course.taken_back:
            newest[course.code] = course
    return [
        course
        for course in newest.values()
        if (course.retired_on is None or day < course.retired_on)
        and (not course.roles or held & set(course.roles))
    ]


def _course_state(person: Person, course: Course) -> str:
    """What is wrong with the person's training in a course, or nothing."""
    done = Completion.objects.filter(person=person, course__code=course.code, course__version=course.version)
    newest = done.order_by("-completed_on", "-id").first()
    if newest is None:
        return "not completed"
    if newest.expires_on < clock.today():
        return f"expired on {newest.expires_on}"
    if person.must_retake(newest):
        return "must be taken again after the suspension"
    return ""


def _check_apart(person: Person, right: Right, obj: object) -> None:
    if obj is None:
        return
    for name in right.apart:
        other = obj if name == "self" and isinstance(obj, Person) else getattr(obj, name, None)
        if isinstance(other, Person) and other.pk == person.pk:
            what = (
                "it concerns yourself"
                if name in ("self", "person")
                else f"you are its {name.replace('_', ' ')}"
            )
            raise Refused(right.clause, f"it takes a second person: {what}", f"another {right.holders}")
