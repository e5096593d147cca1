"""Makes the static bundle for the website and compares what is posted with it.

The bundle needs no server: HTML, a style sheet, the figures as JSON, SHA256SUMS and a manifest with its date.
Owns the fetch of the posted page, which is bounded in time and size and follows http and https only.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.template.loader import render_to_string

from hq.log import chain
from hq.people.models import Role, holders
from hq.people.policy import Refused
from hq.public import figures, slots
from hq.public.models import PostedCheck, Publication
from hq.site import clock
from hq.site.models import Settings

PAGE: Final = "policy.html"
MARK: Final = "platewarden-policy"
"""Id of the element whose text is compared."""
_LIMIT: Final = 5 << 20
_TIMEOUT_S: Final = 15.0


class BundleError(Exception):
    """The bundle cannot be written or compared; the text says why."""


@dataclass(frozen=True)
class Bundle:
    """Files by name, and what the policy lacks."""

    files: dict[str, bytes]
    gaps: list[str]


def make() -> Bundle:
    """Render the bundle from the live settings. Raises Refused without a current overseer (430.2.1(e))."""
    if not holders(Role.OVERSEER):
        raise Refused("430.2.1(e)", "nobody is appointed to oversee ALPR", "the Commander, who appoints")
    held = Settings.current()
    if held is None:
        raise Refused("430.1", "no agency and policy are set", "the Commander, who approves settings")
    shown = figures.publish()
    context = {"agency": held, "at": clock.now(), "slots": _posted(), "figures": shown, "mark": MARK}
    files = {
        PAGE: render_to_string("public/bundle/policy.html", context).encode(),
        "figures.html": render_to_string("public/bundle/figures.html", context).encode(),
        "figures.json": _json(
            [{"from": str(q.starts_on), "to": str(q.ends_on), "tables": q.tables} for q in shown]
        ),
        "style.css": (Path(__file__).parent / "templates/public/bundle/style.css").read_bytes(),
    }
    gaps = [f"{', '.join(one.slot.clauses)}: {gap}" for one in _posted() for gap in one.gaps]
    return Bundle(files, gaps)


def write(folder: Path) -> Publication:
    """Write the bundle into a folder that is new, empty or holds an earlier one, also one that was cut off.

    Raises BundleError, Refused, OSError.
    """
    made, at = make(), clock.now()
    if folder.exists() and not (folder.is_dir() and _is_bundle(folder, made)):
        raise BundleError(f"{folder}: holds something else than a policy bundle")
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in made.files.items()}
    manifest = {"made": chain.stamp(at), "files": sums, "gaps": made.gaps}
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {**made.files, "SHA256SUMS": listed, "manifest.json": _json(manifest)}.items():
        part = folder / _part(name)
        part.write_bytes(data)
        os.replace(part, folder / name)
    return Publication.objects.create(
        at=at,
        files=sums,
        text_sha256=text_sha256(made.files[PAGE].decode()),
        gaps=made.gaps,
        titles=slots.titles(),
    )


def _is_bundle(folder: Path, made: Bundle) -> bool:
    ours = {*made.files, "SHA256SUMS", "manifest.json"}
    ours |= {_part(name) for name in ours}
    return (folder / "manifest.json").exists() or all(path.name in ours for path in folder.iterdir())


def _part(name: str) -> str:
    """What a file is called until it is whole."""
    return f".{name}.part"


def stale() -> bool:
    """Whether the settings say something else than the last bundle."""
    last = Publication.objects.first()
    if last is None:
        return False
    context = {"agency": Settings.current(), "at": clock.now(), "slots": _posted(), "mark": MARK}
    return text_sha256(render_to_string("public/bundle/policy.html", context)) != last.text_sha256


def check_posted(url: str, fetch: Callable[[str], bytes] | None = None) -> PostedCheck:
    """Compare a page with the last bundle and record it. Raises BundleError without one or for an odd URL."""
    last = Publication.objects.first()
    if last is None:
        raise BundleError("nothing is published yet: run publish-policy first")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise BundleError(f"{url}: not an http or https address")
    outcome, detail, data = PostedCheck.Outcome.DIFFERS, "", b""
    try:
        data = (fetch or fetched)(url)
    except (OSError, urllib.error.URLError, ValueError) as error:
        outcome, detail = PostedCheck.Outcome.UNREACHABLE, str(error)[:300]
    else:
        if hashlib.sha256(data).hexdigest() == last.files[PAGE]:
            outcome = PostedCheck.Outcome.SAME
        elif text_sha256(data.decode("utf-8", "replace")) == last.text_sha256:
            outcome = PostedCheck.Outcome.SAME_TEXT
    return PostedCheck.objects.create(
        publication=last,
        url=url[:500],
        outcome=outcome,
        sha256=hashlib.sha256(data).hexdigest() if data else "",
        detail=detail,
    )


def fetched(url: str) -> bytes:
    """The page at an address, 5 MiB at most. Raises OSError, ValueError."""
    request = urllib.request.Request(url, headers={"User-Agent": "platewarden-hq check-posted"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        data: bytes = answer.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise ValueError("the page is larger than 5 MiB")
    return data


def text_sha256(page: str) -> str:
    """SHA-256 of the visible text of the marked element, spaces made one."""
    parser = _Visible()
    parser.feed(page)
    return hashlib.sha256(" ".join("".join(parser.found).split()).encode()).hexdigest()


class _Visible(HTMLParser):
    """Collects the text within the element whose id is MARK."""

    _VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "wbr"))

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._VOID:
            return
        if self._depth or ("id", MARK) in attrs:
            self._depth += 1
            self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag not in self._VOID:
            self._depth -= 1
            self.found.append(" ")

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.found.append(data)


def _posted() -> list[slots.Filled]:
    return [one for one in slots.filled() if one.slot.posted]


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
