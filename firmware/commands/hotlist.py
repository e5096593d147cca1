"""`platewarden hotlist`: bring a list in from files, say what is in force, or take it away.

Owns the command line and its output. The files' layouts are `plates.parsers`, the list's own file is
`firmware.hotlist`. A plate is printed only by `show`, to a named person with a purpose.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from firmware.access import add_options, check_demo, is_asked, open_access
from firmware.config import Settings
from firmware.errors import Exit, IoError, UsageError
from firmware.hotlist import HotList, HotListFileError, build, preview
from firmware.status_file import told_time
from firmware.store import Store
from mqtt.fields import time_text
from plates.errors import HotListFormatError
from plates.parsers import (
    FIELDS,
    BadLine,
    Defaults,
    Parsed,
    clew_class,
    decode_lines,
    parse_clew,
    parse_csv,
    parse_ncic,
)
from plates.words import CLASS_RULES, AlarmClass, HotListEntry

HELP = "import a hot list from CSV, CLEW or NCIC files, show it, or clear it"
NEEDS_CONFIG = True

_SOURCES = {"csv": "manual", "clew": "CLEW", "ncic": "NCIC"}
_STEP = 20_000  # lines between two updates of the progress


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="what", metavar="ACTION", required=True)
    importing = actions.add_parser("import", help="replace what is in force of the files' sources")
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE")
    importing.add_argument("--format", choices=sorted(_SOURCES), default="csv", help="layout (default: csv)")
    importing.add_argument(
        "--map", default="", metavar="FIELD=COLUMN,...", help=f"CSV columns of the fields {', '.join(FIELDS)}"
    )
    importing.add_argument("--delimiter", default=",", help="between CSV cells (default: a comma)")
    importing.add_argument(
        "--class",
        dest="alarm_class",
        choices=[c.value for c in AlarmClass if CLASS_RULES[c].allowed],
        metavar="CLASS",
        help="alarm class of entries that name none",
    )
    importing.add_argument("--source", help="who keeps the list (default: the format's name)")
    importing.add_argument("--case", default="", help="case number of entries that name none")
    importing.add_argument(
        "--expires",
        type=_days,
        default=1,
        metavar="DAYS",
        help="how long entries without a date of their own match, 1 to 30 (default: 1, for a list that is"
        " refreshed daily)",
    )
    importing.add_argument("--version", help="of the list (default: the time now)")
    importing.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")
    showing = actions.add_parser("show", help="the list in force; plates for a named person with a purpose")
    showing.add_argument(
        "--json", action="store_true", help="one JSON object a line: the list's figures, then its entries"
    )
    add_options(showing)
    clearing = actions.add_parser(
        "clear", help="take the list away: nothing alarms until another is imported"
    )
    clearing.add_argument("--source", help="take only this source's entries away")


def run(args: argparse.Namespace) -> int:
    settings: Settings = args.settings
    if args.what == "import":
        return _import(args, settings)
    if args.what == "show":
        return _show(args, settings)
    return _clear(args.source, settings)


class Importing:
    """The stream of entries out of files, with what was left out of it.

    Attributes:
        bad: lines that could not be used.
        left_out: entries by class that the configuration does not load.
        expired: entries whose own expiry has passed. They are left out: while the clock is not set they
            would alarm, and they would count as what is watched for.
        loaded: entries that went through.
        sources: whom the files name, with how many entries of theirs went through.
    """

    def __init__(self, args: argparse.Namespace, classes: Sequence[str], now: datetime, err: TextIO) -> None:
        self.bad = 0
        self.left_out: Counter[str] = Counter()
        self.expired = 0
        self.loaded = 0
        self.sources: Counter[str] = Counter()
        self._args = args
        self._classes = {AlarmClass(name) for name in classes if CLASS_RULES[AlarmClass(name)].allowed}
        self._today = now.astimezone().date()  # the unit's own day, as in `firmware.listwatch`
        self._err = err

    def entries(self) -> Iterator[HotListEntry]:
        """Every usable entry of the files in their order; bad lines are told as they are met.

        Raises:
            IoError: a file cannot be read.
            HotListFormatError: a file is not of the format.
        """
        for file in self._args.files:
            try:
                with file.open("rb") as lines:
                    yield from self._entries_of(file, lines)
            except OSError as error:
                raise IoError(f"{file}: {error.strerror or error}") from error
        self._progress(done=True)
        if not self.loaded:
            # An empty or cut file must not silence every alarm; taking the list away is `clear`.
            why = f": all {self.expired} have expired" if self.expired and not self.bad else ""
            raise HotListFormatError(
                f"no entry could be loaded{why}; the list in force stays (or: hotlist clear)"
            )

    def keeps(self, entry: HotListEntry) -> bool:
        """Whether an entry in force stays so: of a source that the files do not name, in a class that is
        still loaded."""
        return entry.source not in self.sources and entry.alarm_class in self._classes

    def _entries_of(self, file: Path, lines: Iterator[bytes]) -> Iterator[HotListEntry]:
        for parsed in self._parse(file, lines):
            if isinstance(parsed, BadLine):
                self.bad += 1
                self._progress(done=True)
                print(f"platewarden: {parsed}", file=self._err)
            elif parsed.alarm_class not in self._classes:
                self.left_out[parsed.alarm_class.value] += 1
            elif parsed.expiry < self._today.isoformat():
                self.expired += 1
                self.sources[parsed.source] += 0
            else:
                self.loaded += 1
                self.sources[parsed.source] += 1
                if self.loaded % _STEP == 0:
                    self._progress()
                yield parsed

    def _parse(self, file: Path, lines: Iterator[bytes]) -> Parsed:
        args = self._args
        named = AlarmClass(args.alarm_class) if args.alarm_class else None
        defaults = Defaults(
            source=args.source or _SOURCES[args.format],
            expiry=(self._today + timedelta(days=args.expires)).isoformat(),
            alarm_class=named or (clew_class(file.name) if args.format == "clew" else None),
            case_number=args.case,
        )
        text = decode_lines(lines)
        if args.format == "clew":
            return parse_clew(str(file), text, defaults)
        if args.format == "ncic":
            return parse_ncic(str(file), text, defaults)
        return parse_csv(str(file), text, _mapping(args.map), defaults, args.delimiter)

    def _progress(self, *, done: bool = False) -> None:
        if self._err.isatty():
            print("\r\x1b[K" if done else f"\r{self.loaded} entries", end="", file=self._err, flush=True)


def _import(args: argparse.Namespace, settings: Settings) -> int:
    if len(args.delimiter) != 1:
        raise UsageError("--delimiter takes one character")
    if args.format != "csv" and args.map:
        raise UsageError("--map is for CSV files")
    now = _now(settings)
    importing = Importing(args, settings.hotlist.classes, now, sys.stderr)
    path = settings.hotlist.file
    if not args.dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
    issued = time_text(now)
    version = args.version or issued
    before = _sources(path)
    if args.dry_run:
        changes = preview(path, importing.entries(), importing.keeps)
    else:
        changes = build(path, importing.entries(), version=version, issued_at=issued, keep=importing.keeps)
    head = "would be" if args.dry_run else "are"
    for source in sorted(importing.sources):
        what = "replaced" if source in before else "new"
        if not importing.sources[source]:
            what = "without entries: all have expired"
        print(f"source {source}: {'would be' if args.dry_run else 'is'} {what}")
    for source in sorted(before - importing.sources.keys()):
        print(f"source {source}: stays in force")
    counts = f"{changes.changed} changed, {changes.removed} removed, {changes.same} same"
    print(f"{changes.added} {head} added, {counts}")
    for name, count in sorted(importing.left_out.items()):
        why = (
            "is never loaded" if not CLASS_RULES[AlarmClass(name)].allowed else "is not among hotlist.classes"
        )
        print(f"{count} left out: {name} {why} ({CLASS_RULES[AlarmClass(name)].clause})")
    if importing.expired:
        print(f"{importing.expired} left out: expired")
    if not args.dry_run:
        print(f"version {version} is in force")
    if importing.bad:
        print(f"platewarden: {importing.bad} bad lines were left out", file=sys.stderr)
        return Exit.FAILED
    return Exit.OK


def _show(args: argparse.Namespace, settings: Settings) -> int:
    check_demo(args, settings)
    with HotList.open(settings.hotlist.file) as hot_list:
        # Restricted detail is for people whom HQ grants it (430.3(e), CJIS 4.2.2); a unit knows no grants.
        counts = hot_list.counts()
        restricted = sum(n for name, n in counts.items() if CLASS_RULES[name].restricted)
        if is_asked(args):
            _record(args, settings, hot_list.version, hot_list.entries - restricted)
        now = _now(settings)
        age = _age(hot_list.age_s(now))
        if args.json:
            print(json.dumps(_head(hot_list, now)))
        else:
            print(f"version {hot_list.version}, {hot_list.entries} entries, {age}")
            for source, count in hot_list.sources().items():
                print(f"source {source}: {count} entries, {_age(hot_list.age_s(now, source))}")
            for name, count in counts.items():
                print(f"{count:>9}  {name}")
        if not is_asked(args) and not args.demo:
            if hot_list.entries and not args.json:
                print("entries are shown to a named person with a purpose: --person, --purpose, --case")
            return Exit.OK
        for entry in hot_list.all_entries():
            if not CLASS_RULES[entry.alarm_class].restricted:
                print(json.dumps(asdict(entry)) if args.json else _line(entry))
        if restricted and not args.json:
            print(f"{restricted} entries of restricted classes are not shown: ask dispatch")
    return Exit.OK


def _head(hot_list: HotList, now: datetime) -> dict[str, object]:
    """The first line of `show --json`: the list as a whole, without a plate."""
    return {
        "version": hot_list.version,
        "entries": hot_list.entries,
        "age_s": hot_list.age_s(now),
        "sources": {
            source: {"entries": count, "age_s": hot_list.age_s(now, source)}
            for source, count in hot_list.sources().items()
        },
        "classes": {name.value: count for name, count in hot_list.counts().items()},
    }


def _age(seconds: float | None) -> str:
    return "of unknown age" if seconds is None else f"{seconds / 3600:.1f} hours old"


def _now(settings: Settings) -> datetime:
    """The unit's time: entries last a day or so, and the machine's own clock may stand days behind. The
    machine's where nobody knows better."""
    from hw import open_clock

    return open_clock(settings.clock, told_time(settings.store.directory)).now().wall or datetime.now(UTC)


