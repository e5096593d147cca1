"""Finds reads by plate: exact, look-alike, partial, each from an index and newest first.

Owns which index answers which question, and when none does. Who may ask, and what is written down about it,
is not its business: callers go through `hq.people.policy` and the access log.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from hq.records.keys import SHORTEST, lookalike_key
from hq.records.models import Fragment, Read
from plates.lookalike import CONFUSIONS
from plates.pattern import Pattern

MOST_TEXTS: Final = 20_000
"""A partial search that fits more different texts is answered by time, not by text."""

_WILD: Final = re.compile(r"[?*]+")
_IN_ONE: Final = 500


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, its end excluded; None leaves it open. Reads are placed by `Read.at`."""

    start: datetime | None = None
    end: datetime | None = None

    def of(self, reads: QuerySet[Read]) -> QuerySet[Read]:
        """Those of the reads that lie in it."""
        if self.start is not None:
            reads = reads.filter(at__gte=self.start)
        if self.end is not None:
            reads = reads.filter(at__lt=self.end)
        return reads


ALWAYS: Final = Span()


def exact(key: str, span: Span = ALWAYS) -> QuerySet[Read]:
    """Reads whose text is `key` (a normalised plate)."""
    return span.of(Read.objects.filter(key=key)).order_by("-at")


def lookalike(key: str, span: Span = ALWAYS) -> QuerySet[Read]:
    """Reads whose text is `key` or looks like it: any characters of one class for one another, and at most
    one of the weaker confusions (`plates.lookalike`)."""
    return span.of(Read.objects.filter(lookalike__in=_alike(key))).order_by("-at")


def known_run(pattern: Pattern) -> str:
    """The longest run of known characters of a pattern."""
    return max(_WILD.split(pattern.text), key=len)


def needs_scan(pattern: Pattern, span: Span = ALWAYS) -> bool:
    """Whether no index answers this: fewer than three known characters side by side, none at the beginning
    either, and no start of the time. The page says so before it begins."""
    return len(known_run(pattern)) < SHORTEST and _beginning(pattern) == "" and span.start is None


def partial(pattern: Pattern, span: Span = ALWAYS, limit: int = 100) -> list[Read]:
    """The newest `limit` reads whose text fits the pattern."""
    texts = None if len(known_run(pattern)) < SHORTEST else _texts(pattern)
    if texts is None:
        return list(itertools.islice(_by_time(pattern, span), limit))
    reads = [
        read
        for some in _parts(texts)
        for read in span.of(Read.objects.filter(key__in=some)).order_by("-at").values_list("at", "id")[:limit]
    ]
    newest = sorted(reads, reverse=True)[:limit]
    found = Read.objects.in_bulk([read_id for _, read_id in newest])
    return [found[read_id] for _, read_id in newest if read_id in found]


def _alike(key: str) -> set[str]:
    keys = {lookalike_key(key)}
    for place, char in enumerate(key):
        for other in CONFUSIONS.get(char, {}):
            keys.add(lookalike_key(key[:place] + other + key[place + 1 :]))
    return keys


def _beginning(pattern: Pattern) -> str:
    return _WILD.split(pattern.text, maxsplit=1)[0]


def _last(text: str) -> str:
    """A text behind all keys that begin with `text`. Keys hold digits and capital letters only, which every
    collation puts into the same order."""
    return text + "Z" * 32


def _texts(pattern: Pattern) -> list[str] | None:
    """The different texts that fit, None for more than MOST_TEXTS."""
    run = known_run(pattern)
    found = Fragment.objects.filter(start__gte=run, start__lte=_last(run)).values_list("key", flat=True)
    texts: set[str] = set()
    for key in found.iterator(chunk_size=2000):
        if pattern.matches(key):
            texts.add(key)
            if len(texts) > MOST_TEXTS:
                return None
    return sorted(texts)


def _by_time(pattern: Pattern, span: Span) -> Iterator[Read]:
    """Matching reads from the newest back, reading keys only: of the span, or of a beginning, or of all."""
    reads = span.of(Read.objects.order_by("-at"))
    if begin := _beginning(pattern):
        reads = reads.filter(key__gte=begin, key__lte=_last(begin))
    batch: list[object] = []
    for read_id, key in reads.values_list("id", "key").iterator(chunk_size=2000):
        if pattern.matches(key):
            batch.append(read_id)
        if len(batch) == _IN_ONE:
            yield from _in_order(batch)
            batch = []
    yield from _in_order(batch)


def _in_order(ids: list[object]) -> Iterator[Read]:
    found = Read.objects.in_bulk(ids)
    yield from (found[read_id] for read_id in ids if read_id in found)  # type: ignore[index]


def _parts(texts: list[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while some := list(itertools.islice(iterator, _IN_ONE)):
        yield some
