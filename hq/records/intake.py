"""Takes a batch of messages into the database: all of it in one transaction, each record once.

Owns the order: files first, then one transaction with reads, hits, pictures, losses, access records,
statuses, quarantine, the ledger of numbers and one Transfer. Checks that need no database are
`hq.records.messages`', the broker is `hq.records.subscriber`'s, a unit's card `hq.records.medium`'s; who may
admit what was quarantined is `hq.records.admission`'s.

What is the same is known by its id: a read by its id and revision. The same id and revision with another
content, or another unit's id, is a conflict and goes into quarantine. A record that the database refuses does
not stop those beside it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from django.db import DatabaseError, DataError, IntegrityError, transaction

from hq.records import bulk, leaves, ledger, rows, trigrams
from hq.records.ledger import Standing
from hq.records.messages import Received
from hq.records.models import (
    AccessReceived,
    Admission,
    Hit,
    Loss,
    Picture,
    Quarantined,
    Read,
    Revision,
    Transfer,
    Unit,
    UnitStatus,
)
from hq.records.pictures import Files, picture_name, quarantine_name
from hq.site import clock
from mqtt import records

logger = logging.getLogger(__name__)

LARGE: Final = 64 << 10
"""A quarantined payload of more bytes lies in a file."""
OVERTAKEN: Final = timedelta(seconds=10)
"""By no more than this do two subscribers overtake each other with heartbeats of one unit."""

PictureKey = tuple[UUID, str, str]
Row = TypeVar("Row", Read, Hit)


class Conflict(Exception):
    """A record that cannot be what it says, because of what is here already; its text says why."""


class Changed(DatabaseError):
    """Somebody else changed what the files of this batch were written by: take it again."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a batch came from, for its Transfer: the fields are that model's."""

    way: str
    subscriber: str
    brought_by: str = ""


@dataclass(slots=True)
class Taken:
    """What a committed batch brought.

    Attributes:
        standings: how the stores stand whose numbers it held.
        hits: ids of hits that are new or changed.
        requests: (unit, request) of enrolled units that ask for pieces of a hot list.
        new, known, quarantined: counts.
    """

    standings: list[Standing] = field(default_factory=list)
    hits: list[UUID] = field(default_factory=list)
    requests: list[tuple[str, records.ChunkRequest]] = field(default_factory=list)
    new: int = 0
    known: int = 0
    quarantined: int = 0

    def add(self, other: Taken) -> None:
        """Sum up with a batch that was committed later."""
        newer = {(one.unit, one.store_id): one for one in (*self.standings, *other.standings)}
        self.standings = list(newer.values())
        self.hits += other.hits
        self.requests += other.requests
        self.new += other.new
        self.known += other.known
        self.quarantined += other.quarantined


