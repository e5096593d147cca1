"""The pages of retention: the custodian's calendar, schedules and authorities, holds, destruction.

A page decides nothing: it asks a service and shows what that says; what a service refuses is told by the
clause.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from hq.evidence.models import Package
from hq.log.chain import stamp
from hq.people.decorators import PageRequest, page
from hq.people.models import Person
from hq.people.policy import may
from hq.records.models import Read
from hq.retention import alarms, asked, holds, proposals, schedules, selection
from hq.retention.forms import AuthorityForm, HoldForm, ProposalForm, ReviewForm, ScheduleForm
from hq.retention.models import Authority, Batch, Certificate, Hold, Proposal, Schedule
from hq.retention.scope import ScopeError
from hq.site import clock

# Schedules and authorities


@page("retention.view")
def calendar(request: PageRequest) -> HttpResponseBase:
    """What is due when, what waits, what is late; every schedule and authority."""
    me = request.person
    waiting = Schedule.objects.filter(state=Schedule.State.PROPOSED).select_related("unit", "authority")
    context = {
        "lines": alarms.calendar(),
        "alarms": alarms.alarms(),
        "waiting": [
            (
                row,
                row.approved_by is None and may(me, "retention.approve", obj=row),
                row.cosigned_by is None and may(me, "retention.cosign", obj=row),
            )
            for row in waiting
        ],
        "past": Schedule.objects.filter(state__in=["superseded", "refused"]).select_related("unit"),
        "authorities": Authority.objects.all(),
        "may_propose": may(me, "retention.propose"),
        "today": clock.today(),
    }
    return render(request, "retention/calendar.html", context)


@page("retention.propose", kind="retention")
def new_schedule(request: PageRequest) -> HttpResponseBase:
    """Propose a new version of a schedule."""
    form = ScheduleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        row = schedules.propose(request.person, **form.cleaned_data)
        request.access.elements = {"schedule": str(row), "reason": row.reason}
        messages.success(request, f"{row} is proposed. It needs the Commander and the custodian of records.")
        return redirect("retention:calendar")
    return _form(request, form, "Propose a retention schedule", "Propose", back="retention:calendar")


@page("retention.propose", kind="retention")
def new_authority(request: PageRequest) -> HttpResponseBase:
    """Store a signed authority."""
    form = AuthorityForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        fields = {name: form.cleaned_data[name] for name in AuthorityForm.Meta.fields if name != "document"}
        row = schedules.store_authority(request.person, Authority(**fields), form.cleaned_data["document"])
        request.access.elements = {"authority": str(row), "sha256": row.sha256}
        return redirect("retention:calendar")
    lead = "Government Code 34090.6: the legislative body's resolution and the attorney's written consent."
    return _form(request, form, "Store an authority", "Store", lead=lead, back="retention:calendar")


@page("retention.view")
def authority_document(request: PageRequest, pk: int) -> HttpResponseBase:
    """The scan of a signed authority."""
    row = get_object_or_404(Authority, pk=pk)
    request.access.ids = [pk]
    return FileResponse(row.document.open("rb"), as_attachment=True, filename=f"authority-{pk}.pdf")


@require_POST
@page("retention.approve", kind="retention")
def approve_schedule(request: PageRequest, pk: int) -> HttpResponseBase:
    """The Commander's signature."""
    get_object_or_404(Schedule, pk=pk)
    return _signed(request, schedules.approve(request.person, pk))


@require_POST
@page("retention.cosign", kind="retention")
def cosign_schedule(request: PageRequest, pk: int) -> HttpResponseBase:
    """The custodian's signature."""
    get_object_or_404(Schedule, pk=pk)
    return _signed(request, schedules.cosign(request.person, pk))


@require_POST
@page("retention.view", kind="retention")
def refuse_schedule(request: PageRequest, pk: int) -> HttpResponseBase:
    """A signer says no."""
    get_object_or_404(Schedule, pk=pk)
    return _signed(request, schedules.refuse(request.person, pk, request.POST.get("why", "")))


def _signed(request: PageRequest, row: Schedule) -> HttpResponseBase:
    request.access.elements = {"schedule": str(row), "state": row.state}
    messages.success(request, f"{row}: {row.get_state_display()}")
    return redirect("retention:calendar")


# Holds


@page("holds.view", purpose=True)
def hold_list(request: PageRequest) -> HttpResponseBase:
    """Open holds, those to review first; released ones below."""
    opened = Hold.objects.filter(released_at__isnull=True).annotate(named=Count("reads"))
    request.access.result_count = opened.count()
    context = {
        "rows": opened.select_related("unit", "placed_by", "release_by"),
        "released": Hold.objects.filter(released_at__isnull=False).order_by("-released_at")[:100],
        "may_place": may(request.person, "holds.place"),
        "today": clock.today(),
    }
    return render(request, "retention/holds.html", context)


