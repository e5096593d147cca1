"""The read-only API for the agency's own programs: reads, one read, hits, and its own description.

The questions are those of `hq.search`, with the same bounds and the same reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from hq.api.guard import BadRequest, Call, endpoint, no_such_address
from hq.api.openapi import DOCUMENT
from hq.hits import corrections, review, wording
from hq.hits.review import Review
from hq.lists import masking
from hq.people.decorators import public_page
from hq.records.models import Hit, Read
from hq.search import canvass, finding
from hq.search.asked import SCAN, Asked, AskedError, Box, Circle, plate_text
from hq.search.finding import Reach, reach_of
from hq.site import clock

MOST: Final = 100
"""Records of one answer."""

MOST_PAGES: Final = finding.MOST // 10
LONGEST: Final = 200
"""Characters of a parameter."""

_PAGING: Final = ("limit", "page", "asof")
_BOX: Final = ("south", "west", "north", "east")
_CIRCLE: Final = ("lat", "lon", "metres")
READS: Final = ("plate", "lookalikes", "since", "until", "unit", "deployment", *_BOX, *_CIRCLE, *_PAGING)
HITS: Final = ("since", "until", "unit", *_PAGING)


@endpoint("reads.search")
def reads(call: Call) -> dict[str, Any]:
    """Reads that answer a question, newest first."""
    _check_names(call.query, READS)
    try:
        asked = Asked(
            plate=plate_text(call.query.get("plate", "")),
            lookalikes=_flag(call.query, "lookalikes"),
            since=_moment(call.query, "since"),
            until=_moment(call.query, "until"),
            unit=call.query.get("unit", ""),
            deployment=call.query.get("deployment", ""),
            area=_area(call.query),
        )
        asked.check()
        canvass.check_deployment(asked, call.person, call.case)
    except AskedError as error:
        raise BadRequest(f"{error.field}: {error}") from None
    limit, page, asof = _paging(call.query)
    found = finding.page(asked, reach_of(call.standing), (page - 1) * limit, limit, asof)
    call.elements = {**asked.elements(), "page": page}
    call.result_count, call.ids = found.count, [read.pk for read in found.reads]
    stands = wording.stands(found.reads)
    return {
        "reads": [_read(read, stands.get(read.pk, [])) for read in found.reads],
        "count": min(found.count, finding.MOST),
        "more": found.more,
        "unplaced": found.unplaced,
        **_next(found.count, limit, page, asof),
    }


@endpoint("reads.view")
def read(call: Call, pk: UUID) -> dict[str, Any]:
    """One read."""
    _check_names(call.query, ())
    call.elements = {"read": str(pk)}
    reach = reach_of(call.standing, "reads.view")
    rows = Read.objects.filter(reach.q(), pk=pk).prefetch_related("hits", "corrections")
    row = rows.first()
    if row is None:
        raise Http404
    call.result_count, call.ids = 1, [row.pk]
    return {"read": _read(row, wording.stands([row]).get(row.pk, []))}


@endpoint("hits.view")
def hits(call: Call) -> dict[str, Any]:
    """Hits of a window, newest first, as they stand; masked where the person lacks the grant."""
    _check_names(call.query, HITS)
    since, until = _moment(call.query, "since"), _moment(call.query, "until")
    if since is None or until is None or until - since > SCAN:
        raise BadRequest(f"since, until: give a window of {SCAN.days} days at most")
    if since >= until:
        raise BadRequest("until: the window ends before it begins")
    unit = call.query.get("unit", "")
    limit, page, asof = _paging(call.query)
    rows = Hit.objects.filter(received_at__gte=since, received_at__lt=until, received_at__lte=asof)
    rows = rows.filter(_hits_of(reach_of(call.standing)), **({"unit": unit} if unit else {}))
    count = rows[: finding.MOST + 1].count()
    first = (page - 1) * limit
    shown = review.of(rows.order_by("-received_at", "-id")[first : first + limit])
    # A page's hits are of few lists.
    lacking = cache(partial(masking.lacking_for_hit, masking.grants_of(call.person)))
    call.elements = {"since": since, "until": until, "unit": unit, "page": page}
    call.result_count, call.ids = count, [one.hit.pk for one in shown]
    return {
        "hits": [_hit(one, lacking) for one in shown],
        "count": min(count, finding.MOST),
        "more": count > finding.MOST,
        **_next(count, limit, page, asof),
    }


@public_page
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The description of this interface; it holds no record."""
    return JsonResponse(DOCUMENT, json_dumps_params={"indent": 1})


@public_page
def nothing(request: HttpRequest, rest: str = "") -> HttpResponse:
    """What every other address of the interface answers: a problem as all of its errors are."""
    return no_such_address()


