"""The pages of hot lists: lists and versions, import with preview, changes, approval, which unit has what.

Hot plates and partial plates are `entry_views`. A page decides nothing: it asks a service and shows what that
says; what a service refuses is told by the clause.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from hq.lists import ageing, groups, loading, masking, retro, standing, versions
from hq.lists.errors import ListRefused
from hq.lists.forms import GroupForm, ListForm, MappingForm, RulesForm, SourceForm, UploadForm, WhyForm
from hq.lists.models import (
    HotList,
    HotListEntry,
    HotListSource,
    HotListVersion,
    ListGroup,
    RetroRun,
    Rules,
    Upload,
)
from hq.people import stated
from hq.people.decorators import PageRequest, page
from hq.people.models import Grant
from hq.people.policy import RIGHTS, Refused, Standing, check, may
from hq.site import clock
from plates.words import CLASS_RULES

SHOWN = 200
"""Changes of a kind that a page shows; the counts are of all."""


class Row(NamedTuple):
    """An entry and whether its detail is hidden from the person."""

    entry: HotListEntry
    masked: bool


@page("lists.view")
def index(request: PageRequest) -> HttpResponseBase:
    """Every list with the age of its data, what waits for approval, and what the units have."""
    on = versions.classes_on()
    context = {
        "ages": ageing.ages(),
        "inactive": HotList.objects.filter(active=False),
        "drafts": HotListVersion.objects.filter(state="draft").select_related("hot_list", "prepared_by"),
        "groups": ListGroup.objects.annotate(count=Count("lists")),
        "units": ageing.units(),
        "without": groups.without(),
        "standing": [one for one in HotListSource.objects.all() if standing.current(one)],
        "ending": ageing.ending(),
        "classes": [(name.value, rule, name.value in on) for name, rule in CLASS_RULES.items()],
        "may_import": may(request.person, "lists.import"),
    }
    return render(request, "lists/index.html", context)


@page("lists.import")
def new_group(request: PageRequest) -> HttpResponseBase:
    """A group of units that share a list."""
    form = GroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        group = form.save()
        request.access.elements = {"group": group.name}
        return redirect("lists:index")
    return render(request, "lists/form.html", {"form": form, "title": "New group of units"})


@page("lists.import")
def edit(request: PageRequest, pk: int | None = None) -> HttpResponseBase:
    """A new list, or another group, classes or time to live for one."""
    hot_list = get_object_or_404(HotList, pk=pk) if pk is not None else None
    form = ListForm(request.POST or None, instance=hot_list)
    if request.method == "POST" and form.is_valid():
        if form.initial.get("restricted") and "restricted" in form.changed_data:
            granted = Grant.Code.RESTRICTED in masking.grants_of(request.person)
            check_unmasked("" if granted else Grant.Code.RESTRICTED)
        saved = form.save()
        request.access.elements = {"list": saved.name, "changed": _changed(form)}
        return redirect("lists:list", saved.pk)
    title = f"Change {hot_list.name}" if hot_list else "New hot list"
    return render(request, "lists/form.html", {"form": form, "title": title})


@page("lists.view")
def detail(request: PageRequest, pk: int) -> HttpResponseBase:
    """One list: its sources, the files that wait, its versions."""
    hot_list = get_object_or_404(HotList.objects.select_related("group"), pk=pk)
    uploads = Upload.objects.filter(source__hot_list=hot_list).select_related("source", "by")
    context = {
        "list": hot_list,
        "sources": hot_list.sources.all(),
        "uploads": uploads,
        "ready": uploads.filter(state="preview", by=request.person).exists(),
        "versions": hot_list.versions.exclude(state="loading").select_related("prepared_by", "approved_by")[
            :50
        ],
        "form": UploadForm(hot_list),
        "may_import": may(request.person, "lists.import"),
    }
    return render(request, "lists/list.html", context)


@page("lists.import")
def source(request: PageRequest, pk: int, source_pk: int | None = None) -> HttpResponseBase:
    """A new source of a list, or a change of one."""
    hot_list = get_object_or_404(HotList, pk=pk)
    held = get_object_or_404(hot_list.sources, pk=source_pk) if source_pk is not None else None
    lacking = masking.lacking_for_data(masking.grants_of(request.person), held) if held is not None else None
    form = SourceForm(request.POST or None, instance=held or HotListSource(hot_list=hot_list))
    if request.method == "POST" and form.is_valid():
        if "data" in form.changed_data:
            # Said to be the department's, its entries and hits would be shown to everybody.
            check_unmasked(lacking or "")
        if "name" in form.changed_data:
            # It then says whose data the hits are that were stored under this name before.
            grants = masking.grants_of(request.person)
            check_unmasked(masking.lacking_for_name(grants, form.cleaned_data["name"]))
        saved = form.save()
        request.access.elements = {"list": hot_list.name, "source": saved.name, "data": saved.data}
        if held is not None:
            request.access.elements["changed"] = _changed(form)
        return redirect("lists:list", pk)
    return render(request, "lists/form.html", {"form": form, "title": f"Source of {hot_list.name}"})


@page("lists.import")
@require_POST
def upload(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take a file in."""
    hot_list = get_object_or_404(HotList, pk=pk)
    form = UploadForm(hot_list, request.POST, request.FILES)
    if not form.is_valid():
        messages.error(request, "Choose a source and a file.")
        return redirect("lists:list", pk)
    _check_data(request, form.cleaned_data["source"])
    file = form.cleaned_data["file"]
    kept = loading.keep(form.cleaned_data["source"], file.name, file.chunks(), by=request.person)
    request.access.elements = {"list": hot_list.name, "file": kept.file_name, "bytes": kept.size}
    return redirect("lists:preview", kept.pk)


