"""Checks a package as VERIFY.txt tells an outsider to, from the ZIP and without unpacking it."""

from __future__ import annotations

import hashlib
import zipfile
from typing import IO, BinaryIO

import minisign

from hq.evidence.bag import BROKEN, UNTRUSTED

_BLOCK = 1 << 20


def faults(file: BinaryIO, public: minisign.PublicKey, sha256: str = "") -> list[str]:
    """What is wrong with the package in `file`, one line each; none if it is what was signed.

    Args:
        public: the agency's key, from elsewhere than the package.
        sha256: hex digest of the whole ZIP, where it is known.
    """
    found = []
    if sha256 and _digest(file) != sha256:
        found.append("ZIP: its SHA-256 is not the recorded one")
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            found += _inside(archive, public)
    except BROKEN as error:
        found.append(f"ZIP: cannot be read: {str(error) or type(error).__name__}")
    return found


def number(file: BinaryIO) -> str:
    """The number of the package in `file`, by its folder; "" where it cannot be told.

    The file may have any name: a browser gives a second one to a second download.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()[0].split("/")[0].removeprefix("platewarden-")
    except BROKEN:
        return ""


def _inside(archive: zipfile.ZipFile, public: minisign.PublicKey) -> list[str]:
    names = archive.namelist()
    folder = names[0].split("/")[0] + "/" if names else ""
    files = {name.removeprefix(folder) for name in names}
    if len(files) != len(names) or any(not name.startswith(folder) for name in names):
        return ["ZIP: a file stands twice or outside the package's folder"]
    tag_manifest = archive.read(folder + "tagmanifest-sha256.txt")
    found = _signature(tag_manifest, archive.read(folder + "tagmanifest-sha256.txt.minisig"), public)
    sums = _sums(tag_manifest) | _sums(archive.read(folder + "manifest-sha256.txt"))
    listed = sums.keys() | {"tagmanifest-sha256.txt", "tagmanifest-sha256.txt.minisig"}
    found += [f"{name}: is not in the package" for name in sorted(listed - files)]
    found += [f"{name}: is in no manifest" for name in sorted(files - listed)]
    for name in sorted(sums.keys() & files):
        with archive.open(folder + name) as member:
            if _digest(member) != sums[name]:
                found.append(f"{name}: its SHA-256 is not the one in the manifest")
    return found


def _signature(data: bytes, text: bytes, public: minisign.PublicKey) -> list[str]:
    try:
        signature = minisign.Signature.from_bytes(text)
        public.verify(data, signature)
    except (minisign.Error, UnicodeDecodeError) as error:
        return [f"tagmanifest-sha256.txt: the signature does not fit: {error}"]
    if signature.untrusted_comment != UNTRUSTED:
        return ["tagmanifest-sha256.txt.minisig: its first line was changed"]
    return []


def _sums(manifest: bytes) -> dict[str, str]:
    lines = (line.split("  ", 1) for line in manifest.decode().splitlines())
    return {name: digest for digest, name in lines}


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
