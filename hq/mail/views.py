"""The outbox for the administrator; the own choice about digests for everybody."""

from __future__ import annotations

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from hq.mail import outbox
from hq.mail.models import Mail, NoDigest, Raised
from hq.people.decorators import PageRequest, page
from hq.people.policy import Refused, may

_SHOWN = 100


@page("mail.view")
@require_safe
def outbox_page(request: PageRequest) -> HttpResponseBase:
    """What was not delivered and why, what was sent, which alarms stand."""
    held = outbox.undelivered()
    request.access.result_count = len(held)
    context = {
        "configured": outbox.configured(),
        "undelivered": held,
        "ended": Mail.objects.filter(state=Mail.State.SENT).select_related("person")[:_SHOWN],
        "standing": Raised.objects.filter(cleared_at=None),
        "may_discard": may(request.person, "mail.discard", standing=request.standing),
    }
    return render(request, "mail/outbox.html", context)


@require_POST
@page("mail.discard", kind="mail")
def discard(request: PageRequest, pk: int) -> HttpResponseBase:
    """Take an undelivered mail out of sight."""
    mail = get_object_or_404(Mail.objects.select_for_update(), pk=pk)
    request.access.ids, request.access.note = [pk], f"discarded: {mail}"
    if mail.state not in (Mail.State.WAITING, Mail.State.FAILED):
        raise Refused("430.2-d", f"this mail is {mail.state}", "nobody: it does not wait any more")
    outbox.discard(mail)
    messages.success(request, "Discarded.")
    return redirect("mail:outbox")


@page("self.profile", kind="mail")
def own(request: PageRequest) -> HttpResponseBase:
    """Whether the daily digest comes; alarms cannot be switched off."""
    if request.method == "POST":
        wanted = request.POST.get("digest") == "on"
        held = NoDigest.objects.filter(person=request.person)
        if wanted:
            held.delete()
        else:
            NoDigest.objects.get_or_create(person=request.person)
        request.access.note = "digest wanted" if wanted else "no digest wanted"
        messages.success(request, "Kept.")
        return redirect("mail:own")
    context = {"wanted": not NoDigest.objects.filter(person=request.person).exists()}
    return render(request, "mail/own.html", context)
