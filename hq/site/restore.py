"""Puts a backup into a new, empty HQ: first every hash is compared, then it is put in place, then proved.

Writes nothing of its own into the access log: the restored log ends where the backup's did. Making a backup
is `hq.site.backup`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from hq.log import chain, heads, triggers
from hq.records.models import Picture
from hq.site import databases
from hq.site.backup import ABOUT, CHUNK, DATA, FORMAT, SUMS, BackupError

_SUM = re.compile(r"([0-9a-f]{64})  (\S.*)")


@dataclass(frozen=True)
class Restored:
    """What stands now: the access log's head, files beside the database, pictures that are not among them."""

    sequence: int
    hash: str
    files: int
    lost_pictures: int


def restore(source: IO[bytes], name: str) -> Restored:
    """Put a backup in place. `name` is what to call the file in errors.

    Raises BackupError for an HQ that is not empty, a damaged backup (naming its file) and a log that does not
    verify, OSError. A backup that is refused before it was put in place leaves the HQ as empty as it was.
    """
    _check_empty()
    with unpacked(source, name) as (folder, about):
        sequence, head = _check_about(about)
        files = _place(folder, str(about["database"]))
    call_command("migrate", verbosity=0, skip_checks=True)
    _prove(sequence, head)
    return Restored(sequence, head, files, _lost_pictures())


@contextmanager
def unpacked(source: IO[bytes], name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The backup's files in a folder of the data folder, every hash compared, with its backup.json."""
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.DATA) as scratch:
        folder = Path(scratch)
        found = _unpack(source, folder, name)
        _compare(folder, found, name)
        try:
            about = json.loads((folder / ABOUT).read_bytes())
        except (OSError, ValueError) as error:
            raise BackupError(f"{name}: {ABOUT}: {error}") from error
        yield folder, about


def _check_empty() -> None:
    if not databases.empty():
        raise BackupError("the database has tables already: a backup goes into a new HQ only")
    own = {path.resolve() for path in databases.files()}
    for path in sorted(Path(settings.DATA).iterdir()):
        if path.resolve() not in own:
            raise BackupError(f"{path}: is there already: a backup goes into an empty data folder only")
    if not databases.may_be_filled():
        raise BackupError(
            f"DATABASE_URL: this user may make no tables: run restore as {databases.owner()},"
            " to whom the database belongs"
        )


def _unpack(source: IO[bytes], folder: Path, name: str) -> dict[str, str]:
    """Write out every member; its name and SHA-256."""
    found: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for member in archive:
                if not member.isreg() or not _plain(member.name) or member.name in found:
                    raise BackupError(f"{name}: {member.name!r}: no backup of HQ has such an entry")
                held = archive.extractfile(member)
                assert held is not None
                found[member.name] = _write(held, folder / member.name)
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        after = f" after {list(found)[-1]}" if found else ""
        raise BackupError(f"{name}: is damaged{after}: {error}") from error
    return found


def _plain(name: str) -> bool:
    path = PurePosixPath(name)
    inside = path.as_posix() == name and not path.is_absolute() and ".." not in path.parts
    return inside and "\0" not in name and (name.startswith(DATA) or len(path.parts) == 1)


def _write(source: IO[bytes], path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    total = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while data := source.read(CHUNK):
            total.update(data)
            file.write(data)
    return total.hexdigest()


def _compare(folder: Path, found: dict[str, str], name: str) -> None:
    """Every file is there, is named by SHA256SUMS and hashes to what that says."""
    if SUMS not in found:
        last = f"; the last whole file is {list(found)[-1]}" if found else ""
        raise BackupError(f"{name}: ends before its {SUMS}{last}")
    said: dict[str, str] = {}
    for number, line in enumerate((folder / SUMS).read_bytes().decode(errors="replace").splitlines(), 1):
        match = _SUM.fullmatch(line)
        if match is None:
            raise BackupError(f"{name}: {SUMS}: line {number} is damaged")
        said[match[2]] = match[1]
    for file, total in said.items():
        if file not in found:
            raise BackupError(f"{name}: {file}: is missing")
        if found[file] != total:
            raise BackupError(f"{name}: {file}: is damaged, its SHA-256 is not the one in {SUMS}")
    for file in found:
        if file not in said and file != SUMS:
            raise BackupError(f"{name}: {file}: is not in {SUMS}")


def _check_about(about: dict[str, Any]) -> tuple[int, str]:
    """The log's head as the backup tells it."""
    if about.get("format") != FORMAT:
        raise BackupError(f"{ABOUT}: format {about.get('format')!r} is not this version's ({FORMAT})")
    if about["database"] != databases.name():
        kind = "SQLite" if connection.vendor == "sqlite" else "PostgreSQL"
        raise BackupError(f"{about['database']}: goes into its own kind of database, and this is {kind}")
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if newer := sorted(set(about["migrations"]) - known):
        raise BackupError(
            f"{ABOUT}: the backup is of version {about['version']}, newer than this one ({newer[0]})"
        )
    return int(about["log_head"]["sequence"]), str(about["log_head"]["sha256"])


def _place(folder: Path, database: str) -> int:
    """Move what was unpacked to where it belongs; the number of files beside the database."""
    target, count = Path(settings.DATA), 0
    inner = folder / DATA
    for path in sorted(inner.rglob("*")):
        if path.is_file():
            final = target / path.relative_to(inner)
            final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(path, final)
            count += 1
    try:
        databases.put(folder / database)
    except databases.DatabaseCopyError as error:
        raise BackupError(str(error)) from error
    return count


def _prove(sequence: int, head: str) -> None:
    if lost := triggers.missing(connection):
        raise BackupError(f"the trigger {lost[0]} could not be put back")
    fault = chain.verify() or heads.verify()
    if fault is not None:
        raise BackupError(f"the restored access log: row {fault.sequence}: {fault.what}; do not use this HQ")
    held = chain.head()
    if (held.sequence, held.hash) != (sequence, head):
        raise BackupError(f"the restored access log ends at row {held.sequence}, the backup's at {sequence}")


def _lost_pictures() -> int:
    """Pictures that the database has and the backup had not."""
    held = Picture.objects.filter(missing=False).exclude(file="")
    storage = Picture._meta.get_field("file").storage
    return sum(not storage.exists(name) for name in held.values_list("file", flat=True).iterator(5000))
