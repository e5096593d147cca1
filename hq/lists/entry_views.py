"""The pages of hot plates and partial plates, and of the stored reads that they match."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple, TypeVar

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.lists import manual, masking, partials, retro
from hq.lists.errors import ListRefused
from hq.lists.forms import EntryForm, ManualForm, PartialForm, WhyForm
from hq.lists.models import ManualEntry, PartialPlate, RetroRun, Rules
from hq.lists.views import check_match, check_unmasked, may_match, to_run
from hq.people import stated
from hq.people.decorators import PageRequest, page
from hq.people.policy import Standing, check
from hq.records.models import Read
from hq.site import clock

SHOWN = 100
"""Entries that have ended, and matches, on one page; of those on the list none is left out."""

_Entry = TypeVar("_Entry", ManualEntry, PartialPlate)


class Row(NamedTuple):
    """A hot plate, whether it is on the list, and whether its detail is hidden from the person."""

    entry: ManualEntry
    live: bool
    masked: bool


@page("lists.manual", purpose=True)
def manual_list(request: PageRequest) -> HttpResponseBase:
    """The hot plates that are on the list now, and those that ended last."""
    grants = masking.grants_of(request.person)
    today = clock.today()
    live, ended = _entries(ManualEntry.objects.select_related("entered_by", "group"), today)
    rows = [
        Row(entry, entry.live(today), bool(masking.lacking(grants, entry.alarm_class)))
        for entry in [*live, *ended]
    ]
    request.access.ids = [row.entry.pk for row in rows if not row.masked]
    request.access.result_count = len(rows)
    return render(request, "lists/manual_list.html", {"rows": rows, "rules": Rules.current()})


@page("lists.manual")
def enter_manual(request: PageRequest) -> HttpResponseBase:
    """Put a plate on the list, and match it backwards."""
    form = ManualForm(Standing(request.person), request.POST or None, initial=_stated(request))
    if request.method == "POST" and form.is_valid():
        _state(request, form)
        check(request.person, "lists.manual", purpose=request.access.purpose, case=request.access.case)
        try:
            entry = manual.enter(form.hot_plate(), by=request.person, purpose=request.access.purpose)
        except ListRefused as refused:
            return _refused(request, form, refused, "lists/manual_form.html")
        request.access.ids = [entry.pk]
        if may_match(request) and not masking.lacking(masking.grants_of(request.person), entry.alarm_class):
            run = retro.run_manual(
                entry, by=request.person, purpose=request.access.purpose, case=request.access.case
            )
            return to_run(request, run)
        messages.info(
            request,
            "On the list. It was not matched backwards: that takes a wide search (430.5(b)), and for a "
            "restricted class the grant for it (430.3(e)).",
        )
        return redirect("lists:manual")
    return render(request, "lists/manual_form.html", {"form": form, "rules": Rules.current()})


@page("lists.manual")
@require_POST
def withdraw_manual(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take a hot plate off the list."""
    entry = get_object_or_404(ManualEntry, pk=pk)
    _check_entry(request, entry)
    manual.withdraw(entry, by=request.person, why=request.POST.get("why", ""))
    return redirect("lists:manual")


@page("lists.partial", purpose=True)
def partial_list(request: PageRequest) -> HttpResponseBase:
    """The partial plates, live ones first."""
    today = clock.today()
    live, ended = _entries(PartialPlate.objects.select_related("entered_by", "group"), today)
    request.access.ids = [row.pk for row in [*live, *ended]]
    request.access.result_count = len(live) + len(ended)
    context = {"live": live, "ended": ended, "why": WhyForm()}
    return render(request, "lists/partial_list.html", context)


@page("lists.partial")
def enter_partial(request: PageRequest) -> HttpResponseBase:
    """First the estimate of how much a partial plate would match, then the entry and what it matches."""
    form = PartialForm(Standing(request.person), request.POST or None, initial=_stated(request))
    context = {"form": form, "rules": Rules.current(), "estimate": None}
    if request.method == "POST" and form.is_valid():
        _state(request, form)
        check(request.person, "lists.partial", purpose=request.access.purpose, case=request.access.case)
        try:
            remembered = form.remembered()
            if "enter" not in request.POST:
                pattern = partials.compiled(remembered.pattern)
                found = partials.estimate(pattern)
                request.access.elements = {"pattern": pattern.text, "estimate": True}
                request.access.result_count = found.matched
                context |= {"estimate": found, "too_wide": found.share > Rules.current().partial_share}
                return render(request, "lists/partial_form.html", context)
            entry = partials.enter(remembered, by=request.person, purpose=request.access.purpose)
        except ListRefused as refused:
            return _refused(request, form, refused, "lists/partial_form.html")
        request.access.ids = [entry.pk]
        if may_match(request):
            run = retro.run_partial(
                entry, by=request.person, purpose=request.access.purpose, case=request.access.case
            )
            return to_run(request, run)
        return redirect("lists:partials")
    return render(request, "lists/partial_form.html", context)


