"""The pages of hits: the live board, one hit with its two steps, corrections, reports.

A page decides nothing: it asks a service and shows what that says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.contrib import messages
from django.forms import BaseForm
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from hq.hits import board, corrections, drawn, live, reports, review, shared, wording
from hq.hits.forms import CletsForm, CorrectionForm, OutcomeForm, PeriodForm, VisualForm
from hq.hits.models import Visual
from hq.hits.review import Review
from hq.hits.sight import Sight
from hq.people import kiosks
from hq.people.decorators import PageRequest, page
from hq.people.policy import Misfilled, Standing, check, may
from hq.people.sessions import LOCK
from hq.records.models import Hit, Picture, Read
from hq.search import pictures
from hq.search.finding import reach_of
from hq.site import clock

STAMP = 1.08
"""The height of a scene with the stamp below it, in heights of the scene."""

_Form = TypeVar("_Form", bound=BaseForm)


@page("hits.board", purpose=True, kiosk=True)
@require_safe
def show_board(request: PageRequest) -> HttpResponseBase:
    """The live board, with the rows as they stand."""
    # A frame with the person's menu is for a session that is open.
    frame = {} if request.kiosk is None else {"person": None}
    return render(request, "hits/board.html", _rows(request) | frame)


@page("hits.board", purpose=True, passive=True, kiosk=True)
@require_safe
def rows(request: PageRequest) -> HttpResponseBase:
    """The rows alone, which the board asks for when something has changed."""
    # Not by `render`: nothing of the frame is in it.
    return HttpResponse(render_to_string("hits/rows.html", _rows(request)))


@page("hits.board", purpose=True, passive=True, kiosk=True, kind="stream")
@require_safe
def stream(request: PageRequest) -> HttpResponseBase:
    """Server-sent events that say when to ask for the rows; they hold no record."""
    Sight(request).state()
    known = str(request.headers.get("Last-Event-ID") or request.GET.get("mark", ""))
    idle = clock.now().timestamp() - float(request.session.get("seen", 0))
    if request.kiosk is not None:
        # At once a change: rows with something to press give way to those without.
        known = ""
    until = LOCK if request.kiosk is None else kiosks.SHIFT
    sent = live.events(known, until.total_seconds() - idle)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingHttpResponse(sent, content_type="text/event-stream", headers=headers)


@page("hits.acknowledge", purpose=True)
@require_POST
def acknowledge(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """Say that the alarm was seen."""
    one = _stated(request, pk)
    review.acknowledge(one.hit, request.person)
    return redirect("hits:hit" if request.POST.get("next") == "hit" else "hits:board", *_where(request, pk))


@page("hits.view", purpose=True)
@require_safe
def detail(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """One hit: pictures beside the listed plate, the two steps, what became of it."""
    return _hit(request, _stated(request, pk))


@page("hits.verify", purpose=True)
@require_POST
def compare(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """Step 1: compare by eye."""
    one = _stated(request, pk)
    Sight(request).insist(one)
    form = VisualForm(request.POST)
    if not form.is_valid():
        return _hit(request, one, visual=form)
    try:
        made = review.look(one, request.person, **form.cleaned_data)
    except Misfilled as refused:
        return _hit(request, one, visual=_again(request, form, refused))
    request.access.elements = {"step": 1, "plate": made.plate, "state": made.state, "vehicle": made.vehicle}
    return redirect("hits:hit", pk)


@page("hits.verify", purpose=True)
@require_POST
def ask(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """Step 2: enter what CLETS answered."""
    one = _stated(request, pk)
    Sight(request).insist(one)
    form = CletsForm(request.POST)
    if not form.is_valid():
        return _hit(request, one, clets=form)
    try:
        made = review.answer(one, request.person, **form.cleaned_data)
    except Misfilled as refused:
        return _hit(request, one, clets=_again(request, form, refused))
    request.access.elements = {"step": 2, "result": made.result}
    return redirect("hits:hit", pk)


@page("hits.outcome", purpose=True)
@require_POST
def close(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """Say how it ended."""
    one = _stated(request, pk)
    Sight(request).insist(one)
    form = OutcomeForm(request.POST)
    if not form.is_valid():
        return _hit(request, one, outcome=form)
    try:
        made = review.close(one, request.person, **form.cleaned_data)
    except Misfilled as refused:
        return _hit(request, one, outcome=_again(request, form, refused))
    request.access.elements = {"outcome": made.kind}
    messages.success(request, f"Closed: {made.get_kind_display()}.")
    return redirect("hits:hit", pk)


@page("hits.view", purpose=True, passive=True, kind="picture")
@require_safe
def picture(request: PageRequest, pk: UUID, kind: str) -> HttpResponseBase:
    """The plate or the scene of a hit's read, stamped with who sees it."""
    shown = shared.now()
    sight = Sight(request, shown.lacking)
    one = shown.review(pk) or _found(pk)
    sight.state(one)
    request.access.ids = [pk]
    sight.insist(one)
    request.access.elements = {"picture": kind}
    request.access.ids = [pk, one.hit.read_id]
    if kind not in one.pictures:
        raise Http404("the picture has not come")
    # A row of this request's own: an open file belongs to one thread.
    row = get_object_or_404(Picture, pk=one.pictures[kind].pk)
    try:
        return pictures.response(row, request.person, clock.now())
    except pictures.Unreadable as error:
        raise Http404(str(error)) from error


