"""The pages of old log rows' removal. What is decided there is decided by `hq.log.removal`."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.log import removal
from hq.log.floor import FLOOR_DAYS
from hq.log.models import Removal
from hq.people.decorators import PageRequest, page
from hq.people.policy import may
from hq.retention import schedules
from hq.retention.models import Authority


class RemovalForm(forms.Form):
    """A removal to propose."""

    authority = forms.ModelChoiceField(Authority.objects.filter(kind=Authority.Kind.DESTRUCTION))


@page("destruction.view")
def listing(request: PageRequest) -> HttpResponseBase:
    """Every removal, the schedule of the log, and the form to propose one."""
    context = {
        "rows": Removal.objects.select_related("proposed_by", "schedule"),
        "schedule": schedules.in_force(removal.CATEGORY),
        "floor": FLOOR_DAYS,
        "form": RemovalForm() if may(request.person, "destruction.propose") else None,
    }
    return render(request, "log/removals.html", context)


@require_POST
@page("destruction.propose", kind="destruction")
def propose(request: PageRequest) -> HttpResponseBase:
    """Propose to remove what is due."""
    form = RemovalForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Name the authority to destroy.")
        return redirect("log:removals")
    row = removal.propose(request.person, form.cleaned_data["authority"])
    request.access.ids, request.access.result_count = [row.pk], row.rows
    request.access.elements = {"before": row.before, "kept": row.kept}
    return redirect("log:removal", row.pk)


@page("destruction.view")
def detail(request: PageRequest, pk: int) -> HttpResponseBase:
    """One removal: what it names, its signatures, the anchors that it left."""
    row = get_object_or_404(Removal.objects.select_related("schedule", "authority"), pk=pk)
    request.access.ids = [pk]
    me, proposed = request.person, row.state == Removal.State.PROPOSED
    approves, cosigns = may(me, "destruction.approve", obj=row), may(me, "destruction.cosign", obj=row)
    is_open, refuses = row.state in Removal.OPEN, proposed and (approves or cosigns)
    context = {
        "removal": row,
        "gone": removal.gone(row),
        "hindrance": removal.hindrance(row) if is_open else "",
        "ranges": row.ranges[:20],
        "anchors": row.anchors.all()[:100],
        "statement": removal.STATEMENT,
        "may_approve": proposed and row.approved_by is None and approves,
        "may_cosign": proposed and row.approved_by is not None and cosigns,
        "may_refuse": refuses,
        "may_withdraw": is_open and not refuses and may(me, "destruction.withdraw", obj=row),
    }
    return render(request, "log/removal.html", context)


@require_POST
@page("destruction.approve", kind="destruction")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """The Commander's signature."""
    return _signed(request, pk, "approved")


@require_POST
@page("destruction.cosign", kind="destruction")
def cosign(request: PageRequest, pk: int) -> HttpResponseBase:
    """The custodian's signature."""
    return _signed(request, pk, "co-signed")


@require_POST
@page("destruction.view", kind="destruction")
def refuse(request: PageRequest, pk: int) -> HttpResponseBase:
    """A signer says no."""
    return _signed(request, pk, "refused")


@require_POST
@page("destruction.withdraw", kind="destruction")
def withdraw(request: PageRequest, pk: int) -> HttpResponseBase:
    """Somebody who signs takes it back: no more rows go."""
    get_object_or_404(Removal, pk=pk)
    row = removal.withdraw(request.person, pk, request.POST.get("why", ""))
    request.access.ids, request.access.note = [pk], "withdrawn"
    request.access.elements = {"removal": pk, "reason": row.refused_why}
    request.access.result_count = removal.gone(row)
    messages.success(request, "Withdrawn. What is due can be proposed again.")
    return redirect("log:removal", pk)


def _signed(request: PageRequest, pk: int, what: str) -> HttpResponseBase:
    get_object_or_404(Removal, pk=pk)
    if what == "approved":
        removal.approve(request.person, pk)
    elif what == "co-signed":
        removal.cosign(request.person, pk)
        messages.success(request, "Co-signed. The next run of platewarden-hq log remove carries it out.")
    else:
        removal.refuse(request.person, pk, request.POST.get("why", ""))
    request.access.ids, request.access.note = [pk], what
    return redirect("log:removal", pk)
