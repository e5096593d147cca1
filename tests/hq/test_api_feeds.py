"""Feeds: to the own agency alone, approved, recorded message by message, to a real server."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client

from hq.api import feeds
from hq.api.models import Feed, FeedMessage
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.people.policy import Refused
from hq.site import locks
from hq.site.models import Settings
from tests.hq import hits_kept, kept

pytestmark = pytest.mark.django_db
People = Callable[..., Person]
ClientFor = Callable[..., Client]


class Recipient(ThreadingHTTPServer):
    """A program that takes webhooks; `answer` is the status it gives."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[dict[str, Any]] = []
        self.answer = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Recipient)
        self.server.got.append(json.loads(body))
        self.send_response(self.server.answer)
        if self.server.answer in (301, 302, 307):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def recipient() -> Iterator[Recipient]:
    server = Recipient()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def wrong_port() -> Iterator[Callable[[bytes], str]]:
    """The address of something that answers every connection with these bytes and hangs up."""
    servers = []

    def answering(said: bytes) -> str:
        class Answer(BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65536)
                self.request.sendall(said)

        servers.append(server := ThreadingTCPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/hook"

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def agency(db: None, clock: Any) -> Settings:
    return Settings.objects.create(
        agency="Test Police Department", ori="CA0190000", policy_id="430", policy_version="1", reason="test",
        approved_at=clock.at,
    )  # fmt: skip


@pytest.fixture
def feed_to(people: People, clock: Any, agency: Settings) -> Callable[..., Feed]:
    """An approved feed."""
    boss, commander = people("ALPR administrator"), people("Commander")

    def make(url: str, what: str = "reads", **fields: Any) -> Feed:
        feed = Feed.objects.create(
            **{
                "name": "map",
                "responsible": "A. Dispatcher, supervisor",
                "agency": agency.agency,
                "url": url,
                "what": what,
                "purpose": "stolen_vehicle",
                "document": "memo 9",
                "proposed_by": boss,
                "proposed_at": clock.at,
                **fields,
            }
        )
        feeds.approve(feed, commander)
        return feed

    return make


def rounds(capsys: pytest.CaptureFixture[str]) -> str:
    call_command("send_feeds")
    return capsys.readouterr().out


@pytest.mark.clause("430.8-0")
@pytest.mark.clause("430.2.1(d)")
def test_read_is_sent_once_and_recorded_before(
    feed_to: Callable[..., Feed], recipient: Recipient, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    old = kept.read("8OLD999", days=0.1)
    feed = feed_to(recipient.url)
    clock.advance(minutes=5)
    row = kept.read("7ABC123", lat=34.1, lon=-118.1, region="CA", region_confidence=0.96)
    assert "1 sent" in rounds(capsys)
    assert rounds(capsys) == ""
    (got,) = recipient.got
    assert (got["data_type"], got["best_plate_number"]) == ("alpr_group", "7ABC123")
    assert got["best_uuid"] == str(row.pk)
    assert got["best_plate"]["coordinates"][2] == {"x": 4, "y": 6}
    assert (got["best_region"], got["gps_latitude"]) == ("us-ca", 34.1)
    assert (got["best_region_confidence"], got["best_plate"]["region_confidence"]) == (96.0, 96.0)
    assert not [name for name in json.dumps(got) if name == "jpeg"]
    assert "jpeg" not in json.dumps(got)
    record = AccessRecord.objects.get(kind="feed")
    assert (record.action, record.purpose, record.ids) == ("feeds.send", "stolen_vehicle", [str(row.pk)])
    assert record.on_behalf_of == "A. Dispatcher, supervisor, Test Police Department"
    assert str(old.pk) not in str(recipient.got)
    assert FeedMessage.objects.get(feed=feed).state == "sent"


@pytest.mark.clause("430.3(f)")
@pytest.mark.clause("430.3(e)")
def test_hit_is_sent_as_unverified_and_a_restricted_one_not_at_all(
    feed_to: Callable[..., Feed], recipient: Recipient, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    feed_to(recipient.url, "hits")
    clock.advance(minutes=5)
    hit = kept.a_hit(kept.read("7ABC123"))
    type(hit).objects.filter(pk=hit.pk).update(state_agrees=False)
    restricted = kept.a_hit(kept.read("8XYZ999"))
    type(restricted).objects.filter(pk=restricted.pk).update(alarm_class="sex_offender")
    for _ in range(3):
        rounds(capsys)
    (got,) = recipient.got
    assert (got["data_type"], got["plate_number"]) == ("alpr_alert", "7ABC123")
    assert got["description"].startswith("UNVERIFIED: stolen_vehicle, exact match of another state, list")
    assert got["group"]["best_region_confidence"] == 0
    assert FeedMessage.objects.get(record=restricted.pk).state == "given_up"


@pytest.mark.clause("430.3(f)")
def test_hit_that_was_checked_while_its_recipient_was_down_is_sent_as_it_stands(
    feed_to: Callable[..., Feed],
    recipient: Recipient,
    people: Callable[..., Any],
    clock: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    feed_to(recipient.url, "hits")
    clock.advance(minutes=5)
    hit, officer = hits_kept.a_hit(age_s=0.0, pictures=False), people("Officer")
    hits_kept.looked(hit, officer)
    hits_kept.answered(hit, officer, "not_found")
    rounds(capsys)
    (got,) = recipient.got
    assert got["description"].startswith("NOT FOUND: stolen_vehicle, exact match, list")


@pytest.mark.clause("430.2.1(d)")
def test_nothing_is_sent_that_cannot_be_recorded(
    feed_to: Callable[..., Feed],
    recipient: Recipient,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    feed_to(recipient.url)
    clock.advance(minutes=5)
    kept.read("7ABC123")

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(AccessRecord, "save", broken)
        with pytest.raises(CommandError, match="not recorded"):
            call_command("send_feeds")
    assert recipient.got == []
    assert "1 sent" in rounds(capsys)


@pytest.mark.parametrize("trouble", [500, 404, 302, "down"])
def test_message_waits_longer_each_time_and_is_given_up_after_days(
    feed_to: Callable[..., Feed],
    recipient: Recipient,
    clock: Any,
    capsys: pytest.CaptureFixture[str],
    trouble: int | str,
) -> None:
    recipient.answer = trouble if isinstance(trouble, int) else 200
    feed = feed_to(recipient.url if trouble != "down" else "http://127.0.0.1:9/")
    clock.advance(minutes=5)
    kept.read("7ABC123")
    kept.read("7ABC124")
    assert "1 failed" in rounds(capsys)
    first = FeedMessage.objects.get(attempts=1)
    assert first.due_at == clock.at + timedelta(minutes=1)
    assert "7ABC" not in first.trouble
    clock.advance(minutes=2)
    rounds(capsys)
    assert max(m.attempts for m in feed.messages.all()) == 2
    assert {record.outcome for record in AccessRecord.objects.filter(kind="feed")} == {"done", "failed"}
    if trouble == 500:
        recipient.answer = 200
        clock.advance(minutes=10)
        assert "2 sent" in rounds(capsys)
        assert feeds.waiting(feed)["waiting"] == 0
        return
    clock.advance(days=3)
    for _ in range(2):
        rounds(capsys)
    assert feeds.waiting(feed)["given_up"] == 2
    assert trouble == "down" or all(got["data_type"] == "alpr_group" for got in recipient.got)


@pytest.mark.clause("430.3(e)")
def test_hits_that_are_withheld_hold_up_no_other(
    feed_to: Callable[..., Feed], recipient: Recipient, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where most lists are restricted the department's own hit would come minutes late."""
    feed = feed_to(recipient.url, "hits")
    clock.advance(minutes=5)
    for number in range(3):
        hit = kept.a_hit(kept.read(f"8XYZ99{number}"))
        type(hit).objects.filter(pk=hit.pk).update(alarm_class="sex_offender")
    clock.advance(seconds=1)
    kept.a_hit(kept.read("7ABC123"))
    assert "1 sent, 0 failed, 3 given_up" in rounds(capsys)
    assert [got["plate_number"] for got in recipient.got] == ["7ABC123"]
    assert feeds.waiting(feed)["waiting"] == 0


def test_hit_that_came_before_its_read_is_sent_when_that_has_come(
    feed_to: Callable[..., Feed], recipient: Recipient, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    feed = feed_to(recipient.url, "hits")
    clock.advance(minutes=5)
    hit, to_come = kept.a_hit(kept.read("7ABC124")), uuid.uuid4()
    hit.pk, hit.read_id, hit.sequence = uuid.uuid4(), to_come, hit.sequence + 1000
    hit.save(force_insert=True)
    rounds(capsys)
    assert [got["plate_number"] for got in recipient.got] == ["7ABC124"]
    kept.read("7ABC123", id=to_come)
    clock.advance(minutes=1)
    rounds(capsys)
    assert [got["plate_number"] for got in recipient.got] == ["7ABC124", "7ABC123"]
    assert feeds.waiting(feed)["given_up"] == 0


def test_run_beside_another_sends_nothing_a_second_time(
    feed_to: Callable[..., Feed], recipient: Recipient, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody tries the command by hand while the service sends."""
    feed_to(recipient.url)
    clock.advance(minutes=5)
    kept.read("7ABC123")
    with locks.alone("feeds"), pytest.raises(CommandError, match="another run of feeds is under way"):
        call_command("send_feeds")
    assert recipient.got == []
    assert not AccessRecord.objects.filter(kind="feed").exists()
    assert "1 sent" in rounds(capsys)


@pytest.mark.parametrize(
    "said",
    [
        b"\x15\x03\x03\x00\x02SSH-2.0-OpenSSH_9.2p1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nok",
        b"",
    ],
    ids=["another protocol", "cut off", "nothing"],
)
def test_recipient_that_speaks_no_http_holds_up_no_other_feed(
    feed_to: Callable[..., Feed],
    recipient: Recipient,
    wrong_port: Callable[[bytes], str],
    clock: Any,
    capsys: pytest.CaptureFixture[str],
    said: bytes,
) -> None:
    wrong, right = feed_to(wrong_port(said)), feed_to(recipient.url)
    clock.advance(minutes=5)
    kept.read("7ABC123")
    assert "1 failed" in rounds(capsys)
    assert (feeds.waiting(wrong)["waiting"], feeds.waiting(right)["sent"]) == (1, 1)
    assert FeedMessage.objects.get(feed=wrong).trouble


@pytest.mark.clause("430.8-0")
@pytest.mark.clause("430.5-0")
@pytest.mark.parametrize(
    ("fields", "clause"),
    [
        ({"agency": "Neighbour PD"}, "430.8-0"),
        ({"url": "http://map.example/hook"}, "430.5-0"),
        ({"url": "http://127.0.0.1.example/hook"}, "430.5-0"),
        ({"url": "https://user@map.example/hook"}, "430.5-0"),
        ({"url": "https://:secret@map.example/hook"}, "430.5-0"),
        ({"url": "file:///etc/passwd"}, "430.5-0"),
        ({"purpose": "personal"}, "430.3(a)"),
    ],
)
def test_recipient_that_is_not_ours_or_not_encrypted_is_refused(
    feed_to: Callable[..., Feed], fields: dict[str, str], clause: str
) -> None:
    with pytest.raises(Refused) as refused:
        feed_to(**{"url": "https://map.example/hook", **fields})
    assert refused.value.clause == clause
    assert not Feed.objects.filter(approved_at__isnull=False).exists()


@pytest.mark.clause("430.8-0")
def test_feed_needs_an_agency_of_its_own_and_is_approved_once(
    feed_to: Callable[..., Feed], agency: Settings
) -> None:
    feed = feed_to("http://localhost:8080/hook")
    for state in ("on", "stopped"):
        with pytest.raises(Refused, match=f"this feed is {state}"):
            feeds.approve(feed, feed.approved_by)
        feeds.stop(feed, feed.approved_by)
    agency.__class__.objects.update(approved_at=None)
    with pytest.raises(Refused, match="own agency only"):
        feeds.check_recipient(feed)


@pytest.mark.clause("430.8-0")
def test_feed_that_is_stopped_while_it_sends_sends_no_more(feed_to: Callable[..., Feed], clock: Any) -> None:
    feed = feed_to("https://map.example/hook")
    clock.advance(minutes=5)
    for _ in range(3):
        kept.read("7ABC123")
    assert feeds.enqueue(feed) == 3
    sent = []

    def post(url: str, body: bytes) -> None:
        sent.append(url)
        feeds.stop(Feed.objects.get(), feed.approved_by)

    assert feeds.send_due(feed, post)["sent"] == len(sent) == 1


@pytest.mark.clause("430.8-0")
@pytest.mark.parametrize("what", ["withdrawn", "read never came"])
def test_hit_that_no_longer_stands_is_not_sent(
    feed_to: Callable[..., Feed],
    recipient: Recipient,
    clock: Any,
    capsys: pytest.CaptureFixture[str],
    what: str,
) -> None:
    feed = feed_to(recipient.url, "hits")
    clock.advance(minutes=5)
    hit = kept.a_hit(kept.read("7ABC123"))
    if what == "withdrawn":
        assert feeds.enqueue(feed) == 1
        type(hit).objects.filter(pk=hit.pk).update(withdrawn=True)
    else:
        early = {"pk": uuid.uuid4(), "read_id": uuid.uuid4(), "sequence": hit.sequence + 1000}
        FeedMessage.objects.create(feed=feed, record=early["pk"], queued_at=clock.at, due_at=clock.at)
        for name, value in early.items():
            setattr(hit, name, value)
        hit.save(force_insert=True)
        type(hit).objects.exclude(pk=hit.pk).update(withdrawn=True)
        rounds(capsys)
        assert feeds.waiting(feed)["waiting"] == 1, "it may come yet"
        clock.advance(days=3)
    assert "1 given_up" in rounds(capsys)
    assert recipient.got == []


@pytest.mark.clause("430.8-0")
def test_feed_ends_when_the_agency_is_no_longer_the_recipients(
    feed_to: Callable[..., Feed],
    recipient: Recipient,
    clock: Any,
    people: People,
    capsys: pytest.CaptureFixture[str],
) -> None:
    feed_to(recipient.url)
    clock.advance(minutes=5)
    kept.read("7ABC123")
    Settings.objects.create(
        agency="Other", ori="x", policy_id="430", policy_version="2", reason="t", approved_at=clock.at
    )
    call_command("send_feeds")
    assert recipient.got == []
    assert "own agency only" in capsys.readouterr().err


@pytest.mark.clause("430.8-0")
@pytest.mark.clause("430.2-d")
def test_feed_is_proposed_by_one_approved_by_the_commander_and_stopped(
    people: People,
    client_for: ClientFor,
    clock: Any,
    agency: Settings,
    recipient: Recipient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = {
        "name": "map", "responsible": "A. Dispatcher", "agency": agency.agency, "url": recipient.url,
        "what": "reads", "purpose": "stolen_vehicle", "document": "memo 9",
    }  # fmt: skip
    boss, both, commander = (
        people("ALPR administrator"),
        people(["ALPR administrator", "Commander"]),
        people("Commander"),
    )
    assert client_for(people("Investigator")).post("/api/feeds/propose/", asked).status_code == 403
    away = client_for(boss).post("/api/feeds/propose/", asked | {"agency": "Neighbour PD"})
    assert away.status_code == 403
    assert client_for(both).post("/api/feeds/propose/", asked).status_code == 302
    feed = Feed.objects.get()
    clock.advance(minutes=5)
    kept.read("7ABC123")
    assert rounds(capsys) == ""
    assert client_for(both).post(f"/api/feeds/{feed.pk}/approve/").status_code == 403
    assert client_for(boss).post(f"/api/feeds/{feed.pk}/approve/").status_code == 403
    with pytest.raises(IntegrityError), transaction.atomic():
        Feed.objects.filter(pk=feed.pk).update(approved_by=both, approved_at=clock.at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Feed.objects.filter(pk=feed.pk).update(url="https://elsewhere.example/")
    assert client_for(commander).post(f"/api/feeds/{feed.pk}/approve/").status_code == 302
    clock.advance(minutes=5)
    kept.read("7ABC124")
    assert "1 sent" in rounds(capsys)
    assert [got["best_plate_number"] for got in recipient.got] == ["7ABC124"]
    page = client_for(commander).get("/api/feeds/").content.decode()
    assert "7ABC124" not in page
    stop = f"/api/feeds/{feed.pk}/stop/"
    assert client_for(commander).post(stop).status_code == 403
    assert client_for(commander).post(stop, {"reason": "no longer needed"}).status_code == 302
    clock.advance(minutes=5)
    kept.read("7ABC125")
    assert rounds(capsys) == ""
    assert len(recipient.got) == 1


def test_read_committed_late_is_not_missed(
    feed_to: Callable[..., Feed], recipient: Recipient, clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    feed_to(recipient.url)
    clock.advance(minutes=20)
    rounds(capsys)
    late = kept.read("7ABC123", days=10 / 1440)
    rounds(capsys)
    assert [got["best_uuid"] for got in recipient.got] == [str(late.pk)]
