"""An agency whose policy has no gap, for what is tried of the posted page and of the figures beside it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hq.audits import runs
from hq.audits.models import Plan
from hq.people.models import Person
from hq.public import slots, texts
from hq.site.models import Settings
from tests.hq import kept


def whole(
    office: kept.Office, people: Callable[..., Person], at: datetime, media: Path, settings: Any
) -> kept.Office:
    """Give the office all that the policy wants, approved at a moment."""
    settings.MEDIA_ROOT = media
    Settings.objects.create(
        agency="Test Police Department",
        ori="CA0190000",
        policy_id="430",
        policy_version="2026-01",
        meeting_on=date(2025, 12, 1),
        meeting_body="City Council",
        website="https://police.example/alpr/policy.html",
        reason="test",
        approved_by=office.commander,
        approved_at=at,
    )
    people("overseer", full_name="Olive Overseer", title="Support Services Lieutenant")
    office.schedule()
    office.authority()
    made = runs.propose(
        office.auditor,
        Plan(
            auditor=office.auditor,
            other_auditor=people("auditor"),
            reviewer=office.commander,
            areas=["searches"],
            document="plan 1",
        ),
    )
    runs.approve_plan(office.commander, made.pk)
    for slot in slots.SLOTS:
        if slot.wanted:
            texts.approve(
                office.commander, texts.prepare(office.administrator, slot.code, f"We do {slot.code}.").pk
            )
    return office
