"""Roles, offices, grants, other last days: proposed, approved, ended; never by the person they are for."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.forms import ModelForm
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.people import accounts
from hq.people.decorators import PageRequest, page
from hq.people.forms import GrantForm, LastDayForm, OfficeForm, RoleForm
from hq.people.models import Appointment, Grant, LastDay, Person
from hq.people.policy import COMMANDER, Misfilled, Refused, check, said
from hq.site import clock


@require_POST
@page("roles.propose", kind="role")
def propose_role(request: PageRequest, pk: int) -> HttpResponseBase:
    """Propose an ordinary role."""
    return _add(request, pk, "roles.propose", RoleForm(request.POST, auto_id="role_%s"))


@require_POST
@page("grants.propose", kind="grant")
def propose_grant(request: PageRequest, pk: int) -> HttpResponseBase:
    """Propose a grant."""
    return _add(request, pk, "grants.propose", GrantForm(request.POST, auto_id="grant_%s"))


@require_POST
@page("appointments.make", kind="appointment")
def appoint(request: PageRequest, pk: int) -> HttpResponseBase:
    """Appoint to an office, at once."""
    return _add(request, pk, "appointments.make", OfficeForm(request.POST, auto_id="office_%s"))


@require_POST
@page("roles.approve", kind="role")
def approve_role(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a proposed role."""
    given = get_object_or_404(Appointment.objects.select_for_update(), pk=pk)
    return _approve(request, given, "roles.approve")


