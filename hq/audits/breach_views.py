"""The pages of the breach register."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.audits import breaches as register
from hq.audits.forms import BreachForm, FreezeForm, NoticeForm, ScopeForm, StepForm, WordsForm
from hq.audits.models import Breach, Freeze, Notice
from hq.people.decorators import PageRequest, page
from hq.people.policy import may
from hq.retention.scope import ScopeError
from hq.site import clock


@page("breaches.view")
def listing(request: PageRequest) -> HttpResponseBase:
    """Every breach and every notice that is due."""
    rows = Breach.objects.select_related("recorded_by")
    context = {"rows": rows, "due": register.due(), "may_record": may(request.person, "breaches.record")}
    return render(request, "audits/breaches.html", context)


@page("breaches.record", kind="breach")
def new(request: PageRequest) -> HttpResponseBase:
    """Enter a breach."""
    form = BreachForm(request.POST or None, initial={"detected_at": clock.now()})
    if request.method == "POST" and form.is_valid():
        made = register.record(request.person, form.save(commit=False))
        request.access.ids = [made.pk]
        return redirect("audits:breach", made.pk)
    return render(request, "audits/form.html", {"form": form, "title": "Enter a breach", "send": "Enter it"})


@page("breaches.view", kind="breach")
def detail(request: PageRequest, pk: int) -> HttpResponseBase:
    """One breach."""
    request.access.ids = [pk]
    return _shown(request, get_object_or_404(Breach, pk=pk))


@require_POST
@page("breaches.record", kind="breach")
def step(request: PageRequest, pk: int) -> HttpResponseBase:
    """Write down what was done or learned."""
    breach, form = _breach(request, pk), StepForm(request.POST, auto_id="step_%s")
    if not form.is_valid():
        return _shown(request, breach, step_form=form)
    register.step(request.person, breach, form.cleaned_data["kind"], form.cleaned_data["what"])
    return redirect("audits:breach", pk)


@require_POST
@page("breaches.record", kind="breach")
def affected(request: PageRequest, pk: int) -> HttpResponseBase:
    """Count how far it reached; the query is logged as what it is."""
    breach, form = _breach(request, pk), ScopeForm(request.POST, auto_id="scope_%s")
    if not form.is_valid():
        return _shown(request, breach, scope_form=form)
    try:
        made = register.affected(request.person, breach, form.scope(), form.names())
    except ScopeError as error:
        form.add_error(None, str(error))
        return _shown(request, breach, scope_form=form)
    request.access.elements = made.scope
    request.access.result_count = made.counts["reads"]
    return redirect("audits:breach", pk)


@require_POST
@page("breaches.record", kind="breach")
def notice(request: PageRequest, pk: int) -> HttpResponseBase:
    """Enter somebody who must be told."""
    breach, form = _breach(request, pk), NoticeForm(request.POST, auto_id="notice_%s")
    if not form.is_valid():
        return _shown(request, breach, notice_form=form)
    register.notice(request.person, breach, **form.cleaned_data)
    return redirect("audits:breach", pk)


@require_POST
@page("breaches.record", kind="breach")
def sent(request: PageRequest, pk: int) -> HttpResponseBase:
    """Record that a notice went out."""
    held = get_object_or_404(Notice, pk=pk)
    request.access.ids = [held.breach_id]
    form = WordsForm(request.POST)
    if form.is_valid():
        register.sent(request.person, pk, form.cleaned_data["words"][:200])
    else:
        messages.error(request, "Give the reference of what was sent.")
    return redirect("audits:breach", held.breach_id)


@require_POST
@page("breaches.record", kind="breach")
def freeze(request: PageRequest, pk: int) -> HttpResponseBase:
    """Keep a period of the log."""
    breach, form = _breach(request, pk), FreezeForm(request.POST, auto_id="freeze_%s")
    if not form.is_valid():
        return _shown(request, breach, freeze_form=form)
    made = register.freeze(request.person, breach, form.cleaned_data["since"], form.cleaned_data["until"])
    request.access.note = f"frozen: {made}"
    return redirect("audits:breach", pk)


@require_POST
@page("log.export", kind="export")
def export(request: PageRequest, pk: int) -> HttpResponseBase:
    """Hand out the frozen rows as a file."""
    held = get_object_or_404(Freeze, pk=pk)
    request.access.ids, request.access.note = [held.breach_id], f"exported: {held}"
    request.access.result_count = held.last - held.first + 1
    data = register.export(request.person, held)
    name = f"access-log-{held.first}-{held.last}.zip"
    return HttpResponse(
        data,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_POST
@page("breaches.record", kind="breach")
def close(request: PageRequest, pk: int) -> HttpResponseBase:
    """Close a breach."""
    _breach(request, pk)
    form = WordsForm(request.POST)
    if form.is_valid():
        register.close(request.person, pk, form.cleaned_data["words"])
        messages.success(request, "Closed.")
    else:
        messages.error(request, "Write how it ended.")
    return redirect("audits:breach", pk)


def _breach(request: PageRequest, pk: int) -> Breach:
    request.access.ids = [pk]
    return get_object_or_404(Breach, pk=pk)


def _shown(request: PageRequest, breach: Breach, **filled: object) -> HttpResponseBase:
    """The breach's page; with a form that was filled in wrongly, if one was."""
    context = {
        "breach": breach,
        "steps": breach.steps.select_related("by"),
        "affected": breach.affected.select_related("by"),
        "notices": breach.notices.all(),
        "freezes": breach.freezes.select_related("by").prefetch_related("exports"),
        "may_record": breach.closed_at is None and may(request.person, "breaches.record"),
        "may_export": may(request.person, "log.export"),
        "step_form": StepForm(auto_id="step_%s"),
        "scope_form": ScopeForm(auto_id="scope_%s"),
        "notice_form": NoticeForm(auto_id="notice_%s"),
        "freeze_form": FreezeForm(auto_id="freeze_%s"),
    } | filled
    return render(request, "audits/breach.html", context, status=422 if filled else 200)
