"""Logging in: banner, name and password with the acknowledgement, second factor, own password.

CJIS AC-7, AC-8, IA-2, IA-5; 430.3-0, 430.3(d), 430.5(a). Between password and second factor the person is
only pending: no page opens. How long the session then lives: `hq.people.sessions`.
"""

from __future__ import annotations

from typing import Any

import segno
from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_http_methods, require_POST
from django_otp import login as otp_login

from hq.log import chain
from hq.people import accounts, sealing, sessions, unsent
from hq.people.decorators import PageRequest, log_unavailable, page, public_page, refusal
from hq.people.models import Authenticator, Person
from hq.people.policy import Refused, check_entry
from hq.people.returning import wanted_or_home
from hq.site import clock

# A password once shown is worth ten minutes: then the second factor is too late.
_PENDING_S = 600
# What `hq.people.sessions` says of a session that it ended.
_ENDED = (sessions.ELSEWHERE, sessions.IDLE, "logged out")


class LoginForm(forms.Form):
    """Name, password, and the word that the use is lawful."""

    username = forms.CharField(max_length=64, widget=forms.TextInput(attrs={"autocomplete": "username"}))
    password = forms.CharField(
        max_length=256, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    lawful = forms.BooleanField(
        label="I use this system for official law enforcement business only and let nobody else use my "
        "session (policy 430.3). What I do is recorded under my name."
    )


class CodeForm(forms.Form):
    """The six digits of the authenticator."""

    code = forms.RegexField(
        r"^\s*\d{3}\s?\d{3}\s*$",
        label="Six digits from your authenticator",
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        ),
    )


