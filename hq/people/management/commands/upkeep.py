"""Daily care of the accounts."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from hq.people import accounts


class Command(BaseCommand):
    help = "Daily: suspend accounts unused for 90 days, close those past their last day."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{accounts.expire_all()} accounts suspended or closed")
