"""What a person sees of their own account."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render

from hq.people import stated, unsent
from hq.people.decorators import PageRequest, page
from hq.people.inforce import policy_words
from hq.people.models import Completion
from hq.people.policy import RIGHTS, Standing, Unstated, check_purpose
from hq.people.returning import wanted_or_home


class PurposeForm(forms.Form):
    """Purpose, case, on whose behalf: what the access log says of every search that follows."""

    purpose = forms.ChoiceField(label="Purpose")
    case = forms.CharField(
        label="Case or incident number",
        max_length=64,
        help_text="Where the purpose is a live hit, an audit, a course, a unit, a read, a request, a package "
        "or a proposal, its id.",
    )
    on_behalf_of = forms.CharField(
        label="On whose behalf",
        max_length=128,
        required=False,
        help_text="Agency and person, if it is not your own.",
    )

    def __init__(self, standing: Standing, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["purpose"].choices = [  # type: ignore[attr-defined]
            (p.code, f"{p.title} ({p.clause})") for p in standing.purposes()
        ]


def _asks_purpose(request: PageRequest, refused: Unstated) -> HttpResponse:
    """The form as it was sent, with what is wrong at its purpose or case."""
    form = PurposeForm(Standing(request.person), request.POST)
    form.errors.pop(refused.field, None)
    form.add_error(refused.field, refused.sentence)
    return render(request, "people/purpose.html", {"form": form}, status=403)


@page("self.purpose", kind="purpose", asks=_asks_purpose)
def purpose(request: PageRequest) -> HttpResponseBase:
    """State the purpose that is in force from now on."""
    standing = Standing(request.person)
    held = {name: request.session.get(name, "") for name in ("purpose", "case", "on_behalf_of")}
    form = PurposeForm(standing, request.POST or None, initial=held)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        check_purpose(standing.roles, given["purpose"], given["case"])
        mark = stated.keep(request.session, given["purpose"], given["case"], given["on_behalf_of"])
        return redirect(stated.marked(request.session, wanted_or_home(request), mark))
    return render(request, "people/purpose.html", {"form": form})


@page("self.profile")
def unsent_form(request: PageRequest) -> HttpResponseBase:
    """A form that came after the session had locked or ended: to be sent after all, or left."""
    kept = unsent.held(request)
    if request.method == "POST":
        request.session.pop(unsent.KEY, None)
        return redirect(wanted_or_home(request))
    wanted = wanted_or_home(request) if "next" in request.GET else ""
    context = {"kept": kept, "typed": unsent.typed(kept) if kept else [], "wanted": wanted}
    return render(request, "people/unsent.html", context)


@page("self.profile")
def profile(request: PageRequest) -> HttpResponseBase:
    """The own account: what it may do, until when, and what training it rests on."""
    standing = Standing(request.person)
    rights = [(right, mark) for right in RIGHTS.values() if (mark := standing.mark(right))]
    context = {
        "appointments": request.person.appointments.all(),
        "grants": request.person.grants.all(),
        "completions": [
            (done, policy_words(done.entered_at))
            for done in Completion.objects.filter(person=request.person).select_related("course")
        ],
        "rights": rights,
        "purposes": standing.purposes(),
    }
    return render(request, "people/profile.html", context)
