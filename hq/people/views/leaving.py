"""The page of who left or changed duties. It asks `hq.people.leaving` and decides nothing."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from hq.people import leaving
from hq.people.decorators import PageRequest, page
from hq.people.forms import LeavingForm
from hq.people.models import Departure
from hq.people.policy import may


@page("leaving.report")
@require_safe
def listing(request: PageRequest) -> HttpResponseBase:
    """Every notice, the newest first."""
    return _list(request, LeavingForm())


@require_POST
@page("leaving.report", kind="account")
def report(request: PageRequest) -> HttpResponseBase:
    """Tell that somebody left or changed duties."""
    form = LeavingForm(request.POST)
    if not form.is_valid():
        return _list(request, form, 422)
    notice = leaving.report(request.person, form.save(commit=False))
    _log(
        request,
        notice,
        f"{notice.get_kind_display()}, last day {notice.on}, told {notice.days_after} days after",
    )
    messages.success(request, "Those who run accounts are told: it waits on their start page, and by mail.")
    if notice.late:
        messages.warning(
            request, f"It comes {notice.days_after} days after; a day is allowed. The auditor is told too."
        )
    return redirect("people:leaving")


@require_POST
@page("accounts.suspend", kind="account")
def end(request: PageRequest, pk: int) -> HttpResponseBase:
    """End the account of one who left."""
    get_object_or_404(Departure, pk=pk)
    notice = leaving.end(request.person, pk)
    _log(request, notice, notice.answer)
    messages.success(request, f"{notice.person.full_name}: {notice.answer}.")
    return redirect("people:leaving")


@require_POST
@page("accounts.suspend", kind="account")
def answer(request: PageRequest, pk: int) -> HttpResponseBase:
    """Say what was done about a change of duties, or that the notice is a mistake."""
    get_object_or_404(Departure, pk=pk)
    mistaken = "mistaken" in request.POST
    notice = leaving.answer(request.person, pk, request.POST.get("words", ""), mistaken=mistaken)
    _log(request, notice, f"{'a mistake' if mistaken else 'seen to'}: {notice.answer}")
    return redirect("people:leaving")


def _log(request: PageRequest, notice: Departure, words: str) -> None:
    request.access.ids, request.access.elements = [notice.person_id], {"notice": notice.pk}
    request.access.note = words


def _list(request: PageRequest, form: LeavingForm, status: int = 200) -> HttpResponse:
    me = request.person
    notices = Departure.objects.select_related("person", "reported_by", "seen_to_by").prefetch_related(
        "person__appointments", "person__grants"
    )
    rows = [
        (one, leaving.ended(one), one.seen_to_at is None and may(me, "accounts.suspend", obj=one.person))
        for one in notices
    ]
    request.access.result_count = len(rows)
    context = {
        "rows": rows,
        "late": sum(one.late for one, _, _ in rows),
        "open": sum(one.seen_to_at is None for one, _, _ in rows),
        "form": form,
        "may_open": may(me, "accounts.view"),
    }
    return render(request, "people/leaving.html", context, status=status)
