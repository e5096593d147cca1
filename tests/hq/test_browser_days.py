"""A working day of each role, from log-in to log-out, in a browser on a served HQ with the demo agency.

Each day does that role's own work through its pages and stands alone: what it approves or signs was prepared
by `tests.hq.agency`. What became of it is asked for on the pages, as the person would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect

from tests.hq.served import Served, browsing, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CASE = "26-4417"


@pytest.fixture(scope="module")
def hq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("hq") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


class Day:
    """What a person does on the pages."""

    def __init__(self, page: Page, hq: Served) -> None:
        self.page, self.hq = page, hq
        self.main = page.locator("main")

    def menu(self, heading: str, label: str) -> None:
        """Go to a page by the menu, opening its heading if it is folded."""
        nav = self.page.get_by_role("navigation", name="Pages", exact=True)
        if heading and nav.locator("details", has_text=heading).get_attribute("open") is None:
            nav.locator("summary", has_text=heading).click()
        nav.get_by_role("link", name=label, exact=True).click()

    def go(self, path: str) -> None:
        self.page.goto(self.hq.url + path)

    def press(self, name: str, within: Locator | None = None) -> None:
        (within or self.main).get_by_role("button", name=name, exact=True).first.click()

    def open(self, summary: str) -> Locator:
        """Unfold a part of the page."""
        part = self.main.locator("details").filter(has=self.page.get_by_text(summary, exact=True))
        part.locator("summary").first.click()
        return part

    def fill(self, form: Locator | None = None, **fields: Any) -> None:
        """Fill in fields by their names; a list chooses from a select, True ticks."""
        for name, value in fields.items():
            field = (form or self.main).locator(f"[name='{name}']").first
            if value is True:
                field.check()
            elif isinstance(value, list):
                given = value[0]
                field.select_option(**given) if isinstance(given, dict) else field.select_option(given)
            elif isinstance(value, Path):
                field.set_input_files(value)
            else:
                field.fill(str(value))

    def choose(self, **choices: str) -> None:
        """Choose of radio buttons."""
        for name, value in choices.items():
            self.main.locator(f"input[name='{name}'][value='{value}']").check()

    def says(self, text: str | re.Pattern[str]) -> None:
        expect(self.main).to_contain_text(text)

    def state(self, purpose: str) -> None:
        """State a purpose and case for what follows."""
        self.page.get_by_role("link", name=re.compile("State a purpose|Change")).first.click()
        self.fill(purpose=[purpose], case=CASE)
        self.press("Use this purpose")
        expect(self.page.locator(".stated")).to_contain_text(CASE)

    def download(self, name: str) -> Download:
        with self.page.expect_download() as coming:
            self.main.get_by_role("link", name=name).click()
        return coming.value


@contextmanager
def day(browser: Browser, hq: Served, username: str) -> Iterator[Day]:
    """From log-in with password and authenticator to log-out; nothing opens afterwards."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, color_scheme="dark")
    context.set_default_timeout(10_000)
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda line: refused.append(line.text) if "Security Policy" in line.text else None)
    page.on("pageerror", lambda error: refused.append(str(error)))
    try:
        hq.log_in(page, username)
        today = Day(page, hq)
        expect(page.locator(".who strong")).to_be_visible()
        yield today
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_text("logged out")).to_be_visible()
        page.goto(f"{hq.url}/log/own/")
        assert "/people/login/" in page.url
        assert refused == [], "the page's own rules or scripts failed"
    finally:
        context.close()