@page("holds.place", purpose=True, kind="hold")
def new_hold(request: PageRequest) -> HttpResponseBase:
    """Place a hold."""
    form = HoldForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            row = holds.place(
                request.person,
                scope=form.scope(),
                purpose=request.access.purpose,
                **{
                    name: data[name]
                    for name in ("kind", "case", "requester", "requested_by", "reason", "review_on")
                },
            )
        except ScopeError as error:
            form.add_error(None, str(error))
        else:
            request.access.elements = {"hold": row.pk, "scope": form.scope().to_json()}
            return redirect("retention:hold", row.pk)
    lead = "It works at once, and on reads that come later too. Two persons release it."
    return _form(request, form, "Place a hold", "Place", lead=lead, back="retention:holds")


@page("holds.view", purpose=True)
def hold(request: PageRequest, pk: int) -> HttpResponseBase:
    """One hold: whom it serves, what it reaches, its reviews, its release."""
    row = get_object_or_404(Hold.objects.select_related("placed_by", "release_by", "released_by"), pk=pk)
    request.access.ids = [pk]
    count = Read.objects.filter(holds.reach(row)).count()
    # How many reads there are of a plate, a unit or a time is what a search tells too (CC-52a).
    request.access.elements = {
        "plate": row.plate,
        "unit": row.unit_id or "",
        "since": stamp(row.since) if row.since else "",
        "until": stamp(row.until) if row.until else "",
        "area": row.scope.area or [],
    }
    request.access.result_count = count
    me = request.person
    asks = row.released_at is None and may(me, "holds.release", obj=row)
    context = {
        "hold": row,
        "count": count,
        "named": row.reads.count(),
        "reviews": row.reviews.select_related("by"),
        "packages": Package.objects.filter(hold=row),
        "review_form": ReviewForm() if row.released_at is None and may(me, "holds.place") else None,
        "may_ask": asks and row.release_by is None,
        "may_withdraw": asks and holds.may_withdraw(me, row),
        "may_release": row.released_at is None
        and row.release_by is not None
        and may(me, "holds.approve_release", obj=row),
    }
    return render(request, "retention/hold.html", context)


@require_POST
@page("holds.place", purpose=True, kind="hold")
def review_hold(request: PageRequest, pk: int) -> HttpResponseBase:
    """Record a review."""
    get_object_or_404(Hold, pk=pk)
    request.access.ids = [pk]
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return _form(request, form, "Review of the hold", "Record", back="retention:holds")
    try:
        holds.review(request.person, pk, form.cleaned_data["finding"], form.cleaned_data["next_on"])
    except ScopeError as error:
        form.add_error("next_on", str(error))
        return _form(request, form, "Review of the hold", "Record", back="retention:holds")
    return redirect("retention:hold", pk)


@require_POST
@page("holds.release", kind="hold")
def ask_release(request: PageRequest, pk: int) -> HttpResponseBase:
    """The first of two."""
    get_object_or_404(Hold, pk=pk)
    row = holds.ask_release(request.person, pk, request.POST.get("why", ""))
    request.access.ids, request.access.note = [pk], f"release asked for: {row.release_reason}"
    messages.success(request, "The release is asked for. It goes on holding until the custodian releases it.")
    return redirect("retention:hold", pk)


@require_POST
@page("holds.release", kind="hold")
def withdraw_release(request: PageRequest, pk: int) -> HttpResponseBase:
    """Who asked takes it back."""
    get_object_or_404(Hold, pk=pk)
    why = request.POST.get("why", "")[:500]
    holds.withdraw_release(request.person, pk, why)
    request.access.ids, request.access.note = [pk], f"release no longer asked for: {why}"
    messages.success(request, "The release is no longer asked for.")
    return redirect("retention:hold", pk)


@require_POST
@page("holds.approve_release", kind="hold")
def release_hold(request: PageRequest, pk: int) -> HttpResponseBase:
    """The second of two."""
    get_object_or_404(Hold, pk=pk)
    holds.release(request.person, pk)
    request.access.ids, request.access.note = [pk], "released"
    messages.success(request, "The hold is released.")
    return redirect("retention:hold", pk)


# Destruction


@page("destruction.view")
def proposal_list(request: PageRequest) -> HttpResponseBase:
    """Proposals, those that wait first, and certificates."""
    me, now = request.person, clock.now()
    context = {
        "rows": Proposal.objects.select_related("schedule", "schedule__unit", "proposed_by", "certificate"),
        "form": ProposalForm() if may(me, "destruction.propose") else None,
        "lines": [
            (line, _keeping(me, selection.due(line.schedule, now), now)) for line in alarms.calendar(now)
        ],
    }
    return render(request, "retention/proposals.html", context)


@require_POST
@page("destruction.propose", kind="destruction")
def propose_destruction(request: PageRequest) -> HttpResponseBase:
    """Propose to destroy what is due."""
    form = ProposalForm(request.POST)
    if not form.is_valid():
        return _form(request, form, "Propose a destruction", "Propose", back="retention:proposals")
    row = proposals.propose(request.person, form.cleaned_data["schedule"], form.cleaned_data["authority"])
    request.access.elements = {"proposal": row.pk, "reads": row.reads, "ids_sha256": row.ids_sha256}
    return redirect("retention:proposal", row.pk)


