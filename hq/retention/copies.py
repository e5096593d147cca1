"""HQ's own files of what was handed out go with the reads in them (430.4-d, 430.4-e).

The medium that is booked is the evidence, and what an agency was given is with the agency: HQ's ZIP is a
working copy. Once a read in it was destroyed, the ZIP is too, as part of that purge or the next one. Owns
which files these are, where they lie, and the journal of their destruction: the row first, then the file. The
order of a purge is `hq.retention.purge`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

from django.apps import apps
from django.core.files.storage import default_storage

from hq.people.policy import Gone
from hq.records.models import Read
from hq.retention import aside
from hq.retention.models import DestroyedCopy, Proposal, UnreadableCopy
from hq.site import clock

KEPT: Final = timedelta(days=30)
"""How long HQ keeps a copy after the booking or the fulfilment, whatever is destroyed."""

FOLDER: Final = "packages"

_CHUNK: Final = 400


@dataclass(frozen=True)
class _Made:
    """A table of rows with a file. `since`: the moment from which on another than HQ has it.

    A package that is made and not booked is in no such state: its file is the only copy of the evidence.
    """

    model: str
    state: str
    since: str
    holder: str

    @property
    def rows(self) -> Any:
        return apps.get_model(self.model)._default_manager


_MADE: Final = (
    _Made("evidence.Package", "booked", "booking_at", "the property room, where its medium is booked"),
    _Made("releases.ReleaseRequest", "fulfilled", "fulfilled_at", "the agency to which it was released"),
)


def to_destroy(proposal: Proposal) -> Iterator[DestroyedCopy]:
    """The copies that go with this purge, not saved yet; what cannot be read is noted and left."""
    before = clock.now() - KEPT
    gone = DestroyedCopy.objects.values("number")
    for made in _MADE:
        rows = made.rows.filter(state=made.state, **{f"{made.since}__lte": before}).exclude(file="")
        for pk in list(rows.exclude(number__in=gone).order_by("pk").values_list("pk", flat=True)):
            row = made.rows.get(pk=pk)
            name = str(row.file.name)
            if not default_storage.exists(name):
                continue
            try:
                reads = _reads_in(row)
            except ValueError:
                UnreadableCopy.objects.get_or_create(
                    number=row.number, defaults={"proposal": proposal, "found_at": clock.now()}
                )
                continue
            if missing := len(reads) - _here(reads):
                yield DestroyedCopy(
                    proposal=proposal,
                    number=row.number,
                    file=name,
                    sha256=row.sha256,
                    reads=len(reads),
                    gone=missing,
                    marked_at=clock.now(),
                )


def drop(copy: DestroyedCopy) -> None:
    """Destroy the file of a copy that is written down. Raises OSError."""
    aside.delete(copy.file)
    copy.at = clock.now()
    copy.save(update_fields=["at"])


def recover() -> list[str]:
    """Finish what was cut off, and drop what a backup of the files has brought back; says what it did."""
    done = []
    for copy in DestroyedCopy.objects.filter(at__isnull=True).order_by("pk"):
        drop(copy)
        done.append(f"file of {copy.number}: finished")
    for copy in _back():
        aside.delete(copy.file)
        done.append(f"file of {copy.number}: was back, destroyed again")
    return done


def unfinished() -> int:
    """Copies that are written down as destroyed and may still be there."""
    return DestroyedCopy.objects.filter(at__isnull=True).count()


def sweep(before: datetime) -> int:
    """Delete the files from before a moment that no package or release names; says how many they were.

    They are of a package whose row was not committed: it was made again under another name.
    """
    removed = 0
    for year in _listed(FOLDER)[0]:
        names = {f"{FOLDER}/{year}/{name}" for name in _listed(f"{FOLDER}/{year}")[1]}
        for made in _MADE:
            names -= set(made.rows.filter(file__in=names).values_list("file", flat=True))
        for name in sorted(names):
            if default_storage.get_modified_time(name) < before:
                aside.delete(name)
                removed += 1
    return removed


def unreadable() -> list[str]:
    """The numbers of those whose file a purge could not read as a package, and that cannot be read now."""
    rows = UnreadableCopy.objects.exclude(number__in=DestroyedCopy.objects.values("number"))
    return [number for number in rows.order_by("pk").values_list("number", flat=True) if _damaged(number)]


def of(number: str | None) -> DestroyedCopy | None:
    """The record of a copy's destruction, by the number of its package or release."""
    return DestroyedCopy.objects.select_related("proposal").filter(number=number or "").first()


def check_here(row: Any) -> None:
    """Raises Gone where HQ's copy of a package or release was destroyed."""
    copy = of(row.number)
    if copy is not None:
        holder = next(made.holder for made in _MADE if made.model == row._meta.label)
        if copy.at:
            done = f"was destroyed on {clock.day_of(copy.at)}"
        else:
            done = f"is being destroyed since {clock.day_of(copy.marked_at)}"
        raise Gone(
            "430.4-d",
            f"HQ's copy of {copy.number} {done} under {copy.under}, with reads in it whose time had passed",
            holder,
        )


def _reads_in(row: Any) -> list[UUID]:
    """Raises ValueError for a file that is no whole package."""
    return [UUID(read) for read in row.read_ids()]


def _here(reads: Iterable[UUID]) -> int:
    source = iter(reads)
    found = 0
    while part := list(itertools.islice(source, _CHUNK)):
        found += Read.objects.filter(id__in=part).count()
    return found


def _damaged(number: str) -> bool:
    row = next((row for made in _MADE if (row := made.rows.filter(number=number).first())), None)
    if row is None or not default_storage.exists(str(row.file.name)):
        return False
    try:
        _reads_in(row)
    except ValueError:
        return True
    return False


def _back() -> list[DestroyedCopy]:
    """Those whose file is there though it was destroyed; one look for each folder."""
    rows = list(DestroyedCopy.objects.filter(at__isnull=False).order_by("pk"))
    there: set[str] = set()
    for folder in sorted({str(PurePosixPath(row.file).parent) for row in rows}):
        there |= {f"{folder}/{name}" for name in _listed(folder)[1]}
    return [row for row in rows if row.file in there]


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """The folders and the files in a folder, none where it is not there."""
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []
