"""`platewarden reads`: the reads that the unit keeps, for people who may see them.

Owns the output. Plate text, pictures and a search by plate need a named person with a purpose
(`firmware.access`); without one there are counts and ids.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from firmware.access import add_options, check_demo, is_asked, open_access
from firmware.config import Settings
from firmware.errors import AccessError, Exit, FirmwareError, IoError, StoreError, UsageError
from firmware.status_file import told_time
from firmware.store import Store
from firmware.store_db import FILE
from firmware.store_queries import ReadQuery
from hw.protocols import Clock
from mqtt.fields import time_text
from mqtt.records import Hit, Read
from plates.words import CLASS_RULES

HELP = "list or show the reads that the unit keeps"
NEEDS_CONFIG = True
LIMIT = 50
_MOST = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    # One parser, not one for each word, so that the options of every command may stand anywhere.
    parser.usage = "platewarden reads list [options]\n       platewarden reads show ID [options]"
    parser.add_argument(
        "what", choices=("list", "show"), help="list: the newest reads, one a line; show: one read, whole"
    )
    parser.add_argument("read_id", nargs="?", metavar="ID", help="the read to show")
    parser.add_argument("--json", action="store_true", help="one JSON object a read")
    listing = parser.add_argument_group("list")
    listing.add_argument("--since", type=_moment, metavar="TIME", help="captured at this time or later")
    listing.add_argument("--until", type=_moment, metavar="TIME", help="captured at this time or earlier")
    listing.add_argument(
        "--plate", default="", type=str.upper, metavar="PATTERN", help="? is one character, * is a run"
    )
    listing.add_argument("--limit", type=_count, metavar="N", help=f"at most so many (default {LIMIT})")
    showing = parser.add_argument_group("show")
    showing.add_argument("--pictures", type=Path, metavar="DIR", help="copy the read's pictures into DIR")
    add_options(parser)


def _check_usage(args: argparse.Namespace) -> None:
    """Raise UsageError for what belongs to the other word."""
    other = ("since", "until", "plate", "limit") if args.what == "show" else ("read_id", "pictures")
    for name in other:
        if getattr(args, name):
            option = "ID" if name == "read_id" else f"--{name}"
            raise UsageError(f"reads {args.what}: {option} has no meaning here")
    if args.what == "show" and not args.read_id:
        raise UsageError("reads show: which one? its ID is missing")


def run(args: argparse.Namespace) -> int:
    from hw import open_clock

    settings: Settings = args.settings
    _check_usage(args)
    check_demo(args, settings)
    clock = open_clock(settings.clock, told_time(settings.store.directory))
    with existing_store(settings, clock) as store:
        if args.what == "list":
            return _list(args, settings, clock, store)
        return _show(args, settings, clock, store)


@contextmanager
def existing_store(settings: Settings, clock: Clock) -> Iterator[Store]:
    """The unit's store for the time of a command. Raises StoreError where there is none."""
    directory = settings.store.directory
    if not (directory / FILE).exists():
        raise StoreError(f"{directory}: no store is here yet: the unit has not run")
    with closing(Store.open(directory, clock)) as store:
        yield store


def _list(args: argparse.Namespace, settings: Settings, clock: Clock, store: Store) -> int:
    if args.plate and not (is_asked(args) or args.demo):
        raise AccessError("a search by plate needs a named person and a purpose: --person, --purpose, --case")
    query = ReadQuery(
        since=args.since, until=args.until, plate=args.plate, limit=args.limit or LIMIT, demo=args.demo
    )
    reads = store.reads(query)
    total = store.count(query)
    if is_asked(args):
        _record(args, settings, clock, store, _words(query), reads)
    may_see = is_asked(args) or args.demo
    for read in reads:
        hits = store.hits(read.read_id)
        if args.json:
            print(json.dumps(_object(read, hits, may_see)))
        else:
            print(_line(read, hits, may_see))
    if not args.json:
        more = f", the newest {len(reads)} are above" if total > len(reads) else ""
        print(f"{total} reads{more}")
        if not may_see and total:
            print("plates are shown to a named person with a purpose: --person, --purpose, --case")
    return Exit.OK


