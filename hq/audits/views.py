"""The pages of audits, log reviews and reports. They ask the services and decide nothing."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.audits import accounts as held_accounts
from hq.audits import reports as counted
from hq.audits import reviews, runs
from hq.audits.alarms import alarms
from hq.audits.forms import AssignForm, FindingForm, MarkForm, PeriodForm, PlanForm, WordsForm, monday
from hq.audits.models import AccountReview, Audit, Finding, Item, LogReview, Plan, Reevaluation
from hq.audits.sample import AREAS
from hq.people.decorators import PageRequest, page
from hq.people.inforce import policy_words
from hq.people.policy import may
from hq.site import clock


@page("audits.view")
def index(request: PageRequest) -> HttpResponseBase:
    """The plan, what is late, the audits, the weekly reviews."""
    plan, me = Plan.current(), request.person
    context = {
        "plan": plan,
        "areas": [AREAS[code].title for code in plan.areas if code in AREAS] if plan else [],
        "due_on": runs.due_on(plan) if plan else None,
        "alarms": alarms(),
        "proposed": [
            (one, may(me, "audits.approve", obj=one))
            for one in Plan.objects.filter(approved_at=None).select_related("proposed_by", "auditor")
            if plan is None or one.pk > plan.pk
        ],
        "audits": Audit.objects.select_related("auditor")[:50],
        "weeks": reviews.waiting(),
        "reviewed": LogReview.objects.select_related("by")[:10],
        "reevaluations": Reevaluation.objects.select_related("by")[:5],
        "reevaluation_due": reviews.reevaluation_due(),
        "account_reviews": AccountReview.objects.select_related("by")[:5],
        "accounts_due": held_accounts.due(),
        "left": held_accounts.told(clock.now() - held_accounts.EVERY, clock.now()),
        "may_run": may(me, "audits.run"),
    }
    return render(request, "audits/index.html", context)


@page("audits.plan", kind="audit")
def plan(request: PageRequest) -> HttpResponseBase:
    """Propose a version of the plan."""
    form = PlanForm(request.POST or None, instance=None)
    if request.method == "POST" and form.is_valid():
        made = runs.propose(request.person, form.save(commit=False))
        request.access.ids, request.access.note = [made.pk], "plan proposed"
        messages.success(request, "The plan waits for the Commander's approval.")
        return redirect("audits:index")
    return render(request, "audits/form.html", {"form": form, "title": "Audit plan", "send": "Propose"})


@require_POST
@page("audits.approve", kind="audit")
def approve_plan(request: PageRequest, pk: int) -> HttpResponseBase:
    """Put a version of the plan in force."""
    get_object_or_404(Plan, pk=pk)
    runs.approve_plan(request.person, pk)
    request.access.ids, request.access.note = [pk], "plan approved"
    messages.success(request, "The audit plan is in force.")
    return redirect("audits:index")


@require_POST
@page("audits.run", kind="audit")
def start(request: PageRequest) -> HttpResponseBase:
    """Draw a sample and begin."""
    made = runs.start(request.person)
    request.access.ids, request.access.note = [made.pk], f"sample drawn with seed {made.seed}"
    return redirect("audits:audit", made.pk)


@page("audits.view", kind="audit")
def audit(request: PageRequest, pk: int) -> HttpResponseBase:
    """One audit: its sample, marks and findings."""
    held, me = get_object_or_404(Audit.objects.select_related("plan", "auditor"), pk=pk), request.person
    items = list(held.items.select_related("record", "received", "assigned_to", "marked_by"))
    runs_it = may(me, "audits.run")
    request.access.ids = [item.record_id or item.received_id for item in items]
    request.access.elements = {"audit": pk}
    context = {
        "audit": held,
        "items": [
            (item, AREAS[item.area].title, runs_it and not item.mark and item.assigned_to_id == me.pk)
            for item in items
        ],
        "marks": Item.Mark.choices,
        "findings": held.findings.select_related("assigned_to", "resolved_by", "subject"),
        "population": [(AREAS[code].title, count) for code, count in held.population.items()],
        "left": sum(not item.mark for item in items),
        "may_find": may(me, "audits.finding"),
        "may_sign": held.auditor_id == me.pk and may(me, "audits.sign"),
        "may_approve": may(me, "audits.approve", obj=held),
        "finding_form": FindingForm(auto_id="finding_%s"),
        "assign_form": AssignForm(auto_id=False),
    }
    return render(request, "audits/audit.html", context)


@page("audits.view", kind="audit")
def report(request: PageRequest, pk: int) -> HttpResponseBase:
    """The audit's report, to be printed; it holds no plate."""
    held = get_object_or_404(
        Audit.objects.select_related("plan", "auditor", "signed_by", "approved_by"), pk=pk
    )
    items = list(held.items.select_related("record", "received", "marked_by"))
    request.access.elements = {"audit": pk, "report": True}
    context = {
        "audit": held,
        "under": policy_words(held.signed_at),
        "items": [(item, AREAS[item.area].title) for item in items],
        "population": [(AREAS[code].title, count) for code, count in held.population.items()],
        "counts": [(label, sum(item.mark == code for item in items)) for code, label in Item.Mark.choices],
        "left": sum(not item.mark for item in items),
        "findings": held.findings.select_related("assigned_to", "resolved_by"),
    }
    return render(request, "audits/report.html", context)


