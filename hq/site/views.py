"""The start page, the agency's settings, the source of the running version."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.forms.models import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from hq import APPS
from hq.log.models import AccessRecord
from hq.people.decorators import PageRequest, page, public_page
from hq.people.models import OFFICES, Role, holders
from hq.people.policy import Refused, check, may
from hq.site import clock
from hq.site.forms import SettingsForm
from hq.site.models import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
_PARTS = ("hq", "mqtt", "plates")


@page("self.home")
def home(request: PageRequest) -> HttpResponseBase:
    """What waits for this person, and what they did last.

    An app says what waits by a method `waiting(person, standing)` of its AppConfig, which gives label,
    address and count for each thing.
    """
    waiting = [
        line
        for name in APPS
        if (ask := getattr(apps.get_app_config(name), "waiting", None))
        for line in ask(request.person, request.standing)
        if line[2]
    ]
    mine = AccessRecord.objects.filter(person=request.person)
    context = {
        "waiting": waiting,
        "recent": mine.exclude(action__startswith="self.")[:8],
        "before": mine.filter(action="session.login", outcome="done", note__startswith="logged in")[
            1:2
        ].first(),
        "failed": mine.filter(action="session.login", outcome="failed")[:1].first(),
        "expiring": [a for a in request.person.appointments.all() if a.live() and a.ends_on],
        "training": request.person.completions.select_related("course")[:3],
    }
    return render(request, "site/home.html", context)


@page("settings.view")
def settings(request: PageRequest) -> HttpResponseBase:
    """What is in force, what waits, what was before; who holds which office."""
    me, versions = request.person, Settings.objects.select_related("proposed_by", "approved_by")
    context = {
        "current": Settings.current(),
        "versions": [(v, v.approved_at is None and may(me, "settings.approve", obj=v)) for v in versions],
        "offices": [(role.label, holders(role)) for role in Role if role in OFFICES],
        "may_propose": may(me, "settings.propose"),
    }
    return render(request, "site/settings.html", context)


@page("settings.propose", kind="settings")
def propose(request: PageRequest) -> HttpResponseBase:
    """Propose a new version; what is in force stays until it is approved."""
    current = Settings.current()
    form = SettingsForm(request.POST or None, initial=model_to_dict(current) if current else {})
    if request.method == "POST" and form.is_valid():
        version = form.save(commit=False)
        version.proposed_by = request.person
        version.save()
        request.access.ids, request.access.note = [version.pk], version.reason
        request.access.elements = _changes(current, version)
        messages.success(request, "Proposed; it is in force once the Commander has approved it.")
        return redirect("site:settings")
    return render(request, "site/settings_form.html", {"form": form})


@require_POST
@page("settings.approve", kind="settings")
def approve(request: PageRequest, pk: int) -> HttpResponseBase:
    """Put a proposed version in force."""
    version = get_object_or_404(Settings.objects.select_for_update(), pk=pk)
    check(request.person, "settings.approve", obj=version)
    if version.approved_at is not None:
        raise Refused("430.2-d", "this version was approved before", "nobody: it does not wait for approval")
    request.access.ids, request.access.note = [pk], version.reason
    request.access.elements = _changes(Settings.current(), version)
    version.approved_by, version.approved_at = request.person, clock.now()
    version.save(update_fields=["approved_by", "approved_at"])
    messages.success(request, "In force.")
    return redirect("site:settings")


@public_page
@require_safe
def source(request: HttpRequest) -> HttpResponse:
    """The source of the running version (AGPL, section 13), as it lies on this server."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in _PARTS:
            for file in sorted((ROOT / part).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    archive.write(file, file.relative_to(ROOT))
        for name in ("LICENSE", "pyproject.toml", "README.md"):
            if (ROOT / name).exists():
                archive.write(ROOT / name, name)
    return HttpResponse(
        packed.getvalue(),
        content_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="platewarden-source.zip"'},
    )


def _changes(before: Settings | None, after: Settings) -> dict[str, Any]:
    """Each field that differs: before and after (430.2-d)."""
    names = SettingsForm.Meta.fields
    pairs = {name: (getattr(before, name, None), getattr(after, name)) for name in names if name != "reason"}
    return {name: [str(old), str(new)] for name, (old, new) in pairs.items() if old != new}
