"""The page of the quarantine: what lies there and why, and leave to take it in. It shows no plate."""

from __future__ import annotations

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from hq.people.decorators import PageRequest, page
from hq.people.policy import may
from hq.records import admission
from hq.records.models import Admission, Quarantined

SHOWN = 100


@page("units.view")
def quarantine(request: PageRequest) -> HttpResponseBase:
    """What might be admitted, what waits for a decision, and what can be taken in by nobody."""
    me = request.person
    admissions = Admission.objects.select_related("unit", "proposed_by", "approved_by", "declined_by")
    opened = admissions.filter(done_at=None, declined_at=None)
    kept = Quarantined.objects.filter(admitted_at=None).exclude(not_enrolled=True, admission=None)
    waiting = admission.waiting()
    context = {
        "waiting": waiting,
        "open": [(one, may(me, "units.approve", obj=one)) for one in opened],
        "past": [(one, admission.left(one).count()) for one in admissions.exclude(pk__in=opened)[:20]],
        "may_propose": may(me, "units.register"),
        "kept": kept.order_by("-last_at")[:SHOWN],
        "shown": SHOWN,
    }
    request.access.result_count = len(waiting)
    return render(request, "records/quarantine.html", context)


@require_POST
@page("units.register", kind="unit")
def propose(request: PageRequest) -> HttpResponseBase:
    """Propose to take in what came of a unit before its enrolment."""
    unit_id = request.POST.get("unit", "")[:64]
    made = admission.propose(request.person, unit_id, request.POST.get("reason", "")[:300])
    request.access.ids, request.access.note = [unit_id], f"{made} proposed"
    messages.success(request, f"{made.messages} messages of {unit_id} wait for the Commander's approval.")
    return redirect("records:quarantine")


@require_POST
@page("units.approve", kind="unit")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Give leave, as a second person."""
    held = admission.approve(request.person, pk)
    request.access.ids, request.access.note = [held.unit_id], f"{held} approved"
    messages.success(request, "Approved. The subscriber takes them in; what cannot be decoded stays.")
    return redirect("records:quarantine")


@require_POST
@page("units.approve", kind="unit")
def decline(request: PageRequest, pk: int) -> HttpResponseBase:
    """Leave it in quarantine."""
    held = admission.decline(request.person, pk, request.POST.get("reason", "")[:300])
    request.access.ids, request.access.note = [held.unit_id], f"{held} declined"
    messages.success(request, "Declined: it stays in quarantine.")
    return redirect("records:quarantine")
