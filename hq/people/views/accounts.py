"""Accounts: who has one, proposing, approving, suspending, closing, releasing."""

from __future__ import annotations

from axes.handlers.proxy import AxesProxyHandler
from django.contrib import messages
from django.db.models import Q
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.people import accounts, leaving
from hq.people.decorators import PageRequest, page
from hq.people.forms import (
    AccountForm,
    CloseForm,
    GrantForm,
    LastDayForm,
    OfficeForm,
    ReasonForm,
    RoleForm,
)
from hq.people.models import OFFICES, Authenticator, Person
from hq.people.policy import Refused, Standing, check, may
from hq.site import clock
from hq.site.models import Settings

STATES = Person.State


@page("accounts.view")
def listing(request: PageRequest) -> HttpResponseBase:
    """Every account, those that wait first."""
    state, words = request.GET.get("state", ""), request.GET.get("q", "").strip()
    found = Person.objects.prefetch_related("appointments")
    if state in STATES.values:
        found = found.filter(state=state)
    if words:
        found = found.filter(
            Q(full_name__icontains=words) | Q(username__icontains=words) | Q(title__icontains=words)
        )
    request.access.elements = {"state": state, "words": words}
    rows = sorted(found, key=lambda p: (p.state != STATES.PROPOSED, p.full_name))
    request.access.result_count = len(rows)
    context = {
        "rows": rows,
        "states": STATES.choices,
        "state": state,
        "q": words,
        "may_propose": may(request.person, "accounts.propose", standing=request.standing),
    }
    return render(request, "people/accounts.html", context)


@page("accounts.propose", kind="account")
def propose(request: PageRequest) -> HttpResponseBase:
    """Propose an account; it is approved by somebody else."""
    held = Settings.current()
    form = AccountForm(request.POST or None, initial={"agency": held.agency if held else ""})
    if request.method == "POST" and form.is_valid():
        person = form.save(commit=False)
        person.proposed_by = request.person
        person.set_unusable_password()
        person.save()
        request.access.ids, request.access.note = [person.pk], "proposed"
        messages.success(request, f"{person.full_name} is proposed and waits for the Commander's approval.")
        return redirect("people:account", person.pk)
    return render(request, "people/propose.html", {"form": form})


@page("accounts.view")
def detail(request: PageRequest, pk: int) -> HttpResponseBase:
    """One account with its appointments, grants, training and what may be done with it."""
    person = get_object_or_404(Person, pk=pk)
    request.access.ids = [pk]
    me, shut = request.person, person.state == STATES.CLOSED
    may_do = {
        name: may(me, action, obj=person)
        for name, action in (
            ("approve", "accounts.approve"),
            ("suspend", "accounts.suspend"),
            ("release", "accounts.release"),
            ("propose_role", "roles.propose"),
            ("propose_grant", "grants.propose"),
            ("appoint", "appointments.make"),
        )
    }
    context = {
        "account": person,
        "appointments": [(a, not a.is_office and may(me, "roles.approve", obj=a),
                          may(me, "appointments.end" if a.is_office else "roles.end", obj=a))
                         for a in person.appointments.select_related("approved_by", "proposed_by")],
        "grants": [(g, may(me, "grants.approve", obj=g), may(me, "grants.end", obj=g))
                   for g in person.grants.select_related("approved_by", "proposed_by")],
        "last_days": [(d, may(me, "roles.approve", obj=d), may(me, "roles.end", obj=d))
                      for d in person.last_days.select_related("approved_by", "proposed_by")],
        "notices": person.departures.filter(seen_to_at=None),
        "asks_day": _asks_day(person),
        "gaps": Standing(person).training_gaps,
        "may": may_do | {"new_start": may(me, _of_new_start(person), obj=person)},
        "locked": AxesProxyHandler.is_locked(request, {"username": person.username}),
        "authenticator": Authenticator.objects.filter(user=person, confirmed=True).exists(),
        "role_form": RoleForm(auto_id="role_%s") if may_do["propose_role"] and not shut else None,
        "last_day_form": LastDayForm(auto_id="last_%s") if may_do["propose_role"] and _may_move(person)
        else None,
        "grant_form": GrantForm(auto_id="grant_%s") if may_do["propose_grant"] and not shut else None,
        "office_form": OfficeForm(auto_id="office_%s") if may_do["appoint"] and not shut else None,
    }  # fmt: skip
    return render(request, "people/account.html", context)


