"""Which policy was in force at a moment and who oversaw ALPR then, in words for papers (430.1, 430.2.1(e)).

A paper names what held when it was signed, not what holds when it is printed.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from hq.people.models import Appointment, Role
from hq.site import clock
from hq.site.models import Settings


def policy_words(at: datetime | None = None) -> str:
    """Policy, version and overseer, now by default; says so where nothing was set or nobody appointed."""
    at = at or clock.now()
    held = Settings.objects.filter(approved_at__lte=at).order_by("-approved_at", "-id").first()
    policy = f"policy {held.policy_id}, {held.policy_version}" if held else "policy 430, no version set"
    overseers = [f"{one.person.full_name}, {one.person.title}" for one in _overseers(at)]
    return f"{policy}; " + (
        f"overseen by {' and '.join(overseers)}" if overseers else "nobody appointed to oversee ALPR"
    )


def _overseers(at: datetime) -> list[Appointment]:
    day = timezone.localdate(at)
    held = Appointment.objects.filter(role=Role.OVERSEER, approved_at__lte=at, starts_on__lte=day)
    not_over = (Q(ended_at=None) | Q(ended_at__gt=at)) & (Q(ends_on=None) | Q(ends_on__gte=day))
    return list(held.filter(not_over).select_related("person").order_by("approved_at"))
