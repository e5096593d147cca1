"""The unit's side of a hot list that comes from HQ: which version, which pieces, the new file.

Owns the folder of pieces and the record of the newest version accepted. The pieces' form and the
cryptography are `mqtt.hotlists`; the list's own file is `firmware.hotlist`.

The old list stays in force until the new one has been built beside it, checked and renamed. A
manifest that HQ did not sign, that has expired, or that is not newer than the one in force is
refused, so that a stale list cannot be replayed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nacl.public import PrivateKey

from firmware.errors import FirmwareError
from mqtt import hotlists
from mqtt.errors import HotListError
from mqtt.records import ChunkHeader, ChunkRef, ChunkRequest, ListEntry, Manifest
from plates.errors import PlatesError
from plates.words import CLASS_RULES, AlarmClass, HotListEntry

logger = logging.getLogger(__name__)

PIECES_PER_REQUEST: Final = 16
_PATIENCE_S: Final = 20.0
_PATIENCE_MAX_S: Final = 600.0

Build = Callable[[Iterator[HotListEntry], Manifest], None]
"""Builds the list's file from entries beside the old one and renames it over that; raises an
OSError, PlatesError, HotListError or FirmwareError if the old one stays."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The newest version that was accepted: it is never gone back behind. `classes` are those of its entries
    that were loaded; a record that is older than this field names none."""

    list_id: str
    version: str
    issued_at: str
    sha256: str
    classes: tuple[str, ...] = ()


class ListLink:
    """Follows one group's manifest.

    `usable` says whether there is a list's file that can be used; `ask` sends a request and says whether
    there was a connection; `classes` are the alarm classes that the unit loads; `wall` is the time now
    (mqtt.records.Time), None before the clock is set.
    """

    def __init__(
        self,
        folder: Path,
        *,
        public_key: str,
        secret: PrivateKey,
        classes: Collection[str],
        build: Build,
        usable: Callable[[], bool],
        ask: Callable[[ChunkRequest], bool],
        wall: Callable[[], str | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._public_key = public_key
        self._secret = secret
        self._classes = frozenset(classes) - {name for name, rule in CLASS_RULES.items() if not rule.allowed}
        self._build = build
        self._usable = usable
        self._ask = ask
        self._wall = wall
        self._clock = clock
        self._in_force = self._load()
        self._wanted: Manifest | None = None
        self._asked: set[int] = set()
        self._ask_after = 0.0
        self._patience = _PATIENCE_S
        self._builder: threading.Thread | None = None
        self._building: Manifest | None = None
        self._built: Exception | None = None
        self.fault = ""

    @property
    def version(self) -> str:
        """The version that HQ last put into force here, "" for none."""
        return self._in_force.version if self._in_force else ""

    def manifest(self, manifest: Manifest) -> None:
        """Take note of a manifest; one that may not be followed sets `fault` and changes nothing."""
        try:
            self._check(manifest)
        except HotListError as error:
            self._refuse(str(error))
            return
        if self._is_known(manifest):
            if self._wanted is not None or self._builder is not None or self._is_in_force():
                return
            # What was put into force is gone (a card's damage, another hotlist.file, `hotlist clear`), or
            # other classes of it are to be loaded now. HQ may have nothing newer for days.
            logger.warning("hot list %s version %s is built again", manifest.list_id, manifest.version)
        logger.info("hot list %s version %s is offered", manifest.list_id, manifest.version)
        self._wanted = manifest
        self._ask_after = 0.0
        self._patience = _PATIENCE_S

    def chunk(self, header: ChunkHeader, sealed: bytes) -> None:
        """Keep a piece that was asked for; one that does not fit is dropped and told in `fault`."""
        wanted = self._wanted
        if wanted is None or (header.list_id, header.version) != (wanted.list_id, wanted.version):
            return
        if header.number >= len(wanted.chunks):
            self._refuse(f"hot list piece {header.number}: the list has {len(wanted.chunks)} pieces")
            return
        ref = wanted.chunks[header.number]
        try:
            piece = hotlists.unseal(sealed, self._secret)
            hotlists.check_piece(ref, piece)
        except HotListError as error:
            self._refuse(str(error))
            return
        path = self._path(ref)
        temporary = path.with_suffix(".new")
        try:
            temporary.write_bytes(piece)
            temporary.rename(path)
        except OSError as error:
            # A full disk must not end the unit, which would ask for the same piece after every restart.
            self._refuse(f"hot list piece {header.number} cannot be kept: {error.strerror}")
            return
        self._asked.discard(header.number)
        if not self._asked:
            self._ask_after = 0.0
            self._patience = _PATIENCE_S

    def step(self) -> None:
        """Ask for what is missing, or build the list, if it is time to."""
        if self._builder is not None:
            self._finish()
        wanted = self._wanted
        if wanted is None or self._builder is not None or self._clock() < self._ask_after:
            return
        missing = self._missing(wanted, PIECES_PER_REQUEST)
        if not missing:
            self._start(wanted)
            return
        request = ChunkRequest(
            list_id=wanted.list_id,
            version=wanted.version,
            numbers=tuple(ref.number for ref in missing),
            public_key=hotlists.public_key(self._secret),
        )
        if self._ask(request):
            self._asked = set(request.numbers)
            self._ask_after = self._clock() + self._patience
            self._patience = min(self._patience * 2, _PATIENCE_MAX_S)

    def _check(self, manifest: Manifest) -> None:
        name = f"hot list {manifest.list_id} version {manifest.version}"
        hotlists.verify(manifest, self._public_key)
        if [ref.number for ref in manifest.chunks] != list(range(len(manifest.chunks))):
            raise HotListError(f"{name}: its pieces are not numbered from 0")
        now = self._wall()
        if now is not None and manifest.expires_at < now:
            raise HotListError(f"{name}: expired at {manifest.expires_at}")
        last = self._wanted or self._in_force
        if last is None or self._is_known(manifest):
            return
        same_list = manifest.list_id == last.list_id
        if manifest.issued_at <= last.issued_at or (same_list and manifest.version <= last.version):
            raise HotListError(f"{name}: is not newer than version {last.version}")

    def _is_in_force(self) -> bool:
        """Whether the list is still there as the unit is to load it."""
        return (
            self._in_force is not None
            and frozenset(self._in_force.classes) == self._classes
            and self._usable()
        )

    def _is_known(self, manifest: Manifest) -> bool:
        known = self._wanted or self._in_force
        return known is not None and (known.list_id, known.version, known.sha256) == (
            manifest.list_id,
            manifest.version,
            manifest.sha256,
        )

    def _missing(self, manifest: Manifest, limit: int) -> list[ChunkRef]:
        missing = []
        for ref in manifest.chunks:
            path = self._path(ref)
            if not path.exists() or path.stat().st_size != ref.size:
                missing.append(ref)
                if len(missing) == limit:
                    break
        return missing

    def _start(self, manifest: Manifest) -> None:
        # A thread of its own: a long list takes seconds to build, and hits must not wait for it.
        # A daemon, so that a unit that is told to stop need not wait for it: the old list then stays.
        self._built, self._building = None, manifest
        self._builder = threading.Thread(
            target=self._build_all, args=(manifest,), name="hotlist-build", daemon=True
        )
        self._builder.start()

    def _build_all(self, manifest: Manifest) -> None:
        try:
            self._build(self._entries(manifest), manifest)
        except Exception as error:  # `_finish` raises what is a defect, in the publisher's thread.
            self._built = error

    def _finish(self) -> None:
        assert self._builder is not None
        assert self._building is not None
        if self._builder.is_alive():
            return
        self._builder.join()
        self._builder = None
        built = self._building
        if self._built is not None:
            if not isinstance(self._built, OSError | PlatesError | HotListError | FirmwareError):
                raise self._built
            self._refuse(f"hot list {built.list_id} version {built.version}: {self._built}")
            self._ask_after = self._clock() + self._patience
            self._patience = min(self._patience * 2, _PATIENCE_MAX_S)
            return
        classes = tuple(sorted(self._classes))
        self._in_force = InForce(built.list_id, built.version, built.issued_at, built.sha256, classes)
        self.fault = ""
        logger.info("hot list %s version %s is in force", built.list_id, built.version)
        if self._wanted is built:
            self._wanted = None
        keep = {ref.sha256 for manifest in (built, self._wanted) if manifest for ref in manifest.chunks}
        try:
            self._save(self._in_force)
            self._clean(keep)
        except OSError as error:
            # The list is in force all the same; after a restart HQ's manifest has it built once more.
            self._refuse(f"hot list {built.list_id}: the version in force cannot be noted: {error.strerror}")

    def _entries(self, manifest: Manifest) -> Iterator[HotListEntry]:
        whole, count, left_out = hashlib.sha256(), 0, 0
        for ref in manifest.chunks:
            piece = self._path(ref).read_bytes()
            try:
                hotlists.check_piece(ref, piece)
            except HotListError:
                self._path(ref).unlink()
                raise
            whole.update(piece)
            for entry in hotlists.unpack(piece):
                count += 1
                if entry.alarm_class in self._classes:
                    yield _entry(entry)
                else:
                    left_out += 1
        if whole.hexdigest() != manifest.sha256 or count != manifest.entries:
            raise HotListError(f"its {count} entries are not the {manifest.entries} of the manifest")
        if left_out:
            logger.warning("%d entries of alarm classes that are off were left out", left_out)

    def _path(self, ref: ChunkRef) -> Path:
        return self._folder / f"{ref.sha256}.piece"

    def _load(self) -> InForce | None:
        path = self._folder / "in-force.json"
        try:
            return InForce(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            # A unit must start after any power cut; HQ's retained manifest fills this in again.
            logger.error("%s: %s; the version in force is taken from HQ's next manifest", path, error)
            return None

    def _save(self, in_force: InForce) -> None:
        path = self._folder / "in-force.json"
        temporary = path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(asdict(in_force), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)

    def _clean(self, keep: set[str]) -> None:
        for path in (*self._folder.glob("*.piece"), *self._folder.glob("*.new")):
            if path.stem not in keep:
                path.unlink()

    def _refuse(self, fault: str) -> None:
        if fault != self.fault:
            logger.error("%s", fault)
        self.fault = fault


def _entry(entry: ListEntry) -> HotListEntry:
    return HotListEntry(
        plate=entry.plate,
        state=entry.state,
        alarm_class=AlarmClass(entry.alarm_class),
        reason=entry.reason,
        source=entry.source,
        case_number=entry.case_number,
        expiry=entry.expiry,
        priority=entry.priority,
        partial=entry.partial,
    )