@page("reads.correct", purpose=True)
def correct(request: PageRequest, pk: UUID) -> HttpResponseBase:
    """Correct the text of a read: of a hit's (`?hit=`), else of one that the person may see anyway."""
    read = get_object_or_404(Read.objects.select_related("unit"), pk=pk)
    one = _of_read(request, read)
    form = CorrectionForm(request.POST or None, initial={"corrected": _suggested(one)})
    if request.method == "POST" and form.is_valid():
        try:
            made = corrections.correct(read, request.person, **form.cleaned_data)
        except Misfilled as refused:
            _again(request, form, refused)
        else:
            request.access.elements = {
                "read": read.pk,
                "original": made.original,
                "corrected": made.corrected,
            }
            messages.success(request, "Corrected. What was read is kept beside it.")
            return redirect("hits:hit", one.hit.pk) if one else redirect(request.get_full_path())
    request.access.ids = [pk]
    context = {
        "read": read,
        "review": one,
        "form": form,
        "made": corrections.of(read),
        "plate_picture": one is not None and "plate" in one.pictures,
    }
    return render(request, "hits/correct.html", context, status=_status(request))


@page("hits.view", purpose=True)
@require_safe
def unverified(request: PageRequest) -> HttpResponseBase:
    """Hits that nobody has verified, the oldest first, and what became of those of the last 30 days."""
    sight = Sight(request)
    sight.state()
    waiting = reports.unverified()
    request.access.ids = [one.hit.pk for one in waiting]
    request.access.result_count = len(waiting)
    context = {
        "lines": [(board.line(one, sight.masked(one)), reports.waited(one)) for one in waiting],
        "figures": reports.figures(clock.now() - timedelta(days=30)),
        **sight.stated(),
    }
    return render(request, "hits/unverified.html", context)


@page("units.view")
@require_safe
def misreads(request: PageRequest) -> HttpResponseBase:
    """How often each unit misreads, of what people compared or corrected; no plate is on this page."""
    today = clock.today()
    start = {"since": str(today - timedelta(days=29)), "until": str(today)}
    form = PeriodForm(request.GET if "since" in request.GET else start)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        since, until = form.period()
        context["rates"] = corrections.rates(since, until)
        context["confusions"] = corrections.confusions(since, until)
        request.access.elements = {"since": since, "until": until}
    return render(request, "hits/misreads.html", context)


def _rows(request: PageRequest) -> dict[str, Any]:
    shown = shared.now()
    sight = Sight(request, shown.lacking)
    sight.state()
    told = shown.told(sight, kiosk=request.kiosk is not None, token=lambda: get_token(request))
    request.access.ids = told.ids
    request.access.result_count = len(told.ids)
    request.access.elements = {"masked": told.masked}
    return {
        "mark": shown.mark,
        "kiosk": request.kiosk,
        "whose": request.person.full_name,
        "rows": told.html,
        "older": shown.older(),
        "beyond": shown.beyond,
        "hours": round(board.WINDOW / timedelta(hours=1)),
        **sight.stated(),
    }


