"""A hot list on its way from HQ to a group of units: pieces, manifest, seal and signature.

Owns the form of the pieces and the cryptography. Publishing is HQ's, asking and building the list
is `firmware.listlink`.

A piece holds the entries whose plates fall into one bucket by CRC-32, as JSON lines, sorted and
compressed by zlib. The number of buckets is a power of two, so that a new version of a list of
about the same length changes only the pieces of the plates that changed: a unit asks for those.
What is published in the manifest are the pieces' hashes and no plate. A piece is sealed to each
unit's own public key (X25519, PyNaCl's SealedBox); the manifest is signed (Ed25519).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from nacl.exceptions import BadSignatureError, CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey, VerifyKey

from mqtt.errors import HotListError, MessageError
from mqtt.messages import canonical, decode_json, encode_record
from mqtt.records import ChunkRef, ListEntry, Manifest

ENTRIES_PER_PIECE: Final = 2000
"""Aimed at: about 10 kB packed."""

MAX_PIECE: Final = 64 << 20
"""Longest piece in bytes after unpacking; a longer one is refused, not read."""

_SIGNED_AS: Final = b"platewarden.hotlist/1\n"


def pack(entries: Iterable[ListEntry], per_piece: int = ENTRIES_PER_PIECE) -> list[bytes]:
    """The pieces of a list, the same bytes for the same entries in any order."""
    lines = [(zlib.crc32(entry.plate.encode()), encode_record(entry)) for entry in entries]
    count = 1
    while count * per_piece < len(lines):
        count *= 2
    buckets: list[list[bytes]] = [[] for _ in range(count)]
    for crc, line in lines:
        buckets[crc % count].append(line)
    return [zlib.compress(b"\n".join(sorted(set(bucket)))) for bucket in buckets]


def unpack(piece: bytes) -> Iterator[ListEntry]:
    """The entries of a piece. Raises HotListError if it is damaged or too long."""
    machine = zlib.decompressobj()
    try:
        text = machine.decompress(piece, MAX_PIECE)
    except zlib.error as error:
        raise HotListError(f"hot list piece: {error}") from error
    if machine.unconsumed_tail or not machine.eof:
        raise HotListError("hot list piece: is cut short or too long")
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            yield decode_json(ListEntry, line, "entry")
        except MessageError as error:
            raise HotListError(f"hot list piece: line {number}: {error}") from error


def manifest(
    list_id: str,
    version: str,
    issued_at: str,
    expires_at: str,
    pieces: Sequence[bytes],
    entries: int,
    key: SigningKey,
) -> Manifest:
    """The signed manifest of these pieces."""
    refs = tuple(
        ChunkRef(number=number, sha256=hashlib.sha256(piece).hexdigest(), size=len(piece))
        for number, piece in enumerate(pieces)
    )
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
    unsigned = Manifest(
        list_id=list_id,
        version=version,
        issued_at=issued_at,
        expires_at=expires_at,
        entries=entries,
        chunks=refs,
        sha256=whole.hexdigest(),
    )
    signature = key.sign(_signed_bytes(unsigned)).signature.hex()
    return dataclasses.replace(unsigned, signature=signature)


def verify(signed: Manifest, public_key: str) -> None:
    """Raise HotListError unless HQ's key (64 hexadecimal digits) signed this manifest."""
    try:
        VerifyKey(bytes.fromhex(public_key)).verify(_signed_bytes(signed), bytes.fromhex(signed.signature))
    except (BadSignatureError, CryptoError, ValueError) as error:
        raise HotListError(f"hot list {signed.list_id}: its manifest is not signed by HQ") from error


def check_piece(ref: ChunkRef, piece: bytes) -> None:
    """Raise HotListError unless these are the bytes that the manifest names."""
    if len(piece) != ref.size or hashlib.sha256(piece).hexdigest() != ref.sha256:
        raise HotListError(f"hot list piece {ref.number}: its hash is not the manifest's")


def seal(piece: bytes, public_key: str) -> bytes:
    """Encrypt a piece for the unit that holds the secret key of `public_key` (hexadecimal)."""
    try:
        return bytes(SealedBox(PublicKey(bytes.fromhex(public_key))).encrypt(piece))
    except (CryptoError, ValueError) as error:
        raise HotListError(f"public key of a unit: {error}") from error


def unseal(sealed: bytes, key: PrivateKey) -> bytes:
    """Decrypt a piece. Raises HotListError if it was sealed for another key or changed."""
    try:
        return bytes(SealedBox(key).decrypt(sealed))
    except (CryptoError, ValueError) as error:
        raise HotListError("hot list piece: it is not sealed for this unit") from error


def signing_key(path: Path) -> SigningKey:
    """HQ's key from a file (hexadecimal), made with its .pub beside it where neither is there.

    Raises HotListError where the key cannot be used, or is not the one whose public half is there.
    """
    public = path.with_suffix(".pub")
    # Units know a key that had its public half written: they would refuse every list of another one.
    given_out = public.exists() and public.stat().st_size > 0
    if given_out and not (path.exists() and path.stat().st_size):
        raise HotListError(
            f"{path}: the key to {public} is gone: put it back from a backup, or take {public.name} away too"
            " and give every unit the new one (mqtt.list_key_file)"
        )
    key = SigningKey(_secret(path, empty_is_new=True))
    half = bytes(key.verify_key).hex()
    if not given_out:
        public.write_text(half + "\n")
    elif read_public_key(public) != half:
        raise HotListError(f"{public}: is not the public half of {path}, which signs what the units get")
    return key


def unit_key(path: Path) -> PrivateKey:
    """The unit's secret key from a file (hexadecimal), made where it is missing."""
    # HQ seals to the public half that comes with each question, and nothing was sealed to an empty one.
    return PrivateKey(_secret(path, empty_is_new=True))


def public_key(key: PrivateKey) -> str:
    """The public half of a unit's key, as it stands in a ChunkRequest."""
    return bytes(key.public_key).hex()


def read_public_key(path: Path) -> str:
    """HQ's public key from a file that holds it in hexadecimal. Raises HotListError."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        if len(bytes.fromhex(text)) == 32:
            return text.lower()
    except (OSError, ValueError) as error:
        raise HotListError(f"{path}: {error}") from error
    raise HotListError(f"{path}: is not a key of 64 hexadecimal digits")


def _signed_bytes(signed: Manifest) -> bytes:
    fields = dataclasses.asdict(signed)
    del fields["signature"]
    return _SIGNED_AS + canonical(fields)


def _secret(path: Path, *, empty_is_new: bool) -> bytes:
    """32 secret bytes from a file, made at random, readable by its owner alone, where missing. An empty file,
    which a power cut may have left at the first start, counts as missing where `empty_is_new`."""
    try:
        if not path.exists() or (empty_is_new and not path.stat().st_size):
            _make_secret(path)
        secret = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise HotListError(f"{path}: {error}") from error
    if len(secret) != 32:
        raise HotListError(f"{path}: is not a key of 64 hexadecimal digits")
    return secret


def _make_secret(path: Path) -> None:
    """Write a secret that is whole under its name or not there; one that another process makes stays."""
    handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(os.urandom(32).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            if not path.stat().st_size:
                os.replace(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
