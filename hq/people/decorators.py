"""What stands before every page: log-in, policy, and the access record that is written before it is shown.

A page is a function made by `page` or `public_page`; a test walks the address list and refuses any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from hq.log import chain
from hq.log.models import AccessRecord
from hq.people import resent, stated
from hq.people.models import Kiosk, Person
from hq.people.policy import RIGHTS, Gone, Misfilled, Refused, Standing, Unstated, check

P = ParamSpec("P")
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass
class Access:
    """What this request's access record will say; the page fills in what it looked for and showed."""

    kind: str
    purpose: str = ""
    case: str = ""
    on_behalf_of: str = ""
    mark: str = ""
    """Of the statement (`hq.people.stated`), for the links of the page; "" where nothing is stated."""
    elements: dict[str, Any] = field(default_factory=dict)
    result_count: int | None = None
    ids: Sequence[object] = ()
    note: str = ""
    misfilled: Misfilled | None = None
    """The rule against what the sent form says; the page is that form again, and the record says refused."""
    record: AccessRecord | None = None
    """The row once it is written; a TemplateResponse is rendered after that and can name it."""


class PageRequest(HttpRequest):
    """A request that passed `page`."""

    person: Person
    access: Access
    standing: Standing
    again: bool
    """Set where a form enters something: whether it was sent before and answered by a page of its own."""
    kiosk: Kiosk | None
    """Set where the session is locked and only this kiosk's screen asks."""


View = Callable[Concatenate[PageRequest, P], HttpResponseBase]