def _stated(request: PageRequest, pk: UUID) -> Review:
    """The hit, with the purpose of this request settled."""
    one = _found(pk)
    Sight(request).state(one)
    request.access.ids = [pk]
    return one


def _found(pk: UUID) -> Review:
    (one,) = review.of([get_object_or_404(Hit.objects.select_related("unit"), pk=pk)])
    return one


def _of_read(request: PageRequest, read: Read) -> Review | None:
    """The hit by which the read is reached; without one the person needs the right to see the read."""
    named = request.GET.get("hit")
    if named:
        hit = get_object_or_404(Hit.objects.select_related("unit"), pk=_uuid(named), read=read)
        (one,) = review.of([hit])
        sight = Sight(request)
        sight.state(one)
        sight.insist(one)
        return one
    access = request.access
    check(request.person, "reads.view", purpose=access.purpose, case=access.case)
    # A read beyond the own shift is not told from one that is not there, as in a search.
    get_object_or_404(Read.objects.filter(reach_of(Standing(request.person), "reads.view").q()), pk=read.pk)
    return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _suggested(one: Review | None) -> str:
    visual = one.visual if one is not None else None
    return visual.read_as if visual is not None and visual.plate == Visual.Plate.DIFFERS else ""


def _again(request: PageRequest, form: _Form, refused: Misfilled) -> _Form:
    """The form as it was sent, with the reason at its field; the record says that it was refused."""
    request.access.misfilled = refused
    form.add_error(refused.field, refused.sentence)
    return form


def _status(request: PageRequest) -> int:
    return 403 if request.access.misfilled is not None else 200


def _hit(
    request: PageRequest,
    one: Review,
    visual: VisualForm | None = None,
    clets: CletsForm | None = None,
    outcome: OutcomeForm | None = None,
) -> HttpResponse:
    """The page of a hit, with a form that was not right, or empty ones."""
    sight = Sight(request)
    sight.state(one)
    line = board.line(one, sight.masked(one))
    person = request.person
    context: dict[str, Any] = {"line": line, "review": one, "hit": one.hit, **sight.stated()}
    if not line.masked:
        scene = one.pictures.get("scene")
        listed_at = wording.listed_at(one)
        context |= {
            "state_read": wording.state_read(one.hit, one.read),
            "listed": drawn.listed(one.hit.entry_plate, one.hit.entry_state),
            "listed_at": listed_at,
            "list_ago": wording.span((clock.now() - listed_at).total_seconds()) if listed_at else "",
            "waiting": reports.waited(one),
            "no_longer_fits": board.no_longer_fits(one),
            "scene": scene,
            "scene_height": (scene.height or 720) * STAMP if scene else 0,
            "box": _box(one),
            "visual_form": visual or VisualForm(),
            "clets_form": clets or CletsForm(initial={"operator": person.full_name}),
            "outcome_form": outcome or OutcomeForm(),
            "may_verify": may(person, "hits.verify"),
            "may_correct": may(person, "reads.correct"),
        }
    return render(request, "hits/hit.html", context, status=_status(request))


def _box(one: Review) -> dict[str, float] | None:
    """Where the plate is in the scene picture, None where the picture is not of the whole frame."""
    read, scene = one.read, one.pictures.get("scene")
    if read is None or scene is None or not scene.width or not scene.height:
        return None
    width, height = read.frame_size
    if not width or not height or abs(scene.width / scene.height - width / height) > 0.02:
        return None
    x, y, w, h = read.box
    edge = h / 2
    return {
        "width": width,
        "height": height * STAMP,
        "x": x - edge,
        "y": y - edge,
        "w": w + 2 * edge,
        "h": h + 2 * edge,
        "line": height / 240,
    }


def _where(request: PageRequest, pk: UUID) -> list[UUID]:
    return [pk] if request.POST.get("next") == "hit" else []
