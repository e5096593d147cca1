"""Which reads a schedule makes due, and which of them holds and open requests keep.

Owns the one query that a purge goes by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from hq.records.keeping import FLOOR_DAYS
from hq.records.models import Picture, Read
from hq.retention.holds import held
from hq.retention.models import Proposal, Schedule
from hq.retention.schedules import days_of, in_force


def due(schedule: Schedule, at: datetime) -> QuerySet[Read]:
    """The reads under a schedule that had passed its days at `at`, held or not.

    A schedule for all units leaves out those that have one of their own. One whose authority ran out is
    applied as a year.
    """
    return of_schedule(schedule).filter(_past(schedule, at))


def of_schedule(schedule: Schedule) -> QuerySet[Read]:
    """The reads that a schedule is for, due or not."""
    found = Read.objects.filter(category=schedule.category)
    if schedule.unit_id is not None:
        return found.filter(unit=schedule.unit_id)
    own = Schedule.objects.filter(
        category=schedule.category, state=Schedule.State.IN_FORCE, unit__isnull=False
    )
    return found.exclude(unit__in=own.values("unit"))


def of_proposal(proposal: Proposal) -> QuerySet[Read]:
    """The reads that a proposal may still destroy: a schedule that came into force since keeps its own."""
    found = due(proposal.schedule, proposal.due_at).exclude(held(since=proposal.proposed_at))
    now = in_force(proposal.schedule.category, proposal.schedule.unit_id or "")
    return found if now is None else found.filter(_past(now, proposal.due_at))


def _past(schedule: Schedule, at: datetime) -> Q:
    days = days_of(schedule)
    return Q(
        purge_after__lte=at - timedelta(days=days - FLOOR_DAYS), received_at__lte=at - timedelta(days=days)
    )


@dataclass(frozen=True)
class Counts:
    """What a selection holds. `octets`: bytes of the pictures that are here."""

    reads: int
    pictures: int
    octets: int
    held: int
    earliest: datetime | None
    latest: datetime | None


def count(schedule: Schedule, at: datetime) -> Counts:
    """What would go and what holds and open requests keep."""
    reads = due(schedule, at)
    going = reads.exclude(held())
    pictures = Picture.objects.filter(read__in=going.values("id"), missing=False)
    first = going.order_by("at").values_list("at", flat=True).first()
    last = going.order_by("-at").values_list("at", flat=True).first()
    return Counts(
        reads=going.count(),
        pictures=pictures.count(),
        octets=pictures.aggregate(sum=Sum("size"))["sum"] or 0,
        held=reads.filter(held()).count(),
        earliest=first,
        latest=last,
    )


def overdue(schedule: Schedule, at: datetime) -> QuerySet[Read]:
    """Reads that are kept longer than the schedule and its grace, and that nothing keeps (430.4-d)."""
    return due(schedule, at - timedelta(days=schedule.grace_days)).exclude(held())


def ids(reads: QuerySet[Read]) -> Iterator[str]:
    """Their ids in the one order in which they are summed."""
    for read in reads.order_by("id").values_list("id", flat=True).iterator(5000):
        yield str(read)
