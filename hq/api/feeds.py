"""Outbound feeds in the OpenALPR webhook's format, to programs of the own agency only (430.8-0).

Owns who may be a recipient, what a message says, the queue and the sending. A message is logged before it
leaves; what cannot be logged is not sent. No picture is ever in it, and nothing of a restricted list.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from hq.api.models import Feed, FeedMessage
from hq.hits import review, wording
from hq.lists import masking
from hq.log import chain
from hq.people.policy import Refused
from hq.people.purposes import in_use
from hq.records.keeping import FLOOR_DAYS
from hq.records.models import Hit, Read
from hq.site import clock
from hq.site.models import Settings

BATCH: Final = 500
OVERLAP: Final = timedelta(minutes=15)
"""How much later than its time of receipt a record may be committed."""

GIVE_UP: Final = timedelta(days=3)
TIMEOUT_S: Final = 10.0

_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=6)
_COMMANDER: Final = "nobody: 430.8 wants a written request, under Releases"
_LOOPBACK: Final = ("localhost", "localhost.")

Post = Callable[[str, bytes], None]


class SendError(Exception):
    """A message did not arrive; the text says why and holds no plate."""


def check_recipient(feed: Feed) -> None:
    """Raise Refused unless the feed goes to the own agency, encrypted, for a purpose of the list."""
    held = Settings.current()
    if held is None or feed.agency.strip() != held.agency.strip():
        raise Refused("430.8-0", "a feed goes to the own agency only", _COMMANDER)
    if feed.purpose not in in_use():
        raise Refused("430.3(a)", "its purpose is not on the agency's list", "nobody: state one of the list")
    parts = urlsplit(feed.url)
    if parts.username or parts.password:
        raise Refused("430.5-0", "an address with a password in it ends up in logs", "nobody: leave it out")
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.hostname or "")):
        raise Refused(
            "430.5-0", "records leave this machine over TLS only: give an https address", "nobody: use TLS"
        )


def approve(feed: Feed, by: Any) -> None:
    """Put a proposed feed into force; what is received from now on is sent. Raises Refused."""
    if feed.state != "proposed":
        raise Refused("430.8-0", f"this feed is {feed.state}", "nobody: propose another")
    check_recipient(feed)
    feed.approved_by, feed.approved_at = by, clock.now()
    feed.queued_until = feed.approved_at
    feed.save(update_fields=["approved_by", "approved_at", "queued_until"])


def stop(feed: Feed, by: Any) -> None:
    """End a feed for good; what waits is not sent."""
    feed.stopped_by, feed.stopped_at = by, clock.now()
    feed.save(update_fields=["stopped_by", "stopped_at"])


def enqueue(feed: Feed) -> int:
    """Queue what was received since the feed was looked at last, each record once; how many are new."""
    assert feed.queued_until is not None
    assert feed.approved_at is not None
    now = clock.now()
    since = max(feed.approved_at, feed.queued_until - OVERLAP)
    queued = FeedMessage.objects.filter(feed=feed)
    found: QuerySet[Hit] | QuerySet[Read]
    if feed.what == Feed.What.HITS:
        found = Hit.objects.filter(received_at__gt=since, withdrawn=False)
    else:
        # The floor's index finds what was received since: it ends no sooner than a year after.
        floor = since + timedelta(days=FLOOR_DAYS)
        found = Read.objects.filter(purge_after__gte=floor, received_at__gt=since)
    new = found.exclude(pk__in=queued.values("record")).order_by("received_at").values_list("pk", flat=True)
    with transaction.atomic():
        made = FeedMessage.objects.bulk_create(
            (FeedMessage(feed=feed, record=pk, queued_at=now, due_at=now) for pk in new.iterator(BATCH)),
            batch_size=BATCH,
            ignore_conflicts=True,
        )
        feed.queued_until = now
        feed.save(update_fields=["queued_until"])
    return len(made)


def send_due(feed: Feed, post: Post | None = None) -> dict[str, int]:
    """Send what is due, oldest first, until one fails; how many arrived, failed and were given up.

    After a failure the rest of this feed waits for the next round: its recipient is down. Raises
    LogUnavailable, with nothing sent that is not logged, and Refused for a recipient that is no longer ours.
    """
    check_recipient(feed)
    told = {"sent": 0, "failed": 0, "given_up": 0}
    due = FeedMessage.objects.filter(feed=feed, state=FeedMessage.State.WAITING, due_at__lte=clock.now())
    for message in due.order_by("queued_at", "pk")[:BATCH]:
        feed.refresh_from_db()
        if not feed.on:
            break
        body = message_of(feed, message.record)
        if body is None:
            # Nobody's fault: what follows need not wait for it.
            told["given_up"] += _withheld(feed, message)
            continue
        outcome = _send(feed, message, body, post or post_json)
        told[outcome] += 1
        if outcome != "sent":
            break
    return told


def post_json(url: str, body: bytes) -> None:
    """POST a JSON body, following no redirect and using no proxy. Raises SendError."""
    request = urllib.request.Request(
        url, body, {"Content-Type": "application/json", "User-Agent": "platewarden-hq"}, method="POST"
    )
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _NoRedirect(),
    )
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        raise SendError(f"the recipient answered {error.code}") from None
    except http.client.HTTPException as error:
        # Its text is what came, which may be anything.
        raise SendError(f"the recipient gave no whole HTTP answer: {type(error).__name__}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise SendError(f"{type(reason).__name__}: {reason}"[:200]) from None


def message_of(feed: Feed, record: UUID) -> dict[str, Any] | None:
    """What a feed says of a read or hit; None where it must not or can no longer say it."""
    if feed.what == Feed.What.READS:
        read = Read.objects.filter(pk=record).select_related("unit").first()
        return alpr_group(read) if read else None
    hit = Hit.objects.filter(pk=record, withdrawn=False).first()
    seen = Read.objects.filter(pk=hit.read_id).select_related("unit").first() if hit else None
    if hit is None or seen is None:
        return None
    if masking.lacking_for_hit(frozenset(), hit.alarm_class, hit.source, hit.list_version):
        return None
    (one,) = review.of([hit])
    return alpr_alert(hit, seen, wording.status(one))


def alpr_group(read: Read) -> dict[str, Any]:
    """A read as OpenALPR's alpr_group; what we do not measure is left out or said as its null."""
    at = int(read.at.timestamp() * 1000)
    left, top, width, height = read.box
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    sure = round(read.confidence * 100, 4)
    state_sure = round(read.region_confidence * 100, 4) if read.region else 0
    candidates = [
        {"plate": text, "confidence": round(share * 100, 4), "matches_template": 0}
        for text, share in read.candidates
    ]
    best = {
        "plate": read.text,
        "confidence": sure,
        "matches_template": 0,
        "plate_index": 0,
        "region": _region(read.region),
        "region_confidence": state_sure,
        "processing_time_ms": 0,
        "requested_topn": len(candidates),
        "coordinates": [{"x": x, "y": y} for x, y in corners],
        "candidates": candidates,
    }
    return {
        "data_type": "alpr_group",
        "version": 2,
        "epoch_start": at,
        "epoch_end": at,
        "frame_start": 0,
        "frame_end": 0,
        "company_id": "",
        "agent_uid": read.unit_id,
        "agent_version": read.software,
        "agent_type": "platewarden",
        "camera_id": 0,
        "country": "us",
        "gps_latitude": -1 if read.lat is None else read.lat,
        "gps_longitude": -1 if read.lon is None else read.lon,
        "uuids": [str(read.pk)],
        "plate_indexes": [0],
        "candidates": candidates,
        "best_plate": best,
        "best_confidence": sure,
        "best_uuid": str(read.pk),
        "best_plate_number": read.text,
        "best_region": _region(read.region),
        "best_region_confidence": state_sure,
        "matches_template": 0,
        "best_image_width": read.frame_size[0],
        "best_image_height": read.frame_size[1],
        "is_parked": read.parked,
        "is_preview": False,
        "vehicle_detected": False,
        "web_server_config": {"camera_label": read.camera, "agent_label": str(read.unit)},
    }


