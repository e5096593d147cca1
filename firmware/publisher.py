"""The unit's connection to HQ as a task: sends the outbox and the status, takes receipts and lists.

Owns the thread and what is done in which order. What is sent when is `mqtt.drainer`, the connection
`mqtt.client`, hot lists `firmware.listlink`, Home Assistant `firmware.homeassistant`.

The loop's thread only ever calls `wake`; upkeep calls `report` and `status`. All three return at once.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from firmware import hotlist
from firmware.config import Settings
from firmware.homeassistant import HomeAssistant
from firmware.listlink import ListLink
from firmware.store_db import FILE
from hw.protocols import Clock
from mqtt import hotlists, messages, outbox, topics
from mqtt.client import Incoming, Link, Will
from mqtt.drainer import Drainer
from mqtt.errors import HotListError, LinkError, MqttError
from mqtt.fields import time_text
from mqtt.messages import JSON_TYPE
from mqtt.records import ChunkHeader, ChunkRequest, Manifest, Receipt, Status
from plates.words import HotListEntry

logger = logging.getLogger(__name__)

_IDLE_S = 0.5
_COUNT_S = 0.5


def list_secret_path(settings: Settings) -> Path:
    """Where the unit's secret key for the pieces of a hot list is, or will be made."""
    named = settings.mqtt.list_secret_file
    return Path(named) if named else settings.store.directory / "unit.key"


@dataclass(frozen=True, slots=True)
class PublisherStatus:
    """How the way to HQ stands.

    Attributes:
        enabled: False where the configuration sends nothing to anybody.
        connected: whether the broker has accepted the unit.
        faults: one line for each thing that is wrong.
        queue: outbox rows that HQ has not receipted.
        oldest_at: time of the oldest of them, None where none has one.
        receipted: the highest contiguous number that HQ has receipted.
        sent: the highest number that was sent.
        list_version: the hot list version that HQ put into force here, "" for none.
    """

    enabled: bool
    connected: bool = False
    faults: tuple[str, ...] = ()
    queue: int = 0
    oldest_at: str | None = None
    receipted: int = 0
    sent: int = 0
    list_version: str = ""


