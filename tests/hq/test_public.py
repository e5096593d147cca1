"""The posted policy: every element of the statute, gaps said, no small number, compared with the website."""

from __future__ import annotations

import gzip
import html
import http.server
import json
import os
import socket
import stat
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client

from hq.audits.models import Plan
from hq.log import chain
from hq.people.models import Appointment, Course, Person
from hq.people.policy import Refused
from hq.public import bundle, slots, texts
from hq.public.alarms import alarms
from hq.public.models import PostedCheck, Publication, Text
from hq.records.models import UnitStatus
from hq.releases import partners
from hq.retention.alarms import calendar
from hq.site import clock as hq_clock
from tests.disk import fill, tmpfs
from tests.hq import kept, posted
from tests.hq.conftest import Clock

People = Callable[..., Person]
ClientFor = Callable[..., Client]
db = pytest.mark.django_db
STATUTE = ["CC-51b2A", "CC-51b2B", "CC-51b2C", "CC-51b2D", "CC-51b2E", "CC-51b2F", "CC-51b2G"]
POLICY = [f"430.2.1({letter})" for letter in "abcdefg"]


@pytest.fixture
def office(people: People) -> kept.Office:
    return kept.Office(people)


@pytest.fixture
def whole(office: kept.Office, people: People, clock: Clock, tmp_path: Path, settings: Any) -> kept.Office:
    return posted.whole(office, people, clock.at, tmp_path / "media", settings)


# Slots


@db
@pytest.mark.clause("430.2.1(d)")
@pytest.mark.clause("CJIS AU-11")
def test_page_tells_of_the_log_and_the_figures_what_stays_true(whole: kept.Office) -> None:
    files = bundle.make().files
    # After two years rows of the log may lawfully be removed.
    assert "Access records cannot be changed and are kept two years at least" in files[bundle.PAGE].decode()
    # A quarter may be over and not two weeks ago.
    assert "None yet: those of a quarter are made two weeks after" in files["figures.html"].decode()


@db
@pytest.mark.clause("430.2.1-0")
@pytest.mark.parametrize(
    "clause", [pytest.param(one, marks=pytest.mark.clause(one)) for one in (*STATUTE, *POLICY, "CC-55a")]
)
def test_every_element_of_the_statute_and_the_policy_has_a_slot_in_the_page(
    whole: kept.Office, clause: str
) -> None:
    held = [slot for slot in slots.SLOTS if clause in slot.clauses and slot.posted]
    assert held
    page = bundle.make().files[bundle.PAGE].decode()
    for slot in held:
        filled = slots.fill(slot)
        assert filled.lines or filled.text
        assert slot.title in page
        assert clause in page


@db
@pytest.mark.clause("CC-51b2D")
@pytest.mark.clause("430.8-0")
def test_page_lists_those_partners_alone_that_may_receive(whole: kept.Office) -> None:
    for agency, kind in (("Next Police", "ca_law"), ("Bureau of Elsewhere", "federal")):
        made = partners.propose(
            whole.administrator, agency=agency, kind=kind, valid_until=hq_clock.today() + timedelta(days=9)
        )
        partners.approve(whole.commander, made.pk)
    page = bundle.make().files[bundle.PAGE].decode()
    assert "Approved to ask: Next Police" in page
    assert "Bureau of Elsewhere" not in page
    override = partners.propose_override(
        whole.administrator,
        made,
        citation="Court order 12-345",
        document=ContentFile(b"order", "order.pdf"),
        valid_until=hq_clock.today() + timedelta(days=9),
    )
    partners.approve_override(whole.commander, override.pk)
    assert "Approved to ask: Bureau of Elsewhere" in bundle.make().files[bundle.PAGE].decode()


