"""What the frame of every page shows: who is logged in, purpose and case in force, menu, footer.

An app adds lines to the menu by `menu: ClassVar[list[tuple[str, str, str]]]` in its AppConfig: label, name of
the address, action of rights.toml; a person sees the lines that policy allows.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from hq import APPS
from hq.people import purposes
from hq.people.models import Person
from hq.people.policy import Standing, may
from hq.site.models import Settings


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    person = getattr(request, "person", None)
    shown: dict[str, Any] = {
        "demo": settings.DEMO,
        "agency": Settings.current(),
        "version": _version(),
        "source": settings.SOURCE,
        "person": person,
    }
    if isinstance(person, Person):
        standing = getattr(request, "standing", None) or Standing(person)
        stated = purposes.ALL.get(str(request.session.get("purpose", "")))
        shown |= {
            "menu": _menu(request, person, standing),
            "roles": sorted(standing.roles),
            "purpose_in_force": stated,
            "case_in_force": request.session.get("case", ""),
            "on_behalf_in_force": request.session.get("on_behalf_of", ""),
        }
    return shown


def _menu(request: HttpRequest, person: Person, standing: Standing) -> list[dict[str, object]]:
    lines = []
    for name in APPS:
        for label, address, action in getattr(apps.get_app_config(name), "menu", ()):
            try:
                path = reverse(address)
            except NoReverseMatch:
                continue
            if may(person, action, standing=standing):
                lines.append({"label": label, "path": path, "here": request.path == path})
    return lines


def _version() -> str:
    try:
        return version("platewarden")
    except PackageNotFoundError:
        return "unknown"
