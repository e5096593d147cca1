"""Sends the outbox in order and waits for HQ's receipts.

Owns which row is sent when and when it is sent again. Rows and receipts' meaning are
`mqtt.outbox`; the connection is `mqtt.client`, reached through the function `send`. One thread
uses a Drainer, with an SQLite connection of its own.

Three marks move along the numbers: receipted <= acknowledged by the broker <= sent. Only the first
is durable. `sent` falls back to the lowest unacknowledged number when the connection ends, and to
`receipted` when HQ says nothing for `receipt_timeout_s` of the first that the broker has acknowledged.
That everything goes again happens once: while HQ stays silent, only the first is sent from time to time,
for a broker that keeps the messages for HQ keeps each repetition too.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from mqtt import outbox, topics
from mqtt.errors import MessageError
from mqtt.messages import BINARY, BINARY_TYPE, JSON_TYPE, decode_record, encode_record, wrap
from mqtt.outbox import Kind, Outcome, Row
from mqtt.records import Envelope, Loss, PictureHeader, Receipt
from mqtt.settings import MqttSettings

logger = logging.getLogger(__name__)

MAX_INFLIGHT_BYTES: Final = 4 << 20
"""Bytes handed to the connection that the broker has not acknowledged, but for a single message."""

_REFUSED_PAUSE_S: Final = 5.0
_REFUSED_PAUSE_MAX_S: Final = 300.0
_MAX_STRETCH: Final = 32
_PACKET_MARGIN: Final = 512
_SPARE: Final = 3
_TRANSIENT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})


class Send(Protocol):
    """`Link.publish`: hands a message to the connection; None while there is none."""

    def __call__(self, topic: str, payload: bytes, *, content_type: str = "") -> int | None: ...


class Drainer:
    """The sender of one unit's outbox.

    `load` returns the bytes of a picture's file by its row's ref and raises OSError. `wall` returns
    the time now, None before the clock is set; `clock` is monotonic seconds.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        unit: str,
        settings: MqttSettings,
        *,
        load: Callable[[str], bytes],
        send: Send,
        wall: Callable[[], str | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._unit = topics.check_name(unit)
        self._settings = settings
        self._load = load
        self._send = send
        self._wall = wall
        self._clock = clock
        self._store_id = outbox.store_id(db)
        self._receipted = outbox.receipted(db)
        self._sent = self._receipted
        self._handed = self._receipted
        self._unacked: dict[int, tuple[int, int]] = {}
        self._stretch = 1
        self._asking = False
        self._quiet_since = clock()
        self._refused_pause = _REFUSED_PAUSE_S
        self._paused_until = 0.0
        self._up = False
        self._maximum_packet: int | None = None
        self._inflight = settings.inflight
        self.fault = ""

    @property
    def receipted(self) -> int:
        """The highest contiguous number that HQ has receipted."""
        return self._receipted

    @property
    def unheard(self) -> bool:
        """Whether HQ has receipted nothing for so long that everything was sent again in vain."""
        return self._asking

    @property
    def sent(self) -> int:
        """The highest number handed to the connection and not fallen back from."""
        return self._sent

    def up(self, broker_receives: int, maximum_packet: int | None) -> None:
        """The connection is there: go on from where it ended, within the broker's limits.

        It takes `broker_receives` messages ahead of its PUBACKs, of which a few are left to the
        status and to requests, and packets of at most `maximum_packet` bytes (None: any).
        """
        self._inflight = max(1, min(self._settings.inflight, broker_receives - _SPARE))
        self._maximum_packet = maximum_packet
        self._up = True
        self._quiet_since = self._clock()
        self._paused_until = 0.0

    def down(self) -> None:
        """The connection ended: what the broker did not acknowledge is sent again on the next."""
        self._up = False
        if self._unacked:
            lowest = min(sequence for sequence, _ in self._unacked.values())
            self._sent = max(self._receipted, min(self._sent, lowest - 1))
            self._unacked.clear()

    def published(self, token: int, fault: str) -> None:
        """The broker's answer to a message; a failure reason is not a success, so it stays unsent."""
        sequence, _ = self._unacked.pop(token, (0, 0))
        if not sequence:
            return
        if sequence == self._receipted + 1:
            # Of the first that has no receipt only: a unit that sends all the time would never send again
            # what a broker lost.
            self._quiet_since = self._clock()
        if not fault:
            self._refused_pause = _REFUSED_PAUSE_S
            self.fault = ""
            return
        self._sent = max(self._receipted, min(self._sent, sequence - 1))
        self._pause(f"the broker refused message {sequence}: {fault}")

    def receipt(self, word: Receipt) -> Outcome:
        """Apply HQ's receipt to the table and to what is sent next.

        It counts for what this process has sent. A higher number, of those that the store has given, may be
        another row's at HQ: from before a power cut took the newest commits, or from the card that this one
        is a copy of. So the row goes out first, and a later receipt is for it.
        """
        try:
            # Immediate: a row that is appended between reading and renumbering would be passed over.
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                if self._handed < word.sequence <= outbox.last_sequence(self._db):
                    word = replace(word, sequence=self._handed)
                outcome = outbox.receipt(self._db, word, self._wall() or word.at)
        except sqlite3.OperationalError as error:
            # A full disk: the next receipt marks these rows too; sending need not wait for it.
            logger.error("receipt %d could not be kept: %s", word.sequence, error)
            word = replace(word, sequence=min(word.sequence, self._handed))
            outcome = Outcome.ADVANCED if word.store_id == self._store_id else Outcome.OTHER_STORE
        if outcome is Outcome.OTHER_STORE:
            logger.info("receipt for another store (%s) ignored", word.store_id)
            return outcome
        if outcome in (Outcome.AGAIN, Outcome.RENUMBERED):
            logger.warning("HQ has messages up to %d only in common: %s", word.sequence, outcome)
            self._sent = word.sequence
        self._receipted = word.sequence
        self._handed = max(self._handed, word.sequence)
        self._sent = max(self._sent, word.sequence)
        # A receipt that repeats the last one says that HQ is there, and no more.
        self._stretch = 1
        self._asking = False
        if outcome is not Outcome.SAME:
            self._quiet_since = self._clock()
        return outcome

    def step(self) -> bool:
        """Send what may be sent now and say whether anything was."""
        if not self._up or self._clock() < self._paused_until:
            return False
        self._send_again_after_silence()
        window = 1 if self._asking else self._settings.window
        room = min(self._inflight - len(self._unacked), window - (self._sent - self._receipted))
        if room <= 0 or self._inflight_bytes() >= MAX_INFLIGHT_BYTES:
            return False
        # Numbers are committed in order, so one that is missing up to `last`, asked for first, was
        # purged and is no newcomer.
        last = outbox.last_sequence(self._db)
        rows = outbox.pending(self._db, self._sent, room)
        by_sequence = {row.sequence: row for row in rows}
        end = min(self._sent + room, max(last, rows[-1].sequence if rows else 0))
        before = self._sent
        for sequence in range(before + 1, end + 1):
            row = by_sequence.get(sequence) or _purged(sequence)
            if not self._send_row(row):
                break
            self._sent = sequence
            self._handed = max(self._handed, sequence)
            if self._inflight_bytes() >= MAX_INFLIGHT_BYTES:
                break
        return self._sent > before

    def _send_again_after_silence(self) -> None:
        if self._unacked or self._sent == self._receipted:
            return
        if self._clock() - self._quiet_since < self._settings.receipt_timeout_s * self._stretch:
            return
        # A receipt for the first says whether HQ is there again; what follows it then goes again as well.
        self._asking = self._stretch > 1
        level, last = (logging.DEBUG, self._receipted + 1) if self._asking else (logging.WARNING, self._sent)
        logger.log(level, "no receipt for messages %d to %d: sent again", self._receipted + 1, last)
        self._sent = self._receipted
        self._quiet_since = self._clock()
        self._stretch = min(self._stretch * 2, _MAX_STRETCH)

    def _send_row(self, row: Row) -> bool:
        kind, body, data = row.kind, row.body, b""
        if kind is Kind.PICTURE:
            try:
                data, reason = self._picture(row)
            except OSError as error:
                self._pause(f"picture of message {row.sequence}: {error.strerror}")
                return False
            if reason:
                try:
                    body = self._give_up(row, reason)
                except sqlite3.OperationalError as error:
                    self._pause(f"loss of message {row.sequence} cannot be written: {error}")
                    return False
                kind, data = Kind.LOSS, b""
        envelope = Envelope(unit=self._unit, store_id=self._store_id, sequence=row.sequence)
        payload = wrap(kind, envelope, body, data)
        content_type = BINARY_TYPE if kind in BINARY else JSON_TYPE
        token = self._send(topics.up(self._unit, kind), payload, content_type=content_type)
        if token is None:
            return False
        self._unacked[token] = (row.sequence, len(payload))
        return True

    def _picture(self, row: Row) -> tuple[bytes, str]:
        """(bytes, "") of a picture, or (b"", why it can never be sent).

        Raises OSError for a shortage that passes.
        """
        try:
            header = decode_record("picture", row.body)
            assert isinstance(header, PictureHeader)
            data = self._load(row.ref)
        except MessageError as error:
            return b"", f"its header is damaged: {error}"
        except FileNotFoundError:
            return b"", "its file is missing"
        except OSError as error:
            if error.errno in _TRANSIENT:
                raise
            return b"", f"its file cannot be read: {error.strerror}"
        if hashlib.sha256(data).hexdigest() != header.sha256:
            return b"", "its file is damaged"
        if self._maximum_packet and len(data) + len(row.body) + _PACKET_MARGIN > self._maximum_packet:
            return b"", f"it is larger than the broker's limit of {self._maximum_packet} bytes"
        return data, ""

    def _give_up(self, row: Row, reason: str) -> bytes:
        """Replace a picture that can never be sent by a loss record under its own number."""
        try:
            read_id = _read_id(row)
        except MessageError:
            read_id = ""
        lost = Loss(kind="picture", count=1, reason=reason, since=row.at, until=row.at, read_id=read_id)
        logger.error("picture of read %s is lost: %s", read_id or "unknown", reason)
        body = encode_record(lost)
        with self._db:
            outbox.replace(self._db, row.sequence, body)
        return body

    def _pause(self, fault: str) -> None:
        if fault != self.fault:
            logger.error("%s", fault)
        self.fault = fault
        self._paused_until = self._clock() + self._refused_pause
        self._refused_pause = min(self._refused_pause * 2, _REFUSED_PAUSE_MAX_S)

    def _inflight_bytes(self) -> int:
        return sum(size for _, size in self._unacked.values())


def _purged(sequence: int) -> Row:
    """What stands for a number whose row went with its read, when a restored HQ asks again."""
    lost = Loss(
        kind="record",
        count=1,
        reason="purged on the unit after HQ's receipt",
        since=None,
        until=None,
    )
    return Row(sequence, Kind.LOSS, "", encode_record(lost), None)


def _read_id(row: Row) -> str:
    header = decode_record("picture", row.body)
    assert isinstance(header, PictureHeader)
    return header.read_id
