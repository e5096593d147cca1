"""Hostile text in every column that people, units or files fill, past all checks of forms and intake.

What a form would refuse can still be in the database: from before the check, from a unit, from a program
that wrote past HQ. So the pages must bear it. A new text column is hostile by itself; what only HQ writes, or
what is held to an alphabet wherever it is written, stands in OURS.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connection, models

from hq.log import triggers

MARK = "b9"
"""Name of an element and an attribute that no page of ours has."""
MARKUP = f"\"'><{MARK} on{MARK}=1>&lt;{{{{{MARK}|x}}}}{{% {MARK} %}}\u202e\u2067😀\x00\x1b[2J"
LONG = "W" * 900
ADDRESS = f"javascript:{MARK}()//"

OURS = {
    "api.ApiToken": {"digest"},
    "api.Feed": {"purpose"},
    "audits.Audit": {"seed"},
    "audits.Export": {"sha256"},
    "audits.Freeze": {"head"},
    "audits.Item": {"area"},
    "evidence.Package": {"sha256", "manifest_sha256", "public_key", "number", "purpose"},
    "lists.HotListEntry": {"change"},
    "lists.HotListSource": {"delimiter"},
    "lists.HotListVersion": {"sha256"},
    "lists.Piece": {"sha256"},
    "lists.Publication": {"version", "sha256", "inputs", "manifest"},
    "lists.RetroMatch": {"kind"},
    "lists.RetroRun": {"purpose"},
    "log.AccessRecord": {"kind", "action", "purpose", "session", "previous", "hash"},
    "log.ChainHead": {"hash"},
    "log.Removed": {"previous", "hash", "signature"},
    "log.SignedHead": {"hash", "signature"},
    "mail.Mail": {"message_id"},
    "mail.Raised": {"source", "clause", "key"},
    "people.Authenticator": {"key"},
    "people.Kiosk": {"key_hash"},
    "people.Person": {"password", "session_key"},
    "public.PostedCheck": {"sha256"},
    "public.Publication": {"text_sha256"},
    "records.Admission": {"sha256"},
    "records.AccessReceived": {"store_id", "digest", "outcome"},
    "records.Hit": {"store_id", "digest", "kind"},
    "records.Loss": {"store_id", "digest", "kind"},
    "records.Quarantined": {"digest"},
    "records.Read": {"store_id", "digest", "category", "key", "lookalike", "config_hash"},
    "records.Revision": {"store_id", "digest"},
    "records.Seal": {"previous", "hash"},
    "records.Series": {"store_id"},
    "records.Transfer": {"sha256"},
    "records.Trigram": {"gram", "key", "lookalike"},
    "records.Unit": {"unit_id", "category"},
    "records.UnitStatus": {"state"},
    "releases.Override": {"sha256"},
    "releases.ReleaseRequest": {
        "sha256", "manifest_sha256", "public_key", "number", "purpose", "document_sha256",
    },
    "retention.Authority": {"sha256"},
    "retention.Batch": {"ids_sha256"},
    "retention.Certificate": {"number", "ids_sha256"},
    "retention.DestroyedCopy": {"number", "file", "sha256"},
    "retention.Hold": {"plate", "plate_like"},
    "retention.Proposal": {"ids_sha256"},
    "retention.UnreadableCopy": {"number"},
    "hits.Correction": {"key", "lookalike"},
    "site.Settings": {"case_pattern"},
    "log.Removal": {"state"},
}  # fmt: skip
"""Columns that only HQ writes (codes, numbers, hashes), or whose alphabet is checked on every way in."""

WORDED = {
    "log.AccessRecord": {"elements"},
    "lists.HotListVersion": {"bad", "warnings"},
    "records.AccessReceived": {"clock"},
    "records.Read": {"flags", "candidates", "clock", "model_hashes"},
    "records.Revision": {"body"},
    "records.UnitStatus": {"model_hashes", "record"},
    "units.Acceptance": {"place", "model_hashes"},
    "units.Reported": {"model_hashes"},
}
"""JSON columns whose texts come from outside."""


def text(length: int | None, turn: int, tell_apart: object = "") -> str:
    """A hostile text of at most so many characters; of long ones each turn is another kind."""
    room = length or 4000
    if room <= 40:
        return f"{tell_apart}{MARKUP}"[:room]
    kinds = (MARKUP + LONG, ADDRESS + MARKUP + LONG, LONG[: room // 2] + MARKUP, f"\r\n=1+1\t{MARKUP} {LONG}")
    return f"{tell_apart}{kinds[turn % len(kinds)]}"[:room]


def fill() -> int:
    """Make every such text of every row hostile, in a test's database; how many columns were."""
    with connection.cursor() as cursor:
        for table in triggers.tables():
            for statement in triggers.drops(connection, table):
                cursor.execute(statement)
    filled = 0
    for model in apps.get_models():
        if model.__module__.startswith("hq."):
            filled += _fill(model)
    triggers.install(connection)
    return filled


def _fill(model: type[models.Model]) -> int:
    label = model._meta.label
    columns = [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField)
        and not isinstance(field, models.SlugField)
        and not field.choices
        and field.name not in OURS.get(label, ())
    ]
    worded = [model._meta.get_field(name) for name in WORDED.get(label, ())]
    known = {field.name for field in model._meta.concrete_fields}
    assert OURS.get(label, set()) <= known, f"{label}: OURS names a column that is no more"
    if not columns and not worded:
        return 0
    for turn, row in enumerate(model._base_manager.order_by("pk")):
        values: dict[str, Any] = {}
        for number, field in enumerate(columns):
            if getattr(row, field.name):
                values[field.name] = text(
                    field.max_length, turn + number, turn if _apart(model, field) else ""
                )
        for field in worded:
            values[field.name] = _inside(getattr(row, field.name), turn)
        model._base_manager.filter(pk=row.pk).update(**values)
    return len(columns) + len(worded)


def _apart(model: type[models.Model], field: models.Field[Any, Any]) -> bool:
    return field.unique or any(
        isinstance(rule, models.UniqueConstraint) and field.name in rule.fields
        for rule in model._meta.constraints
    )


def _inside(value: Any, turn: int) -> Any:
    if isinstance(value, dict):
        return {key: _inside(item, turn) for key, item in value.items()}
    if isinstance(value, list):
        return [_inside(item, turn) for item in value]
    # PostgreSQL's JSON holds no NUL, and Django's none at all.
    return text(1000, turn).replace("\x00", "") if isinstance(value, str) else value
