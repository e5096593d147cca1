"""Mail what people must know."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from hq.mail import outbox
from hq.site import locks
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Mail new alarms to whoever must act, and what waits in the outbox; every ten minutes, by a timer."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--digest", action="store_true", help="today's digests too, as upkeep does")

    def handle(self, *args: Any, **options: Any) -> None:
        if not outbox.configured():
            raise CommandError("PLATEWARDEN_HQ_SMTP_HOST is not set: no mail can be sent", returncode=3)
        try:
            done = outbox.run(digest=options["digest"])
        except locks.Busy as busy:
            self.stdout.write(str(busy))
            return
        except (outbox.NobodyTold, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{done.queued} mails made, {done.sent} sent, {done.waiting} waiting")
        if done.trouble:
            raise CommandError(done.trouble)
