"""The pages of releases: register of requests, decision, fulfilment; partner agencies.

A page decides nothing: it asks a service and shows what that says; what a service refuses is told by the
clause.
"""

from __future__ import annotations

import csv
from pathlib import PurePath

from django.contrib import messages
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.evidence import bag, collect, packages
from hq.people import purposes
from hq.people.decorators import PageRequest, page, record_now
from hq.people.policy import check, may
from hq.releases import partners, requests
from hq.releases.forms import DecisionForm, OverrideForm, PartnerForm, RegisterForm, ReviewForm
from hq.releases.models import Override, Partner, ReleaseRequest
from hq.retention import copies
from hq.site import clock, keys
from hq.site.cells import text_cell

State = ReleaseRequest.State


@page("releases.view")
def listing(request: PageRequest) -> HttpResponseBase:
    """What waits, the earliest due first; then the whole register."""
    rows = ReleaseRequest.objects.select_related("partner", "decided_by", "fulfilled_by")
    request.access.result_count = rows.count()
    context = {
        "waiting": requests.waiting(),
        "rows": rows,
        "today": clock.today(),
        "may_register": may(request.person, "releases.register"),
    }
    return render(request, "releases/requests.html", context)


@page("releases.view", kind="export")
def register_csv(request: PageRequest) -> HttpResponseBase:
    """The register of releases (430.8(c)) without plates."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="releases.csv"'
    writer = csv.writer(answer)
    writer.writerow(
        ("number", "state", "agency", "person", "purpose", "case", "received", "request_sha256", "decided_by",
         "decided_at", "fulfilled_by", "fulfilled_at", "reads", "pictures", "package_sha256")
    )  # fmt: skip
    rows = ReleaseRequest.objects.select_related("decided_by", "fulfilled_by").order_by("pk")
    for row in rows:
        cells = (
            row.number, row.state, row.agency, row.person_name, row.purpose, row.case,
            row.received_at.isoformat(),
            row.document_sha256, row.decided_by or "", row.decided_at.isoformat() if row.decided_at else "",
            row.fulfilled_by or "", row.fulfilled_at.isoformat() if row.fulfilled_at else "", row.reads,
            row.pictures, row.sha256,
        )  # fmt: skip
        writer.writerow([text_cell(str(cell)) for cell in cells])
    request.access.result_count = len(rows)
    return answer


@page("releases.register", kind="release")
def new(request: PageRequest) -> HttpResponseBase:
    """Register a written request."""
    form = RegisterForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        names = ("kind", "partner", "agency", "person_name", "person_title", "person_contact", "requested_by",
                 "purpose", "purpose_text", "case", "document", "received_at", "due_on",
                 "pictures")  # fmt: skip
        row = requests.register(
            request.person,
            scope=form.scope() if form.scope_needed(data) else None,
            **{name: data[name] for name in names},
        )
        request.access.ids = [row.number]
        request.access.elements = {"agency": row.agency, "request_sha256": row.document_sha256}
        return redirect("releases:request", row.pk)
    context = {
        "form": form,
        "title": "Register a written request",
        "button": "Register",
        "back": "releases:requests",
        "lead": "With its original. All but law enforcement and prosecutors are answered by the custodian.",
    }
    return render(request, "retention/form.html", context)


@page("releases.view")
def detail(request: PageRequest, pk: int) -> HttpResponseBase:
    """One request: what is asked, what was decided, what went out."""
    row = _request(request, pk)
    me, decides = request.person, may(request.person, "releases.decide", obj=row)
    copy = copies.of(row.number)
    asked = DecisionForm.initial_of(row.asked) | {"pictures": row.pictures_asked}
    context = {
        "row": row,
        "today": clock.today(),
        "review": ReviewForm() if row.state == State.RECEIVED and decides else None,
        "decision": DecisionForm(initial=asked) if row.state == State.REVIEWED and decides else None,
        "may_deny": row.state in (State.REVIEWED, State.APPROVED) and decides,
        "may_fulfil": row.state == State.APPROVED and may(me, "releases.fulfil", obj=row),
        "copy": copy,
        "may_see_certificate": may(me, "destruction.view"),
        "may_download": bool(row.file) and copy is None and may(me, "releases.fulfil", obj=row),
        "may_close": row.state in (State.ROUTED, State.APPROVED) and may(me, "releases.register"),
    }
    return render(request, "releases/request.html", context)


@page("releases.view", kind="export")
def document(request: PageRequest, pk: int) -> HttpResponseBase:
    """The written request as it came."""
    row = _request(request, pk)
    name = f"{row.number}{PurePath(str(row.document.name)).suffix}"
    return FileResponse(row.document.open("rb"), as_attachment=True, filename=name)


@require_POST
@page("releases.decide", kind="release")
def review(request: PageRequest, pk: int) -> HttpResponseBase:
    """Record the review."""
    _request(request, pk)
    requests.review(request.person, pk, request.POST.get("note", ""))
    request.access.note = "reviewed"
    return redirect("releases:request", pk)


@require_POST
@page("releases.decide", kind="release")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a scope."""
    row = _request(request, pk)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return render(
            request,
            "releases/request.html",
            {"row": row, "decision": form, "may_deny": True, "today": clock.today()},
        )
    requests.approve(
        request.person,
        pk,
        form.scope(),
        pictures=form.cleaned_data["pictures"],
        reason=form.cleaned_data["reason"],
    )
    request.access.note = "approved"
    request.access.elements = {"scope": form.scope().to_json(), "pictures": form.cleaned_data["pictures"]}
    return redirect("releases:request", pk)


