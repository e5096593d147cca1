"""Where a page leads back to: an address of this site, or nowhere.

Owns the check of the `next` that an address carries. It does not own what is shown there.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

_READ_OTHERWISE: Final = {"\\", "\x7f", *map(chr, range(32))}
"""Browsers drop tabs and line breaks and take a backslash for a slash: such an address may lead away."""


def wanted_or_home(request: HttpRequest) -> str:
    """The `next` of the address where it surely lies on this site, else the start page's address."""
    wanted = request.GET.get("next", "")
    # Two slashes begin another host's address, whatever Python's parser makes of what follows.
    if not wanted or wanted.startswith("//") or _READ_OTHERWISE & set(wanted):
        return reverse("site:home")
    own = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if own else reverse("site:home")
