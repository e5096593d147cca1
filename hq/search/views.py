"""The pages of searching: form, results, one read, timeline, canvass, export, pictures, shifts.

Nothing is listed before a purpose is stated and something is asked. Every page of results answers a POST, so
that no plate stands in an address, or a GET that names one by a key (`hq.search.again`); its access record
names the reads that it shows. Where the record cannot be written, `page` shows nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hq.hits import corrections, review, wording
from hq.lists import masking
from hq.people import purposes, stated
from hq.people.decorators import PageRequest, page
from hq.people.policy import Standing, Unstated, check, may
from hq.records.keys import search_key
from hq.records.models import Picture, Read, UnitStatus
from hq.search import again, canvass, export, finding, localtime, pictures
from hq.search.asked import SCAN, Asked
from hq.search.forms import MOST_PAGES, CanvassForm, SearchForm, ShiftForm
from hq.search.models import Shift
from hq.site import clock
from hq.site.models import Settings
from hq.units import deployments

SIZE: Final = 25
"""Reads of a page."""

MOST_ON_LINE: Final = 1_000
"""Reads of a timeline."""

MOST_SHIFTS: Final = 200

_Form = TypeVar("_Form", bound=SearchForm)


def _asks_search(request: PageRequest, refused: Unstated) -> HttpResponse:
    """The search as it was sent, with what is wrong at its purpose or case."""
    return _ask_again(request, refused, SearchForm, "search/form.html")


def _asks_canvass(request: PageRequest, refused: Unstated) -> HttpResponse:
    """The same for a canvass."""
    return _ask_again(request, refused, CanvassForm, "search/canvass_form.html")


@page("reads.search", changes=False)
@require_http_methods(["GET", "HEAD", "POST"])
def form(request: PageRequest) -> HttpResponseBase:
    """Ask; what the log will say stands beside the form. A search that is sent here is changed."""
    return _ask(request, _blank(request, SearchForm, _typed(request)), "search/form.html")


@again.post_or_again
@page("reads.search", purpose=True, kind="search", changes=False, asks=_asks_search)
def results(request: PageRequest) -> HttpResponseBase:
    """One page of what was found; by GET the one that was shown before."""
    sent = _sent(request)
    if sent is None:
        return _gone(request, "search:form")
    filled = _filled(request, SearchForm, sent)
    if not filled.is_valid():
        return _ask(request, filled, "search/form.html")
    number = filled.cleaned_data["page"] or 1
    # Later pages show what was there when the first was made, whatever has come since.
    asof = filled.cleaned_data["asof"] or clock.now()
    found = finding.page(filled.asked, filled.reach, (number - 1) * SIZE, SIZE, asof)
    request.access.elements |= {"page": number}
    request.access.result_count = found.count
    request.access.ids = [read.pk for read in found.reads]
    request.access.note = f"counted up to {finding.MOST}" if found.more else ""
    last = min(-(-found.count // SIZE) or 1, MOST_PAGES)
    context = _shown(request, filled) | {
        "stands_at": _address(request, filled, "results", page=number, asof=asof.isoformat(sep=" ")),
        "found": found,
        "rows": _lines(found.reads),
        "number": number,
        "last": last,
        "before": number - 1 if number > 1 else None,
        "after": number + 1 if number < last else None,
        "asof": asof.isoformat(sep=" "),
        "most": finding.MOST,
        "may_export": may(request.person, "reads.export", standing=Standing(request.person)),
        "most_exported": export.MOST,
    }
    return TemplateResponse(request, "search/results.html", context)


@require_POST
@page("reads.export", purpose=True, kind="export", changes=False, asks=_asks_search)
def csv(request: PageRequest) -> HttpResponseBase:
    """What was found as a CSV file."""
    filled = _filled(request, SearchForm, request.POST)
    if not filled.is_valid():
        return _ask(request, filled, "search/form.html")
    if finding.count(filled.asked, filled.reach, export.MOST) > export.MOST:
        filled.add_error(None, f"A file holds {export.MOST:,} reads at most: ask for less.")
        return _ask(request, filled, "search/form.html")
    reads = finding.newest(filled.asked, filled.reach, 0, export.MOST)
    request.access.result_count, request.access.ids = len(reads), [read.pk for read in reads]
    return export.CsvResponse(request.access, request.person, reads)


@page("reads.view", purpose=True)
@require_safe
def read(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """All that is kept of one read."""
    row = _read(request, pk, "reads.view")
    held = masking.grants_of(request.person)
    hits = [
        {
            "hit": one.hit,
            "masked": bool(
                masking.lacking_for_hit(held, one.hit.alarm_class, one.hit.source, one.hit.list_version)
            ),
            "status": wording.status(one),
            "advice": wording.advice(one),
            "outcome": one.outcome,
        }
        for one in review.of(row.hits.all())
    ]
    request.access.ids = [row.pk]
    context = {
        "read": row,
        "right": corrections.right(row),
        "corrections": row.corrections.all(),
        "hits": hits,
        "pictures": [one for one in row.pictures.all() if one.current],
        "access": request.access,
        "masked": masking.MASKED,
    }
    return TemplateResponse(request, "search/read.html", context)


@page("reads.search", purpose=True, kind="search")
@require_safe
def timeline(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """Where and when the plate of a read was seen, the right one if it was misread; look-alikes if asked."""
    row = _read(request, pk, "reads.search")
    plate = search_key(corrections.right(row) or row.key)
    if not plate:
        raise Http404
    asked = Asked(plate=plate, lookalikes="alike" in request.GET)
    reach = finding.reach_of(Standing(request.person))
    count = finding.count(asked, reach, finding.MOST)
    reads = finding.newest(asked, reach, 0, MOST_ON_LINE)[::-1]
    request.access.elements = {"timeline": str(row.pk), **asked.elements()}
    request.access.result_count, request.access.ids = count, [one.pk for one in reads]
    context = {
        "read": row,
        "asked": asked,
        "rows": _lines(reads),
        "found": finding.Found(reads, count),
        "cut": count > len(reads),
        "elements": asked.elements(),
        "most": MOST_ON_LINE,
        "points": json.dumps([[one.lat, one.lon] for one in reads if one.lat is not None]),
        "access": request.access,
    }
    return TemplateResponse(request, "search/timeline.html", context)


@page("deployments.canvass", changes=False)
@require_http_methods(["GET", "HEAD", "POST"])
def canvass_form(request: PageRequest) -> HttpResponseBase:
    """Ask for a canvass, or change one that is sent here."""
    held = deployments.visible(request.person, request.GET.get("deployment", ""))
    named = {"deployment": held.code, "case": held.incident} if held else {}
    return _ask(request, _blank(request, CanvassForm, named | _typed(request)), "search/canvass_form.html")


@again.post_or_again
@page("deployments.canvass", purpose=True, kind="search", changes=False, asks=_asks_canvass)
def canvass_report(request: PageRequest) -> HttpResponseBase:
    """Every plate of a deployment or area once, with its stays; by GET the one that was shown before."""
    sent = _sent(request)
    if sent is None:
        return _gone(request, "search:canvass")
    filled = _filled(request, CanvassForm, sent)
    if not filled.is_valid():
        return _ask(request, filled, "search/canvass_form.html")
    if finding.count(filled.asked, filled.reach, canvass.MOST) > canvass.MOST:
        filled.add_error(
            None, f"That is more than {canvass.MOST:,} reads: narrow the window; half a canvass is none."
        )
        return _ask(request, filled, "search/canvass_form.html")
    reads = finding.newest(filled.asked, filled.reach, 0, canvass.MOST)
    rows = canvass.report(reads)
    request.access.result_count, request.access.ids = len(rows), [one.pk for one in reads]
    context = _shown(request, filled) | {"rows": rows, "reads": len(reads), "away": canvass.AWAY}
    context["stands_at"] = _address(request, filled, "canvass_report")
    return TemplateResponse(request, "search/canvass.html", context)


@page("reads.picture", purpose=True, kind="picture")
@require_safe
def picture(request: PageRequest, pk: UUID, kind: str) -> HttpResponseBase:
    """A picture of a read, stamped with who sees it: the only address that a picture has."""
    row = _read(request, pk, "reads.picture")
    held = next((one for one in row.pictures.all() if one.current and one.kind == kind), None)
    if held is None:
        raise Http404
    request.access.elements = {"picture": kind, "sha256": held.sha256}
    request.access.ids = [row.pk]
    try:
        return pictures.response(held, request.person, clock.now())
    except pictures.Unreadable as why:
        request.access.note = str(why)
        return HttpResponse(f"{why}.", content_type="text/plain; charset=utf-8", status=409)


@page("reads.search")
@require_safe
def outline(request: PageRequest) -> HttpResponseBase:
    """The agency's own outline for the map, a GeoJSON file that it may put beside its database."""
    file = _outline()
    if not file.is_file():
        raise Http404
    return HttpResponse(file.read_bytes(), content_type="application/geo+json")


