"""Courses of approved training: set up and retired, so that no role is left without one (430.3(d), 430.6).

Which are needed of whom on a day is `hq.people.policy.courses_on`. A role that needs no course is let in
nowhere, so that leaving one without would shut its people out.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import date
from typing import Final

from hq.people.models import Course, Person, Role
from hq.people.policy import Misfilled, Refused, check, courses_on
from hq.site import clock

CLAUSE: Final = "430.3(d)"


def set_up(by: Person, course: Course) -> Course:
    """Enter a course or a new version of one.

    Raises Refused, Misfilled if a role would need no course at all from its day.
    """
    check(by, "training.course")
    held = _locked()
    _check_none_bare("roles", held, [*held, course], course.required_from)
    course.entered_by = by
    course.save()
    return course


def retire(by: Person, pk: int, on: date, why: str) -> Course:
    """From a day on it is needed no more; completions stay. Sent twice, it is retired once.

    One that is needed from that day or later never comes into force: the version before it stays in force.
    Raises Refused, Misfilled for a day that has passed, or from which a role would need no course at all.
    """
    check(by, "training.course")
    held = _locked()
    course = next(one for one in held if one.pk == pk)
    if course.retired_at is not None:
        if (course.retired_by_id, course.retired_on, course.retired_why) == (by.pk, on, why):
            return course
        raise Refused(CLAUSE, f"{course} is retired from {course.retired_on}", "nobody: set up a new version")
    if on < clock.today():
        raise Misfilled("retired_on", CLAUSE, "this day has passed", "nobody: it was needed until today")
    retired = copy(course)
    retired.retired_by, retired.retired_at, retired.retired_on, retired.retired_why = by, clock.now(), on, why
    _check_none_bare("retired_on", held, [retired if one is course else one for one in held], on)
    retired.save(update_fields=["retired_by", "retired_at", "retired_on", "retired_why"])
    return retired


def _locked() -> list[Course]:
    """Every course; of two changes at once the second waits here, and sees the first."""
    return list(Course.objects.select_for_update().order_by("pk"))


def _check_none_bare(field: str, before: list[Course], after: list[Course], since: date) -> None:
    """Raises Misfilled if on any day to come a role needs no course any more that needed one before."""
    changes = {day for one in after for day in (one.required_from, one.retired_on) if day and day > since}
    for day in sorted({since, *changes}):
        bare = _bare(day, after) - _bare(day, before)
        if bare:
            names = ", ".join(Role(role).label for role in Role if role in bare)
            why = f"from {day} no course would be needed of these roles, and nobody of them let in: {names}"
            raise Misfilled(field, CLAUSE, why, "nobody: set up the course that they need first")


def _bare(day: date, courses: Iterable[Course]) -> set[str]:
    return {role.value for role in Role if not courses_on(day, [role.value], courses)}
