"""`publish-lists`: load confirmed files, publish what is due, answer the units, until a signal ends it."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import close_old_connections, connections

from hq.lists import loading, publish
from hq.lists.publisher import ListPublisher
from hq.records import broker
from hq.site.commands import RecordsCommand
from mqtt.errors import HotListError, LinkError

logger = logging.getLogger(__name__)

LOOK_S = 1.0


class Command(RecordsCommand):
    help = "Load hot list files, publish the lists to the units and answer what they ask."

    def add_arguments(self, parser: CommandParser) -> None:
        broker.add_options(parser)
        parser.add_argument("--name", default="hq-lists", help="of the client at the broker (hq-lists)")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        try:
            publisher = ListPublisher(broker.settings_of(options), options["name"], publish.signing_key())
        except (LinkError, HotListError, OSError) as error:
            raise CommandError(str(error)) from error

        def end(number: int, frame: FrameType | None) -> None:
            stop.set()
            publisher.wake()

        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)
        # A load takes minutes for a long file, in which units still want their pieces.
        failed: list[BaseException] = []
        loader = threading.Thread(target=_load, args=(stop, failed, publisher), name="list-loader")
        loader.start()
        try:
            publisher.run(stop)
        finally:
            stop.set()
            loader.join()
        if failed:
            raise failed[0]


def _load(stop: threading.Event, failed: list[BaseException], publisher: ListPublisher) -> None:
    try:
        while not stop.wait(LOOK_S):
            close_old_connections()
            loading.load_waiting()
    except BaseException as error:  # The main thread raises it: the service manager starts both anew.
        failed.append(error)
        stop.set()
        publisher.wake()
    finally:
        connections.close_all()