@page("shifts.view")
@require_safe
def shifts(request: PageRequest) -> HttpResponseBase:
    """Whose unit is which, the newest first."""
    return _shifts(request, ShiftForm())


@require_POST
@page("shifts.enter", kind="grant")
def enter_shift(request: PageRequest) -> HttpResponseBase:
    """Give a person a unit for a shift: somebody else, never oneself (430.2-d)."""
    filled = ShiftForm(request.POST)
    if not filled.is_valid():
        return _shifts(request, filled)
    row = filled.save(commit=False)
    check(request.person, "shifts.enter", obj=row)
    row.starts_at, row.ends_at = filled.cleaned_data["starts_at"], filled.cleaned_data["ends_at"]
    row.entered_by, row.entered_at = request.person, clock.now()
    row.save()
    request.access.elements = {"person": row.person.username, "unit": row.unit_id}
    request.access.elements |= {"since": row.starts_at, "until": row.ends_at}
    messages.success(request, f"{row.person.full_name} has {row.unit} for the shift.")
    return redirect("search:shifts")


@require_POST
@page("shifts.enter", kind="grant")
def end_shift(request: PageRequest, pk: int) -> HttpResponseBase:
    """End a shift now."""
    row = get_object_or_404(Shift, pk=pk, starts_at__lt=clock.now(), ends_at__gt=clock.now())
    check(request.person, "shifts.enter", obj=row)
    row.ends_at = clock.now()
    row.save(update_fields=["ends_at"])
    request.access.ids, request.access.note = [row.pk], "ended"
    return redirect("search:shifts")


