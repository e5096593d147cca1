"""What the process tells systemd, by sd_notify(3) over its datagram socket, and what it asks of it.

Owns the messages and the question. When the watchdog is pinged is the loop's decision (`firmware.loop`):
after a frame was processed, never by a timer.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger(__name__)


class Notifier:
    """The way to the service manager; silent where there is none.

    Attributes:
        watchdog_s: the watchdog's time in seconds, None where nobody watches.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        """
        Args:
            environ: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as systemd sets them.
            pid: of the process that is watched; None is this one.
        """
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        self.watchdog_s = _watchdog_s(environ, os.getpid() if pid is None else pid) if address else None

    def ready(self) -> None:
        """The unit reads plates."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`, without plate text."""
        self._send("STATUS=" + " ".join(text.split()))

    def ping(self) -> None:
        """The loop is alive: feeds the watchdog."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The unit stops by itself."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Say nothing more; may be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), socket.MSG_DONTWAIT, self._address)
        except OSError as error:
            # The manager restarts us if it really hears nothing; reading plates goes on until then.
            logger.warning("systemd: %s", error)


def _watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdigit() and int(text) > 0 else None


def may_write(path: Path) -> bool:
    """Whether the installed service, whose ProtectSystem=strict makes the rest read-only for it, may write in
    the folder `path`; True where there is no such service or systemd cannot be asked."""
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return True
    wanted = "--property=ProtectSystem,ReadWritePaths,BindPaths,StateDirectory"
    told = subprocess.run(
        [systemctl, "show", "platewarden.service", wanted], capture_output=True, text=True, check=False
    )
    values = dict(line.partition("=")[::2] for line in told.stdout.splitlines())
    if told.returncode or values.get("ProtectSystem") != "strict" or values.get("BindPaths"):
        return True
    states = " ".join(f"/var/lib/{name}" for name in values.get("StateDirectory", "").split())
    # A path may hold blanks: it is looked for as a whole, without the marks that may stand before one.
    places = re.sub(r" [-+]+/", " /", f" {values.get('ReadWritePaths', '')} {states} ")
    ways = {path, path.resolve()}
    return any(f" {place} " in places for way in ways for place in (way, *way.parents))
