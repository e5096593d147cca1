"""A backup of the whole HQ as one tar file, made while HQ runs.

    database.sqlite3 or database.pgdump   one moment of the database
    backup.json                           when, by which version, the access log's head at that moment
    data/...                              pictures, keys, log heads: the data folder but the database
    SHA256SUMS                            of all of them; last, so that a file cut off has none

`sha256sum -c SHA256SUMS` tests an unpacked backup without HQ. A backup holds every record and every secret of
HQ but PLATEWARDEN_HQ_SECRET_KEY, in clear: where it is kept it must be encrypted (docs/hq-running.md).
Putting one back is `hq.site.restore`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from hq.log import chain
from hq.records import medium
from hq.retention import purge
from hq.site import clock, databases

FORMAT = 1
ABOUT = "backup.json"
SUMS = "SHA256SUMS"
DATA = "data/"
CHUNK = 1 << 20
_SCRATCH = ".backup-"


class BackupError(Exception):
    """No backup was made, or none can be put back; one line that names the file."""


@dataclass(frozen=True)
class Made:
    """What a backup holds: the head of its access log, files beside the database, bytes of all."""

    sequence: int
    hash: str
    files: int
    octets: int


def make(out: IO[bytes], *, made_by: str) -> Made:
    """Write a backup to `out`; that it was begun is in the access log, and so in the backup.

    Raises BackupError, LogUnavailable, OSError; purge.Busy beside another backup and while records are being
    destroyed, whose files would be half there.
    """
    folder = Path(settings.DATA)
    with purge.alone(), _scratch(folder) as scratch:
        chain.append(kind="backup", person=None, username=made_by, action="backups.make")
        copied = scratch / databases.name()
        try:
            head = databases.copy(copied)
        except databases.DatabaseCopyError as error:
            raise BackupError(str(error)) from error
        with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            writer = _Writer(archive)
            writer.file(databases.name(), copied)
            writer.text(ABOUT, json.dumps(_about(*head), indent=2) + "\n")
            # After the database: a picture is on the disk before its row is committed.
            for path, name in _files(folder, {scratch, *folder.glob(f"{medium.COPIES}*")}):
                writer.file(DATA + name, path)
            beside = len(writer.sums) - 2
            writer.text(SUMS, "".join(f"{total}  {name}\n" for name, total in writer.sums.items()))
    return Made(head[0], head[1], beside, writer.octets)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for the database's copy; those that killed backups left are removed."""
    for left in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder) as made:
        yield Path(made)


class _Writer:
    """Adds members and remembers their hashes."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.sums: dict[str, str] = {}
        self.octets = 0

    def text(self, name: str, text: str) -> None:
        data = text.encode()
        self._add(name, io.BytesIO(data), len(data), clock.now().timestamp())

    def file(self, name: str, path: Path) -> None:
        """A file as it is now; one that has gone since it was listed was nobody's any more."""
        if not name.isprintable() or "\\" in name:
            raise BackupError(f"{name!r}: a file of such a name cannot be backed up")
        try:
            held = path.open("rb")
        except FileNotFoundError:
            return
        with held:
            state = os.fstat(held.fileno())
            self._add(name, held, state.st_size, state.st_mtime)

    def _add(self, name: str, source: IO[bytes], size: int, mtime: float) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(mtime)
        hashed = _Hashed(source, size)
        try:
            self._archive.addfile(info, hashed)  # type: ignore[arg-type]
        except OSError as error:
            raise BackupError(f"{name}: {error}") from error
        self.sums[name] = hashed.hexdigest()
        self.octets += size


class _Hashed:
    """Reads `size` bytes, no more if the file grows, and sums them up."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source, self._left, self._hash = source, size, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        self._hash.update(data)
        return data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _files(folder: Path, leave_out: set[Path]) -> Iterator[tuple[Path, str]]:
    """Every file of the data folder with its name in it, but the database and what is left out.

    Raises BackupError for a link that leads nowhere, such as to a disk that is not mounted, and OSError for a
    folder that cannot be looked into: a backup without them would be taken for a whole one.
    """
    skip = {path.resolve() for path in (*leave_out, *databases.files())}
    for place, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = sorted(name for name in folders if (Path(place) / name).resolve() not in skip)
        for name in sorted(names):
            path = Path(place) / name
            if path.is_symlink() and not path.exists():
                raise BackupError(f"{path}: leads to {path.readlink()}, which is not there")
            if path.resolve() not in skip and path.is_file():
                yield path, path.relative_to(folder).as_posix()


def _raise(error: OSError) -> None:
    raise error


def _about(sequence: int, head: str) -> dict[str, object]:
    applied = MigrationRecorder(connection).applied_migrations()
    return {
        "format": FORMAT,
        "made_at": chain.stamp(clock.now()),
        "version": version("platewarden"),
        "database": databases.name(),
        "migrations": sorted(f"{app}.{name}" for app, name in applied),
        "log_head": {"sequence": sequence, "sha256": head},
    }
