"""How long a search of the reads takes, for `hq.records.bench`.

Owns the questions: what a page of results asks, the newest 100 reads and how many there are up to 10,000, of
plates that are there. Measured is `hq.search.finding.page` in a process that has asked before, on a database
that `hq.records.bench_fill` filled; the access record and the page around it cost the same at any size.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import django

ASKED: Final = 40


def main(words: Sequence[str]) -> int:
    """Print the median and the 95th hundredth of each kind of question in ms, as JSON; exit code 0."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hq.settings")
    django.setup()
    print(json.dumps({name: figures(asks) for name, asks in questions(random.Random(3)).items()}))
    return 0


def figures(asks: Sequence[Callable[[], object]]) -> tuple[float, float]:
    """Median and 95th hundredth of so many questions, each asked once, in ms."""
    times = sorted(map(_milliseconds, asks))
    return statistics.median(times), times[round(0.95 * (len(times) - 1))]


def questions(chance: random.Random) -> dict[str, list[Callable[[], object]]]:
    """By their kind; each has a plate of its own."""
    from hq.records.models import Read
    from hq.search import finding
    from hq.search.asked import Asked

    newest = Read.objects.order_by("-at").values_list("at", flat=True)[0]
    now = datetime.now(UTC)
    week = {"since": newest - timedelta(days=7), "until": newest + timedelta(seconds=1)}

    def plates() -> list[str]:
        moments = [newest - timedelta(days=chance.uniform(0, 360)) for _ in range(ASKED)]
        before = Read.objects.order_by("-at").values_list("key", flat=True)
        return [before.filter(at__lte=at)[0] for at in moments]

    def ask(plate: str, **bounds: Any) -> Callable[[], object]:
        asked = Asked(plate=plate, **bounds)
        asked.check()
        return lambda: finding.page(asked, finding.Reach(), 0, 100, now)

    return {
        "exact": [ask(plate) for plate in plates()],
        "look-alike": [ask(plate, lookalikes=True) for plate in plates()],
        "3 letters": [ask(f"?{plate[1:4]}*") for plate in plates()],
        "3 digits": [ask(f"*{plate[4:]}") for plate in plates()],
        "3 letters, look-alike": [ask(f"*{plate[1:4]}*", lookalikes=True) for plate in plates()],
        "2 apart in 7 days": [ask(f"*{plate[2]}?{plate[4]}*", **week) for plate in plates()],
    }


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