@pytest.mark.clause("430.3(f)")
@pytest.mark.clause("430.3(b)")
@pytest.mark.clause("430.5(a)")
def test_officer_sees_a_hit_verifies_it_in_two_steps_and_searches(browser: Browser, hq: Served) -> None:
    with day(browser, hq, "officer") as officer:
        page = officer.page
        officer.menu("", "Hit board")
        expect(page.locator("#live")).to_contain_text("LIVE")
        expect(page.locator("#live")).not_to_contain_text("NOT LIVE")
        page.keyboard.press("s")
        expect(page.get_by_role("button", name="Sound is ON")).to_have_attribute("aria-pressed", "true")
        hq.agency("hit")
        fresh = page.locator(".hit.first", has_text="3SSE777")
        expect(fresh).to_be_visible(timeout=2000)
        expect(fresh).to_contain_text("UNVERIFIED")
        expect(fresh).to_contain_text("stolen vehicle")
        page.keyboard.press("a")
        expect(page.locator(".hit", has_text="3SSE777")).to_contain_text("Acknowledged by Cal Brennan")
        page.locator(".hit", has_text="3SSE777").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Hit UNVERIFIED")).to_be_visible()

        expect(page.locator("#step-2")).to_contain_text("Opens when step 1 is entered")
        officer.choose(kind="acted_on")
        officer.press("Close this hit")
        officer.says("430.3(f)")  # refused: nothing was verified
        officer.go("/hits/")
        page.locator(".hit", has_text="3SSE777").get_by_role("link", name="Verify").click()
        officer.choose(plate="agrees", state="agrees", vehicle="not_listed")
        officer.press("Enter step 1")
        officer.choose(result="confirmed")
        officer.press("Enter step 2")
        expect(page.get_by_role("heading", name="Hit CONFIRMED")).to_be_visible()
        officer.choose(kind="acted_on")
        officer.fill(page.locator("#outcome"), note="Stopped on Fremont Avenue, one arrest")
        officer.press("Close this hit")
        officer.says("Acted on: Stopped on Fremont Avenue")

        officer.menu("Hits and searches", "Search")
        officer.says("units of your own shift")
        officer.fill(purpose=["stolen_vehicle"], case="26-4410", plate="8TRW204")
        officer.press("Search")
        officer.says("was recorded as number")
        expect(page.locator("tbody .plate").first).to_have_text("8TRW204")
        expect(page.locator("tbody")).not_to_contain_text("Fair Oaks")  # another shift's unit
        officer.menu("Your own", "Your access log")
        officer.says("reads.search")