@page("lists.partial")
@require_POST
def withdraw_partial(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take a partial plate off the list."""
    entry = get_object_or_404(PartialPlate, pk=pk)
    manual.withdraw(entry, by=request.person, why=request.POST.get("why", ""))
    return redirect("lists:partials")


@page("reads.search", purpose=True)
@require_POST
def match_again(request: PageRequest, kind: str, pk: int) -> HttpResponseBase:
    """Match an entry backwards again: reads may have come since."""
    check_match(request)
    if kind not in ("manual", "partial"):
        raise Http404
    by, purpose, case = request.person, request.access.purpose, request.access.case
    if kind == "manual":
        hot_plate = get_object_or_404(ManualEntry, pk=pk)
        _check_entry(request, hot_plate)
        run = retro.run_manual(hot_plate, by=by, purpose=purpose, case=case)
    else:
        partial = get_object_or_404(PartialPlate, pk=pk)
        run = retro.run_partial(partial, by=by, purpose=purpose, case=case)
    return to_run(request, run)


@page("reads.search", purpose=True, kind="search")
def run(request: PageRequest, pk: int) -> HttpResponseBase:
    """The stored reads that fit an entry: leads, each to be looked at before anybody acts."""
    check_match(request)
    held = get_object_or_404(RetroRun.objects.select_related("by", "manual", "partial", "version"), pk=pk)
    if held.manual is not None:
        _check_entry(request, held.manual)
    if held.version is not None:
        check_unmasked(masking.lacking_for_version(masking.grants_of(request.person), held.version))
    matches = list(held.matches.all()[:SHOWN])
    reads = (
        Read.objects.select_related("unit")
        .prefetch_related("corrections")
        .in_bulk([one.read_id for one in matches])
    )
    rows = [{"match": one, "read": reads.get(one.read_id)} for one in matches]
    request.access.elements = {"run": held.pk, "kind": held.kind}
    request.access.ids = [one.read_id for one in matches if one.read_id in reads]
    request.access.result_count = len(rows)
    return render(request, "lists/run.html", {"run": held, "rows": rows, "limit": SHOWN})


def _entries(entries: QuerySet[_Entry], today: date) -> tuple[list[_Entry], list[_Entry]]:
    """All that are on the list, which somebody may have to take off, and the newest of those that ended."""
    on = Q(withdrawn_at=None, expiry__gte=today)
    return list(entries.filter(on)), list(entries.exclude(on)[:SHOWN])


def _check_entry(request: PageRequest, entry: ManualEntry) -> None:
    """Raise Refused for an entry that the list of hot plates masks for this person: its number is guessed."""
    check_unmasked(masking.lacking(masking.grants_of(request.person), entry.alarm_class))


def _stated(request: PageRequest) -> dict[str, object]:
    """Purpose and case in force, as a form's beginning."""
    return {"purpose": request.session.get("purpose", ""), "case": request.session.get("case", "")}


def _state(request: PageRequest, form: EntryForm) -> None:
    """The entry's purpose and case are in force from now on, for what it matched is shown under them."""
    access = request.access
    access.purpose, access.case = form.cleaned_data["purpose"], form.cleaned_data["case"]
    # Nothing of an earlier statement goes on: for whom that was says nothing of this one.
    access.mark = stated.keep(request.session, access.purpose, access.case)


def _refused(request: PageRequest, form: EntryForm, refused: ListRefused, template: str) -> HttpResponseBase:
    """The form again, saying which clause refuses; the log says so too."""
    form.add_error(None, f"{refused.clause}: {refused.why}. Who can help: {refused.who_can_grant}.")
    request.access.note = f"refused, {refused.clause}: {refused.why}"
    return render(request, template, {"form": form, "rules": Rules.current(), "estimate": None}, status=422)
