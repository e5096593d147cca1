"""Training: the matrix of who, what, until when; courses; completions (430.3(d), 430.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render

from hq.people.decorators import PageRequest, page
from hq.people.forms import CompletionForm, CourseForm, expiry
from hq.people.inforce import policy_words
from hq.people.models import Completion, Course, Person
from hq.people.policy import check, courses_for, may
from hq.site import clock

SOON = timedelta(days=30)


@dataclass(frozen=True)
class Cell:
    """One person's training in one course: a word, a style, a date."""

    word: str
    style: str
    until: date | None = None


@page("training.view")
def matrix(request: PageRequest) -> HttpResponseBase:
    """Everybody against every course needed today."""
    people = list(
        Person.objects.exclude(state=Person.State.CLOSED).prefetch_related(
            "appointments", "completions__course"
        )
    )
    courses = sorted(
        {course for person in people for course in courses_for(person.roles())}, key=lambda c: (c.code, c.id)
    )
    rows = [(person, _row(person, courses)) for person in people]
    request.access.result_count = len(rows)
    context = {
        "courses": courses,
        "rows": rows,
        "under": policy_words(),
        "may_course": may(request.person, "training.course"),
        "may_complete": may(request.person, "training.complete"),
    }
    return render(request, "people/training.html", context)


@page("training.course", kind="training")
def add_course(request: PageRequest) -> HttpResponseBase:
    """Set up a course or a new version of one."""
    form = CourseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        course = form.save(commit=False)
        course.entered_by, course.roles = request.person, form.cleaned_data["roles"]
        course.save()
        request.access.note = f"course {course}"
        messages.success(request, f"{course} is needed from {course.required_from}.")
        return redirect("people:training")
    return render(request, "people/training_form.html", {"form": form, "heading": "Set up a course"})


@page("training.complete", kind="training")
def add_completion(request: PageRequest) -> HttpResponseBase:
    """Certify that somebody completed a course; not oneself."""
    initial = {"completed_on": clock.today(), "trainer": request.person.full_name, **request.GET.dict()}
    form = CompletionForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        done = form.save(commit=False)
        request.access.ids = [done.person_id]
        check(request.person, "training.complete", obj=done)
        done.entered_by = request.person
        done.expires_on = expiry(done.completed_on, done.course.validity_months)
        done.save()
        request.access.note = str(done)
        messages.success(request, f"{done}, valid until {done.expires_on}.")
        return redirect("people:training")
    return render(request, "people/training_form.html", {"form": form, "heading": "Certify a completion"})


def _row(person: Person, courses: Iterable[Course]) -> list[Cell]:
    needed = {course.pk for course in courses_for(person.roles())}
    newest: dict[int, Completion] = {}
    for done in sorted(person.completions.all(), key=lambda c: c.completed_on):
        newest[done.course_id] = done
    return [_cell(person, newest.get(course.pk), course.pk in needed) for course in courses]


def _cell(person: Person, done: Completion | None, needed: bool) -> Cell:
    today = clock.today()
    if not needed and done is None:
        return Cell("not needed", "dim")
    if done is None:
        return Cell("missing", "bad")
    if done.expires_on < today:
        return Cell("expired", "bad", done.expires_on)
    if person.must_retake(done):
        return Cell("take again", "bad", done.expires_on)
    if done.expires_on < today + SOON:
        return Cell("expires soon", "warn", done.expires_on)
    return Cell("valid", "good", done.expires_on)