@page("lists.import")
def preview(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The first lines of a file, what would be made of them, and the mapping of its columns."""
    held = _upload(request, pk)
    origin = held.source
    seen = loading.preview(held, origin.layout(), origin.hot_list)
    initial = {f"column_{name}": column for name, column in seen.layout.mapping.items()}
    form = MappingForm(seen.columns, request.POST or None, initial=initial | {"delimiter": origin.delimiter})
    if request.method == "POST" and form.is_valid():
        origin.mapping, origin.delimiter = form.mapping(), form.cleaned_data["delimiter"]
        origin.save(update_fields=["mapping", "delimiter"])
        request.access.elements = {"source": origin.name, "mapping": origin.mapping}
        return redirect("lists:preview", pk)
    if request.method == "GET" and origin.format == "csv" and not origin.mapping and seen.layout.mapping:
        messages.info(request, "The columns were guessed from their names. Check them and save the mapping.")
    request.access.elements = {"file": held.file_name}
    request.access.result_count = len(seen.entries)
    # As a dict: a template would ask a Counter for the count of "items".
    left_out = dict(seen.tally.left_out)
    context = {"upload": held, "list": origin.hot_list, "seen": seen, "form": form, "left_out": left_out}
    return render(request, "lists/preview.html", context)


@page("lists.import")
@require_POST
def give_up(request: PageRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Delete a file that is not to be loaded, or that was refused."""
    held = _upload(request, pk)
    hot_list, request.access.elements = held.source.hot_list, {"given_up": held.file_name}
    if held.state == "waiting":
        raise ListRefused("430.2-d", "the file is being loaded")
    loading.give_up(held)
    return redirect("lists:list", hot_list.pk)


@page("lists.import")
@require_POST
def load(request: PageRequest, pk: int) -> HttpResponseBase:
    """Hand the files that this person has checked to the loader; they become one draft."""
    hot_list = get_object_or_404(HotList, pk=pk)
    ready = Upload.objects.filter(source__hot_list=hot_list, by=request.person, state="preview")
    unmapped = [
        one.file_name
        for one in ready.select_related("source")
        if one.source.format == "csv" and not one.source.mapping
    ]
    if unmapped:
        messages.error(request, f"Save the mapping of {', '.join(unmapped)} first.")
        return redirect("lists:list", pk)
    request.access.elements = {"list": hot_list.name, "files": [one.file_name for one in ready]}
    count = ready.update(state="waiting")
    messages.success(request, f"{count} files are being loaded. The draft appears here when they are.")
    return redirect("lists:list", pk)


@page("lists.view")
def version(request: PageRequest, pk: int) -> HttpResponseBase:
    """What a version changes: added, changed, removed, with counts and warnings."""
    held = get_object_or_404(
        HotListVersion.objects.select_related("hot_list", "former", "prepared_by", "approved_by"), pk=pk
    )
    grants = masking.grants_of(request.person)
    shown = {
        "added": _rows(held.entries.filter(change="added") if held.former_id else held.entries.all(), grants),
        "changed": _rows(held.entries.filter(change="changed"), grants),
        "removed": _rows(versions.removed(held), grants) if held.changes.get("removed") else [],
    }
    request.access.elements = {"list": held.hot_list.name, "version": held.number}
    request.access.result_count = sum(len(rows) for rows in shown.values())
    request.access.ids = [row.entry.pk for rows in shown.values() for row in rows if not row.masked]
    context = {
        "version": held,
        "counts": [(kind, held.changes.get(kind, 0)) for kind in ("added", "changed", "removed", "same")],
        "by_class": held.changes.get("by_class", {}),
        "shown": shown,
        "limit": SHOWN,
        "may_approve": held.state == "draft" and may(request.person, "lists.approve", obj=held),
        "may_withdraw": held.state in HotListVersion.IN_FORCE and may(request.person, "lists.approve"),
        "may_discard": held.state == "draft" and may(request.person, "lists.import"),
        "may_match": held.state in HotListVersion.IN_FORCE
        and may_match(request)
        and not masking.lacking_for_version(grants, held),
        "why": WhyForm(),
        "runs": held.runs.select_related("by"),
    }
    return render(request, "lists/version.html", context)


@page("lists.approve")
@require_POST
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Put a draft into force, as a second person."""
    held = get_object_or_404(HotListVersion, pk=pk)
    check(request.person, "lists.approve", obj=held)
    versions.approve(held, by=request.person)
    messages.success(request, "Approved. The units get it with the next publication.")
    return redirect("lists:version", pk)


@page("lists.approve")
@require_POST
def withdraw(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take the version in force off the units."""
    held = get_object_or_404(HotListVersion, pk=pk)
    versions.withdraw(held, by=request.person, why=request.POST.get("why", ""))
    return redirect("lists:version", pk)


@page("lists.import")
@require_POST
def discard(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take a draft back."""
    held = get_object_or_404(HotListVersion, pk=pk, state="draft")
    versions.withdraw(held, by=request.person, why=request.POST.get("why", ""))
    return redirect("lists:version", pk)


@page("reads.search", purpose=True)
@require_POST
def match(request: PageRequest, pk: int) -> HttpResponseBase:
    """Match what a version added against the reads of the last days."""
    held = get_object_or_404(HotListVersion, pk=pk, state__in=HotListVersion.IN_FORCE)
    check_match(request)
    check_unmasked(masking.lacking_for_version(masking.grants_of(request.person), held))
    run = retro.run_version(held, by=request.person, purpose=request.access.purpose, case=request.access.case)
    return to_run(request, run)


@page("settings.view")
def rules(request: PageRequest) -> HttpResponseBase:
    """The agency's limits for entries, and what is proposed."""
    waiting = Rules.objects.filter(approved_at=None).select_related("proposed_by").first()
    context = {
        "rules": Rules.current(),
        "waiting": waiting,
        "may_propose": may(request.person, "settings.propose"),
        "may_approve": waiting is not None and may(request.person, "settings.approve", obj=waiting),
    }
    return render(request, "lists/rules.html", context)


@page("settings.propose")
def propose_rules(request: PageRequest) -> HttpResponseBase:
    """Propose other limits."""
    now = Rules.current()
    limits = ("manual_days", "partial_days", "partial_share", "recent_days")
    form = RulesForm(request.POST or None, initial={name: getattr(now, name) for name in limits})
    if request.method == "POST" and form.is_valid():
        row = form.save(commit=False)
        row.proposed_by, row.proposed_at = request.person, clock.now()
        row.save()
        request.access.elements = {name: getattr(row, name) for name in limits}
        return redirect("lists:rules")
    return render(request, "lists/form.html", {"form": form, "title": "Propose limits"})


@page("settings.approve")
@require_POST
def approve_rules(request: PageRequest, pk: int) -> HttpResponseBase:
    """Put proposed limits into force, as a second person (430.2-d)."""
    row = get_object_or_404(Rules, pk=pk, approved_at=None)
    check(request.person, "settings.approve", obj=row)
    row.approved_by, row.approved_at = request.person, clock.now()
    row.save(update_fields=["approved_by", "approved_at"])
    request.access.ids = [row.pk]
    return redirect("lists:rules")


def may_match(request: PageRequest) -> bool:
    """Whether the person may match backwards over all units and the last weeks."""
    narrow = Standing(request.person).narrow(RIGHTS["reads.search"])
    return not narrow and may(request.person, "reads.search")


def check_match(request: PageRequest) -> None:
    """Raise Refused unless `may_match`: the own shift's 24 hours end long before it."""
    if not may_match(request):
        raise Refused(
            "430.5(b)",
            "matching backwards looks beyond the own shift's units and 24 hours",
            "the Commander, for the grant of a wide search",
        )


def to_run(request: PageRequest, run: RetroRun) -> HttpResponseBase:
    """To what was matched, under the statement that it was matched under."""
    address, mark = reverse("lists:run", args=[run.pk]), request.access.mark
    return redirect(stated.marked(request.session, address, mark) if mark else address)


def check_unmasked(lacking: str) -> None:
    """Raise Refused where a grant is missing: what an entry matches tells its plate (430.3(e))."""
    if lacking:
        raise Refused(
            "430.3(e)",
            f"you hold no grant for {Grant.Code(lacking).label}",
            "the Commander, on the ALPR administrator's proposal",
        )


def _changed(form: ListForm | SourceForm) -> dict[str, list[str]]:
    """Each field that differs: before and after (430.2-d)."""
    return {name: [str(form.initial.get(name)), str(form.cleaned_data[name])] for name in form.changed_data}


def _upload(request: PageRequest, pk: uuid.UUID) -> Upload:
    held = get_object_or_404(Upload.objects.select_related("source__hot_list"), pk=pk)
    _check_data(request, held.source)
    return held


def _check_data(request: PageRequest, origin: HotListSource) -> None:
    """A file's lines are shown in its preview: the grant for its data is needed to import it (430.3(e))."""
    check_unmasked(masking.lacking_for_data(masking.grants_of(request.person), origin) or "")


def _rows(entries: QuerySet[HotListEntry], grants: frozenset[str]) -> list[Row]:
    rows = []
    for entry in versions.in_key_order(entries).select_related("source__hot_list")[:SHOWN]:
        origin = entry.source
        masked = masking.lacking(
            grants, entry.alarm_class, data=origin.data, whole=origin.hot_list.restricted
        )
        rows.append(Row(entry, bool(masked)))
    return rows
