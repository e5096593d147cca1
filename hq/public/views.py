"""The pages from which the policy is prepared. The public's page is the static bundle: HQ serves none."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hq.people.decorators import PageRequest, page
from hq.people.policy import may
from hq.public import slots, texts
from hq.public.alarms import alarms
from hq.public.forms import TextForm
from hq.public.models import Figures, PostedCheck, Publication, Text
from hq.site.models import Settings


@page("policy.view")
def policy(request: PageRequest) -> HttpResponseBase:
    """The policy as it would be published now, with its gaps and the texts that wait."""
    me = request.person
    context = {
        "slots": [one for one in slots.filled() if one.slot.posted],
        "alarms": alarms(),
        "waiting": [
            (text, slots.BY_CODE[text.slot], may(me, "policy.approve", obj=text))
            for text in texts.waiting()
            if text.slot in slots.BY_CODE
        ],
        "may_prepare": may(me, "policy.prepare"),
        "publications": Publication.objects.all()[:5],
        "checks": PostedCheck.objects.all()[:5],
        "held": Settings.current(),
    }
    return render(request, "public/policy.html", context)


@page("policy.view")
def matrix(request: PageRequest) -> HttpResponseBase:
    """Each element of the statutes: where it is met, by what live value, what is missing (430.2.1-0)."""
    return render(request, "public/matrix.html", {"rows": slots.filled()})


@page("policy.view")
def figures(request: PageRequest) -> HttpResponseBase:
    """The figures that were published, small cells gone."""
    return render(request, "public/figures.html", {"figures": Figures.objects.all()[:8]})


@page("policy.prepare", kind="policy")
def text(request: PageRequest, slot: str) -> HttpResponseBase:
    """Write the text of a slot."""
    held = slots.BY_CODE.get(slot)
    if held is None or not held.wanted:
        raise Http404
    now = slots.text_of(slot)
    form = TextForm(request.POST or None, initial={"text": now.text if now else ""})
    if request.method == "POST" and form.is_valid():
        made = texts.prepare(request.person, slot, form.cleaned_data["text"])
        request.access.ids, request.access.note = [made.pk], f"text of {slot}"
        messages.success(request, "The text waits for approval.")
        return redirect("public:policy")
    return render(request, "public/text.html", {"form": form, "slot": held})


@require_POST
@page("policy.approve", kind="policy")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Put a text in force."""
    held = get_object_or_404(Text, pk=pk)
    texts.approve(request.person, pk)
    request.access.ids, request.access.note = [pk], f"text of {held.slot}"
    messages.success(request, "Approved. Publish the policy for it to be seen.")
    return redirect("public:policy")
