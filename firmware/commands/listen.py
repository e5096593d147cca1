"""`platewarden listen`: subscribe to the units, check and print; with --as-hq also keep and receipt.

Owns the command's options. The work is `firmware.listen`.
"""

from __future__ import annotations

import argparse
import signal
import threading
import uuid
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from firmware.access import Access, Grant, add_options, is_asked, load_people
from firmware.errors import Exit, UsageError
from firmware.listen import Listener, ServerClock
from firmware.listen_lists import ListServer, read_entries
from firmware.listen_store import ListenStore
from mqtt.settings import CommandSettings

HELP = "subscribe to units, check and print their messages; with --as-hq keep and receipt them"
TAKES_CONFIG = False
"""It runs at HQ, where no unit's configuration is: its broker is named on the command line."""

_EVERY_UNIT = "all"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Subscribe to every unit at a broker, check each message against its schema and print a line"
        " for it: counts and ids, and plate text for a named person with a purpose only."
    )
    broker = parser.add_argument_group("broker")
    broker.add_argument("--host", default="127.0.0.1", help="name or address (default %(default)s)")
    broker.add_argument("--port", type=_port, default=1883, help="TCP port (default %(default)s)")
    broker.add_argument("--ca", metavar="PEM", default="", help="speak TLS; the broker's authority")
    broker.add_argument("--cert", metavar="PEM", default="", help="client certificate")
    broker.add_argument("--key", metavar="PEM", default="", help="its key")
    broker.add_argument("--username", default="", help="for a broker without client certificates")
    broker.add_argument("--password-file", metavar="FILE", default="", help="its first line is the password")
    broker.add_argument("--allow-plain", action="store_true", help="plain MQTT off loopback")
    keep = parser.add_argument_group("as HQ, where there is none")
    keep.add_argument(
        "--as-hq",
        metavar="DIR",
        type=Path,
        help="keep reads, hits, pictures, losses and access records in DIR and send receipts",
    )
    keep.add_argument(
        "--hotlist",
        metavar="FILE",
        type=Path,
        help="publish this hot list (.csv, or the .sqlite of `hotlist import`); wants --as-hq",
    )
    keep.add_argument(
        "--group", metavar="NAME", help=f"group of units that follows --hotlist (default {_EVERY_UNIT})"
    )
    add_options(parser)
    parser.add_argument(
        "--people", metavar="FILE", type=Path, help="the people file in which --person is looked up"
    )


def run(args: argparse.Namespace) -> int:
    if args.hotlist is not None and args.as_hq is None:
        raise UsageError("--hotlist wants --as-hq DIR, where HQ's signing key is kept")
    if args.group is not None and args.hotlist is None:
        raise UsageError("--group wants --hotlist FILE: it names the units that follow that list")
    if bool(args.cert) != bool(args.key):
        raise UsageError("--cert and --key belong together: give both or neither")
    if args.password_file and not args.username:
        raise UsageError("--password-file wants --username: a password is sent with a name only")
    settings = CommandSettings(
        host=args.host,
        port=args.port,
        tls=bool(args.ca or args.cert),
        allow_plain=args.allow_plain,
        ca_file=args.ca,
        cert_file=args.cert,
        key_file=args.key,
        username=args.username,
        password_file=args.password_file,
        backoff_max_s=10.0,
    )
    with ExitStack() as stack:
        store = None
        client_id = f"listen-{uuid.uuid4().hex[:12]}"
        if args.as_hq is not None:
            store = stack.enter_context(closing(ListenStore(args.as_hq)))
            store.hold()
            client_id = store.client_id
        lists = None
        if args.hotlist is not None:
            now = datetime.now(UTC)
            # This machine's own day, as on a unit: an evening in California is tomorrow in UTC.
            entries = read_entries(args.hotlist, now.astimezone().date())
            group = _EVERY_UNIT if args.group is None else args.group
            lists = ListServer(args.as_hq, group, args.hotlist.stem, entries, now)
        grant = _grant(args, store) if is_asked(args) else None
        listener = Listener(
            settings,
            client_id,
            lambda line: print(line, flush=True),
            store=store,
            lists=lists,
            demo=args.demo,
            grant=grant,
        )
        listener.run(_stop_on_signals(listener))
        if store is not None:
            print(", ".join(f"{count} {name}" for name, count in store.counts().items()), flush=True)
        return Exit.FAILED if listener.bad else Exit.OK


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no TCP port from 1 to 65535")
    return int(text)


def _grant(args: argparse.Namespace, store: ListenStore | None) -> Grant:
    if store is None:
        raise UsageError("--person wants --as-hq DIR, where the record of the access is kept")
    people = {} if args.people is None else load_people(args.people)
    access = Access(people, ServerClock(), store.add_access)
    return access.grant(args.person, args.purpose, args.case, "listen", "every read that arrives")


def _stop_on_signals(listener: Listener) -> threading.Event:
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        listener.wake()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    return stop
