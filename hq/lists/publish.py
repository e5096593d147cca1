"""From approved versions, hot plates and partial plates to one signed list for a group of units.

Owns what a publication is made of, when one is due, and how long its pieces are kept. Sending it is
`publisher`; the pieces' form and the cryptography are `mqtt.hotlists`. A publication, its pieces and the
state of its versions are one transaction: units are told of all of it or of nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from nacl.signing import SigningKey

from hq.lists.models import (
    HotListEntry,
    HotListSource,
    HotListVersion,
    ListGroup,
    ManualEntry,
    PartialPlate,
    Piece,
    Publication,
)
from hq.lists.versions import classes_on, discard_loading, drop_entries, lines_of
from hq.log import chain
from hq.site import clock
from mqtt import hotlists, messages
from mqtt.errors import HotListError
from mqtt.fields import time_text
from mqtt.records import ListEntry, Manifest
from plates.diff import Key, key_of
from plates.words import HotListEntry as Line

VALID: Final = timedelta(days=30)
"""How long a manifest may be followed; the entries have expiry dates of their own."""

RENEW: Final = timedelta(days=7)
"""A manifest with less time left than this is issued anew, though nothing has changed."""

LOADING: Final = timedelta(days=1)
"""A load that has taken longer was cut off; what is left of it goes."""

KEPT: Final = 2
"""Publications of a group whose pieces are kept: a unit may still be asking for those of the one before."""


def key_path() -> Path:
    """Where HQ's signing key is; its public half, which units need, is beside it with the suffix .pub."""
    return Path(settings.DATA) / "keys" / "hotlist.key"


def signing_key() -> SigningKey:
    """HQ's key, made at the first call. Raises HotListError if it cannot be used, or others can read it."""
    path = key_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = hotlists.signing_key(path)
    if path.stat().st_mode & 0o077:
        raise HotListError(f"{path}: others can read this key; chmod 600 it and consider it known")
    return key


def current(group: ListGroup) -> Publication | None:
    """What the group's units were told last."""
    return group.publications.first()


def publish_due(group: ListGroup, key: SigningKey) -> Publication | None:
    """Publish the group's list if something in it has changed or its manifest runs out; None if not.

    Raises HotListError if the clock stands behind the last publication: units would refuse it as a replay.
    """
    now = clock.now()
    last = current(group)
    inputs = _inputs(group)
    if last is None and not inputs.anything:
        return None
    if last is not None and last.inputs == inputs.fingerprint and last.expires_at - now > RENEW:
        return None
    if last is not None and time_text(now) <= time_text(last.issued_at):
        raise HotListError(f"{group}: was issued at {time_text(last.issued_at)}, later than this clock says")
    entries = [_travelling(line) for line in _lines(inputs)]
    pieces = hotlists.pack(entries)
    issued = time_text(now)
    manifest = hotlists.manifest(
        group.name, _version(now), issued, time_text(now + VALID), pieces, len(entries), key
    )
    with transaction.atomic():
        ListGroup.objects.select_for_update().get(pk=group.pk)
        if current(group) != last or _inputs(group).fingerprint != inputs.fingerprint:
            # Somebody approved or entered something meanwhile; the next look makes it whole.
            return None
        publication = _store(group, manifest, pieces, inputs, now)
    _clean(group)
    return publication


def manifest_of(publication: Publication) -> Manifest:
    """The signed manifest as it was published."""
    record = messages.decode("hotlist", publication.manifest.encode()).record
    assert isinstance(record, Manifest)
    return record


def piece(publication: Publication, number: int) -> bytes | None:
    """A piece of a publication by its number; None where there is none or it is no longer kept."""
    refs = manifest_of(publication).chunks
    if not 0 <= number < len(refs):
        return None
    row = Piece.objects.filter(pk=refs[number].sha256).first()
    return None if row is None else bytes(row.data)


Told = tuple[str, str]
"""What a hit tells of its entry's list: the published version, and the entry's source."""


def origins(told: Iterable[Told]) -> dict[Told, HotListVersion]:
    """The load that brought the entries of a source, for those that came from one.

    Its `prepared_at` says how old the data was, which a hit must show (430.3(f)): a publication is younger
    than most of what is in it, and a load than what it carried over of sources that had no file in it.
    """
    wanted = set(told)
    published = Publication.objects.filter(version__in={version for version, _ in wanted})
    parts: dict[str, set[int]] = {}
    for version, made_of in published.values_list("version", "made_of"):
        parts.setdefault(version, set()).update(one["id"] for one in made_of if one["kind"] == "version")
    loads = HotListVersion.objects.in_bulk(set().union(*parts.values()))
    names: dict[int, set[str]] = {}
    for hot_list, name in HotListSource.objects.values_list("hot_list_id", "name"):
        names.setdefault(hot_list, set()).add(name)
    found = {}
    for version, source in wanted:
        own = [loads[pk] for pk in parts.get(version, ()) if source in names.get(loads[pk].hot_list_id, ())]
        brought = [_brought(load, source, loads) for load in own]
        if brought:
            # Where two lists have a source of this name, the older one is told.
            found[version, source] = min(brought, key=lambda load: load.prepared_at)
    return found


