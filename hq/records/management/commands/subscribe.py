"""`subscribe`: take what units send off the broker until a signal ends it."""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from hq.records import broker
from hq.records.intake import Intake
from hq.records.subscriber import BATCH, Subscriber
from hq.site.commands import RecordsCommand
from mqtt.errors import LinkError

LOCK_WAIT_S: Final = 3.0


class Command(RecordsCommand):
    help = "Take reads, hits and pictures off the broker, commit and receipt them."
    # A mistake in a page must not hold up the intake, so nothing of the pages is loaded.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        broker.add_options(parser)
        parser.add_argument(
            "--name", default="hq", help="of the session at the broker; each subscriber needs its own (hq)"
        )
        parser.add_argument(
            "--share", action="store_true", help="share the load with others that run with --share"
        )
        parser.add_argument("--batch", type=int, default=BATCH, help=f"most messages in a commit ({BATCH})")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["batch"] <= 10_000:
            raise CommandError("--batch: wants 1 to 10000")
        _shorten_lock_wait()
        with contextlib.closing(Intake()) as intake:
            try:
                subscriber = Subscriber(
                    broker.settings_of(options),
                    intake,
                    options["name"],
                    share=options["share"],
                    batch=options["batch"],
                )
            except LinkError as error:
                raise CommandError(str(error)) from error
            subscriber.run(_stop_on_signals(subscriber))


def _shorten_lock_wait() -> None:
    """Who waits for SQLite's lock does not answer the broker, which takes that for death (keep-alive)."""
    held = connection.settings_dict
    if connection.vendor == "sqlite":
        held["OPTIONS"]["timeout"] = min(LOCK_WAIT_S, held["OPTIONS"].get("timeout", LOCK_WAIT_S))


def _stop_on_signals(subscriber: Subscriber) -> threading.Event:
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        subscriber.wake()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    return stop
