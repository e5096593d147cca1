"""What about retention needs somebody now: kept too long, to be reviewed, to be signed, cut off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from hq.records.keeping import FLOOR_DAYS
from hq.records.models import Read
from hq.retention import asked, copies, holds, proposals, purge, schedules, selection
from hq.retention.models import Authority, Proposal, Schedule
from hq.site import clock

WARN_DAYS = 30
OPEN_DAYS = 60
"""How long a package or request may be open and keep due reads before it is an alarm."""


@dataclass(frozen=True)
class Alarm:
    """One line for the calendar, the digest and `platewarden-hq retention`. Holds no plate."""

    clause: str
    text: str


@dataclass(frozen=True)
class Line:
    """One schedule in force, the days applied under it today, and what it makes due."""

    schedule: Schedule
    days: int
    due: int
    overdue: int
    next_due: datetime | None


def calendar(now: datetime | None = None) -> list[Line]:
    """Every schedule in force for reads, with what is due and what comes next."""
    at = now or clock.now()
    lines = []
    for schedule in Schedule.objects.filter(state=Schedule.State.IN_FORCE).select_related(
        "unit", "authority"
    ):
        reads, days = selection.due(schedule, at), schedules.days_of(schedule)
        coming = selection.of_schedule(schedule)
        first = coming.order_by("purge_after").values_list("purge_after", flat=True).first()
        lines.append(
            Line(
                schedule,
                days,
                reads.exclude(holds.held()).count(),
                selection.overdue(schedule, at).count(),
                first + timedelta(days=days - FLOOR_DAYS) if first else None,
            )
        )
    return lines


def alarms(now: datetime | None = None) -> list[Alarm]:
    """Everything that waits or is late, the gravest first."""
    at = now or clock.now()
    found = []
    if cut := purge.unfinished():
        found.append(Alarm("430.4-d", f"steps of a purge cut off: {cut}; run platewarden-hq purge"))
    if bad := holds.unreadable():
        found.append(
            Alarm(
                "430.4-d",
                f"pattern cannot be read: {holds.numbers_of(bad)}; until two persons release it and it is "
                "placed again, nothing is destroyed",
            )
        )
    if damaged := copies.unreadable():
        found.append(
            Alarm(
                "430.4-d",
                f"HQ's file is damaged and may hold destroyed reads: {', '.join(damaged)}; put the whole "
                "file back, or remove it",
            )
        )
    lines = calendar(at)
    for line in lines:
        if line.overdue:
            found.append(
                Alarm(
                    "430.4-d",
                    f"reads of {line.schedule.category} kept {line.schedule.grace_days} days longer than "
                    f"{line.schedule}, by no hold or open request: {line.overdue}",
                )
            )
    for one in asked.keeping([selection.due(line.schedule, at) for line in lines], at, OPEN_DAYS):
        found.append(Alarm(one.clause, f"{one.named} is {one.words}"))
    if Read.objects.exists() and not Schedule.objects.filter(state=Schedule.State.IN_FORCE).exists():
        found.append(Alarm("430.2-d", "no retention schedule is in force: nothing can be destroyed"))
    if late := holds.to_review().count():
        found.append(Alarm("430.4-d", f"holds due for review: {late}"))
    if waiting := Proposal.objects.filter(state=Proposal.State.PROPOSED).count():
        found.append(Alarm("430.2.1(f)", f"destruction proposals that wait for signatures: {waiting}"))
    for proposal in Proposal.objects.filter(state=Proposal.State.COSIGNED).select_related("authority"):
        if not proposal.authority.live() and not proposals.begun(proposal):
            found.append(
                Alarm(
                    "GC-34090.6",
                    f"destruction proposal {proposal.pk} was not begun before its authority ended",
                )
            )
    if waiting := Schedule.objects.filter(state=Schedule.State.PROPOSED).count():
        found.append(Alarm("430.2.1(f)", f"retention schedules that wait for signatures: {waiting}"))
    soon = clock.today() + timedelta(days=WARN_DAYS)
    for authority in Authority.objects.filter(valid_until__gte=clock.today(), valid_until__lte=soon):
        found.append(Alarm("GC-34090.6", f"the authority {authority.title} ends on {authority.valid_until}"))
    return found