@require_POST
@page("releases.decide", kind="release")
def deny(request: PageRequest, pk: int) -> HttpResponseBase:
    """Deny it."""
    _request(request, pk)
    requests.deny(request.person, pk, request.POST.get("reason", ""))
    request.access.note = "denied"
    return redirect("releases:request", pk)


@require_POST
@page("releases.fulfil", kind="release", changes=False)
def fulfil(request: PageRequest, pk: int) -> HttpResponseBase:
    """Make the package of what was approved, in a transaction of its own."""
    _request(request, pk)

    def log(row: ReleaseRequest) -> None:
        request.access.note = "fulfilled"
        request.access.elements = {"sha256": row.sha256, "agency": row.agency, "person": row.person_name}
        request.access.result_count = row.reads
        record_now(request, "releases.fulfil")

    try:
        requests.fulfil(request.person, pk, log=log)
    except (collect.TooMany, bag.Unreadable, packages.NotWritten, keys.KeyExposed) as error:
        request.access.note = f"not made: {error}"
        messages.error(request, f"Not made. {error}")
    return redirect("releases:request", pk)


@page("releases.fulfil", kind="release")
def download(request: PageRequest, pk: int) -> HttpResponseBase:
    """The package, to be handed over."""
    row = get_object_or_404(ReleaseRequest.objects.exclude(file=""), pk=pk)
    _note(request, row)
    check(request.person, "releases.fulfil", obj=row)
    copies.check_here(row)
    request.access.elements = {"sha256": row.sha256, "agency": row.agency}
    try:
        request.access.ids = [row.number, *row.read_ids()]
    except bag.Unreadable as error:
        request.access.note = f"not handed out: {error}"
        messages.error(request, f"Not handed out: {error}.")
        return redirect("releases:request", pk)
    request.access.result_count = row.reads
    return FileResponse(row.file.open("rb"), as_attachment=True, filename=row.file_name)


@require_POST
@page("releases.register", kind="release")
def close(request: PageRequest, pk: int) -> HttpResponseBase:
    """The custodian has answered a routed request, or nothing is handed out on an approved one."""
    _request(request, pk)
    requests.close(request.person, pk, request.POST.get("note", ""))
    request.access.note = "closed"
    return redirect("releases:request", pk)


# Partner agencies


