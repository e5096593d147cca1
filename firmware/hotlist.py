"""The unit's hot list: an SQLite file of its own, built beside the old one and renamed over it.

Owns the file, the look-up of a reading in it and the Hit that comes out. How texts resemble one another
is `plates.match`; how files are read is `plates.parsers`; how a list comes from HQ is `firmware.listlink`.

The file is only read while it is in force: a million entries stay on the disk, and what a look-up needs
is in SQLite's page cache. Patterns are few and are kept in memory, compiled.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from firmware.errors import StoreError
from mqtt.records import Hit, Read
from plates.diff import Diff, diff
from plates.errors import PlatesError
from plates.lookalike import fold
from plates.match import Match, lookalikes, state_agrees
from plates.pattern import Pattern, compile_pattern
from plates.words import AlarmClass, HotListEntry, MatchKind

logger = logging.getLogger(__name__)

FORMAT: Final = "platewarden-hotlist-1"
_SOURCE: Final = "issued_at of "  # a key of the table meta ends with the source's name
_LAST_DAY: Final = "last day of "  # likewise
_NAMED: Final = 3  # sources in one line of the status
_FIELDS: Final = "plate, state, class, reason, source, case_number, expiry, priority, partial"
_MOST: Final = 10
"""The most entries that one read matches; a plate on more lists than that is told by the best of them."""
_LEFT_S: Final = 3600.0  # a build writes all the time, and is done within minutes
_MOST_TEXTS: Final = 200  # look-alike texts in one look-up, far below SQLite's bound on parameters


class HotListFileError(StoreError):
    """A hot list file cannot be read or written; the text names it."""


class HotList:
    """One version of the hot list, open for look-ups by the thread that opened it."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Not for callers: use `open`."""
        self._path = path
        self._db = db
        meta = dict(db.execute("SELECT key, value FROM meta"))
        if meta.get("format") != FORMAT:
            raise HotListFileError(f"{path}: is no hot list of this version of Platewarden")
        self.version: str = meta["version"]
        self.issued_at: str = meta["issued_at"]
        self.entries = int(meta["entries"])
        self._issued: dict[str, str] = {
            key.removeprefix(_SOURCE): at for key, at in meta.items() if key.startswith(_SOURCE)
        }
        self._last_days = {
            key.removeprefix(_LAST_DAY): day for key, day in meta.items() if key.startswith(_LAST_DAY)
        }
        counted = db.execute("SELECT count(*) FROM entry").fetchone()[0]
        if counted != self.entries:
            raise HotListFileError(f"{path}: holds {counted} entries instead of {self.entries}")
        self._patterns: list[tuple[Pattern, HotListEntry]] = [
            (compile_pattern(row[0]), _entry(row))
            for row in db.execute(f"SELECT {_FIELDS} FROM entry WHERE partial = 1")
        ]

    @classmethod
    def open(cls, path: Path) -> HotList:
        """Open the list in `path`.

        Raises:
            HotListFileError: there is none, this user may not read it, or it is damaged or something else.
        """
        try:
            with path.open("rb"):  # SQLite would say that it is unable to, and not why
                pass
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        except FileNotFoundError as error:
            raise HotListFileError(f"{path}: there is no such hot list") from error
        except (OSError, sqlite3.Error) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise HotListFileError(f"{path}: cannot be opened: {reason}") from error
        try:
            return cls(path, db)
        except (sqlite3.Error, KeyError, ValueError, PlatesError) as error:
            db.close()
            raise HotListFileError(f"{path}: is damaged or no hot list: {error}") from error
        except BaseException:
            db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def issued_of(self, source: str) -> str:
        """When a source's entries were issued: with the list, where it came as a whole."""
        return self._issued.get(source, self.issued_at)

    def age_s(self, now: datetime, source: str | None = None) -> float | None:
        """Seconds since the list, or one source's part of it, was issued, at the time `now` (with its
        zone); None where unknown."""
        issued = self.issued_at if source is None else self.issued_of(source)
        try:
            return max(0.0, (now - datetime.fromisoformat(issued)).total_seconds())
        except (ValueError, TypeError):
            return None

    def expired(self, today: date) -> str:
        """Names of the sources of which every entry expired before `today`, short enough for a status; ""
        where there are none, and of a file that an older version made, which does not say."""
        over = sorted(source for source, day in self._last_days.items() if day < today.isoformat())
        more = f" and {len(over) - _NAMED} more" if len(over) > _NAMED else ""
        return ", ".join(source[:40] for source in over[:_NAMED]) + more

    def match(
        self,
        text: str,
        *,
        char_confidence: Sequence[float] = (),
        candidates: Mapping[str, float] | None = None,
        state: str = "",
        today: date | None = None,
        substitutions: int = 1,
        lookalike_score: float = 0.05,
    ) -> list[Match]:
        """The entries that a reading matches: exact before look-alike before partial, then by score.

        Args:
            text: the reading, normalised.
            char_confidence: probability (0..1) of each character.
            candidates: the OCR's candidates with their probabilities.
            state: the reading's state, "" where unknown or not sure enough
                (`plates.match.sure_state`). An entry of another state matches all the same, with
                `state_agrees` False and after those that agree: a state is misread too.
            today: entries that expired before it do not match; None, while the clock is not set,
                lets all match, since a missed alarm is worse than a stale lead that says its age.
            substitutions, lookalike_score: as in the configuration's [hotlist].

        Returns:
            At most ten.

        Raises:
            HotListFileError: the file turned out to be damaged.
        """
        if not text:
            return []
        texts = {text: 1.0}
        if substitutions:
            likely = lookalikes(text, char_confidence, candidates or {}, substitutions, lookalike_score)
            best = sorted(likely.items(), key=lambda item: -item[1])[:_MOST_TEXTS]
            texts.update(best)
        marks = ", ".join("?" * len(texts))
        try:
            rows = self._db.execute(
                f"SELECT {_FIELDS} FROM entry WHERE partial = 0 AND plate IN ({marks})", list(texts)
            ).fetchall()
        except sqlite3.Error as error:
            raise HotListFileError(f"{self._path}: {error}") from error
        found = []
        for row in rows:
            kind = MatchKind.EXACT if row[0] == text else MatchKind.LOOKALIKE
            try:
                entry = _entry(row)
            except ValueError as error:
                # A damaged page can still be sound SQLite; the loop must not die of what it holds.
                raise HotListFileError(f"{self._path}: is damaged: {error}") from error
            found.append(Match(entry, kind, texts[row[0]], state_agrees(state, row[1])))
        folded = fold(text)
        for pattern, entry in self._patterns:
            if pattern.matches_folded(folded):
                replaced = pattern.replaced(text)
                if replaced is not None and replaced <= substitutions:
                    score, agrees = pattern.score(text, replaced), state_agrees(state, entry.state)
                    found.append(Match(entry, MatchKind.PARTIAL, score, agrees))
        valid = [m for m in found if today is None or m.entry.expiry >= today.isoformat()]
        order = list(MatchKind)
        valid.sort(key=lambda m: (order.index(m.kind), m.state_agrees is False, -m.score, -m.entry.priority))
        return valid[:_MOST]

    def all_entries(self) -> Iterator[HotListEntry]:
        """Every entry, sorted by `plates.diff.key_of`. Raises HotListFileError for a damaged file."""
        order = "plate, state, class, source, case_number"
        try:
            for row in self._db.execute(f"SELECT {_FIELDS} FROM entry ORDER BY {order}"):
                yield _entry(row)
        except (sqlite3.Error, ValueError) as error:
            raise HotListFileError(f"{self._path}: is damaged: {error}") from error

    def counts(self) -> dict[AlarmClass, int]:
        """Entries by alarm class. Raises HotListFileError for a damaged file."""
        try:
            found = self._db.execute("SELECT class, count(*) FROM entry GROUP BY class ORDER BY class")
            return {AlarmClass(name): count for name, count in found}
        except (sqlite3.Error, ValueError) as error:
            raise HotListFileError(f"{self._path}: is damaged: {error}") from error

    def sources(self) -> dict[str, int]:
        """Entries by source."""
        return dict(self._db.execute("SELECT source, count(*) FROM entry GROUP BY source ORDER BY source"))