@pytest.mark.clause("430.2.1(d)")
@pytest.mark.clause("430.7-b")
def test_way_back_leads_to_what_was_found_and_is_recorded(browser: Browser, hq: Served) -> None:
    """From a read to the results, from them to the form; no plate in an address, nothing from a cache."""
    with day(browser, hq, "detective2") as detective:
        page, visited = detective.page, list[str]()
        page.on("framenavigated", lambda frame: visited.append(frame.url))
        detective.menu("Hits and searches", "Search")
        detective.fill(purpose=["criminal_investigation"], case=CASE, plate="8TRW2*")
        detective.press("Search")

        def number() -> int:
            detective.says("was recorded as number")
            return int(detective.main.locator("#said strong").first.inner_text().split()[-1])

        recorded = [number()]
        for _ in range(2):
            page.get_by_role("link", name="Read", exact=True).first.click()
            expect(page.get_by_role("heading", name="Read 8TRW204")).to_be_visible()
            page.go_back()
            expect(page.locator("tbody .plate").first).to_have_text("8TRW204")
            recorded.append(number())
        page.reload()
        recorded.append(number())
        assert recorded == sorted(set(recorded)), "each time anew"
        detective.press("Change this search")
        detective.fill(plate="8TRW20?")
        detective.press("Search")
        number()
        page.go_back()
        expect(page.locator("[name=plate]")).to_have_value("8TRW2*")
        expect(page.locator("[name=case]")).to_have_value(CASE)
        page.go_forward()
        number()
        assert not [url for url in visited if "8TRW" in url.upper() or CASE in url]

        detective.menu("Hits and searches", "Canvass")
        detective.fill(purpose=["criminal_investigation"], case=CASE, deployment="mission-shooting")
        detective.press("Make the report")
        expect(page.get_by_role("heading", name="Canvass report")).to_be_visible()
        page.locator("tbody a").first.click()
        expect(page.get_by_role("heading", name="What was read")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Canvass report")).to_be_visible()


def test_board_is_worked_by_keys_alone_and_says_all_in_words(browser: Browser, hq: Served) -> None:
    """Every key of docs/hq-hits.md; the order of focus; what colour says stands there as a word too."""
    with day(browser, hq, "dispatcher") as dispatcher:
        page = dispatcher.page
        dispatcher.menu("", "Hit board")
        rows = page.locator(".hit")
        expect(page.locator("#live")).to_contain_text("LIVE")
        expect(page.locator("#board")).to_be_focused()  # its keys work at once

        def focused() -> int:
            return int(
                page.evaluate("[...document.querySelectorAll('.hit')].indexOf(document.activeElement)")
            )

        page.keyboard.press("ArrowDown")
        assert focused() == 0
        page.keyboard.press("j")
        assert focused() == 1
        page.keyboard.press("ArrowUp")
        page.keyboard.press("k")
        assert focused() == 0
        outline = rows.first.evaluate("one => getComputedStyle(one).outlineStyle")
        assert outline == "solid"
        tabbed = []
        for _ in range(3):
            page.keyboard.press("Tab")
            tabbed.append(page.evaluate("document.activeElement.textContent.trim()"))
        plate = rows.first.locator(".plate, .claim a").first.text_content()
        assert tabbed == [plate, "Acknowledge", rows.first.locator(".do a").text_content()]

        sound = page.locator("#sound")
        for pressed in ("true", "false"):
            page.keyboard.press("s")
            expect(sound).to_have_attribute("aria-pressed", pressed)
            expect(sound).to_contain_text("ON" if pressed == "true" else "OFF")
        page.keyboard.press("f")
        page.wait_for_function("document.fullscreenElement?.id === 'board'")
        page.keyboard.press("f")
        page.wait_for_function("!document.fullscreenElement")

        waiting = page.locator(".hit[data-alarm]").count()
        assert waiting >= 2
        page.locator(".hit.first").focus()
        page.keyboard.down("a")
        expect(page.locator(".hit[data-alarm]")).to_have_count(waiting - 1)
        expect(page.locator(".hit.first")).to_be_focused()  # on to the next alarm
        for _ in range(20):  # held down, as by a sleeve: the next one has not been seen yet
            page.keyboard.down("a")
            page.wait_for_timeout(30)
        page.keyboard.up("a")
        expect(page.locator(".hit[data-alarm]")).to_have_count(waiting - 1)
        for row in rows.all():
            assert row.locator(".status").text_content() in (
                "UNVERIFIED",
                "CONFIRMED",
                "WITHDRAWN",
                "NOT FOUND",
            )
            alarm = row.get_attribute("data-alarm") is not None
            assert ("NEW" in (row.locator(".word").text_content() or "")) == alarm
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/hits/[0-9a-f-]{36}/"))


@pytest.mark.clause("430.5(b)")
@pytest.mark.clause("430.3(c)-1")
@pytest.mark.clause("430.3(c)-2")
@pytest.mark.clause("430.4-e")
def test_investigator_searches_canvasses_and_asks_for_a_package(browser: Browser, hq: Served) -> None:
    with day(browser, hq, "investigator") as detective:
        page = detective.page
        detective.menu("Hits and searches", "Search")
        detective.fill(purpose=["criminal_investigation"], case="", plate="8TRW204")
        page.locator("form#ask").evaluate("form => { form.noValidate = true; }")
        detective.press("Search")
        detective.says("430.5(b)")  # no case number, no search
        detective.menu("Hits and searches", "Search")
        detective.fill(purpose=["criminal_investigation"], case=CASE, plate="8TRW204", lookalikes=True)
        detective.press("Search")
        detective.says("BTRW204")
        page.get_by_role("link", name="timeline").first.click()
        detective.says("A read is what a camera saw, not proof of who drove.")
        expect(page.locator("#map")).to_be_visible()

        detective.menu("Hits and searches", "Canvass")
        detective.fill(deployment="mission-shooting", case=CASE)
        detective.fill(purpose=["criminal_investigation"])
        detective.press("Make the report")
        detective.says(re.compile(r"Canvass report: \d+ plates"))
        detective.says("8TRW204")

        detective.menu("Hits and searches", "Partial plates")
        page.get_by_role("link", name="Enter a partial plate").click()
        detective.fill(pattern="4HT?0*", reason="Shooting, one witness", case=CASE, colour="red")
        detective.press("Estimate")
        detective.says("Estimate")
        if detective.main.get_by_text("too wide").count():
            detective.fill(pattern="4HT00?")
            detective.press("Estimate")
        detective.press("Put it on the list")
        detective.says("Leads, not confirmations")

        detective.menu("Records", "Evidence")
        page.get_by_role("link", name="Ask for a package").click()
        detective.fill(case=CASE, reason="The vehicle at the scene of the shooting", plate="8TRW204")
        detective.press("Ask for it")
        detective.says("requested")
        assert detective.main.get_by_role("button", name="Approve").count() == 0  # another person's


@pytest.mark.clause("430.2-d")
@pytest.mark.clause("430.2-e")
@pytest.mark.clause("430.8(b)")
def test_commander_approves_what_waits_and_appoints(browser: Browser, hq: Served) -> None:
    ids = hq.ids
    with day(browser, hq, "commander") as commander:
        page = commander.page
        expect(page.get_by_role("heading", name="Waiting for you")).to_be_visible()
        for waits in ("accounts to approve", "units to approve"):
            expect(page.locator(".cards").first).to_contain_text(waits)
        page.get_by_role("link", name="accounts to approve").click()
        page.get_by_role("link", name="Lena Quist").click()
        commander.press("Approve this account")
        commander.says("First password of Lena Quist")
        commander.go(f"/people/{ids['person']}/")
        commander.press("Approve")
        commander.says("in force")
        commander.go(f"/people/{ids['officer']}/")
        part = commander.open("Appoint to an office")
        commander.fill(part, role=["training_sergeant"], document="Order 26-101")
        part.get_by_role("button").first.click()
        commander.says("Training Sergeant")

        commander.menu("Units and lists", "Units")
        page.get_by_role("link", name="Monterey Road").first.click()
        commander.fill(reason="Order 26-100")
        commander.press("Approve and enrol")
        commander.says("enrolled")
        commander.go(f"/lists/versions/{ids['version']}/")
        commander.press("Approve: put it on the units")
        commander.says("approved")
        commander.go(f"/evidence/{ids['package_asked']}/")
        commander.press("Approve")
        commander.says("approved")
        commander.go(f"/releases/{ids['request_reviewed']}/")
        commander.fill(reason="Case shown")
        commander.press("Approve this scope")
        commander.says("approved")
        commander.menu("Records", "Partner agencies")
        commander.press("Approve County District Attorney (demo)")
        commander.menu("Set-up", "Settings")
        commander.press("Approve")
        commander.says("In force.")
        commander.menu("Oversight", "Log chain")
        commander.press("Verify since the newest signed head")
        commander.says("whole")
        commander.go(f"/people/{hq.ids['officer']}/")
        commander.menu("Records", "Destruction")
        assert commander.main.get_by_role("button", name="Co-sign").count() == 0


@pytest.mark.clause("430.2.1(f)")
@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.4-e")
@pytest.mark.clause("430.8(c)")
def test_custodian_signs_releases_and_books(browser: Browser, hq: Served) -> None:
    ids = hq.ids
    with day(browser, hq, "custodian") as custodian:
        page = custodian.page
        custodian.go(f"/retention/destruction/{ids['proposal']}/")
        custodian.press("Co-sign as custodian of records")
        custodian.says("co-signed")
        custodian.menu("Records", "Retention")
        custodian.press("Co-sign as custodian")
        custodian.says("400")
        custodian.menu("Records", "Holds")
        page.get_by_role("link", name=f"Hold {ids['hold_asked']}").click()
        custodian.says("You are the second person")
        custodian.main.locator("form[action$='/release/'] button").click()
        custodian.says("released")

        custodian.go(f"/evidence/{ids['package_approved']}/")
        custodian.press("Make the package")
        custodian.says("packaged, not booked")
        assert custodian.download("Download the ZIP").path().stat().st_size > 1000
        custodian.fill(
            medium="USB stick", medium_serial="A-1", evidence_number="EV-26-1", booked_where="Locker 2",
            booked_name="R. Okafor", booked_on=local_minute(page),
        )  # fmt: skip
        custodian.press("It is booked")
        custodian.says("EV-26-1")

        custodian.menu("Records", "Releases")
        custodian.go(f"/releases/{ids['request_approved']}/")
        custodian.press("Make the package of what was approved")
        custodian.says("fulfilled")
        assert custodian.download("Download the package").path().stat().st_size > 1000


@pytest.mark.clause("430.5(c)")
@pytest.mark.clause("CC-53")
@pytest.mark.clause("CJIS AU-6")
@pytest.mark.clause("CJIS AU-9")
def test_auditor_judges_the_sample_and_signs(browser: Browser, hq: Served) -> None:
    with day(browser, hq, "auditor") as auditor:
        page = auditor.page
        auditor.menu("Oversight", "Audits")
        auditor.says("Plan in force")
        page.get_by_role("link", name=f"Audit {hq.ids['audit']}", exact=True).click()
        auditor.fill(auditor.main.locator("form[action$='/sign/']"), words="Too early")
        auditor.press("Sign")
        auditor.says("430.5(c)")  # refused: records are not judged yet
        auditor.go(f"/audits/{hq.ids['audit']}/")
        while (judge := auditor.main.get_by_role("button", name="Judge")).count():
            judge.first.click()
        auditor.says("in order")
        part = auditor.open("Raise a finding")
        auditor.fill(part, what="One search names another agency's case")
        auditor.press("Raise it", part)
        for give in ("Give", "Resolve"):
            while (rows := auditor.main.locator("tr", has=page.get_by_role("button", name=give))).count():
                row = rows.first
                if give == "Give":
                    row.locator("select").select_option(index=1)
                    row.locator("[name=due]").fill(str(date.today() + timedelta(days=20)))
                else:
                    row.locator("[name=words]").fill("The officer was instructed")
                row.get_by_role("button", name=give).click()
        auditor.fill(
            auditor.main.locator("form[action$='/sign/']"),
            words="In order but for two findings, both resolved",
        )
        auditor.press("Sign")
        auditor.says("signed")
        page.get_by_role("link", name="Report").click()
        auditor.says("In order but for two findings")
        page.emulate_media(media="print")
        expect(page.locator("nav.menu")).to_be_hidden()
        expect(page.locator("footer .printed")).to_contain_text("Printed by Felix Marchetti")
        page.emulate_media(media="screen")

        auditor.menu("Oversight", "Audits")
        page.locator("main").get_by_role("link", name="review it").first.click()
        auditor.fill(words="Nothing odd beyond what the audit found")
        auditor.press("Sign for this week")
        auditor.menu("Oversight", "Log chain")
        auditor.press("Verify since the newest signed head")
        auditor.says("whole")
        auditor.menu("Oversight", "Access log")
        auditor.fill(action="reads.search")
        auditor.press("Filter")
        auditor.says("8TRW204")


@pytest.mark.clause("430.2-c")
@pytest.mark.clause("430.2-d")
def test_administrator_loads_a_list_and_proposes_people_and_units(
    browser: Browser, hq: Served, tmp_path: Path
) -> None:
    file = tmp_path / "county.csv"
    rows = "".join(f"9XY{n:04},CA,Reported stolen,26-{n},2099-01-01,50\n" for n in range(5))
    file.write_text("plate,state,reason,case_number,expiry,priority\n" + rows)
    with day(browser, hq, "administrator") as admin:
        page = admin.page
        admin.menu("Units and lists", "Units")
        page.get_by_role("link", name="Register a unit").click()
        admin.fill(
            unit_id="garfield-7", serial="PW-3000", site="Garfield Avenue at Main", camera="IMX708",
            installed_by="L. Castellano", latitude="34.11", longitude="-118.15",
        )  # fmt: skip
        admin.press("Register")
        admin.says("garfield-7")
        assert admin.main.get_by_role("button", name="Approve").count() == 0  # who registers does not approve
        admin.menu("Units and lists", "Hot lists")
        page.get_by_role("link", name="county", exact=True).click()
        admin.fill(source=[{"index": 1}], file=file)
        admin.press("Upload and preview")
        admin.says("9XY0004")
        admin.says("5 entries")
        admin.menu("People", "Accounts")
        page.get_by_role("link", name="Propose an account").click()
        admin.fill(username="jnovak", full_name="Jana Novak", title="Police Officer", badge="D150")
        admin.press("Propose")
        admin.says("proposed")
        assert admin.main.get_by_role("button", name="Approve this account").count() == 0


@pytest.mark.clause("430.6")
def test_training_sergeant_certifies_a_completion(browser: Browser, hq: Served) -> None:
    with day(browser, hq, "training") as sergeant:
        sergeant.menu("People", "Training")
        expect(sergeant.main.locator("tr", has_text="Lena Quist")).to_contain_text("missing")
        sergeant.page.get_by_role("link", name="Certify a completion").click()
        sergeant.fill(
            person=[{"label": "Lena Quist, Police Officer"}], course=[{"index": 1}], trainer="D. Whitlock"
        )
        sergeant.press("Save")
        expect(sergeant.main.locator("tr", has_text="Lena Quist")).to_contain_text("valid")


@pytest.mark.clause("430.4-d")
@pytest.mark.clause("430.8(a)")
def test_records_clerk_places_a_hold_and_registers_a_request(
    browser: Browser, hq: Served, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.pdf"
    letter.write_bytes(b"%PDF-1.4 We ask for ...")
    with day(browser, hq, "clerk") as clerk:
        page = clerk.page
        clerk.menu("Records", "Holds")
        page.get_by_role("link", name="Place a hold").click()
        clerk.fill(
            kind=["civil_evidence"], case="CV-26-9", requester="City Attorney", reason="Claim of 2026-11-01",
            plate="4HT000",
        )  # fmt: skip
        clerk.main.locator("form .primary").click()
        clerk.says("holds")
        assert clerk.main.locator("form[action$='/release/']").count() == 0
        clerk.menu("Records", "Releases")
        page.get_by_role("link", name="Register a request").click()
        clerk.fill(
            partner=[str(hq.ids["partner"])], person_name="B. Askew",
            agency="San Rafael Hills Police Department (demo)", person_title="Detective",
            person_contact="askew@sanrafaelhills.example",
            purpose=["criminal_investigation"], purpose_text="Series of thefts", case="N-90", document=letter,
            received_at=local_minute(page), plate="8TRW204",
        )  # fmt: skip
        clerk.press("Register")
        clerk.says("received")
        assert clerk.main.get_by_role("button", name="Approve this scope").count() == 0


@pytest.mark.clause("430.2-c")
@pytest.mark.clause("430.3(c)-1")
def test_technician_starts_a_deployment_and_records_work(browser: Browser, hq: Served) -> None:
    with day(browser, hq, "technician") as technician:
        page = technician.page
        technician.menu("Units and lists", "Deployments")
        technician.press("Start")
        expect(technician.main.locator("tr", has_text="garfield-burglary")).to_contain_text("running")
        technician.menu("Units and lists", "Units")
        page.get_by_role("link", name="Trailer, city yard").first.click()
        part = technician.open("Record work")
        technician.fill(
            part, kind=["inspection"], at=local_minute(page), done_by="L. Castellano", note="Mast checked"
        )
        part.get_by_role("button").first.click()
        technician.says("Mast checked")
        technician.go("/search/")
        technician.says("430.5(b)")  # refused: a technician searches no reads


def local_minute(page: Page) -> str:
    """A minute ago as the agency's clock shows it, for a field of date and time."""
    shown = page.locator("footer .printed").text_content() or ""
    at = re.search(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)", shown)
    assert at, shown
    return f"{at[1]}T{at[2]}"