@require_POST
@page("grants.approve", kind="grant")
def approve_grant(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a proposed grant."""
    return _approve(request, get_object_or_404(Grant.objects.select_for_update(), pk=pk), "grants.approve")


@require_POST
@page("roles.end", kind="role")
def end_role(request: PageRequest, pk: int) -> HttpResponseBase:
    """End an ordinary role."""
    given = get_object_or_404(Appointment.objects.select_for_update(), pk=pk)
    if given.is_office:
        raise Refused("430.2-e", "only the Commander ends an appointment to an office", "the Commander")
    return _end(request, given, "roles.end")


@require_POST
@page("appointments.end", kind="appointment")
def end_appointment(request: PageRequest, pk: int) -> HttpResponseBase:
    """End an appointment to an office."""
    given = get_object_or_404(Appointment.objects.select_for_update(), pk=pk)
    return _end(request, given, "appointments.end")


@require_POST
@page("grants.end", kind="grant")
def end_grant(request: PageRequest, pk: int) -> HttpResponseBase:
    """Revoke a grant."""
    return _end(request, get_object_or_404(Grant.objects.select_for_update(), pk=pk), "grants.end")


@require_POST
@page("roles.propose", kind="account")
def propose_last_day(request: PageRequest, pk: int) -> HttpResponseBase:
    """Propose another last day for an account that has one."""
    person = _person(request, pk, "roles.propose")
    form = LastDayForm(request.POST, auto_id="last_%s")
    if not form.is_valid():
        return _again(request, person, form)
    try:
        moved = accounts.propose_last_day(person, form.save(commit=False), request.person)
    except Misfilled as refused:
        form.add_error(refused.field, refused.sentence)
        request.access.misfilled = refused
        return _again(request, person, form)
    _note_last_day(request, moved, "proposed")
    messages.success(request, f"{moved}: it waits for approval, until then nothing changes.")
    return redirect("people:account", pk)


@require_POST
@page("roles.approve", kind="account")
def approve_last_day(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a proposed last day, which counts at once."""
    moved = _last_day(request, pk)
    _check_waits(request, moved, "roles.approve")
    accounts.move_last_day(moved.person, moved, request.person)
    _note_last_day(request, moved, "approved")
    messages.success(request, f"{moved}. The account is {moved.person.state}.")
    return redirect("people:account", moved.person_id)


@require_POST
@page("roles.end", kind="account")
def end_last_day(request: PageRequest, pk: int) -> HttpResponseBase:
    """Drop a proposed last day; one that was approved is moved by another."""
    moved = _last_day(request, pk)
    if moved.approved_at is not None:
        raise Refused("430.2.1(a)", "this last day is approved", "the administrator, who proposes another")
    return _end(request, moved, "roles.end")


def _add(request: PageRequest, pk: int, action: str, form: ModelForm[Any]) -> HttpResponseBase:
    person = _person(request, pk, action)
    if not form.is_valid():
        return _again(request, person, form)
    given: Appointment | Grant = form.save(commit=False)
    given.person, given.proposed_by = person, request.person
    if action == "appointments.make":
        given.approved_by, given.approved_at = request.person, clock.now()
    before = _sent_before(given, form)
    if before is None and (waiting := _waiting(given)):
        by = f" by {waiting.proposed_by.full_name}" if waiting.proposed_by else ""
        why = f"this is proposed already{by} and waits for approval"
        refused = Misfilled("role" if isinstance(given, Appointment) else "code", "430.2-d", why, COMMANDER)
        form.add_error(refused.field, refused.sentence)
        request.access.misfilled = refused
        return _again(request, person, form)
    if before is None:
        given.save()
    given = before or given
    request.access.note = str(given)
    messages.success(request, f"{given}: {given.state}.")
    return redirect("people:account", pk)


def _person(request: PageRequest, pk: int, action: str) -> Person:
    """The account that something is proposed for; of two proposals at once the second waits here."""
    person = get_object_or_404(Person.objects.select_for_update(), pk=pk)
    request.access.ids = [pk]
    check(request.person, action, obj=person)
    if person.state == Person.State.CLOSED:
        raise Refused("430.2.1(a)", "the account is closed", "the ALPR administrator for a new account")
    return person


def _waiting(given: Appointment | Grant) -> Appointment | Grant | None:
    """What waits for approval already of the same role or grant for the same person."""
    same = {"role": given.role} if isinstance(given, Appointment) else {"code": given.code}
    if given.approved_at is not None:
        return None
    return (
        type(given)
        ._default_manager.filter(person=given.person, approved_at=None, ended_at=None, **same)
        .select_related("proposed_by")
        .first()
    )


def _sent_before(given: Appointment | Grant, form: ModelForm[Any]) -> Appointment | Grant | None:
    """The same in the same words of the same person, if it stands: after a second press of the button."""
    said = {name: getattr(given, name) for name in form.Meta.fields}  # type: ignore[attr-defined]
    same = type(given)._default_manager.filter(
        person=given.person, proposed_by=given.proposed_by, ended_at=None, **said
    )
    return same.filter(approved_at__isnull=given.approved_at is None).first()


def _again(request: PageRequest, person: Person, form: ModelForm[Any]) -> HttpResponseBase:
    return render(request, "people/delegated_form.html", {"form": form, "account": person}, status=422)


def _last_day(request: PageRequest, pk: int) -> LastDay:
    """A proposed last day, its account locked before it, in the order in which closing it locks them."""
    found = get_object_or_404(LastDay, pk=pk)
    person = Person.objects.select_for_update().get(pk=found.person_id)
    moved = LastDay.objects.select_for_update().get(pk=pk)
    moved.person = person
    return moved


def _note_last_day(request: PageRequest, moved: LastDay, what: str) -> None:
    request.access.ids, request.access.note = [moved.person_id], f"last day {what}: {moved.note}"
    request.access.elements = {"before": str(moved.was), "after": str(moved.ends_on)}


def _check_waits(request: PageRequest, given: Appointment | Grant | LastDay, action: str) -> None:
    """Whether the person may approve it and it waits for that; Refused otherwise."""
    request.access.ids, request.access.note = [given.pk], str(given)
    check(request.person, action, obj=given)
    if given.state != "proposed":
        raise Refused("430.2-d", f"this is {given.state}", "nobody: it does not wait for approval")


def _approve(request: PageRequest, given: Appointment | Grant, action: str) -> HttpResponseBase:
    _check_waits(request, given, action)
    if isinstance(given, Appointment) and given.is_office:
        raise Refused("430.2-e", "the Commander appoints to an office", "the Commander")
    given.approved_by, given.approved_at = request.person, clock.now()
    given.save(update_fields=["approved_by", "approved_at"])
    messages.success(request, f"Approved: {given}.")
    return redirect("people:account", given.person_id)


def _end(request: PageRequest, given: Appointment | Grant | LastDay, action: str) -> HttpResponseBase:
    request.access.ids, request.access.note = [given.pk], str(given)
    check(request.person, action, obj=given)
    why = said("430.2-d", "the reason", request.POST.get("reason", ""))[:200]
    request.access.note = f"{given}: {why}"
    if given.ended_at is not None and (given.ended_by, given.ended_why) != (request.person, why):
        by = f" by {given.ended_by.full_name}" if given.ended_by else ""
        raise Refused("430.2-d", f"this was ended already{by}: {given.ended_why}", "nobody")
    if given.ended_at is None:
        given.ended_by, given.ended_at, given.ended_why = request.person, clock.now(), why
        given.save(update_fields=["ended_by", "ended_at", "ended_why"])
    messages.success(request, f"Ended: {given}.")
    return redirect("people:account", given.person_id)
