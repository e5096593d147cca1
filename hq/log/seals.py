"""Seals reads and hits, so that whoever changes, removes or puts one in past the database's guards is found.

Every batch that is committed leaves the hashes of its reads and hits beside them (`hq.records.leaves`).
`seal` gathers these into seals, each of which holds the hash of the seal before it, and tells each in the
access log, whose signed heads and copies then stand for the seals too. `verify` compares every read and hit
with them. A read that is gone must be named by a batch of a certified destruction; a hit goes with its read.

Not found is what was changed between a read's commit and the next signed head that left the machine, and
what was changed before it was sealed late. A read's category and the pictures' files are not sealed; the
pictures' hashes are. What people did about a hit is told by the access log's own rows.
"""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet, Sum

from hq.log import chain, faults
from hq.log.models import AccessRecord, Removal
from hq.records import leaves
from hq.records.leaves import Entry, HitEntry
from hq.records.models import Hit, Picture, Read, Revision, Seal, Unsealed
from hq.retention import proposals
from hq.retention.models import Batch, Certificate, Proposal
from hq.site import clock

FIRST: Final = hashlib.sha256(b"platewarden seals of reads").hexdigest()
ACTION: Final = "reads.seal"
MOST: Final = 5_000
"""Reads of one seal, but for the last batch that goes into it."""

_CHUNK: Final = 400


class Busy(Exception):
    """Another run seals at this moment."""


@dataclass(frozen=True)
class Fault:
    """What does not fit, the first of it: which seal or read, and how."""

    what: str


@dataclass
class State:
    """What a verification found.

    Attributes:
        seals, reads, destroyed: seals, entries that fit, and entries of lawfully destroyed reads.
        waiting: entries of batches that no seal holds yet; they fit too.
        hits: revisions of hits that fit, sealed or waiting.
        unsealed, unsealed_hits: those from before such were sealed, until the first run has sealed them.
        fault: the first fault, None if there is none.
    """

    seals: int = 0
    reads: int = 0
    destroyed: int = 0
    waiting: int = 0
    hits: int = 0
    unsealed: int = 0
    unsealed_hits: int = 0
    fault: Fault | None = None

    def words(self) -> str:
        """The counts in words."""
        parts = [f"sealed reads that are as they came: {self.reads}, in seals: {self.seals}"]
        if self.destroyed:
            parts.append(f"destroyed under certificates: {self.destroyed}")
        if self.waiting:
            parts.append(f"as they came, waiting for their seal: {self.waiting}")
        if self.unsealed:
            parts.append(f"NOT SEALED, as they came before reads were sealed: {self.unsealed}")
        if self.hits:
            parts.append(f"hits that are as they came: {self.hits}")
        if self.unsealed_hits:
            parts.append(f"HITS NOT SEALED, as they came before hits were sealed: {self.unsealed_hits}")
        return "; ".join(parts)


def seal(username: str) -> int:
    """Seal what came since the last time; the number of new seals.

    The first run seals what came before such was sealed, as it is now, and says so in the seal: `late`. Cut
    off, the next run goes on where it was. `username` says who started it, for the log. Raises Busy,
    LogUnavailable.
    """
    made = 0
    try:
        if not _late_done():
            for entries in _from_before():
                with transaction.atomic():
                    _add(entries, (), (), True, username)
                made += 1
        if not _late_hits_done():
            for hits in _hits_from_before():
                with transaction.atomic():
                    _add((), hits, (), True, username)
                made += 1
        while True:
            with transaction.atomic():
                taken, entries, hits = _waiting_batches()
                if not taken and _late_done() and _late_hits_done():
                    return made
                _add(entries, hits, taken, False, username)
                gone, _ = Unsealed.objects.filter(pk__in=taken).delete()
                if gone != len(taken):  # On PostgreSQL: another run sealed them since they were looked up.
                    raise Busy("another run seals reads")
            made += 1
    except IntegrityError as error:
        raise Busy("another run seals reads") from error


def verify(first: int = 1, whole: bool = True) -> State:
    """Compare the reads with their seals from seal `first` on.

    `whole` looks at what waits for its seal too, and, from the first seal on, whether a read is there that no
    seal holds. Reads every sealed read once.
    """
    with closing(_Check(first)) as check:
        check.all(whole)
        return check.state


def first_told_from(row: int) -> int:
    """The first seal that the access log tells of from this row on; the next one's number where none is."""
    if row <= 1:
        return 1
    told = AccessRecord.objects.filter(sequence__gte=row, action=ACTION).order_by("sequence").first()
    return int(told.elements["seal"]) if told is not None else _last_number() + 1


