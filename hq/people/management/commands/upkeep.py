"""Daily care of the accounts, their sessions and their secrets."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from hq.people import accounts
from hq.site.commands import RecordsCommand

_LOST: Final = "{} authenticators cannot be opened: PLATEWARDEN_HQ_SECRET_KEY_OLD lacks their key"


class Command(RecordsCommand):
    help = "Daily: accounts unused or past their last day are shut, old sessions go, digests are mailed."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{accounts.expire_all()} accounts suspended or closed")
        accounts.forget_all_typed()
        # Those that nobody logged out of would keep for good what was searched for in them.
        call_command("clearsessions")
        done, lost = accounts.seal_all_anew() if _has_key() else (0, 0)
        if done:
            self.stdout.write(f"{done} authenticators sealed under the present PLATEWARDEN_HQ_SECRET_KEY")
        troubles = [_LOST.format(lost)] if lost else []
        if settings.EMAIL_HOST:
            try:
                call_command("mail", digest=True, stdout=self.stdout)
            except CommandError as error:
                troubles.append(f"mail: {error}")
        if troubles:
            raise CommandError("; ".join(troubles))


def _has_key() -> bool:
    """Nothing is sealed under a key of the moment."""
    return settings.DEMO or not settings.SECRET_KEY_MISSING
