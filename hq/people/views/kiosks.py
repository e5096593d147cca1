"""Kiosks: proposed by the administrator, approved by the Commander, placed at the screen itself, ended."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from hq.people import kiosks
from hq.people.decorators import PageRequest, page
from hq.people.forms import KioskForm
from hq.people.models import Kiosk
from hq.people.policy import Refused, check, may, said
from hq.site import clock


@page("kiosks.view")
@require_safe
def listing(request: PageRequest) -> HttpResponseBase:
    """Every kiosk, the newest first."""
    return _list(request, KioskForm())


@require_POST
@page("kiosks.propose", kind="kiosk")
def propose(request: PageRequest) -> HttpResponseBase:
    """Propose a screen as kiosk: where it stands, why nobody else sees it, until when."""
    form = KioskForm(request.POST)
    if not form.is_valid():
        return _list(request, form, 422)
    kiosk = form.save(commit=False)
    kiosk.proposed_by = request.person
    kiosk.save()
    request.access.ids, request.access.note = [kiosk.pk], f"proposed: {kiosk}"
    messages.success(request, f"{kiosk} waits for the Commander's approval.")
    return redirect("people:kiosks")


@require_POST
@page("kiosks.approve", kind="kiosk")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a proposed kiosk."""
    kiosk = _kiosk(request, pk, "kiosks.approve", "proposed")
    kiosk.approved_by, kiosk.approved_at = request.person, clock.now()
    kiosk.save(update_fields=["approved_by", "approved_at"])
    request.access.note = f"approved: {kiosk}"
    return redirect("people:kiosks")


@require_POST
@page("kiosks.place", kind="kiosk")
def place(request: PageRequest, pk: int) -> HttpResponseBase:
    """Make the screen at which this is pressed the kiosk."""
    kiosk = _kiosk(request, pk, "kiosks.place", "in force")
    answer = redirect("people:kiosks")
    kiosks.place(kiosk, request.person, answer)
    request.access.note = f"placed: {kiosk}"
    messages.success(
        request, f"This screen is the kiosk {kiosk}. Log out, so that who works here can log in."
    )
    return answer


@require_POST
@page("kiosks.end", kind="kiosk")
def end(request: PageRequest, pk: int) -> HttpResponseBase:
    """End a kiosk, for a reason: its screen locks like any other from the next request on."""
    kiosk = _kiosk(request, pk, "kiosks.end", "proposed", "to come", "in force", "run out")
    why = said("CJIS AC-11", "the reason of the end", request.POST.get("reason", ""))[:200]
    kiosk.ended_by, kiosk.ended_at, kiosk.ended_why = request.person, clock.now(), why
    kiosk.save(update_fields=["ended_by", "ended_at", "ended_why"])
    request.access.note = f"ended: {kiosk}: {why}"
    return redirect("people:kiosks")


def _kiosk(request: PageRequest, pk: int, action: str, *states: str) -> Kiosk:
    """The kiosk, if policy lets this person act on it and its state allows the act."""
    kiosk = get_object_or_404(Kiosk.objects.select_for_update(), pk=pk)
    request.access.ids = [pk]
    check(request.person, action, obj=kiosk)
    if kiosk.state not in states:
        raise Refused("CJIS AC-11", f"this kiosk is {kiosk.state}", "nobody: it is not in a state for this")
    return kiosk


def _list(request: PageRequest, form: KioskForm, status: int = 200) -> HttpResponse:
    me = request.person
    context = {
        "rows": [
            (one, one.state == "proposed" and may(me, "kiosks.approve", obj=one), one.state == "in force")
            for one in Kiosk.objects.select_related("proposed_by", "approved_by", "placed_by")
        ],
        "here": kiosks.of(request),
        "form": form,
        "may_propose": may(me, "kiosks.propose"),
        "may_place": may(me, "kiosks.place"),
        "may_end": may(me, "kiosks.end"),
    }
    return render(request, "people/kiosks.html", context, status=status)
