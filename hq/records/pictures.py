"""Files of pictures and of large quarantined messages, through Django's storage API.

Owns the files' names, that a file is durable before its row, and the sweep of files that no row names. A
name begins with the minute in which it was written, so that the sweep, which leaves two days alone, never
meets a file whose row is still to come.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, default_storage

from hq.records.models import Picture, Quarantined

READS: Final = "reads"
QUARANTINE: Final = "quarantine"
SWEEP_AFTER: Final = timedelta(days=2)

_THREADS: Final = 32
"""Files written side by side: a file system joins their flushes, and a network store answers in parallel."""


def picture_name(read_id: uuid.UUID, kind: str, sha256: str, at: datetime) -> str:
    """The storage name of a picture that is written at `at` (UTC)."""
    return f"{READS}/{at:%Y/%m/%d/%H%M}/{read_id}-{kind}-{sha256[:16]}.jpg"


def quarantine_name(digest: str, at: datetime) -> str:
    """The storage name of a quarantined message that is written at `at` (UTC)."""
    return f"{QUARANTINE}/{at:%Y/%m/%d/%H%M}/{digest}"


class Files:
    """Writes files durably into a storage; on a file system names and bytes are flushed."""

    def __init__(self, storage: Storage = default_storage) -> None:
        self._storage = storage
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="pictures")
        # The proxy `default_storage` is no FileSystemStorage by its type, but says so when asked.
        self._local = isinstance(storage, FileSystemStorage)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def write(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """Write files by their names and return the names under which the storage has them.

        A file of the same name is replaced. Raises OSError, or what else the storage raises, when one of
        them could not be written; the others are then left for the sweep.
        """
        folders: set[Path] = set()
        if self._local:
            root = Path(self._storage.path(""))
            for folder in {name.rpartition("/")[0] for name in files}:
                folders |= _make_folder(Path(self._storage.path(folder)), root)
        saved = dict(zip(files, self._pool.map(self._save, files, files.values()), strict=True))
        list(self._pool.map(_sync_folder, folders))
        return saved

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises OSError."""
        with self._storage.open(name, "rb") as file:
            return bytes(file.read())

    def delete(self, names: Iterable[str]) -> None:
        """Delete files that no row names any more; one that is gone is no fault."""
        for name in names:
            self._storage.delete(name)

    def _save(self, name: str, data: bytes) -> str:
        if not self._local:
            if self._storage.exists(name):
                self._storage.delete(name)
            return self._storage.save(name, ContentFile(data))
        final = Path(self._storage.path(name))
        part = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(part, final)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return name


def flush(name: str, storage: Storage = default_storage) -> None:
    """Make a file that was written durable, with the folders above it; a network store does so itself."""
    if not isinstance(storage, FileSystemStorage):
        return
    path, root = Path(storage.path(name)), Path(storage.path(""))
    for one in (path, *(folder for folder in path.parents if folder == root or root in folder.parents)):
        handle = os.open(one, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(now: datetime, storage: Storage = default_storage) -> int:
    """Delete the files of days before SWEEP_AFTER that no row names, and say how many they were.

    They are what a subscriber wrote and could not commit; the unit sent it again under another name.
    """
    before = f"{now - SWEEP_AFTER:%Y/%m/%d}"
    removed = 0
    for root, model in ((READS, Picture), (QUARANTINE, Quarantined)):
        for folder in _minutes(storage, root, before):
            _, names = storage.listdir(folder)
            paths = {f"{folder}/{name}" for name in names}
            known = set(model._default_manager.filter(file__in=paths).values_list("file", flat=True))
            for path in sorted(paths - known):
                storage.delete(path)
                removed += 1
    return removed


def _minutes(storage: Storage, root: str, before: str) -> Iterator[str]:
    """The folders below `root` of days before a day such as "2026/01/31"."""
    level = [root]
    for depth in range(4):
        level = [f"{folder}/{name}" for folder in level for name in _folders(storage, folder)]
        if depth == 2:
            level = [folder for folder in level if folder.removeprefix(f"{root}/") < before]
    yield from sorted(level)


def _folders(storage: Storage, folder: str) -> list[str]:
    try:
        return storage.listdir(folder)[0]
    except FileNotFoundError:
        return []


def _make_folder(folder: Path, root: Path) -> set[Path]:
    """Make a folder, and say which folders' names must be flushed for it and for a file in it."""
    changed = {folder}
    missing = folder
    while missing != root and not missing.is_dir():
        missing = missing.parent
        changed.add(missing)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return changed


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