def alpr_alert(hit: Hit, read: Read, status: str) -> dict[str, Any]:
    """A hit as OpenALPR's alpr_alert, with how it stands: UNVERIFIED until it was checked (430.3(f))."""
    match = f"{hit.kind} match{' of another state' if hit.state_agrees is False else ''}"
    return {
        "data_type": "alpr_alert",
        "version": 1,
        "epoch_time": int(read.at.timestamp() * 1000),
        "agent_uid": read.unit_id,
        "alert_list": hit.source,
        "site_name": str(read.unit),
        "camera_name": read.camera,
        "camera_number": 0,
        "plate_number": read.text,
        "description": f"{status}: {hit.alarm_class}, {match}, list {hit.list_version}",
        "list_type": "alert",
        "group": alpr_group(read),
    }


def _withheld(feed: Feed, message: FeedMessage) -> bool:
    """Whether a message of which nothing may be said is given up; not one whose read is still to come."""
    hits = Hit.objects.filter(pk=message.record, withdrawn=False)
    if feed.what == Feed.What.HITS:
        read = hits.values_list("read", flat=True).first()
        if read is not None and not Read.objects.filter(pk=read).exists():
            return _wait(message, "its read has not come yet") == "given_up"
    _end(message, FeedMessage.State.GIVEN_UP, "purged, withdrawn or on a restricted list")
    return True


