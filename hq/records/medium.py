"""Takes in a unit's card or stick by hand, with the checks, receipts and transfer log of the way by MQTT.

Owns reading a unit's store as a file format: `platewarden.sqlite` with the tables `outbox` and
`outbox_series`, and pictures below it. Nothing on the medium is changed; its database is copied first, since
one that was not closed can only be read together with its journal, and that needs a place to write.

Every row of the outbox goes through `hq.records.intake` as the message that the unit would have sent. What
HQ lacks and the medium cannot give either, a picture whose file is missing or a number that was purged after
a receipt, becomes a loss under its number, as the unit itself would say.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError

from hq.records.intake import Intake, Source, Taken
from hq.records.messages import Received, read_message
from hq.records.models import Series, Transfer
from mqtt import messages, topics
from mqtt.errors import MqttError, TopicError
from mqtt.records import Envelope, Loss, PictureHeader

FILE: Final = "platewarden.sqlite"
BATCH: Final = 200
COPIES: Final = ".import-"
"""How the names of the folders in HQ's data folder begin in which copies lie."""

_BESIDE: Final = ("", "-wal")


class MediumError(Exception):
    """A medium that cannot be taken in; the text names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """One outbox row: number, kind, path of a picture's file, the record as JSON."""

    sequence: int
    kind: str
    ref: str
    body: bytes