def _record(args: argparse.Namespace, settings: Settings, version: str, count: int) -> None:
    """Have the access granted and recorded before anything is shown, or raise."""
    from hw import open_clock

    clock = open_clock(settings.clock, told_time(settings.store.directory))
    settings.store.directory.mkdir(parents=True, exist_ok=True)
    with closing(Store.open(settings.store.directory, clock)) as store:
        access = open_access(settings, clock, store.add_access)
        query = f"hot list version {version}"
        access.grant(args.person, args.purpose, args.case, "hotlist show", query, results=count)


def _line(entry: HotListEntry) -> str:
    what = f"{entry.plate:<10} {entry.state or '--'}  {entry.alarm_class.value}  until {entry.expiry}"
    return f"{what}  {entry.source}  {entry.case_number or '-'}  {entry.reason}"


def _sources(path: Path) -> set[str]:
    """Whose entries are in force; nobody's where there is no list, or a damaged one."""
    try:
        with HotList.open(path) as hot_list:
            return set(hot_list.sources())
    except HotListFileError:
        return set()


def _clear(source: str | None, settings: Settings) -> int:
    path = settings.hotlist.file
    if source is not None and path.exists():
        with HotList.open(path) as hot_list:
            sources = hot_list.sources()
        if source not in sources:
            raise UsageError(f"--source: the list has no {source!r}; it has {', '.join(sources)}")
        if len(sources) > 1:
            now = time_text(_now(settings))
            changes = build(path, (), version=now, issued_at=now, keep=lambda entry: entry.source != source)
            print(f"source {source}: {changes.removed} entries are gone; version {now} is in force")
            return Exit.OK
    try:
        settings.hotlist.file.unlink()
    except FileNotFoundError:
        print("there was no hot list")
    except OSError as error:
        raise IoError(f"{settings.hotlist.file}: {error.strerror or error}") from error
    else:
        hq = settings.mqtt.list_key_file
        until = "HQ's is built again at the next connection" if hq else "another is imported"
        print(f"the hot list is gone; nothing alarms until {until}")
    return Exit.OK


def _mapping(text: str) -> dict[str, str]:
    mapping = {}
    for part in filter(None, text.split(",")):
        field, found, column = part.partition("=")
        if not found or not column.strip():
            raise UsageError(f"--map: {part!r} is not FIELD=COLUMN")
        if field.strip() not in FIELDS:
            raise UsageError(f"--map: there is no field {field.strip()!r}; fields are {', '.join(FIELDS)}")
        mapping[field.strip()] = column.strip()
    return mapping


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 30:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to 30")
    return int(text)
