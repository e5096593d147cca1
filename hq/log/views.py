"""The access log's pages: the own rows, the department's, the state of the chain. Looking is logged too."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Q, QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from hq.log import chain, heads, seals, triggers
from hq.log.models import AccessRecord, SignedHead
from hq.people.decorators import PageRequest, page
from hq.people.policy import may
from hq.site.moments import LookBackField

PER_PAGE = 100
MOST_READS = 5_000
"""Reads that the page compares with their seals: some seconds' work."""


class FilterForm(forms.Form):
    """What to look for in the log."""

    name = forms.CharField(required=False, label="Name or user name")
    action = forms.CharField(required=False)
    outcome = forms.ChoiceField(required=False, choices=[("", "all"), *AccessRecord.OUTCOMES])
    purpose = forms.CharField(required=False)
    case = forms.CharField(required=False, label="Case number")
    since = LookBackField(required=False)
    until = LookBackField(required=False)


@page("log.own", kind="log")
def own(request: PageRequest) -> HttpResponseBase:
    """What the log holds about the person who looks."""
    return _listing(request, AccessRecord.objects.filter(person=request.person), "Your access log", own=True)


@page("log.department", kind="log")
def department(request: PageRequest) -> HttpResponseBase:
    """The rows of the person's agency, and attempts by unknown names; an auditor sees every agency's."""
    rows = AccessRecord.objects.all()
    if not may(request.person, "log.all", standing=request.standing):
        rows = rows.filter(agency__in=["", request.person.agency])
    return _listing(request, rows, "Access log")


@page("log.chain", kind="log")
def state(request: PageRequest) -> HttpResponseBase:
    """The head, the signed heads, the triggers."""
    context = {
        "head": chain.head(),
        "last": AccessRecord.objects.first(),
        "signed": SignedHead.objects.all()[:31],
        "lost_triggers": triggers.missing(connection),
        "tables": triggers.tables(),
        "seals": seals.facts(),
    }
    return render(request, "log/chain.html", context)


@require_POST
@page("log.chain", kind="log")
def verify(request: PageRequest) -> HttpResponseBase:
    """Verify from the newest signed head on, and the newest sealed reads.

    The whole chain and all reads are for the command line, as that may take long.
    """
    newest = SignedHead.objects.first()
    first = max(1, newest.sequence) if newest else 1
    fault = heads.verify() or chain.verify(first)
    sealed = seals.verify(seals.newest_within(MOST_READS), whole=False)
    found = f"row {fault.sequence}: {fault.what}" if fault else "whole"
    request.access.note = (
        f"from row {first}: {found}; {sealed.fault.what if sealed.fault else sealed.words()}"
    )
    if fault:
        messages.error(request, f"The chain is broken at row {fault.sequence}: {fault.what}.")
    else:
        messages.success(request, f"Rows {first} to {chain.head().sequence} and every signed head fit.")
    if sealed.fault:
        messages.error(request, f"The sealed reads do not fit: {sealed.fault.what}.")
    else:
        messages.success(request, f"Newest {sealed.words()}.")
    return redirect("log:chain")


def _listing(
    request: PageRequest, rows: QuerySet[AccessRecord], heading: str, own: bool = False
) -> HttpResponseBase:
    form = FilterForm(request.GET or None, auto_id="filter_%s")
    asked = {k: v for k, v in form.cleaned_data.items() if v} if form.is_valid() else {}
    rows = _filtered(rows, asked)
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    request.access.elements = {name: str(value) for name, value in asked.items()}
    request.access.result_count = shown.paginator.count
    request.access.note = f"rows {shown[0].sequence} to {shown[-1].sequence}" if len(shown) else "no row"
    fields = request.GET.copy()
    fields.pop("page", None)
    context = {"heading": heading, "rows": shown, "form": form, "query": fields.urlencode(), "own": own}
    return render(request, "log/listing.html", context)


def _filtered(rows: QuerySet[AccessRecord], asked: dict[str, Any]) -> QuerySet[AccessRecord]:
    if name := asked.get("name"):
        rows = rows.filter(Q(name__icontains=name) | Q(username__icontains=name))
    if action := asked.get("action"):
        rows = rows.filter(action__istartswith=action)
    for exact in ("outcome", "purpose", "case"):
        if value := asked.get(exact):
            rows = rows.filter(**{exact: value})
    if since := asked.get("since"):
        rows = rows.filter(at__gte=_midnight(since))
    if until := asked.get("until"):
        rows = rows.filter(at__lt=_midnight(until + timedelta(days=1)))
    return rows


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(settings.TIME_ZONE))
