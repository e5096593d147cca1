"""Hostile text in every record: no page breaks, runs it, shows it as markup, or outgrows its screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from hq.people.policy import RIGHTS
from tests.hq import addresses, hostile
from tests.hq.served import Served, browsing, serving
from tests.hq.test_browser_pages import (
    ASKED,
    EXAMPLES,
    FILES,
    LAPTOP,
    MORE,
    PHONE,
    ROLES,
    ask,
    too_wide,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class _Markup(HTMLParser):
    """What a browser would make of the hostile text if it stood in a page as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == hostile.MARK:
            self.found.append(f"element {tag}")
        for name, value in attrs:
            if name == f"on{hostile.MARK}":
                self.found.append(f"attribute of {tag}")
            if name in ("href", "src", "action") and (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"script as address of {tag}")


@pytest.fixture(scope="module")
def hq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("hq") / "data") as served:
        assert served.agency("hostile")["columns"] > 150
        yield served


def paths(hq: Served, page: addresses.Address) -> list[str]:
    """A page's addresses, with an id that exists where there is an example."""
    if "<" not in page.route:
        return [page.path()]
    if page.name not in EXAMPLES:
        return []
    keys = (EXAMPLES[page.name], *MORE.get(page.name, ()))
    return ["/" + re.sub(r"<[^>]+>", str(hq.ids[key]), page.route) for key in keys]


def faults(path: str, status: int, text: str) -> list[str]:
    """What is wrong with an answer."""
    markup = _Markup()
    markup.feed(text)
    found = [f"{path}: {one}" for one in markup.found]
    if status >= 500:
        found.append(f"{path}: {status}")
    if turned := sorted({f"U+{ord(char):04X}" for char in text if char in "\u202e\u2067\x00\x1b"}):
        found.append(f"{path}: {', '.join(turned)} stand in the page")
    return found


@pytest.mark.clause("430.7-b")
def test_no_page_breaks_on_hostile_text_for_anybody_who_may_see_it(hq: Served) -> None:
    """Every page as every role that may see it; as the first of them in a browser too, on both screens."""
    wrong: list[str] = []
    opened, shown = 0, set()
    with browsing() as browser:
        contexts: dict[str, BrowserContext] = {}
        screens: dict[str, Page] = {}
        for who in ROLES.values():
            contexts[who] = browser.new_context(reduced_motion="reduce")
            hq.sign_in(contexts[who], who)
            screens[who] = contexts[who].new_page()
        for page in addresses.PAGES:
            if page.name in FILES:
                continue
            may = [name for role, name in ROLES.items() if role in RIGHTS[page.action].marks]
            for path in paths(hq, page):
                seen = False
                for who in may:
                    answer = contexts[who].request.get(hq.url + path, max_redirects=0)
                    if answer.status == 405:
                        break  # the target of a form, no page
                    text = answer.text()
                    wrong += [f"{who} {one}" for one in faults(path, answer.status, text)]
                    opened += answer.status == 200
                    if f"&lt;{hostile.MARK}" in text:
                        shown.add(page.name)
                    if answer.status == 200 and not seen:
                        seen = True
                        screens[who].goto(hq.url + path)
                        wrong += widths(screens[who], path)
        for name, (path, fields) in ASKED.items():
            with closing(contexts["administrator"].new_page()) as screen:
                ask(screen, hq, path, fields)
                wrong += [*faults(name, 200, screen.content()), *widths(screen, name)]
    log = Path(hq.env["PLATEWARDEN_HQ_DATA"], "server.log").read_text()
    assert not wrong, "\n".join([*wrong, log[-6000:]])
    assert opened > 250
    assert len(shown) > 45, shown


def widths(page: Page, path: str) -> list[str]:
    """Where the page is wider than a phone or a laptop."""
    found = []
    for width, height in (PHONE, LAPTOP):
        page.set_viewport_size({"width": width, "height": height})
        found += [f"{path} at {width}: {one}" for one in too_wide(page)]
    return found
