"""The start page, the agency's settings, the source of the running version."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hq.people.decorators import PageRequest, page, public_page

ROOT = Path(__file__).resolve().parent.parent.parent
_PARTS = ("hq", "mqtt", "plates")


@page("self.home")
def home(request: PageRequest) -> HttpResponseBase:
    """What waits for this person."""
    return render(request, "site/home.html")


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