def newest_within(entries: int) -> int:
    """The first of the newest seals that hold no more than so many reads and hits, or the newest one."""
    number = newest = _last_number()
    for held in Seal.objects.only("number", "reads", "hits"):
        entries -= held.reads + (held.hits or 0)
        if entries < 0 and held.number != newest:
            break
        number = held.number
    return max(number, 1)


def facts() -> dict[str, Any]:
    """For the page: the newest seal, how many reads and hits are sealed, how many of them late."""
    sums = {"reads": Sum("reads"), "hits": Sum("hits")}
    total, late = Seal.objects.aggregate(**sums), Seal.objects.filter(late=True).aggregate(**sums)
    return {
        "newest": _light().first(),
        "reads": total["reads"] or 0,
        "hits": total["hits"] or 0,
        "late": late["reads"] or 0,
        "late_hits": late["hits"] or 0,
        "begun": _late_done(),
        "hits_begun": _late_hits_done(),
    }


def digest(held: Seal) -> str:
    """The seal's hash: SHA-256 of its canonical JSON, its entries by their own hash.

    A seal from before hits were sealed has none of their fields in it.
    """
    hits: dict[str, object] = {}
    if held.hits is not None:
        hits = {"hits": held.hits, "hit_entries": hashlib.sha256(held.hit_entries or b"").hexdigest()}
    return chain.digest_of(
        hits
        | {
            "number": held.number,
            "at": chain.stamp(held.at),
            "late": held.late,
            "first": held.first,
            "last": held.last,
            "reads": held.reads,
            "entries": hashlib.sha256(held.entries).hexdigest(),
            "previous": held.previous,
        }
    )


# Sealing


def _add(
    entries: Sequence[Entry], hits: Sequence[HitEntry], batches: Sequence[int], late: bool, username: str
) -> None:
    before = _light().first()
    made = Seal(
        number=before.number + 1 if before else 1,
        at=clock.now(),
        late=late,
        first=batches[0] if batches else 0,
        last=batches[-1] if batches else 0,
        reads=len(entries),
        entries=leaves.pack(entries),
        hits=len(hits),
        hit_entries=leaves.pack_hits(hits),
        previous=before.hash if before else FIRST,
    )
    made.hash = digest(made)
    made.save(force_insert=True)
    chain.append(
        kind="log",
        person=None,
        username=username,
        action=ACTION,
        elements={"seal": made.number, "sha256": made.hash, "late": late},
        result_count=made.reads,
    )


def _waiting_batches() -> tuple[list[int], list[Entry], list[HitEntry]]:
    """The batches of the next seal, in their order, and their entries."""
    taken: list[int] = []
    entries: list[Entry] = []
    hits: list[HitEntry] = []
    for batch in Unsealed.objects.order_by("pk").iterator(_CHUNK):
        if len(entries) + len(hits) >= MOST:
            break
        taken.append(batch.pk)
        entries += leaves.unpack(bytes(batch.entries))
        hits += leaves.unpack_hits(bytes(batch.hit_entries or b""))
    return taken, entries, hits


def _from_before() -> Iterator[list[Entry]]:
    """Entries of the reads that nothing was noted of, by their ids, after the last that was sealed late."""
    last = Seal.objects.filter(late=True, reads__gt=0).first()
    after = list(leaves.unpack(bytes(last.entries)))[-1].read if last else None
    # What comes from now on is at most sealed twice.
    noted = {
        _key(entry.read, entry.revision)
        for batch in Unsealed.objects.order_by("pk").iterator(_CHUNK)
        for entry in leaves.unpack(bytes(batch.entries))
    }
    reads = Read.objects.order_by("id").only(
        "id", "revision", "unit", "store_id", "sequence", "received_at", "digest"
    )
    while part := list((reads if after is None else reads.filter(id__gt=after))[:MOST]):
        after = part[-1].id
        units = {row.id: row.unit_id for row in part}
        entries = [leaves.of_read(row) for row in part]
        for some in _parts(units):
            entries += (
                leaves.of_revision(row, units[row.record])
                for row in Revision.objects.filter(kind="read", record__in=some).defer("body")
            )
        if fresh := sorted(one for one in entries if _key(one.read, one.revision) not in noted):
            yield fresh


