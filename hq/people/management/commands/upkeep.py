"""Daily care of the accounts and their secrets."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hq.people import accounts


class Command(BaseCommand):
    help = "Daily: suspend accounts unused for 90 days, close those past their last day."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{accounts.expire_all()} accounts suspended or closed")
        if settings.SECRET_KEY_MISSING and not settings.DEMO:
            return
        done, lost = accounts.seal_all_anew()
        if done:
            self.stdout.write(f"{done} authenticators sealed under the present PLATEWARDEN_HQ_SECRET_KEY")
        if lost:
            raise CommandError(
                f"{lost} authenticators cannot be opened: PLATEWARDEN_HQ_SECRET_KEY_OLD lacks their key"
            )
