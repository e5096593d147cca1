"""HQ's signing keys: Ed25519 in minisign's format, one file a use, made when first needed.

The files lie in the data folder under keys/, readable by HQ alone; a copy of NAME.pub belongs off this
machine.
"""

from __future__ import annotations

import os
from pathlib import Path

import minisign
from django.conf import settings


class KeyExposed(Exception):
    """Others on the machine can read a secret key."""


def folder() -> Path:
    """Where the keys lie."""
    return Path(settings.DATA) / "keys"


def secret(name: str) -> minisign.SecretKey:
    """The secret key of a use ("log", "evidence", "lists"); raises KeyExposed if others can read it."""
    path = folder() / f"{name}.key"
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise KeyExposed(f"{path}: others can read this key; chmod 600 it and consider it known")
    return minisign.SecretKey.from_file(path)


def public(name: str) -> minisign.PublicKey:
    """Its public half."""
    return minisign.PublicKey.from_secret_key(secret(name))


def exposed() -> list[str]:
    """The keys that others can read."""
    return [str(path) for path in sorted(folder().glob("*.key")) if path.stat().st_mode & 0o077]


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pair = minisign.KeyPair.generate()
    # Written whole under another name first, for a key half written would sign nothing that verifies.
    draft = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(bytes(pair.secret_key))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process made it first: that one counts
    else:
        path.with_suffix(".pub").write_bytes(bytes(pair.public_key))
    finally:
        draft.unlink()