@db
@pytest.mark.clause("CC-51b2G")
@pytest.mark.clause("430.4-c")
def test_page_tells_the_days_that_are_applied_when_an_authority_ran_out(
    whole: kept.Office, clock: Clock, client_for: ClientFor
) -> None:
    trailer = kept.unit("trailer-1")
    last = hq_clock.today() + timedelta(days=3)
    authority = whole.authority("shorter", least_days=30, valid_until=last)
    whole.schedule(30, unit=trailer, authority=authority)
    assert "alpr, trailer-1: 30 days" in bundle.make().files[bundle.PAGE].decode()
    kept.read(days=100, on=trailer)
    assert _next_due_ahead(clock) == {None: None, "trailer-1": False}
    clock.advance(days=4)
    page = bundle.make().files[bundle.PAGE].decode()
    assert "alpr, trailer-1: 365 days" in page
    assert "it no longer allows 30 days" in page
    assert _next_due_ahead(clock) == {None: None, "trailer-1": True}
    shown = client_for(whole.custodian).get("/retention/").content.decode()
    assert "its authority ran out: 365 days apply" in shown


def _next_due_ahead(clock: Clock) -> dict[str | None, bool | None]:
    return {
        line.schedule.unit_id: None if line.next_due is None else line.next_due > clock.at
        for line in calendar()
    }


@db
@pytest.mark.clause("CC-51a")
@pytest.mark.clause("430.5-0")
@pytest.mark.clause("430.2.1(c)")
def test_matrix_tells_the_safeguards_as_they_are_today(
    whole: kept.Office, people: People, client_for: ClientFor, clock: Clock, tmp_path: Path, settings: Any
) -> None:
    settings.DATA = tmp_path
    client = client_for(whole.custodian)

    def told() -> str:
        return client.get("/public/matrix/").content.decode()

    people("officer", second_factor=False)
    unit = kept.unit()
    inside = Person.objects.filter(state="active").count()
    tmp_path.chmod(0o755)
    page = told()
    assert f"Second factor set up by {inside - 1} of {inside} accounts" in page
    assert f"To be mended: everybody can look into {tmp_path}" in page
    assert "To be mended: no backup was made today" in page
    assert "Last backup: none" in page
    assert "Units heard within 5 minutes: 0 of 1" in page
    tmp_path.chmod(0o700)
    chain.append(kind="backup", person=None, action="backups.make")
    UnitStatus.objects.create(
        unit=unit, received_at=clock.at, state="ready", model_hashes=[], queue=0, record={}
    )
    page = told()
    assert "everybody can look into" not in page
    assert "no backup was made today" not in page
    assert "Last backup: 2026-06-03" in page
    assert "Units heard within 5 minutes: 1 of 1" in page


@db
@pytest.mark.clause("430.2.1-0")
@pytest.mark.clause("CC-51b2A")
@pytest.mark.clause("430.2.1(a)")
def test_matrix_shows_all_that_an_element_holds(
    whole: kept.Office, people: People, client_for: ClientFor
) -> None:
    for n in range(13):
        people("officer", title=f"Rank {n:02}")
    page = client_for(whole.custodian).get("/public/matrix/").content.decode()
    for line in [*slots.titles(), *slots.fill(slots.BY_CODE["purposes"]).lines]:
        assert line in page


@db
@pytest.mark.clause("430.2.1-0")
def test_whole_policy_has_no_gap(whole: kept.Office) -> None:
    assert slots.gaps() == []
    call_command("doctor", "policy")


def _end(role: str) -> Callable[[kept.Office], Any]:
    def end(office: kept.Office) -> None:
        Appointment.objects.filter(role=role).update(ended_at=kept.clock.now())

    return end


@db
@pytest.mark.clause("430.2.1-0")
@pytest.mark.parametrize(
    ("clause", "take_away"),
    [
        pytest.param("430.2.1(b)", lambda _: Course.objects.update(retired_on=date(2026, 1, 1)),
                     marks=pytest.mark.clause("430.2.1(b)")),
        pytest.param("430.2.1(c)", _end("nobody"), marks=pytest.mark.clause("430.2.1(c)")),
        pytest.param("CC-51b2E", _end("custodian"), marks=pytest.mark.clause("CC-51b2E")),
        pytest.param("430.2.1(e)", _end("overseer"), marks=pytest.mark.clause("430.2.1(e)")),
    ],
)  # fmt: skip
def test_empty_slot_is_said_and_fails_doctor(
    whole: kept.Office, capsys: pytest.CaptureFixture[str], clause: str, take_away: Callable[[Any], Any]
) -> None:
    take_away(whole)
    if clause == "430.2.1(c)":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Plan, "current", classmethod(lambda cls: None))
            found = slots.gaps()
    else:
        found = slots.gaps()
        with pytest.raises(SystemExit) as exit_:
            call_command("doctor", "policy")
        assert exit_.value.code == 3
        assert clause in capsys.readouterr().out
    assert any(clause in gap for gap in found)


