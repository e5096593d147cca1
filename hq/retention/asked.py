"""What is asked for and not handed out yet keeps its reads, as a hold does (430.4-d, 430.4-e, 430.8).

An evidence package keeps them from its request until it is made or refused; an agency's written request from
its registration until it is fulfilled, denied or closed. Owns which rows these are, how each is named, and
what they reach, as a query and, for the database's own guard, in SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.apps import apps
from django.db.models import Q, QuerySet

from hq.records.models import Read
from hq.retention.scope import Scope, ScopeError, like_of


@dataclass(frozen=True)
class Asked:
    """A table of requests with a scope. `ends`: the moments of which the first is its end.

    what, clause: how one is called, and by which clause it is to be finished.
    """

    model: str
    table: str
    scope: str
    states: tuple[str, ...]
    begins: str
    ends: tuple[str, ...]
    what: str
    clause: str


@dataclass(frozen=True)
class Keeping:
    """One that is open, with how many due reads it keeps. Its words hold no plate.

    model, pk: its row, for a link.
    vague: what its plate is, cannot be compared: it may mean any.
    """

    what: str
    number: str
    model: str
    pk: int
    clause: str
    since: datetime
    days: int
    reads: int
    vague: bool

    @property
    def named(self) -> str:
        """What it is, with its number."""
        return f"{self.what} {self.number}"

    @property
    def words(self) -> str:
        """For how long it is open, and what it keeps."""
        vague = ", as any plate may be meant by it" if self.vague else ""
        return f"open for {self.days} days and keeps due reads from destruction{vague}: {self.reads}"


# What others ask for is a written original and bounds no reads: a hold keeps what it means.
_ASKED: Final = (
    Asked(
        "evidence.Package",
        "evidence_package",
        "scope_json",
        ("requested", "approved"),
        "requested_at",
        ("prepared_at", "refused_at"),
        "evidence package",
        "430.4-e",
    ),
    Asked(
        "releases.ReleaseRequest",
        "releases_releaserequest",
        "scope_asked",
        ("received", "reviewed", "approved"),
        "registered_at",
        ("decided_at", "fulfilled_at", "closed_at"),
        "release request",
        "430.8(b)",
    ),
)

MOST: Final = 10
"""How many are named where due reads are counted."""


def keeping(due: Sequence[QuerySet[Read]], at: datetime, longer_than: int = -1) -> Iterator[Keeping]:
    """What is open for more than so many days at `at` and keeps any of these reads; longest open first."""
    rows = []
    for asked in _ASKED:
        model: Any = apps.get_model(asked.model)
        found = model._default_manager.filter(state__in=asked.states).order_by("pk")
        rows += [
            (since, pk, number, stored, asked)
            for pk, number, since, stored in found.values_list("pk", "number", asked.begins, asked.scope)
        ]
    for since, pk, number, stored, asked in sorted(rows, key=lambda row: row[0]):
        days = (at - since).days
        if days <= longer_than:
            return
        within, vague = _within(stored)
        if reads := sum(part.filter(within).count() for part in due):
            number = number or f"without a number, row {pk}"
            yield Keeping(asked.what, number, asked.model, pk, asked.clause, since, days, reads, vague)


def named(due: QuerySet[Read], at: datetime) -> list[Keeping]:
    """Those of them that are open longest, MOST at most."""
    return list(islice(keeping([due], at), MOST))


def reach(since: datetime | None = None) -> Q:
    """The reads within what is open; with `since`, also within what was open then and has ended."""
    found = Q(pk__in=[])
    for asked in _ASKED:
        rows = Q(state__in=asked.states)
        if since is not None:
            ended = Q()
            for moment in asked.ends:
                ended |= Q(**{f"{moment}__gt": since})
            rows |= Q(**{f"{asked.begins}__lte": since}) & ended
        model: Any = apps.get_model(asked.model)
        for stored in model._default_manager.filter(rows).values_list(asked.scope, flat=True):
            found |= _within(stored)[0]
    return found


def _within(stored: dict[str, Any]) -> tuple[Q, bool]:
    """The reads that a stored scope reaches, and whether it may mean any plate though it names one."""
    scope = Scope.from_json(stored)
    if scope.empty():
        return Q(pk__in=[]), False
    # Of a pattern that the database does not compare as it is meant now, any plate may be meant.
    try:
        same = not scope.plate or stored.get("like") == like_of(scope.plate, scope.lookalikes)
    except ScopeError:
        same = False
    bounds = scope if same else replace(scope, plate="")
    # An empty Q on one side of | is dropped, though it means every read.
    return (Q(pk__isnull=False) if bounds.empty() else bounds.q()), not same


def sql(vendor: str) -> str:
    """SQL: whether something open reaches read r; the same as `reach()`."""
    return " OR ".join(
        f"EXISTS (SELECT 1 FROM {asked.table} k WHERE k.state IN ({_quoted(asked.states)}) "
        f"AND {_WITHIN[vendor].format(j=f'k.{asked.scope}')})"
        for asked in _ASKED
    )


def _quoted(states: tuple[str, ...]) -> str:
    return ", ".join(f"'{state}'" for state in states)


# `Scope.to_json` as SQL. One without its `like` is of a version that wrote none: it means any plate.
_PLATE = """(COALESCE({like}, '') = ''
            OR (NOT {lookalikes} AND (r.key LIKE {like} OR EXISTS (
                SELECT 1 FROM hits_correction c WHERE c.read_id = r.id AND c.key LIKE {like})))
            OR ({lookalikes} AND (r.lookalike LIKE {like} OR EXISTS (
                SELECT 1 FROM hits_correction c WHERE c.read_id = r.id AND c.lookalike LIKE {like}))))"""
_WITHIN: Final = {
    "sqlite": _PLATE.format(
        like="json_extract({j}, '$.like')", lookalikes="json_extract({j}, '$.lookalikes')"
    )
    + """
        AND json_extract({j}, '$.unit') IN ('', r.unit_id)
        AND (json_extract({j}, '$.since') IS NULL
            OR julianday(r.at) >= julianday(json_extract({j}, '$.since')))
        AND (json_extract({j}, '$.until') IS NULL
            OR julianday(r.at) < julianday(json_extract({j}, '$.until')))
        AND (json_extract({j}, '$.area[0]') IS NULL
            OR (r.lat BETWEEN json_extract({j}, '$.area[0]') AND json_extract({j}, '$.area[2]')
                AND r.lon BETWEEN json_extract({j}, '$.area[1]') AND json_extract({j}, '$.area[3]')))
        AND (json_array_length({j}, '$.reads') = 0 OR EXISTS (
            SELECT 1 FROM json_each({j}, '$.reads') e WHERE replace(e.value, '-', '') = r.id))""",
    "postgresql": _PLATE.format(like="({j}->>'like')", lookalikes="({j}->>'lookalikes')::boolean")
    + """
        AND {j}->>'unit' IN ('', r.unit_id)
        AND ({j}->>'since' IS NULL OR r.at >= ({j}->>'since')::timestamptz)
        AND ({j}->>'until' IS NULL OR r.at < ({j}->>'until')::timestamptz)
        AND ({j}->'area'->>0 IS NULL
            OR (r.lat BETWEEN ({j}->'area'->>0)::float8 AND ({j}->'area'->>2)::float8
                AND r.lon BETWEEN ({j}->'area'->>1)::float8 AND ({j}->'area'->>3)::float8))
        AND (jsonb_array_length({j}->'reads') = 0 OR {j}->'reads' @> to_jsonb(r.id::text))""",
}