@page("partners.view")
def partner_list(request: PageRequest) -> HttpResponseBase:
    """The register of partner agencies."""
    me = request.person
    context = {
        "rows": [
            (
                row,
                row.live(clock.today()),
                row.approved_at is None and row.ended_at is None and may(me, "partners.approve", obj=row),
            )
            for row in Partner.objects.select_related("proposed_by", "approved_by").prefetch_related(
                "overrides"
            )
        ],
        "overrides": [
            (row, row.approved_at is None and may(me, "partners.approve", obj=row))
            for row in Override.objects.select_related("partner", "approved_by")
        ],
        "may_propose": may(me, "partners.propose"),
        "may_end": may(me, "partners.approve"),
        "today": clock.today(),
    }
    return render(request, "releases/partners.html", context)


@page("partners.propose", kind="partner")
def new_partner(request: PageRequest) -> HttpResponseBase:
    """Propose a partner agency."""
    form = PartnerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        fields = {name: form.cleaned_data[name] for name in PartnerForm.Meta.fields}
        row = partners.propose(request.person, **fields)
        request.access.elements = {"partner": str(row)}
        return redirect("releases:partners")
    context = {
        "form": form,
        "title": "Propose a partner agency",
        "button": "Propose",
        "back": "releases:partners",
    }
    return render(request, "retention/form.html", context)


@require_POST
@page("partners.approve", kind="partner")
def approve_partner(request: PageRequest, pk: int) -> HttpResponseBase:
    """The Commander approves it."""
    get_object_or_404(Partner, pk=pk)
    request.access.elements = {"partner": str(partners.approve(request.person, pk)), "state": "approved"}
    return redirect("releases:partners")


@require_POST
@page("partners.approve", kind="partner")
def end_partner(request: PageRequest, pk: int) -> HttpResponseBase:
    """Nothing more goes to it."""
    get_object_or_404(Partner, pk=pk)
    row = partners.end(request.person, pk, request.POST.get("why", ""))
    request.access.elements = {"partner": str(row), "state": "ended", "reason": row.ended_why}
    return redirect("releases:partners")


@page("partners.propose", kind="partner")
def new_override(request: PageRequest, pk: int) -> HttpResponseBase:
    """Store a legal authority for a partner that is refused by its kind."""
    partner = get_object_or_404(Partner, pk=pk)
    form = OverrideForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        row = partners.propose_override(
            request.person,
            partner,
            **{name: form.cleaned_data[name] for name in ("citation", "document", "valid_until")},
        )
        request.access.elements = {"partner": str(partner), "authority": row.citation, "sha256": row.sha256}
        return redirect("releases:partners")
    context = {
        "form": form,
        "title": f"Legal authority for {partner}",
        "button": "Store",
        "back": "releases:partners",
        "lead": "The Commander decides on it (Civil Code 1798.90.55(b)).",
    }
    return render(request, "retention/form.html", context)


@require_POST
@page("partners.approve", kind="partner")
def approve_override(request: PageRequest, pk: int) -> HttpResponseBase:
    """The Commander's override."""
    get_object_or_404(Override, pk=pk)
    row = partners.approve_override(request.person, pk)
    request.access.elements = {"partner": str(row.partner), "authority": row.citation, "state": "approved"}
    return redirect("releases:partners")


@page("partners.view")
def override_document(request: PageRequest, pk: int) -> HttpResponseBase:
    """The scan of a legal authority."""
    row = get_object_or_404(Override, pk=pk)
    name = f"authority-{pk}{PurePath(str(row.document.name)).suffix}"
    return FileResponse(row.document.open("rb"), as_attachment=True, filename=name)


def _request(request: PageRequest, pk: int) -> ReleaseRequest:
    row = get_object_or_404(ReleaseRequest.objects.select_related("partner"), pk=pk)
    _note(request, row)
    return row


def _note(request: PageRequest, row: ReleaseRequest) -> None:
    access = request.access
    access.ids = [row.number]
    # Of who handles requests the request's id stands for a case (430.5(b)).
    access.purpose = access.purpose or purposes.by_id("records_request", request.standing.roles)
    access.case = access.case or row.number or ""
    access.on_behalf_of = row.agency[:128]