def _shifts(request: PageRequest, filled: ShiftForm) -> HttpResponse:
    rows = Shift.objects.select_related("person", "unit", "entered_by")[:MOST_SHIFTS]
    context = {
        "rows": rows,
        "form": filled,
        "now": clock.now(),
        "most": MOST_SHIFTS,
        "may_enter": may(request.person, "shifts.enter"),
    }
    return render(request, "search/shifts.html", context)


def _typed(request: PageRequest) -> dict[str, str]:
    """What was asked before, without the page of its results that was shown."""
    sent = request.POST if request.method == "POST" else again.sent(request) or {}
    return {name: str(value) for name, value in sent.items() if name not in ("page", "asof")}


def _sent(request: PageRequest) -> Mapping[str, str] | None:
    """The search that is asked for: as it is sent, or as it was, under the purpose that it was sent under."""
    if request.method == "POST":
        return request.POST
    access, sent = request.access, again.sent(request)
    if sent is None or (access.purpose, access.case) != (sent["purpose"], sent["case"].strip()):
        return None
    access.elements = {"again": True}
    return sent


def _gone(request: PageRequest, form: str) -> HttpResponse:
    """To the form, as what the address stood for is not at hand."""
    request.access.kind, request.access.note = "view", "nothing was looked up: no longer at hand"
    messages.info(request, "What was found before is not at hand any more: search again.")
    return redirect(form)


def _blank(request: PageRequest, kind: type[_Form], named: dict[str, str]) -> _Form:
    """The empty form, with the purpose that is in force and what is named already."""
    session = request.session
    person, _, agency = str(session.get("on_behalf_of", "")).partition(", ")
    initial = {
        "purpose": session.get("purpose", ""),
        "case": session.get("case", ""),
        "behalf_person": person[:60],
        "behalf_agency": agency[:60],
    } | named
    standing = Standing(request.person)
    return kind(standing, finding.reach_of(standing), initial=initial)


