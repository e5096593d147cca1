"""Carries out a signed destruction: rows and picture files go together or not at all.

Batch by batch, each with a journal (`Batch`, `BatchItem`):

    marked    the reads and their files are written down; nothing was touched
    moved     every file is aside (`hq.retention.aside`); only now the database lets the rows go
    deleted   the rows are gone, in one transaction with this word
    done      the files are gone

Then the files of packages and releases with reads in them that are gone (`hq.retention.copies`), each written
down before it is dropped; then the certificate.

A batch that was cut off before `deleted` is undone, one after it is finished, and so is a file that was
written down: `recover` does it all and runs before every purge and when HQ starts. One purge runs at a time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q

from hq.log import chain
from hq.people.policy import Refused
from hq.records import trigrams
from hq.records.models import Hit, Picture, Read, Revision
from hq.retention import copies, destroyed, proposals, selection
from hq.retention.aside import Aside
from hq.retention.models import Batch, BatchItem, Certificate, Proposal
from hq.site import clock

BATCH = 500
_LOCK_ID = 4_300_430


class Busy(Exception):
    """Another purge is running."""


def run(proposal_pk: int, *, run_by: str, step: Callable[[str], None] = lambda word: None) -> Certificate:
    """Destroy what a co-signed proposal holds and return the certificate.

    `run_by` says who started it, for the certificate; `step` is called after each durable step with its word.
    Raises Refused where the signatures do not hold, where the authority does not when the first reads would
    go (what was begun in time is finished), or where a hold cannot be read; Busy beside another purge,
    OSError or DatabaseError where it cannot go on: then `recover` and another run finish it.
    """
    with alone():
        _recover()
        proposal = Proposal.objects.get(pk=proposal_pk)
        try:
            while ids := list(
                selection.of_proposal(proposal).order_by("id").values_list("id", flat=True)[:BATCH]
            ):
                _batch(proposal, ids, step)
            _copies(proposal, step)
            certificate = _certify(proposal.pk, run_by)
        except Refused:
            # What was destroyed by now does not stay in the log until two persons release the hold.
            forget_log()
            raise
        forget_log()
        return certificate


def recover() -> list[str]:
    """Finish or undo what a purge that was cut off has left; says what it did. Raises Busy."""
    with alone():
        try:
            return _recover()
        finally:
            # The purge that was cut off did not come to it.
            forget_log()


def unfinished() -> int:
    """Batches that are neither done nor undone, and files that were written down and may still be there."""
    return Batch.objects.filter(state__in=Batch.OPEN).count() + copies.unfinished()


@transaction.atomic
def _certify(pk: int, run_by: str) -> Certificate:
    proposal = proposals.check_still_good(pk)
    certificate = proposals.certify(proposal, run_by)
    chain.append(
        kind="retention",
        person=None,
        username=run_by,
        action="destruction.run",
        purpose="retention",
        case=str(proposal.pk),
        elements={
            "certificate": certificate.number,
            "schedule": str(proposal.schedule),
            "ids_sha256": certificate.ids_sha256,
            "copies": list(proposal.copies.order_by("pk").values_list("number", flat=True)),
        },
        result_count=certificate.reads,
    )
    return certificate


def _batch(proposal: Proposal, ids: Sequence[UUID], step: Callable[[str], None]) -> None:
    batch, names = _mark(proposal, ids)
    step("marked")
    aside = Aside(batch.pk, names)
    try:
        aside.move()
        step("aside")
        _set(batch, Batch.State.MOVED)
        step("moved")
        _delete_rows(proposal, batch, ids)
    except _Held:
        # A hold came in between: put this batch back; the next selection leaves the held reads out.
        _undo(batch, aside)
        return
    except (OSError, DatabaseError):
        _undo(batch, aside)
        raise
    step("deleted")
    aside.drop()
    step("dropped")
    _close(batch, Batch.State.DONE)
    step("done")


def _copies(proposal: Proposal, step: Callable[[str], None]) -> None:
    for copy in copies.to_destroy(proposal):
        with transaction.atomic():
            proposals.check_still_good(proposal.pk)
            copy.save(force_insert=True)
        step("copy marked")
        copies.drop(copy)
        step("copy dropped")


class _Held(Exception):
    """A read of the batch may no longer be destroyed."""


@transaction.atomic
def _mark(proposal: Proposal, ids: Sequence[UUID]) -> tuple[Batch, list[str]]:
    # With each batch: it may have been withdrawn meanwhile, or a hold have come that nobody can read.
    proposals.check_still_good(proposal.pk)
    files: dict[UUID, list[str]] = {read: [] for read in ids}
    count = octets = 0
    pictures = list(
        Picture.objects.filter(read__in=ids)
        .exclude(file="")
        .order_by("read", "kind", "sha256")
        .values_list("read_id", "file", "size")
    )
    named = [name for _, name, _ in pictures]
    shared = set(Picture.objects.filter(file__in=named).exclude(read__in=ids).values_list("file", flat=True))
    for read, name, size in pictures:
        count, octets = count + 1, octets + size
        if name not in shared:
            files[read].append(name)
    batch = Batch.objects.create(
        proposal=proposal,
        started_at=clock.now(),
        reads=len(ids),
        pictures=count,
        octets=octets,
        ids=b"".join(read.bytes for read in ids),
        ids_sha256=proposals.digest(ids),
    )
    items = BatchItem.objects.bulk_create(
        BatchItem(batch=batch, read_id=read, files=names) for read, names in files.items()
    )
    return batch, [name for item in items for name in item.files]


@transaction.atomic
def _delete_rows(proposal: Proposal, batch: Batch, ids: Sequence[UUID]) -> None:
    reads = Read.objects.filter(id__in=ids)
    if selection.of_proposal(proposal).filter(id__in=ids).count() != len(ids):
        raise _Held
    # Locked: a correction made meanwhile waits, and then finds the read gone.
    trigrams.remove(reads.select_for_update().only("id", "key", "at"))
    destroyed.note(batch, ids)
    hits = list(Hit.objects.filter(read__in=ids).values_list("id", flat=True))
    Revision.objects.filter(Q(kind="read", record__in=ids) | Q(kind="hit", record__in=hits)).delete()
    Hit.objects.filter(id__in=hits).delete()
    Picture.objects.filter(read__in=ids).delete()
    reads.delete()
    batch.state = Batch.State.DELETED
    batch.save(update_fields=["state"])


def _recover() -> list[str]:
    done = []
    for batch in Batch.objects.filter(state__in=Batch.OPEN).order_by("pk"):
        names = [name for item in batch.items.order_by("pk") for name in item.files]
        aside = Aside(batch.pk, names)
        if batch.state == Batch.State.DELETED:
            aside.drop()
            _close(batch, Batch.State.DONE)
            done.append(f"batch {batch.pk}: finished")
        else:
            _undo(batch, aside)
            done.append(f"batch {batch.pk}: undone")
    return done + copies.recover()


def _undo(batch: Batch, aside: Aside) -> None:
    # First no more rows may go, then the files come back.
    if batch.state == Batch.State.MOVED:
        _set(batch, Batch.State.MARKED)
    aside.back()
    _close(batch, Batch.State.UNDONE)


def _set(batch: Batch, state: str) -> None:
    batch.state = state
    batch.save(update_fields=["state"])


@transaction.atomic
def _close(batch: Batch, state: str) -> None:
    batch.state, batch.finished_at = state, clock.now()
    batch.save(update_fields=["state", "finished_at"])
    batch.items.all().delete()


@contextmanager
def alone() -> Iterator[None]:
    """One purge at a time, and none beside a backup: on this machine by a file's lock, among several by the
    database's. Raises Busy.
    """
    path = Path(settings.MEDIA_ROOT) / ".purge-lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy("another purge or a backup is running") from error
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_ID])
            row = cursor.fetchone()
            if not row or not row[0]:
                raise Busy("another purge or a backup is running")
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_ID])
    finally:
        os.close(handle)


def forget_log() -> None:
    """The write-ahead log still holds the pages as they were."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
