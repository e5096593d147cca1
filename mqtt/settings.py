"""What the MQTT side of a unit needs to know, as frozen values.

Owns the fields, their units, ranges and defaults. `firmware.config` fills them from the sections
[mqtt] and [homeassistant]; the unit's own id is in section [unit].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Section [mqtt]: the way to HQ.

    Attributes:
        enabled: False keeps every message in the outbox and connects to nobody.
        host: the broker's name or address.
        port: its TCP port, 1 to 65535.
        tls: speak TLS 1.2 or newer. Without it only a loopback broker is accepted.
        allow_plain: True permits plain MQTT to another machine (a closed test network).
        ca_file: PEM file of the authority that signed the broker's certificate; "" uses the
            system's.
        cert_file, key_file: PEM files of the unit's client certificate and its key; both or neither.
        username, password_file: for a broker without client certificates; the file's first line
            is the password. "" sends none.
        group: the group of units whose hot list this unit follows (the characters of a unit id).
        keepalive_s: MQTT keep-alive in seconds, 5 to 3600.
        connect_timeout_s: seconds for TCP, TLS and CONNACK, 1 to 120.
        backoff_min_s, backoff_max_s: seconds before the first and between the last attempts to
            connect again, 0.1 to 3600; doubled from attempt to attempt, with jitter.
        window: messages that may be sent ahead of HQ's receipt, 1 to 10000.
        inflight: messages that may be sent ahead of the broker's PUBACK, 1 to 1000.
        receipt_timeout_s: seconds without a receipt's progress after which everything that HQ has
            not receipted is sent again, 1 to 86400; doubled from time to time up to 32 times.
        status_interval_s: seconds between two status messages, 1 to 3600.
        list_key_file: file with HQ's Ed25519 public key in hexadecimal; "" takes no hot list over
            MQTT, for an unsigned list is never trusted.
        list_secret_file: file with the unit's own secret key that opens the pieces of a hot list,
            made at the first start where it is missing; "" puts it beside the store.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 1883
    tls: bool = False
    allow_plain: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    username: str = ""
    password_file: str = ""
    group: str = "all"
    keepalive_s: int = 30
    connect_timeout_s: float = 10.0
    backoff_min_s: float = 1.0
    backoff_max_s: float = 60.0
    window: int = 200
    inflight: int = 16
    receipt_timeout_s: float = 30.0
    status_interval_s: float = 60.0
    list_key_file: str = ""
    list_secret_file: str = ""

    section: ClassVar[str] = "mqtt"
    """What a message about one of these calls their section."""

    def option(self, name: str) -> str:
        """What a message calls the field `name`."""
        return f"{self.section}.{name}"


_ON_COMMAND_LINE: Final = {
    "host": "--host",
    "tls": "--ca",
    "allow_plain": "--allow-plain",
    "ca_file": "--ca",
    "cert_file": "--cert",
    "key_file": "--key",
    "password_file": "--password-file",
}


class CommandSettings(MqttSettings):
    """The same of a command that reads no configuration: its options are what a message names."""

    __slots__ = ()

    def option(self, name: str) -> str:
        """What a message calls the field `name`."""
        return _ON_COMMAND_LINE[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistantSettings:
    """Section [homeassistant]: discovery at the owner's own broker, off by default.

    Attributes:
        enabled: whether the unit announces itself there at all.
        host, port, tls, allow_plain, ca_file, username, password_file: as in [mqtt].
        discovery_prefix: Home Assistant's prefix of discovery topics.
        plates: True also sends each read's plate text, in a message that is never retained.
    """

    enabled: bool = False
    host: str = "127.0.0.1"
    port: int = 1883
    tls: bool = False
    allow_plain: bool = False
    ca_file: str = ""
    username: str = ""
    password_file: str = ""
    discovery_prefix: str = "homeassistant"
    plates: bool = False
