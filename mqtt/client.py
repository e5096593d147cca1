"""One connection to a broker: MQTT 5 with a persistent session, driven by the thread that owns it.

Owns connecting, TLS, back-off, and what counts as connected or sent. It keeps nothing: what must
not be lost is in the outbox. No thread is started; the owner calls `step` in a loop, and any other
thread may call `wake`, even after `close`.

Connected means: a CONNACK with a good reason code, and an answer to the subscriptions. Sent means: a
PUBACK with a good reason code. A new connection starts with nothing in flight, since whoever wanted
something sent learns from `on_down` that it was not.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import random
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from mqtt.errors import LinkError
from mqtt.settings import MqttSettings

logger = logging.getLogger(__name__)

SESSION_EXPIRY_S = 7 * 24 * 3600
"""How long the broker keeps a session of ours that is not connected."""

TAKEN_OVER = 0x8E
"""Reason code of a DISCONNECT: the broker has connected another client under our id (MQTT 5)."""

_NO_ANSWER = "no answer yet"
_LOST = "the connection was lost"
_CUT = 3  # so many connections that end soon and without a word are no accident
_RECEIVE_MAXIMUM = 65535


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from the broker. `mid` and `qos` are for `Link.ack`."""

    topic: str
    payload: bytes
    retain: bool
    mid: int
    qos: int


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker sends, retained, when this client vanishes."""

    topic: str
    payload: bytes


class Link:
    """A client's connection. One thread calls everything but `wake`.

    `on_message` is called for each message; with `manual_ack` the owner acknowledges it by `ack`,
    else that happens when it returns. `on_published(token, fault)` tells the fate of a `publish`:
    fault "" is a good PUBACK, else the broker's reason. `on_up` and `on_down` tell of the
    connection; messages may come before `on_up`, and after `on_down` no fate of an earlier token is
    told any more.

    Raises LinkError when the settings forbid or cannot make a connection at all.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        subscriptions: Sequence[str] = (),
        *,
        will: Will | None = None,
        on_message: Callable[[Incoming], None] = lambda message: None,
        on_published: Callable[[int, str], None] = lambda token, fault: None,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[], None] = lambda: None,
        manual_ack: bool = False,
        receive_maximum: int = 100,
        session_expiry_s: int = SESSION_EXPIRY_S,
    ) -> None:
        refuse_plain(settings)
        self._settings = settings
        self._client_id = client_id
        self._subscriptions = tuple(subscriptions)
        self._will = will
        self._on_message = on_message
        self._on_published = on_published
        self._on_up = on_up
        self._on_down = on_down
        self._manual_ack = manual_ack
        self._receive_maximum = receive_maximum
        self._session_expiry_s = session_expiry_s
        _read_secrets(settings)
        self._client: paho.Client | None = None
        self._accepted = False
        self._connected = False
        self._pause_s = 0.0
        self._overheard = ""
        self._up_at = 0.0
        self._cut = 0
        self._rival = ""
        self._next_attempt = 0.0
        self._deadline = 0.0
        self._fault = "not connected yet"
        self._maximum_packet: int | None = None
        self._broker_receives = _RECEIVE_MAXIMUM
        self._subscribe_fault = ""
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted this client, has answered its subscriptions and is still there."""
        return self._connected

    @property
    def fault(self) -> str:
        """Why there is no connection, or no subscription, or none that lasts; "" while all is well."""
        if self._connected:
            return self._subscribe_fault or self._rival
        return self._rival if self._rival and self._fault == _NO_ANSWER else self._fault

    @property
    def maximum_packet(self) -> int | None:
        """The largest packet in bytes that the broker takes, None for any."""
        return self._maximum_packet

    @property
    def broker_receives(self) -> int:
        """How many messages the broker takes ahead of its PUBACKs (MQTT 5's Receive Maximum)."""
        return self._broker_receives

    def wake(self) -> None:
        """End the current or next wait of `step` at once; any thread may call it."""
        # A full pair already wakes the other side, and a closed one has nobody to wake.
        with contextlib.suppress(OSError):
            self._wake_in.send(b"\0")

    def step(self, timeout: float) -> None:
        """Do what is due, waiting at most `timeout` seconds for the network or `wake`.

        Connecting may take up to `connect_timeout_s` longer.
        """
        client = self._client
        if client is None:
            delay = self._next_attempt - time.monotonic()
            if delay > 0:
                self._wait(None, min(timeout, delay))
            else:
                self._connect()
            return
        if not self._connected and time.monotonic() > self._deadline:
            self._drop(f"no answer from the broker within {self._settings.connect_timeout_s:g} s")
            return
        self._settle()
        sock = client.socket()
        if sock is None:
            self._lose()
            return
        buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        readable, writable = self._wait(client, 0.0 if buffered else timeout)
        if (readable or buffered) and client.loop_read() != paho.MQTT_ERR_SUCCESS:
            self._lose()
            return
        if writable and client.loop_write() != paho.MQTT_ERR_SUCCESS:
            self._lose()
            return
        if client.loop_misc() != paho.MQTT_ERR_SUCCESS or client.socket() is None:
            self._drop("the broker does not answer")

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: int | None = None,
        content_type: str = "",
        qos: int = 1,
    ) -> int | None:
        """Hand a message to the connection and return its token, None where there is none."""
        if self._client is None or not self._connected:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        if content_type:
            properties.ContentType = content_type
        info = self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        return info.mid if info.rc == paho.MQTT_ERR_SUCCESS else None

    def ack(self, message: Incoming) -> None:
        """Acknowledge a message of this connection by hand; `on_down` ends its right to be."""
        if self._client is not None:
            self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Say goodbye (no last will) and free the sockets; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            connected, self._connected = self._connected, False
            if connected:
                self._flush(client)
                client.disconnect()
            else:
                _discard(client)
        self._wake_out.close()
        self._wake_in.close()

    def _flush(self, client: paho.Client) -> None:
        deadline = time.monotonic() + 1.0
        while client.want_write() and time.monotonic() < deadline:
            sock = client.socket()
            if sock is None:
                return
            select.select([], [sock], [], 0.1)
            client.loop_write()

    def _connect(self) -> None:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=paho.MQTTv5,
            manual_ack=self._manual_ack,
            reconnect_on_failure=False,
        )
        client.connect_timeout = settings.connect_timeout_s
        client.max_inflight_messages_set(settings.inflight)
        self._subscribe_fault = ""
        self._fault = _NO_ANSWER
        try:
            # Each time anew, for a certificate is renewed while a unit runs for months.
            context, password = _read_secrets(settings)
        except LinkError as error:
            self._fault = ""
            self._drop(str(error))
            return
        if context is not None:
            client.tls_set_context(context)
        if settings.username:
            client.username_pw_set(settings.username, password)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        client.on_connect = self._connack
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._suback
        client.on_publish = self._puback
        client.on_message = self._received
        client.on_log = self._overhear
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._session_expiry_s
        properties.ReceiveMaximum = self._receive_maximum
        self._client = client
        self._connected = False
        self._deadline = time.monotonic() + settings.connect_timeout_s
        try:
            client.connect(
                settings.host,
                settings.port,
                keepalive=settings.keepalive_s,
                clean_start=False,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            self._drop(f"{settings.host}:{settings.port}: {_one_line(error)}")

    def _connack(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self._fault = f"refused by the broker: {reason}"
            return
        self._maximum_packet = getattr(properties, "MaximumPacketSize", None)
        self._broker_receives = getattr(properties, "ReceiveMaximum", _RECEIVE_MAXIMUM)
        self._accepted = True
        client.on_log, self._overheard = None, ""
        if self._subscriptions:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._subscriptions])
        else:
            self._ready()

    def _suback(
        self, client: paho.Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Any
    ) -> None:
        failed = [
            f"{topic}: {reason}"
            for topic, reason in zip(self._subscriptions, reasons, strict=False)
            if reason.is_failure
        ]
        self._subscribe_fault = f"no subscription to {'; '.join(failed)}" if failed else ""
        self._ready()

    def _ready(self) -> None:
        self._connected = True
        self._up_at = time.monotonic()
        if not self._rival:
            self._pause_s = 0.0
        self._fault = ""
        level = logging.DEBUG if self._rival else logging.INFO
        logger.log(level, "connected to %s:%d", self._settings.host, self._settings.port)
        self._on_up()

    def _puback(
        self, client: paho.Client, userdata: Any, mid: int, reason: ReasonCode, properties: Any
    ) -> None:
        self._on_published(mid, str(reason) if reason.is_failure else "")

    def _received(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._on_message(
            Incoming(message.topic, bytes(message.payload), message.retain, message.mid, message.qos)
        )

    def _disconnected(
        self, client: paho.Client, userdata: Any, flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        # The first word is the telling one, and of an end that is not the broker's word paho knows no reason.
        if not flags.is_disconnect_packet_from_server or self._fault not in ("", _NO_ANSWER):
            return
        self._fault = f"disconnected: {reason}"
        if reason.value == TAKEN_OVER:
            self._suspect(f"another client with the same id, {self._client_id!r}, takes the connection over")

    def _overhear(self, client: paho.Client, userdata: Any, level: int, text: str) -> None:
        # What the socket or TLS said paho tells nobody but its log. A TLS alert tells most; it is lost where
        # the broker has closed before we write, so the last one stands until a connection is accepted.
        told = level == paho.MQTT_LOG_ERR and text.startswith("failed to receive")
        if told and ("ALERT" in text or "ALERT" not in self._overheard):
            self._overheard = text.partition(": ")[2]

    def _lose(self) -> None:
        settings, said = self._settings, self._overheard
        if self._accepted or not said:
            self._drop(_LOST)
            return
        if settings.tls:
            # In TLS 1.3 a broker that does not take our certificate says so only after the handshake.
            option, file = settings.option("cert_file"), settings.cert_file or "not set"
            said += f"; the broker may not take the client certificate ({option}, {file})"
        self._drop(f"{settings.host}:{settings.port}: {said}")

    def _drop(self, fault: str) -> None:
        """End the connection, keep the most telling fault and set the time of the next attempt."""
        client, self._client = self._client, None
        was_accepted, self._accepted = self._accepted, False
        was_connected, self._connected = self._connected, False
        if was_connected:
            self._weigh(fault)
        elif not was_accepted:
            self._cut = 0  # What ended it last was the broker's or the network's own end.
        if self._fault in ("", _NO_ANSWER):
            self._fault = fault
        if client is not None:
            _discard(client)
        settings = self._settings
        first = not self._pause_s
        self._pause_s = min(settings.backoff_max_s, max(settings.backoff_min_s, 2 * self._pause_s))
        delay = self._pause_s * random.uniform(0.5, 1.0)
        self._next_attempt = time.monotonic() + delay
        logger.log(
            logging.WARNING if first and not self._rival else logging.DEBUG,
            "no connection to %s:%d (%s), next attempt in %.1f s",
            settings.host,
            settings.port,
            self._fault,
            delay,
        )
        if was_accepted:
            self._on_down()

    # Another client with our id: the broker ends the older connection for the newer one, so two of them that
    # come back at once take turns for ever. Each then waits longer and longer, and tells why.

    def _weigh(self, fault: str) -> None:
        """What the end of a connection that had been made says of another client."""
        lasted = time.monotonic() - self._up_at
        if lasted > 2 * self._pause_s:
            self._pause_s = 0.0
        if self._fault or fault != _LOST:
            return
        # Mosquitto before 2.0.15 tells the older client nothing, it only closes.
        self._cut = self._cut + 1 if lasted < self._settled_s() else 1
        if self._cut >= _CUT:
            self._suspect(
                "the broker keeps ending the connection without a word, as it does when another client has"
                f" the same id, {self._client_id!r}"
            )

    def _suspect(self, rival: str) -> None:
        if not self._rival:
            logger.warning("%s", rival)
        self._rival = self._fault = rival

    def _settle(self) -> None:
        """A connection that has outlasted every pause of another client has no rival any more."""
        if self._rival and self._connected and time.monotonic() - self._up_at > self._settled_s():
            logger.info("the connection lasts again")
            self._rival, self._cut, self._pause_s = "", 0, 0.0

    def _settled_s(self) -> float:
        return 2 * self._settings.backoff_max_s

    def _wait(self, client: paho.Client | None, timeout: float) -> tuple[bool, bool]:
        sock = None if client is None else client.socket()
        reads = [self._wake_out] if sock is None else [self._wake_out, sock]
        writes = [sock] if client is not None and sock is not None and client.want_write() else []
        readable, writable, _ = select.select(reads, writes, [], max(0.0, timeout))
        if self._wake_out in readable:
            with contextlib.suppress(BlockingIOError):
                while self._wake_out.recv(4096):
                    pass
        return sock is not None and sock in readable, bool(writable)


def refuse_plain(settings: MqttSettings) -> None:
    """Raise LinkError where plate text would cross a network in the clear (CJIS SC-8)."""
    if settings.tls or settings.allow_plain or _is_loopback(settings.host):
        return
    host, tls, allow_plain = (settings.option(name) for name in ("host", "tls", "allow_plain"))
    raise LinkError(
        f"{host} {settings.host}: plain MQTT is for loopback only; set {tls}, or"
        f" {allow_plain} on a closed test network"
    )


def tls_context(settings: MqttSettings) -> ssl.SSLContext:
    """A client's context: TLS 1.2 or newer, the broker's name checked, our certificate.

    Raises LinkError naming the option whose file cannot be used.
    """
    ca, cert, key = (settings.option(name) for name in ("ca_file", "cert_file", "key_file"))
    for option, path in ((ca, settings.ca_file), (cert, settings.cert_file), (key, settings.key_file)):
        if path and not Path(path).is_file():
            raise LinkError(f"{option}: {path} is not a file")
    if bool(settings.cert_file) != bool(settings.key_file):
        raise LinkError(f"{cert} and {key}: give both or neither")
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise LinkError(f"{ca}: {settings.ca_file}: {_one_line(error)}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file:

        def phrase() -> str:
            # Without this OpenSSL asks whoever is at the terminal: `check` is content and the service ends.
            raise LinkError(
                f"{key}: {settings.key_file}: has a pass phrase, and nobody is there to type it;"
                " openssl pkey -in OLD -out NEW takes it off"
            )

        try:
            context.load_cert_chain(settings.cert_file, settings.key_file, phrase)
        except (OSError, ssl.SSLError) as error:
            raise LinkError(f"{cert}: {settings.cert_file}: {_one_line(error)}") from error
    return context


def read_password(settings: MqttSettings) -> str | None:
    """The first line of the password file, None where none is named. Raises LinkError naming the option."""
    if not settings.password_file:
        return None
    option = settings.option("password_file")
    try:
        lines = Path(settings.password_file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LinkError(f"{option}: {_one_line(error)}") from error
    if not lines:
        raise LinkError(f"{option}: {settings.password_file} is empty")
    return lines[0]


def _read_secrets(settings: MqttSettings) -> tuple[ssl.SSLContext | None, str | None]:
    return tls_context(settings) if settings.tls else None, read_password(settings)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _discard(client: paho.Client) -> None:
    """Close a client's socket without a farewell, so that the broker sends the last will."""
    sock = client.socket()
    client.on_disconnect = None
    if sock is not None:
        # The client is thrown away next: whatever closing says changes nothing.
        with contextlib.suppress(OSError):
            sock.close()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
