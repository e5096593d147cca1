"""Gathers from the database what goes into a package; `hq.evidence.bag` writes it down.

Owns which facts a package holds. What other apps record about a read, a hit or a unit (a correction, a
verification, an installation) is taken through their foreign keys, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Final
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import models
from django.db.models import Q, QuerySet

from hq.evidence.bag import Photo, Row
from hq.hits import corrections, review, wording
from hq.lists import masking
from hq.lists.models import Publication
from hq.log.chain import stamp
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.records.models import AccessReceived, Hit, Loss, Picture, Read, Unit

MAX_READS: Final = 20_000
"""A package of more would fit no reader's patience; a scope can be cut into several."""

_ENTRY: Final = (
    "entry_plate",
    "entry_state",
    "alarm_class",
    "reason",
    "source",
    "case_number",
    "expiry",
    "priority",
)
_NOT_SHOWN: Final = {"lookalike", "key", "category", "purge_after", "digest", "store_id", "sequence"}


class TooMany(ValueError):
    """A scope that holds more reads than one package may."""


def reads_of(scope: Q) -> list[Read]:
    """The reads within a scope, by time. Raises TooMany."""
    found = list(Read.objects.filter(scope).order_by("at", "id")[: MAX_READS + 1])
    if len(found) > MAX_READS:
        raise TooMany(f"scope: holds more than {MAX_READS} reads; cut it into several packages")
    return found


def read_rows(reads: Sequence[Read], *, pictures: bool) -> tuple[list[Row], list[Photo], int]:
    """Rows of reads, the picture files, and how many pictures never reached HQ."""
    by_read: dict[UUID, list[Picture]] = {}
    for picture in Picture.objects.filter(read__in=[read.id for read in reads]).order_by("kind", "sha256"):
        by_read.setdefault(picture.read_id, []).append(picture)
    about = _about(Read, [read.id for read in reads], leave_out=(Picture, Hit, Loss))
    right = corrections.newest(read.id for read in reads)
    rows: list[Row] = []
    photos: list[Photo] = []
    missing = 0
    for read in reads:
        shown = []
        for picture in by_read.get(read.id, []):
            name = f"pictures/{read.id}-{picture.kind}-{picture.sha256[:12]}.jpg"
            gone = "it never reached HQ" if picture.missing else ""
            missing += picture.missing
            shown.append(
                {
                    "kind": picture.kind,
                    "file": name,
                    "sha256": picture.sha256,
                    "size": picture.size,
                    "missing": gone,
                    "of_newest_revision": picture.current,
                }
            )
            if pictures and not picture.missing:
                photos.append(Photo(name, picture.sha256, picture.size, _opener(str(picture.file.name))))
        row = {name: value for name, value in _row(read).items() if name not in _NOT_SHOWN}
        corrected = right[read.id].corrected if read.id in right else ""
        rows.append({**row, "corrected": corrected, "about": about.get(read.id, []), "pictures": shown})
    return rows, photos, missing


def hit_rows(reads: Sequence[Read], person: Person) -> list[Row]:
    """Hits on these reads with their verification; what the person may not see is masked (430.3(e)).

    `status` is how a hit stands at HQ. The unit's own says UNVERIFIED for good, whatever CLETS answered.
    """
    hits = list(Hit.objects.filter(read__in=[read.id for read in reads]).order_by("received_at", "id"))
    about = _about(Hit, [hit.id for hit in hits])
    stands = {one.hit.pk: wording.status(one) for one in review.of(hits)}
    held = masking.grants_of(person)
    rows: list[Row] = []
    for hit in hits:
        row = _row(hit) | {"status": stands[hit.pk]}
        if lacking := masking.lacking_for_hit(held, hit.alarm_class, hit.source, hit.list_version):
            row |= dict.fromkeys(_ENTRY, "") | {"masked": f"grant {lacking} is missing"}
        rows.append({**row, "verification": about.get(hit.id, [])})
    return rows


def hotlist_rows(reads: Sequence[Read]) -> list[Row]:
    """The versions of hot lists that the hits name, with what HQ published under that version."""
    versions = sorted(
        set(Hit.objects.filter(read__in=[read.id for read in reads]).values_list("list_version", flat=True))
    )
    issued = {row.version: row for row in Publication.objects.filter(version__in=versions)}
    return [
        {
            "version": version,
            "issued_at": _value(issued[version].issued_at) if version in issued else "",
            "sha256": issued[version].sha256 if version in issued else "",
            "entries": issued[version].entry_count if version in issued else None,
            "made_of": issued[version].made_of if version in issued else [],
        }
        for version in versions
    ]