class Intake:
    """Takes batches. One thread uses it; several may run beside each other, in processes of their own."""

    def __init__(self, files: Files | None = None, now: Callable[[], datetime] = clock.now) -> None:
        self._files = files or Files()
        self._now = now

    def close(self) -> None:
        """End the threads that write files."""
        self._files.close()

    def take(self, batch: Sequence[Received], source: Source) -> Taken:
        """Commit a batch and say what it brought.

        Raises DatabaseError or OSError, with nothing committed, for what may pass: a lock, a full disk, a
        database that is away. A record that the database itself refuses goes into quarantine.
        """
        try:
            return self._commit(batch, source)
        except (DataError, IntegrityError, ValueError, TypeError, OverflowError) as error:
            if len(batch) == 1:
                return self._commit([_unkeepable(batch[0], error)], source)
        taken = Taken()
        for item in batch:
            taken.add(self.take([item], source))
        return taken

    def admit(self, batch: Sequence[Received], admission: Admission, source: Source) -> Taken:
        """Take quarantined messages that were not tried yet, with the checks of `take`.

        What is taken now has its payload where it belongs; what still cannot be stays, with its reason.
        Raises as `take` does, and Changed if somebody else has tried one of them.
        """
        try:
            return self._commit(batch, source, admission)
        except (DataError, IntegrityError, ValueError, TypeError, OverflowError) as error:
            if len(batch) == 1:
                return self._commit([_unkeepable(batch[0], error)], source, admission)
        taken = Taken()
        for item in batch:
            taken.add(self.admit([item], admission, source))
        return taken

    def payload_of(self, row: Quarantined) -> bytes:
        """What came, of a message in quarantine. Raises OSError where its file cannot be read."""
        return self._files.read(str(row.file.name)) if row.file else bytes(row.payload)

    def _commit(self, batch: Sequence[Received], source: Source, admission: Admission | None = None) -> Taken:
        at = self._now()
        enrolled = _enrolled({item.unit for item in batch})
        if admission is not None and admission.unit_id not in enrolled:
            raise Changed("the unit is no longer enrolled")
        batch = [_admitted(item, enrolled) for item in batch]
        names = self._write_files(batch, at, keep_bad=admission is None)
        # All that needs no database comes before the locks, for which other subscribers and the pages wait.
        work = _Batch(batch, at, enrolled, names)
        with transaction.atomic():
            held = {} if admission is None else _untried(batch)
            stores = ledger.lock((key for key, _ in _numbers(batch)), at)
            work.write(held)
            emptied = _mark_tried(held, admission, work.refused, at) if admission is not None else []
            work.taken.standings = ledger.note(stores, _numbers(batch), at)
            Transfer.objects.create(**_transfer(batch, work.taken, source, at))
        self._files.delete(emptied)
        return work.taken

    def _write_files(self, batch: Sequence[Received], at: datetime, keep_bad: bool) -> dict[str, str]:
        """Write the files that the batch needs; storage names by picture hash or quarantine digest."""
        headers = [item.message.record for item in batch if item.message is not None]
        pictures = [header for header in headers if isinstance(header, records.PictureHeader)]
        read_ids = {UUID(header.read_id) for header in pictures}
        here = set(
            Picture.objects.filter(read__in=read_ids, missing=False).values_list("read", "kind", "sha256")
        )
        files: dict[str, bytes] = {}
        names: dict[str, str] = {}
        for item in batch:
            record = item.message.record if item.message is not None else None
            if isinstance(record, records.PictureHeader) and item.message is not None:
                key = _picture_key(record)
                if key not in here:
                    names[_file_key(key)] = picture_name(*key, at)
                    files[names[_file_key(key)]] = item.message.data
            elif keep_bad and item.reason and len(item.payload) > LARGE:
                digest = quarantine_digest(item)
                names[digest] = quarantine_name(digest, at)
                files[names[digest]] = item.payload
        saved = self._files.write(files) if files else {}
        return {key: saved[name] for key, name in names.items()}


