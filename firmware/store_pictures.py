"""The picture files of the unit's store: written so that a power cut leaves a whole file or none.

Owns the folder pictures/ and its names. Which files belong to which read is in the database; a file that
no row names is an orphan.

Files are spread over 256 folders by the first two digits of the read's id, so that 100,000 of them slow
nothing down. A name holds the read's id, the kind and the start of the hash: other bytes have another
name, so that a file is never rewritten with other bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Final
from uuid import UUID

from PIL import Image

from firmware.errors import StoreError
from firmware.store_db import sync_folder
from firmware.store_rows import StoredPicture
from mqtt.records import PictureKind, PictureRef

FOLDER: Final = "pictures"


def describe_picture(read_id: str, kind: PictureKind, data: bytes) -> StoredPicture:
    """What the store says of a JPEG picture, its path included. Writes nothing.

    Raises StoreError if `read_id` is no UUID or `data` is no picture.
    """
    digest = hashlib.sha256(data).hexdigest()
    try:
        identity = UUID(read_id)
        if read_id not in (str(identity), identity.hex):
            raise ValueError("the id is not a UUID in lower case")
        with Image.open(BytesIO(data)) as image:
            width, height = image.size
    except (ValueError, OSError) as error:
        raise StoreError(f"{kind} picture of read {read_id!r}: {error}") from error
    path = f"{FOLDER}/{identity.hex[:2]}/{read_id}-{kind}-{digest[:16]}.jpg"
    ref = PictureRef(kind=kind, sha256=digest, size=len(data), width=width, height=height)
    return StoredPicture(read_id, path, ref)


class PictureFiles:
    """The files below `directory`/pictures; every path is relative to `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, path: str, data: bytes) -> None:
        """Write one file durably: temporary name, fsync, rename, fsync of the folder.

        Raises OSError and leaves nothing behind if the disk is full or fails.
        """
        final = self.directory / path
        self._make_folder(final.parent)
        part = final.with_name(f".{final.name}.part")
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            os.rename(part, final)
            sync_folder(final.parent)
        except OSError:
            part.unlink(missing_ok=True)
            final.unlink(missing_ok=True)
            raise

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files durably; one that is missing already is no error."""
        folders = set()
        for path in paths:
            file = self.directory / path
            file.unlink(missing_ok=True)
            folders.add(file.parent)
        for folder in folders:
            if folder.is_dir():
                sync_folder(folder)

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises OSError."""
        return (self.directory / path).read_bytes()

    def fault(self, picture: StoredPicture) -> str:
        """Why a file is not the picture that its row describes, "" if it is."""
        try:
            data = self.read(picture.path)
        except FileNotFoundError:
            return "picture file is missing"
        except OSError as error:
            return f"picture file cannot be read: {error.strerror}"
        if hashlib.sha256(data).hexdigest() != picture.ref.sha256:
            return "picture file is damaged"
        return ""

    def folders(self) -> set[str]:
        """The folders that hold files."""
        root = self.directory / FOLDER
        if not root.is_dir():
            return set()
        return {f"{FOLDER}/{entry.name}" for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)}

    def paths(self, folder: str) -> Iterator[str]:
        """Every file in a folder, unfinished ones included; none where it is missing."""
        if (self.directory / folder).is_dir():
            for entry in os.scandir(self.directory / folder):
                if not entry.is_dir(follow_symlinks=False):
                    yield f"{folder}/{entry.name}"

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        root = self.directory / FOLDER
        if not root.is_dir():
            root.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.directory)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(root)
