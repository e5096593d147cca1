"""The process that tells units of their lists: retained manifests, pieces on request, which version is where.

Owns the connection and what is done in which order. What a publication holds is `publish`. Like the units it
is one thread that calls functions in order; the database is the only state, so that it can be killed at any
time and several can run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Final

from django.db import close_old_connections
from nacl.signing import SigningKey

from hq.lists import publish
from hq.lists.models import ListGroup, Member, Publication, UnitListState
from hq.log import chain
from hq.log.models import AccessRecord
from hq.records.models import Unit
from hq.site import clock
from mqtt import hotlists, messages, topics
from mqtt.client import Incoming, Link
from mqtt.errors import HotListError, MqttError
from mqtt.messages import BINARY_TYPE, JSON_TYPE
from mqtt.records import ChunkHeader, ChunkRequest, Status
from mqtt.settings import MqttSettings

logger = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""How often it looks for something new to publish."""

PIECE_EXPIRY_S: Final = 600
MOST_PIECES: Final = 64
"""In one answer; units ask for 16 at a time."""

REFUSED_AGAIN: Final = timedelta(hours=1)
"""A refusal of the same unit is logged again after this."""

_IDLE_S: Final = 0.5


class ListPublisher:
    """Publishes every group's list and answers the units.

    `now` is a monotonic clock in seconds. Raises LinkError where the way to the broker is set up wrongly.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        key: SigningKey,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = key
        self._now = now
        self._looked = -LOOK_S
        self._incoming: deque[Incoming] = deque()
        self._sent: dict[int, int] = {}
        self._link = Link(
            settings,
            client_id,
            [f"{topics.ROOT}/units/+/up/chunk-request", f"{topics.ROOT}/units/+/up/status"],
            on_message=self._incoming.append,
            on_up=self._sent.clear,
            session_expiry_s=0,
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        with closing(self._link):
            while not stop.is_set():
                self._link.step(_IDLE_S)
                while self._incoming:
                    self._take(self._incoming.popleft())
                if self._now() - self._looked >= LOOK_S:
                    self._looked = self._now()
                    close_old_connections()
                    self._look()

    def wake(self) -> None:
        """End the wait for the network at once; any thread may call it."""
        self._link.wake()

    def _look(self) -> None:
        """Publish what is due, also while there is no connection: it goes out when there is."""
        for group in ListGroup.objects.all():
            try:
                made = publish.publish_due(group, self._key)
            except HotListError as error:
                logger.error("%s", error)
                continue
            if made is not None:
                logger.info("group %s: version %s, %d entries", group, made.version, made.entry_count)
            newest = made or publish.current(group)
            if newest is not None and self._link.connected and self._sent.get(group.pk) != newest.pk:
                self._announce(group, newest)

    def _announce(self, group: ListGroup, publication: Publication) -> None:
        payload = publication.manifest.encode()
        if self._link.publish(topics.hotlist(group.name), payload, retain=True, content_type=JSON_TYPE):
            self._sent[group.pk] = publication.pk

    def _take(self, incoming: Incoming) -> None:
        try:
            unit_id, name = topics.parse_up(incoming.topic)
            record = messages.decode(name, incoming.payload).record
        except MqttError as error:
            logger.error("message on %s ignored: %s", incoming.topic, error)
            return
        if isinstance(record, Status):
            note_status(unit_id, record)
        elif isinstance(record, ChunkRequest):
            self._answer(unit_id, record)

    def _answer(self, unit_id: str, request: ChunkRequest) -> None:
        publication = note_request(unit_id, request)
        if publication is None:
            return
        refs = publish.manifest_of(publication).chunks
        for number in request.numbers[:MOST_PIECES]:
            piece = publish.piece(publication, number)
            if piece is None:
                continue
            try:
                sealed = hotlists.seal(piece, request.public_key)
            except HotListError as error:
                logger.error("unit %s: %s", unit_id, error)
                return
            header = ChunkHeader(
                list_id=request.list_id,
                version=request.version,
                number=number,
                sha256=refs[number].sha256,
                size=refs[number].size,
            )
            self._link.publish(
                topics.down(unit_id, "chunk"),
                messages.encode(header, None, sealed),
                content_type=BINARY_TYPE,
                expiry_s=PIECE_EXPIRY_S,
            )


def note_status(unit_id: str, status: Status) -> None:
    """Keep which list an enrolled unit says that it has in force."""
    # An offline unit tells no list; what it had is still what it has.
    if status.state in ("offline", "starting") or not _enrolled(unit_id):
        return
    fault = next((one for one in status.faults if "hot list" in one), "")
    UnitListState.objects.update_or_create(
        unit_id=unit_id,
        defaults={
            "version": status.list_version,
            "entry_count": status.list_entries,
            "age_s": status.list_age_s,
            "fault": fault,
            "reported_at": clock.now(),
        },
    )


def note_request(unit_id: str, request: ChunkRequest) -> Publication | None:
    """The publication that an enrolled unit of its group asks pieces of; None where it gets none.

    A piece holds every listed plate, so a unit that is not enrolled gets none (430.2-c), nor does one of
    another group or of no group (430.3(e)). Both are refused and logged.
    """
    if not _enrolled(unit_id):
        _refuse(unit_id, request, "430.2-c: the unit is not enrolled")
        return None
    if not Member.objects.filter(unit=unit_id, group__name=request.list_id).exists():
        _refuse(unit_id, request, "430.3(e): the unit is not of this list's group")
        return None
    found = Publication.objects.filter(group__name=request.list_id, version=request.version).first()
    if found is None:
        return None
    UnitListState.objects.update_or_create(
        unit_id=unit_id, defaults={"group_id": found.group_id, "asked_at": clock.now()}
    )
    return found


def _refuse(unit_id: str, request: ChunkRequest, why: str) -> None:
    """Log a refusal, once an hour for a unit: one that asks all the time must not fill the log."""
    logger.warning("unit %s asks for a hot list: %s", unit_id, why)
    said = AccessRecord.objects.filter(
        kind="lists",
        action="lists.pieces",
        username=unit_id,
        at__gte=clock.now() - REFUSED_AGAIN,
        note=why,
    )
    if not said.exists():
        chain.append(
            kind="lists",
            person=None,
            username=unit_id,
            action="lists.pieces",
            elements={"unit": unit_id, "list": request.list_id, "version": request.version},
            ids=[request.list_id],
            outcome="refused",
            note=why,
        )


def _enrolled(unit_id: str) -> bool:
    return Unit.objects.filter(pk=unit_id, state=Unit.State.ENROLLED).exists()