def _hits_from_before() -> Iterator[list[HitEntry]]:
    """Entries of the hits that nothing was noted of, by their ids, after the last that was sealed late."""
    last = Seal.objects.filter(late=True, hits__gt=0).first()
    after = list(leaves.unpack_hits(bytes(last.hit_entries or b"")))[-1].hit if last else None
    noted = {
        _key(entry.hit, entry.revision)
        for batch in Unsealed.objects.order_by("pk").iterator(_CHUNK)
        for entry in leaves.unpack_hits(bytes(batch.hit_entries or b""))
    }
    hits = Hit.objects.order_by("id")
    while part := list((hits if after is None else hits.filter(id__gt=after))[:MOST]):
        after = part[-1].id
        here = {row.id: row for row in part}
        entries = [leaves.of_hit(row) for row in part]
        for some in _parts(here):
            entries += (
                leaves.of_hit_revision(row, here[row.record])
                for row in Revision.objects.filter(kind="hit", record__in=some).defer("body")
            )
        if fresh := sorted(one for one in entries if _key(one.hit, one.revision) not in noted):
            yield fresh


def _parts(ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    source = iter(ids)
    while part := list(itertools.islice(source, _CHUNK)):
        yield part


def _late_done() -> bool:
    """Whether all that came before there were seals is sealed: only then does a seal of batches follow."""
    return Seal.objects.filter(late=False).exists()


def _late_hits_done() -> bool:
    """Whether all hits that came before hits were sealed are: a seal of batches that has hits follows."""
    return Seal.objects.filter(late=False, hits__isnull=False).exists()


def _light() -> QuerySet[Seal]:
    """Seals without their entries, the newest first."""
    return Seal.objects.defer("entries", "hit_entries")


def _last_number() -> int:
    return int(Seal.objects.aggregate(last=Max("number"))["last"] or 0)


# Verifying


class _Broken(Exception):
    """The first fault; its text says which."""


class _Check:
    """One verification. What must be looked up among all entries lies in a scratch file of SQLite's."""

    def __init__(self, first: int) -> None:
        self.state = State()
        self._first, self._number = first, first - 1
        self._previous = ""
        self._batches: set[int] = set()
        self._newest_proof = 0
        self._authorised: dict[int, bool] = {}
        self._scratch = sqlite3.connect("", isolation_level=None)
        self._scratch.execute("CREATE TABLE held (entry BLOB PRIMARY KEY) WITHOUT ROWID")
        self._scratch.execute("CREATE TABLE destroyed (read BLOB PRIMARY KEY) WITHOUT ROWID")

    def close(self) -> None:
        self._scratch.close()

    def all(self, whole: bool) -> None:
        try:
            self._seals()
            self._check_told()
            if whole:
                self._waiting()
            if whole and self._first == 1:
                reads = itertools.chain(self._reads_here(), self._revisions_here("read"))
                self.state.unsealed = self._strangers("read", reads, _late_done)
                hits = itertools.chain(self._hits_here(), self._revisions_here("hit"))
                self.state.unsealed_hits = self._strangers("hit", hits, _late_hits_done)
        except _Broken as broken:
            self.state.fault = Fault(str(broken))

    def _seals(self) -> None:
        """The seals that were not looked at yet, with their reads."""
        if not self._previous:
            self._previous = FIRST
            if self._first > 1:
                before = _light().filter(number=self._first - 1).first()
                if before is None:
                    raise _Broken(f"seal {self._first - 1} is missing")
                self._previous = before.hash
        while held := Seal.objects.filter(number__gt=self._number).order_by("number").first():
            if held.number != self._number + 1:
                raise _Broken(f"seal {self._number + 1} is missing")
            if held.previous != self._previous:
                raise _Broken(f"seal {held.number} does not follow the one before it")
            if held.hash != digest(held) or (held.hits is None and held.hit_entries):
                # The hash of one from before hits were sealed is over no entries of hits: it holds none.
                raise _Broken(f"seal {held.number} was changed")
            self._number, self._previous = held.number, held.hash
            self.state.seals += 1
            self.state.reads += self._compare(bytes(held.entries), f"seal {held.number}")
            self._compare_hits(bytes(held.hit_entries or b""), f"seal {held.number}")

    def _waiting(self) -> None:
        """The batches that no seal holds yet and were not looked at."""
        for pk in Unsealed.objects.order_by("pk").values_list("pk", flat=True):
            batch = None if pk in self._batches else Unsealed.objects.filter(pk=pk).first()
            if batch is not None:
                self._batches.add(pk)
                where = "what waits for its seal"
                self.state.waiting += self._compare(bytes(batch.entries), where)
                self._compare_hits(bytes(batch.hit_entries or b""), where)

    def _check_told(self) -> None:
        """The access log tells of every seal, and as it is, but where its row was lawfully removed."""
        told = AccessRecord.objects.filter(action=ACTION).order_by("sequence")
        try:
            known = {int(row.elements["seal"]): row.elements["sha256"] for row in told.iterator(2000)}
        except (KeyError, TypeError, ValueError) as error:
            raise _Broken("what the access log tells of the seals was changed") from error
        gone_before = _removed_before()
        for held in _light().order_by("number").iterator(2000):
            hash_told = known.pop(held.number, None)
            if hash_told is None and gone_before is not None and held.at < gone_before:
                continue
            if hash_told != held.hash:
                raise _Broken(f"seal {held.number} is not the one that the access log tells of")
        if known:
            raise _Broken(f"seal {min(known)}, of which the access log tells, is missing")

    def _compare(self, packed: bytes, where: str) -> int:
        """Compare some entries with what is here; how many fit. Raises _Broken."""
        try:
            entries = list(leaves.unpack(packed))
        except ValueError as error:
            raise _Broken(f"{where}: {error}") from error
        return sum(
            self._compare_some(entries[start : start + _CHUNK], where)
            for start in range(0, len(entries), _CHUNK)
        )

    def _compare_some(self, entries: Sequence[Entry], where: str) -> int:
        ids = {entry.read for entry in entries}
        here = Read.objects.in_bulk(ids)
        pictures: dict[UUID, list[Picture]] = {}
        for picture in Picture.objects.filter(read__in=ids, current=True):
            pictures.setdefault(picture.read_id, []).append(picture)
        older = {
            entry.read for entry in entries if (row := here.get(entry.read)) and row.revision != entry[1]
        }
        revisions = {
            (row.record, row.revision): row for row in Revision.objects.filter(kind="read", record__in=older)
        }
        fits = []
        for entry in entries:
            row = here.get(entry.read)
            if row is None:
                if not self._is_destroyed(entry.read):
                    raise _Broken(
                        f"read {entry.read} of {where} is missing and no certificate of destruction names it"
                    )
                self.state.destroyed += 1
                continue
            if row.revision == entry.revision:
                fault = faults.of_read(entry, row, pictures.get(row.id, ()))
            else:
                fault = faults.of_revision(entry, revisions.get((row.id, entry.revision)), row.unit_id)
            if fault:
                raise _Broken(f"read {entry.read} of {where}: {fault}")
            fits.append(_key(entry.read, entry.revision))
        self._scratch.executemany("INSERT OR IGNORE INTO held VALUES (?)", ((key,) for key in fits))
        return len(fits)

    def _compare_hits(self, packed: bytes, where: str) -> None:
        """Compare some entries of hits with what is here, and count them. Raises _Broken."""
        try:
            entries = list(leaves.unpack_hits(packed))
        except ValueError as error:
            raise _Broken(f"{where}: {error}") from error
        for start in range(0, len(entries), _CHUNK):
            self._compare_some_hits(entries[start : start + _CHUNK], where)

    def _compare_some_hits(self, entries: Sequence[HitEntry], where: str) -> None:
        here = Hit.objects.in_bulk({entry.hit for entry in entries})
        older = {
            entry.hit
            for entry in entries
            if (row := here.get(entry.hit)) and row.read_revision != entry.revision
        }
        revisions = {
            (row.record, row.revision): row for row in Revision.objects.filter(kind="hit", record__in=older)
        }
        fits = []
        for entry in entries:
            row = here.get(entry.hit)
            if row is None:
                if not self._is_destroyed(entry.read):
                    raise _Broken(f"hit {entry.hit} of {where} is missing and no certificate names its read")
                continue
            if row.read_revision == entry.revision:
                fault = faults.of_hit(entry, row)
            else:
                fault = faults.of_hit_revision(entry, revisions.get((row.id, entry.revision)), row)
            if fault:
                raise _Broken(f"hit {entry.hit} of {where}: {fault}")
            fits.append(_key(entry.hit, entry.revision, "hit"))
        self._scratch.executemany("INSERT OR IGNORE INTO held VALUES (?)", ((key,) for key in fits))
        self.state.hits += len(fits)

    def _is_destroyed(self, read: UUID) -> bool:
        """Whether a certified destruction, or one that is under way, names the read."""
        asked = ("SELECT 1 FROM destroyed WHERE read = ?", (read.bytes,))
        if self._scratch.execute(*asked).fetchone():
            return True
        # One purge runs at a time: an open batch is the newest.
        batches = Batch.objects.filter(
            pk__gt=self._newest_proof, state__in=(Batch.State.DELETED, Batch.State.DONE)
        )
        for batch in batches.order_by("pk").iterator(_CHUNK):
            self._newest_proof = batch.pk
            ids = _ids_of(batch)
            if ids and proposals.digest(ids) == batch.ids_sha256 and self._is_authorised(batch.proposal_id):
                self._scratch.executemany(
                    "INSERT OR IGNORE INTO destroyed VALUES (?)", ((one.bytes,) for one in ids)
                )
        return self._scratch.execute(*asked).fetchone() is not None

    def _is_authorised(self, proposal: int) -> bool:
        if proposal not in self._authorised:
            self._authorised[proposal] = _authorised(Proposal.objects.get(pk=proposal))
        return self._authorised[proposal]

    def _strangers(self, kind: str, found: Iterator[list[tuple[UUID, int]]], done: Callable[[], bool]) -> int:
        """Find what is here and in no seal, and count it while not all is sealed yet. Raises _Broken."""
        unsealed = 0
        for part in found:
            strangers = self._not_held(kind, part)
            if strangers and done():
                # It may have come, or have been revised, since the seals were read.
                # In this order: a batch goes from what waits into a seal, never back.
                self._waiting()
                self._seals()
                strangers = self._not_held(kind, strangers)
                if strangers:
                    record, revision = strangers[0]
                    raise _Broken(
                        f"{kind} {record}: revision {revision} is here, but nothing was sealed of it"
                    )
            unsealed += len(strangers)
        return unsealed

    def _not_held(self, kind: str, part: Sequence[tuple[UUID, int]]) -> list[tuple[UUID, int]]:
        marks = ", ".join("?" * len(part))
        asked = self._scratch.execute(
            f"SELECT entry FROM held WHERE entry IN ({marks})", [_key(*one, kind) for one in part]
        )
        held = {bytes(row[0]) for row in asked}
        return [one for one in part if _key(*one, kind) not in held]

    def _reads_here(self) -> Iterator[list[tuple[UUID, int]]]:
        after = UUID(int=0)
        # Part by part, for a long run of one statement would keep SQLite's log from being cut.
        while part := list(
            Read.objects.filter(id__gt=after).order_by("id").values_list("id", "revision")[:_CHUNK]
        ):
            after = part[-1][0]
            yield part

    def _hits_here(self) -> Iterator[list[tuple[UUID, int]]]:
        after = UUID(int=0)
        while part := list(
            Hit.objects.filter(id__gt=after).order_by("id").values_list("id", "read_revision")[:_CHUNK]
        ):
            after = part[-1][0]
            yield part

    def _revisions_here(self, kind: str) -> Iterator[list[tuple[UUID, int]]]:
        after = 0
        while part := list(
            Revision.objects.filter(kind=kind, pk__gt=after)
            .order_by("pk")
            .values_list("record", "revision", "pk")[:_CHUNK]
        ):
            after = part[-1][2]
            yield [(record, revision) for record, revision, _ in part]


def _key(record: UUID, revision: int, kind: str = "read") -> bytes:
    """Of a read or a hit: their ids are of different makers and might be the same."""
    return (b"" if kind == "read" else b"hit") + record.bytes + revision.to_bytes(8, "big", signed=True)


def _ids_of(batch: Batch) -> list[UUID]:
    """The reads of a batch; none of one from before their ids were kept, or of one that was changed."""
    packed = bytes(batch.ids or b"")
    if len(packed) % 16:
        return []
    return [UUID(bytes=packed[start : start + 16]) for start in range(0, len(packed), 16)]


def _removed_before() -> datetime | None:
    """Rows of the log from before this moment may have been removed."""
    found: datetime | None = Removal.objects.filter(anchors__isnull=False).aggregate(at=Max("before"))["at"]
    return found


def _authorised(proposal: Proposal) -> bool:
    """Whether the destruction is signed and, if finished, its certificate fits and stands in the log."""
    if proposal.state == Proposal.State.COSIGNED:
        return True
    certificate = Certificate.objects.filter(proposal=proposal).first()
    done = proposal.batches.filter(state=Batch.State.DONE).order_by("pk").values_list("ids_sha256", flat=True)
    if certificate is None or certificate.ids_sha256 != proposals.digest(done):
        return False
    rows_told = AccessRecord.objects.filter(action="destruction.run", case=str(proposal.pk))
    if any(row.elements.get("ids_sha256") == certificate.ids_sha256 for row in rows_told):
        return True
    gone_before = _removed_before()
    return gone_before is not None and certificate.at < gone_before
