"""A list's versions: loaded from files, compared, approved by a second person, taken back.

Owns a version's life up to its approval; what units are told is `publish`. Each step that a person takes is
written to the access log in the same transaction.

Entries are written in short transactions of their own, invisible until the version becomes a draft: on SQLite
a long one would keep the subscriber from committing reads.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, F, Max, OuterRef, QuerySet
from django.db.models.functions import Collate

from hq.lists import compare
from hq.lists.classes import NEVER
from hq.lists.errors import ListRefused
from hq.lists.models import HotList, HotListEntry, HotListSource, HotListVersion
from hq.lists.sift import MOST_TOLD, Tally, sift
from hq.log import chain
from hq.people.models import Person
from hq.people.purposes import alarm_classes
from hq.site import clock
from mqtt.messages import encode_record
from plates.diff import Key, key_of
from plates.errors import HotListFormatError
from plates.words import HotListEntry as Line

_BATCH: Final = 2000
_READ: Final = 5000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to load: whose, its name, and its lines with their line ends."""

    source: HotListSource
    name: str
    lines: Iterable[bytes]


def classes_on() -> frozenset[str]:
    """The alarm classes that the agency has on now; never one that law forbids (SB 54)."""
    return frozenset(name.value for name in alarm_classes()) - NEVER


def in_force(hot_list: HotList) -> HotListVersion | None:
    """The version that counts: approved, and published or about to be."""
    return hot_list.versions.filter(state__in=HotListVersion.IN_FORCE).first()


def import_files(hot_list: HotList, files: Sequence[SourceFile], *, by: Person) -> HotListVersion:
    """Load files as a new draft; sources without a file here keep the entries of the version in force.

    Raises:
        HotListFormatError: a file as a whole is not what its source says, or the list would be empty; the
            list in force stays and nothing is left of the load.
        ListRefused: the list is not active, or none of its classes is on.
    """
    if not hot_list.active:
        raise ListRefused("430.2-a", f"the list {hot_list.name} is not active")
    classes = classes_on() & set(hot_list.classes)
    if not classes:
        raise ListRefused(
            "430.2-b", f"no class of {hot_list.name} is on", "the Commander, who switches classes"
        )
    version = _begin(hot_list, by)
    try:
        tallies = [_load(version, file, classes) for file in files]
        _carry_over(version, [file.source.pk for file in files], classes)
        if not version.entries.exists():
            raise HotListFormatError(f"{hot_list.name}: the list would be empty; the one in force stays")
        _finish(version, files, tallies)
    except BaseException:
        discard_loading(version)
        raise
    return version


def approve(version: HotListVersion, *, by: Person) -> HotListVersion:
    """Put a draft into force with the next publication; by another person than prepared it (430.2-d).

    Raises ListRefused if it is no draft, the same person prepared it, or a newer one is already in force.
    """
    with transaction.atomic():
        held = HotListVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
        if held.state != "draft":
            raise ListRefused("430.2-d", f"{held} is {held.state}, not a draft")
        put_in_force(held, by)
        _log(held, by, "lists.approve")
    return held


def put_in_force(held: HotListVersion, by: Person) -> None:
    """Make a locked draft the version that counts; who decides that, and the log, are the caller's.

    Raises ListRefused if `by` prepared it, or a newer one is in force.
    """
    if held.prepared_by_id == by.pk:
        raise ListRefused(
            "430.2-d", "a second person approves a list: not the one who prepared it", "the Commander"
        )
    former = in_force(held.hot_list)
    if former is not None and former.pk != held.former_id:
        raise ListRefused("430.2-d", f"{former} came into force meanwhile; load this one again")
    now = clock.now()
    if former is not None:
        _end(former, "superseded", by, now, f"by version {held.number}")
    held.state, held.approved_by, held.approved_at = "approved", by, now
    held.save(update_fields=["state", "approved_by", "approved_at"])


def withdraw(version: HotListVersion, *, by: Person, why: str) -> HotListVersion:
    """Take a draft or the version in force back; its entries go off the units with the next publication.

    Raises ListRefused for a version that is neither, or without a reason.
    """
    if not why.strip():
        raise ListRefused("430.2-d", "taking a version back needs its reason")
    with transaction.atomic():
        held = HotListVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
        if held.state not in ("draft", *HotListVersion.IN_FORCE):
            raise ListRefused("430.2-d", f"{held} is {held.state} already")
        _end(held, "withdrawn", by, clock.now(), why.strip())
        _log(held, by, "lists.withdraw")
    return held


def in_key_order(entries: QuerySet[HotListEntry]) -> QuerySet[HotListEntry]:
    """In the order of `plates.diff.key_of`, whatever the database's own collation."""
    if connection.vendor == "sqlite":
        return entries.order_by(*HotListEntry.KEY)
    return entries.order_by(*(Collate(F(name), "C") for name in HotListEntry.KEY))


def lines_of(version: HotListVersion) -> Iterator[Line]:
    """A version's entries, sorted by `plates.diff.key_of`."""
    for entry in in_key_order(version.entries.all()).iterator(_READ):
        yield entry.value()


def removed(version: HotListVersion) -> QuerySet[HotListEntry]:
    """The entries of the version before that this one no longer has; empty once that one's are gone."""
    if version.former is None:
        return HotListEntry.objects.none()
    same = {name: OuterRef(name) for name in HotListEntry.KEY}
    kept = HotListEntry.objects.filter(version=version, **same)
    return version.former.entries.exclude(Exists(kept))