def page(
    action: str,
    *,
    purpose: bool = False,
    kind: str = "view",
    passive: bool = False,
    kiosk: bool = False,
    changes: bool = True,
    asks: Callable[[PageRequest, Unstated], HttpResponse] | None = None,
) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Make a view a page of the records system.

    action: of rights.toml. purpose: a purpose must be in force (from a sent form's fields `purpose`, `case`,
    `on_behalf_of`, else what `hq.people.stated` holds for this page); a person without one is asked for it.
    kind: of the access record.
    passive: the page reloads itself, so that it does not count as the person's activity (AC-11).
    kiosk: a locked session is shown it at a kiosk, to read only; `request.kiosk` is then that kiosk, and what
    the person stated before does not count (AC-11).
    changes: False for a POST that must not hold the database's write lock: it only looks something up, or it
    works for long and then changes something in a transaction of its own, in which it calls `record_now`.
    asks: makes the sent form again where its purpose or case does not do, in place of the refusal's page.

    The view finds `request.person` and fills `request.access`. Its record is written when the view is done
    and before anything is sent; for a POST in the view's own transaction. Where it cannot be written nothing
    is shown. Raising Refused in the view undoes its transaction, and the refusal is logged. A view that shows
    its form again for what a rule has against it writes nothing and says so in `request.access.misfilled`.
    A form that is sent twice is entered once (`hq.people.resent`).
    """
    RIGHTS[action]

    def wrap(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def guarded(request: Any, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            return _answer(request, view, action, purpose, kind, changes, asks, args, kwargs)

        guarded.action = action  # type: ignore[attr-defined]
        guarded.passive = passive  # type: ignore[attr-defined]
        guarded.kiosk = kiosk  # type: ignore[attr-defined]
        return guarded

    return wrap


def record_now(request: PageRequest, action: str) -> None:
    """Write the record of a page with `changes=False`, in the transaction in which it changes something."""
    _record_shown(request, action)


def public_page(view: Callable[P, HttpResponseBase]) -> Callable[P, HttpResponseBase]:
    """Mark a view that needs no log-in and shows no record: log-in itself, the public policy page."""
    view.public = True  # type: ignore[attr-defined]
    return view


def refusal(request: HttpRequest, refused: Refused) -> HttpResponse:
    """The page that says which clause refused and who can grant, or by which it was destroyed."""
    if isinstance(refused, Gone):
        return render(request, "site/gone.html", {"gone": refused}, status=410)
    return render(request, "site/refused.html", {"refused": refused}, status=403)


def log_unavailable(request: HttpRequest) -> HttpResponse:
    """The page shown instead of records that could not be logged."""
    return render(request, "site/log_unavailable.html", status=503)


def _answer(
    request: Any,
    view: Callable[..., HttpResponseBase],
    action: str,
    purpose: bool,
    kind: str,
    changes: bool,
    asks: Callable[[PageRequest, Unstated], HttpResponse] | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> HttpResponseBase:
    person = request.user
    if not isinstance(person, Person) or not _verified(request):
        return HttpResponseRedirect(
            f"{reverse('people:login')}?{urlencode({'next': request.get_full_path()})}"
        )
    if person.password_once and request.path != reverse("people:password"):
        return HttpResponseRedirect(reverse("people:password"))
    request.person, request.kiosk = person, getattr(request, "kiosk", None)
    request.access = _stated(request, action, kind)
    request.standing = Standing(person)
    try:
        try:
            return _run(request, view, action, purpose, changes, args, kwargs)
        except Refused as refused:
            if refused.clause == "430.3(a)" and purpose and request.method in SAFE:
                return HttpResponseRedirect(
                    f"{reverse('people:purpose')}?{urlencode({'next': stated.without_mark(request)})}"
                )
            _record(request, action, "refused", f"{refused.clause}: {refused.why}")
            if asks is not None and isinstance(refused, Unstated):
                return asks(request, refused)
            return refusal(request, refused)
        except chain.LogUnavailable:
            raise
        except Exception as error:
            _record(
                request, action, "failed", "not found" if isinstance(error, Http404) else type(error).__name__
            )
            raise
    except chain.LogUnavailable:
        return log_unavailable(request)


def _run(
    request: Any,
    view: Callable[..., HttpResponseBase],
    action: str,
    purpose: bool,
    changes: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> HttpResponseBase:
    if request.method in SAFE or not changes:
        _check(request, action, purpose)
        response = view(request, *args, **kwargs)
        if request.access.record is None:
            _record_shown(request, action)
        return response
    begun = replace(request.access, elements=dict(request.access.elements))
    try:
        return _entered(request, view, action, purpose, args, kwargs)
    except IntegrityError:
        # Somebody entered the same at the same moment: asked again, the page finds that and says so.
        request.access = begun
        return _entered(request, view, action, purpose, args, kwargs)


def _entered(
    request: Any,
    view: Callable[..., HttpResponseBase],
    action: str,
    purpose: bool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> HttpResponseBase:
    """What the view of a form answers, entered with its record, or neither.

    Rights are looked at in the transaction: it may have waited for one that took them away.
    """
    form = resent.of(request)
    with transaction.atomic():
        key = request.session.session_key or ""
        same = {"pk": request.person.pk, "state": request.person.state, "session_key": key}
        if not Person.objects.filter(**same).exists():
            raise Refused("430.2-d", "your account or session was ended meanwhile", "the administrator")
        _check(request, action, purpose)
        before = resent.led_to(request, form) if form else None
        request.again = before is not None
        if before:
            _record(request, action, "done", "sent again, entered once")
            return HttpResponseRedirect(before)
        response = view(request, *args, **kwargs)
        _record_shown(request, action)
        if form:
            resent.remember(request, form, response)
    return response


def _check(request: Any, action: str, purpose: bool) -> None:
    given = request.access.purpose if purpose else None
    check(request.person, action, purpose=given, case=request.access.case, standing=request.standing)


def _verified(request: Any) -> bool:
    """Whether the second factor was shown in this session (IA-2)."""
    return bool(request.user.is_verified())


def _stated(request: HttpRequest, action: str, kind: str) -> Access:
    if getattr(request, "kiosk", None) is not None:
        return Access(kind)
    form = request.POST
    if "purpose" not in form:
        return Access(kind, **stated.of(request, searches=action.startswith("reads."))._asdict())
    return Access(
        kind=kind,
        purpose=form.get("purpose", ""),
        case=form.get("case", "").strip()[:64],
        on_behalf_of=form.get("on_behalf_of", "").strip()[:128],
    )


def _record_shown(request: Any, action: str) -> None:
    """Record a page that is shown, be it a form again that a rule did not let pass."""
    why: Misfilled | None = request.access.misfilled
    if why is None:
        _record(request, action, "done", shown=True)
    else:
        _record(request, action, "refused", f"{why.clause}: {why.why}", shown=True)


def _record(request: Any, action: str, outcome: str, note: str = "", *, shown: bool = False) -> None:
    access: Access = request.access
    at = {"kiosk": request.kiosk.pk} if request.kiosk is not None else {}
    access.record = chain.append(
        kind=access.kind,
        person=request.person,
        action=action,
        request=request,
        purpose=access.purpose,
        case=access.case,
        on_behalf_of=access.on_behalf_of,
        elements={"path": request.path, "method": request.method, **at, **access.elements},
        result_count=access.result_count if shown else None,
        ids=access.ids if shown else (),
        outcome=outcome,
        note=note or access.note,
    )