def _show(args: argparse.Namespace, settings: Settings, clock: Clock, store: Store) -> int:
    read = store.read(args.read_id)
    if args.demo and read is not None and not read.demo:
        raise UsageError(f"--demo: read {args.read_id} was not made by a demonstration")
    if is_asked(args):
        _record(args, settings, clock, store, args.read_id, [read] if read else [])
    elif args.pictures is not None and not args.demo:
        raise AccessError("pictures are copied for a named person and a purpose: --person, --purpose, --case")
    if read is None:
        print(f"platewarden: no read {args.read_id} is in the store", file=sys.stderr)
        return Exit.FAILED
    may_see = is_asked(args) or args.demo
    shown = _object(read, store.hits(read.read_id), may_see)
    if args.json:
        print(json.dumps(shown))
    else:
        for name, value in shown.items():
            print(f"{name:<16} {value if isinstance(value, str) else json.dumps(value)}")
    return _copy_pictures(store, read, args.pictures) if args.pictures is not None else Exit.OK


def _record(
    args: argparse.Namespace,
    settings: Settings,
    clock: Clock,
    store: Store,
    query: str,
    reads: Sequence[Read],
) -> None:
    """Have the access granted and recorded, or raise."""
    access = open_access(settings, clock, store.add_access)
    ids = [read.read_id for read in reads]
    access.grant(args.person, args.purpose, args.case, f"reads {args.what}", query, ids)


def _copy_pictures(store: Store, read: Read, folder: Path) -> int:
    """Copy what there is; a damaged picture is told and the rest goes on."""
    code = Exit.OK
    folder.mkdir(parents=True, exist_ok=True)
    for picture in store.pictures(read.read_id):
        target = folder / f"{read.read_id}-{picture.ref.kind}.jpg"
        try:
            target.write_bytes(store.picture_bytes(picture))
        except FirmwareError as error:
            print(f"platewarden: {error}", file=sys.stderr)
            code = Exit.FAILED
        except OSError as error:
            # Half a picture would look like one that was stored so.
            target.unlink(missing_ok=True)
            raise IoError(f"{target}: {error.strerror or error}") from error
        else:
            print(target, file=sys.stderr)
    return code


def _line(read: Read, hits: Sequence[Hit], may_see: bool) -> str:
    time = read.captured_at or "time not known yet"
    told = [time, read.read_id, read.camera]
    if may_see:
        told[1:1] = [f"{read.plate:<8}", f"{read.region:<2}", f"{read.confidence:.2f}"]
        told += [
            f"HIT {_class(hit)} {hit.kind}{_states(hit)} {hit.status}" for hit in hits if not hit.withdrawn
        ]
    return "  ".join(told)


def _object(read: Read, hits: Sequence[Hit], may_see: bool) -> dict[str, object]:
    if not may_see:
        return {
            "read_id": read.read_id,
            "revision": read.revision,
            "captured_at": read.captured_at,
            "camera": read.camera,
            "pictures": len(read.pictures),
            "hits": len(hits),
        }
    return {**asdict(read), "hits": [_hit(hit) for hit in hits]}


def _hit(hit: Hit) -> dict[str, object]:
    if _is_restricted(hit):
        # Its detail is for people whom HQ grants it (430.3(e), CJIS 4.2.2); the unit knows no such grants.
        return {"hit_id": hit.hit_id, "kind": hit.kind, "status": hit.status, "alarm_class": _class(hit)}
    return asdict(hit)


def _states(hit: Hit) -> str:
    return ", another state," if hit.state_agrees is False and not _is_restricted(hit) else ""


def _class(hit: Hit) -> str:
    return "restricted, ask dispatch" if _is_restricted(hit) else hit.alarm_class


def _is_restricted(hit: Hit) -> bool:
    """An unknown class counts as restricted."""
    rules = {name.value: rule for name, rule in CLASS_RULES.items()}
    return hit.alarm_class not in rules or rules[hit.alarm_class].restricted


def _words(query: ReadQuery) -> str:
    """The query as the access record keeps it."""
    parts = {"plate": query.plate, "since": query.since, "until": query.until, "limit": query.limit}
    return " ".join(f"{name}={value}" for name, value in parts.items() if value)


def _moment(text: str) -> str:
    """A date or time on the command line; without an offset it is local time."""
    try:
        return time_text(datetime.fromisoformat(text).astimezone())
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-03-04T12:00") from None


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:20]) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST}")
    return int(text)