def drop_entries(version: HotListVersion) -> int:
    """Delete a version's entries, in short transactions; returns how many."""
    gone = 0
    while True:
        first = version.entries.order_by("pk").values_list("pk", flat=True).first()
        if first is None:
            return gone
        gone += version.entries.filter(pk__lt=first + 10 * _BATCH)._raw_delete(version.entries.db)


def discard_loading(version: HotListVersion) -> None:
    """Remove what is left of a load that failed or was cut off."""
    drop_entries(version)
    HotListVersion.objects.filter(pk=version.pk, state="loading").delete()


def _begin(hot_list: HotList, by: Person) -> HotListVersion:
    with transaction.atomic():
        HotList.objects.select_for_update().get(pk=hot_list.pk)
        number = (hot_list.versions.aggregate(last=Max("number"))["last"] or 0) + 1
        return HotListVersion.objects.create(
            hot_list=hot_list,
            number=number,
            prepared_by=by,
            prepared_at=clock.now(),
            former=in_force(hot_list),
        )


def _load(version: HotListVersion, file: SourceFile, classes: frozenset[str]) -> Tally:
    tally = Tally()
    source, today = file.source, clock.today()
    last_day = today + timedelta(days=version.hot_list.ttl_days)
    lines = sift(
        file.name, file.lines, source.layout(), classes=classes, today=today, last_day=last_day, tally=tally
    )
    _write(version, ((source.pk, line) for line in lines))
    return tally


def _carry_over(version: HotListVersion, loaded: Sequence[int], classes: frozenset[str]) -> None:
    if version.former is None:
        return
    kept = version.former.entries.exclude(source__in=loaded).filter(
        alarm_class__in=classes, expiry__gte=clock.today()
    )
    _write(version, ((entry.source_id, entry.value()) for entry in kept.order_by("pk").iterator(_READ)))


def _write(version: HotListVersion, lines: Iterator[tuple[int, Line]]) -> None:
    # By key, for one statement must not name a row twice; of two entries of one key the later counts.
    batch: dict[Key, HotListEntry] = {}
    for source, line in lines:
        batch[key_of(line)] = HotListEntry(
            version=version,
            source_id=source,
            source_name=line.source,
            plate=line.plate,
            state=line.state,
            alarm_class=line.alarm_class.value,
            reason=line.reason,
            case_number=line.case_number[:1000],
            expiry=date.fromisoformat(line.expiry),
            priority=line.priority,
            partial=line.partial,
        )
        if len(batch) >= _BATCH:
            _flush(batch)
    _flush(batch)


def _flush(batch: dict[Key, HotListEntry]) -> None:
    if batch:
        HotListEntry.objects.bulk_create(
            batch.values(),
            update_conflicts=True,
            unique_fields=["version", *HotListEntry.KEY],
            update_fields=["source", "reason", "expiry", "priority", "partial"],
        )
        batch.clear()


def _finish(version: HotListVersion, files: Sequence[SourceFile], tallies: Sequence[Tally]) -> None:
    digest, counts = hashlib.sha256(), Counter[str]()
    marks: dict[str, list[Key]] = {compare.ADDED: [], compare.CHANGED: []}

    def hashed() -> Iterator[Line]:
        for line in lines_of(version):
            digest.update(encode_record(line) + b"\n")
            counts[line.alarm_class.value] += 1
            yield line

    def note(kind: str, line: Line) -> None:
        if kind in marks:
            marks[kind].append(key_of(line))

    before = lines_of(version.former) if version.former else iter(())
    found = compare.compare(before, hashed(), note)
    if version.former is not None:
        _mark(version, marks)
    bad, lines = sum(tally.bad for tally in tallies), sum(tally.lines for tally in tallies)
    version.files = [
        {
            "source": file.source.name,
            "name": file.name,
            "sha256": tally.sha256,
            "bytes": tally.size,
            "lines": tally.lines,
            "bad": tally.bad,
            "expired": tally.expired,
        }
        for file, tally in zip(files, tallies, strict=True)
    ]
    version.sha256, version.counts, version.entry_count = digest.hexdigest(), dict(counts), counts.total()
    version.left_out = dict(sum((tally.left_out for tally in tallies), Counter[str]()))
    version.bad = [told for tally in tallies for told in tally.told][:MOST_TOLD]
    version.changes = found.as_json()
    version.warnings = compare.warnings(
        found, lines=lines, bad=bad, expected=version.hot_list.classes, present=counts
    )
    version.state = "draft"
    with transaction.atomic():
        version.save()
        _log(version, version.prepared_by, "lists.import")


def _mark(version: HotListVersion, marks: dict[str, list[Key]]) -> None:
    for kind, keys in marks.items():
        wanted = set(keys)
        plates = sorted({key[0] for key in keys})
        for start in range(0, len(plates), _BATCH):
            rows = version.entries.filter(plate__in=plates[start : start + _BATCH])
            ids = [row.pk for row in rows if row.key in wanted]
            version.entries.filter(pk__in=ids).update(change=kind)


def _end(version: HotListVersion, state: str, by: Person, at: datetime, why: str) -> None:
    version.state, version.ended_by, version.ended_at, version.why = state, by, at, why
    version.save(update_fields=["state", "ended_by", "ended_at", "why"])


def _log(version: HotListVersion, by: Person, action: str) -> None:
    elements = {
        "list": version.hot_list.name,
        "version": version.number,
        "sha256": version.sha256,
        "counts": version.counts,
        "files": [(file["name"], file["sha256"]) for file in version.files],
    }
    chain.append(
        kind="lists",
        person=by,
        action=action,
        elements=elements,
        result_count=version.entry_count,
        note=version.why,
    )
