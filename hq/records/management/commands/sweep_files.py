"""`sweep_files`: remove files of pictures that no row names, once a day."""

from __future__ import annotations

from typing import Any

from hq.records.pictures import sweep
from hq.site import clock
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Remove files that a subscriber wrote and could not commit (older than two days)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{sweep(clock.now())} files that no row names removed")
