"""Roles, offices and grants: proposed, approved, ended; never by the person they are for."""

from __future__ import annotations

from django.contrib import messages
from django.forms import ModelForm
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.people.decorators import PageRequest, page
from hq.people.forms import GrantForm, OfficeForm, RoleForm
from hq.people.models import Appointment, Delegated, Grant, Person
from hq.people.policy import Refused, check, said
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


def _add(request: PageRequest, pk: int, action: str, form: ModelForm[Delegated]) -> HttpResponseBase:
    person = get_object_or_404(Person, pk=pk)
    request.access.ids = [pk]
    check(request.person, action, obj=person)
    if not form.is_valid():
        return render(request, "people/delegated_form.html", {"form": form, "account": person}, status=422)
    given = form.save(commit=False)
    given.person = person  # type: ignore[attr-defined]
    given.proposed_by = request.person
    if action == "appointments.make":
        given.approved_by, given.approved_at = request.person, clock.now()
    given.save()
    request.access.note = str(given)
    messages.success(request, f"{given}: {given.state}.")
    return redirect("people:account", pk)


def _approve(request: PageRequest, given: Appointment | Grant, action: str) -> HttpResponseBase:
    request.access.ids, request.access.note = [given.pk], str(given)
    check(request.person, action, obj=given)
    if isinstance(given, Appointment) and given.is_office:
        raise Refused("430.2-e", "the Commander appoints to an office", "the Commander")
    if given.state != "proposed":
        raise Refused("430.2-d", f"this is {given.state}", "nobody: it does not wait for approval")
    given.approved_by, given.approved_at = request.person, clock.now()
    given.save(update_fields=["approved_by", "approved_at"])
    messages.success(request, f"Approved: {given}.")
    return redirect("people:account", given.person_id)


def _end(request: PageRequest, given: Appointment | Grant, action: str) -> HttpResponseBase:
    request.access.ids, request.access.note = [given.pk], str(given)
    check(request.person, action, obj=given)
    why = said("430.2-d", "the reason", request.POST.get("reason", ""))[:200]
    request.access.note = f"{given}: {why}"
    if given.ended_at is None:
        given.ended_by, given.ended_at, given.ended_why = request.person, clock.now(), why
        given.save(update_fields=["ended_by", "ended_at", "ended_why"])
    messages.success(request, f"Ended: {given}.")
    return redirect("people:account", given.person_id)
