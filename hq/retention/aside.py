"""Picture files out of the way and back: the part of a purge that no database transaction covers.

On a file system a file is renamed into a folder of its batch, so that nothing is gone until the rows are. A
storage without names to change (S3) keeps the file where it is until the rows are gone. Every step may be
done again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.core.files.storage import FileSystemStorage, Storage, default_storage

FOLDER = ".purge"


class Aside:
    """The files of one batch, by their storage names."""

    def __init__(self, batch: int, names: Sequence[str], storage: Storage = default_storage) -> None:
        self._storage = storage
        self._names = names
        # The proxy `default_storage` is no FileSystemStorage by its type, but says so when asked.
        self._local = isinstance(storage, FileSystemStorage)
        # Never an empty path: that is the working directory, and `back` removes the folder.
        self._folder = Path(storage.path(FOLDER) if self._local else FOLDER) / str(batch)

    def move(self) -> None:
        """Move all aside, durably; one that is gone already is passed over."""
        if not self._local:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync([self._folder.parent])
        self._rename((self._here(name), self._there(place)) for place, name in enumerate(self._names))

    def back(self) -> None:
        """Move what is aside back to where it was, durably."""
        if not self._local:
            return
        self._rename((self._there(place), self._here(name)) for place, name in enumerate(self._names))
        shutil.rmtree(self._folder, ignore_errors=True)

    def drop(self) -> None:
        """Delete the files for good."""
        if self._local:
            if self._folder.exists():
                shutil.rmtree(self._folder)
                _sync([self._folder.parent])
            return
        for name in self._names:
            if self._storage.exists(name):
                self._storage.delete(name)

    def _rename(self, pairs: Iterable[tuple[Path, Path]]) -> None:
        folders = {self._folder}
        for source, target in pairs:
            if source.exists():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.rename(source, target)
                folders |= {source.parent, target.parent}
        _sync(folders)

    def _here(self, name: str) -> Path:
        return Path(self._storage.path(name))

    def _there(self, place: int) -> Path:
        return self._folder / str(place)


def delete(name: str, storage: Storage = default_storage) -> None:
    """Delete one file durably; one that is gone already is passed over. Raises OSError."""
    if storage.exists(name):
        storage.delete(name)
    if isinstance(storage, FileSystemStorage):
        _sync([Path(storage.path(name)).parent])


def _sync(folders: Iterable[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            continue
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
