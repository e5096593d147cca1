"""Makes the static bundle for the website and compares what is posted with it.

The bundle needs no server: HTML, a style sheet, the figures as JSON, SHA256SUMS and a manifest with its date.
Owns the fetch of the posted page, which is bounded in time and size and follows http and https only.
"""

from __future__ import annotations

import codecs
import hashlib
import http.client
import json
import os
import re
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from contextlib import suppress
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


_PACKED: Final = ("gzip", "x-gzip", "deflate")
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META: Final = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)


class BundleError(Exception):
    """The bundle cannot be written or compared; the text says why."""


@dataclass(frozen=True)
class Fetched:
    """A page as it came, unpacked, with the charset that its server names, "" for none."""

    data: bytes
    charset: str = ""

    def text(self) -> str:
        """Its text, read as a browser would: by its byte order mark, its server's word, its own, as UTF-8."""
        own = _META.search(self.data[:1024])
        marked = [name for mark, name in _BOMS if self.data.startswith(mark)]
        for name in filter(None, (*marked, self.charset, own[1].decode() if own else "")):
            try:
                return str(self.data, name, "replace")
            except (LookupError, ValueError):
                continue
        return str(self.data, "utf-8", "replace")


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
        PAGE: _html("public/bundle/policy.html", context),
        "figures.html": _html("public/bundle/figures.html", context),
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
    if not folder.exists():
        folder.mkdir(parents=True)
        _let_read(folder, 0o755)
    for name, data in {**made.files, "SHA256SUMS": listed, "manifest.json": _json(manifest)}.items():
        part = folder / _part(name)
        part.write_bytes(data)
        _let_read(part, 0o644)
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


def _let_read(path: Path, mode: int) -> None:
    """For everybody, above all the web server, whatever the umask of HQ's own services is."""
    # A stick with a file system of Windows knows no such modes.
    with suppress(PermissionError):
        path.chmod(mode)


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


def check_posted(url: str, fetch: Callable[[str], Fetched] | None = None) -> PostedCheck:
    """Compare a page with the last bundle and record it. Raises BundleError without one or for an odd URL."""
    last = Publication.objects.first()
    if last is None:
        raise BundleError("nothing is published yet: run publish-policy first")
    if not url:
        raise BundleError("no address is given, and the settings name no page where the policy is posted")
    if not _is_address(url):
        raise BundleError(f"{url}: not an http or https address")
    outcome, detail, found = PostedCheck.Outcome.DIFFERS, "", Fetched(b"")
    try:
        found = (fetch or fetched)(url)
    except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
        outcome = PostedCheck.Outcome.UNREACHABLE
        detail = (" ".join(str(error).split()) or type(error).__name__)[:300]
    else:
        if hashlib.sha256(found.data).hexdigest() == last.files[PAGE]:
            outcome = PostedCheck.Outcome.SAME
        elif text_sha256(found.text()) == last.text_sha256:
            outcome = PostedCheck.Outcome.SAME_TEXT
    return PostedCheck.objects.create(
        publication=last,
        url=url[:500],
        outcome=outcome,
        sha256=hashlib.sha256(found.data).hexdigest() if found.data else "",
        detail=detail,
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def fetched(url: str) -> Fetched:
    """The page at an address, 5 MiB at most. Raises OSError, HTTPException, ValueError, zlib.error."""
    request = urllib.request.Request(url, headers={"User-Agent": "platewarden-hq check-posted"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        data: bytes = answer.read(_LIMIT + 1)
        packed = (answer.headers.get("Content-Encoding") or "identity").strip().lower()
        charset = answer.headers.get_content_charset("")
    if packed in _PACKED:
        # Some servers pack every answer, asked or not. 47: gzip or zlib, whichever it is.
        data = zlib.decompressobj(47).decompress(data, _LIMIT + 1)
    elif packed != "identity":
        raise ValueError(f"the page comes packed as {packed}, which was not asked for")
    if len(data) > _LIMIT:
        raise ValueError("the page is larger than 5 MiB")
    return Fetched(data, charset)


def text_sha256(page: str) -> str:
    """SHA-256 of the visible text of the marked element, spaces made one."""
    parser = _Visible()
    parser.feed(page)
    return hashlib.sha256(" ".join("".join(parser.found).split()).encode()).hexdigest()


class _Visible(HTMLParser):
    """Collects the text within the element whose id is MARK.

    It ends with the end of its own kind: a site that shrinks its pages leaves out those of paragraphs.
    """

    _UNSEEN = frozenset(("script", "style", "template"))

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._tag = ""
        self._depth = self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in self._UNSEEN
        if not self._depth and ("id", MARK) in attrs:
            self._tag = tag
        if self._tag:
            self._depth += tag == self._tag
            self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in self._UNSEEN and self._unseen > 0
        if self._tag:
            self._depth -= tag == self._tag
            self._tag = self._tag if self._depth else ""
            self.found.append(" ")

    def handle_data(self, data: str) -> None:
        if self._tag and not self._unseen:
            self.found.append(data)


def _posted() -> list[slots.Filled]:
    return [one for one in slots.filled() if one.slot.posted]


def _html(template: str, context: dict[str, object]) -> bytes:
    # In ASCII, for a server that names a charset of its own would have every other character shown wrongly.
    return render_to_string(template, context).encode("ascii", "xmlcharrefreplace")


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
