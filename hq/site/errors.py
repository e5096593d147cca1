"""Pages for what goes wrong before a view is reached."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form from another site or from a session that has ended."""
    return render(request, "site/csrf.html", status=403)