@require_POST
@page("accounts.approve", kind="account")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a proposed account and show its first password, once."""
    person = _account(request, pk, "accounts.approve", STATES.PROPOSED, *_again(request))
    if person.state == STATES.ACTIVE:
        return _shown_again(request, person)
    request.access.note = "approved"
    return _once(request, person, accounts.approve(person, request.person))


@require_POST
@page("accounts.approve", kind="account")
def reactivate(request: PageRequest, pk: int) -> HttpResponseBase:
    """Open a suspended account again, after new training (2019-118 rec. 11)."""
    person = _account(request, pk, "accounts.approve", STATES.SUSPENDED, *_again(request))
    if person.state == STATES.ACTIVE:
        return _shown_again(request, person)
    person.retrain_from = person.state_at
    gaps = Standing(person).training_gaps
    if gaps:
        raise Refused("2019-118 rec. 11", f"training comes first: {'; '.join(gaps)}", "the Training Sergeant")
    request.access.note = "reactivated"
    return _once(request, person, accounts.reactivate(person))


@require_POST
@page("accounts.suspend", kind="account")
def suspend(request: PageRequest, pk: int) -> HttpResponseBase:
    """Suspend an account at once."""
    person = _account(request, pk, "accounts.suspend", STATES.ACTIVE)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say why: the reason is kept with the account.")
        return redirect("people:account", pk)
    accounts.suspend(person, form.cleaned_data["reason"])
    return _shut(request, person, "suspended")


@require_POST
@page("accounts.suspend", kind="account")
def close(request: PageRequest, pk: int) -> HttpResponseBase:
    """Close an account for good, with the day since when its person needs it no more (CJIS AC-2)."""
    person = _account(request, pk, "accounts.suspend", STATES.PROPOSED, STATES.ACTIVE, STATES.SUSPENDED)
    form = (CloseForm if _asks_day(person) else ReasonForm)(request.POST)
    if not form.is_valid():
        messages.error(request, "Say why and since when; both are kept, and a day to come is not taken.")
        return redirect("people:account", pk)
    if on := form.cleaned_data.get("left_on"):
        leaving.left(request.person, person, on)
    accounts.close(person, form.cleaned_data["reason"], request.person)
    return _shut(request, person, "closed")


@require_POST
@page("accounts.release", kind="account")
def release(request: PageRequest, pk: int) -> HttpResponseBase:
    """Release an account that failed attempts locked."""
    person = _account(request, pk, "accounts.release", STATES.ACTIVE)
    accounts.release(person)
    request.access.note = "released after failed attempts"
    messages.success(request, f"{person.full_name} can try again.")
    return redirect("people:account", pk)


@require_POST
@page("accounts.suspend", kind="account")
def new_start(request: PageRequest, pk: int) -> HttpResponseBase:
    """A new first password and authenticator, for one who lost either."""
    action = _of_new_start(get_object_or_404(Person, pk=pk))
    person = _account(request, pk, action, STATES.ACTIVE)
    Authenticator.objects.filter(user=person).delete()
    person.session_key = ""
    accounts.release(person)
    request.access.note = accounts.NEW_START
    return _once(request, person, accounts.once(person))


def _of_new_start(person: Person) -> str:
    """Who may give it: of an office's holder whoever approves accounts, if there is another (430.2-d).

    What is handed out opens the account, and an administrator must not come to approve the own proposals.
    """
    others = Person.objects.filter(state=STATES.ACTIVE).exclude(pk=person.pk)
    held = set(person.roles()) & OFFICES
    if held and any(may(other, "accounts.approve", obj=person) for other in others):
        return "accounts.approve"
    return "accounts.release"


def _account(request: PageRequest, pk: int, action: str, *states: str) -> Person:
    """The account, if policy lets this person act on it and its state allows the act."""
    person = get_object_or_404(Person.objects.select_for_update(), pk=pk)
    request.access.ids = [pk]
    check(request.person, action, obj=person)
    if person.state not in states:
        raise Refused("430.2.1(a)", f"the account is {person.state}", "nobody: it is not in a state for this")
    return person


def _shut(request: PageRequest, person: Person, what: str) -> HttpResponseBase:
    request.access.note = f"{what}: {person.state_reason}"
    messages.success(request, f"The account of {person.full_name} is {what}.")
    return redirect("people:account", person.pk)


def _may_move(person: Person) -> bool:
    """Whether the account has a last day that is yet to come: the only one that can be moved."""
    return person.state != STATES.CLOSED and person.ends_on is not None and person.ends_on >= clock.today()


def _asks_day(person: Person) -> bool:
    """Whether closing asks for the last day: not where a notice has said it, nor of an account never used."""
    return person.state != STATES.PROPOSED and leaving.noted(person) is None


def _again(request: PageRequest) -> list[str]:
    """The state in which the first press of a button that shows a password has left the account."""
    return [STATES.ACTIVE] if request.again else []


def _shown_again(request: PageRequest, person: Person) -> HttpResponseBase:
    """Another first password: the browser has dropped the page with the one before, as at a second press."""
    if not person.password_once or person.session_key:
        raise Refused("430.2.1(a)", "the account is in use", "nobody: it is not in a state for this")
    request.access.note = "sent again, another first password"
    return _once(request, person, accounts.once(person))


def _once(request: PageRequest, person: Person, password: str) -> HttpResponseBase:
    return render(request, "people/once.html", {"account": person, "password": password})
