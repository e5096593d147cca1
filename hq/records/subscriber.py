"""Takes what units send off the broker: commit, then acknowledge, then receipt.

Owns the loop: when a batch is taken, what happens when it cannot be, and which receipts are due. What a batch
becomes is `hq.records.intake`'s, the connection `mqtt.client`'s.

A message is acknowledged only after the commit of its batch, and a receipt is computed from the database
after that, so a subscriber may be killed at any moment: what was not acknowledged comes again, and what was
committed is known by its id. While the database or the disk cannot take anything, nothing is acknowledged,
the broker and the units keep it, and the subscriber goes on trying.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

from django.db import DatabaseError, connections
from django.dispatch import Signal

from hq.log import chain
from hq.records import admission, ledger, signals
from hq.records.intake import Intake, Source, Taken
from hq.records.ledger import Key, Standing
from hq.records.messages import Received, read_message
from hq.records.models import Transfer
from hq.site import clock
from mqtt import messages, topics
from mqtt.client import SESSION_EXPIRY_S, Incoming, Link
from mqtt.fields import time_text
from mqtt.messages import JSON_TYPE
from mqtt.records import Receipt
from mqtt.settings import MqttSettings

logger = logging.getLogger(__name__)

BATCH: Final = 200
"""Most messages in one commit."""
LINGER_S: Final = 0.05
"""Longest wait of a message for its batch to fill."""
AHEAD: Final = 4
"""So many batches the broker may send ahead of an acknowledgement."""

SHARED: Final = "$share/hq/"
SHARED_EXPIRY_S: Final = 60
"""A broker deals a shared subscription's messages to sessions that are away too, so one that does not come
back must soon end; the units send again what was dealt to it."""

_QUIET_S: Final = 0.01
_IDLE_S: Final = 0.5
_TICK_S: Final = 1.0
_REPEAT_S: Final = 2.0
_PAUSE_S: Final = 0.2
_PAUSE_MAX_S: Final = 10.0
_MAX_OCTETS: Final = 16 << 20


class Subscriber:
    """One subscriber to every unit.

    `name` makes its session at the broker: two that run at the same time need two names. With `share` it
    takes its part of the load beside others that share.
    """

    def __init__(
        self,
        settings: MqttSettings,
        intake: Intake,
        name: str = "hq",
        *,
        share: bool = False,
        batch: int = BATCH,
        linger_s: float = LINGER_S,
    ) -> None:
        self._intake = intake
        self._source = Source(Transfer.Way.MQTT, name)
        self._size = batch
        self._linger_s = linger_s
        self._waiting: list[tuple[Incoming, Received]] = []
        self._octets = 0
        self._first_at = 0.0
        self._told: dict[Key, tuple[int, float]] = {}
        self._fault = ""
        self._pause_s = _PAUSE_S
        self._paused_until = 0.0
        self._next_tick = 0.0
        self._admission_fault = ""
        self._link = Link(
            settings,
            name,
            [SHARED * share + topics.EVERYTHING_UP],
            on_message=self._arrived,
            on_up=self._up,
            on_down=self._forget,
            manual_ack=True,
            receive_maximum=AHEAD * batch,
            session_expiry_s=SHARED_EXPIRY_S if share else SESSION_EXPIRY_S,
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        told = ""
        with closing(self._link) as link:
            while not stop.is_set():
                before = len(self._waiting)
                link.step(self._patience())
                if self._is_due(before):
                    self._take()
                if link.connected and time.monotonic() >= self._next_tick:
                    self._next_tick = time.monotonic() + _TICK_S
                    self._send(signals.ticked, publish=link.publish)
                    self._admit()
                if link.fault != told and "no answer" not in link.fault:
                    if link.fault:
                        logger.error("broker: %s", link.fault)
                    else:
                        logger.warning("broker: connected again")
                    told = link.fault

    def wake(self) -> None:
        """End the wait for the network at once; any thread may call it."""
        self._link.wake()

    # The batch

    def _arrived(self, incoming: Incoming) -> None:
        if not self._waiting:
            self._first_at = time.monotonic()
        item = read_message(incoming.topic, incoming.payload, retained=incoming.retain)
        self._waiting.append((incoming, item))
        self._octets += len(incoming.payload)

    def _forget(self) -> None:
        # Of an ended connection nothing can be acknowledged; the broker sends all of it again.
        self._waiting.clear()
        self._octets = 0

    def _patience(self) -> float:
        now = time.monotonic()
        if now < self._paused_until:
            return self._paused_until - now
        if not self._waiting:
            return _IDLE_S
        return max(0.0, min(_QUIET_S, self._first_at + self._linger_s - now))

    def _is_due(self, before: int) -> bool:
        now = time.monotonic()
        if not self._waiting or now < self._paused_until:
            return False
        full = len(self._waiting) >= self._size or self._octets >= _MAX_OCTETS
        return full or len(self._waiting) == before or now >= self._first_at + self._linger_s

    def _take(self) -> None:
        batch = self._waiting[: self._size]
        try:
            taken = self._intake.take([item for _, item in batch], self._source)
        except (DatabaseError, OSError) as error:
            self._pause(error)
            return
        if self._fault:
            logger.warning("taking messages again")
        self._fault, self._pause_s = "", _PAUSE_S
        del self._waiting[: len(batch)]
        self._octets = sum(len(incoming.payload) for incoming, _ in self._waiting)
        self._first_at = time.monotonic()
        for incoming, _ in batch:
            self._link.ack(incoming)
        self._receipt(self._due(taken.standings, (item for _, item in batch)))
        self._tell(taken)

    def _pause(self, error: Exception) -> None:
        # The kind of the error only: a database repeats values in its own words.
        fault = f"{type(error).__name__}: {_cause(error)}"
        if fault != self._fault:
            logger.error("messages wait at the broker, they cannot be kept: %s", fault)
        self._fault = fault
        self._paused_until = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, _PAUSE_MAX_S)
        # A connection that has failed is not used again.
        connections.close_all()

    def _admit(self) -> None:
        """Try one batch of what people admitted out of quarantine, at each tick until all of it was tried."""
        fault = ""
        try:
            admission.step(self._intake)
        except (DatabaseError, OSError, chain.LogUnavailable) as error:
            fault = f"{type(error).__name__}: {_cause(error)}"
        if fault and fault != self._admission_fault:
            logger.error("what was admitted waits in quarantine: %s", fault)
        self._admission_fault = fault

    # Receipts

    def _up(self) -> None:
        # Tells every unit where this HQ stands, which is behind if it was restored from a backup.
        try:
            self._receipt(ledger.standings())
        except DatabaseError as error:
            self._pause(error)
        self._send(signals.connected, publish=self._link.publish)

    def _due(self, standings: Iterable[Standing], items: Iterable[Received]) -> list[Standing]:
        """The stores to receipt: a number took them further than they were told, or one came again though
        it was receipted (the receipt was lost), or there is a gap and they were not told for a while."""
        lowest: dict[Key, int] = {}
        for item in items:
            if item.envelope is not None:
                key = (item.envelope.unit, item.envelope.store_id)
                lowest[key] = min(item.envelope.sequence, lowest.get(key, item.envelope.sequence))
        due = []
        for one in standings:
            told, when = self._told.get((one.unit, one.store_id), (-1, 0.0))
            again = lowest[one.unit, one.store_id] <= told
            if one.contiguous != told or again or (one.missing and time.monotonic() - when > _REPEAT_S):
                due.append(one)
        return due

    def _receipt(self, standings: Iterable[Standing]) -> None:
        # Two subscribers may overtake each other here. The unit then takes the lower receipt for that of a
        # restored HQ and sends some messages again, which are known; the next receipt puts it right.
        at = time_text(clock.now())
        for one in standings:
            payload = messages.encode(Receipt(store_id=one.store_id, sequence=one.contiguous, at=at))
            topic = topics.down(one.unit, "receipt")
            if self._link.publish(topic, payload, content_type=JSON_TYPE) is not None:
                self._told[one.unit, one.store_id] = (one.contiguous, time.monotonic())

    # What others do with it

    def _tell(self, taken: Taken) -> None:
        if taken.hits:
            self._send(signals.hits_received, ids=taken.hits)
        for unit, request in taken.requests:
            self._send(signals.chunk_requested, unit=unit, request=request, publish=self._link.publish)

    def _send(self, signal: Signal, **about: Any) -> None:
        for receiver, answer in signal.send_robust(sender=Subscriber, **about):
            if isinstance(answer, Exception):
                name = getattr(receiver, "__qualname__", receiver)
                logger.error("%s failed: %s", name, type(answer).__name__)


def _cause(error: Exception) -> str:
    """What a lock, a full disk or a lost server says of itself, without the values of a statement."""
    if isinstance(error, OSError):
        return error.strerror or "input or output failed"
    return str(error).splitlines()[0][:80] if str(error) else "the database refuses"
