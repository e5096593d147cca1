"""Daily care of the accounts and their secrets."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from hq.people import accounts


class Command(BaseCommand):
    help = "Daily: accounts unused or past their last day are shut, secrets sealed anew, digests mailed."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{accounts.expire_all()} accounts suspended or closed")
        done, lost = accounts.seal_all_anew() if _has_key() else (0, 0)
        if done:
            self.stdout.write(f"{done} authenticators sealed under the present PLATEWARDEN_HQ_SECRET_KEY")
        if settings.EMAIL_HOST:
            call_command("mail", digest=True, stdout=self.stdout)
        if lost:
            raise CommandError(
                f"{lost} authenticators cannot be opened: PLATEWARDEN_HQ_SECRET_KEY_OLD lacks their key"
            )


def _has_key() -> bool:
    """Nothing is sealed under a key of the moment."""
    return settings.DEMO or not settings.SECRET_KEY_MISSING
