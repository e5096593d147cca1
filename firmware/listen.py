"""An MQTT subscriber at HQ's end: takes the units' messages, checks them and prints a line for each.

Owns the subscriber's loop: a message is acknowledged only after what it brought is committed, and a
receipt is computed from the database after that. What is kept is `firmware.listen_store`, hot lists
are `firmware.listen_lists`. It stands in for HQ where there is none.

A line holds counts and ids; plate text needs a Grant (a named person with a purpose, recorded before it
is shown), or is shown of reads that a demonstration site made.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from firmware.access import Grant
from firmware.listen_lists import ListServer
from firmware.listen_store import Conflict, ListenStore, Series, receipt_of
from hw.protocols import ClockQuality, Timestamp
from mqtt import messages, topics
from mqtt.client import SESSION_EXPIRY_S, Incoming, Link
from mqtt.errors import HotListError, MqttError, TopicError
from mqtt.fields import time_text
from mqtt.messages import JSON_TYPE, Message
from mqtt.records import (
    AccessRecord,
    ChunkRequest,
    Envelope,
    Hit,
    Loss,
    PictureHeader,
    Read,
    Status,
)
from mqtt.settings import MqttSettings

logger = logging.getLogger(__name__)

BATCH = 100
"""Most messages in one commit; the broker may send so many and more ahead of an acknowledgement."""

_IDLE_S = 0.5
_LINGER_S = 0.02
_REPEAT_S = 2.0
_RENEW_S = 60.0
_REMEMBERED = 10_000

Show = Callable[[str], None]


class Listener:
    """Subscribes to every unit and prints.

    `store` keeps what comes and makes it an HQ that sends receipts; without one nothing is kept, and
    a bad message is only told. `demo` shows the plates of reads that say they are a demonstration's,
    `grant` those of all, each recorded first. By `now` the entries of `lists` expire.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        show: Show,
        *,
        store: ListenStore | None = None,
        lists: ListServer | None = None,
        demo: bool = False,
        grant: Grant | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._print = show
        self._now = now
        self._renew_at = 0.0
        self._store = store
        self._lists = lists
        self._demo = demo
        self._grant = grant
        self._batch: list[Incoming] = []
        self._told: dict[tuple[str, str], tuple[int, float]] = {}
        self._demo_reads: set[str] = set()
        self._shown: list[str] = []
        self.bad = 0
        self._link = Link(
            settings,
            client_id,
            [topics.EVERYTHING_UP],
            on_message=self._batch.append,
            on_up=self._up,
            on_down=self._batch.clear,
            manual_ack=True,
            receive_maximum=4 * BATCH,
            session_expiry_s=0 if store is None else SESSION_EXPIRY_S,
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Raises StoreError when what came cannot be kept."""
        told_fault = ""
        with closing(self._link) as link:
            while not stop.is_set():
                before = len(self._batch)
                self._renew_list()
                link.step(_LINGER_S if self._batch else _IDLE_S)
                if self._batch and (len(self._batch) == before or len(self._batch) >= BATCH):
                    self._take_batch()
                if link.fault != told_fault:
                    told_fault = link.fault
                    if told_fault and "no answer" not in told_fault:
                        self._show(f"broker     {told_fault}")

    def wake(self) -> None:
        """End the wait for the network at once; any thread may call it."""
        self._link.wake()

    def _show(self, line: str) -> None:
        # What a message holds is the sender's text: no control character of it reaches a terminal.
        self._print("".join(char if char.isprintable() else "?" for char in line))

    def _up(self) -> None:
        self._show("broker     connected")
        self._announce_list()
        # Tells every unit where this HQ stands, which is behind if it was restored from a backup.
        if self._store is not None:
            self._send_receipts(self._store.series())

    def _announce_list(self) -> None:
        if self._lists is not None:
            topic, payload = self._lists.announcement()
            self._link.publish(topic, payload, retain=True, content_type=JSON_TYPE)

    def _renew_list(self) -> None:
        """Once a minute: a unit whose clock is not set alarms on what has expired here meanwhile."""
        if self._lists is None or time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + _RENEW_S
        now = self._now()
        try:
            # This machine's own day, as on a unit: an evening in California is tomorrow in UTC.
            if self._lists.renew(now, now.astimezone().date()):
                self._announce_list()
        except (HotListError, OSError) as error:
            logger.error("the hot list is not renewed: %s", error)

    def _take_batch(self) -> None:
        batch, lines = self._batch[:], []
        at = time_text(datetime.now(UTC))
        envelopes: list[Envelope] = []
        for incoming in batch:
            line, envelope = self._take(incoming, at)
            if line:
                lines.append(line)
            if envelope is not None:
                envelopes.append(envelope)
        if self._store is not None:
            for envelope in envelopes:
                self._store.received(envelope)
            self._store.commit()
        del self._batch[: len(batch)]
        for incoming in batch:
            self._link.ack(incoming)
        if self._store is not None:
            self._send_receipts(self._news(envelopes))
        if self._grant is not None and self._shown:
            self._grant.showing(list(dict.fromkeys(self._shown)))
            self._shown.clear()
        for line in lines:
            self._show(line)

    def _take(self, incoming: Incoming, at: str) -> tuple[str, Envelope | None]:
        """The line to print for a message, and its number if it counts as received."""
        envelope = None
        try:
            unit, name = topics.parse_up(incoming.topic)
            envelope = messages.envelope_of(name, incoming.payload) if name in messages.NUMBERED else None
            if envelope is not None and envelope.unit != unit:
                envelope = None
                raise TopicError(f"envelope.unit: is not {unit}, whose topic this is")
            message = messages.decode(name, incoming.payload)
            new = self._store.add(unit, message, at) if self._store is not None else True
        except (MqttError, Conflict) as error:
            self.bad += 1
            logger.error("message on %s put into quarantine: %s", incoming.topic, error)
            if self._store is not None:
                self._store.quarantine(incoming.topic, incoming.payload, str(error), at)
            return f"bad        {incoming.topic}: {error}", envelope
        if message.unknown:
            logger.warning("%s: fields of a newer version: %s", incoming.topic, ", ".join(message.unknown))
        if isinstance(message.record, ChunkRequest):
            return self._serve(unit, message.record), None
        return (self._line(unit, message) if new else ""), envelope

    def _serve(self, unit: str, request: ChunkRequest) -> str:
        if self._lists is None:
            return f"hot list   {unit} asks for pieces; none are served here"
        sent = 0
        for payload in self._lists.answers(request):
            topic = topics.down(unit, "chunk")
            self._link.publish(topic, payload, expiry_s=600, content_type=messages.BINARY_TYPE)
            sent += 1
        return f"hot list   {unit} was sent {sent} pieces of version {request.version}"

    def _news(self, envelopes: Iterable[Envelope]) -> Iterator[Series]:
        """The series that a receipt is due for, because one of these numbers took it further than it
        was told, or came again though it was receipted (the receipt was lost), or is behind a gap."""
        assert self._store is not None
        lowest: dict[tuple[str, str], int] = {}
        for envelope in envelopes:
            key = (envelope.unit, envelope.store_id)
            lowest[key] = min(envelope.sequence, lowest.get(key, envelope.sequence))
        for key, sequence in lowest.items():
            series = self._store.one_series(*key)
            told, when = self._told.get(key, (-1, 0.0))
            gap = series.missing and time.monotonic() - when > _REPEAT_S
            if series.contiguous != told or sequence <= told or gap:
                yield series

    def _send_receipts(self, news: Iterable[Series]) -> None:
        at = time_text(datetime.now(UTC))
        for series in news:
            topic = topics.down(series.unit, "receipt")
            payload = messages.encode(receipt_of(series, at))
            if self._link.publish(topic, payload, content_type=JSON_TYPE) is not None:
                self._told[series.unit, series.store_id] = (series.contiguous, time.monotonic())

    def _line(self, unit: str, message: Message) -> str:
        record = message.record
        number = f"#{message.envelope.sequence}" if message.envelope else ""
        head = f"{message.name:<10} {unit} {number}"
        match record:
            case Read():
                return f"{head} {record.read_id} revision {record.revision}{self._plate(record)}"
            case Hit():
                withdrawn = " withdrawn" if record.withdrawn else ""
                differs = " another state" if record.state_agrees is False else ""
                entry = f" {record.entry_plate} {record.reason}" if self._may_show(record.read_id) else ""
                return (
                    f"{head} {record.read_id} {record.kind}{differs} {record.alarm_class}{withdrawn}"
                    f" {record.status}{entry}"
                )
            case PictureHeader():
                path = self._store.picture_path(record) if self._store is not None else ""
                return f"{head} {record.read_id} {record.kind} {record.size} bytes {path}".rstrip()
            case Loss():
                return f"{head} {record.count} {record.kind}: {record.reason}"
            case AccessRecord():
                return f"{head} {record.access_id} {record.action} {record.outcome}, {record.results} results"
            case Status():
                faults = "; ".join(record.faults)
                return f"{head}{record.state}, {record.queue} waiting{': ' + faults if faults else ''}"
        return head

    def _plate(self, record: Read) -> str:
        if self._demo and record.demo:
            if len(self._demo_reads) >= _REMEMBERED:
                self._demo_reads.clear()
            self._demo_reads.add(record.read_id)
        if not self._may_show(record.read_id):
            return f", {len(record.pictures)} pictures"
        region = f" {record.region}" if record.region else ""
        when = record.captured_at or "before the clock was set"
        return f" {record.plate}{region} {record.confidence:.2f} {when}"

    def _may_show(self, read_id: str) -> bool:
        if self._grant is not None:
            self._shown.append(read_id)
            return True
        if read_id in self._demo_reads:
            return True
        return self._demo and self._store is not None and self._store.is_demo(read_id)


class ServerClock:
    """The clock of the machine at HQ, which keeps its time itself (hw.protocols.Clock)."""

    def now(self) -> Timestamp:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
        return Timestamp(boot_id, boottime, datetime.now(UTC), ClockQuality.NTP)

    def wall(self, boot_id: str, boottime: float) -> tuple[datetime, ClockQuality] | None:
        now = self.now()
        assert now.wall is not None
        if boot_id != now.boot_id:
            return None
        return now.wall - timedelta(seconds=now.boottime - boottime), now.quality