def _read(row: Read, hits: Sequence[tuple[str, datetime | None]]) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "plate": row.text,
        "corrected_plate": corrections.right(row),
        "region": row.region,
        "region_confidence": row.region_confidence,
        "confidence": row.confidence,
        "candidates": [{"plate": text, "share": share} for text, share in row.candidates],
        "captured_at": _time(row.captured_at),
        "received_at": _time(row.received_at),
        "clock": row.clock.get("quality", "none"),
        "unit": row.unit_id,
        "deployment": row.deployment,
        "position": None if row.lat is None else {"lat": row.lat, "lon": row.lon},
        "parked": row.parked,
        "demo": row.demo,
        "unverified_hit": any(not hit.withdrawn for hit in row.hits.all()),
        "hits": [{"status": status, "checked_at": _time(at)} for status, at in hits],
    }


def _hit(one: Review, lacking: Callable[[str, str, str], str]) -> dict[str, Any]:
    row = one.hit
    masked = bool(lacking(row.alarm_class, row.source, row.list_version))
    entry = None
    if not masked:
        entry = {
            "plate": row.entry_plate,
            "state": row.entry_state,
            "state_agrees": row.state_agrees,
            "alarm_class": row.alarm_class,
            "reason": row.reason,
            "source": row.source,
            "list_version": row.list_version,
        }
    # Of a masked one no more than on the board: which plate it was is what its list holds.
    return {
        "id": str(row.pk),
        "read": None if masked else str(row.read_id),
        # A hit may be committed before its read.
        "plate": None if masked or one.read is None else one.read.text,
        "status": "UNVERIFIED",
        "verification": _verification(one),
        "withdrawn": row.withdrawn,
        "match": None if masked else row.kind,
        "score": None if masked else row.score,
        "hit_at": _time(row.hit_at),
        "received_at": _time(row.received_at),
        "list_age_s": row.list_age_s,
        "unit": row.unit_id,
        "masked": masked,
        "entry": entry,
    }


def _verification(one: Review) -> dict[str, Any]:
    seen, answer, ended = one.visual, one.answer, one.outcome
    return {
        "status": wording.status(one),
        "plate": seen.plate if seen else None,
        "compared_at": _time(seen.at if seen else None),
        "clets": answer.result if answer else None,
        "answered_at": _time(answer.answered_at if answer else None),
        "outcome": ended.kind if ended else None,
        "closed_at": _time(ended.at if ended else None),
    }


def _hits_of(reach: Reach) -> Q:
    if reach.units is None:
        return Q()
    return Q(unit__in=sorted(reach.units), received_at__gte=clock.now() - finding.RECENT)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _check_names(query: Mapping[str, str], known: tuple[str, ...]) -> None:
    for name, value in query.items():
        if name not in known:
            raise BadRequest(f"there is no such parameter; known are: {', '.join(known) or 'none'}")
        if len(value) > LONGEST or not value.isprintable():
            raise BadRequest(f"{name}: {LONGEST} printable characters at most")


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        # A plus sign that was not escaped arrives as a space.
        at = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadRequest(f"{name}: a time with its offset, such as 2026-06-03T14:30:00-07:00")


def _number(query: Mapping[str, str], name: str) -> float:
    try:
        return float(query[name])
    except ValueError:
        raise BadRequest(f"{name}: a number") from None


def _whole(query: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = query.get(name, "") or str(usual)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most and len(text) < 9):
        raise BadRequest(f"{name}: a whole number from 1 to {most}")
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise BadRequest(f"{name}: true or false")
    return text == "true"


def _area(query: Mapping[str, str]) -> Box | Circle | None:
    given = [[name for name in names if name in query] for names in (_BOX, _CIRCLE)]
    if not any(given):
        return None
    if given not in ([list(_BOX), []], [[], list(_CIRCLE)]):
        raise BadRequest("area: either south, west, north, east or lat, lon, metres, each wholly")
    if given[0]:
        return Box(*(_number(query, name) for name in _BOX))
    return Circle(*(_number(query, name) for name in _CIRCLE))


def _paging(query: Mapping[str, str]) -> tuple[int, int, datetime]:
    limit = _whole(query, "limit", MOST, MOST)
    page, now = _whole(query, "page", 1, MOST_PAGES), clock.now()
    # A later moment would let what comes meanwhile shift the pages.
    return limit, page, min(_moment(query, "asof") or now, now)


def _next(count: int, limit: int, page: int, asof: datetime) -> dict[str, Any]:
    there = page * limit < min(count, finding.MOST) and page < MOST_PAGES
    return {"next": {"page": page + 1, "asof": asof.isoformat()} if there else None}
