"""The unit at the owner's own broker: Home Assistant discovery, figures and reads.

Owns the thread of that connection, which is apart from HQ's so that an owner's broker that is away
delays nothing. It is best effort: what is missed there is not sent again. The payloads are
`mqtt.homeassistant`.
"""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

from mqtt import homeassistant, outbox
from mqtt.client import Incoming, Link, Will
from mqtt.homeassistant import Message
from mqtt.messages import decode_record
from mqtt.outbox import Kind
from mqtt.records import Read, Status
from mqtt.settings import HomeAssistantSettings, MqttSettings

_STEP_S = 0.5
_ROWS = 100


class _OwnersBroker(MqttSettings):
    __slots__ = ()
    section = "homeassistant"


def link_settings(settings: HomeAssistantSettings) -> MqttSettings:
    """What the connection to the owner's broker needs to know."""
    return _OwnersBroker(
        host=settings.host,
        port=settings.port,
        tls=settings.tls,
        allow_plain=settings.allow_plain,
        ca_file=settings.ca_file,
        username=settings.username,
        password_file=settings.password_file,
    )


class HomeAssistant:
    """Announces one unit. `database` is the unit's SQLite file, from whose outbox reads are taken."""

    def __init__(self, settings: HomeAssistantSettings, unit: str, database: Path) -> None:
        self._settings = settings
        self._unit = unit
        self._database = database
        self._reported: Status | None = None
        self._announce = True
        self._link = Link(
            link_settings(settings),
            f"platewarden-{unit}",
            [f"{settings.discovery_prefix}/status"],
            will=Will(homeassistant.availability_topic(unit), b"offline"),
            on_message=self._received,
            on_up=self._up,
        )

    def report(self, status: Status) -> None:
        """Give the figures that are to be shown next; any thread may call it."""
        self._reported = status
        self._link.wake()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        with closing(outbox.open_database(self._database)) as db, closing(self._link) as link:
            after = outbox.last_sequence(db)
            shown: Status | None = None
            while not stop.is_set():
                link.step(_STEP_S)
                reported = self._reported
                if not link.connected or reported is None:
                    after = outbox.last_sequence(db)
                    continue
                if self._announce:
                    self._announce = False
                    shown = None
                    for message in homeassistant.discovery(
                        self._settings.discovery_prefix,
                        self._unit,
                        reported.software,
                        self._settings.plates,
                    ):
                        self._send(message)
                if reported is not shown:
                    shown = reported
                    self._send(homeassistant.state(self._unit, reported))
                for row in outbox.pending(db, after, _ROWS):
                    after = row.sequence
                    if row.kind is Kind.READ:
                        record = decode_record("read", row.body)
                        assert isinstance(record, Read)
                        self._send(homeassistant.read(self._unit, record, self._settings.plates))
            self._send(Message(homeassistant.availability_topic(self._unit), b"offline", retain=True))

    def _send(self, message: Message) -> None:
        self._link.publish(message.topic, message.payload, retain=message.retain)

    def _up(self) -> None:
        self._announce = True
        available = homeassistant.availability_topic(self._unit)
        self._send(Message(available, b"online", retain=True))

    def _received(self, incoming: Incoming) -> None:
        # Home Assistant has started and asks everybody to announce themselves.
        if incoming.payload == homeassistant.BIRTH.encode():
            self._announce = True
