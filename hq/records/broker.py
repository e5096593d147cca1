"""How HQ reaches the broker: options of a command, with defaults from the environment.

Environment: PLATEWARDEN_HQ_MQTT_HOST, _PORT, _CA, _CERT, _KEY, _USERNAME, _PASSWORD_FILE, _ALLOW_PLAIN (1).
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from hq.site.commands import port
from mqtt.settings import CommandSettings, MqttSettings

_PREFIX = "PLATEWARDEN_HQ_MQTT_"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the broker's options to a command."""
    group = parser.add_argument_group("broker", f"defaults come from {_PREFIX}HOST, {_PREFIX}PORT and so on")
    group.add_argument("--host", default=_of("HOST", "127.0.0.1"), help="name or address")
    group.add_argument("--port", type=port, default=_of("PORT", "1883"), help="TCP port")
    group.add_argument("--ca", metavar="PEM", default=_of("CA"), help="speak TLS; the broker's authority")
    group.add_argument("--cert", metavar="PEM", default=_of("CERT"), help="HQ's client certificate")
    group.add_argument("--key", metavar="PEM", default=_of("KEY"), help="its key")
    group.add_argument("--username", default=_of("USERNAME"), help="for a broker without client certificates")
    group.add_argument(
        "--password-file", metavar="FILE", default=_of("PASSWORD_FILE"), help="its first line is the password"
    )
    group.add_argument(
        "--allow-plain",
        action="store_true",
        default=_of("ALLOW_PLAIN") == "1",
        help="plain MQTT to another machine: a closed test network only",
    )


def settings_of(options: dict[str, Any]) -> MqttSettings:
    """The settings that the options name."""
    return CommandSettings(
        host=options["host"],
        port=options["port"],
        tls=bool(options["ca"] or options["cert"]),
        allow_plain=options["allow_plain"],
        ca_file=options["ca"],
        cert_file=options["cert"],
        key_file=options["key"],
        username=options["username"],
        password_file=options["password_file"],
        backoff_max_s=10.0,
    )


def _of(name: str, default: str = "") -> str:
    return os.environ.get(_PREFIX + name, default)
