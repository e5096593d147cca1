"""Files on their way into a list: kept apart, previewed, loaded by the publisher's process, deleted.

Owns the uploaded files and what is seen of them before they are loaded. A file of millions of lines takes
minutes, which no page can wait for; so a page only says what is to be loaded. What a load does is `versions`.
"""

from __future__ import annotations

import csv
import itertools
import logging
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from django.conf import settings

from hq.lists import standing
from hq.lists.errors import ListRefused
from hq.lists.models import HotList, HotListSource, HotListVersion, Upload
from hq.lists.sift import MAPPED, Layout, Tally, sift
from hq.lists.versions import SourceFile, classes_on, import_files
from hq.people.models import Person
from hq.site import clock
from plates.errors import HotListFormatError
from plates.parsers import decode_lines
from plates.words import HotListEntry

logger = logging.getLogger(__name__)

SHOWN: Final = 10
"""Lines of a file that its preview shows."""

LOOKED_AT: Final = 500
"""Lines that the preview tries to read."""

_GUESSES: Final = {
    "plate": ("lpn", "license plate", "licence plate", "plate number", "license", "lic", "tag"),
    "state": ("state/province", "st", "lis", "region"),
    "class": ("alarm class", "category", "type", "list_type"),
    "reason": ("description", "information", "alert", "note", "stolen"),
    "case_number": ("case", "case number", "casenumber", "incident", "report number"),
    "expiry": ("expires", "expiry date", "end", "until"),
    "priority": ("prio",),
}
"""Columns that other systems use, by field; a person checks what is made of them."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file would give.

    Attributes:
        columns: of a CSV file, from its first line.
        rows: the first lines, as cells.
        layout: by which it was tried.
        tally: what became of the lines that were looked at.
        entries: the first entries.
        fault: why nothing can be made of the file; "" where something can.
        more: whether the file has lines beyond those that were looked at.
    """

    columns: list[str]
    rows: list[list[str]]
    layout: Layout
    tally: Tally = field(default_factory=Tally)
    entries: list[HotListEntry] = field(default_factory=list)
    fault: str = ""
    more: bool = False


def folder() -> Path:
    """Where uploaded files wait, readable by HQ's own account alone."""
    path = Path(settings.DATA) / "list-uploads"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path_of(upload: Upload) -> Path:
    """The file of an upload."""
    return folder() / str(upload.pk)


def keep(source: HotListSource, file_name: str, chunks: Iterable[bytes], *, by: Person) -> Upload:
    """Take a file in; it waits for its preview to be confirmed."""
    upload = Upload(
        id=uuid.uuid4(), source=source, file_name=Path(file_name).name[:200], by=by, at=clock.now()
    )
    handle = os.open(path_of(upload), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    size = 0
    with os.fdopen(handle, "wb") as file:
        for chunk in chunks:
            size += file.write(chunk)
    upload.size = size
    upload.save(force_insert=True)
    return upload


def give_up(upload: Upload) -> None:
    """Delete an upload and its file."""
    path_of(upload).unlink(missing_ok=True)
    upload.delete()


def guess(columns: Sequence[str]) -> dict[str, str]:
    """Which column may hold which field, by what other systems call theirs."""
    names = {name.strip().casefold(): name for name in columns}
    found = {}
    for one in MAPPED:
        for candidate in (one, *_GUESSES[one]):
            if candidate in names:
                found[one] = names[candidate]
                break
    return found


def preview(upload: Upload, layout: Layout, hot_list: HotList) -> Preview:
    """Read the beginning of a file by a layout; for CSV without a mapping, by a guessed one."""
    with path_of(upload).open("rb") as file:
        head = list(itertools.islice(file, LOOKED_AT + 1))
    more, head = len(head) > LOOKED_AT, head[:LOOKED_AT]
    texts = list(decode_lines(head[: SHOWN + 1]))
    columns, rows = [], [[text] for text in texts]
    if layout.format == "csv":
        try:
            rows = [next(csv.reader([text], delimiter=layout.delimiter), []) for text in texts]
        except (csv.Error, TypeError) as error:
            return Preview([], [[text] for text in texts], layout, fault=str(error), more=more)
        columns, rows = (rows[0] if rows else []), rows[1:]
        if not layout.mapping:
            layout = Layout(
                source=layout.source,
                format="csv",
                mapping=guess(columns),
                delimiter=layout.delimiter,
                alarm_class=layout.alarm_class,
                reason=layout.reason,
            )
    tally, entries, fault = Tally(), list[HotListEntry](), ""
    today = clock.today()
    sifted = sift(
        upload.file_name,
        head,
        layout,
        classes=classes_on() & set(hot_list.classes),
        today=today,
        last_day=today + timedelta(days=hot_list.ttl_days),
        tally=tally,
    )
    try:
        for entry in sifted:
            if len(entries) < SHOWN:
                entries.append(entry)
    except HotListFormatError as error:
        # Of a long CLEW file only the beginning was read, and its last line cannot be there.
        fault = "" if more and layout.format == "clew" else str(error)
    return Preview(columns, rows[:SHOWN], layout, tally, entries, fault, more)


def load_waiting() -> list[HotListVersion]:
    """Load what people have confirmed, one version a list and person; a failure is told at the upload."""
    made = []
    waiting = Upload.objects.filter(state="waiting").select_related("source__hot_list", "by")
    for (hot_list, by), group in itertools.groupby(
        sorted(waiting, key=lambda one: (one.source.hot_list_id, one.by_id, one.at)),
        key=lambda one: (one.source.hot_list, one.by),
    ):
        uploads = list(group)
        version = _load(hot_list, by, uploads)
        if version is not None:
            made.append(version)
    return made


def _load(hot_list: HotList, by: Person, uploads: list[Upload]) -> HotListVersion | None:
    handles = []
    try:
        for upload in uploads:
            handles.append(path_of(upload).open("rb"))
        files = [
            SourceFile(upload.source, upload.file_name, handle)
            for upload, handle in zip(uploads, handles, strict=True)
        ]
        version = standing.put_in_force(import_files(hot_list, files, by=by))
    except (HotListFormatError, ListRefused, OSError) as error:
        fault = error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
        logger.error("list %s: the load was refused", hot_list)
        for upload in uploads:
            path_of(upload).unlink(missing_ok=True)
            upload.state, upload.fault = "failed", fault[:500]
            upload.save(update_fields=["state", "fault"])
        return None
    finally:
        for handle in handles:
            handle.close()
    for upload in uploads:
        give_up(upload)
    logger.info("list %s: version %d is loaded, %d entries", hot_list, version.number, version.entry_count)
    return version
