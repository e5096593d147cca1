"""What is asked for and not handed out yet keeps its reads, as a hold does (430.4-d, 430.4-e, 430.8).

An evidence package keeps them from its request until it is made or refused; an agency's written request from
its registration until it is fulfilled, denied or closed. Owns which rows these are and what they reach, as a
query and, for the database's own guard, in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.db.models import Q

from hq.retention.scope import Scope, ScopeError, like_of


@dataclass(frozen=True)
class Asked:
    """A table of requests with a scope. `ends`: the moments of which the first is its end."""

    model: str
    table: str
    scope: str
    states: tuple[str, ...]
    begins: str
    ends: tuple[str, ...]


# What others ask for is a written original and bounds no reads: a hold keeps what it means.
_ASKED: Final = (
    Asked(
        "evidence.Package",
        "evidence_package",
        "scope_json",
        ("requested", "approved"),
        "requested_at",
        ("prepared_at", "refused_at"),
    ),
    Asked(
        "releases.ReleaseRequest",
        "releases_releaserequest",
        "scope_asked",
        ("received", "reviewed", "approved"),
        "registered_at",
        ("decided_at", "fulfilled_at", "closed_at"),
    ),
)


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
            found |= _within(stored)
    return found


def _within(stored: dict[str, Any]) -> Q:
    scope = Scope.from_json(stored)
    if scope.empty():
        return Q(pk__in=[])
    # Of a pattern that the database does not compare as it is meant now, any plate may be meant.
    try:
        same = not scope.plate or stored.get("like") == like_of(scope.plate, scope.lookalikes)
    except ScopeError:
        same = False
    bounds = scope if same else replace(scope, plate="")
    # An empty Q on one side of | is dropped, though it means every read.
    return Q(pk__isnull=False) if bounds.empty() else bounds.q()


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
