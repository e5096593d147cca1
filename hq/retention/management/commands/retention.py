"""Say what is due, kept too long or waits for a signature."""

from __future__ import annotations

import sys
from typing import Any

from hq.retention import asked, selection
from hq.retention.alarms import alarms, calendar
from hq.site import clock
from hq.site.commands import RecordsCommand


class Command(RecordsCommand):
    help = "Show schedules, what is due and every alarm about retention; exit 1 if there is any."

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        for line in calendar(now):
            self.stdout.write(f"{line.schedule}: {line.due} due, {line.overdue} overdue")
            for one in asked.named(selection.due(line.schedule, now), now):
                self.stdout.write(f"  {one.named} is {one.words}")
        found = alarms()
        for alarm in found:
            self.stdout.write(f"ALARM {alarm.clause}: {alarm.text}")
        if found:
            sys.exit(1)
