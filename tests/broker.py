"""A real mosquitto for tests, and a network between it and a client that can stall.

`Broker` starts Debian's mosquitto on a free loopback port with a configuration of its own;
`Certificates` makes an authority with a broker's and clients' certificates; `Proxy` forwards TCP
and can stop forwarding without closing anything.
"""

from __future__ import annotations

import datetime
import ipaddress
import select
import socket
import subprocess
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import needs

ACL = """\
user hq
topic readwrite platewarden/v1/#

pattern write platewarden/v1/units/%u/up/#
pattern read platewarden/v1/units/%u/down/#
pattern read platewarden/v1/groups/+/hotlist
"""
"""The ACL that docs/mqtt.md recommends."""


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Certificates:
    """An authority in `folder` with ca.pem, and <name>.pem and <name>.key for each name made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._write("ca", self._sign(self._name, self._key, authority=True), self._key)

    def make(self, name: str, good_for: datetime.timedelta = datetime.timedelta(days=1)) -> None:
        """Sign a certificate whose common name is `name`, good for 127.0.0.1 and localhost; `good_for` may
        be negative by less than a day."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._write(name, self._sign(subject, key, authority=False, good_for=good_for), key)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        authority: bool,
        good_for: datetime.timedelta = datetime.timedelta(days=1),
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + good_for)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


class Broker:
    """One mosquitto on a loopback port that stays the same over restarts.

    With `certificates` it speaks mutual TLS, takes a certificate's common name as the user and
    enforces `acl`. `extra` is added to the configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        persistence: bool = False,
        certificates: Certificates | None = None,
        acl: str = ACL,
        extra: str = "",
    ) -> None:
        self._mosquitto = needs.program("mosquitto")
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} 127.0.0.1", "log_dest file " + str(folder / "mosquitto.log")]
        if persistence:
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        if certificates is None:
            lines += ["allow_anonymous true"]
        else:
            certificates.make("broker")
            (folder / "acl").write_text(acl)
            lines += [
                f"cafile {certificates.folder / 'ca.pem'}",
                f"certfile {certificates.folder / 'broker.pem'}",
                f"keyfile {certificates.folder / 'broker.key'}",
                "require_certificate true",
                "use_identity_as_username true",
                "allow_anonymous false",
                f"acl_file {folder / 'acl'}",
            ]
        # Debian's build changes to the user mosquitto when root starts it; the test's folder is root's.
        lines += ["user root", extra]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> Broker:
        """Start it and wait until it listens."""
        assert self._process is None
        command = [self._mosquitto, "-c", str(self._folder / "mosquitto.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self._process.poll() is not None:
                    assert self._process.stderr is not None
                    raise AssertionError(self._process.stderr.read().decode()) from None
                time.sleep(0.01)
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        """End it as systemd would, saving what it persists; may be called twice."""
        self._end("terminate")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end("kill")

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def _end(self, how: str) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        getattr(process, how)()
        process.wait(10)
        assert process.stderr is not None
        process.stderr.close()

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.kill()


class Proxy:
    """Forwards TCP from `port` to `target`; while `stalled` it forwards nothing and closes nothing."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stalled = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy")

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        while not self._stop.is_set():
            if self.stalled:
                time.sleep(0.02)
                continue
            readable, _, _ = select.select([self._listener, *pairs], [], [], 0.05)
            for sock in readable:
                if sock is self._listener:
                    near, _ = sock.accept()
                    try:
                        far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                    except OSError:
                        near.close()
                        continue
                    pairs[near], pairs[far] = far, near
                elif sock in pairs:
                    self._forward(sock, pairs)
        for sock in (*pairs, self._listener):
            sock.close()

    def _forward(self, sock: socket.socket, pairs: dict[socket.socket, socket.socket]) -> None:
        try:
            data = sock.recv(65536)
            if data:
                pairs[sock].sendall(data)
                return
        except OSError:
            pass
        other = pairs.pop(sock)
        pairs.pop(other)
        sock.close()
        other.close()
