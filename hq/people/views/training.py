"""Training: the matrix of who, what, until when; courses; completions (430.3(d), 430.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from hq.people import courses
from hq.people.decorators import PageRequest, page
from hq.people.forms import CompletionForm, CourseForm, RetireForm, expiry
from hq.people.inforce import policy_words
from hq.people.models import Completion, Course, Person
from hq.people.policy import Misfilled, check, courses_for, may
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
    needed = sorted(
        {course for person in people for course in courses_for(person.roles())}, key=lambda c: (c.code, c.id)
    )
    rows = [(person, _row(person, needed)) for person in people]
    request.access.result_count = len(rows)
    context = {
        "courses": needed,
        "register": Course.objects.select_related("retired_by"),
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
        course.roles = form.cleaned_data["roles"]
        try:
            courses.set_up(request.person, course)
        except Misfilled as refused:
            form.add_error(refused.field, refused.sentence)
            request.access.misfilled = refused
        else:
            request.access.note = f"course {course}"
            messages.success(request, f"{course} is needed from {course.required_from}.")
            return redirect("people:training")
    return render(request, "people/training_form.html", {"form": form, "heading": "Set up a course"})


@page("training.course", kind="training")
def retire_course(request: PageRequest, pk: int) -> HttpResponseBase:
    """Say from when on a course is needed no more, and why."""
    course = get_object_or_404(Course, pk=pk)
    request.access.ids = [pk]
    form = RetireForm(request.POST or None, initial={"retired_on": clock.today()})
    if request.method == "POST" and form.is_valid():
        on, why = form.cleaned_data["retired_on"], form.cleaned_data["retired_why"]
        try:
            courses.retire(request.person, pk, on, why)
        except Misfilled as refused:
            form.add_error(refused.field, refused.sentence)
            request.access.misfilled = refused
        else:
            request.access.note = f"course {course} retired from {on}: {why}"
            messages.success(request, f"{course} is needed by nobody from {on}.")
            return redirect("people:training")
    return render(request, "people/training_form.html", {"form": form, "heading": f"Retire {course}"})


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


def _row(person: Person, shown: Iterable[Course]) -> list[Cell]:
    needed = {course.pk for course in courses_for(person.roles())}
    newest: dict[int, Completion] = {}
    for done in sorted(person.completions.all(), key=lambda c: c.completed_on):
        newest[done.course_id] = done
    return [_cell(person, newest.get(course.pk), course.pk in needed) for course in shown]


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
