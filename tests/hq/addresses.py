"""Every address of HQ, read off the URL list, so that no test that walks them can forget a new page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from django.urls import URLPattern, URLResolver, get_resolver

SAMPLES = {
    "int": "999999",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "slug": "none",
    "str": "none",
    "path": "x",
}


class Address(NamedTuple):
    """A page or an address of the API: its name, its path as the URL list writes it, its view."""

    name: str
    route: str
    view: Callable[..., Any]

    def path(self, samples: Mapping[str, str] = SAMPLES) -> str:
        """With a sample in the place of each argument, by its name or else its type."""

        def filled(found: re.Match[str]) -> str:
            kind, name = found[1] or "str", found[2]
            return samples.get(name) or samples.get(kind) or SAMPLES[kind]

        return "/" + re.sub(r"<(?:(\w+):)?(\w+)>", filled, self.route)

    @property
    def action(self) -> str:
        """The action that a page asks policy for, "" for a public page or the API."""
        return str(getattr(self.view, "action", ""))

    @property
    def token_action(self) -> str:
        """The action that an address of the API asks policy for."""
        return str(getattr(self.view, "token_action", ""))


def _walk(resolver: URLResolver, prefix: str = "", space: str = "") -> Iterator[Address]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, path, entry.namespace or space)
        elif isinstance(entry, URLPattern):
            yield Address(f"{space}:{entry.name}", path, entry.callback)


ALL = list(_walk(get_resolver()))
PAGES = [one for one in ALL if one.action]
API = [one for one in ALL if one.token_action]
