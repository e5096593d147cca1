"""`sweep_files`: remove files of pictures and of packages that no row names, once a day."""

from __future__ import annotations

from typing import Any

from hq.records.pictures import SWEEP_AFTER, sweep
from hq.retention import copies
from hq.site import clock
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Remove files of pictures and packages that were written and not committed (older than two days)."

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        removed = sweep(now) + copies.sweep(now - SWEEP_AFTER)
        self.stdout.write(f"{removed} files that no row names removed")