def unit_rows(reads: Sequence[Read]) -> list[Row]:
    """The readers, what they ran at these reads, and their register's records."""
    rows: list[Row] = []
    for unit in Unit.objects.filter(unit_id__in={read.unit_id for read in reads}).order_by("unit_id"):
        own = [read for read in reads if read.unit_id == unit.unit_id]
        rows.append(
            {
                "unit": unit.unit_id,
                "name": unit.name,
                "state": unit.state,
                "reads": len(own),
                "cameras": sorted({read.camera for read in own}),
                "software": sorted({read.software for read in own}),
                "model_hashes": sorted({value for read in own for value in read.model_hashes}),
                "config_hashes": sorted({read.config_hash for read in own}),
                "register": _about(Unit, [unit.unit_id], only_app="units").get(unit.unit_id, []),
            }
        )
    return rows


def access_rows(reads: Sequence[Read], number: str, until: datetime) -> list[Row]:
    """Who saw these reads, at HQ and on the units, up to a moment; and what was done about this package."""
    if not reads:
        return []
    wanted = {str(read.id) for read in reads}
    # The board and a hit's page name the hit alone, and show the plate and place of its read.
    of_hit = {
        str(hit): str(read)
        for hit, read in Hit.objects.filter(read__in=[read.id for read in reads]).values_list("id", "read_id")
    }
    # The log keeps hundredths of a second, cut off: who looked at once stands a little before the read.
    first = min(read.received_at for read in reads) - timedelta(milliseconds=10)
    rows: list[Row] = []
    log = AccessRecord.objects.filter(at__lte=until).filter(Q(at__gte=first) | Q(case=number))
    for record in log.order_by("sequence").iterator(2000):
        seen = wanted & {of_hit.get(id_, id_) for id_ in record.ids}
        if seen or (number and record.case == number):
            rows.append(
                {
                    "where": "HQ",
                    "sequence": record.sequence,
                    "at": stamp(record.at),
                    "name": record.name,
                    "username": record.username,
                    "title": record.title,
                    "agency": record.agency,
                    "action": record.action,
                    "outcome": record.outcome,
                    "purpose": record.purpose,
                    "case": record.case,
                    "on_behalf_of": record.on_behalf_of,
                    "reads": len(seen),
                    "hash": record.hash,
                }
            )
    for received in AccessReceived.objects.filter(received_at__gte=first, received_at__lte=until).iterator(
        2000
    ):
        seen = wanted & {str(read) for read in received.ids}
        if seen:
            rows.append(
                {
                    "where": f"unit {received.unit_id}",
                    "sequence": received.sequence,
                    "at": stamp(received.accessed_at or received.received_at),
                    "name": received.person,
                    "username": "",
                    "title": received.title,
                    "agency": received.agency,
                    "action": received.action,
                    "outcome": received.outcome,
                    "purpose": received.purpose,
                    "case": received.case_number,
                    "on_behalf_of": "",
                    "reads": len(seen),
                    "hash": "",
                }
            )
    return rows


def _about(
    model: type[models.Model],
    ids: Collection[object],
    *,
    leave_out: Iterable[type[models.Model]] = (),
    only_app: str = "",
) -> dict[Any, list[dict[str, object]]]:
    """Rows of other tables that point to these rows, by the id that they point to."""
    found: dict[Any, list[dict[str, object]]] = {}
    for relation in model._meta.related_objects:
        other: Any = relation.related_model
        if other in tuple(leave_out) or (only_app and other._meta.app_label != only_app):
            continue
        field = relation.field
        rows: QuerySet[Any] = other._default_manager.filter(**{f"{field.name}__in": ids}).order_by("pk")
        for row in rows:
            found.setdefault(getattr(row, field.attname), []).append(
                {"record": str(other._meta.verbose_name), **_row(row)}
            )
    return found


def _row(row: models.Model) -> dict[str, object]:
    """A row's own fields as JSON can hold them; a person by name, title and agency."""
    values: dict[str, object] = {}
    for field in row._meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and field.remote_field.model is Person:
            person = getattr(row, field.name)
            values[field.name] = f"{person.full_name}, {person.title}, {person.agency}" if person else ""
        else:
            values[field.name] = _value(getattr(row, field.attname))
    return values


def _value(value: Any) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if value is None or isinstance(value, (bool, int, float, str, list, dict)):
        return value
    return str(value)


def _opener(name: str) -> Any:
    def opened() -> BinaryIO:
        return default_storage.open(name, "rb")  # type: ignore[return-value]

    return opened
