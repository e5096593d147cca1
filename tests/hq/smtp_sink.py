"""A small SMTP server on loopback that keeps what it is given; it can be told to refuse."""

from __future__ import annotations

import base64
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default


@dataclass
class Sink:
    """What came, and whom it refuses: `refuse` holds addresses that get 550; only `password` logs in."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    password: str = ""
    most: int = 0
    """After so many mails it ends a connection, as servers do that limit them; 0: never."""

    def to(self, address: str) -> list[Message]:
        return [mail for mail in self.mails if mail["To"] == address]


class _Handler(socketserver.StreamRequestHandler):
    sink: Sink

    def handle(self) -> None:
        self._say("220 sink")
        refused, kept = False, 0
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"EHLO":
                self._say("250-sink\r\n250 AUTH PLAIN")
            elif verb == b"AUTH":
                given = base64.b64decode(line.split()[-1]).decode().split("\0")[-1]
                self._say("235 welcome" if given == self.sink.password else "535 wrong name or password")
            elif verb == b"MAIL" and self.sink.most and kept == self.sink.most:
                self._say("421 too many mails in this connection")
                return
            elif verb == b"RCPT":
                refused = any(address.encode() in line for address in self.sink.refuse)
                self._say("550 no such mailbox" if refused else "250 ok")
            elif verb == b"DATA":
                self._say("354 go on")
                self._data()
                self._say("250 kept")
                kept += 1
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _data(self) -> None:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.sink.raw.append(b"".join(lines))
        self.sink.mails.append(message_from_bytes(self.sink.raw[-1], policy=default))

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def serving() -> Iterator[Sink]:
    """A sink that listens on a free port while inside."""
    sink = Sink()
    handler = type("Handler", (_Handler,), {"sink": sink})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        sink.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
