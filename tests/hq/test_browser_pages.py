"""Every page of HQ in a browser: no serious fault for axe-core, nothing cut off on a phone or on paper.

The pages come from the list of addresses, so that a new one is looked at without anybody adding it here; one
whose address holds an id needs an example in EXAMPLES. With PLATEWARDEN_PICTURES=DIR a picture of each page
is left in DIR, to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from hq.people.policy import RIGHTS
from tests.hq import addresses
from tests.hq.served import Served, browsing, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LAPTOP, PHONE, PAPER = (1366, 768), (390, 844), (718, 1000)
"""Sizes in pixels; of paper, what is left of a letter sheet between its margins."""

ROLES = {
    "administrator": "administrator",
    "commander": "commander",
    "custodian": "custodian",
    "auditor": "auditor",
    "investigator": "investigator",
    "training_sergeant": "training",
    "records_clerk": "clerk",
    "technician": "technician",
    "officer": "officer",
    "dispatcher": "dispatcher",
}
"""Role and the demo's person of it; who can see most comes first."""

EXAMPLES: dict[str, str] = {
    "people:account": "person",
    "people:retire_course": "course",
    "search:read": "read",
    "search:timeline": "read",
    "hits:correct": "misread",
    "hits:hit": "hit",
    "lists:list": "list",
    "lists:edit": "list",
    "lists:new_source": "list",
    "lists:source": "source",
    "lists:preview": "upload",
    "lists:version": "version",
    "lists:run": "run",
    "lists:propose_standing": "source",
    "log:removal": "removal",
    "retention:hold": "hold",
    "retention:proposal": "proposal",
    "evidence:package": "package",
    "releases:request": "request_reviewed",
    "releases:new_override": "partner",
    "audits:audit": "audit",
    "audits:report": "audit",
    "audits:breach": "breach",
    "units:unit": "unit",
    "units:change": "unit",
    "public:text": "slot",
}
"""Page whose address holds an id, and the id's name in `tests.hq.agency`."""

MORE: dict[str, tuple[str, ...]] = {
    "hits:hit": ("hit_done", "hit_hidden"),
    "people:account": ("officer",),
    "retention:hold": ("hold_asked",),
    "evidence:package": ("package_asked", "package_approved"),
    "releases:request": ("request", "request_approved"),
}
"""Further states of a page that are worth a look."""

ASKED = {
    "search:results": ("/search/", {"plate": "8TRW204", "lookalikes": True}),
    "search:canvass_report": ("/search/canvass/", {"deployment": "mission-shooting"}),
}
"""Pages that a form leads to: where it stands and what is filled in."""

WRONG = (
    "audits:new_breach",
    "evidence:new",
    "lists:enter_manual",
    "lists:enter_partial",
    "people:propose",
    "releases:new",
    "retention:new_hold",
    "units:new",
)
"""Forms whose messages about what is missing are looked at too."""


FILES = {
    "api:nothing",
    "api:nothing_below",
    "api:openapi",
    "audits:export",
    "evidence:download",
    "hits:picture",
    "hits:rows",
    "hits:stream",
    "log:export",
    "releases:document",
    "releases:download",
    "releases:override_document",
    "releases:register_csv",
    "retention:authority_document",
    "retention:certificate",
    "search:csv",
    "search:outline",
    "search:picture",
    "site:source",
}
"""Addresses that answer GET with something else than a page."""

PAGES = [
    (one.name, f"/{one.route}", one.view)
    for one in addresses.ALL
    if one.name not in FILES and not one.token_action
]