def _brought(load: HotListVersion, source: str, loads: dict[int, HotListVersion]) -> HotListVersion:
    """The last load up to this one that had a file of the source; `loads` keeps those that were looked at."""
    while load.former_id is not None and not any(file["source"] == source for file in load.files):
        if load.former_id not in loads:
            loads[load.former_id] = HotListVersion.objects.get(pk=load.former_id)
        load = loads[load.former_id]
    return load


@dataclass(frozen=True, slots=True)
class _Inputs:
    versions: list[HotListVersion]
    manual: list[ManualEntry]
    partial: list[PartialPlate]
    classes: frozenset[str]
    today: date
    group: int

    @property
    def anything(self) -> bool:
        return bool(self.versions or self.manual or self.partial)

    @property
    def fingerprint(self) -> str:
        parts = [
            self.group,
            [one.pk for one in self.versions],
            [one.pk for one in self.manual],
            [one.pk for one in self.partial],
            sorted(self.classes),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def made_of(self) -> list[dict[str, object]]:
        return [
            {"kind": "version", "id": one.pk, "list": one.hot_list.name, "number": one.number}
            for one in self.versions
        ] + [
            {"kind": kind, "id": one.pk}
            for kind, rows in (("manual", self.manual), ("partial", self.partial))
            for one in rows
        ]


def _inputs(group: ListGroup) -> _Inputs:
    today = clock.today()
    live = {"group": group, "withdrawn_at": None, "expiry__gte": today}
    versions = HotListVersion.objects.filter(
        hot_list__group=group, hot_list__active=True, state__in=HotListVersion.IN_FORCE
    )
    return _Inputs(
        versions=list(versions.select_related("hot_list").order_by("pk")),
        manual=list(ManualEntry.objects.filter(**live).order_by("pk")),
        partial=list(PartialPlate.objects.filter(**live).order_by("pk")),
        classes=classes_on(),
        today=today,
        group=group.pk,
    )


def _lines(inputs: _Inputs) -> Iterator[Line]:
    """Every entry once; a person's own entry counts before a list's with the same key."""
    found: dict[Key, Line] = {}
    for version in inputs.versions:
        found.update((key_of(line), line) for line in lines_of(version))
    found.update((key_of(row.value()), row.value()) for row in (*inputs.manual, *inputs.partial))
    for line in found.values():
        if line.alarm_class.value in inputs.classes and line.expiry >= inputs.today.isoformat():
            yield line


def _store(
    group: ListGroup, manifest: Manifest, pieces: list[bytes], inputs: _Inputs, now: datetime
) -> Publication:
    rows = [Piece(sha256=ref.sha256, data=data) for ref, data in zip(manifest.chunks, pieces, strict=True)]
    Piece.objects.bulk_create(rows, batch_size=100, ignore_conflicts=True)
    publication = Publication.objects.create(
        group=group,
        version=manifest.version,
        issued_at=now,
        expires_at=now + VALID,
        entry_count=manifest.entries,
        sha256=manifest.sha256,
        inputs=inputs.fingerprint,
        made_of=inputs.made_of(),
        manifest=messages.encode(manifest).decode(),
    )
    approved = HotListVersion.objects.filter(pk__in=[one.pk for one in inputs.versions], state="approved")
    approved.update(state="published", published_at=now)
    elements = {"group": group.name, "version": manifest.version, "sha256": manifest.sha256}
    chain.append(
        kind="lists",
        person=None,
        action="lists.publish",
        elements={**elements, "made_of": publication.made_of},
        result_count=manifest.entries,
    )
    return publication


def _clean(group: ListGroup) -> None:
    """Remove the entries of versions that are over, and pieces that no unit can ask for (rec 20, 48)."""
    over = HotListVersion.objects.filter(hot_list__group=group, state__in=("superseded", "withdrawn"))
    for version in over.filter(Exists(HotListEntry.objects.filter(version=OuterRef("pk")))):
        drop_entries(version)
    cut_off = HotListVersion.objects.filter(
        hot_list__group=group, state="loading", prepared_at__lt=clock.now() - LOADING
    )
    for version in cut_off:
        discard_loading(version)
    kept: set[str] = set()
    for one in ListGroup.objects.all():
        for publication in one.publications.all()[:KEPT]:
            kept.update(ref.sha256 for ref in manifest_of(publication).chunks)
    gone = [name for name in Piece.objects.values_list("pk", flat=True) if name not in kept]
    for start in range(0, len(gone), 500):
        Piece.objects.filter(pk__in=gone[start : start + 500]).delete()


def _version(now: datetime) -> str:
    """Sortable, and later than any before it even where HQ came back from a backup."""
    return f"{time_text(now)[:22].replace('-', '').replace(':', '')}Z"


def _travelling(line: Line) -> ListEntry:
    return ListEntry(
        plate=line.plate,
        state=line.state,
        alarm_class=line.alarm_class.value,
        reason=line.reason,
        source=line.source,
        case_number=line.case_number,
        expiry=line.expiry,
        priority=line.priority,
        partial=line.partial,
    )