@page("destruction.view")
def proposal(request: PageRequest, pk: int) -> HttpResponseBase:
    """One proposal with its counts by reader, what is open and keeps reads, its signatures, its journal."""
    row = get_object_or_404(Proposal.objects.select_related("schedule", "authority"), pk=pk)
    request.access.ids = [pk]
    me = request.person
    still = selection.of_proposal(row) if row.state in Proposal.OPEN else Read.objects.none()
    proposed = row.state == Proposal.State.PROPOSED
    context: dict[str, Any] = {
        "proposal": row,
        "by_unit": still.values("unit").annotate(count=Count("id")).order_by("unit"),
        "still": still.count(),
        "keeping": _keeping(me, selection.due(row.schedule, row.due_at), clock.now())
        if row.state in Proposal.OPEN
        else [],
        "batches": row.batches.order_by("pk"),
        "open_batches": row.batches.filter(state__in=Batch.OPEN).count(),
        "may_approve": proposed and row.approved_by is None and may(me, "destruction.approve", obj=row),
        "may_cosign": proposed and row.approved_by is not None and may(me, "destruction.cosign", obj=row),
        "statement": proposals.STATEMENT,
        "certificate": Certificate.objects.filter(proposal=row).first(),
        "copies": row.copies.order_by("pk"),
    }
    context["may_refuse"] = proposed and (
        may(me, "destruction.approve", obj=row) or may(me, "destruction.cosign", obj=row)
    )
    context["may_withdraw"] = (
        row.state in Proposal.OPEN
        and not context["may_refuse"]
        and not context["open_batches"]
        and not proposals.begun(row)
        and may(me, "destruction.withdraw", obj=row)
    )
    return render(request, "retention/proposal.html", context)


@require_POST
@page("destruction.approve", kind="destruction")
def approve_destruction(request: PageRequest, pk: int) -> HttpResponseBase:
    """The Commander's signature."""
    get_object_or_404(Proposal, pk=pk)
    proposals.approve(request.person, pk)
    request.access.ids, request.access.note = [pk], "approved"
    return redirect("retention:proposal", pk)


@require_POST
@page("destruction.cosign", kind="destruction")
def cosign_destruction(request: PageRequest, pk: int) -> HttpResponseBase:
    """The custodian's signature."""
    get_object_or_404(Proposal, pk=pk)
    proposals.cosign(request.person, pk)
    request.access.ids, request.access.note = [pk], "co-signed"
    messages.success(request, "Co-signed. The next run of platewarden-hq purge carries it out.")
    return redirect("retention:proposal", pk)


@require_POST
@page("destruction.view", kind="destruction")
def refuse_destruction(request: PageRequest, pk: int) -> HttpResponseBase:
    """A signer says no."""
    get_object_or_404(Proposal, pk=pk)
    proposals.refuse(request.person, pk, request.POST.get("why", ""))
    request.access.ids, request.access.note = [pk], "refused"
    return redirect("retention:proposal", pk)


@require_POST
@page("destruction.withdraw", kind="destruction")
def withdraw_destruction(request: PageRequest, pk: int) -> HttpResponseBase:
    """Somebody who signs takes it back, before anything is destroyed."""
    get_object_or_404(Proposal, pk=pk)
    row = proposals.withdraw(request.person, pk, request.POST.get("why", ""))
    request.access.ids, request.access.note = [pk], "withdrawn"
    request.access.elements = {"proposal": pk, "reason": row.refused_why}
    messages.success(request, "Withdrawn. What is due can be proposed again.")
    return redirect("retention:proposal", pk)


@page("destruction.view")
def certificate(request: PageRequest, pk: int) -> HttpResponseBase:
    """A certificate of destruction as text, to file or to print."""
    row = get_object_or_404(Certificate, pk=pk)
    request.access.ids = [row.number]
    answer = HttpResponse(row.text, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{row.number}.txt"'
    return answer


def _keeping(me: Person, due: QuerySet[Read], now: datetime) -> list[tuple[asked.Keeping, str]]:
    """What is open and keeps these reads, with the address of its page where the person may see that."""
    pages = {
        "evidence.Package": ("evidence.view", "evidence:package"),
        "releases.ReleaseRequest": ("releases.view", "releases:request"),
    }
    found = []
    for one in asked.named(due, now):
        action, address = pages[one.model]
        found.append((one, reverse(address, args=[one.pk]) if may(me, action) else ""))
    return found


def _form(
    request: PageRequest, form: Any, title: str, button: str, *, back: str, lead: str = ""
) -> HttpResponseBase:
    context = {"form": form, "title": title, "button": button, "back": back, "lead": lead}
    return render(request, "retention/form.html", context)