class Publisher:
    """The task `publisher`. The store must have been opened once before `run`.

    Attributes:
        home: the way to the owner's own broker, None where it is off or set up wrongly, which is then a
            fault; its `run` is a task of its own.

    Raises LinkError where HQ's key, a certificate or the way to HQ's broker is set up wrongly, HotListError
    where the unit's own key cannot be used or made.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._mqtt = settings.mqtt
        self._unit = topics.check_name(settings.unit.id)
        self._directory = settings.store.directory
        self._clock = clock
        self._reported: Status = Status(state="starting", demo=settings.unit.demo)
        self._status_due = True
        self._counted = 0.0
        self._home_faults = settings.tolerated
        self._drainer: Drainer | None = None
        self._link: Link | None = None
        self._lists: ListLink | None = None
        if self._mqtt.enabled:
            self._link = self._make_link()
            self._lists = self._make_lists(settings)
        self.home = self._make_home(settings)
        self._status = PublisherStatus(enabled=self._mqtt.enabled, faults=self._home_faults)

    def wake(self) -> None:
        """Say that the outbox has a new row; any thread may call it."""
        if self._link is not None:
            self._link.wake()

    def report(self, status: Status) -> None:
        """Give the status that is to be published next, retained; any thread may call it."""
        self._reported = status
        self._status_due = True
        if self.home is not None:
            self.home.report(status)
        self.wake()

    def status(self) -> PublisherStatus:
        """How the way to HQ stood at the end of the publisher's last step."""
        return self._status

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then say goodbye. Unexpected errors end the task."""
        if self._link is None:
            stop.wait()
        else:
            self._serve(self._link, stop)

    def _serve(self, link: Link, stop: threading.Event) -> None:
        with closing(outbox.open_database(self._directory / FILE)) as db, closing(link):
            drainer = self._drainer = Drainer(
                db,
                self._unit,
                self._mqtt,
                load=lambda ref: (self._directory / ref).read_bytes(),
                send=link.publish,
                wall=self._wall,
            )
            busy = False
            while not stop.is_set():
                link.step(0.0 if busy else _IDLE_S)
                busy = drainer.step()
                if link.connected:
                    self._send_status(link)
                    if self._lists is not None:
                        self._lists.step()
                self._note(db, link, drainer)
            self._say_goodbye(link)

    def _note(self, db: sqlite3.Connection, link: Link, drainer: Drainer) -> None:
        # Twice a second is enough for the status, and while it sends there are hundreds of steps in one.
        if time.monotonic() - self._counted >= _COUNT_S:
            counts = outbox.counts(db)
            queue, oldest_at = counts.queue, counts.oldest_at
            self._counted = time.monotonic()
        else:
            queue, oldest_at = self._status.queue, self._status.oldest_at
        self._status = PublisherStatus(
            enabled=True,
            connected=link.connected,
            faults=tuple(self._faults(link, drainer)),
            queue=queue,
            oldest_at=oldest_at,
            receipted=drainer.receipted,
            sent=drainer.sent,
            list_version=self._lists.version if self._lists is not None else "",
        )

    def _send_status(self, link: Link) -> None:
        if not self._status_due:
            return
        self._status_due = False
        payload = messages.encode(self._reported)
        topic = topics.up(self._unit, "status")
        if link.publish(topic, payload, retain=True, content_type=JSON_TYPE) is None:
            self._status_due = True

    def _say_goodbye(self, link: Link) -> None:
        """Tell in the retained status that the unit was stopped and did not vanish."""
        if link.connected:
            self.report(Status(state="offline", at=self._wall(), demo=self._reported.demo))
            self._send_status(link)

    def _faults(self, link: Link, drainer: Drainer) -> Iterator[str]:
        if link.fault:
            yield f"broker: {link.fault}"
        if drainer.fault:
            yield f"outbox: {drainer.fault}"
        if link.connected and drainer.unheard:
            yield "HQ: gives no receipts, though the broker takes the messages"
        if self._lists is not None and self._lists.fault:
            yield self._lists.fault
        yield from self._home_faults

    def _make_link(self) -> Link:
        subscriptions = [topics.everything_down(self._unit)]
        if self._mqtt.list_key_file:
            subscriptions.append(topics.hotlist(self._mqtt.group))
        will = Will(topics.up(self._unit, "status"), messages.encode(Status(state="offline")))
        return Link(
            self._mqtt,
            self._unit,
            subscriptions,
            will=will,
            on_message=self._received,
            on_published=self._published,
            on_up=self._up,
            on_down=self._down,
        )

    def _make_home(self, settings: Settings) -> HomeAssistant | None:
        if not settings.homeassistant.enabled:
            return None
        try:
            return HomeAssistant(settings.homeassistant, self._unit, self._directory / FILE)
        except LinkError as error:
            # It is a nicety of the owner's: plates are read, and HQ gets them, without it.
            self._home_faults = (*self._home_faults, str(error))
            return None

    def _make_lists(self, settings: Settings) -> ListLink | None:
        if not self._mqtt.list_key_file:
            return None
        try:
            public_key = hotlists.read_public_key(Path(self._mqtt.list_key_file))
        except HotListError as error:
            raise LinkError(f"mqtt.list_key_file: {error}") from error
        return ListLink(
            self._directory / "hotlist-pieces",
            public_key=public_key,
            secret=hotlists.unit_key(list_secret_path(settings)),
            classes=settings.hotlist.classes,
            build=partial(_build, settings.hotlist.file),
            usable=partial(hotlist.is_usable, settings.hotlist.file),
            ask=self._ask,
            wall=self._wall,
        )

    def _up(self) -> None:
        assert self._drainer is not None
        assert self._link is not None
        self._drainer.up(self._link.broker_receives, self._link.maximum_packet)
        self._status_due = True

    def _down(self) -> None:
        assert self._drainer is not None
        self._drainer.down()

    def _published(self, token: int, fault: str) -> None:
        assert self._drainer is not None
        self._drainer.published(token, fault)

    def _received(self, incoming: Incoming) -> None:
        assert self._drainer is not None
        try:
            if incoming.topic == topics.hotlist(self._mqtt.group):
                if self._lists is not None and incoming.payload:
                    manifest = messages.decode("hotlist", incoming.payload).record
                    assert isinstance(manifest, Manifest)
                    self._lists.manifest(manifest)
                return
            _, name = topics.parse_down(incoming.topic)
            message = messages.decode(name, incoming.payload)
        except MqttError as error:
            logger.error("message on %s ignored: %s", incoming.topic, error)
            return
        if isinstance(message.record, Receipt):
            self._drainer.receipt(message.record)
        elif isinstance(message.record, ChunkHeader) and self._lists is not None:
            self._lists.chunk(message.record, message.data)

    def _ask(self, request: ChunkRequest) -> bool:
        assert self._link is not None
        topic = topics.up(self._unit, "chunk-request")
        payload = messages.encode(request)
        return self._link.publish(topic, payload, content_type=JSON_TYPE, expiry_s=300) is not None

    def _wall(self) -> str | None:
        wall = self._clock.now().wall
        return None if wall is None else time_text(wall)


def _build(path: Path, entries: Iterator[HotListEntry], manifest: Manifest) -> None:
    hotlist.build(path, entries, version=manifest.version, issued_at=manifest.issued_at)
