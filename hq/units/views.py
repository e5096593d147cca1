"""The pages of units and deployments. They ask `register`, `deployments` and `board`, and decide nothing."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.people.decorators import PageRequest, page
from hq.people.policy import may
from hq.records.models import Unit, UnitStatus
from hq.site import clock
from hq.units import deployments as service
from hq.units import register
from hq.units.board import alarms, rows
from hq.units.forms import (
    ChangeForm,
    DeploymentForm,
    ReasonForm,
    RegisterForm,
    RetireForm,
    WipeForm,
    WorkForm,
)
from hq.units.models import Acceptance, Deployment, Device, Reported, Wipe, Work


@page("units.view", passive=True)
def board(request: PageRequest) -> HttpResponseBase:
    """Every unit with its heartbeat, faults first; reloads itself."""
    shown = rows()
    request.access.result_count = len(shown)
    context = {
        "rows": shown,
        "alarms": alarms(),
        "may_register": may(request.person, "units.register"),
        "at": clock.now(),
    }
    return render(request, "units/board.html", context)


@page("units.register", kind="unit")
def new(request: PageRequest) -> HttpResponseBase:
    """Enter a unit in the register."""
    heard = request.GET.get("unit", "")
    form = RegisterForm(request.POST or None, initial={"unit_id": heard, "installed_on": clock.today()})
    if request.method == "POST" and form.is_valid():
        unit_id, name = form.cleaned_data["unit_id"], form.cleaned_data["name"]
        unit = Unit.objects.filter(pk=unit_id).first() or Unit(unit_id=unit_id)
        unit.name = name
        register.register(request.person, unit, form.save(commit=False))
        request.access.ids, request.access.note = [unit_id], "registered"
        messages.success(request, f"Unit {unit_id} is registered and waits for the Commander's approval.")
        return redirect("units:unit", unit_id)
    return render(request, "units/form.html", {"form": form, "title": "Register a unit", "send": "Register"})


@page("units.view")
def detail(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """One unit: register, what runs on it, log, wipes, deployments."""
    unit = get_object_or_404(Unit, pk=unit_id)
    request.access.ids = [unit_id]
    device = (
        Device.objects.filter(unit=unit).select_related("registered_by", "approved_by", "ended_by").first()
    )
    me = request.person
    can = {
        name: may(me, action, obj=device)
        for name, action in (
            ("change", "units.register"),
            ("approve", "units.approve"),
            ("end", "units.revoke"),
            ("record", "maintenance.record"),
            ("see_work", "maintenance.view"),
        )
    }
    row = next((one for one in rows() if one.unit_id == unit_id), None)
    context = {
        "unit": unit,
        "device": device,
        "row": row,
        "status": UnitStatus.objects.filter(unit=unit_id).first(),
        "can": can,
        "accepted": Acceptance.objects.filter(unit=unit).select_related("accepted_by").first(),
        "reported": Reported.objects.filter(unit=unit_id)[:20],
        "work": Work.objects.filter(unit=unit).select_related("recorded_by")[:100] if can["see_work"] else [],
        "wipes": [
            (wipe, can["record"] and wipe.witnessed_at is None and wipe.recorded_by_id != me.pk)
            for wipe in Wipe.objects.filter(unit=unit).select_related("recorded_by", "witnessed_by")
        ],
        "deployments": Deployment.objects.filter(units=unit)[:20],
        "outstanding": register.outstanding(unit_id),
        "work_form": WorkForm(auto_id="work_%s") if can["record"] else None,
        "wipe_form": WipeForm(auto_id="wipe_%s") if can["record"] else None,
        "retire_form": RetireForm(auto_id="retire_%s") if can["end"] else None,
    }
    return render(request, "units/unit.html", context)


@page("units.register", kind="unit")
def change(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """Change what the register says."""
    device = get_object_or_404(Device.objects.select_related("unit"), pk=unit_id)
    request.access.ids = [unit_id]
    form = ChangeForm(request.POST or None, instance=device, initial={"name": device.unit.name})
    if request.method == "POST" and form.is_valid():
        values = {name: form.cleaned_data[name] for name in ChangeForm.Meta.fields}
        register.change(request.person, unit_id, values, form.cleaned_data["why"])
        Unit.objects.filter(pk=unit_id).update(name=form.cleaned_data["name"])
        request.access.note = f"register changed: {form.cleaned_data['why']}"
        messages.success(request, "Changed. The change waits to be accepted.")
        return redirect("units:unit", unit_id)
    return render(
        request, "units/form.html", {"form": form, "title": f"Change {device.unit}", "send": "Change"}
    )


@require_POST
@page("units.approve", kind="unit")
def approve(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """Enrol a unit."""
    form = _reason(request, unit_id)
    if form is not None:
        register.approve(request.person, unit_id, form)
        messages.success(request, f"Unit {unit_id} is enrolled: its records are taken from now on.")
    return redirect("units:unit", unit_id)


@require_POST
@page("units.approve", kind="unit")
def accept(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """Accept a unit's changes."""
    form = _reason(request, unit_id)
    if form is not None:
        register.accept(request.person, unit_id, form)
        messages.success(request, f"The changes of unit {unit_id} are accepted.")
    return redirect("units:unit", unit_id)