class _Known(Generic[Row]):
    """Rows by id: what is here or came in this batch, and which of them are to be written."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Row] = {}
        self.new: dict[UUID, Row] = {}
        self.changed: dict[UUID, Row] = {}

    def put(self, key: UUID, row: Row) -> None:
        """Put the newest row of an id in its place."""
        here = self.new if key in self.new or key not in self.rows else self.changed
        here[key] = row
        self.rows[key] = row


class _Batch:
    """One batch on its way into the database: looks up what is known, sorts what is new, writes it."""

    def __init__(
        self,
        items: Sequence[Received],
        at: datetime,
        enrolled: dict[str, str],
        names: dict[str, str],
    ) -> None:
        self._items = items
        self._at = at
        self._enrolled = enrolled
        self._names = names
        self._held: Mapping[str, Quarantined] = {}
        self._made = {
            id(item): rows.read_row(record, item.envelope, enrolled[item.unit], item.came_at or at)
            for item in items
            for record in ((item.message.record if item.message is not None else None),)
            if isinstance(record, records.Read) and item.envelope is not None
        }
        self._reads = _Known[Read]()
        self._before: dict[UUID, Read] = {}
        self._hits = _Known[Hit]()
        self._pictures: dict[UUID, dict[PictureKey, Picture]] = {}
        self._new_pictures: dict[PictureKey, Picture] = {}
        self._changed_pictures: dict[PictureKey, Picture] = {}
        self._revisions: dict[tuple[str, UUID, int], Revision] = {}
        self._losses: list[Loss] = []
        self._accesses: dict[UUID, AccessReceived] = {}
        self._statuses: dict[str, tuple[records.Status, bool]] = {}
        self._bad: list[Received] = []
        self.refused: dict[str, str] = {}
        self.taken = Taken()

    def write(self, held: Mapping[str, Quarantined]) -> None:
        """Do all of it, in the caller's transaction, in which the stores' rows are locked.

        `held` are the rows of quarantined messages.
        """
        self._held = held
        self._look_up()
        for item in self._items:
            if item.message is None:
                self._bad.append(item)
                continue
            try:
                new = self._sort(item, item.message.record)
            except Conflict as conflict:
                self._bad.append(item.refused(str(conflict)))
                continue
            self.taken.new += new
            self.taken.known += not new
        self._write_reads()
        self._write_others()
        self._write_quarantine()

    def _look_up(self) -> None:
        read_ids, hit_ids, access_ids = set(), set(), set()
        for record in self._records():
            match record:
                case records.Read() | records.PictureHeader():
                    read_ids.add(UUID(record.read_id))
                case records.Hit():
                    hit_ids.add(UUID(record.hit_id))
                    read_ids.add(UUID(record.read_id))
                case records.AccessRecord():
                    access_ids.add(UUID(record.access_id))
        if read_ids:
            self._reads.rows = Read.objects.in_bulk(read_ids)
            for picture in Picture.objects.filter(read__in=read_ids):
                key = (picture.read_id, picture.kind, picture.sha256)
                self._pictures.setdefault(picture.read_id, {})[key] = picture
        if hit_ids:
            self._hits.rows = Hit.objects.in_bulk(hit_ids)
        if access_ids:
            self._accesses = AccessReceived.objects.in_bulk(access_ids)
        self._accesses_here = set(self._accesses)

    def _records(self) -> Iterable[records.Read | Any]:
        return (item.message.record for item in self._items if item.message is not None)

    def _sort(self, item: Received, record: object) -> bool:
        """Put a record where it will be written, and say whether it is new. Raises Conflict."""
        match record:
            case records.Status():
                self._statuses[item.unit] = (record, item.retained)
                return True
            case records.ChunkRequest():
                self.taken.requests.append((item.unit, record))
                return True
        envelope, at = item.envelope, item.came_at or self._at
        assert envelope is not None
        match record:
            case records.Read():
                return self._read(record, self._made[id(item)], at)
            case records.Hit():
                return self._hit(record, envelope, at)
            case records.PictureHeader():
                return self._picture(record, envelope.unit, at)
            case records.Loss():
                return self._loss(record, envelope, at)
            case records.AccessRecord():
                return self._access(record, envelope, at)
        raise Conflict(f"{item.name}: is not for HQ")

    # Reads and hits, which have revisions

    def _read(self, record: records.Read, row: Read, at: datetime) -> bool:
        before = self._reads.rows.get(row.id)
        if before is not None and before.unit_id != row.unit_id:
            raise Conflict("record.read_id: is the id of another unit's read")
        place = self._place("read", row, before, record, at)
        if place != "newest":
            return place == "older"
        if before is not None:
            self._supersede("read", row.id, before.revision, before, self._read_body(before))
            # A floor never moves back: what was received first is what the year counts from, or later.
            row.purge_after = max(row.purge_after, before.purge_after)
            row.received_at = before.received_at
            row.at = row.captured_at or row.received_at
            self._before.setdefault(row.id, before)
        self._reads.put(row.id, row)
        self._name_pictures(row.id, record.pictures)
        return True

    def _hit(self, record: records.Hit, envelope: records.Envelope, at: datetime) -> bool:
        row = rows.hit_row(record, envelope, at)
        before = self._hits.rows.get(row.id)
        if before is not None and before.unit_id != row.unit_id:
            raise Conflict("record.hit_id: is the id of another unit's hit")
        read = self._reads.rows.get(row.read_id)
        if read is not None and read.unit_id != row.unit_id:
            raise Conflict("record.read_id: is the id of another unit's read")
        if before is not None and before.read_id != row.read_id:
            raise Conflict("record.read_id: the hit came before with another read")
        place = self._place("hit", row, before, record, at)
        if place != "newest":
            return place == "older"
        if before is not None:
            self._supersede("hit", row.id, before.read_revision, before, asdict(rows.hit_record(before)))
            row.received_at = before.received_at
        self._hits.put(row.id, row)
        self.taken.hits.append(row.id)
        return True

    def _place(
        self,
        kind: str,
        row: Read | Hit,
        before: Read | Hit | None,
        record: object,
        at: datetime,
    ) -> str:
        """Whether a revision is the "newest", an "older" one that was missing, or "known".

        Raises Conflict.
        """
        if before is None:
            return "newest"
        key, revision, newest = row.id, _revision(row), _revision(before)
        if revision > newest:
            return "newest"
        if revision == newest:
            if before.digest not in (row.digest, rows.earlier_digest_of(record)):
                raise Conflict(f"record.revision: revision {revision} came before with another content")
            return "known"
        body = asdict(record)  # type: ignore[call-overload]
        older = (
            self._revisions.get((kind, key, revision))
            or Revision.objects.filter(kind=kind, record=key, revision=revision).first()
        )
        if older is None:
            self._revisions[kind, key, revision] = Revision(
                kind=kind,
                record=key,
                revision=revision,
                received_at=at,
                store_id=row.store_id,
                sequence=row.sequence,
                digest=row.digest,
                body=body,
            )
            return "older"
        if older.digest not in (row.digest, rows.earlier_digest_of(record)):
            raise Conflict(f"record.revision: revision {revision} came before with another content")
        return "known"

    def _supersede(
        self, kind: str, key: UUID, revision: int, before: Read | Hit, body: dict[str, Any]
    ) -> None:
        self._revisions[kind, key, revision] = Revision(
            kind=kind,
            record=key,
            revision=revision,
            received_at=before.received_at,
            store_id=before.store_id,
            sequence=before.sequence,
            digest=before.digest,
            body=body,
        )

    def _read_body(self, before: Read) -> dict[str, Any]:
        return asdict(rows.read_record(before, self._pictures.get(before.id, {}).values()))

    # Pictures

    def _name_pictures(self, read_id: UUID, refs: Iterable[records.PictureRef]) -> None:
        named = {(read_id, str(ref.kind), ref.sha256): ref for ref in refs}
        here = self._pictures.setdefault(read_id, {})
        for key, picture in here.items():
            if key not in named and picture.current:
                picture.current = False
                self._touch(key, picture)
        for key, ref in named.items():
            row = here.get(key) or Picture(read_id=read_id, kind=key[1], sha256=ref.sha256)
            row.size, row.width, row.height, row.current = ref.size, ref.width, ref.height, True
            self._touch(key, row)

    def _picture(self, header: records.PictureHeader, unit: str, at: datetime) -> bool:
        key = _picture_key(header)
        read = self._reads.rows.get(key[0])
        if read is not None and read.unit_id != unit:
            raise Conflict("record.read_id: is the id of another unit's read")
        row = self._pictures.get(key[0], {}).get(key)
        if row is not None and not row.missing:
            return False
        if _file_key(key) not in self._names:
            raise Changed("the picture was here when its file was to be written")
        if row is None:
            row = Picture(read_id=key[0], kind=key[1], sha256=key[2], size=header.size)
        row.file.name = self._names[_file_key(key)]
        row.size, row.missing, row.received_at = header.size, False, at
        self._touch(key, row)
        return True

    def _touch(self, key: PictureKey, row: Picture) -> None:
        self._pictures.setdefault(key[0], {})[key] = row
        if row.pk is None:
            self._new_pictures[key] = row
        else:
            self._changed_pictures[key] = row

    # What has no revisions

    def _loss(self, record: records.Loss, envelope: records.Envelope, at: datetime) -> bool:
        row = rows.loss_row(record, envelope, at)
        same = {
            "unit_id": row.unit_id, "store_id": row.store_id, "sequence": row.sequence, "digest": row.digest,
        }  # fmt: skip
        waiting = any(all(getattr(loss, name) == same[name] for name in same) for loss in self._losses)
        if waiting or Loss.objects.filter(**same).exists():
            return False
        self._losses.append(row)
        return True

    def _access(self, record: records.AccessRecord, envelope: records.Envelope, at: datetime) -> bool:
        row = rows.access_row(record, envelope, at)
        before = self._accesses.get(row.id)
        if before is None:
            self._accesses[row.id] = row
            return True
        if (before.unit_id, before.digest) != (row.unit_id, row.digest):
            raise Conflict("record.access_id: came before with another content")
        return False

    # Writing

    def _write_reads(self) -> None:
        bulk.insert(self._reads.new.values())
        for read in self._reads.changed.values():
            read.save(force_update=True)
        leaves.note(
            (*self._reads.new.values(), *self._reads.changed.values()),
            (
                (row, self._reads.rows[row.record].unit_id)
                for row in self._revisions.values()
                if row.kind == "read"
            ),
            (*self._hits.new.values(), *self._hits.changed.values()),
            ((row, self._hits.rows[row.record]) for row in self._revisions.values() if row.kind == "hit"),
        )
        trigrams.add(self._reads.new.values())
        trigrams.move((self._before[read.id], read) for read in self._reads.changed.values())
        bulk.insert(self._new_pictures.values())
        bulk.update(
            self._changed_pictures.values(),
            ("file", "size", "width", "height", "missing", "current", "received_at"),
        )

    def _write_others(self) -> None:
        Hit.objects.bulk_create(self._hits.new.values())
        for hit in self._hits.changed.values():
            hit.save(force_update=True)
        Revision.objects.bulk_create(self._revisions.values())
        Loss.objects.bulk_create(self._losses)
        AccessReceived.objects.bulk_create(
            row for key, row in self._accesses.items() if key not in self._accesses_here
        )
        for unit, (status, retained) in self._statuses.items():
            self._write_status(unit, status, retained)

    def _write_status(self, unit: str, status: records.Status, retained: bool) -> None:
        row = rows.status_row(status, unit, self._at)
        before = UnitStatus.objects.filter(unit=unit).first()
        if before is not None:
            earlier = before.status_at and row.status_at and row.status_at < before.status_at
            # Another subscriber was faster with a later one. What comes well after it is the newest whatever
            # it says: a clock that ran ahead was set, or one that was right is not any more.
            if earlier and (retained or self._at - before.received_at < OVERTAKEN):
                return
            if retained:
                row.received_at = before.received_at
        row.save(force_insert=before is None)

    def _write_quarantine(self) -> None:
        digests = {quarantine_digest(item): item for item in self._bad}
        here = {row.digest: row for row in Quarantined.objects.filter(digest__in=digests)} if digests else {}
        for item in self._bad:
            digest = quarantine_digest(item)
            self.taken.quarantined += 1
            self.refused[digest] = item.reason
            if digest in self._held:
                continue
            if row := here.get(digest):
                row.times += 1
                row.last_at = self._at
                row.save(update_fields=("times", "last_at"))
                continue
            here[digest] = self._quarantined(item, digest)
            logger.error("message of %s put into quarantine: %s", item.unit or "nobody", item.reason)

    def _quarantined(self, item: Received, digest: str) -> Quarantined:
        file = self._names.get(digest, "")
        return Quarantined.objects.create(
            digest=digest,
            topic=item.topic,
            unit_name=item.unit,
            reason=item.reason,
            not_enrolled=item.unit not in self._enrolled,
            payload=b"" if file else item.payload,
            file=file,
            size=len(item.payload),
            received_at=self._at,
            last_at=self._at,
        )


def _revision(row: Read | Hit) -> int:
    return row.revision if isinstance(row, Read) else row.read_revision


def _enrolled(units: Iterable[str]) -> dict[str, str]:
    """The retention category of each of these units that is enrolled."""
    found = Unit.objects.filter(unit_id__in=set(units), state=Unit.State.ENROLLED)
    return dict(found.values_list("unit_id", "category"))


def _admitted(item: Received, enrolled: dict[str, str]) -> Received:
    """The message, refused if its unit may not send it. What a unit says of its health is heard from all."""
    if item.message is None or item.name == "status" or item.unit in enrolled:
        return item
    return item.refused(f"unit {item.unit} is not enrolled")


def _unkeepable(item: Received, error: Exception) -> Received:
    # The database's own words may repeat the record, so its name must do.
    return item.refused(item.reason or f"record: cannot be kept ({type(error).__name__})")


def _numbers(batch: Sequence[Received]) -> list[tuple[ledger.Key, int]]:
    envelopes = (item.envelope for item in batch if item.envelope is not None)
    return [((one.unit, one.store_id), one.sequence) for one in envelopes]


def _transfer(batch: Sequence[Received], taken: Taken, source: Source, at: datetime) -> dict[str, Any]:
    digest = hashlib.sha256(b"".join(item.digest for item in batch))
    kinds = Counter((item.unit, item.name) for item in batch)
    units: dict[str, dict[str, int]] = {}
    for (unit, name), count in sorted(kinds.items()):
        units.setdefault(unit, {})[name] = count
    for (unit, _), number in _numbers(batch):
        counts = units[unit]
        counts["first"] = min(number, counts.get("first", number))
        counts["last"] = max(number, counts.get("last", number))
    return {
        **asdict(source),
        "committed_at": at,
        "messages": len(batch),
        "octets": sum(len(item.payload) for item in batch),
        "new": taken.new,
        "known": taken.known,
        "quarantined": taken.quarantined,
        "units": units,
        "sha256": digest.hexdigest(),
    }


def _picture_key(header: records.PictureHeader) -> PictureKey:
    return UUID(header.read_id), str(header.kind), header.sha256


def _file_key(key: PictureKey) -> str:
    return "/".join(map(str, key))


def _untried(batch: Sequence[Received]) -> dict[str, Quarantined]:
    """The rows of quarantined messages, locked. Raises Changed if one of them was tried before."""
    digests = {quarantine_digest(item) for item in batch}
    held = Quarantined.objects.select_for_update().filter(digest__in=digests, admission=None)
    rows_by_digest = {row.digest: row for row in held}
    if rows_by_digest.keys() != digests:
        raise Changed("a quarantined message was tried by another admission")
    return rows_by_digest


def _mark_tried(
    held: Mapping[str, Quarantined], admission: Admission, refused: Mapping[str, str], at: datetime
) -> list[str]:
    """Write down what became of quarantined messages; returns the files that are no longer needed."""
    emptied = []
    for digest, row in held.items():
        row.admission = admission
        if digest in refused:
            row.reason = refused[digest]
            continue
        row.admitted_at, row.payload = at, b""
        if row.file:
            emptied.append(str(row.file.name))
            row.file.name = ""
    Quarantined.objects.bulk_update(
        held.values(), ["admission", "reason", "admitted_at", "payload", "file"], batch_size=100
    )
    return emptied


def quarantine_digest(item: Received) -> str:
    """By what a message in quarantine is known: SHA-256 of its topic, a NUL and its payload."""
    return hashlib.sha256(item.topic.encode() + b"\0" + item.payload).hexdigest()
