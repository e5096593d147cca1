"""A system check: no table can hold a read back from its purge, or keep its plate afterwards, unnoticed.

A foreign key to a read or a hit says by its `on_delete` what becomes of its row: CASCADE, it goes with the
read (its own append-only guard then needs `delete_when=floor.when(...)`); DO_NOTHING without a constraint, it
stays and names an id only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, register
from django.db import models

from hq.log import triggers
from hq.records.models import Hit, Read


@register
def relations(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Every relation to a read or a hit says what the purge does with it."""
    return [
        Error(f"{field}: {why}", hint="see hq.retention.checks", id="hq.retention.E001")
        for model in apps.get_models()
        for field in model._meta.local_concrete_fields
        if (why := _fault(field))
    ]


def _fault(field: models.Field[Any, Any]) -> str:
    if not isinstance(field, models.ForeignKey) or field.remote_field.model not in (Read, Hit):
        return ""
    rule = field.remote_field.on_delete
    if rule is models.DO_NOTHING and not getattr(field, "db_constraint", True):
        return ""
    if rule is not models.CASCADE:
        return "the purge of its read would fail: make it CASCADE, or DO_NOTHING without a constraint"
    guard = triggers._registry.get(field.model._meta.db_table)
    if guard is not None and not guard.delete_when.get("sqlite"):
        return "its rows go with their read, and its append-only guard has no delete_when=floor.when(...)"
    return ""