Keep = Callable[[HotListEntry], bool]
"""Which entries of the list in force stay so beside the new ones; asked once those are all there."""


def build(
    path: Path, entries: Iterable[HotListEntry], *, version: str, issued_at: str, keep: Keep | None = None
) -> Diff:
    """Write a list beside `path`, check it, force it to the disk and rename it over `path`.

    An entry that comes twice (`plates.diff.key_of`) is kept once, the later one. The file that was
    there stays in force until the rename, and for good if anything fails.

    Args:
        path: the list's file; its folder must exist.
        entries: may be a stream of any length.
        version: sortable text.
        issued_at: when the entries were issued (ISO 8601 with offset), "" where unknown. What is kept
            keeps its own; the list's is that of its oldest source, for that is where it is stale.
        keep: without it the list is replaced as a whole.

    Returns:
        What changed against the file that was there; all is added where there was none or a damaged one.

    Raises:
        HotListFileError: the new file cannot be written, or the one in force, of which
            something is to be kept, was changed meanwhile.
        Whatever `entries` raises.
    """
    start = _identity(path)
    with _written(path, entries, version, issued_at, keep) as (new, changes):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            # Two imports at a time would each keep what was in force before, and the later one would
            # take out again what the earlier one brought. A list that keeps nothing has no such doubt.
            if keep is not None and _identity(path) != start:
                raise HotListFileError(f"{path}: the list in force was changed meanwhile: import again")
            os.replace(new, path)
            os.fsync(folder)
        finally:
            os.close(folder)
    return changes


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells the file at `path` from another that was put in its place; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def preview(path: Path, entries: Iterable[HotListEntry], keep: Keep | None = None) -> Diff:
    """What `build` would change, without a trace on the disk, where not even the folder need exist.

    Takes about 130 bytes of memory an entry. Raises HotListFileError where there is not so much, and
    whatever `entries` raises.
    """
    with contextlib.ExitStack() as stack:
        before = _in_force(path)
        if before is not None:
            stack.enter_context(before)
        db = stack.enter_context(contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)))
        try:
            db.execute("PRAGMA temp_store = MEMORY")
            _fill(db, entries, "preview", "", before, keep)
            return _changes(before, HotList(path, db))
        except sqlite3.Error as error:
            raise HotListFileError(f"{path}: the new list cannot be made: {error}") from error


