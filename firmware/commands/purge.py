"""`platewarden purge`: delete now what `upkeep` would delete later, and say what cannot go and why.

Owns the output; what may go is `firmware.store_purge`'s rule. No plate text is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import timedelta

from firmware.commands.reads import existing_store
from firmware.config import Settings
from firmware.errors import Exit
from firmware.status_file import told_time
from firmware.store_purge import Purge

HELP = "delete the reads that HQ has receipted longer ago than the grace period"
NEEDS_CONFIG = True


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")


def run(args: argparse.Namespace) -> int:
    from hw import open_clock

    settings: Settings = args.settings
    grace = timedelta(hours=settings.store.grace_h)
    clock = open_clock(settings.clock, told_time(settings.store.directory))
    now = clock.now().wall
    with existing_store(settings, clock) as store:
        done = store.purge(now, grace, dry_run=args.dry_run)
    for line in _lines(done, grace, would=args.dry_run, clock_is_set=now is not None):
        print(line)
    return Exit.OK


def _lines(done: Purge, grace: timedelta, *, would: bool, clock_is_set: bool) -> Iterator[str]:
    if clock_is_set:
        head = "would delete" if would else "deleted"
        yield f"{head}: {done.reads} reads, {done.pictures} pictures ({done.bytes / 1e6:.1f} MB)"
        yield f"{head}: {done.records} losses and access records"
    else:
        yield "nothing may be deleted: the clock is not set, so that the grace period cannot be judged"
    if done.unreceipted:
        yield f"kept: {done.unreceipted} reads that HQ has not receipted"
    if done.in_grace:
        hours = grace.total_seconds() / 3600
        first = f"; the first may go at {done.next_at}" if done.next_at else ""
        yield f"kept: {done.in_grace} reads within {hours:g} hours of HQ's receipt{first}"