@db
@pytest.mark.clause("430.2.1-0")
@pytest.mark.clause("CC-51b2F")
def test_text_that_nobody_wrote_or_approved_is_a_gap(office: kept.Office) -> None:
    assert any(gap.startswith("CC-51b2F: no approved text") for gap in slots.gaps())
    made = texts.prepare(office.administrator, "accuracy", "We compare.")
    assert any(gap.startswith("CC-51b2F") for gap in slots.gaps())
    texts.approve(office.commander, made.pk)
    assert not any(gap.startswith("CC-51b2F") for gap in slots.gaps())


@db
@pytest.mark.clause("430.2.1-0")
def test_text_is_approved_by_another_and_never_changed(office: kept.Office, people: People) -> None:
    both = people(["administrator", "commander"])
    made = texts.prepare(both, "accuracy", "We compare.")
    with pytest.raises(Refused):
        texts.approve(both, made.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Text.objects.update(approved_by=both, approved_at=made.prepared_at)
    with pytest.raises(DatabaseError), transaction.atomic():
        Text.objects.update(text="x")
    with pytest.raises(Refused):
        texts.prepare(office.officer, "accuracy", "x")


@db
@pytest.mark.clause("430.2.1(e)")
def test_page_is_not_made_without_a_current_overseer(whole: kept.Office, tmp_path: Path) -> None:
    Appointment.objects.filter(role="overseer").update(ended_at=kept.clock.now())
    with pytest.raises(CommandError, match=r"430\.2\.1\(e\)"):
        call_command("publish_policy", str(tmp_path / "site"))
    assert not (tmp_path / "site").exists()


@db
@pytest.mark.clause("430.2.1(a)")
def test_title_that_the_published_policy_lacks_is_an_alarm(
    whole: kept.Office, people: People, tmp_path: Path
) -> None:
    bundle.write(tmp_path / "site")
    assert not any("title" in alarm.text for alarm in alarms())
    people(
        "technician", title="Camera fitter", kind="contractor", employer="Poles Inc", ends_on=date(2027, 1, 1)
    )
    assert any("Camera fitter (contractor of Poles Inc)" in alarm.text for alarm in alarms())
    people("", title="Chief of Chairs")
    assert not any("Chairs" in title for title in slots.titles())


# The bundle


@db
@pytest.mark.clause("430.2.1(g)")
@pytest.mark.clause("CC-51b1")
def test_bundle_is_static_dated_and_verified_with_stock_tools(whole: kept.Office, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    call_command("publish_policy", str(folder))
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["made"].startswith("2026-06-03T19:00:00")
    assert manifest["files"] == Publication.objects.get().files
    page = (folder / bundle.PAGE).read_text()
    assert "Olive Overseer" in page
    assert "Gap" not in page
    assert "<script" not in page
    assert "csrf" not in page
    call_command("publish_policy", str(folder))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letters.txt").write_text("mine")
    with pytest.raises(CommandError, match="something else"):
        call_command("publish_policy", str(tmp_path / "other"))


@db
@pytest.mark.clause("430.2.1(g)")
def test_first_publication_that_a_full_disk_cut_off_is_made_whole_by_the_next(
    whole: kept.Office, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "disk", "1m") as disk:
        filler = fill(disk)
        with pytest.raises(CommandError, match="No space left"):
            call_command("publish_policy", str(disk / "site"))
        filler.unlink()
        call_command("publish_policy", str(disk / "site"))
        assert {path.name for path in (disk / "site").iterdir()} == {
            "policy.html", "figures.html", "figures.json", "style.css", "SHA256SUMS", "manifest.json",
        }  # fmt: skip


@db
@pytest.mark.clause("CC-51b1")
def test_web_server_can_read_what_a_service_with_a_narrow_umask_publishes(
    whole: kept.Office, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        for _ in ("new", "there"):
            call_command("publish_policy", str(tmp_path / "site"))
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "site").iterdir()} == {0o644}
    assert stat.S_IMODE((tmp_path / "site").stat().st_mode) == 0o755


@db
@pytest.mark.clause("430.2.1-0")
def test_gap_is_said_in_the_published_page(
    whole: kept.Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Course.objects.update(retired_on=date(2026, 1, 1))
    call_command("publish_policy", str(tmp_path / "site"))
    assert "no department-approved course" in (tmp_path / "site" / bundle.PAGE).read_text()
    assert "gap CC-51b2B" in capsys.readouterr().out


@db
@pytest.mark.clause("430.2.1(g)")
def test_settings_that_changed_after_publication_are_an_alarm(
    whole: kept.Office, tmp_path: Path, clock: Clock
) -> None:
    bundle.write(tmp_path / "site")
    assert not bundle.stale()
    clock.advance(days=1)
    assert not bundle.stale()
    whole.schedule(400, reason="longer")
    assert bundle.stale()
    assert any("settings changed" in alarm.text for alarm in alarms())


@pytest.fixture
def website(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on this machine, and the folder that it shows."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@db
@pytest.mark.clause("430.2.1(g)")
def test_posted_page_is_compared_and_the_result_kept(
    whole: kept.Office, website: tuple[str, Path], capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    address, folder = website
    url = f"{address}/policy.html"
    with pytest.raises(CommandError, match="publish-policy first"):
        call_command("check_posted", url)
    bundle.write(folder)
    call_command("check_posted", url)
    assert PostedCheck.objects.get().outcome == "same"
    assert not any(alarm.clause == "430.2.1(g)" for alarm in alarms())

    page = (folder / "policy.html").read_text()
    wrapped = page.replace("<body>", "<body><nav>City of Test</nav>").replace("\n<h2>", "\n\n  <h2 class=x>")
    (folder / "policy.html").write_text(wrapped)
    call_command("check_posted", url)
    (folder / "policy.html").write_text(page.replace("365 days", "3650 days"))
    with pytest.raises(SystemExit):
        call_command("check_posted", url)
    assert any("not the published one: another text" in alarm.text for alarm in alarms())
    with pytest.raises(SystemExit):
        call_command("check_posted", f"{address}/nothing.html")
    assert list(PostedCheck.objects.order_by("pk").values_list("outcome", flat=True)) == [
        "same",
        "same_text",
        "differs",
        "unreachable",
    ]
    with pytest.raises(CommandError, match="not an http"):
        call_command("check_posted", "file:///etc/hostname")
    clock.advance(days=32)
    assert any("not compared in the last 31 days" in alarm.text for alarm in alarms())
    with pytest.raises(DatabaseError), transaction.atomic():
        PostedCheck.objects.update(outcome="same")


def _packed(kind: str, pack: Callable[[bytes], bytes]) -> Callable[[str], bytes]:
    return lambda page: _answer(pack(page.encode()), f"Content-Encoding: {kind}")


def _answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", *headers, "Content-Type: text/html", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def _in_cp1252(page: str) -> bytes:
    return page.replace("&#8220;", "“").replace("&#8211;", "–").encode("cp1252")


ANSWERS: dict[str, tuple[Callable[[str], bytes], str]] = {
    "packed": (_packed("gzip", gzip.compress), "same"),
    "deflated": (_packed("deflate", zlib.compress), "same"),
    "too well packed": (_packed("gzip", lambda page: gzip.compress(page + bytes(6 << 20))), "unreachable"),
    "packed as nobody asked": (_packed("br", lambda page: page), "unreachable"),
    "packed and cut": (_packed("gzip", lambda page: b"\x1f\x8bnothing"), "unreachable"),
    "other charset": (
        lambda page: _answer(_in_cp1252(page), "Content-Type: text/html; charset=windows-1252"),
        "same_text",
    ),
    "its own word for it": (
        lambda page: _answer(_in_cp1252(page.replace("utf-8", "windows-1252"))),
        "same_text",
    ),
    "no charset": (
        lambda page: _answer(page.encode("utf-16"), "Content-Type: text/html; charset=x"),
        "same_text",
    ),
    "script within": (
        lambda page: _answer(page.replace("<h1>", "<script>count(1 < 2)</script><h1>").encode()),
        "same_text",
    ),
    "shrunk": (
        lambda page: _answer(
            page.replace("</p>", "").replace("</li>", "").replace("</main>", "City").encode()
        ),
        "same_text",
    ),
    "breaks in lines": (lambda page: _answer(page.replace("<br>", "<br />\n").encode()), "same_text"),
    "cut off": (
        lambda page: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc",
        "unreachable",
    ),
    "no web server": (lambda page: b"SSH-2.0-OpenSSH_9.2\r\n", "unreachable"),
    "another text": (lambda page: _answer(page.replace("365", "3650").encode()), "differs"),
}


@db
@pytest.mark.clause("430.2.1(g)")
@pytest.mark.parametrize("how", ANSWERS)
def test_posted_page_is_told_from_another_whatever_way_a_web_server_sends_it(
    whole: kept.Office, tmp_path: Path, how: str
) -> None:
    texts.approve(
        whole.commander, texts.prepare(whole.administrator, "accuracy", "We “compare” –\ntwice.").pk
    )
    bundle.write(tmp_path / "site")
    answer, outcome = ANSWERS[how]
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            with server.accept()[0] as client:
                client.recv(4096)
                client.sendall(answer((tmp_path / "site" / bundle.PAGE).read_text()))

        done = pool.submit(serve)
        check = bundle.check_posted(f"http://127.0.0.1:{server.getsockname()[1]}/alpr")
        done.result()
    assert (check.outcome, "\n" in check.detail) == (outcome, False)


@db
@pytest.mark.clause("430.2.1(g)")
@pytest.mark.parametrize("url", ["http://[::1/x", "http://police.example:abc/", "ftp://police.example/"])
def test_address_that_is_none_is_refused_in_one_line(whole: kept.Office, tmp_path: Path, url: str) -> None:
    bundle.write(tmp_path / "site")
    with pytest.raises(bundle.BundleError, match="not an http or https address"):
        bundle.check_posted(url)
    with pytest.raises(bundle.BundleError, match="the settings name no page"):
        bundle.check_posted("")
    assert bundle.check_posted("http://127.0.0.1/the policy.html").outcome == "unreachable"


@db
@pytest.mark.clause("430.2.1(g)")
def test_pages_are_shown_right_whatever_charset_a_web_server_names(whole: kept.Office) -> None:
    texts.approve(whole.commander, texts.prepare(whole.administrator, "accuracy", "Ask Señor Peña.").pk)
    for name in (bundle.PAGE, "figures.html"):
        assert bundle.make().files[name].isascii()
    assert "Señor Peña" in html.unescape(bundle.make().files[bundle.PAGE].decode())


# The pages


@db
@pytest.mark.clause("430.2.1-0")
def test_policy_is_prepared_and_approved_in_the_pages(
    office: kept.Office, client_for: ClientFor, clock: Clock
) -> None:
    admin, chief = client_for(office.administrator), client_for(office.commander)
    shown = admin.get("/public/").content.decode()
    assert "Gap" in shown
    assert admin.get("/public/texts/custodian/").status_code == 404
    assert admin.post("/public/texts/accuracy/", {"text": "We compare <b>twice</b>."}).status_code == 302
    made = Text.objects.get()
    assert admin.post(f"/public/texts/{made.pk}/approve/").status_code == 403
    assert "Approve this text" in chief.get("/public/").content.decode()
    assert chief.post(f"/public/texts/{made.pk}/approve/").status_code == 302
    shown = chief.get("/public/").content.decode()
    assert "We compare &lt;b&gt;twice&lt;/b&gt;." in shown
    matrix = client_for(office.custodian).get("/public/matrix/").content.decode()
    for clause in (*STATUTE, *POLICY, "CC-51a", "CC-52b", "CC-53", "CC-55a", "CC-55b", "GC-34090.6"):
        assert clause in matrix
    assert chief.get("/public/figures/").status_code == 200
    assert client_for(office.officer).get("/public/").status_code == 403