def is_usable(path: Path) -> bool:
    """Whether there is a list in `path` that can be opened."""
    try:
        HotList.open(path).close()
    except HotListFileError:
        return False
    return True


@contextlib.contextmanager
def _written(
    path: Path, entries: Iterable[HotListEntry], version: str, issued_at: str, keep: Keep | None
) -> Iterator[tuple[Path, Diff]]:
    """The new list's file beside `path`, which is gone afterwards, and what it changes."""
    _sweep(path)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with contextlib.ExitStack() as stack:
            before = _in_force(path)
            if before is not None:
                stack.enter_context(before)
            _write(new, entries, version, issued_at, before, keep)
            if os.geteuid() == 0:
                # Imported by sudo, the list is still the unit's to read, whatever root's umask is.
                owner = path.parent.stat()
                os.chown(new, owner.st_uid, owner.st_gid)
            with HotList.open(new) as after:
                changes = _changes(before, after)
        yield new, changes
    except (sqlite3.Error, OSError) as error:
        raise HotListFileError(f"{path}: the new list cannot be written: {error}") from error
    finally:
        for left in (new, new.with_name(f"{new.name}-journal")):
            left.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Delete what builds left beside `path` that were killed: a million plates each."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_S:
                left.unlink()


def _in_force(path: Path) -> HotList | None:
    try:
        return HotList.open(path) if path.exists() else None
    except HotListFileError as error:
        logger.warning("%s; nothing of it is kept", error)
        return None


def _changes(before: HotList | None, after: HotList) -> Diff:
    if before is not None:
        try:
            return diff(before.all_entries(), after.all_entries())
        except HotListFileError as error:
            # A damaged list must not stand in the way of the one that replaces it.
            logger.warning("%s; all of the new list counts as added", error)
    return Diff(added=after.entries)


