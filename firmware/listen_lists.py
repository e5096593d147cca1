"""A hot list published by `platewarden listen --hotlist`: its manifest, and pieces on request.

Owns what is published and under which version; the same list keeps its version over restarts, so that
units are not asked to build it again. The pieces' form and the cryptography are `mqtt.hotlists`.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from firmware.hotlist import HotList
from firmware.store_db import sync_folder
from mqtt import hotlists, messages, topics
from mqtt.errors import HotListError, MessageError
from mqtt.fields import time_text
from mqtt.records import ChunkHeader, ChunkRequest, ListEntry, Manifest
from plates.parsers import BadLine, Defaults, decode_lines, parse_csv
from plates.words import HotListEntry

logger = logging.getLogger(__name__)

VALID: Final = timedelta(days=30)
"""How long a manifest may be followed; the entries have expiry dates of their own."""

RENEWED: Final = timedelta(days=1)
"""A manifest that may be followed for less than this gives way to one of the same entries."""

_MANIFEST: Final = "manifest.json"
_MAX_PIECES: Final = 64


class ListServer:
    """Serves one list to one group. `directory` holds HQ's signing key, made where it is missing,
    with its public half in hq.pub, and the manifest that was published last.

    Raises HotListError if the key or the last manifest cannot be used.
    """

    def __init__(
        self, directory: Path, group: str, list_id: str, entries: Iterable[ListEntry], now: datetime
    ) -> None:
        self._topic = topics.hotlist(group)
        self._key = hotlists.signing_key(directory / "hq.key")
        self._path = directory / _MANIFEST
        self._list_id = list_id
        self.manifest = self._offer(entries, now)

    def renew(self, now: datetime, today: date) -> bool:
        """Take out the entries whose last day was before `today`, the day at the units, and see to it that
        the manifest may still be followed; True where there is a new version to announce.

        Raises HotListError or OSError where that cannot be published; the version before stays.
        """
        last, day = self.manifest, today.isoformat()
        if day <= self._good_until and _may_be_followed(last, now):
            return False
        entries = [entry for piece in self._pieces for entry in hotlists.unpack(piece)]
        self.manifest = self._offer((entry for entry in entries if entry.expiry >= day), now)
        logger.info(
            "hot list version %s: %d entries, %d have expired",
            self.manifest.version,
            self.manifest.entries,
            len(entries) - self.manifest.entries,
        )
        return self.manifest.version != last.version

    def _offer(self, entries: Iterable[ListEntry], now: datetime) -> Manifest:
        """The manifest of these entries, durable: the last one where they are the same."""
        unique = {messages.encode_record(entry): entry for entry in entries}
        pieces = hotlists.pack(unique.values())
        last, list_id, path = _last(self._path), self._list_id, self._path
        whole = hashlib.sha256(b"".join(pieces)).hexdigest()
        if not (last and (last.list_id, last.sha256) == (list_id, whole) and _may_be_followed(last, now)):
            issued, until = time_text(now), time_text(now + VALID)
            if last and issued <= last.issued_at:
                raise HotListError(f"{path}: was issued at {last.issued_at}, later than this clock says")
            last = hotlists.manifest(list_id, issued, issued, until, pieces, len(unique), self._key)
            # Durable before any unit can hear of it: after a power cut the version must not be given to
            # another list, nor an older one be announced again.
            temporary = path.with_suffix(".new")
            with temporary.open("wb") as file:
                file.write(messages.encode(last))
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
            sync_folder(path.parent)
        self._pieces = pieces
        self._good_until = min((entry.expiry for entry in unique.values()), default=date.max.isoformat())
        return last

    def announcement(self) -> tuple[str, bytes]:
        """Topic and payload of the retained manifest."""
        return self._topic, messages.encode(self.manifest)

    def answers(self, request: ChunkRequest) -> Iterator[bytes]:
        """The payloads of the pieces that a unit asks for, sealed to it; none for another version."""
        manifest = self.manifest
        if (request.list_id, request.version) != (manifest.list_id, manifest.version):
            return
        for number in request.numbers[:_MAX_PIECES]:
            if number >= len(self._pieces):
                continue
            ref = manifest.chunks[number]
            header = ChunkHeader(
                list_id=manifest.list_id,
                version=manifest.version,
                number=number,
                sha256=ref.sha256,
                size=ref.size,
            )
            try:
                sealed = hotlists.seal(self._pieces[number], request.public_key)
            except HotListError as error:
                logger.error("%s", error)
                return
            yield messages.encode(header, None, sealed)


def _may_be_followed(manifest: Manifest, now: datetime) -> bool:
    return manifest.expires_at > time_text(now + RENEWED)


def _last(path: Path) -> Manifest | None:
    try:
        manifest = messages.decode("hotlist", path.read_bytes()).record
    except FileNotFoundError:
        return None
    except (OSError, MessageError) as error:
        raise HotListError(f"{path}: {error}") from error
    assert isinstance(manifest, Manifest)
    return manifest


def read_entries(path: Path, today: date) -> Iterator[ListEntry]:
    """The entries of a hot list file: one that `platewarden hotlist import` made (.sqlite), else CSV
    whose first line names the columns, among them plate, class and expiry.

    A bad line is logged with its reason and left out. Entries whose last day was before `today`, the day at
    the units, are left out and counted: a unit whose clock is not set lets every entry match.

    Raises an OSError, PlatesError or StoreError for a file that as a whole cannot be read.
    """
    without = expired = 0
    for entry in _entries_of(path):
        if not entry.expiry:
            without += 1
        elif entry.expiry < today.isoformat():
            expired += 1
        else:
            yield _travelling(entry)
    if without:
        logger.warning("%s: %d entries without an expiry were left out", path.name, without)
    if expired:
        logger.warning("%s: %d entries that have expired were left out", path.name, expired)


def _entries_of(path: Path) -> Iterator[HotListEntry]:
    if path.suffix == ".sqlite":
        with HotList.open(path) as built:
            yield from built.all_entries()
        return
    defaults = Defaults(source=path.stem, expiry="")
    with path.open("rb") as lines:
        for parsed in parse_csv(path.name, decode_lines(lines), {}, defaults):
            if isinstance(parsed, BadLine):
                logger.warning("%s", parsed)
            else:
                yield parsed


def _travelling(entry: HotListEntry) -> ListEntry:
    return ListEntry(
        plate=entry.plate,
        state=entry.state,
        alarm_class=entry.alarm_class.value,
        reason=entry.reason,
        source=entry.source,
        case_number=entry.case_number,
        expiry=entry.expiry,
        priority=entry.priority,
        partial=entry.partial,
    )
