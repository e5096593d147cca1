"""How much memory and time a hot list of a million takes.

Owns the measuring; the list is `firmware.hotlist`'s own file.
"""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from typing import Any

from firmware.bench import spread
from firmware.hotlist import HotList, build
from firmware.measure import random_entries
from firmware.upkeep import resident_bytes
from hw.sim import traffic
from plates.words import AlarmClass, HotListEntry

LOOKUPS = 2_000
"""Readings looked up; none is known to the list on purpose, as on the street."""


def bench_lists(folder: Path, entries: int, patterns: int) -> dict[str, Any]:
    """Build a list of random plates, then one with patterns beside, and look readings up in each.

    Returns:
        entries, patterns: as asked for; file_mb: of the file; rss_mb: by how much the process grew over
        opening the list and looking up; open_ms; lookup_ms and patterns_ms: CPU of a look-up with
        look-alikes, without and with the patterns.
    """
    plain, with_patterns = folder / "plain.sqlite", folder / "patterns.sqlite"
    build(plain, random_entries(entries), version="1", issued_at="")
    build(with_patterns, _patterns(patterns), version="1", issued_at="")
    before = resident_bytes()
    began = time.perf_counter()
    with HotList.open(plain) as hot_list:
        opened = 1e3 * (time.perf_counter() - began)
        plain_times = _look_up(hot_list)
        grown = resident_bytes() - before
    with HotList.open(with_patterns) as hot_list:
        pattern_times = _look_up(hot_list)
    return {
        "entries": entries,
        "patterns": patterns,
        "file_mb": plain.stat().st_size / 1e6,
        "rss_mb": grown / 1e6,
        "open_ms": round(opened, 1),
        "lookup_ms": spread(plain_times),
        "patterns_ms": spread([one + other for one, other in zip(plain_times, pattern_times, strict=True)]),
    }


def _look_up(hot_list: HotList) -> list[float]:
    random, times = Random(2), []
    for _ in range(LOOKUPS):
        text = traffic.serial(random)
        # A doubtful reading: every character leaves room for its look-alikes.
        doubts = tuple(random.uniform(0.5, 0.99) for _ in text)
        began = time.process_time()
        hot_list.match(text, char_confidence=doubts, candidates={text: 0.6})
        times.append(1e3 * (time.process_time() - began))
    return times


def _patterns(count: int) -> list[HotListEntry]:
    random = Random(3)
    found = []
    for _ in range(count):
        text = traffic.serial(random)
        hidden = random.sample(range(len(text)), 2)
        found.append(
            HotListEntry(
                plate="".join("?" if place in hidden else char for place, char in enumerate(text)),
                state="",
                alarm_class=AlarmClass.MAJOR_INCIDENT_PARTIAL,
                reason="random",
                source="random",
                case_number="BENCH",
                expiry="9999-12-31",
                partial=True,
            )
        )
    return found
