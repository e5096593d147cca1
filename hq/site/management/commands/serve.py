"""Serve the pages."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand

from hq.log import chain
from hq.log.chain import LogUnavailable
from hq.retention import purge
from hq.site import disks, doctor
from hq.site.commands import account, port


class Command(BaseCommand):
    help = "Serve the pages; a production site that lacks policy, agency, commander or custodian is refused."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (default: this machine)"
        )
        parser.add_argument("--port", type=port, default=8430)
        parser.add_argument(
            "--proxy",
            type=_addresses,
            default="127.0.0.1",
            help="address of the TLS proxy whose X-Forwarded headers count",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = doctor.demo_findings() if settings.DEMO else doctor.findings()
        errors = [finding for finding in found if finding.error]
        for finding in errors:
            self.stderr.write(finding.refusal)
        if errors:
            # 1 is for what may pass: the service starts again by itself, which it does not after 3.
            sys.exit(1 if all(finding.may_pass for finding in errors) else 3)
        try:
            _try_address(options["host"], options["port"])
        except OSError as error:
            # Its own text names the address again.
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
            self.stderr.write(f"--host {options['host']} --port {options['port']}: {why}")
            # It may be free the next time.
            sys.exit(1)
        try:
            _record_start()
        except LogUnavailable as error:
            self.stderr.write(f"refused by 430.5(a): {error}")
            sys.exit(1)
        try:
            for line in purge.recover():
                self.stdout.write(line)
        except purge.Busy:
            pass
        except OSError as error:
            # An alarm tells it, too: HQ serves although a file cannot be moved or removed.
            self.stderr.write(f"a purge that was cut off is not finished: {error}; platewarden-hq purge")
        try:
            _serve(options)
        except SystemExit as end:
            # Uvicorn's own code for an address that was taken meanwhile is 3.
            sys.exit(1 if end.code else 0)


def _addresses(text: str) -> str:
    """Addresses or networks, with commas: Uvicorn takes any text, and then trusts nobody or everybody."""
    for part in text.split(","):
        try:
            ipaddress.ip_network(part.strip())
        except ValueError as error:
            raise ArgumentTypeError(f"{part.strip()!r} is neither an address nor a network") from error
    return text


def _try_address(host: str, number: int) -> None:
    """Raise OSError where nobody can listen there: a start that fails, and comes again, is in no record."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host, number), family=family).close()


def _serve(options: dict[str, Any]) -> None:
    # No access log of uvicorn's: an address may hold plate text, and the access record is the database's.
    uvicorn.run(
        "hq.asgi:served",
        host=options["host"],
        port=options["port"],
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=options["proxy"],
        lifespan="off",
        log_level="warning",
        # Open hit boards would hold up the end of the server for as long as their streams last.
        timeout_graceful_shutdown=3,
    )


def _record_start() -> None:
    """Each start is in the access log, with what is known of the disk and who vouches for it (AU-2)."""
    found = disks.state(Path(settings.DATA))
    vouched = f"; stated: {settings.DISK_STATEMENT}" if settings.DISK_STATEMENT else ""
    chain.append(
        kind="system",
        person=None,
        username=account(),
        action="system.serve",
        note=f"disk: {found.kept.value}, {found.why}{vouched}",
    )