class PasswordForm(forms.Form):
    """The password alone: to unlock."""

    password = forms.CharField(
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


class OwnPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """A new password, for who shows the one in force: an open session alone must not take an account over."""

    current = forms.CharField(
        label="Password in force",
        max_length=256,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("current",)

    def __init__(self, request: PageRequest, data: Any) -> None:
        super().__init__(request.person, data)
        self._request = request
        if request.person.password_once:  # it was shown a moment ago, at the log-in that leads here
            del self.fields["current"]

    def clean_current(self) -> str:
        """A wrong one counts as a failed attempt to log in (AC-7)."""
        person, given = self._request.person, str(self.cleaned_data["current"])
        if authenticate(self._request, username=person.username, password=given) != person:
            raise forms.ValidationError("This is not your password.")
        return given


@public_page
@require_http_methods(["GET", "POST"])
def banner(request: HttpRequest) -> HttpResponseBase:
    """What must be read first (AC-8), then name and password."""
    if "acknowledge" in request.POST:
        request.session["banner"] = clock.now().timestamp()
        return redirect(request.get_full_path())
    if "banner" not in request.session:
        return render(request, "people/banner.html", {"ended": _ended(request)})
    form = LoginForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _logged(request, _password, form)
    return render(request, "people/login.html", {"form": form, "ended": _ended(request)})


@public_page
@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponseBase:
    """The authenticator's code; a person without one first enrols it."""
    person = _pending(request)
    if person is None:
        return redirect("people:login")
    device = _device(person)
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _logged(request, _code, form, person, device)
    return render(request, "people/second_factor.html", {"form": form, **_enrolment(device)})


@public_page
@require_http_methods(["GET", "POST"])
def unlock(request: HttpRequest) -> HttpResponseBase:
    """The password again after half an hour without use (AC-11, IA-5)."""
    person = request.user
    if not isinstance(person, Person) or not request.session.get("locked"):
        return redirect(wanted_or_home(request))
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _logged(request, _unlock, form, person)
    return render(request, "people/unlock.html", {"form": form, "locked": person})


@public_page
@require_POST
def lock(request: HttpRequest) -> HttpResponseBase:
    """Lock the own session at once."""
    if isinstance(request.user, Person):
        sessions.lock(request.session, request.user)
    return redirect("people:unlock")


@public_page
@require_POST
def log_out(request: HttpRequest) -> HttpResponseBase:
    """End the own session."""
    return sessions.end(request, "logged out")


@page("self.profile", kind="password")
def own_password(request: PageRequest) -> HttpResponseBase:
    """Change the own password; needed at the first log-in."""
    form = OwnPasswordForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        accounts.set_password(request.person, form.cleaned_data["new_password1"])
        login(request, request.person, backend="django.contrib.auth.backends.ModelBackend")
        otp_login(request, Authenticator.objects.get(user=request.person, confirmed=True))
        sessions.begin(request.session, request.person)
        request.access.note = "password changed"
        return redirect("site:home")
    return render(request, "people/password.html", {"form": form})


def locked_out(request: HttpRequest, response: object = None, credentials: object = None) -> HttpResponse:
    """What axes shows after five failures; only an administrator releases the account."""
    refused = Refused("CJIS AC-7", "five failed attempts locked this account", "your ALPR administrator")
    return refusal(request, refused)


def _logged(request: HttpRequest, step: Any, *args: Any) -> HttpResponseBase:
    """A step whose record must be written, or nothing happens."""
    try:
        answer: HttpResponseBase = step(request, *args)
    except chain.LogUnavailable:
        logout(request)
        return log_unavailable(request)
    return answer


def _password(request: HttpRequest, form: LoginForm) -> HttpResponseBase:
    name = form.cleaned_data["username"].strip().lower()
    if AxesProxyHandler.is_locked(request, {"username": name}):
        _attempt(request, name, "refused", "account is locked after failed attempts")
        return locked_out(request)
    known = Person.objects.filter(username=name).first()
    if known is not None:
        accounts.expire(known)
    person = authenticate(request, username=name, password=form.cleaned_data["password"])
    if not isinstance(person, Person):
        # Axes answers the failure that locks with `locked_out`.
        _attempt(request, name, "failed", "wrong name or password, or the account is not active")
        form.add_error(None, "Name or password is wrong, or the account is not active.")
        return render(request, "people/login.html", {"form": form}, status=401)
    try:
        check_entry(person)
    except Refused as refused:
        _attempt(request, name, "refused", f"{refused.clause}: {refused.why}", person)
        return refusal(request, refused)
    _attempt(request, name, "done", "password shown, lawful use acknowledged", person)
    # Under a new key: whoever planted the old one must not stand at the second factor.
    request.session.cycle_key()
    request.session["pending"] = [person.pk, clock.now().timestamp(), person.get_session_auth_hash()]
    return redirect(f"{reverse('people:second_factor')}?{request.META.get('QUERY_STRING', '')}")


def _code(request: HttpRequest, form: CodeForm, person: Person, device: Authenticator) -> HttpResponseBase:
    # Of many sessions in which the password was shown before the lock, none may go on guessing.
    if AxesProxyHandler.is_locked(request, {"username": person.username}):
        _attempt(request, person.username, "refused", "account is locked after failed attempts", person)
        request.session.flush()
        return locked_out(request)
    code = "".join(form.cleaned_data["code"].split())
    try:
        with transaction.atomic():
            device = Authenticator.objects.select_for_update().get(pk=device.pk)
            good = device.verify_token(code)
    except sealing.SealBroken as error:
        _attempt(request, person.username, "refused", f"the authenticator's secret is {error}", person)
        return refusal(
            request,
            Refused("CJIS IA-2", "your authenticator's secret cannot be opened", "your ALPR administrator"),
        )
    if not good:
        user_login_failed.send(__name__, credentials={"username": person.username}, request=request)
        _attempt(request, person.username, "failed", "wrong code", person)
        form.add_error("code", "This code is wrong or was used before.")
        context = {"form": form, **_enrolment(device)}
        return render(request, "people/second_factor.html", context, status=401)
    enrolled = not device.confirmed
    with transaction.atomic():
        if enrolled:
            device.confirmed = True
            device.save()
        _attempt(
            request, person.username, "done", "logged in" + (", authenticator enrolled" * enrolled), person
        )
        login(request, person, backend="django.contrib.auth.backends.ModelBackend")
        otp_login(request, device)
        request.session.pop("pending", None)
        sessions.begin(request.session, person)
    if person.password_once:
        return redirect("people:password")
    return redirect(_onward(request))


def _unlock(request: HttpRequest, form: PasswordForm, person: Person) -> HttpResponseBase:
    good = authenticate(request, username=person.username, password=form.cleaned_data["password"]) == person
    _attempt(request, person.username, "done" if good else "failed", "unlock", person)
    if good:
        request.session.pop("locked", None)
        request.session["seen"] = clock.now().timestamp()
        return redirect(_onward(request))
    if AxesProxyHandler.is_locked(request, {"username": person.username}):
        logout(request)
        return locked_out(request)
    form.add_error("password", "The password is wrong.")
    return render(request, "people/unlock.html", {"form": form, "locked": person}, status=401)


def _onward(request: HttpRequest) -> str:
    """Where a session that is open again leads: first to what was sent in vain, else where it was wanted."""
    if unsent.held(request) is None:
        return wanted_or_home(request)
    return f"{reverse('people:unsent')}?{request.META.get('QUERY_STRING', '')}"


def _attempt(request: HttpRequest, name: str, outcome: str, note: str, person: Person | None = None) -> None:
    person = person or Person.objects.filter(username=name).first()
    chain.append(
        kind="login",
        person=person,
        username=name,
        action="session.login",
        request=request,
        outcome=outcome,
        note=note,
    )


def _pending(request: HttpRequest) -> Person | None:
    """Who showed a password in this session within ten minutes, if it is still theirs."""
    held = request.session.get("pending")
    if not held or clock.now().timestamp() - held[1] > _PENDING_S:
        return None
    person = Person.objects.filter(pk=held[0]).first()
    if person is None or not person.is_active:
        return None
    # An administrator who sets a stolen password back also ends what was begun with it.
    return person if constant_time_compare(person.get_session_auth_hash(), held[2]) else None


def _device(person: Person) -> Authenticator:
    """The person's authenticator, or a new one to enrol."""
    device: Authenticator | None = (
        Authenticator.objects.filter(user=person).order_by("-confirmed", "-id").first()
    )
    if device is None or not (device.confirmed or device.sealed_now):
        device = Authenticator(user=person, name="authenticator", confirmed=False)
        device.save(force_insert=True)
    return device


def _enrolment(device: Authenticator) -> dict[str, object]:
    """The QR code to scan, only until the authenticator has shown a right code."""
    if device.confirmed:
        return {"enrol": False}
    code = segno.make(device.config_url, error="m").svg_inline(
        scale=5, border=2, svgclass="qr", lineclass="qr-line"
    )
    from base64 import b32encode

    return {"enrol": True, "qr": mark_safe(code), "secret": b32encode(device.bin_key).decode()}


def _ended(request: HttpRequest) -> str:
    """Why the last session ended; a link cannot put other words on this page."""
    told = request.GET.get("ended", "")
    return told if told in _ENDED else ""
