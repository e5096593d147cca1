"""`send_feeds`: queue and send what the approved feeds are due, once or until a signal ends it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import CommandError, CommandParser

from hq.api import feeds
from hq.api.models import Feed
from hq.log.chain import LogUnavailable
from hq.people.policy import Refused
from hq.site import locks
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Send approved feeds to programs of the own agency; every message is recorded first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=float, default=0.0, metavar="SECONDS", help="go on, looking so often"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()

        def end(number: int, frame: FrameType | None) -> None:
            stop.set()

        if options["every"] > 0:
            signal.signal(signal.SIGINT, end)
            signal.signal(signal.SIGTERM, end)
        while True:
            try:
                with locks.alone("feeds"):
                    self._round()
            except locks.Busy as busy:
                if options["every"] <= 0:
                    raise CommandError(str(busy)) from None
            if options["every"] <= 0 or stop.wait(options["every"]):
                return

    def _round(self) -> None:
        for feed in Feed.objects.filter(approved_at__isnull=False, stopped_at=None).order_by("pk"):
            try:
                feeds.enqueue(feed)
                told = feeds.send_due(feed)
            except Refused as refused:
                self.stderr.write(f"feed {feed.pk}: not sent: {refused}")
                continue
            except LogUnavailable as error:
                raise CommandError(f"nothing is sent that is not recorded: {error}") from error
            if any(told.values()):
                self.stdout.write(f"feed {feed.pk}: " + ", ".join(f"{n} {what}" for what, n in told.items()))
