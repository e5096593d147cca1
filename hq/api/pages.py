"""The pages of tokens and feeds: propose, approve, collect, revoke, stop."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Q
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from hq.api import feeds, tokens
from hq.api.forms import FeedForm, TokenForm
from hq.api.models import ApiToken, Feed
from hq.people.decorators import PageRequest, page
from hq.people.policy import Refused, check, may, said
from hq.site import clock
from hq.site.models import Settings


@page("tokens.view")
@require_safe
def token_list(request: PageRequest) -> HttpResponseBase:
    """Every token and what may be done with it."""
    return _tokens(request, TokenForm())


@require_POST
@page("tokens.propose", kind="grant")
def propose_token(request: PageRequest) -> HttpResponseBase:
    """Propose a token for somebody else."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _tokens(request, form)
    token = tokens.propose(
        form.cleaned_data["person"], form.cleaned_data["program"], form.cleaned_data["days"], request.person
    )
    _say(request, token, "proposed")
    return redirect("api:tokens")


@require_POST
@page("tokens.approve", kind="grant")
def approve_token(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a token as a second person."""
    token = get_object_or_404(ApiToken, pk=pk)
    check(request.person, "tokens.approve", obj=token)
    if token.state != "proposed":
        raise Refused("430.2-d", f"this token is {token.state}", "nobody: propose another")
    token.approved_by, token.approved_at = request.person, clock.now()
    token.save(update_fields=["approved_by", "approved_at"])
    _say(request, token, "approved")
    return redirect("api:tokens")


@require_POST
@page("tokens.revoke", kind="grant")
def revoke_token(request: PageRequest, pk: int) -> HttpResponseBase:
    """End somebody's token at once, for a reason."""
    token = get_object_or_404(ApiToken, pk=pk, revoked_at=None)
    why = said("430.2-d", "the reason of the end", request.POST.get("reason", ""))[:200]
    token.revoked_by, token.revoked_at = request.person, clock.now()
    token.save(update_fields=["revoked_by", "revoked_at"])
    _say(request, token, f"revoked: {why}")
    return redirect("api:tokens")


@page("self.profile")
@require_safe
def own_tokens(request: PageRequest) -> HttpResponseBase:
    """The person's own tokens; an approved one waits here to be collected."""
    return render(request, "api/own.html", {"rows": ApiToken.objects.filter(person=request.person)})


@require_POST
@page("self.profile", kind="grant")
def collect_token(request: PageRequest, pk: int) -> HttpResponseBase:
    """Show an approved token to its person, this once."""
    token = get_object_or_404(ApiToken.objects.select_for_update(), pk=pk, person=request.person)
    secret = tokens.collect(token, again=request.again)
    _say(request, token, "collected")
    return render(request, "api/collected.html", {"token": token, "secret": secret})


@require_POST
@page("self.profile", kind="grant")
def give_up_token(request: PageRequest, pk: int) -> HttpResponseBase:
    """End an own token."""
    token = get_object_or_404(ApiToken, pk=pk, person=request.person, revoked_at=None)
    token.revoked_by, token.revoked_at = request.person, clock.now()
    token.save(update_fields=["revoked_by", "revoked_at"])
    _say(request, token, "revoked by its person")
    return redirect("api:own")


@page("feeds.view")
@require_safe
def feed_list(request: PageRequest) -> HttpResponseBase:
    """Every feed, how it stands, and what may be done with it."""
    return _feeds(request, FeedForm(initial=_own_agency()))


@require_POST
@page("feeds.propose", kind="share")
def propose_feed(request: PageRequest) -> HttpResponseBase:
    """Propose a feed to a program of the own agency; it sends nothing yet."""
    form = FeedForm(request.POST)
    if not form.is_valid():
        return _feeds(request, form)
    feed = form.save(commit=False)
    feeds.check_recipient(feed)
    feed.proposed_by, feed.proposed_at = request.person, clock.now()
    feed.save()
    _say_feed(request, feed, "proposed")
    return redirect("api:feeds")


@require_POST
@page("feeds.approve", kind="share")
def approve_feed(request: PageRequest, pk: int) -> HttpResponseBase:
    """Approve a feed: it sends what is received from now on."""
    feed = get_object_or_404(Feed, pk=pk)
    check(request.person, "feeds.approve", obj=feed)
    feeds.approve(feed, request.person)
    _say_feed(request, feed, "approved")
    return redirect("api:feeds")


@require_POST
@page("feeds.stop", kind="share")
def stop_feed(request: PageRequest, pk: int) -> HttpResponseBase:
    """Stop a feed for good, for a reason."""
    feed = get_object_or_404(Feed, pk=pk, stopped_at=None)
    why = said("430.8-0", "the reason of the end", request.POST.get("reason", ""))[:200]
    feeds.stop(feed, request.person)
    _say_feed(request, feed, f"stopped: {why}")
    return redirect("api:feeds")


def _tokens(request: PageRequest, form: TokenForm) -> HttpResponseBase:
    rows = ApiToken.objects.select_related("person", "proposed_by", "approved_by")
    live = rows.filter(Q(revoked_at=None) & Q(expires_at__gt=clock.now()))
    me = request.person
    context = {
        "rows": [(row, row.state == "proposed" and may(me, "tokens.approve", obj=row)) for row in live],
        "ended": rows.exclude(pk__in=live.values("pk"))[:100],
        "form": form if may(me, "tokens.propose") else None,
        "may_revoke": may(me, "tokens.revoke"),
    }
    return render(request, "api/tokens.html", context)


def _feeds(request: PageRequest, form: FeedForm) -> HttpResponseBase:
    me = request.person
    rows = [
        (row, feeds.waiting(row), row.state == "proposed" and may(me, "feeds.approve", obj=row))
        for row in Feed.objects.select_related("proposed_by", "approved_by")
    ]
    context = {
        "rows": rows,
        "form": form if may(me, "feeds.propose") else None,
        "may_stop": may(me, "feeds.stop"),
    }
    return render(request, "api/feeds.html", context)


def _own_agency() -> dict[str, str]:
    held = Settings.current()
    return {"agency": held.agency} if held else {}


def _say(request: PageRequest, token: ApiToken, what: str) -> None:
    request.access.elements = {
        "token": token.pk,
        "person": token.person.username,
        "program": token.program,
        "until": token.expires_at,
    }
    request.access.ids, request.access.note = [token.pk], what
    messages.success(request, f"The token for {token.program} is {what}.")


def _say_feed(request: PageRequest, feed: Feed, what: str) -> None:
    request.access.elements = {"feed": feed.name, "what": feed.what, "purpose": feed.purpose}
    request.access.ids, request.access.note = [feed.pk], what
    messages.success(request, f"The feed to {feed.name} is {what}.")