def _write(
    new: Path,
    entries: Iterable[HotListEntry],
    version: str,
    issued_at: str,
    before: HotList | None,
    keep: Keep | None,
) -> None:
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as db:
        # Nobody reads this file before it is complete and synced, so a journal would only cost time.
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = FULL")
        _fill(db, entries, version, issued_at, before, keep)
        checked = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if checked != "ok":
            raise sqlite3.DatabaseError(f"the new file failed its check: {checked}")


def _fill(
    db: sqlite3.Connection,
    entries: Iterable[HotListEntry],
    version: str,
    issued_at: str,
    before: HotList | None,
    keep: Keep | None,
) -> None:
    """Write a whole list into an empty database."""
    db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    db.execute(
        "CREATE TABLE entry (plate TEXT NOT NULL, state TEXT NOT NULL, class TEXT NOT NULL,"
        " reason TEXT NOT NULL, source TEXT NOT NULL, case_number TEXT NOT NULL, expiry TEXT NOT NULL,"
        " priority INTEGER NOT NULL, partial INTEGER NOT NULL,"
        " PRIMARY KEY (plate, state, class, source, case_number)) WITHOUT ROWID"
    )
    db.execute("BEGIN")
    insert = f"INSERT OR REPLACE INTO entry ({_FIELDS}) VALUES (?,?,?,?,?,?,?,?,?)"
    db.executemany(insert, map(_row, entries))
    issued: dict[str, str] = {}
    if before is not None and keep is not None:
        issued = {source: issued_at for (source,) in db.execute("SELECT DISTINCT source FROM entry")}
        db.executemany(insert, map(_row, _kept(before, keep, issued)))
    db.execute("CREATE INDEX partials ON entry (partial) WHERE partial = 1")
    count = db.execute("SELECT count(*) FROM entry").fetchone()[0]
    oldest = min(filter(None, issued.values()), default=issued_at)
    meta = {"format": FORMAT, "version": version, "issued_at": oldest, "entries": str(count)}
    meta |= {f"{_SOURCE}{source}": at for source, at in issued.items()}
    last_days = db.execute("SELECT source, max(expiry) FROM entry GROUP BY source")
    meta |= {f"{_LAST_DAY}{source}": day for source, day in last_days}
    db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    db.execute("COMMIT")


def _kept(before: HotList, keep: Keep, issued: dict[str, str]) -> Iterator[HotListEntry]:
    """What stays in force, with the issue of its sources noted in `issued`."""
    for entry in before.all_entries():
        if keep(entry):
            issued.setdefault(entry.source, before.issued_of(entry.source))
            yield entry


def _row(entry: HotListEntry) -> tuple[str | int, ...]:
    return (
        entry.plate,
        entry.state,
        entry.alarm_class.value,
        entry.reason,
        entry.source,
        entry.case_number,
        entry.expiry,
        entry.priority,
        int(entry.partial),
    )


def _entry(row: Sequence[str | int]) -> HotListEntry:
    plate, state, alarm_class, reason, source, case_number, expiry, priority, partial = row
    return HotListEntry(
        plate=str(plate),
        state=str(state),
        alarm_class=AlarmClass(str(alarm_class)),
        reason=str(reason),
        source=str(source),
        case_number=str(case_number),
        expiry=str(expiry),
        priority=int(priority),
        partial=bool(partial),
    )


def hit_of(match: Match, read: Read, *, at: str | None, version: str, age_s: float | None) -> Hit:
    """The Hit that tells of a match: UNVERIFIED, with the list's version and age (430.3(f))."""
    entry = match.entry
    return Hit(
        hit_id=str(uuid.uuid4()),
        read_id=read.read_id,
        read_revision=read.revision,
        at=at,
        kind=match.kind.value,
        score=match.score,
        entry_plate=entry.plate,
        entry_state=entry.state,
        alarm_class=entry.alarm_class.value,
        reason=entry.reason,
        source=entry.source,
        case_number=entry.case_number,
        expiry=entry.expiry,
        priority=entry.priority,
        state_agrees=match.state_agrees,
        list_version=version,
        list_age_s=age_s,
    )