def _filled(request: PageRequest, kind: type[_Form], sent: Mapping[str, str]) -> _Form:
    """The form as it was sent; a valid one's words go into the access record and into force."""
    standing = Standing(request.person)
    filled = kind(standing, finding.reach_of(standing), sent)
    if filled.is_valid():
        request.access.case = filled.cleaned_data["case"]
        request.access.on_behalf_of = filled.on_behalf_of
        request.access.elements = {**request.access.elements, **filled.asked.elements()}
        access = request.access
        access.mark = stated.keep(request.session, access.purpose, access.case, access.on_behalf_of)
    return filled


def _ask_again(
    request: PageRequest, refused: Unstated, kind: type[SearchForm], template: str
) -> HttpResponse:
    """A refused search, which is logged as such, as the form that it was sent by, with all that was typed."""
    standing = Standing(request.person)
    filled = kind(standing, finding.reach_of(standing), request.POST)
    filled.errors.pop(refused.field, None)
    filled.add_error(refused.field, refused.sentence)
    return _ask(request, filled, template, status=403)


def _ask(request: PageRequest, filled: SearchForm, template: str, status: int = 200) -> HttpResponse:
    """The form, empty or with what is wrong with it."""
    if filled.is_bound:
        request.access.note = "nothing was looked up: the form was not filled in right"
    context = {
        "form": filled,
        "reach": filled.reach,
        "scan_days": SCAN.days,
        "offset": localtime.offset_now(),
        "places": json.dumps(_places(filled)),
        "has_outline": _outline().is_file(),
        "stands_at": _address(request, filled, "canvass" if isinstance(filled, CanvassForm) else "form"),
    }
    return render(request, template, context, status=status)


def _address(request: PageRequest, filled: SearchForm, name: str, **more: object) -> str:
    """Where a browser finds the answer to a POST again; "" where this page stands there already."""
    if request.method != "POST":
        return ""
    sent = {field: str(value) for field, value in request.POST.items() if field in filled.fields}
    sent |= {field: str(value) for field, value in more.items()}
    return again.address(request, reverse(f"search:{name}"), sent, request.access.mark)


def _shown(request: PageRequest, filled: SearchForm) -> dict[str, Any]:
    """What every page of results shows: the question, what the log says, a way to ask again."""
    held = Settings.current()
    agency = filled.cleaned_data["behalf_agency"].strip()
    return {
        "access": request.access,
        "asked": filled.asked,
        "elements": filled.asked.elements(),
        "stated": purposes.ALL[request.access.purpose],
        "reach": filled.reach,
        "again": [(name, value) for name, value in filled.data.items() if name in filled.fields],
        "for_another": bool(agency) and agency != (held.agency if held else request.person.agency),
    }


def _lines(reads: Sequence[Read]) -> list[dict[str, Any]]:
    """Reads as the lines of a table."""
    hits = wording.statuses(reads)
    return [_line(one, hits.get(one.pk, "")) for one in reads]


def _line(one: Read, hit: str) -> dict[str, Any]:
    """A read as one line, with how its hits stand."""
    held: Sequence[Picture] = [p for p in one.pictures.all() if p.current]
    return {
        "read": one,
        "right": corrections.right(one),
        "plate_picture": any(p.kind == Picture.Kind.PLATE and not p.missing for p in held),
        "scene_picture": any(p.kind == Picture.Kind.SCENE and not p.missing for p in held),
        "hit": hit,
    }


def _read(request: PageRequest, pk: UUID, action: str) -> Read:
    """A read within the person's reach; one beyond it is not told from one that is not there."""
    reach = finding.reach_of(Standing(request.person), action)
    request.access.elements = {"read": str(pk)}
    return get_object_or_404(
        Read.objects.filter(reach.q())
        .select_related("unit")
        .prefetch_related("pictures", "hits", "corrections__by"),
        pk=pk,
    )


def _places(filled: SearchForm) -> list[list[object]]:
    """Where the units were when they last said so, for the map."""
    found: list[list[object]] = []
    for status in UnitStatus.objects.select_related("unit").order_by("unit_id")[:500]:
        if filled.reach.units is not None and status.unit_id not in filled.reach.units:
            continue
        position = status.record.get("position") or {}
        if position.get("latitude") is not None and position.get("longitude") is not None:
            found.append([status.unit_id, position["latitude"], position["longitude"]])
    return found


def _outline() -> Path:
    return Path(settings.DATA) / "outline.geojson"
