"""Reads as a CSV file that names its own access record, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.template.response import SimpleTemplateResponse

from hq.hits import corrections, wording
from hq.log.chain import stamp
from hq.people.decorators import Access
from hq.people.models import Person
from hq.records.models import Read
from hq.site.cells import text_cell

MOST: Final = 5_000
"""Reads of one file: more than this is an evidence package's or a release's business."""

COLUMNS: Final = (
    "read", "plate", "corrected_to", "confidence", "captured_at", "received_at", "clock", "unit", "region",
    "region_confidence", "latitude", "longitude", "deployment", "unverified_hit", "exported_by",
    "access_record", "hit_status", "hit_checked_at",
)  # fmt: skip


class CsvResponse(SimpleTemplateResponse):
    """Made after its access record is written, whose number is in every line and in the file's name."""

    def __init__(self, access: Access, person: Person, reads: Sequence[Read]) -> None:
        self._access, self._person, self._reads = access, person, reads
        super().__init__("", content_type="text/csv; charset=utf-8")

    def render(self) -> CsvResponse:
        """Django calls this once the view and its record are done."""
        record = self._access.record
        number = record.sequence if record else 0
        self.headers["Content-Disposition"] = f'attachment; filename="reads-record-{number}.csv"'
        super().render()
        return self

    @property
    def rendered_content(self) -> str:
        record = self._access.record
        made = io.StringIO()
        writer = csv.writer(made, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        hits = wording.stands(self._reads)
        for read in self._reads:
            told = hits.get(read.pk, [])
            row = (*_row(read), str(self._person), record and record.sequence, *_told(told))
            writer.writerow([cell(value) for value in row])
        return made.getvalue()


def cell(value: object) -> str:
    """A value as a cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return text if isinstance(value, (int, float)) else text_cell(text)


def _row(read: Read) -> tuple[Any, ...]:
    return (
        read.pk,
        read.text,
        corrections.right(read),
        round(read.confidence, 4),
        stamp(read.captured_at) if read.captured_at else "",
        stamp(read.received_at),
        read.clock.get("quality", ""),
        read.unit_id,
        read.region,
        round(read.region_confidence, 4) if read.region else "",
        read.lat,
        read.lon,
        read.deployment,
        "yes" if any(not hit.withdrawn for hit in read.hits.all()) else "no",
    )


def _told(hits: Sequence[tuple[str, datetime | None]]) -> tuple[str, str]:
    """The hits' statuses, and when each was found out, in the same order."""
    times = [stamp(at) if at else "" for _, at in hits]
    return "; ".join(status for status, _ in hits), "; ".join(times) if any(times) else ""