class Medium:
    """The store in `folder`, opened. Raises MediumError if that is none or is damaged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._copy, self._lock = _place()
        except OSError as error:
            raise MediumError(f"{settings.DATA}: takes no copy: {error.strerror}") from error
        try:
            for suffix in _BESIDE:
                file = folder / (FILE + suffix)
                if file.exists() or not suffix:
                    shutil.copyfile(file, self._copy / file.name)
            self._db = sqlite3.connect(self._copy / FILE)
        except OSError as error:
            self._remove()
            raise MediumError(f"{folder / FILE}: {error.strerror}") from error
        try:
            (word,) = self._db.execute("PRAGMA quick_check").fetchone()
            if word != "ok":
                raise MediumError(f"{folder / FILE}: is damaged: {word}")
            (self.store_id,) = self._db.execute("SELECT store_id FROM outbox_series").fetchone()
            row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
            self.last = 0 if row is None else int(row[0])
        except (sqlite3.Error, TypeError) as error:
            self.close()
            raise MediumError(f"{folder / FILE}: is no unit's store: {error}") from error
        except MediumError:
            self.close()
            raise

    def close(self) -> None:
        """Close and remove the copy."""
        self._db.close()
        self._remove()

    def messages(self, unit: str, has: Callable[[int], bool]) -> Iterator[Received]:
        """The store as the messages that `unit` would send; `has` tells which numbers HQ has already."""
        expected = 1
        for row in self._rows():
            yield from self._purged(unit, range(expected, row.sequence), has)
            yield from self._message(unit, row, has)
            expected = row.sequence + 1
        yield from self._purged(unit, range(expected, self.last + 1), has)

    def _rows(self) -> Iterator[Row]:
        try:
            rows = self._db.execute("SELECT sequence, kind, ref, body FROM outbox ORDER BY sequence")
            for sequence, kind, ref, body in rows:
                data = body.encode() if isinstance(body, str) else bytes(body)
                yield Row(int(sequence), str(kind), str(ref), data)
        except sqlite3.Error as error:
            raise MediumError(f"{self._folder / FILE}: {error}") from error

    def _message(self, unit: str, row: Row, has: Callable[[int], bool]) -> Iterator[Received]:
        kind, body, data = row.kind, row.body, b""
        if kind == "picture":
            data, fault = self._picture(row)
            if fault and has(row.sequence):
                return
            if fault:
                kind, body, data = "loss", _lost(row, fault), b""
        envelope = Envelope(unit=unit, store_id=self.store_id, sequence=row.sequence)
        topic = f"{topics.ROOT}/units/{unit}/up/{kind}"
        yield read_message(topic, messages.wrap(kind, envelope, body, data))

    def _picture(self, row: Row) -> tuple[bytes, str]:
        """(bytes, "") of a picture, or (b"", why it is not there)."""
        try:
            header = messages.decode_record("picture", row.body)
        except MqttError:
            return b"", ""  # The intake says what is wrong with it.
        assert isinstance(header, PictureHeader)
        path = (self._folder / row.ref).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            return b"", "its path leads out of the medium"
        try:
            data = path.read_bytes()
        except OSError as error:
            return b"", f"its file cannot be read: {error.strerror}"
        if hashlib.sha256(data).hexdigest() != header.sha256:
            return b"", "its file is damaged"
        return data, ""

    def _purged(self, unit: str, numbers: range, has: Callable[[int], bool]) -> Iterator[Received]:
        reason = "purged on the unit after HQ's receipt"
        lost = Loss(kind="record", count=1, reason=reason, since=None, until=None)
        for number in numbers:
            if not has(number):
                envelope = Envelope(unit=unit, store_id=self.store_id, sequence=number)
                yield read_message(topics.up(unit, "loss"), messages.encode(lost, envelope))

    def _remove(self) -> None:
        shutil.rmtree(self._copy, ignore_errors=True)
        os.close(self._lock)


def _place() -> tuple[Path, int]:
    """A folder for a copy, and the handle of its lock; those that killed imports left are removed.

    It lies in the data folder: plates belong on no disk but the one whose encryption is looked at. Raises
    OSError.
    """
    data = Path(settings.DATA)
    one_at_a_time = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        for left in data.glob(f"{COPIES}*"):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            except BlockingIOError:
                pass  # Another import works in it.
            finally:
                os.close(handle)
        made = Path(tempfile.mkdtemp(prefix=COPIES, dir=data))
        lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return made, lock
    finally:
        os.close(one_at_a_time)


def import_medium(folder: Path, unit: str, brought_by: str, intake: Intake) -> tuple[str, Taken]:
    """Take in the store in `folder` and return its unit's id and what it brought.

    `unit` may be "" for a store of which HQ has heard before. The unit's own receipt follows when it next
    connects: HQ tells every store where it stands.

    Raises MediumError, with what was committed until then kept; the import can be repeated.
    """
    with closing(Medium(folder)) as medium:
        unit = _unit_of(medium, unit, folder)
        source = Source(Transfer.Way.MEDIUM, str(folder)[-100:], brought_by)
        items = medium.messages(unit, _numbers_here(unit, medium.store_id))
        taken = Taken()
        try:
            while batch := list(itertools.islice(items, BATCH)):
                taken.add(intake.take(batch, source))
        except (DatabaseError, OSError) as error:
            raise MediumError(f"{folder}: cannot be kept: {type(error).__name__}: {error}") from error
        return unit, taken


def _unit_of(medium: Medium, unit: str, folder: Path) -> str:
    known = sorted(Series.objects.filter(store_id=medium.store_id).values_list("unit", flat=True))
    if not unit and len(known) == 1:
        return str(known[0])
    if not unit:
        raise MediumError(f"{folder}: its store {medium.store_id} has not been heard of; say --unit")
    try:
        topics.check_name(unit)
    except TopicError as error:
        raise MediumError(f"--unit: {error}") from error
    if known and unit not in known:
        raise MediumError(f"--unit {unit}: HQ knows the store {medium.store_id} as {', '.join(known)}'s")
    return unit


def _numbers_here(unit: str, store_id: str) -> Callable[[int], bool]:
    """Tells which numbers of a store HQ had before the import."""
    series = Series.objects.filter(unit=unit, store_id=store_id).first()
    if series is None:
        return lambda number: False
    gaps = list(series.gaps.values_list("first", "last"))
    return lambda number: (
        number <= series.highest and not any(first <= number <= last for first, last in gaps)
    )


def _lost(row: Row, fault: str) -> bytes:
    header = messages.decode_record("picture", row.body)
    assert isinstance(header, PictureHeader)
    return messages.encode_record(
        Loss(kind="picture", count=1, reason=fault, since=None, until=None, read_id=header.read_id)
    )