def _send(feed: Feed, message: FeedMessage, body: dict[str, Any], post: Post) -> str:
    _log(feed, message, "done", f"attempt {message.attempts + 1}")
    try:
        post(feed.url, json.dumps(body).encode())
    except SendError as error:
        _log(feed, message, "failed", str(error))
        return _wait(message, str(error))
    message.attempts += 1
    _end(message, FeedMessage.State.SENT, "")
    return "sent"


def _log(feed: Feed, message: FeedMessage, outcome: str, note: str) -> None:
    host = urlsplit(feed.url).hostname or ""
    chain.append(
        kind="feed",
        person=None,
        username=f"feed {feed.pk}",
        action="feeds.send",
        purpose=feed.purpose,
        case=feed.document[:64],
        on_behalf_of=f"{feed.responsible}, {feed.agency}",
        elements={"feed": feed.name, "host": host, "what": feed.what, "message": message.pk},
        result_count=1 if outcome == "done" else None,
        ids=[message.record],
        outcome=outcome,
        note=note,
    )


def _wait(message: FeedMessage, why: str) -> str:
    now = clock.now()
    message.attempts += 1
    message.trouble = why[:200]
    if now - message.queued_at >= GIVE_UP:
        _end(message, FeedMessage.State.GIVEN_UP, why)
        return "given_up"
    message.due_at = now + min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(message.attempts - 1, 12))
    message.save(update_fields=["attempts", "trouble", "due_at"])
    return "failed"


def _end(message: FeedMessage, state: FeedMessage.State, why: str) -> None:
    message.state, message.done_at, message.trouble = state, clock.now(), why[:200]
    message.save(update_fields=["state", "done_at", "trouble", "attempts"])


def _region(region: str) -> str:
    return region.lower() if region.lower().startswith("us-") else f"us-{region.lower()}" if region else ""


def _loopback(host: str) -> bool:
    if host in _LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def waiting(feed: Feed) -> dict[str, int | datetime | None]:
    """How a feed stands, for its page."""
    rows = FeedMessage.objects.filter(feed=feed)
    oldest = rows.filter(state="waiting").order_by("queued_at").first()
    return {
        "sent": rows.filter(state="sent").count(),
        "waiting": rows.filter(state="waiting").count(),
        "given_up": rows.filter(state="given_up").count(),
        "oldest": oldest.queued_at if oldest else None,
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A recipient that sends us elsewhere is not the one that was approved."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
