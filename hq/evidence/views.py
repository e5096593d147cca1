"""The pages of evidence packages: asked for, approved, made, handed out, booked."""

from __future__ import annotations

from django.contrib import messages
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.evidence import bag, collect, packages
from hq.evidence.forms import BookingForm, RequestForm
from hq.evidence.models import Package
from hq.people import purposes
from hq.people.decorators import PageRequest, page, record_now
from hq.people.policy import check, may
from hq.retention import copies
from hq.retention.models import Hold
from hq.site import keys

State = Package.State


@page("evidence.view", purpose=True)
def listing(request: PageRequest) -> HttpResponseBase:
    """Every package; what was made and is not booked yet comes first."""
    rows = Package.objects.select_related("requested_by", "approved_by", "prepared_by")
    request.access.result_count = rows.count()
    context = {
        "not_booked": packages.not_booked(),
        "rows": rows,
        "may_request": may(request.person, "evidence.request"),
    }
    return render(request, "evidence/packages.html", context)


@page("evidence.request", purpose=True, kind="evidence")
def new(request: PageRequest) -> HttpResponseBase:
    """Ask for a package."""
    asked = request.GET.get("hold", "")
    hold = Hold.objects.filter(pk=asked).first() if asked.isdecimal() and len(asked) < 10 else None
    initial: dict[str, object] = {"case": request.access.case}
    if hold is not None:
        initial |= {"case": hold.case, "hold": hold.pk, **RequestForm.initial_of(hold.scope)}
    form = RequestForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        row = packages.request(
            request.person,
            case=form.cleaned_data["case"],
            reason=form.cleaned_data["reason"],
            scope=form.scope(),
            purpose=request.access.purpose or "evidence",
            pictures=form.cleaned_data["pictures"],
            hold=form.cleaned_data["hold"],
        )
        request.access.case = row.case
        request.access.elements = {"package": row.number, "scope": row.scope_json}
        return redirect("evidence:package", row.pk)
    context = {
        "form": form,
        "title": "Ask for an evidence package",
        "button": "Ask for it",
        "back": "evidence:packages",
        "lead": "The Commander approves it, the custodian or a records clerk makes it (430.4-e).",
    }
    return render(request, "retention/form.html", context)


@page("evidence.view", purpose=True)
def detail(request: PageRequest, pk: int) -> HttpResponseBase:
    """One package: what is in it, its digests, its booking; prints as a custody record."""
    row = _package(request, pk)
    me, copy = request.person, copies.of(row.number)
    context = {
        "package": row,
        "may_approve": row.state == State.REQUESTED and may(me, "evidence.approve", obj=row),
        "may_refuse": row.state in (State.REQUESTED, State.APPROVED) and may(me, "evidence.approve", obj=row),
        "may_prepare": row.state == State.APPROVED and may(me, "evidence.prepare", obj=row),
        "copy": copy,
        "may_see_certificate": may(me, "destruction.view"),
        "may_download": bool(row.file) and copy is None and may(me, "evidence.prepare", obj=row),
        "booking": BookingForm(initial={"booked_name": me.full_name})
        if row.state == State.PREPARED and may(me, "evidence.book", obj=row)
        else None,
    }
    return render(request, "evidence/package.html", context)


@require_POST
@page("evidence.approve", kind="evidence")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """The Commander says yes."""
    _package(request, pk)
    packages.approve(request.person, pk)
    request.access.note = "approved"
    return redirect("evidence:package", pk)


@require_POST
@page("evidence.approve", kind="evidence")
def refuse(request: PageRequest, pk: int) -> HttpResponseBase:
    """The Commander says no, or takes the approval back."""
    _package(request, pk)
    packages.refuse(request.person, pk, request.POST.get("why", ""))
    request.access.note = "refused"
    return redirect("evidence:package", pk)


@require_POST
@page("evidence.prepare", kind="evidence", changes=False)
def prepare(request: PageRequest, pk: int) -> HttpResponseBase:
    """Make and sign it, in a transaction of its own."""
    _package(request, pk)

    def log(row: Package) -> None:
        request.access.note = "made"
        request.access.elements = {"sha256": row.sha256}
        request.access.result_count = row.reads
        record_now(request, "evidence.prepare")

    try:
        packages.prepare(request.person, pk, log)
    except (collect.TooMany, bag.Unreadable, packages.NotWritten, keys.KeyExposed) as error:
        request.access.note = f"not made: {error}"
        messages.error(request, f"Not made. {error}")
    return redirect("evidence:package", pk)


@page("evidence.prepare", kind="export")
def download(request: PageRequest, pk: int) -> HttpResponseBase:
    """The ZIP, to be put on the medium."""
    row = get_object_or_404(Package.objects.exclude(file=""), pk=pk)
    _note(request, row)
    check(request.person, "evidence.prepare", obj=row)
    copies.check_here(row)
    request.access.elements = {"sha256": row.sha256}
    try:
        request.access.ids = [row.number, *row.read_ids()]
    except bag.Unreadable as error:
        request.access.note = f"not handed out: {error}"
        messages.error(request, f"Not handed out: {error}.")
        return redirect("evidence:package", pk)
    request.access.result_count = row.reads
    return FileResponse(row.file.open("rb"), as_attachment=True, filename=row.file_name)


@require_POST
@page("evidence.book", kind="evidence")
def book(request: PageRequest, pk: int) -> HttpResponseBase:
    """Record the booking."""
    row = _package(request, pk)
    form = BookingForm(request.POST)
    if not form.is_valid():
        return render(request, "evidence/package.html", {"package": row, "booking": form})
    packages.book(request.person, pk, **form.cleaned_data)
    request.access.note = "booked"
    request.access.elements = {
        name: str(form.cleaned_data[name]) for name in ("medium_serial", "evidence_number")
    }
    return redirect("evidence:package", pk)


@page("evidence.view", purpose=True)
def key(request: PageRequest) -> HttpResponseBase:
    """The public key with which outsiders verify packages, to be published."""
    text = keys.public("evidence").to_base64().decode()
    return render(request, "evidence/key.html", {"key": text})


def _package(request: PageRequest, pk: int) -> Package:
    row = get_object_or_404(Package, pk=pk)
    _note(request, row)
    return row


def _note(request: PageRequest, row: Package) -> None:
    access = request.access
    access.ids = [row.number]
    # Of who handles packages the package's id stands for a case (430.5(b)).
    access.purpose = access.purpose or purposes.by_id("evidence", request.standing.roles)
    access.case = access.case or row.number or ""
