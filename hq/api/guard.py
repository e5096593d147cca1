"""What stands before every address of the API: token, count, stated purpose, policy, access record.

The same policy as on the pages; nothing is sent whose access record was not written. Errors are problem
documents (RFC 9457) that name the clause and who can grant.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from hq.api import tokens
from hq.log import chain
from hq.people.models import Person
from hq.people.policy import Refused, Standing, check, check_purpose

logger = logging.getLogger(__name__)

HEADERS: Final = {
    "X-Purpose": "a purpose code of policy 430",
    "X-Case": "the case or incident number",
    "X-On-Behalf-Of": "person and agency for whom it is asked",
}
_LENGTHS: Final = {"X-Purpose": 64, "X-Case": 64, "X-On-Behalf-Of": 128}


class BadRequest(Exception):
    """A call that cannot be meant: the text names the parameter or header."""


@dataclass
class Call:
    """One call: who, why, and what its access record will say."""

    person: Person
    standing: Standing
    query: Mapping[str, str]
    purpose: str = ""
    case: str = ""
    on_behalf_of: str = ""
    elements: dict[str, Any] = field(default_factory=dict)
    result_count: int | None = None
    ids: Sequence[object] = ()


@dataclass(frozen=True)
class _Problem:
    status: int
    title: str
    why: str
    clause: str = ""
    who_can_grant: str = ""
    wait_s: int = 0


View = Callable[..., dict[str, Any]]


def no_such_address() -> HttpResponse:
    """The problem that says so, whoever asks: nothing was looked up."""
    return _told(_Problem(404, "Not found", "there is no such address: see /api/v1/openapi.json"))


def endpoint(action: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """Make a function of a Call an address of the API; its dictionary is the answer."""

    def wrap(view: View) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            return _answer(request, view, action, kwargs)

        guarded.token_action = action  # type: ignore[attr-defined]
        guarded.csrf_exempt = True  # type: ignore[attr-defined]
        return guarded

    return wrap


def _answer(request: HttpRequest, view: View, action: str, kwargs: dict[str, Any]) -> HttpResponse:
    if request.method != "GET":
        refused = _told(_Problem(405, "Read only", "this interface answers GET alone"))
        refused["Allow"] = "GET"
        return refused
    try:
        try:
            token = tokens.of_header(request.headers.get("Authorization", ""))
        except tokens.TokenError as error:
            _record(request, action, error.person, None, "refused", str(error))
            return _told(_Problem(401, "Not let in", str(error), "430.5(a)"))
        call = Call(token.person, Standing(token.person), request.GET.dict())
        try:
            problem = _tried(request, call, token, view, action, kwargs)
        except chain.LogUnavailable:
            raise
        except Exception as error:
            _record(request, action, call.person, call, "failed", type(error).__name__)
            logger.exception("%s failed", request.path)
            return _told(_Problem(500, "Failed", "HQ's own log says why: tell its administrator"))
        if isinstance(problem, _Problem):
            note = f"{problem.clause} {problem.why}".strip()
            outcome = "failed" if problem.status == 404 else "refused"
            _record(request, action, call.person, call, outcome, note)
            return _told(problem)
        record = _record(request, action, call.person, call, "done", token.program)
        return _sent({**problem, "access_record": record.sequence})
    except chain.LogUnavailable:
        why = "what is not recorded is not shown"
        return _told(_Problem(503, "The access log cannot be written", why, "430.2.1(d)"))


def _tried(
    request: HttpRequest, call: Call, token: Any, view: View, action: str, kwargs: dict[str, Any]
) -> dict[str, Any] | _Problem:
    wait = tokens.count(token)
    if wait:
        why = f"{tokens.MOST_AN_HOUR} calls an hour are the most"
        return _Problem(429, "Too many calls", why, wait_s=wait)
    try:
        _check_once(request)
        _state(request, call)
        check(call.person, action, purpose=call.purpose, case=call.case, standing=call.standing)
        # Also where the page needs none: a program says why it asks.
        check_purpose(call.standing.roles, call.purpose, call.case)
        return view(call, **kwargs)
    except BadRequest as error:
        return _Problem(400, "Not understood", str(error))
    except Refused as refused:
        return _Problem(403, "Refused", refused.why, refused.clause, refused.who_can_grant)
    except Http404:
        return _Problem(404, "Not found", "there is no such record within your reach")


def _check_once(request: HttpRequest) -> None:
    # Of two units that are asked for one alone would be answered.
    for name, values in request.GET.lists():
        if len(values) > 1:
            named = name if name.isidentifier() and len(name) <= 32 else "a parameter"
            raise BadRequest(f"{named}: is given {len(values)} times; give it once")


def _state(request: HttpRequest, call: Call) -> None:
    stated = {}
    for name, what in HEADERS.items():
        text = request.headers.get(name, "").strip()
        if not text:
            raise BadRequest(f"header {name} is missing: {what}")
        if len(text) > _LENGTHS[name] or not text.isprintable():
            raise BadRequest(f"header {name}: {_LENGTHS[name]} printable characters at most")
        stated[name] = text
    call.purpose, call.case, call.on_behalf_of = stated.values()


def _record(
    request: HttpRequest, action: str, person: Person | None, call: Call | None, outcome: str, note: str
) -> Any:
    done = call is not None and outcome == "done"
    return chain.append(
        kind="api",
        person=person,
        action=action,
        request=request,
        purpose=call.purpose if call else "",
        case=call.case if call else "",
        on_behalf_of=call.on_behalf_of if call else "",
        elements={"path": request.path, **(call.elements if call else {})},
        result_count=call.result_count if call and done else None,
        ids=call.ids if call and done else (),
        outcome=outcome,
        note=note,
    )


def _told(problem: _Problem) -> HttpResponse:
    body = {"title": problem.title, "status": problem.status, "detail": problem.why}
    if problem.clause:
        body["clause"] = problem.clause
    if problem.who_can_grant:
        body["who_can_grant"] = problem.who_can_grant
    answer = JsonResponse(body, status=problem.status, content_type="application/problem+json")
    answer["Cache-Control"] = "no-store"
    if problem.status == 401:
        answer["WWW-Authenticate"] = 'Bearer realm="Platewarden HQ"'
    if problem.wait_s:
        answer["Retry-After"] = str(problem.wait_s)
    return answer


def _sent(body: dict[str, Any]) -> HttpResponse:
    answer = JsonResponse(body)
    answer["Cache-Control"] = "no-store"
    return answer
