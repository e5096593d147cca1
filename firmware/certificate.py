"""What a certificate file says of itself, for the checks that tell before the broker does.

Owns reading it, by the `openssl` program: the standard library verifies certificates and shows none that it
does not trust or that has expired. Debian's ca-certificates, which a unit needs, brings that program along.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from firmware.errors import IoError

EXPIRES_SOON: Final = timedelta(days=30)
"""A certificate with less time left is told: a new one has to be made, carried out and installed."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of a file.

    Attributes:
        common_name: of its subject, "" where it has none. A broker takes it for the user's name.
        expires: the end of its validity.
    """

    common_name: str
    expires: datetime


def read_certificate(path: Path) -> Certificate:
    """Read a PEM file. Raises IoError where it holds no certificate or `openssl` is not installed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise IoError(f"{path}: cannot be looked at: openssl is not installed")
    words = [
        "x509",
        "-in",
        str(path),
        "-noout",
        "-enddate",
        "-subject",
        "-nameopt",
        "multiline,utf8,-esc_msb",
    ]
    told = subprocess.run([openssl, *words], capture_output=True, check=False)
    name, expires = "", None
    for line in told.stdout.decode(errors="replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "commonName":
            name = name or value.strip()
        elif key == "notAfter":
            expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(value), UTC)
    if told.returncode or expires is None:
        raise IoError(f"{path}: is no certificate")
    return Certificate(name, expires)


def told_of_end(expires: datetime, now: datetime) -> str:
    """What there is to tell of the end of a certificate's validity, "" while it is far away."""
    left, until = expires - now, f"{expires:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta(0):
        return f"expired at {until}"
    return f"expires within {left.days + 1} days, at {until}" if left < EXPIRES_SOON else ""