@require_POST
@page("audits.run", kind="audit")
def mark(request: PageRequest, pk: int) -> HttpResponseBase:
    """Judge one record."""
    item = get_object_or_404(Item, pk=pk)
    request.access.ids = [item.record_id or item.received_id]
    form = MarkForm(request.POST)
    if form.is_valid():
        runs.mark(request.person, pk, form.cleaned_data["mark"], form.cleaned_data["note"])
        request.access.note = form.cleaned_data["mark"]
    else:
        messages.error(request, f"{item.what.capitalize()}: a query or violation needs a note.")
    return redirect("audits:audit", item.audit_id)


@require_POST
@page("audits.finding", kind="audit")
def finding(request: PageRequest, pk: int) -> HttpResponseBase:
    """Raise a finding that no single record shows."""
    held = get_object_or_404(Audit, pk=pk)
    form = FindingForm(request.POST)
    if form.is_valid():
        made = runs.raise_finding(request.person, held, form.cleaned_data["what"])
        request.access.ids = [made.pk]
    return redirect("audits:audit", pk)


@require_POST
@page("audits.finding", kind="audit")
def assign(request: PageRequest, pk: int) -> HttpResponseBase:
    """Give a finding to somebody."""
    held = get_object_or_404(Finding, pk=pk)
    request.access.ids = [pk]
    form = AssignForm(request.POST)
    if form.is_valid():
        runs.assign(request.person, pk, form.cleaned_data["to"], form.cleaned_data["due"])
        request.access.note = f"given to {form.cleaned_data['to']}"
    else:
        messages.error(request, "Say who sees to it and by when.")
    return redirect("audits:audit", held.audit_id)


@require_POST
@page("audits.finding", kind="audit")
def resolve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Record how a finding ended."""
    held = get_object_or_404(Finding, pk=pk)
    request.access.ids = [pk]
    form = WordsForm(request.POST)
    if form.is_valid():
        runs.resolve(request.person, pk, form.cleaned_data["words"])
    else:
        messages.error(request, "Say how it ended.")
    return redirect("audits:audit", held.audit_id)


@require_POST
@page("audits.sign", kind="audit")
def sign(request: PageRequest, pk: int) -> HttpResponseBase:
    """The auditor signs."""
    get_object_or_404(Audit, pk=pk)
    request.access.ids = [pk]
    form = WordsForm(request.POST)
    if form.is_valid():
        runs.sign(request.person, pk, form.cleaned_data["words"])
        messages.success(request, "Signed. It waits to be signed off by another person.")
    else:
        messages.error(request, "Write the conclusion.")
    return redirect("audits:audit", pk)


@require_POST
@page("audits.approve", kind="audit")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Another person signs off."""
    get_object_or_404(Audit, pk=pk)
    request.access.ids = [pk]
    runs.approve(request.person, pk)
    messages.success(request, "Signed off.")
    return redirect("audits:audit", pk)


@page("audits.view", kind="audit")
def reports(request: PageRequest) -> HttpResponseBase:
    """Age of what is searched, and what is odd; the last 30 days unless asked otherwise."""
    zone = ZoneInfo(settings.TIME_ZONE)
    today = clock.today()
    asked = request.GET if "since" in request.GET else {"since": today - timedelta(days=30), "until": today}
    form = PeriodForm(asked)
    context: dict[str, object] = {"form": form, "may_run": may(request.person, "audits.run")}
    if form.is_valid():
        since = datetime.combine(form.cleaned_data["since"], time.min, zone)
        until = datetime.combine(form.cleaned_data["until"] + timedelta(days=1), time.min, zone)
        found = counted.anomalies(since, until)
        context |= {"ages": counted.search_ages(since, until), "odd": found, "since": since, "until": until}
        request.access.elements = {"since": since, "until": until}
        request.access.result_count = len(found)
    return render(request, "audits/reports.html", context)


@page("audits.run", kind="audit")
def week(request: PageRequest) -> HttpResponseBase:
    """Review one week of the log (CJIS AU-6)."""
    day = monday(request.POST.get("week", "") or request.GET.get("week", "")) or reviews.last_week()
    request.access.elements = {"week": day}
    form = WordsForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = reviews.review(request.person, day, form.cleaned_data["words"])
        request.access.note = made.chain
        messages.success(request, f"The week of {day} is reviewed.")
        return redirect("audits:index")
    since, until = reviews.bounds(day)
    context = {
        "form": form,
        "week": day,
        "figures": reviews.figures(day),
        "odd": counted.anomalies(since, until),
        "chain": reviews.chain_state(),
    }
    return render(request, "audits/week.html", context)


@page("audits.run", kind="audit")
def accounts(request: PageRequest) -> HttpResponseBase:
    """Review every account (CJIS AC-2)."""
    form = WordsForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = held_accounts.review(request.person, form.cleaned_data["words"])
        request.access.ids, request.access.note = [made.pk], "accounts reviewed"
        request.access.result_count = len(made.accounts)
        messages.success(request, "Recorded with the accounts as they are. The next is due in a year.")
        return redirect("audits:index")
    found = held_accounts.held()
    request.access.result_count = len(found)
    context = {"form": form, "accounts": found, "me": request.person}
    return render(request, "audits/accounts.html", context)


@require_POST
@page("audits.run", kind="audit")
def reevaluate(request: PageRequest) -> HttpResponseBase:
    """Record that the retention was re-evaluated."""
    form = WordsForm(request.POST)
    if form.is_valid():
        made = reviews.reevaluate(
            request.person, form.cleaned_data["words"], request.POST.get("document", "")[:200]
        )
        request.access.ids, request.access.note = [made.pk], "retention re-evaluated"
        messages.success(request, "Recorded with the ages of today. The next is due in two years.")
    else:
        messages.error(request, "Write the conclusion.")
    return redirect("audits:reports")