@require_POST
@page("units.revoke", kind="unit")
def revoke(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """Stop taking a unit's records."""
    form = _reason(request, unit_id)
    if form is not None:
        register.revoke(request.person, unit_id, form)
        messages.success(request, f"Unit {unit_id} is revoked: what it sends goes into quarantine.")
    return redirect("units:unit", unit_id)


@require_POST
@page("units.revoke", kind="unit")
def retire(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """Take a unit out of service."""
    form = _reason(request, unit_id)
    if form is not None:
        register.retire(request.person, unit_id, form, request.POST.get("lost", "")[:150])
        messages.success(request, f"Unit {unit_id} is retired. Wipe its media and record it.")
    return redirect("units:unit", unit_id)


@require_POST
@page("maintenance.record", kind="maintenance")
def work(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """Add a line to the maintenance log."""
    unit = get_object_or_404(Unit, pk=unit_id)
    request.access.ids = [unit_id]
    form = WorkForm(request.POST)
    if not form.is_valid():
        return render(
            request,
            "units/form.html",
            {"form": form, "title": f"Work on {unit}", "send": "Record"},
            status=422,
        )
    register.record(request.person, unit, **form.cleaned_data)
    request.access.note = form.cleaned_data["kind"]
    messages.success(request, "Recorded.")
    return redirect("units:unit", unit_id)


@require_POST
@page("maintenance.record", kind="maintenance")
def wipe(request: PageRequest, unit_id: str) -> HttpResponseBase:
    """Record that a medium was wiped."""
    unit = get_object_or_404(Unit, pk=unit_id)
    request.access.ids = [unit_id]
    form = WipeForm(request.POST)
    if not form.is_valid():
        return render(
            request,
            "units/form.html",
            {"form": form, "title": f"Wipe of {unit}", "send": "Record"},
            status=422,
        )
    register.wipe(request.person, unit, **form.cleaned_data)
    request.access.note = "wipe recorded"
    messages.success(request, "Recorded. A second person bears witness.")
    return redirect("units:unit", unit_id)


@require_POST
@page("maintenance.record", kind="maintenance")
def witness(request: PageRequest, pk: int) -> HttpResponseBase:
    """Bear witness to a wipe."""
    held = get_object_or_404(Wipe, pk=pk)
    request.access.ids, request.access.note = [held.unit_id], f"witness to wipe {pk}"
    register.witness(request.person, pk)
    messages.success(request, "You have witnessed this wipe.")
    return redirect("units:unit", held.unit_id)


@page("deployments.view", purpose=True)
def deployments(request: PageRequest) -> HttpResponseBase:
    """Every deployment, and trailers without one."""
    shown = Deployment.objects.prefetch_related("units").select_related("opened_by")[:200]
    request.access.result_count = len(shown)
    context = {
        "rows": shown,
        "strays": service.strays(),
        "may_open": may(request.person, "deployments.open"),
        "may_start": may(request.person, "deployments.start_stop"),
        "may_canvass": may(request.person, "deployments.canvass"),
    }
    return render(request, "units/deployments.html", context)


@page("deployments.open", purpose=True, kind="deployment")
def open_deployment(request: PageRequest) -> HttpResponseBase:
    """Open a deployment for an incident."""
    form = DeploymentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = form.save(commit=False)
        try:
            service.open_one(
                request.person,
                made,
                form.cleaned_data["units"],
                purpose=request.access.purpose,
                case=request.access.case,
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            request.access.ids, request.access.note = [made.code], f"incident {made.incident}"
            messages.success(request, f"Deployment {made.code} is open.")
            return redirect("units:deployments")
    return render(request, "units/form.html", {"form": form, "title": "Open a deployment", "send": "Open it"})


@require_POST
@page("deployments.start_stop", kind="deployment")
def start(request: PageRequest, pk: int) -> HttpResponseBase:
    """The units of a deployment stand and read."""
    return _moved(request, pk, "started")


@require_POST
@page("deployments.start_stop", kind="deployment")
def stop(request: PageRequest, pk: int) -> HttpResponseBase:
    """The units of a deployment are withdrawn."""
    return _moved(request, pk, "stopped")


def _moved(request: PageRequest, pk: int, what: str) -> HttpResponseBase:
    get_object_or_404(Deployment, pk=pk)
    held = (service.start if what == "started" else service.stop)(request.person, pk)
    done = what if held.started_at is not None else held.state
    request.access.ids, request.access.note = [held.code], done
    messages.success(request, f"Deployment {held.code} is {done}.")
    return redirect("units:deployments")


def _reason(request: PageRequest, unit_id: str) -> str | None:
    """The reason given, or None with a word to the person."""
    get_object_or_404(Device, pk=unit_id)
    request.access.ids = [unit_id]
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say why: the reason is kept with the unit.")
        return None
    request.access.note = form.cleaned_data["reason"]
    return str(form.cleaned_data["reason"])