@pytest.fixture(scope="module")
def hq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    given = os.environ.get("PLATEWARDEN_SERVED")
    with serving(Path(given) if given else tmp_path_factory.mktemp("hq") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def contexts(browser: Browser, hq: Served) -> dict[str, BrowserContext]:
    made = {}
    for username in {*ROLES.values(), ""}:
        made[username] = browser.new_context(reduced_motion="reduce", java_script_enabled=True)
        if username:
            hq.sign_in(made[username], username)
    return made


def who_sees(view: Any) -> str:
    """The demo's person who may see a page, or nobody for one that needs no log-in."""
    if getattr(view, "public", False):
        return ""
    marks = RIGHTS[view.action].marks
    return next(person for role, person in ROLES.items() if role in marks)


def places(hq: Served, name: str, route: str) -> list[str]:
    """The page's address, with each example of its id."""
    if "<" not in route:
        return [route]
    if name not in EXAMPLES:
        return [re.sub(r"<[^>]+>", "999999", re.sub("<uuid:[^>]+>", str(UUID(int=1)), route))]
    keys = (EXAMPLES[name], *MORE.get(name, ()))
    return [re.sub(r"<[^>]+>", str(hq.ids[key]), route) for key in keys]


@pytest.mark.parametrize(("name", "route", "view"), PAGES, ids=[name for name, _, _ in PAGES])
def test_page_can_be_read_by_everybody_on_everything(
    contexts: dict[str, BrowserContext], hq: Served, name: str, route: str, view: Any
) -> None:
    context = contexts[who_sees(view)]
    for number, address in enumerate(places(hq, name, route)):
        if name not in ASKED and context.request.head(hq.url + address, max_redirects=0).status == 405:
            return  # the target of a form, no page
        assert "<" not in route or name in EXAMPLES, f"{name} needs an example of its id in EXAMPLES"
        with closing(context.new_page()) as page:
            if name in ASKED:
                ask(page, hq, *ASKED[name])
            else:
                answer = page.goto(hq.url + address, wait_until="load")
                assert answer is not None
                assert answer.status == 200, f"{address}: {answer.status}"
            look(page, f"{name.replace(':', '-')}{number or ''}")


@pytest.mark.parametrize("name", WRONG)
def test_form_that_was_filled_in_wrongly_can_be_read_too(
    contexts: dict[str, BrowserContext], hq: Served, name: str
) -> None:
    route, view = next((route, view) for known, route, view in PAGES if known == name)
    with closing(contexts[who_sees(view)].new_page()) as page:
        page.goto(hq.url + route)
        page.evaluate("document.querySelectorAll('main form').forEach((form) => { form.noValidate = true; })")
        page.locator("main form.sheet button").first.click()
        page.wait_for_load_state("load")
        assert page.locator("main .errors, main .notice.bad, main .notices .error").count(), page.content()[
            :3000
        ]
        look(page, f"{name.replace(':', '-')}-wrong")


@pytest.mark.parametrize(
    ("who", "path"),
    [("officer", "/audits/"), ("officer", "/nothing/here/"), ("auditor", "/hits/")],
    ids=["refused", "not found", "no purpose"],
)
def test_refusal_can_be_read_too(
    contexts: dict[str, BrowserContext], hq: Served, who: str, path: str, request: pytest.FixtureRequest
) -> None:
    with closing(contexts[who].new_page()) as page:
        page.goto(hq.url + path)
        look(page, "refusal-" + re.sub(r"\W", "", request.node.callspec.id))


def test_no_long_word_pushes_a_column_off_the_paper(contexts: dict[str, BrowserContext], hq: Served) -> None:
    """A report is signed and filed on paper: a finding without a space cut off all columns behind it."""
    with closing(contexts["auditor"].new_page()) as page:
        page.goto(f"{hq.url}/audits/{hq.ids['audit']}/report/")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": PAPER[0], "height": PAPER[1]})
        page.locator("tr", has_text="Two searches of one plate").locator("th").evaluate(
            "cell => { cell.textContent = 'W'.repeat(500) }"
        )
        assert not too_wide(page)


def test_every_step_of_logging_in_can_be_read(browser: Browser, hq: Served) -> None:
    """Banner, name and password, a wrong one, the authenticator, the lock."""
    with closing(browser.new_context(reduced_motion="reduce")) as context:
        page = context.new_page()
        page.goto(f"{hq.url}/")
        look(page, "gate-1-banner")
        page.get_by_role("button", name="I acknowledge").click()
        look(page, "gate-2-password")
        hq.give_password(page, "clerk2", "wrong")
        expect(page.locator("main .errors")).to_be_visible()
        look(page, "gate-3-wrong")
        hq.give_password(page, "clerk2")
        look(page, "gate-4-code")
        page.get_by_label("Six digits").fill(hq.code("clerk2"))
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Lock").click()
        look(page, "gate-5-locked")


def ask(page: Page, hq: Served, path: str, fields: dict[str, Any]) -> None:
    """Fill in a form of searching and send it."""
    page.goto(hq.url + path)
    page.locator("[name=purpose]").select_option("criminal_investigation")
    page.locator("[name=case]").fill("26-4417")
    for name, value in fields.items():
        field = page.locator(f"[name={name}]")
        field.check() if value is True else field.fill(value)
    page.locator("main form .primary").click()
    page.wait_for_load_state("load")


def look(page: Page, name: str) -> None:
    """What axe-core says of both themes and both sizes, and whether anything is wider than its screen."""
    faults: list[str] = []
    for scheme in ("dark", "light"):
        for size_name, (width, height) in (("laptop", LAPTOP), ("phone", PHONE)):
            page.emulate_media(color_scheme=scheme, media="screen")
            page.set_viewport_size({"width": width, "height": height})
            # Of the second theme only the colours are new.
            rules = [] if scheme == "dark" else ["color-contrast"]
            faults += [f"{scheme} {size_name}: {fault}" for fault in axe_faults(page, rules)]
            faults += [f"{scheme} {size_name}: {fault}" for fault in too_wide(page)]
            if (scheme, size_name) in (("dark", "laptop"), ("dark", "phone")):
                picture(page, f"{name}-{size_name}")
    page.emulate_media(color_scheme="dark", media="print")
    page.set_viewport_size({"width": PAPER[0], "height": PAPER[1]})
    faults += [f"paper: {fault}" for fault in too_wide(page)]
    picture(page, f"{name}-paper")
    page.emulate_media(color_scheme="dark", media="screen")
    page.set_viewport_size({"width": LAPTOP[0], "height": LAPTOP[1]})
    assert not faults, "\n".join(faults)


def axe_faults(page: Page, rules: list[str]) -> list[str]:
    """Serious and critical ones, of all rules or of those named."""
    found = Axe().run(page, options={"runOnly": rules} if rules else None).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def too_wide(page: Page) -> list[str]:
    """What makes the page itself scroll sideways, which on paper is cut off; a table in its own frame may."""
    return page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width + 1) return [];
          const over = [...document.querySelectorAll("body *")]
            .filter((one) => one.getBoundingClientRect().right > width + 1)
            .map((one) => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`);
          return [`${document.documentElement.scrollWidth} pixels wide: ${over.slice(-3).join("; ")}`];
        }"""
    )


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("PLATEWARDEN_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
